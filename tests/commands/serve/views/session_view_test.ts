import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { watchControls } from "../../../../src/commands/orchestrate/controls.ts";
import { readSession, SessionLog } from "../../../../src/commands/orchestrate/session_folder.ts";
import { openSessionView } from "../../../../src/commands/serve/views/session_view.ts";
import type { EventFact } from "../../../../src/events/event.ts";
import { Refused } from "../../../../src/http/ports.ts";
import { diff as diffSchema } from "../../../../src/http/schemas.ts";
import type { Control } from "../../../../src/orchestrate/ports.ts";
import { Redactor } from "../../../../src/safety/secrets.ts";
import { sampleFacts } from "../../../http/sample_session.ts";
import { type Scratch, withScratch } from "../../../git/scratch_repository.ts";
import { inTempDir, namesIn } from "../../../support/temp_dir.ts";
import { asked, finished, launched, started, status, writeSession } from "../../orchestrate/sessions.ts";

const env = { PATH: Deno.env.get("PATH")! };
const FACTS = [started(), status("running"), launched("claude"), asked("q1", "Which?")];
const control = (id: string): Control => ({
  id,
  command: "answer",
  worker: null,
  question: "q1",
  text: "UTC everywhere",
  by: "ann",
});
const refusal = (status: number, message: RegExp) => (error: unknown) =>
  error instanceof Refused && error.status === status && message.test(error.message);

/** Carries a session out, as far as controls go. */
async function supervise(folder: string): Promise<AsyncDisposable> {
  const log = await SessionLog.open(folder, { redactor: new Redactor(), now: Date.now, onFailure() {} });
  const watcher = watchControls(folder, {
    state: log.state,
    take({ id, ...told }) {
      log.publish({ type: "control.received", data: { control: id, ...told } });
    },
  });
  return {
    // deno-lint-ignore require-await
    async [Symbol.asyncDispose]() {
      watcher[Symbol.dispose]();
      log[Symbol.dispose]();
    },
  };
}

Deno.test("a session is shown as its log has it, and as it goes on", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(dir, "orch_1", sampleFacts);
    await using view = await openSessionView(folder, { env });
    deepEqual(view.state, (await readSession(folder)).state);
    equal(view.isSupervised(), false);
    await using _supervisor = await supervise(folder);
    equal(view.isSupervised(), true);
    const before = view.state.seq;
    await view.control(control("1700000000000-0a1b2c3d"));
    deepEqual(view.state, (await readSession(folder)).state);
    equal(view.state.seq, before + 1);
    equal(view.state.lastEventAt > "2025", true);
  });
});

Deno.test("a control reaches whoever carries the session out, under the id that its sender is told", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(dir, "orch_1", FACTS);
    await using view = await openSessionView(folder, { env });
    await using _supervisor = await supervise(folder);
    await view.control(control("1700000000000-0a1b2c3d"));
    deepEqual([...view.state.controls], ["1700000000000-0a1b2c3d"]);
    const told = (await Deno.readTextFile(join(folder, "events.jsonl"))).trimEnd().split("\n").at(-1)!;
    deepEqual(JSON.parse(told).data, {
      control: "1700000000000-0a1b2c3d",
      command: "answer",
      worker: null,
      question: "q1",
      text: "UTC everywhere",
      by: "ann",
    });
    deepEqual(namesIn(join(folder, "control")), []);
  });
});

Deno.test("without anybody who carries the session out, a control is refused, and none is left behind", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(dir, "orch_1", FACTS);
    await using view = await openSessionView(folder, { env });
    await rejects(
      view.control(control("1700000000000-0a1b2c3d")),
      refusal(409, /^Nobody carries the session out: go on with it by `gocore orchestrate --resume orch_1`$/),
    );
    deepEqual(namesIn(folder), ["events.jsonl"]);
  });
});

Deno.test("a session that has ended takes no control, also while its process still lives", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(dir, "orch_1", [...FACTS, finished("done")]);
    await using view = await openSessionView(folder, { env });
    await using _supervisor = await supervise(folder);
    await rejects(
      view.control(control("1700000000000-0a1b2c3d")),
      refusal(409, /^The session has ended already: done$/),
    );
    deepEqual(namesIn(join(folder, "control")), []);
  });
});

Deno.test("a control that is not taken in time stays for whoever carries the session out", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(dir, "orch_1", FACTS);
    await using view = await openSessionView(folder, { env });
    using _busy = await SessionLog.open(folder, { redactor: new Redactor(), now: Date.now, onFailure() {} });
    await view.control(control("1700000000000-0a1b2c3d"));
    deepEqual(namesIn(join(folder, "control")), ["1700000000000-0a1b2c3d.json"]);
  });
});

Deno.test("a control that nobody has taken when the session ends is taken back", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(dir, "orch_1", FACTS);
    await using view = await openSessionView(folder, { env });
    const busy = await SessionLog.open(folder, { redactor: new Redactor(), now: Date.now, onFailure() {} });
    const refused = rejects(view.control(control("1700000000000-0a1b2c3d")), refusal(409, /just ending/));
    busy[Symbol.dispose]();
    await refused;
    deepEqual(namesIn(join(folder, "control")), []);
  });
});

Deno.test("no id of a control leads to another file", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(dir, "orch_1", FACTS);
    await using view = await openSessionView(folder, { env });
    await using _supervisor = await supervise(folder);
    for (const id of ["../1-0a1b2c3d", "1-0a1b2c3d/x", "", "1-0a1b2c3d\n"]) {
      await rejects(view.control(control(id)), TypeError);
    }
    deepEqual(namesIn(folder).filter((name) => name !== "session.lock"), ["control", "events.jsonl"]);
  });
});

Deno.test("usage and timeline are those of the log", async () => {
  await inTempDir(async (dir) => {
    const folder = await writeSession(dir, "orch_1", sampleFacts);
    await using view = await openSessionView(folder, { env });
    const [time, worker] = ["2025-11-21T18:06:11.000Z", "codex"];
    deepEqual(await view.usage(), {
      points: [{
        time,
        worker,
        model: null,
        cost_usd: 0.25,
        unpriced_calls: 1,
        input_tokens: 1000,
        output_tokens: 50,
      }],
    });
    deepEqual((await view.timeline()).spans.map(({ state }) => state), ["starting", "running", "stalled"]);
    // Nobody carries it out.
    equal((await view.timeline()).spans.at(-1)!.to, view.state.lastEventAt);
  });
});

/** A session in the repository, with these workers' worktrees. */
async function withWorkers(
  { dir, root, git, repository }: Scratch,
  workers: Readonly<Record<string, string>>,
  work: (folder: string, worktree: (task: string) => string) => Promise<void>,
): Promise<void> {
  const base = await git("rev-parse", "HEAD");
  const worktree = (task: string) => join(dir, "trees", task);
  const facts: EventFact[] = [];
  for (const [name, task] of Object.entries(workers)) {
    const branch = `gocore/orch_1/${task}`;
    await repository.addWorktree({ path: worktree(task), branch, base });
    const fact = launched(name, { task });
    facts.push({ ...fact, data: { ...fact.data, workdir: worktree(task), branch } } as EventFact);
  }
  const start = started();
  const folder = await writeSession(join(dir, "sessions"), "orch_1", [
    { ...start, data: { ...start.data, target: root, base_commit: base } } as EventFact,
    ...facts,
  ]);
  await work(folder, worktree);
}

Deno.test("the diff has what workers have changed, committed or not, new files too, and from the branch when the worktree is gone", async () => {
  await withScratch(async (scratch) => {
    const { write, gitIn, git, env } = scratch;
    await withWorkers(scratch, { a: "one", b: "two", c: "three" }, async (folder, worktree) => {
      await write({ "a.txt": "1\n2\nthree\n4\n5\n", "new.txt": "new\n", "x.ignored": "no" }, worktree("one"));
      await write({ "b.txt": "b\n" }, worktree("two"));
      await gitIn(worktree("two"), "add", "-A");
      await gitIn(worktree("two"), "commit", "--quiet", "-m", "b");
      await git("worktree", "remove", worktree("two"));
      await using view = await openSessionView(folder, { env });
      const { base, workers } = diffSchema.parse(await view.diff(undefined));
      equal(base, await git("rev-parse", "HEAD"));
      deepEqual(workers.map(({ patch: _, ...rest }) => rest), [
        {
          worker: "a",
          task: "one",
          files: [{ path: "a.txt", added: 1, removed: 1 }, { path: "new.txt", added: 1, removed: 0 }],
          truncated: false,
          problem: null,
        },
        { worker: "b", task: "two", files: [{ path: "b.txt", added: 1, removed: 0 }], truncated: false, problem: null },
        { worker: "c", task: "three", files: [], truncated: false, problem: null },
      ]);
      ok(workers[0]!.patch.includes("\n-3\n+three\n"), workers[0]!.patch);
      ok(workers[0]!.patch.includes("+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n"), workers[0]!.patch);
      deepEqual((await view.diff("b")).workers, [workers[1]]);
      deepEqual((await view.diff("nobody")).workers, []);
      // Nothing was changed by looking.
      equal(await gitIn(worktree("one"), "status", "--porcelain"), " M a.txt\n?? new.txt");
    });
  });
});

Deno.test("a diff that cannot be had is told for that worker alone", async () => {
  await withScratch(async (scratch) => {
    await withWorkers(scratch, { a: "one", b: "two" }, async (folder, worktree) => {
      await scratch.git("worktree", "remove", worktree("one"));
      await scratch.git("branch", "--quiet", "-D", "gocore/orch_1/one");
      await using view = await openSessionView(folder, { env: scratch.env });
      const { workers } = await view.diff(undefined);
      ok(/found no "gocore\/orch_1\/one"/.test(workers[0]!.problem!), workers[0]!.problem!);
      equal(workers[1]!.problem, null);
      await Deno.remove(scratch.root, { recursive: true });
    });
  });
});

Deno.test("a long diff is cut at a line, and secrets in it are masked", async () => {
  await withScratch(async (scratch) => {
    const key = `sk-ant-${"a1".repeat(20)}`;
    await withWorkers(scratch, { a: "one" }, async (folder, worktree) => {
      const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} of a long file\n`);
      const content = `${key}\nhunter22-secret\n${lines.join("")}`;
      await scratch.write({ "long.txt": content }, worktree("one"));
      await using view = await openSessionView(folder, { env: { ...scratch.env, MY_TOKEN: "hunter22-secret" } });
      const { workers: [worker] } = await view.diff("a");
      const { patch, truncated, files } = worker!;
      deepEqual([truncated, files], [true, [{ path: "long.txt", added: 20_002, removed: 0 }]]);
      ok(patch.length <= 200 * 1024 && patch.length > 190 * 1024 && patch.endsWith("file\n"), `${patch.length}`);
      ok(patch.includes("\n+[redacted]\n+[redacted]\n+line 0 of"), patch.slice(0, 300));
    });
  });
});

Deno.test("no program that a repository or a worker names is run for a diff", async () => {
  await withScratch(async (scratch) => {
    const { root, dir, write, git } = scratch;
    const trap = join(dir, "trap");
    await write({ "trap.sh": `#!/bin/sh\ntouch ${trap}\ncat\n` }, dir);
    await Deno.chmod(join(dir, "trap.sh"), 0o755);
    const program = join(dir, "trap.sh");
    await withWorkers(scratch, { a: "one" }, async (folder, worktree) => {
      for (const key of ["diff.external", "core.fsmonitor", "core.pager", "diff.x.textconv", "diff.x.command"]) {
        await git("config", key, program);
      }
      for (const key of ["filter.x.clean", "filter.x.smudge"]) await git("config", key, program);
      await write({ "post-index-change": `#!/bin/sh\ntouch ${trap}\n` }, join(root, ".git/hooks"));
      await Deno.chmod(join(root, ".git/hooks/post-index-change"), 0o755);
      await write({ ".gitattributes": "* diff=x filter=x\n", "a.txt": "changed\n" }, worktree("one"));
      await using view = await openSessionView(folder, { env: scratch.env });
      const { workers: [worker] } = await view.diff("a");
      equal(worker!.problem, null);
      deepEqual(worker!.files.map(({ path }) => path), [".gitattributes", "a.txt"]);
      equal(namesIn(dir).includes("trap"), false);
    });
  });
});

Deno.test("who asks while a diff is made gets the same one, and git is not asked again", async () => {
  await withScratch(async (scratch) => {
    const { dir, write, env } = scratch;
    await withWorkers(scratch, { a: "one" }, async (folder, worktree) => {
      await write({ "b.txt": "b\n" }, worktree("one"));
      const calls = join(dir, "calls");
      await write({ "bin/git": `#!/bin/sh\necho call >>${calls}\nPATH=${env.PATH} exec git "$@"\n` }, dir);
      await Deno.chmod(join(dir, "bin/git"), 0o755);
      await using view = await openSessionView(folder, { env: { ...env, PATH: `${join(dir, "bin")}:${env.PATH}` } });
      await view.diff("a");
      await Deno.remove(calls);
      const [one] = (await view.diff("a")).workers;
      const { size } = await Deno.stat(calls);
      const diffs = await Promise.all(Array.from({ length: 50 }, () => view.diff("a")));
      for (const { workers } of diffs) deepEqual(workers, [one]);
      equal((await Deno.stat(calls)).size, 2 * size);
    });
  });
});

Deno.test("where all work in the target itself, there is one diff: the target's", async () => {
  await withScratch(async ({ root, dir, git, write, env }) => {
    const start = started();
    const data = { ...start.data, target: root, base_commit: await git("rev-parse", "HEAD"), shared: true };
    const facts = [{ ...start, data } as EventFact, launched("a"), launched("b")];
    const folder = await writeSession(dir, "orch_1", facts);
    await write({ "b.txt": "b\n" });
    await using view = await openSessionView(folder, { env });
    const namesOf = async (worker?: string) =>
      (await view.diff(worker)).workers.map(({ worker, files }) => [worker, ...files.map(({ path }) => path)]);
    deepEqual(await namesOf(), [["all workers", "b.txt"]]);
    deepEqual(await namesOf("b"), [["b", "b.txt"]]);
  });
});

Deno.test("a session without git, or without an event yet, has no diff", async () => {
  await inTempDir(async (dir) => {
    const start = started();
    const folder = await writeSession(dir, "orch_1", [
      { ...start, data: { ...start.data, base_commit: null } } as EventFact,
    ]);
    await using view = await openSessionView(folder, { env });
    deepEqual(await view.diff(undefined), { base: null, workers: [] });
    await using empty = await openSessionView(join(dir, "orch_2"), { env });
    deepEqual(await empty.diff(undefined), { base: null, workers: [] });
  });
});
