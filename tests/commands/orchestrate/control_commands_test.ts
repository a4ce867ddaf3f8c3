/** `gocore orchestrate pause|resume|stop|review|answer` against sessions that are supervised, and that are not. */
import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { type ControlFlags, readAnswer, sendControl } from "../../../src/commands/orchestrate/control_commands.ts";
import { watchControls } from "../../../src/commands/orchestrate/controls.ts";
import { SessionLog } from "../../../src/commands/orchestrate/session_folder.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { Failure, Interrupt } from "../../../src/failure.ts";
import type { Control } from "../../../src/orchestrate/ports.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";
import { asked, fakeIo, finished, launched, started, status, writeSession } from "./sessions.ts";

const workspaceOf = (cwd: string) => `${cwd}/.gocore/workspace`;
const session = (cwd: string, facts: EventFact[]) => writeSession(workspaceOf(cwd), "orch_1", [started(), ...facts]);

/** Supervises a session in this process; `react` gives what comes of each control besides its receipt. */
async function supervise(
  folder: string,
  react: (control: Control) => EventFact[],
): Promise<Disposable & { taken: Control[] }> {
  const log = await SessionLog.open(folder, { redactor: new Redactor(), now: () => 0, onFailure() {} });
  const taken: Control[] = [];
  const controls = watchControls(folder, {
    state: log.state,
    take(control) {
      taken.push(control);
      const { id, command, worker, text, by } = control;
      log.publish({ type: "control.received", data: { control: id, command, worker, text, by } });
      // Later, as a coordinator that has to stop processes first.
      queueMicrotask(() => react(control).forEach(log.publish));
    },
  });
  return {
    taken,
    [Symbol.dispose]() {
      controls[Symbol.dispose]();
      log[Symbol.dispose]();
    },
  };
}

/** Controls are taken in the order of their times. */
let nowMs = 0;

async function send(
  command: Control["command"],
  cwd: string,
  flags: Partial<ControlFlags> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { io, stdout, stderr } = fakeIo(cwd, { env: { USER: "ivg" }, nowMs: nowMs++ });
  const code = await sendControl(command, { session: "last", ...flags }, io);
  return { code, stdout: stdout(), stderr: stderr() };
}

async function refusal(command: Control["command"], cwd: string, flags: Partial<ControlFlags> = {}): Promise<string> {
  let text = "";
  await rejects(send(command, cwd, flags), (error) => {
    ok(error instanceof Failure, Deno.inspect(error));
    equal(error.kind, "usage");
    text = [error.message, ...error.hints].join("\n");
    return true;
  });
  return text;
}

const answered = (question: string, answer: string): EventFact => ({
  type: "question.answered",
  data: { question, answer, by: "ivg" },
});

Deno.test("a control reaches the supervisor, and what is now is told", async () => {
  await inTempDir(async (cwd) => {
    const folder = await session(cwd, [launched("claude"), status("running")]);
    using supervisor = await supervise(folder, ({ command, worker }) => {
      switch (command) {
        case "pause":
          return [status("paused", "held by ivg")];
        case "resume":
          return [status("running")];
        case "review":
          return [{
            type: "review.requested",
            data: {
              review: "r1",
              trigger: "manual",
              worker: worker!,
              task: null,
              reason: "",
              reviewers: ["codex"],
              commit: null,
              revision: 1,
            },
          }];
        default:
          return [];
      }
    });
    deepEqual(await send("pause", cwd, { text: "lunch" }), {
      code: 0,
      stdout: "",
      stderr: "orch_1: paused (held by ivg)\n",
    });
    deepEqual(await send("resume", cwd, { session: "orch_1" }), { code: 0, stdout: "", stderr: "orch_1: running\n" });
    deepEqual(await send("review", cwd, { worker: "claude" }), {
      code: 0,
      stdout: "",
      stderr: "Review r1 of claude has begun\n",
    });
    deepEqual(await send("stop", cwd), {
      code: 0,
      stdout: "",
      stderr: "orch_1 ends now, and keeps the work of its agents\n",
    });
    deepEqual(supervisor.taken.map(({ id: _, ...control }) => control), [
      { command: "pause", worker: null, question: null, text: "lunch", by: "ivg" },
      { command: "resume", worker: null, question: null, text: "", by: "ivg" },
      { command: "review", worker: "claude", question: null, text: "", by: "ivg" },
      { command: "stop", worker: null, question: null, text: "", by: "ivg" },
    ]);
    deepEqual(namesIn(`${folder}/control`), []);
  });
});

Deno.test("an answer goes to the oldest open question, or to the one that is named", async () => {
  await inTempDir(async (cwd) => {
    const facts = [asked("q1", "Which zone?"), asked("q2", "Which\nname?"), status("needs_input", "Which zone?")];
    const folder = await session(cwd, facts);
    using supervisor = await supervise(folder, ({ question, text }) => [
      answered(question!, text),
      ...(question === "q1" ? [status("running")] : []),
    ]);
    const second = await send("answer", cwd, { text: "Foo", question: "q2" });
    deepEqual([second.code, second.stderr], [
      0,
      "q2 is answered. orch_1: needs input (Which zone?); still open: q1\n",
    ]);
    const first = await send("answer", cwd, { text: "UTC\nalways" });
    deepEqual([first.code, first.stderr], [0, "q1 is answered. orch_1: running\n"]);
    deepEqual(supervisor.taken.map(({ question, text }) => [question, text]), [["q2", "Foo"], ["q1", "UTC\nalways"]]);
  });
});

Deno.test("what nobody supervises takes it when it is resumed, and the command for that is told", async () => {
  await inTempDir(async (cwd) => {
    const folder = await session(cwd, [asked("q1", "Which zone?"), finished("needs_input")]);
    const resuming =
      "Nobody supervises orch_1 now. It will take this when it is resumed: gocore orchestrate --resume orch_1";
    deepEqual(await send("answer", cwd, { text: "UTC" }), { code: 0, stdout: "", stderr: `${resuming}\n` });
    const ended = "orch_1 has ended already: needs input\n";
    deepEqual(await send("stop", cwd), { code: 1, stdout: "", stderr: ended });
    deepEqual(await send("review", cwd), { code: 1, stdout: "", stderr: `${resuming}\n` });
    const named = await send("pause", "/elsewhere", { workspace: `${cwd}/.gocore/workspace` });
    deepEqual([named.code, named.stderr], [1, `${resuming} --workspace ${cwd}/.gocore/workspace\n`]);
    deepEqual(await send("resume", cwd), {
      code: 1,
      stdout: "",
      stderr: "Nobody supervises orch_1 now. Go on with it: gocore orchestrate --resume orch_1\n",
    });
    equal(namesIn(`${folder}/control`).length, 3);
    using supervisor = await supervise(folder, () => []);
    deepEqual(supervisor.taken.map(({ command, question }) => [command, question]), [
      ["answer", "q1"],
      ["review", null],
      ["pause", null],
    ]);
  });
});

Deno.test("a workspace whose name a shell would read otherwise is quoted", async () => {
  await inTempDir(async (cwd) => {
    await writeSession(`${cwd}/it's $HOME`, "orch_1", [started(), status("running")]);
    const { stderr } = await send("pause", cwd, { workspace: "it's $HOME" });
    match(stderr, /--resume orch_1 --workspace '\/.*\/it'\\''s \$HOME'\n$/);
  });
});

Deno.test("what makes no sense is refused before anything is put", async () => {
  await inTempDir(async (cwd) => {
    const folder = await session(cwd, [
      launched("claude"),
      asked("q1", "Which?"),
      answered("q1", "That"),
      asked("q2", "?"),
    ]);
    equal(
      await refusal("answer", cwd, { text: " \n" }),
      "Which answer? An empty one was given\n" +
        'Write it in quotes: `gocore orchestrate answer "Use UTC everywhere"`',
    );
    equal(
      await refusal("answer", cwd, { text: "x", question: "q1" }),
      'Cannot find the open question "q1"\nDid you mean q2?',
    );
    equal(
      await refusal("answer", cwd, { text: "x".repeat(40_000) }),
      'Cannot answer "orch_1": need at most 32768 ' +
        "characters, found 40000\nPut the rest into a file of the target, and name it",
    );
    equal(await refusal("review", cwd, { worker: "claud" }), 'Cannot find the worker "claud"\nDid you mean claude?');
    equal(await refusal("review", cwd, { worker: "zoe" }), 'Cannot find the worker "zoe"\nThere are claude');
    equal(
      await refusal("stop", cwd, { session: "orch_2" }),
      `Cannot find the session "orch_2" in "${workspaceOf(cwd)}"\n` +
        "There are orch_1; see `gocore orchestrate list`",
    );
    deepEqual(namesIn(folder), ["events.jsonl"]);
    await session(cwd, [finished("done")]);
    equal(await refusal("pause", cwd), 'Cannot pause "orch_1": it is done\nSee `gocore orchestrate show orch_1`');
    await session(cwd, [status("running")]);
    equal(
      await refusal("answer", cwd, { text: "x" }),
      'Cannot answer "orch_1": it asks nothing\n' +
        "See `gocore orchestrate show orch_1`",
    );
    deepEqual(namesIn(folder), ["events.jsonl"]);
  });
});

Deno.test("a signal ends the waiting for a supervisor that does not react", async () => {
  await inTempDir(async (cwd) => {
    const folder = await session(cwd, [status("running")]);
    using _ = await SessionLog.open(folder, { redactor: new Redactor(), now: () => 0, onFailure() {} });
    const interrupt = new AbortController();
    const { io, stderr } = fakeIo(cwd, { signal: interrupt.signal });
    const sent = sendControl("pause", { session: "last" }, io);
    while (namesIn(folder).length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    interrupt.abort(new Interrupt("SIGINT"));
    await rejects(sent, Interrupt);
    equal(stderr(), "");
    equal(namesIn(`${folder}/control`).length, 1, "it can still be taken");
  });
});

Deno.test("a hostile name from the log reaches the terminal escaped", async () => {
  await inTempDir(async (cwd) => {
    const folder = await session(cwd, [status("running")]);
    using _ = await supervise(folder, () => [status("paused", "\x1b[2J\u202e held")]);
    const { stderr } = await send("pause", cwd);
    equal(stderr, "orch_1: paused (\\x1b[2J\\u202e held)\n");
  });
});

Deno.test("answer takes a text alone, or a session and a text", async () => {
  await inTempDir(async (cwd) => {
    await session(cwd, [asked("q1", "Which?")]);
    const { io } = fakeIo(cwd);
    const answer = (...words: string[]) => readAnswer(words, { flags: {}, io });
    deepEqual(await answer("Use UTC"), { session: "last", text: "Use UTC" });
    deepEqual(await answer("orch_9", "Use UTC"), { session: "orch_9", text: "Use UTC" });
    for (const word of ["orch_1", "last"]) {
      await rejects(answer(word), (error) => {
        ok(error instanceof Failure);
        equal(error.message, `Which answer? Only the session "${word}" was given`);
        return true;
      });
    }
  });
});
