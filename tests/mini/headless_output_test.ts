import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import type { RunEvent } from "../../src/events/event.ts";
import { HeadlessOutput } from "../../src/mini/headless_output.ts";
import { Redactor } from "../../src/safety/secrets.ts";
import { stepData } from "../support/step_data.ts";

function outputWith(options: { includeTimestamps?: boolean; maxOutputLength?: number } = {}) {
  const lines: string[] = [];
  const output = new HeadlessOutput({
    write(line) {
      lines.push(line);
      return Promise.resolve();
    },
    redactor: new Redactor(["hunter2-secret"]),
    includeTimestamps: true,
    maxOutputLength: 0,
    ...options,
  });
  return { output, lines };
}

const stepEvent = (output: string): RunEvent => ({
  seq: 1,
  time: "2026-11-21T00:00:00.000Z",
  type: "step",
  data: stepData({ output }),
});

const log = (content: string): RunEvent => ({
  seq: 0,
  time: "2026-11-21T00:00:00.000Z",
  type: "log",
  data: { level: "info", content },
});

Deno.test("HeadlessOutput writes one line of type, data and timestamp per event", async () => {
  const { output, lines } = outputWith();
  await output.show(log("a\nb\u2028c"));
  equal(lines.length, 1);
  deepEqual(lines[0]!.split("\n").length, 2);
  deepEqual(JSON.parse(lines[0]!), {
    type: "log",
    data: { level: "info", content: "a\nb\u2028c" },
    timestamp: "2026-11-21T00:00:00.000Z",
  });
});

Deno.test("HeadlessOutput leaves timestamps out on request, and secrets always", async () => {
  const { output, lines } = outputWith();
  output.configure({ includeTimestamps: false });
  await output.show(log("the key is hunter2-secret"));
  deepEqual(JSON.parse(lines[0]!), { type: "log", data: { level: "info", content: "the key is [redacted]" } });
});

Deno.test("HeadlessOutput keeps head and tail of a long output and counts what it left out, by character", async () => {
  const { output, lines } = outputWith({ maxOutputLength: 10 });
  await output.show(stepEvent("a".repeat(5) + "😀".repeat(7) + "b".repeat(5)));
  const { data } = JSON.parse(lines[0]!);
  equal(data.elided_chars, 7);
  match(data.output, /^a{5}\n.*7 characters.*\nb{5}$/);
  ok(!data.output.includes("😀"));
});

Deno.test("HeadlessOutput leaves out a secret that the cut of a long output goes through", async () => {
  const { output, lines } = outputWith({ maxOutputLength: 10 });
  await output.show(stepEvent(`hunter2-secret${"x".repeat(20)}hunter2-secret`));
  match(JSON.parse(lines[0]!).data.output, /^\[reda\n.*\ncted\]$/);
});

Deno.test("HeadlessOutput shows an output of exactly the limit whole, counted by character", async () => {
  const { output, lines } = outputWith({ maxOutputLength: 4 });
  await output.show(stepEvent("😀😀😀😀"));
  const { data } = JSON.parse(lines[0]!);
  deepEqual([data.output, data.elided_chars], ["😀😀😀😀", 0]);
});

Deno.test("HeadlessOutput tells a judged command as a log line: stdout has no other types than the seven", async () => {
  const { output, lines } = outputWith({ includeTimestamps: false });
  const judged = { worker: "mini", command: "rm -rf /", rule: "delete-root", reason: "Deletes it" };
  for (const [verdict, refused] of [["block", true], ["block", false], ["confirm", false]] as const) {
    const data = { ...judged, verdict, refused };
    await output.show({ seq: 0, time: "2026-11-21T00:00:00.000Z", type: "command.judged", data });
  }
  const line = (content: string, verdict: string) => ({
    type: "log",
    data: { level: "warning", content, verdict, rule: "delete-root" },
  });
  deepEqual(lines.map((text) => JSON.parse(text)), [
    line("A command was not run: Deletes it", "block"),
    line("A command runs although the command policy forbids it: Deletes it", "block"),
    line("A command runs: Deletes it", "confirm"),
  ]);
});
