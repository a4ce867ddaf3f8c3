/** What a person sees of a worker. */
import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import type { EventFact, RunEvent } from "../../src/events/event.ts";
import type { AgentEvent } from "../../src/events/session_events.ts";
import { workerLines } from "../../src/terminal/worker_view.ts";

const TIME = "2026-02-05T12:30:01.234Z";
const AT = "2026-02-05T12:30:01Z";

const linesOf = ({ type, data }: EventFact) => workerLines({ seq: 1, time: TIME, type, data } as RunEvent);
const said = (type: AgentEvent["type"], text: string, data?: Record<string, unknown>): EventFact => ({
  type: "worker.event",
  data: { worker: "w1", offset: 1, event: { type, agent: "codex", timestamp: TIME, payload: { text, data } } },
});

Deno.test("a worker's events read as what it said, what it ran and how that ended", () => {
  const facts: EventFact[] = [
    said("message", "I look at it.\n\n  def mean():\n\tpass\n"),
    said("thought", "Maybe."),
    said("command", "pytest -x", { phase: "started", exit_code: null, output: "" }),
    said("command", "pytest -x", { phase: "ended", exit_code: 1, output: "F\n1 failed\n" }),
    said("command", "sleep 9", { phase: "ended", exit_code: null, output: "" }),
    said("denial", "may not write there"),
    { type: "worker.status", data: { worker: "w1", role: "TRIAGER", status: "running", reason: "" } },
    { type: "worker.status", data: { worker: "w1", role: "TRIAGER", status: "failed", reason: "auth: no key" } },
    { type: "worker.nudged", data: { worker: "w1", action: "nudged", reason: "silent for 45 s", text: "Go on" } },
    {
      type: "control.received",
      data: { control: "c", command: "send", worker: "w1", text: "Try 3.13", by: "ann", outcome: "told" },
    },
    {
      type: "worker.exited",
      data: {
        worker: "w1",
        attempt: 1,
        outcome: "failed",
        cause: "rate_limit",
        text: "Too many requests",
        exit_code: 1,
        signal: null,
        cli_session: null,
        tokens: null,
        reported_cost_usd: null,
        duration_seconds: 3,
        left_behind: 0,
      },
    },
    { type: "log", data: { level: "info", content: "of the run" } },
  ];
  deepEqual(facts.map((fact) => linesOf(fact)?.lines), [
    [`${AT} says     I look at it.`, "    def mean():", "    pass"],
    [`${AT} thinks   Maybe.`],
    [`${AT} runs     $ pytest -x`],
    [`${AT} ran      exit code 1: $ pytest -x`, "  F", "  1 failed"],
    [`${AT} ran      no exit code: $ sleep 9`],
    [`${AT} denial   may not write there`],
    undefined,
    [`${AT} failed   auth: no key`],
    [`${AT} nudged   silent for 45 s: Go on`],
    [`${AT} told     by ann: Try 3.13`],
    [`${AT} ends     failed (rate limit) after 3.0 s, exit code 1: Too many requests`],
    undefined,
  ]);
});

Deno.test("no text of a worker begins a line that looks like ours, or reaches the terminal as a command", () => {
  const text = fc.string({
    unit: fc.constantFrom("\n", "\r", "\x1b[2J", "\x9b", "\u202e", "\u2028", "2026", " ", "x"),
  });
  fc.assert(fc.property(text, text, (output, words) => {
    for (const fact of [said("message", words), said("command", words, { phase: "ended", exit_code: 0, output })]) {
      const { worker, lines } = linesOf(fact)!;
      deepEqual([worker, lines[0].slice(0, AT.length)], ["w1", AT]);
      for (const line of lines) {
        // deno-lint-ignore no-control-regex -- they are what may not be there
        ok(!/[\x00-\x1f\x7f-\x9f\u202e]/.test(line), JSON.stringify(line));
      }
      ok(lines.slice(1).every((line) => line.startsWith("  ")), JSON.stringify(lines));
    }
  }));
});
