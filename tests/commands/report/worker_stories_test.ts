/** What workers said and ran, off a log that may be long, damaged and full of secrets. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { readStories } from "../../../src/commands/report/worker_stories.ts";
import type { AgentEvent } from "../../../src/events/session_events.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const TIME = "2026-02-05T12:00:00.000Z";
let seq = 0;

function said(type: AgentEvent["type"], text: string, data?: Record<string, unknown>, worker = "w1"): string {
  const event = { type, agent: "codex", timestamp: TIME, payload: { text, data } };
  return `${JSON.stringify({ seq: seq++, time: TIME, type: "worker.event", data: { worker, offset: 0, event } })}\n`;
}

const command = (id: string, phase: string, more: Record<string, unknown> = {}) =>
  said("command", "make", { id, phase, command: "make", ...more });

async function read(log: string, redactor = new Redactor()) {
  let result: Awaited<ReturnType<typeof readStories>> | undefined;
  await inTempDir(async (dir) => {
    const path = join(dir, "events.jsonl");
    await Deno.writeTextFile(path, log);
    result = await readStories(path, { redactor, signal: new AbortController().signal });
  });
  return result!;
}

const step = { kind: "step", time: TIME, text: "", commands: [], output: "", exitCode: null } as const;

Deno.test("a command is one step, with what came of it once that is known", async () => {
  const { stories, problems } = await read(
    said("thought", "I look") +
      command("1", "started") + command("1", "ended", { output: "all\r\nwell", exit_code: 0 }) +
      command("2", "started") + said("message", "Still waiting") +
      said("file", "changed", undefined, "w2"),
  );
  deepEqual(problems, []);
  deepEqual(stories, [
    {
      worker: "w1",
      leftOut: 0,
      steps: [
        { ...step, who: "thought", text: "I look" },
        { ...step, who: "command", commands: ["make"], output: "all\r\nwell", exitCode: 0 },
        { ...step, who: "command", commands: ["make"] },
        { ...step, who: "message", text: "Still waiting" },
      ],
    },
    { worker: "w2", leftOut: 0, steps: [{ ...step, who: "file", text: "changed" }] },
  ]);
});

Deno.test("what is damaged in a log is told, and the rest is read", async () => {
  const { stories, problems } = await read(
    said("message", "one") + "{torn\n" + '{"type":"worker.event","data":null}\n' + "\xff\n" + said("message", "two") +
      '{"seq":9,"ti',
  );
  deepEqual(stories[0]?.steps.map(({ text }) => text), ["one", "two"]);
  deepEqual(problems, [
    "2 lines of its log could not be read",
    "This version does not understand 1 line of its log",
    "The last line of its log is torn: whoever wrote it was killed, or is writing it now",
  ]);
  deepEqual((await read("")).problems, ["Its log has no events"]);
});

Deno.test("a secret is masked before a text is cut, wherever the cut is", async () => {
  const secret = "hunter2-hunter2-hunter2";
  for (let before = 5300; before < 5340; before++) {
    const { stories } = await read(
      said("message", "x".repeat(before) + secret + "y".repeat(8000)),
      new Redactor([secret]),
    );
    ok(!stories[0]!.steps[0]!.text.includes("hunter"), `${before}`);
  }
});

Deno.test("of a long story the first and the last steps are kept, and of long texts both ends", async () => {
  const log = Array.from({ length: 700 }, (_, index) => said("message", `${index} ${"z".repeat(20_000)}`)).join("");
  const { stories: [story] } = await read(log);
  deepEqual([story?.steps.length, story?.leftOut], [600, 100]);
  const numbers = story!.steps.map(({ text }) => parseInt(text));
  deepEqual([numbers[0], numbers[99], numbers[100], numbers.at(-1)], [0, 99, 200, 699]);
  ok(story!.steps.every(({ text }) => text.length < 8100));
  ok(story!.steps[0]!.text.includes("\n… 12002 characters are left out …\n"));
});

Deno.test("all texts together are bounded", async () => {
  const log = Array.from({ length: 300 }, (_, index) => {
    const worker = `w${index}`;
    return Array.from({ length: 12 }, () => said("message", "z".repeat(9000), undefined, worker)).join("");
  }).join("");
  const { stories } = await read(log);
  equal(stories.length, 200);
  const characters = stories.flatMap(({ steps }) => steps).reduce((sum, { text }) => sum + text.length, 0);
  ok(characters < 17_000_000, `${characters}`);
});
