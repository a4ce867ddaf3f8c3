import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { type LaneOptions, OracleLanes } from "../../../src/commands/minimize/lanes.ts";
import { endAllCommands } from "../../../src/process/spawn.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";

const never = new AbortController().signal;
const PATIENCE_MS = 300_000;
const file = (text: string, name = "case.txt") => ({ name, bytes: new TextEncoder().encode(text), mode: 0o644 });
const candidate = (text: string, name?: string) => ({ files: [file(text, name)], variables: [], arguments: [] });
const own = { where: "own", timeoutMs: PATIENCE_MS, signal: never } as const;

async function withLanes(
  options: Partial<LaneOptions>,
  work: (lanes: OracleLanes, dir: string) => Promise<void>,
): Promise<void> {
  await inTempDir(async (made) => {
    const dir = await Deno.realPath(made);
    const env = { PATH: Deno.env.get("PATH")!, TMPDIR: dir, ...options.env };
    const lanes = await OracleLanes.open({
      command: "cat {file}",
      count: 1,
      cwd: dir,
      sandbox: "off",
      reducedVariables: new Set(),
      readsOutput: false,
      ...options,
      env,
    });
    try {
      await work(lanes, dir);
    } finally {
      await endAllCommands();
      await lanes.close();
      deepEqual(namesIn(dir).filter((name) => name.startsWith("gocore-minimize-")), []);
    }
  });
}

Deno.test("each run of an oracle has a folder with nothing but the candidate in it, and a TMPDIR of its own", () =>
  withLanes(
    { command: 'ls -A; ls -A "$TMPDIR"; cat {file}; touch left "$TMPDIR/left"; mkdir d; ln -s /etc l' },
    async (lanes) => {
      for (const text of ["one\n", "two\n"]) {
        const { end } = await lanes.run(candidate(text), own);
        deepEqual([end.exitCode, end.output], [0, `case.txt\n${text}`]);
      }
      equal(lanes.calls, 2);
    },
  ));

Deno.test("an oracle that replaces the file by a link does not lead the next candidate out of its folder", () =>
  withLanes({ command: "rm {file}; ln -s ../../precious {file}; cat {file}" }, async (lanes, dir) => {
    await Deno.writeTextFile(`${dir}/precious`, "mine\n");
    for (const text of ["one", "two"]) equal((await lanes.run(candidate(text), own)).end.output, "mine\n");
    equal(await Deno.readTextFile(`${dir}/precious`), "mine\n");
  }));

Deno.test("an oracle may leave folders that cannot be written to", () =>
  withLanes({ command: "ls; mkdir -p a/b; touch a/b/c; chmod 500 a/b a" }, async (lanes) => {
    for (let run = 0; run < 2; run++) equal((await lanes.run(candidate(""), own)).end.output, "case.txt\n");
  }));

Deno.test("an oracle runs where the person stands when it is told so", () =>
  withLanes({ command: "pwd; ls {dir}" }, async (lanes, dir) => {
    equal((await lanes.run(candidate("", "a b"), { ...own, where: "keep" })).end.output, `${dir}\na b\n`);
  }));

Deno.test("an oracle gets the variables and arguments that are left, and none of those that went", () =>
  withLanes({
    command: ': {dir}; echo "${A-none} ${B-none} $C"; printf "<%s>" {args}',
    env: { A: "outer", B: "outer", C: "kept" },
    reducedVariables: new Set(["A", "B"]),
  }, async (lanes) => {
    const { end } = await lanes.run(
      { files: [file("")], variables: [["B", "in=ner"]], arguments: ["a b", "$(x)", ""] },
      own,
    );
    equal(end.output, "none in=ner kept\n<a b><$(x)><>");
  }));

Deno.test("what an oracle leaves running has ended when its run is told", () =>
  withLanes(
    { command: ": {dir}; sleep 100000 & (setsid sleep 100001 >/dev/null 2>&1 &) ; echo done" },
    async (lanes, dir) => {
      equal((await lanes.run(candidate(""), own)).end.output, "done\n");
      const left = [...Deno.readDirSync("/proc")].filter(({ name }) => {
        try {
          return Deno.readTextFileSync(`/proc/${name}/environ`).includes(`TMPDIR=${dir}/gocore-minimize`) &&
            !Deno.readTextFileSync(`/proc/${name}/stat`).includes(") Z ");
        } catch {
          return false;
        }
      });
      deepEqual(left, []);
    },
  ));

Deno.test("runs wait for a free lane, and each lane has one at a time", () =>
  withLanes({ command: "cat {file}; pwd", count: 2 }, async (lanes) => {
    const runs = await Promise.all(Array.from({ length: 7 }, (_, at) => lanes.run(candidate(`${at}\n`), own)));
    deepEqual(runs.map(({ end }) => end.output.split("\n")[0]), ["0", "1", "2", "3", "4", "5", "6"]);
    equal(new Set(runs.map(({ folder }) => folder)).size, 2);
  }));

Deno.test("a run that is given up rejects with the reason, and frees its lane", () =>
  withLanes({ command: "cat {file}; sleep $(cat {file})" }, async (lanes) => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const given = lanes.run(candidate("100000"), { ...own, signal: stop.signal });
    const waiting = lanes.run(candidate("100000"), { ...own, signal: stop.signal });
    const next = lanes.run(candidate("0"), own);
    stop.abort(reason);
    await rejects(given, reason);
    await rejects(waiting, reason);
    equal((await next).end.output, "0");
  }));

Deno.test("a timeout is told as one", () =>
  withLanes({ command: ": {dir}; echo begun; sleep 100000" }, async (lanes) => {
    const { end } = await lanes.run(candidate(""), { ...own, timeoutMs: 300 });
    deepEqual([end.endedBy, end.exitCode], ["timeout", null]);
  }));

Deno.test("lanes that cannot run anything fail instead of answering", () =>
  withLanes({ cwd: "/no/such/folder" }, async (lanes) => {
    await rejects(lanes.run(candidate(""), { ...own, where: "keep" }), /the folder does not exist/);
  }));

Deno.test("opening lanes removes the folders of runs that are dead, and no others", () =>
  inTempDir(async (made) => {
    const dir = await Deno.realPath(made);
    const { success, pid } = await (async () => {
      const child = new Deno.Command("true").spawn();
      return { ...await child.status, pid: child.pid };
    })();
    ok(success);
    const folders = {
      dead: `gocore-minimize-${pid}-00000000`,
      unowned: `gocore-minimize-${pid}-11111111`,
      other: "other",
    };
    for (const name of Object.values(folders)) await Deno.mkdir(`${dir}/${name}/1`, { recursive: true });
    await Deno.writeTextFile(`${dir}/${folders.dead}/owner`, JSON.stringify({ pid }));
    const options = { command: "true", count: 1, cwd: dir, env: { TMPDIR: dir }, reducedVariables: new Set<string>() };
    const lanes = await OracleLanes.open({ ...options, sandbox: "off", readsOutput: false });
    const [mine] = namesIn(dir).filter((name) => name.startsWith(`gocore-minimize-${Deno.pid}-`));
    match(mine!, /^gocore-minimize-\d+-[0-9a-f]{8}$/);
    const second = await OracleLanes.open({ ...options, sandbox: "off", readsOutput: false });
    await second.close();
    deepEqual(namesIn(dir), [mine, folders.unowned, folders.other].sort());
    await lanes.close();
  }));
