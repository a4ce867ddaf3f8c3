// Tells of the uncaught errors of one Node process, and which of the project's functions it entered. Node 16 and later.
"use strict";
delete require.cache[__filename];
/** @param record a folder that is made for one run */
module.exports = (record) => {
  const fs = require("node:fs");
  const { isMainThread } = require("node:worker_threads");
  // An error that a worker does not catch becomes one of its owner.
  if (!isMainThread) return;
  let settings;
  try {
    settings = new Map(
      fs.readFileSync(`${record}/settings`, "utf8").split("\n").map((line) => {
        const at = line.indexOf(" ");
        return [line.slice(0, at), line.slice(at + 1)];
      }),
    );
  } catch {
    return;
  }
  const project = `${settings.get("project")}/`;
  const traced = settings.get("trace") === "1";
  const fileOf = (url) => url.startsWith("file://") ? decodeURIComponent(url.slice(7)) : url;
  /** The path of a project's file relative to its top; undefined for any other file. */
  const placeOf = (file) =>
    file.startsWith(project) && file !== settings.get("script") && !file.includes("/node_modules/")
      ? file.slice(project.length)
      : undefined;

  const own = fs.openSync(`${record}/${require("node:crypto").randomUUID()}.jsonl`, "wx", 0o600);
  const identity = fs.fstatSync(own);
  const tell = (entry) => {
    const { ino, dev } = fs.fstatSync(own);
    if (ino === identity.ino && dev === identity.dev) fs.writeSync(own, `${JSON.stringify(entry)}\n`);
  };
  tell({ start: process.pid });
  if (settings.has("results")) {
    require("./control.cjs")({ order: JSON.parse(settings.get("results")), placeOf, tell });
  }

  let session;
  const startCounting = () => {
    const { Session } = require("node:inspector");
    session = new Session();
    session.connect();
    session.post("Profiler.enable");
    session.post("Profiler.startPreciseCoverage", { callCount: false, detailed: traced });
  };
  try {
    startCounting();
  } catch {
    session = undefined;
  }
  /** Of the project's scripts; what was taken does not come again. */
  const scripts = [];
  const takeCoverage = () => {
    session?.post("Profiler.takePreciseCoverage", (error, answer) => {
      if (error) return;
      for (const { url, scriptId, functions } of answer.result) {
        const file = fileOf(url);
        const place = placeOf(file);
        if (place === undefined) continue;
        scripts.push({ file, place, functions });
        if (!isAsItStands(file, scriptId)) tell({ meddling: `What ran as "${place}" is not what stands there` });
      }
    });
  };
  /** What is compiled on the way into Node has another text, but not where Node reads it itself. */
  const isAsItStands = (file, scriptId) => {
    if (settings.get("thorough") !== "1" || !/\.[cm]?js$/.test(file)) return true;
    let ran;
    session.post("Debugger.enable");
    session.post("Debugger.getScriptSource", { scriptId }, (_, answer) => ran = answer?.scriptSource);
    session.post("Debugger.disable");
    try {
      const source = fs.readFileSync(file, "utf8");
      return ran === source || ran === source.replace(/^\uFEFF/, "").replace(/^#!.*/, "");
    } catch {
      return false;
    }
  };
  const projectCalls = () => {
    if (session === undefined) return null;
    takeCoverage();
    const entered = scripts.flatMap(({ place, functions }) =>
      functions.filter(({ functionName, ranges: [{ startOffset, count }] }) =>
        count > 0 && (startOffset > 0 || functionName !== "")
      ).map(({ ranges: [{ startOffset }] }) => `${startOffset} ${place}`)
    );
    return new Set(entered).size;
  };
  const tellLines = () => {
    takeCoverage();
    for (const { file, place, functions } of scripts) {
      const source = fs.readFileSync(file, "utf8");
      // Functions come after those around them, and the same holds for the ranges in one.
      const executed = new Uint8Array(source.length);
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          executed.fill(count > 0 ? 1 : 0, startOffset, endOffset);
        }
      }
      let at = 0;
      for (const [index, line] of source.split("\n").entries()) {
        const end = at + line.length;
        const used = line.split("").some((char, column) => /[^\s{}()[\];,]/.test(char) && executed[at + column] === 1);
        if (used) tell({ line: [place, index + 1] });
        at = end + 1;
      }
    }
  };

  const LINE = /^ {2,}at (?:(?:async )?(.{0,500}?) \()?(.{1,1000}?):(\d{1,9}):\d{1,9}\)?$/;
  const framesOf = (error) =>
    String(error?.stack ?? "").split("\n").slice(0, 2000).flatMap((line) => {
      const found = line.length > 2000 ? null : LINE.exec(line);
      return found === null ? [] : [{ function: found[1] ?? null, file: fileOf(found[2]), line: Number(found[3]) }];
    }).slice(0, 150);
  const isObject = (value) => typeof value === "object" && value !== null;
  const nameOf = (value) => {
    if (!isObject(value)) return typeof value;
    return typeof value.name === "string" && value.name !== "" ? value.name : value.constructor?.name ?? "Object";
  };
  const describe = (value) => ({
    type: nameOf(value).slice(0, 500),
    message: (isObject(value) ? String(value.message ?? "") : String(value)).slice(0, 65536),
    frames: framesOf(value),
  });
  const basesOf = (value) => {
    const bases = [];
    for (let at = value; isObject(at) && bases.length < 50; at = Object.getPrototypeOf(at)) {
      const name = Object.hasOwn(at, "constructor") ? at.constructor?.name : undefined;
      if (typeof name === "string" && name !== "Object" && name !== nameOf(value)) bases.push(name);
    }
    return bases;
  };
  const causesOf = (value) => {
    const causes = [];
    for (let at = value?.cause; at !== undefined && at !== null && causes.length < 10; at = at.cause) {
      causes.push(describe(at));
    }
    return causes;
  };

  process.on("uncaughtExceptionMonitor", (error) => {
    try {
      const { type, message, frames } = describe(error);
      const calls = projectCalls();
      tell({
        runtime: "node",
        at: Date.now() * 1000,
        failure: {
          pid: process.pid,
          type,
          message,
          frames,
          bases: basesOf(error),
          causes: causesOf(error),
          projectCalls: calls,
        },
      });
    } catch {
      // What the program has made unreadable stays untold.
    }
  });
  /** Where somebody has asked for the end, innermost first; undefined: nobody has. */
  const exitFrames = () => {
    const { stackTraceLimit, prepareStackTrace } = Error;
    Error.stackTraceLimit = 100;
    Error.prepareStackTrace = undefined;
    const frames = framesOf(new Error());
    Object.assign(Error, { stackTraceLimit, prepareStackTrace });
    const asked = frames.findIndex((frame) => frame.function === "process.exit");
    return asked === -1 ? undefined : frames.slice(asked + 1);
  };
  process.on("exit", (code) => {
    try {
      if (code !== 0) tell({ entered: projectCalls() ?? 0 });
      const frames = code === 0 ? undefined : exitFrames();
      if (frames === undefined) return;
      const failure = { type: "process.exit", message: String(code), frames, bases: [], causes: [] };
      tell({
        runtime: "node",
        at: Date.now() * 1000,
        failure: { pid: process.pid, ...failure, projectCalls: projectCalls() },
      });
    } catch {
      // What the program has made unreadable stays untold.
    }
  });
  if (traced) {
    process.on("exit", () => {
      try {
        tellLines();
      } catch {
        // Without a source, there are no lines.
      }
    });
  }
};
