import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { type AgentLine, splitAgentLines } from "../../src/workers/agent_lines.ts";
import { agentEvent } from "../../src/events/session_events.ts";

const line = (type: AgentLine["type"], payload: AgentLine["payload"], timestamp: string | null = null): AgentLine => {
  return { type, timestamp, payload };
};
/** The seed's "Event Format", verbatim. */
const SEED = `{
  "type": "progress",
  "agent": "gemini",
  "timestamp": "2025-11-21T18:00:00Z",
  "payload": {
    "text": "Analyzing codebase structure...",
    "progress": 45,
    "file": "/path/to/file.py"
  }
}`;
const SEED_EVENT = line(
  "progress",
  { text: "Analyzing codebase structure...", progress: 45, file: "/path/to/file.py" },
  "2025-11-21T18:00:00.000Z",
);

Deno.test("the seed's event is taken out, wherever in a message it stands on lines of its own", () => {
  const flat = JSON.stringify(JSON.parse(SEED));
  const cases: [string, string][] = [
    [SEED, ""],
    [flat, ""],
    [`I begin.\n${SEED}\nI go on.`, "I begin.\nI go on."],
    ["I begin.\n\n```json\n" + SEED + "\n```\n\nI go on.", "I begin.\n\n\nI go on."],
    ["> ~~~\n> " + flat + "\n> ~~~", ""],
    [`- \`${flat}\``, ""],
    [`\r\n${flat}\r\nEnd`, "End"],
    ["```ts\ncode();\n" + flat + "\n```", "```ts\ncode();\n```"],
    ["```\na\n```\n" + flat + "\n```\nb\n```", "```\na\n```\n```\nb\n```"],
  ];
  for (const [text, rest] of cases) deepEqual(splitAgentLines(text), { events: [SEED_EVENT], rest });
});

Deno.test("several events of a message keep their order, also on one line", () => {
  const text = '{"type":"task","text":"a"} {"type":"blocker","text":"b"}\n{"type":"milestone","text":"c"} and on';
  deepEqual(splitAgentLines(text), {
    events: [line("task", { text: "a" }), line("blocker", { text: "b" }), line("milestone", { text: "c" })],
    rest: "and on",
  });
});

Deno.test("what is missing or of another type is passed over, and what the format does not know is kept in `data`", () => {
  const cases: [string, AgentLine][] = [
    ['{"type":"milestone"}', line("milestone", { text: "" })],
    ['{"type":"MILESTONE","payload":"half"}', line("milestone", { text: "half" })],
    ['{"type":"finding","text":"here","file":"a.ts"}', line("finding", { text: "here", file: "a.ts" })],
    ['{"type":"error","payload":{"message":"no"}}', line("error", { text: "no" })],
    ['{"type":"progress","payload":{"progress":"45%"}}', line("progress", { text: "", progress: 45 })],
    ['{"type":"progress","payload":{"text":1,"progress":400,"file":2}}', line("progress", { text: "", progress: 100 })],
    [
      '{"type":"status","timestamp":"yesterday","payload":{"text":"x","request_review":true,"data":{"n":1}}}',
      line("status", { text: "x", data: { request_review: true, n: 1 } }),
    ],
    ['{"type":"status","payload":{"text":"x","data":[1]}}', line("status", { text: "x", data: { data: [1] } })],
    ['{"type":"status","payload":{"text":"{\\"}"}}', line("status", { text: '{"}' })],
    [
      '{"type":"review","timestamp":"2026-01-02 03:04:05","payload":{"text":"x"}}',
      line("review", { text: "x" }, "2026-01-02T03:04:05.000Z"),
    ],
    [
      '{"type":"status","payload":{"text":"x","__proto__":{"a":1}}}',
      line("status", { text: "x" }),
    ],
  ];
  for (const [text, event] of cases) deepEqual(splitAgentLines(text), { events: [event], rest: "" });
});

Deno.test("a message without events stays as it is", () => {
  const messages = [
    "  Nothing\n\n  to see \n",
    'In the middle {"type":"milestone","text":"x"}',
    '{"type":"of.tomorrow","payload":{"text":"x"}}',
    '{"type":"error","code":400,"reason":"an answer of some service"}',
    '{"verdict":"approved","summary":"fine","issues":[]}',
    '```json\n{"type":"milestone","text":"x"\n```',
    '[{"type":"milestone","text":"x"}]',
    '{"type":"milestone","text":"' + "x".repeat(20_000) + '"}',
    "{".repeat(5000) + "}".repeat(5000),
  ];
  for (const text of messages) deepEqual(splitAgentLines(text), { events: [], rest: text });
});

Deno.test("an event is held to its bounds", () => {
  const payload = { text: "x".repeat(5000), file: "y".repeat(5000), more: "z".repeat(4000), still: "z".repeat(500) };
  const { events } = splitAgentLines(JSON.stringify({ type: "finding", payload }));
  deepEqual(events, [line("finding", { text: "x".repeat(1999) + "…", file: "y".repeat(299) + "…" })]);
});

Deno.test("any message is split into valid events and a rest that has no more of them", () => {
  const type = fc.constantFrom("status", "milestone", "error", "request_review", "x");
  const record = fc.oneof(
    fc.record({
      type,
      payload: fc.oneof(fc.jsonValue(), fc.record({ text: fc.jsonValue(), progress: fc.jsonValue() })),
    }),
    fc.record({ type, text: fc.string({ unit: "binary" }), timestamp: fc.oneof(fc.string(), fc.date().map(String)) }),
    fc.jsonValue(),
  );
  const piece = fc.oneof(
    record.map((value) => JSON.stringify(value)),
    record.map((value) => JSON.stringify(value, null, 2)),
    record.map((value) => JSON.stringify(value).slice(0, 20)),
    fc.constantFrom("```", "```json", "{", "}", "`", '"', "\\", "", "\r"),
    fc.string({ unit: "binary" }),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom("\n", " ", ""), (pieces, glue) => {
    const { events, rest } = splitAgentLines(pieces.join(glue));
    for (const { type, payload, timestamp } of events) {
      agentEvent.parse({ type, agent: "a", timestamp: timestamp ?? "", payload });
      ok(timestamp === null || new Date(timestamp).toISOString() === timestamp);
    }
    // What stood apart may have come together, so that the rest may have new ones: it never grows.
    ok(rest.length <= pieces.join(glue).length);
  }));
});

Deno.test("a message full of what begins like an event ends", () => {
  for (const text of ["{\n".repeat(500_000), '{"type":"milestone"\n'.repeat(50_000), "`{".repeat(500_000)]) {
    deepEqual(splitAgentLines(text).events, []);
  }
  equal(splitAgentLines('{"type":"task"}\n'.repeat(1000)).events.length, 200);
});
