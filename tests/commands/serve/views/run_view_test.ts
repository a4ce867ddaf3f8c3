import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { type RunControlsOptions, watchRunControls } from "../../../../src/commands/manager/controls.ts";
import { openRunLog, readRun } from "../../../../src/commands/manager/run_folder.ts";
import { runStatus } from "../../../../src/commands/manager/run_status.ts";
import { openRunView } from "../../../../src/commands/serve/views/run_view.ts";
import type { EventFact } from "../../../../src/events/event.ts";
import { Refused } from "../../../../src/http/ports.ts";
import { runRecord, runStatus as statusSchema, sourceLines } from "../../../../src/http/schemas.ts";
import { Redactor } from "../../../../src/safety/secrets.ts";
import { beginning, rest, SIGNATURE } from "../../../http/sample_run.ts";
import { withScratch } from "../../../git/scratch_repository.ts";
import { inTempDir, namesIn } from "../../../support/temp_dir.ts";
import { finished, started, worker, writeRun } from "../../manager/runs.ts";

const env = { PATH: Deno.env.get("PATH")!, MY_TOKEN: "hunter22-secret" };
const options = { env, now: () => Date.UTC(2026, 1, 5, 13) };
const refusal = (status: number, message: RegExp) => (error: unknown) =>
  error instanceof Refused && error.status === status && message.test(error.message);

async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) await Deno.writeTextFile(join(folder, path), content);
}

Deno.test("the record has what the events and the files say, and is none of what links lead to", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", [...beginning, ...rest]);
    const validation = { verdict: "reproduced", matches: 5, total_runs: 5, signature: SIGNATURE };
    await write(folder, {
      "decision.json": JSON.stringify({ status: "ok", repro: { validation }, note: "with hunter22-secret" }),
      "run_done.json": JSON.stringify({ run_id: "r1" }),
      "triage/hypotheses.json": JSON.stringify({ hypotheses: [{ hypothesis_id: "h7", mechanism: "hunter22-secret" }] }),
      "final.md": "# Reproduced\n",
      "repro/minimal_repro.py": "import pkg\n",
      "repro/verify.sh": "#!/bin/sh\n",
    });
    await using view = await openRunView(folder, options);
    const record = runRecord.parse(await view.record());
    deepEqual(
      [record.run_id, record.status, record.running, record.candidates.length, record.final],
      ["r1", "ok", false, 2, "# Reproduced\n"],
    );
    deepEqual(record.proof, {
      verdict: "reproduced",
      matches: 5,
      runs: 5,
      signature: SIGNATURE,
      reproducer: "repro/minimal_repro.py",
      verify: "repro/verify.sh",
      text: "import pkg\n",
    });
    equal(record.hypotheses[0]!.mechanism, "[redacted]");
    deepEqual([record.decision.note, record.run_done], ["with [redacted]", { run_id: "r1" }]);
    deepEqual(view.state, (await readRun(folder)).state);

    await Deno.writeTextFile(join(dir, "outside"), JSON.stringify({ stolen: true }));
    for (const name of ["decision.json", "final.md", "repro/minimal_repro.py"]) {
      await Deno.remove(join(folder, name));
      await Deno.symlink(join(dir, "outside"), join(folder, name));
    }
    const linked = await view.record();
    deepEqual([linked.decision, linked.final, linked.proof?.text], [{}, null, null]);
  });
});

Deno.test("files that are torn, far too long or no JSON are as if they were not there", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", beginning);
    await write(folder, {
      "decision.json": `{"status":`,
      "run_done.json": "[1]",
      "triage/hypotheses.json": "null",
      "final.md": "x".repeat(5 * 1024 * 1024),
    });
    await using view = await openRunView(folder, options);
    const { decision, run_done, hypotheses, final } = await view.record();
    deepEqual([decision, run_done, hypotheses, final], [{}, {}, [], null]);
  });
});

Deno.test("the status is the seed's, with secrets masked", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", [started(), worker("w1", "running"), finished("failed")]);
    await using view = await openRunView(folder, options);
    deepEqual(statusSchema.parse(await view.status(5)), await runStatus(folder, { lines: 5, env }));
    await write(folder, { "manager.log": "one\ntwo\nkey hunter22-secret\n" });
    const { manager } = statusSchema.parse(await view.status(2));
    equal(manager.pane_tail, "two\nkey [redacted]");
    await using empty = await openRunView(join(dir, "r2"), options);
    await rejects(empty.status(5), refusal(404, /^Cannot read /));
  });
});

Deno.test("files of the run are listed and read, with secrets masked", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", beginning);
    await write(folder, { "repro/minimal_repro.py": "token = 'hunter22-secret'\n" });
    await Deno.writeFile(join(folder, "repro/data.bin"), Uint8Array.from([0, 1, 2]));
    await Deno.writeFile(join(folder, "huge"), new Uint8Array(8 * 1024 * 1024 + 1));
    await using view = await openRunView(folder, options);
    const paths = (await view.files()).files.map(({ path }) => path);
    ok(paths.includes("repro/minimal_repro.py") && paths.includes("events.jsonl") && !paths.includes(".gitignore"));
    const { bytes, isText } = await view.file("repro/minimal_repro.py");
    deepEqual([new TextDecoder().decode(bytes), isText], ["token = '[redacted]'\n", true]);
    deepEqual(await view.file("repro/data.bin"), { bytes: Uint8Array.from([0, 1, 2]), isText: false });
    await rejects(view.file("../r1/events.jsonl"), refusal(404, /no file/));
    await rejects(view.file("huge"), refusal(413, /larger than 8 MiB/));
  });
});

Deno.test("lines of the repository are those of the run's commit, around the one that is asked for", async () => {
  await withScratch(async ({ dir, root, git, write: writeFiles, env: own }) => {
    const lines = Array.from({ length: 300 }, (_, i) => `line ${i + 1}`);
    lines[4] = "key = 'hunter22-secret'";
    lines[5] = "x".repeat(3000);
    await writeFiles({ "src/a b.py": lines.join("\n") + "\n", "bin.dat": "a\0b" });
    await git("add", "-A");
    await git("commit", "--quiet", "-m", "More");
    const commit = await git("rev-parse", "HEAD");
    await writeFiles({ "src/a b.py": "changed since\n" });
    const folder = await writeRun(dir, "r1", [started({ repo_path: root, commit })]);
    await using view = await openRunView(folder, { ...options, env: { ...own, MY_TOKEN: env.MY_TOKEN } });
    deepEqual(sourceLines.parse(await view.source("src/a b.py", { line: 9, context: 2 })), {
      file: "src/a b.py",
      commit,
      first_line: 7,
      lines: ["line 7", "line 8", "line 9", "line 10", "line 11"],
    });
    deepEqual((await view.source("src/a b.py", { line: 1, context: 1 })).lines, ["line 1", "line 2"]);
    deepEqual((await view.source("src/a b.py", { line: 300, context: 1 })).lines, ["line 299", "line 300"]);
    const { first_line, lines: many } = await view.source("src/a b.py", { line: 150, context: 10_000 });
    deepEqual([first_line, many.length], [51, 199]);
    const [masked, long] = (await view.source("src/a b.py", { line: 5, context: 1 })).lines.slice(1);
    deepEqual([masked, long!.length], ["key = '[redacted]'", 2000]);
    await rejects(view.source("src/a b.py", { line: 301, context: 1 }), refusal(404, /There is no line 301/));
    for (const file of ["none.py", "../repo/a.txt", "/etc/passwd", "src", "bin.dat", "", ".git/config", "a.txt\0"]) {
      await rejects(view.source(file, { line: 1, context: 1 }), refusal(404, /There is no text file/), file);
    }
  });
});

Deno.test("without its repository, and before its first event, a run has no lines", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", [started({ repo_path: join(dir, "gone") })]);
    await using view = await openRunView(folder, options);
    await rejects(view.source("a.py", { line: 1, context: 1 }), refusal(404, /^The run's repository cannot be read: /));
    await using empty = await openRunView(join(dir, "r2"), options);
    await rejects(empty.source("a.py", { line: 1, context: 1 }), refusal(404, /There is no text file/));
  });
});

/** Carries out the run in this process, as far as its controls go. */
async function carryOut(folder: string, { endsAs }: { endsAs: "stopped" | "ok" } = { endsAs: "stopped" }) {
  const log = await openRunLog(folder, { redactor: new Redactor(), now: Date.now, onFailure() {} });
  const told: string[] = [];
  const watched: RunControlsOptions = {
    state: log.state,
    publish: log.publish,
    supervisor: {
      running: () => ["w1"],
      send({ worker, text, by }) {
        told.push(`${by} to ${worker}: ${text}`);
        return `${worker} is told`;
      },
    },
    stop(reason) {
      told.push(reason);
      log.publish(finished(endsAs));
      queueMicrotask(dispose);
    },
  };
  const controls = watchRunControls(folder, watched);
  const dispose = () => {
    controls[Symbol.dispose]();
    log[Symbol.dispose]();
  };
  return { told, [Symbol.dispose]: dispose };
}

const FACTS: readonly EventFact[] = [started(), worker("w1", "running"), worker("w2", "finished")];

Deno.test("a text reaches the worker, or is refused with what stands against it", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", FACTS);
    await using view = await openRunView(folder, options);
    await rejects(view.send("w1", "x", "ann"), refusal(409, /^Nobody carries out r1 now: it was cut off$/));
    using run = await carryOut(folder);
    await view.send("w1", "Try 3.13", "ann");
    await view.send("manager", "hurry", "ann");
    deepEqual(run.told, ["ann to w1: Try 3.13", "ann to w1: hurry"]);
    await rejects(view.send("w9", "x", "ann"), refusal(404, /^There is no worker "w9"$/));
    await rejects(view.send("__proto__", "x", "ann"), refusal(404, /no worker/));
    await rejects(view.send("w2", "x", "ann"), refusal(409, /^w2 does not run any more: finished$/));
    await rejects(view.send("w1", " \n", "ann"), refusal(400, /text/));
    await rejects(view.send("w1", "x".repeat(20_000), "ann"), refusal(413, /16384/));
    deepEqual(namesIn(join(folder, "control")), []);
  });
});

Deno.test("a run that is carried out is stopped, by whom and why, and cannot be stopped again", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", FACTS);
    await using view = await openRunView(folder, options);
    using run = await carryOut(folder);
    await view.stop("ann", "it takes too long");
    deepEqual(run.told, ["stopped by ann: it takes too long"]);
    equal(view.state.finish?.status, "stopped");
    await rejects(view.stop("ann", ""), refusal(409, /^r1 has ended already: stopped$/));
    await rejects(view.send("w1", "x", "ann"), refusal(409, /^r1 has ended already: stopped$/));
  });
});

Deno.test("a run whose process was killed is brought to its end", async () => {
  await inTempDir(async (dir) => {
    const dead = new Deno.Command("true").spawn();
    await dead.status;
    const folder = await writeRun(dir, "r1", [started({ pid: dead.pid, repo_path: join(dir, "gone") })]);
    await using view = await openRunView(folder, { ...options, env: { ...env, TMPDIR: dir } });
    equal((await view.record()).status, "cut_off");
    await view.stop("ann", "");
    const { status, rationale, run_done } = await view.record();
    deepEqual([status, rationale, run_done.status], ["stopped", "stopped by ann", "stopped"]);
  });
});

Deno.test("a settings file that cannot be read does not keep a run from being stopped", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeRun(dir, "r1", FACTS);
    await Deno.writeTextFile(join(dir, "mminions.toml"), "= no toml");
    const broken = { ...env, MMINIONS_CONFIG: join(dir, "mminions.toml"), MMINIONS_RUNS_ROOT: "/nowhere" };
    await using view = await openRunView(folder, { ...options, env: broken });
    using run = await carryOut(folder);
    await view.stop("ann", "");
    deepEqual(run.told, ["stopped by ann"]);
  });
});
