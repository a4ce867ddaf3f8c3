import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { ORCHESTRATOR_LOG, showSession } from "../../../src/commands/orchestrate/show_session.ts";
import { EventBus } from "../../../src/events/bus.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { emptySession, foldSession } from "../../../src/orchestrate/session.ts";
import { OutputPipe } from "../../../src/terminal/io.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";
import { finished, said, started, story, STORY_START_MS } from "../../terminal/session_story.ts";

function collectingPipe(name: string, { until = Promise.resolve() }: { until?: Promise<void> } = {}) {
  let text = "";
  const pipe = new OutputPipe(name, {
    async write(bytes) {
      await until;
      text += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  });
  return { pipe, read: async () => (await pipe.flush(10_000), text) };
}

type ShowOptions = Parameters<typeof showSession>[1]["options"];

/** A session whose progress goes to pipes, without a terminal. */
function open(folder: string, options: Partial<ShowOptions> & { until?: Promise<void>; stdout?: OutputPipe } = {}) {
  const state = emptySession();
  let nowMs = STORY_START_MS;
  const now = () => nowMs;
  const bus = new EventBus({ now, record: (event) => foldSession(state, event) });
  const stdout = collectingPipe("stdout", options);
  const stderr = collectingPipe("stderr", options);
  // Whoever runs the tests may do it at a terminal.
  const io = { env: { TERM: "dumb" }, stdout: options.stdout ?? stdout.pipe, stderr: stderr.pipe, now };
  const { json = false, logLevel = "info" } = options;
  const show = showSession(bus, { io, options: { json, logLevel }, state, folder });
  return {
    stdout,
    stderr,
    publish(fact: EventFact) {
      const published = bus.publish(fact);
      nowMs += 1000;
      return published;
    },
    close: () => show.close(),
    log: () => Deno.readTextFileSync(join(folder, ORCHESTRATOR_LOG)),
  };
}

const RESULT = `session:  orch_1
status:   done
summary:  done, and the check passes
branch:   gocore/orch_1/result
commit:   ${"c".repeat(40)}
applied:  yes
report:   /home/ada/my work/orch_1/final.md
cost:     0.1234 USD
time:     13 min
open:     Build it: finished with a warning
`;

Deno.test("showSession() without a terminal tells what matters on stderr, the result on stdout, and keeps a log", () =>
  inTempDir(async (folder) => {
    const session = open(folder);
    await session.publish(started);
    await session.publish(said("claude", "message", { text: "talk" }));
    await session.publish(said("claude", "milestone", { text: "half\nof it" }));
    equal(await session.stdout.read(), "");
    // Nobody waits for the last one.
    session.publish(finished);
    await session.close();
    const lines = `2026-11-21T20:00:00.000Z INFO coordinator: Session orch_1: Mend the date parser \\x1b[2J
2026-11-21T20:00:00.000Z INFO coordinator:   Target /home/ada/project
2026-11-21T20:00:00.000Z INFO coordinator:   Folder /home/ada/my work/orch_1
2026-11-21T20:00:02.000Z INFO claude: Milestone: half of it
2026-11-21T20:00:03.000Z INFO coordinator: Ended as done after 13 min, 0.1234 USD: done, and the check passes
2026-11-21T20:00:03.000Z INFO coordinator:   Open: Build it: finished with a warning
`;
    deepEqual([await session.stderr.read(), session.log(), await session.stdout.read()], [lines, lines, RESULT]);
    equal(Deno.lstatSync(join(folder, ORCHESTRATOR_LOG)).mode! & 0o777, 0o600);
  }));

Deno.test("showSession() with --json writes every event to stdout, and nothing else anywhere but to the log", () =>
  inTempDir(async (folder) => {
    const session = open(folder, { json: true });
    for (const fact of story) await session.publish(fact);
    await session.close();
    const lines = (await session.stdout.read()).split("\n");
    equal(lines.pop(), "");
    deepEqual(
      lines.map((line) => JSON.parse(line)),
      story.map(({ type, data }, seq) => ({
        type,
        data,
        timestamp: new Date(STORY_START_MS + seq * 1000).toISOString(),
      })),
    );
    equal(await session.stderr.read(), "");
    ok(session.log().endsWith("INFO coordinator:   Open: Build it: finished with a warning\n"));
  }));

Deno.test("showSession() shows what agents say, and logs every event, at the level of debugging", () =>
  inTempDir(async (folder) => {
    const session = open(folder, { logLevel: "debug" });
    await session.publish(said("claude", "message", { text: "talk" }));
    await session.publish(said("claude", "command", { text: "ls" }));
    await session.publish({
      type: "command.judged",
      data: { worker: "claude", command: "ls", verdict: "allow", rule: "default", reason: "harmless" },
    });
    await session.close();
    const talk = "2026-11-21T20:00:00.000Z DEBUG claude: talk\n2026-11-21T20:00:01.000Z DEBUG claude: $ ls\n";
    equal(await session.stderr.read(), talk);
    equal(
      session.log(),
      `${talk}2026-11-21T20:00:02.000Z DEBUG coordinator: command.judged {"worker":"claude","command":"ls",` +
        '"verdict":"allow","rule":"default","reason":"harmless"}\n',
    );
    equal(await session.stdout.read(), "");
  }));

Deno.test("orchestrator.log has what its level lets through, and goes on where a former supervisor stopped", () =>
  inTempDir(async (folder) => {
    Deno.writeTextFileSync(join(folder, ORCHESTRATOR_LOG), "before\n");
    const session = open(folder, { logLevel: "error" });
    for (const level of ["debug", "info", "warning", "error"] as const) {
      await session.publish({ type: "log", data: { level, content: `one ${level}` } });
    }
    await session.close();
    equal(session.log(), "before\n2026-11-21T20:00:03.000Z ERROR coordinator: one error\n");
    equal((await session.stderr.read()).split("\n").length - 1, 3);
  }));

Deno.test("showSession() never makes the session wait for a reader that takes nothing, and tells what is missing", () =>
  inTempDir(async (folder) => {
    const reader = Promise.withResolvers<void>();
    const session = open(folder, { until: reader.promise, logLevel: "error" });
    const text = "x".repeat(200);
    const count = 40_000;
    for (let i = 0; i < count; i++) await session.publish(said("claude", "milestone", { text }));
    reader.resolve();
    await session.close();
    const lines = (await session.stderr.read()).trimEnd().split("\n");
    const missing = /WARNING coordinator: (\d+) entries are left out here, because they were not read fast enough$/
      .exec(lines.at(-1)!)?.[1];
    equal(lines.length - 1 + Number(missing), count);
    ok(lines.join("\n").length < 6 * 1024 * 1024);
  }));

Deno.test("showSession() tells once that orchestrator.log cannot be opened, or be written to", async () => {
  await inTempDir(async (folder) => {
    const gone = join(folder, "gone");
    const session = open(gone);
    await session.publish(started);
    await session.close();
    const lines = (await session.stderr.read()).split("\n");
    equal(lines.length, 5);
    ok(lines[0]!.startsWith(`2026-11-21T20:00:00.000Z WARNING coordinator: Cannot write "${gone}/orchestrator.log": `));
    ok(lines[0]!.endsWith("; the session goes on without it"));
  });
  await inTempDir(async (folder) => {
    Deno.symlinkSync("/dev/full", join(folder, ORCHESTRATOR_LOG));
    const session = open(folder);
    const told = async () => (await session.stderr.read()).split("\n").filter((line) => line.includes("Cannot write"));
    await session.publish(started);
    while ((await told()).length === 0) await new Promise((resolve) => setTimeout(resolve));
    await session.publish(finished);
    await session.close();
    const [line = "", ...more] = await told();
    deepEqual(more, []);
    ok(
      /WARNING coordinator: Cannot write ".*orchestrator\.log": No space left.*; the session goes on/.test(line),
      line,
    );
  });
});

Deno.test("showSession() with --json tells once on stderr that nobody reads, and the session goes on", () =>
  inTempDir(async (folder) => {
    const stdout = new OutputPipe("stdout", { write: () => Promise.reject(new Deno.errors.BrokenPipe("gone")) });
    const session = open(folder, { json: true, stdout });
    await session.publish(started);
    while (await session.stderr.read() === "") await new Promise((resolve) => setTimeout(resolve));
    await session.publish(finished);
    await session.close();
    equal(
      await session.stderr.read(),
      "Note: Nobody reads stdout any more; the session goes on, and shows no more events\n",
    );
  }));

/** A real terminal of 70 columns and 24 rows with a shell in it; the shell's prompt is `READY `. */
async function inTerminal(work: (terminal: Terminal, folder: string) => Promise<void>): Promise<void> {
  await inTempDir(async (folder) => {
    // In the folder, because tmux leaves its socket where it was.
    const socket = join(folder, "tmux");
    const tmux = async (...args: string[]) => {
      const command = new Deno.Command("tmux", {
        args: ["-S", socket, "-f", "/dev/null", ...args],
        env: { NO_COLOR: "1", LC_ALL: "C.UTF-8", ENV: "", TMUX: "" },
      });
      const { code, stdout, stderr } = await command.output();
      ok(code === 0, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout);
    };
    const screen = async () => (await tmux("capture-pane", "-p", "-t", "t")).split("\n").map((line) => line.trimEnd());
    try {
      // Shells set their prompt themselves when they start.
      await tmux("new-session", "-d", "-s", "t", "-x", "70", "-y", "24", "PS1='READY ' sh");
      await work({
        tmux,
        run: (command) => tmux("send-keys", "-t", "t", "-l", `${command}\n`).then(() => {}),
        async until(claim) {
          for (let before = "";; await new Promise((resolve) => setTimeout(resolve, 20))) {
            const lines = await screen();
            // Twice the same: no frame is half drawn.
            if (lines.join("\n") === before && claim(lines)) return lines;
            before = lines.join("\n");
          }
        },
      }, folder);
    } finally {
      await tmux("kill-server");
    }
  });
}

interface Terminal {
  tmux(...args: string[]): Promise<string>;
  run(command: string): Promise<void>;
  /** The screen's lines, as soon as they are so. */
  until(claim: (lines: readonly string[]) => boolean): Promise<string[]>;
}

const REPLAY = new URL("replay_session.ts", import.meta.url).pathname;
const replay = (folder: string) => `clear; ${Deno.execPath()} run -A --no-check ${REPLAY} ${folder} > ${folder}/stdout`;
const textOf = (lines: readonly string[]) => lines.join("\n").trimEnd();
const hasBegun = (lines: readonly string[]) => lines.some((line) => line.startsWith("running  0:08  "));
const isBack = (lines: readonly string[]) => textOf(lines).endsWith("\nREADY");

Deno.test("In a terminal, the block is redrawn below the lines that stay, and nothing of it is left at the end", () =>
  inTerminal(async ({ tmux, run, until }, folder) => {
    const go = (part: string) => Deno.writeTextFileSync(join(folder, part), "");
    await run(replay(folder));
    go("beginning");
    const first = await until(hasBegun);
    const shown = [
      '   0:07 claude: Starts on "Build it"',
      "   0:08 claude: Works without a sandbox: there is no bubblewrap",
      "running  0:08  0.0000 USD of 5.00  tier 2 (acceptable)  0/2 tasks",
      "  gemini  architect  |",
      "  claude  implement  |",
    ];
    deepEqual(textOf(first).split("\n").slice(-5), shown);
    // Narrower than the lines: the terminal folds them.
    await tmux("resize-window", "-t", "t", "-x", "30", "-y", "24");
    const narrow = await until((lines) => lines.includes("running  0:08  0.0000 USD of…"));
    equal(narrow.filter((line) => line.startsWith("running ")).length, 1);
    await tmux("resize-window", "-t", "t", "-x", "120", "-y", "40");
    const wide = await until((lines) => lines.includes(shown[2]!));
    deepEqual(textOf(wide).split("\n").slice(-5), shown);
    go("middle");
    const second = await until((lines) => lines.some((line) => line.startsWith("needs input  0:32  ")));
    deepEqual(textOf(second).split("\n").slice(-4), [
      "   0:32 claude: Paused: q1",
      "needs input  0:32  at least 0.1200 USD of 5.00  tier 2 (acceptable)  1/2 tasks  q1",
      "  ? q1: How shall it go on? - src/date.ts:7 29 February",
      "  claude  implement  [#####.....]  50%  paused      no\\u202e network",
    ]);
    equal(second.filter((line) => line.includes(" USD of 5.00")).length, 1);
    go("ending");
    const last = await until(isBack);
    deepEqual(textOf(last).split("\n").slice(-4), [
      "          Hint: Look at it",
      "   0:41 coordinator: Ended as done after 13 min, 0.1234 USD: done, and the check passes",
      "          Open: Build it: finished with a warning",
      "READY",
    ]);
    deepEqual(last.filter((line) => line.includes(" USD of 5.00") || line.includes("|")), []);
    equal(Deno.readTextFileSync(join(folder, "stdout")), RESULT);
  }));

Deno.test("In a terminal, Ctrl-C leaves no block, and a kill leaves the prompt on a line of its own", () =>
  inTerminal(async ({ tmux, run, until }, folder) => {
    Deno.writeTextFileSync(join(folder, "beginning"), "");
    await run(replay(folder));
    await until(hasBegun);
    await tmux("send-keys", "-t", "t", "C-c");
    const interrupted = await until(isBack);
    deepEqual(textOf(interrupted).split("\n").slice(-3), [
      '   0:07 claude: Starts on "Build it"',
      "   0:08 claude: Works without a sandbox: there is no bubblewrap",
      "READY",
    ]);
    Deno.removeSync(join(folder, "beginning-published"));
    await run(replay(folder));
    const shown = await until((lines) => hasBegun(lines) && namesIn(folder).includes("beginning-published"));
    Deno.kill(Number(Deno.readTextFileSync(join(folder, "beginning-published"))), "SIGKILL");
    deepEqual(textOf(await until(isBack)), `${textOf(shown)}\nKilled\nREADY`);
  }));
