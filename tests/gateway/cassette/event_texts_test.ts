import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { rewriteEvents } from "../../../src/gateway/cassette/event_texts.ts";

const frame = (data: unknown) => `event: x\ndata: ${JSON.stringify(data)}\n\n`;
const events = (stream: string): unknown[] =>
  [...stream.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!));
const move = (text: string) => text.replaceAll("/old/place", "/new");

/** One piece of a text as each dialect tells it. */
const dialects: Record<string, (text: string) => unknown> = {
  anthropic: (text) => ({
    type: "content_block_delta",
    index: 1,
    delta: { type: "input_json_delta", partial_json: text },
  }),
  chat: (text) => ({ choices: [{ index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: text } }] } }] }),
  responses: (text) => ({
    type: "response.function_call_arguments.delta",
    item_id: "fc_1",
    output_index: 0,
    delta: text,
  }),
  gemini: (text) => ({ candidates: [{ content: { role: "model", parts: [{ text }] }, index: 0 }] }),
};

for (const [name, event] of Object.entries(dialects)) {
  Deno.test(`a text in any pieces is rewritten as a whole (${name})`, () => {
    const around = fc.constantFrom("/old/place", "/old", "place", '{"file":"', "é😀", "\n", " ");
    fc.assert(fc.property(fc.array(around), fc.array(fc.nat(60)), (parts, cuts) => {
      const text = parts.join("");
      const ends = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
      const pieces = [...ends, text.length].map((end, index) => text.slice(ends[index - 1] ?? 0, end));
      const rewritten = events(rewriteEvents(pieces.map((piece) => frame(event(piece))).join(""), move));
      equal(rewritten.length, pieces.length);
      equal(rewritten.map((data) => pieceOf(data)).join(""), move(text));
    }));
  });
}

function pieceOf(data: unknown): string {
  const [piece] = Array.from(
    JSON.stringify(data).matchAll(/"(?:partial_json|arguments|delta|text)":("(?:[^"\\]|\\.)*")/g),
  );
  return JSON.parse(piece![1]!);
}

Deno.test("texts of different blocks, choices and items do not flow into each other", () => {
  const block = (index: number, text: string) =>
    frame({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
  const stream = block(0, "/old") + block(1, "/place") + block(0, "/plan");
  equal(rewriteEvents(stream, move), stream);
  const choice = (index: number, content: string) => frame({ choices: [{ index, delta: { content } }] });
  const choices = choice(0, "/old") + choice(1, "/place");
  equal(rewriteEvents(choices, move), choices);
});

Deno.test("texts that are whole are rewritten where they stand", () => {
  const call = (file: string) => ({
    candidates: [{ content: { parts: [{ functionCall: { name: "write", args: { file, content: `see ${file}` } } }] } }],
  });
  const item = (file: string) => ({
    type: "response.output_item.done",
    item: { type: "custom_tool_call", input: file },
  });
  const [a, b] = ["/old/place/a", "/old/place/b"];
  const stream = [call(a!), call(b!), item(a!), item(b!)].map(frame).join("");
  deepEqual(events(rewriteEvents(stream, move)), [call("/new/a"), call("/new/b"), item("/new/a"), item("/new/b")]);
});

Deno.test("what is not touched stays as it came, byte for byte", () => {
  const stream =
    'event: a\r\ndata: {"text" : "x", "n": 1.0}\r\n\r\n: ping\r\ndata: {"text": "/old/place"}\r\n\r\ndata: [DONE]\r\ndata: {"te';
  equal(rewriteEvents(stream, move), stream.replace('{"text": "/old/place"}', '{"text":"/new"}'));
  equal(rewriteEvents('{"text":"/old/place"}', move), '{"text":"/old/place"}');
});

Deno.test("hostile events do no harm", () => {
  const deep = `data: ${"[".repeat(20_000)}${"]".repeat(20_000)}\n`;
  const odd = 'data: {"__proto__": {"delta": "/old/place"}, "type": {"toString": 1}, "delta": "/old/place"}\n';
  equal(
    rewriteEvents(deep + odd, move),
    `${deep}data: {"__proto__":{"delta":"/new"},"type":{"toString":1},"delta":"/new"}\n`,
  );
});
