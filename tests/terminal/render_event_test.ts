import { ok, strictEqual as equal } from "node:assert/strict";
import type { EventFact } from "../../src/events/event.ts";
import { renderEvent } from "../../src/terminal/render_event.ts";
import { stepData } from "../support/step_data.ts";

const step = (output: string, more: Parameters<typeof stepData>[0] = {}) => ({
  type: "step" as const,
  data: stepData({ action: "printf x\nls", output, ...more }),
});

Deno.test("renderEvent() shows a command, its output and how it ended", () => {
  equal(renderEvent(step("a\nb\n"), { colour: false }), "\n$ printf x\n  ls\n  a\n  b\n");
  equal(renderEvent(step("", { exit_code: 3 }), { colour: false }), "\n$ printf x\n  ls\n  exit code 3\n");
  equal(
    renderEvent(step("", { exit_code: -1, exception_info: "No such shell" }), { colour: false }),
    "\n$ printf x\n  ls\n  No such shell\n",
  );
  equal(
    renderEvent(step("1\n2\n3", {}), { colour: false, maxOutputLines: 2 }),
    "\n$ printf x\n  ls\n  1\n  2\n  … 1 more lines\n",
  );
});

Deno.test("renderEvent() lets no escape sequence of a command or a model through", () => {
  for (
    const event of [step("\x1b[2J\x1b]0;title\x07"), {
      type: "thought" as const,
      data: { step: 1, content: "\x1b[31m", source: "reply" as const },
    }]
  ) {
    ok(!renderEvent(event, { colour: false }).includes("\x1b"));
  }
});

const call = {
  call: "call-1",
  run: "nightly",
  worker: "claude",
  key: null,
  upstream: "anthropic",
  dialect: "anthropic",
  streamed: true,
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": "anthropic",
  "gen_ai.request.model": "claude-sonnet-4-5",
} as const;

const answered = (more: Partial<Extract<EventFact, { type: "model.answered" }>["data"]> = {}): EventFact => ({
  type: "model.answered",
  data: {
    ...call,
    outcome: "answered",
    status: 200,
    attempts: 1,
    cost_usd: 0.0345,
    cost_source: "list",
    usage_source: "provider",
    duration_ms: 3240,
    first_byte_ms: 410,
    overhead_ms: 0.4,
    "gen_ai.response.finish_reasons": ["end_turn"],
    "gen_ai.usage.input_tokens": 12_000,
    "gen_ai.usage.output_tokens": 340,
    "gen_ai.usage.cache_read.input_tokens": 11_000,
    "gen_ai.usage.cache_creation.input_tokens": 0,
    "gen_ai.usage.reasoning.output_tokens": 0,
    ...more,
  },
});

Deno.test("renderEvent() shows each event of the gateway in a line", () => {
  const listening = {
    url: "http://127.0.0.1:8045",
    pid: 1,
    version: "1",
    ledger: "/l.db",
    source: "upstreams",
  } as const;
  const waiting = { ...call, wait_ms: null, ahead: 0 };
  const refused = { ...call, scope: "worker", scope_id: "nightly/claude", cap_usd: 5, spent_usd: 4.98 } as const;
  const asked = "nightly/claude  claude-sonnet-4-5";
  const cases: [event: EventFact, line: string][] = [
    [
      { type: "gateway.listening", data: { ...listening, caps: { run: 5, worker: null, key: null, day: 20 } } },
      "Answers from upstreams at http://127.0.0.1:8045, accounts in /l.db, caps: run 5.0000 USD, day 20.0000 USD",
    ],
    [
      { type: "gateway.listening", data: { ...listening, caps: { run: null, worker: null, key: null, day: null } } },
      "Answers from upstreams at http://127.0.0.1:8045, accounts in /l.db, no caps",
    ],
    [
      { type: "model.called", data: { ...call, attempt: 1, reserved_usd: 0.25 } },
      `-> ${asked}  asks anthropic, at most 0.2500 USD`,
    ],
    [
      { type: "model.called", data: { ...call, attempt: 2, reserved_usd: null } },
      `-> ${asked}  asks anthropic, price unknown, attempt 2`,
    ],
    [answered(), `<- ${asked}  12000 + 340 tokens, 0.0345 USD, 3.2 s`],
    [
      answered({ outcome: "client_gone", cost_usd: 0.000012, cost_source: "estimated" }),
      `<- ${asked}  client gone, 12000 + 340 tokens, 0.000012 USD (estimated), 3.2 s`,
    ],
    [
      answered({
        outcome: "refused",
        status: 429,
        "error.type": "rate_limit_error",
        cost_usd: null,
        cost_source: "unknown",
        usage_source: "absent",
      }),
      `<- ${asked}  refused, HTTP 429, rate_limit_error, tokens unknown, cost unknown, 3.2 s`,
    ],
    [
      { type: "budget.refused", data: { ...refused, reserved_usd: 0.01, needed_usd: 0.2 } },
      `!! ${asked}  refused: the cap of worker nightly/claude is 5.0000 USD, 4.9800 USD spent, ` +
      "0.0100 USD held back, 0.2000 USD may be needed",
    ],
    [
      { type: "budget.refused", data: { ...refused, reserved_usd: 0, needed_usd: null } },
      `!! ${asked}  refused: the cap of worker nightly/claude is 5.0000 USD, 4.9800 USD spent, ` +
      "0.0000 USD held back, and the price is unknown",
    ],
    [
      { type: "rate.waiting", data: { ...waiting, reason: "requests", wait_ms: 12_300, ahead: 3 } },
      `.. ${asked}  waits 12.3 s for the limit of requests at anthropic, 3 before it`,
    ],
    [
      { type: "rate.waiting", data: { ...waiting, reason: "budget" } },
      `.. ${asked}  waits for budget that other calls hold back at anthropic`,
    ],
  ];
  for (const [event, line] of cases) equal(renderEvent(event, { colour: false }), `${line}\n`);
});

Deno.test("renderEvent() lets no name forge a second line", () => {
  const forged = answered({ "error.type": "x\n<- other/worker\r\u2028\x1b[2K", outcome: "cut" });
  const line = renderEvent(forged, { colour: false });
  equal(line.split(/[\r\n\u2028]/).length, 2);
  ok(!line.includes("\x1b"));
});
