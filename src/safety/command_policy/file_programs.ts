/** Judges programs that delete, write, move and change files. */
import { judgeDelete, judgeWrite } from "./judge_files.ts";
import { isKnown, shown, UNKNOWN } from "./marks.ts";
import { addTo, Arguments, type ProgramCall, type ProgramJudges } from "./program_call.ts";

export const fileJudges: ProgramJudges = new Map();
const on = addTo(fileJudges);

on("rm grm srm unlink", (call) => {
  const args = new Arguments(call.args);
  const recursive = args.has("r", "R", "recursive");
  for (const operand of args.operands) judgeDelete(call, operand, { recursive });
});
on("rmdir", (call) => {
  for (const operand of new Arguments(call.args).operands) judgeDelete(call, operand, { recursive: false });
});
on("rimraf trash del-cli", (call) => {
  for (const operand of new Arguments(call.args).operands) judgeDelete(call, operand);
});
on("shred", (call) => {
  for (const operand of new Arguments(call.args, { short: "ns" }).operands) judgeDelete(call, operand);
});
on("truncate", (call) => {
  for (const file of new Arguments(call.args, { short: "sr", long: ["size", "reference"] }).operands) {
    judgeWrite(call, file, "Cuts");
  }
});
on("mv gmv", (call) => {
  const args = new Arguments(call.args, { short: "tS", long: ["target-directory", "suffix"] });
  const [target] = args.values("t", "target-directory");
  const sources = target === undefined ? args.operands.slice(0, -1) : args.operands;
  for (const source of sources) {
    const { kind, holdsRoot } = call.place(source, { isEntry: true });
    if (holdsRoot || kind !== "inside") judgeDelete(call, source);
  }
  const destination = target ?? args.operands.at(-1);
  if (destination === undefined) return;
  judgeWrite(call, destination, "Moves to");
  copyWritten(call, sources, destination);
});
on("cp gcp install rsync ln", (call) => {
  const args = new Arguments(call.args, {
    short: call.name === "install" ? "tSgom" : call.name === "rsync" ? "efT" : "tS",
    long: [
      "target-directory",
      "suffix",
      "rsh",
      "exclude",
      "include",
      "filter",
      "owner",
      "group",
      "mode",
      "exclude-from",
    ],
  });
  const [target] = args.values("t", "target-directory");
  const sources = target === undefined ? args.operands.slice(0, -1) : args.operands;
  const destination = target ?? args.operands.at(-1);
  if (call.name === "rsync") {
    for (const rsh of args.values("e", "rsh")) call.runCode(rsh);
    if (args.operands.some((word) => /^[^/]+:|^rsync:/.test(word))) {
      return call.report("confirm", "network", "Talks to another machine: `rsync`");
    }
    if (args.has("delete") && destination !== undefined && call.place(destination).kind !== "inside") {
      judgeDelete(call, destination);
    }
  }
  if (call.name === "install" && args.has("d", "directory")) {
    for (const folder of args.operands) judgeWrite(call, folder, "Makes");
  } else if (destination !== undefined && (args.operands.length > 1 || target !== undefined)) {
    judgeWrite(call, destination, "Copies to", { isEntry: call.name === "ln" });
    copyWritten(call, sources, destination);
    if (call.name === "ln" && args.has("s", "symbolic") && sources.length === 1) call.links(destination, sources[0]!);
  }
});
on("tee sponge", (call) => {
  const { operands } = new Arguments(call.args);
  for (const file of operands) {
    judgeWrite(call, file);
    if (call.stdin !== undefined) call.writes(file, call.stdin);
  }
  return call.stdin ?? "";
});
on("touch mkdir mkfifo mknod", (call) => {
  const args = new Arguments(call.args, { short: "mdrt", long: ["mode", "date", "reference"] });
  // What comes to be where nobody knows does no harm.
  for (const file of args.operands) if (isKnown(file)) judgeWrite(call, file, "Makes");
});
on("chmod chown chgrp chattr setfacl", (call) => {
  const args = new Arguments(call.args.filter((word) => !/^-[rwxXst]+$/.test(word)), { long: ["reference", "from"] });
  const targets = args.has("reference") ? args.operands : args.operands.slice(1);
  const recursive = args.has("R", "recursive");
  for (const target of targets) {
    const place = call.place(target);
    if (place.kind === "inside") continue;
    if (recursive && (place.holdsRoot || place.kind === "home" || place.kind === "elsewhere")) {
      call.report("block", "permissions", `Changes ${shown(target)} and everything in it, outside the allowed folders`);
    } else judgeWrite(call, target, "Changes the permissions of");
  }
});
on("dd", (call) => {
  for (const word of call.args) {
    if (word.startsWith("of=")) judgeWrite(call, word.slice(3));
    if (word.startsWith("if=") && call.place(word.slice(3)).kind === "device") {
      call.report("confirm", "device", `Reads the device ${shown(word.slice(3))}`);
    }
  }
});
on("curl wget", (call) => {
  const isCurl = call.name === "curl";
  const args = new Arguments(
    call.args,
    isCurl
      ? {
        short: "oHdXuAeFTbcEKmrwxC",
        long: ["output", "header", "data", "request", "user", "form", "upload-file", "output-dir"],
      }
      : { short: "OoPUatTwQ", long: ["output-document", "directory-prefix", "post-file", "post-data", "header"] },
  );
  const files = isCurl
    ? args.values("o", "output", "output-dir", "c", "cookie-jar", "D")
    : args.values("O", "output-document", "P", "directory-prefix", "o", "a");
  for (const file of files) if (file !== "-") judgeWrite(call, file, "Downloads to");
  // What is in them, nobody knows before they are run.
  const ownNames = args.operands.map((url) => url.replace(/[?#].*$/, "").split("/").at(-1)!);
  for (const file of [...files, ...(isCurl && !args.has("O", "remote-name", "J") ? [] : ownNames)]) {
    if (file !== "-") call.writes(file, UNKNOWN);
  }
});
on("tar gtar bsdtar", (call) => {
  const first = call.args[0] ?? "";
  const args = new Arguments(/^[A-Za-z]+$/.test(first) ? [`-${first}`, ...call.args.slice(1)] : call.args, {
    short: "fCTXIFgbHKLN",
    long: ["file", "directory", "checkpoint-action", "to-command", "use-compress-program", "exclude", "transform"],
  });
  for (const action of args.values("checkpoint-action")) call.runCode(action.replace(/^exec=/, ""));
  for (const code of args.values("to-command", "use-compress-program", "I", "F", "info-script", "rsh-command")) {
    call.runCode(code);
  }
  const extracts = args.has("x", "extract", "get"), creates = args.has("c", "create", "r", "u", "append", "update");
  for (const folder of args.values("C", "directory")) if (extracts) judgeWrite(call, folder, "Unpacks to");
  for (const file of args.values("f", "file")) if (creates && file !== "-") judgeWrite(call, file);
});
on("unzip", (call) => {
  for (const folder of new Arguments(call.args, { short: "dxP" }).values("d")) judgeWrite(call, folder, "Unpacks to");
});
on("sed gsed", (call) => {
  const args = new Arguments(call.args, { short: "efl", long: ["expression", "file", "line-length"] });
  const given = args.values("e", "expression");
  const isFileGiven = given.length > 0 || args.has("f", "file");
  const scripts = isFileGiven ? given : args.operands.slice(0, 1);
  const files = isFileGiven ? args.operands : args.operands.slice(1);
  if (args.has("i", "in-place")) {
    for (const file of files) {
      if (file === "") continue;
      judgeWrite(call, file, "Edits");
      if (call.written(file) !== undefined) call.writes(file, UNKNOWN);
    }
  }
  for (const script of scripts) {
    // GNU sed's `e` command and flag run a shell; `w` writes.
    if (
      /^[\s\d$,~+!{;]*e(?:\s|$)/.test(script) ||
      /(?:^|[;{}\n\d$])\s*s(.)[^\n]{0,2000}\1[gpiImM\d]*e[gpiImM\d]*\s*(?:$|[;}\n])/.test(script)
    ) {
      call.report("confirm", "foreign-code", `Lets \`sed\` run commands: ${shown(script)}`);
    }
    const written = /(?:^|[;{}\n\d$/])\s*[wW]\s+(\S+)/.exec(script)?.[1];
    if (written !== undefined) judgeWrite(call, written);
  }
});

/** What the script has written itself is known also under another name. */
function copyWritten(call: ProgramCall, sources: readonly string[], destination: string): void {
  for (const source of sources) {
    const content = call.written(source);
    if (content === undefined) continue;
    call.writes(destination, content);
    call.writes(`${destination}/${source.split("/").at(-1)}`, content);
  }
}
