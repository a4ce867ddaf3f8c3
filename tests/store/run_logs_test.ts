import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal, throws } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import { claimAbandonedRunLogs, readRunLog, RunLog } from "../../src/store/run_logs.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

const entriesOf = (path: string) => Array.fromAsync(readRunLog(path));
const withoutOwner = (entries: Record<string, unknown>[]) => entries.map(({ owner: _, ...rest }) => rest);
const claimedName = (runId: string, pid = Deno.pid) => `${runId}.claimed-${pid}.jsonl`;

const RUN_LOGS = new URL("../../src/store/run_logs.ts", import.meta.url).href;

/** Another process that does `work` with the exports of run_logs.ts and then waits to be killed. */
async function otherProcess(work: string, dir: string): Promise<{ pid: number; said: string; kill(): Promise<void> }> {
  const code = `const { RunLog, claimAbandonedRunLogs } = await import(${JSON.stringify(RUN_LOGS)});
    const dir = ${JSON.stringify(dir)};
    const say = (text) => Deno.stdout.writeSync(new TextEncoder().encode(text + "\\n"));
    ${work}
    await new Response(Deno.stdin.readable).text();`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "--no-lock", "--ext=ts", code],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return {
    pid: child.pid,
    said: new TextDecoder().decode(value).trim(),
    async kill() {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
      await child.stdin.abort();
    },
  };
}

/** The number of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = new Deno.Command("true").spawn();
  await child.status;
  return child.pid;
}

async function ownOwner(dir: string): Promise<Record<string, unknown>> {
  const log = RunLog.create(dir, "probe", {});
  const [header] = await entriesOf(log.path);
  log.remove();
  return header!.owner as Record<string, unknown>;
}

const writeLog = (path: string, owner: unknown) =>
  Deno.writeTextFile(path, JSON.stringify({ kind: "run", owner }) + "\n");

Deno.test("a run log is read back: the header with its owner, then the entries", () =>
  inTempDir(async (dir) => {
    using log = RunLog.create(`${dir}/data/runs`, "20261121T120000Z-7-ab12", { kind: "run", task: "täsk" });
    equal(log.path, `${dir}/data/runs/20261121T120000Z-7-ab12.jsonl`);
    for (let n = 0; n < 100; n++) log.append({ kind: "message", n, text: "x\n\ud800".repeat(n * 50) });
    const [header, ...entries] = await entriesOf(log.path);
    const { pid, start_ticks, boot_id, pid_namespace } = header!.owner as Record<string, unknown>;
    equal(pid, Deno.pid);
    ok((start_ticks as number) > 0);
    match(boot_id as string, /^[0-9a-f-]{36}$/);
    match(pid_namespace as string, /^pid:\[\d+\]$/);
    deepEqual(withoutOwner([header!]), [{ kind: "run", task: "täsk" }]);
    deepEqual(
      entries,
      Array.from({ length: 100 }, (_, n) => ({ kind: "message", n, text: "x\n\ufffd".repeat(n * 50) })),
    );
  }));

Deno.test("create() refuses a run that has a log, an id that is no file name, and a folder that is a link", () =>
  inTempDir(async (dir) => {
    using _log = RunLog.create(dir, "run", {});
    throws(() => RunLog.create(dir, "run", {}), Failure);
    for (const id of ["", "../x", "a/b", "a.claimed-1", "a\0"]) throws(() => RunLog.create(dir, id, {}), RangeError);
    await Deno.mkdir(`${dir}/elsewhere`);
    await Deno.symlink("elsewhere", `${dir}/link`);
    throws(() => RunLog.create(`${dir}/link`, "run", {}), Failure);
    deepEqual(namesIn(`${dir}/elsewhere`), []);
  }));

Deno.test("remove() deletes the log, and does not mind when it is gone", () =>
  inTempDir(async (dir) => {
    const log = RunLog.create(dir, "run", {});
    log.remove();
    deepEqual(namesIn(dir), []);
    log.remove();
    log.close();
    await rejects(entriesOf(log.path), Failure);
  }));

Deno.test("readRunLog() passes over a torn last line and lines that are no objects", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/run.jsonl`;
    await Deno.writeTextFile(path, '{"kind":"run"}\n{"n":1}\n\n{"n":2,"te\n[1]\n"x"\nnull\n{"n":3}\n{"n":4,"text":"to');
    deepEqual(await entriesOf(path), [{ kind: "run" }, { n: 1 }, { n: 3 }]);
    await Deno.writeTextFile(path, '{"kind":"run"}\n{"n":1}');
    deepEqual(await entriesOf(path), [{ kind: "run" }, { n: 1 }]);
    await Deno.writeTextFile(path, "");
    deepEqual(await entriesOf(path), []);
  }));

Deno.test("nothing is claimed where no folder is, from a link, or from living processes", () =>
  inTempDir(async (dir) => {
    deepEqual(await claimAbandonedRunLogs(`${dir}/missing`), []);
    using _own = RunLog.create(`${dir}/runs`, "own", {});
    const other = await otherProcess(`RunLog.create(dir, "other", {}); say("made");`, `${dir}/runs`);
    try {
      equal(other.said, "made");
      deepEqual(await claimAbandonedRunLogs(`${dir}/runs`), []);
      deepEqual(namesIn(`${dir}/runs`), ["other.jsonl", "own.jsonl"]);
    } finally {
      await other.kill();
    }
    await Deno.symlink("runs", `${dir}/link`);
    deepEqual(await claimAbandonedRunLogs(`${dir}/link`), []);
  }));

Deno.test("the log of a process that was killed with -9 is whole up to its last entry, and is claimed once", () =>
  inTempDir(async (dir) => {
    const other = await otherProcess(
      `const log = RunLog.create(dir, "killed", { kind: "run" });
       for (let n = 0; n < 50; n++) log.append({ n });
       say("written");`,
      dir,
    );
    equal(other.said, "written");
    await other.kill();
    const claims = await Promise.all([1, 2, 3, 4].map(() => claimAbandonedRunLogs(dir)));
    deepEqual(claims.flat(), [`${dir}/${claimedName("killed")}`]);
    deepEqual(namesIn(dir), [claimedName("killed")]);
    const entries = await entriesOf(claims.flat()[0]!);
    deepEqual(withoutOwner(entries), [{ kind: "run" }, ...Array.from({ length: 50 }, (_, n) => ({ n }))]);
    equal((entries[0]!.owner as { pid: number }).pid, other.pid);
    deepEqual(await claimAbandonedRunLogs(dir), [], "the claim holds while the claimer lives");
  }));

Deno.test("of several processes one gets an abandoned log, and when it is killed the log can be claimed again", () =>
  inTempDir(async (dir) => {
    const owner = { ...await ownOwner(dir), pid: await deadPid() };
    await writeLog(`${dir}/run.jsonl`, owner);
    const claim = `say(JSON.stringify(await claimAbandonedRunLogs(dir)));`;
    const others = await Promise.all([1, 2, 3].map(() => otherProcess(claim, dir)));
    try {
      const winners = others.filter(({ said }) => said !== "[]");
      equal(winners.length, 1);
      deepEqual(JSON.parse(winners[0]!.said), [`${dir}/${claimedName("run", winners[0]!.pid)}`]);
      deepEqual(await claimAbandonedRunLogs(dir), []);
      await winners[0]!.kill();
      others.splice(others.indexOf(winners[0]!), 1);
      deepEqual(await claimAbandonedRunLogs(dir), [`${dir}/${claimedName("run")}`]);
    } finally {
      await Promise.all(others.map((other) => other.kill()));
    }
  }));

Deno.test("an owner is dead when its number is free or has a new process, or the machine was started again", () =>
  inTempDir(async (dir) => {
    const own = await ownOwner(dir);
    await writeLog(`${dir}/gone.jsonl`, { ...own, pid: await deadPid() });
    await writeLog(`${dir}/recycled.jsonl`, { ...own, start_ticks: (own.start_ticks as number) - 1 });
    await writeLog(`${dir}/rebooted.jsonl`, { ...own, boot_id: "00000000-0000-0000-0000-000000000000" });
    await writeLog(`${dir}/alive.jsonl`, own);
    await writeLog(`${dir}/alive-elsewhere.jsonl`, { pid: Deno.pid });
    await writeLog(`${dir}/other-container.jsonl`, { ...own, pid: await deadPid(), pid_namespace: "pid:[1]" });
    deepEqual(
      await claimAbandonedRunLogs(dir),
      ["gone", "rebooted", "recycled"].map((runId) => `${dir}/${claimedName(runId)}`),
    );
  }));

Deno.test("a process that is dead but not yet collected by its parent is dead", () =>
  inTempDir(async (dir) => {
    // The shell becomes a program that collects no children; only then its child ends.
    const parent = new Deno.Command("bash", {
      args: ["-c", 'while [ "$(cat /proc/$$/comm)" = bash ]; do sleep 0.01; done & echo $!; exec cat'],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = parent.stdout.getReader();
    try {
      const pid = Number(new TextDecoder().decode((await reader.read()).value));
      const deadline = performance.now() + 60_000;
      let stat = "";
      while (!/\) Z /.test(stat) && performance.now() < deadline) {
        stat = await Deno.readTextFile(`/proc/${pid}/stat`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      match(stat, /\) Z /);
      const startTicks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
      await writeLog(`${dir}/zombie.jsonl`, { ...await ownOwner(dir), pid, start_ticks: startTicks });
      deepEqual(await claimAbandonedRunLogs(dir), [`${dir}/${claimedName("zombie")}`]);
    } finally {
      await parent.stdin.close();
      await parent.status;
      await reader.cancel();
    }
  }));

Deno.test("a claim ends when the claimer's number belongs to a process that started after it", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/${claimedName("run")}`;
    await writeLog(path, {});
    deepEqual(await claimAbandonedRunLogs(dir), []);
    const longAgo = new Date(Date.now() - 3600_000 * 24 * 365);
    await Deno.utime(path, longAgo, longAgo);
    deepEqual(await claimAbandonedRunLogs(dir), [path]);
    deepEqual(await claimAbandonedRunLogs(dir), []);
  }));

Deno.test("a log without a readable header is claimed after a day, not before; what is no log is left", () =>
  inTempDir(async (dir) => {
    const twoDaysAgo = new Date(Date.now() - 2 * 24 * 3600_000);
    for (
      const [name, text] of [["empty", ""], ["torn", '{"kind":"run","ow'], ["strange", '{"owner":{"pid":-1}}\n{}\n']]
    ) {
      for (const age of ["young", "old"]) {
        await Deno.writeTextFile(`${dir}/${name}-${age}.jsonl`, text!);
        if (age === "old") await Deno.utime(`${dir}/${name}-${age}.jsonl`, twoDaysAgo, twoDaysAgo);
      }
    }
    await Deno.writeTextFile(`${dir}/run.traj.json`, "{}");
    await Deno.symlink("run.traj.json", `${dir}/link.jsonl`);
    await Deno.mkdir(`${dir}/folder.jsonl`);
    deepEqual(
      await claimAbandonedRunLogs(dir),
      ["empty-old", "strange-old", "torn-old"].map((runId) => `${dir}/${claimedName(runId)}`),
    );
    deepEqual(namesIn(dir).filter((name) => !name.includes("claimed")), [
      "empty-young.jsonl",
      "folder.jsonl",
      "link.jsonl",
      "run.traj.json",
      "strange-young.jsonl",
      "torn-young.jsonl",
    ]);
  }));

Deno.test("an entry after one that could not be written is readable", () =>
  inTempDir(async (dir) => {
    // A limit on the size of files makes the kernel take a part of a line and refuse the rest.
    const code = `const { RunLog } = await import(${JSON.stringify(RUN_LOGS)});
      const log = RunLog.create(${JSON.stringify(dir)}, "limited", { kind: "run" });
      log.append({ n: 1 });
      let refused = "";
      try { log.append({ n: 2, text: "x".repeat(2_000_000) }); } catch (error) { refused = error.name + " " + error.kind; }
      Deno.truncateSync(log.path, Deno.statSync(log.path).size - 1000);
      log.append({ n: 3 });
      Deno.stdout.writeSync(new TextEncoder().encode(refused));`;
    const { stdout } = await new Deno.Command("bash", {
      args: [
        "-c",
        `trap '' XFSZ; ulimit -f 256; exec "$0" eval --no-config --no-lock --ext=ts "$1"`,
        Deno.execPath(),
        code,
      ],
      env: { DENO_NO_UPDATE_CHECK: "1" },
    }).output();
    equal(new TextDecoder().decode(stdout), "Failure environment");
    const entries = await entriesOf(`${dir}/limited.jsonl`);
    deepEqual(withoutOwner(entries), [{ kind: "run" }, { n: 1 }, { n: 3 }]);
  }));
