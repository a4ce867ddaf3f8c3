import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { DialectId } from "../../../src/gateway/dialect.ts";
import { dialects } from "../../../src/gateway/dialects/all.ts";
import { createReplyTap } from "../../../src/gateway/reply_tap.ts";
import type { Json } from "../../../src/models/json.ts";
import { NOTHING_READ, REPLY_FIXTURES, type ReplyFixture } from "./reply_fixtures.ts";

function read({ dialect, contentType }: ReplyFixture, chunks: Iterable<Uint8Array>) {
  const reader = dialects[dialect].createReader();
  const tap = createReplyTap(reader, contentType);
  for (const chunk of chunks) tap.push(chunk);
  tap.end();
  return reader.reading;
}

for (const fixture of REPLY_FIXTURES) {
  Deno.test(`a reader reads ${fixture.name}`, () => {
    deepEqual(read(fixture, [new TextEncoder().encode(fixture.body)]), fixture.reading);
  });
}

Deno.test("however the bytes are split, the same is read", () => {
  fc.assert(fc.property(
    fc.constantFrom(...REPLY_FIXTURES),
    fc.array(fc.nat(4000), { maxLength: 40 }),
    fc.constantFrom("\n", "\r\n", "\r"),
    (fixture, cuts, lineEnd) => {
      const bytes = new TextEncoder().encode(fixture.body.replaceAll("\n", lineEnd));
      const ends = [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      deepEqual(read(fixture, ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))), fixture.reading);
    },
  ));
});

Deno.test("a reply that comes byte by byte is read", () => {
  for (const fixture of REPLY_FIXTURES) {
    const bytes = new TextEncoder().encode(fixture.body);
    deepEqual(read(fixture, Array.from(bytes, (byte) => Uint8Array.of(byte))), fixture.reading);
  }
});

/** Words that mean something to some reader, so that random documents get deep into it. */
const WORDS = [
  ...new Set(REPLY_FIXTURES.flatMap(({ body }) => [...body.matchAll(/"([A-Za-z_.]+)"/g)].map(([, word]) => word!))),
  "__proto__",
  "constructor",
];
const anyDocument = fc.letrec<{ value: unknown; object: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom<unknown>(null, true, -1, 0, 7, 1e300, NaN, "", "x".repeat(300), "a\nb", [], {}),
    fc.constantFrom<unknown>(...WORDS),
    fc.double(),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("object"),
  ),
  object: fc.uniqueArray(fc.tuple(fc.constantFrom(...WORDS), tie("value")), { selector: ([key]) => key, maxLength: 6 })
    .map((entries) => JSON.parse(`{${entries.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join()}}`)),
})).object;

Deno.test("whatever documents come, no reader throws", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(dialects) as DialectId[]),
      fc.array(anyDocument, { maxLength: 6 }),
      (dialect, documents) => {
        const reader = dialects[dialect].createReader();
        for (const document of documents) reader.take(document);
        const { usage, outputBytes, costUsd, usageIsFinal } = reader.reading;
        deepEqual(Object.keys(reader.reading), Object.keys(NOTHING_READ));
        equal(outputBytes >= 0 && (costUsd ?? 0) >= 0, true);
        equal(usageIsFinal && usage === undefined, false);
      },
    ),
    { numRuns: 2_000 },
  );
});

/** The names of a usage object's counts, and where a reply of the dialect has that object. */
const COUNTS: Record<DialectId, readonly [names: string, wrap: (usage: Json) => Json]> = {
  anthropic: [
    "input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens cache_creation.ephemeral_1h_input_tokens " +
    "cache_creation.ephemeral_5m_input_tokens output_tokens_details.thinking_tokens server_tool_use.web_search_requests",
    (usage) => ({ type: "message_delta", usage }),
  ],
  openai_chat: [
    "prompt_tokens completion_tokens total_tokens prompt_tokens_details.cached_tokens prompt_cache_hit_tokens " +
    "prompt_tokens_details.cache_write_tokens completion_tokens_details.reasoning_tokens " +
    "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
    (usage) => ({ choices: [], usage }),
  ],
  openai_responses: [
    "input_tokens output_tokens total_tokens input_tokens_details.cached_tokens input_tokens_details.cache_write_tokens " +
    "output_tokens_details.reasoning_tokens",
    (usage) => ({ type: "response.completed", response: { usage } }),
  ],
  gemini: [
    "promptTokenCount cachedContentTokenCount candidatesTokenCount thoughtsTokenCount toolUsePromptTokenCount totalTokenCount",
    (usageMetadata) => ({ usageMetadata }),
  ],
};
const anyCount = fc.oneof(
  { weight: 5, arbitrary: fc.nat(500) },
  fc.constantFrom<unknown>(null, -1, 0, 2.5, 1e13, NaN, Infinity, "7", {}),
);

Deno.test("whatever counts come, the parts of a usage are disjoint: none is negative or more than what it is a part of", () => {
  for (const [dialect, [names, wrap]] of Object.entries(COUNTS)) {
    const anyUsage = fc.dictionary(fc.constantFrom(...names.split(" ")), anyCount, { noNullPrototype: true }).map(
      (flat) => {
        const usage: Json = {};
        for (const [name, value] of Object.entries(flat)) {
          const path = name.split(".");
          const last = path.pop()!;
          let at = usage;
          for (const key of path) at = (at[key] ??= {}) as Json;
          at[last] = value;
        }
        return usage;
      },
    );
    fc.assert(fc.property(fc.array(anyUsage, { minLength: 1, maxLength: 3 }), (usages) => {
      const reader = dialects[dialect as DialectId].createReader();
      for (const usage of usages) reader.take(wrap(usage));
      const { usage } = reader.reading;
      if (usage === undefined) return;
      equal(Object.values(usage).every((tokens) => Number.isSafeInteger(tokens) && tokens >= 0), true);
      equal(usage.reasoning <= usage.output && (usage.cacheWrite1h ?? 0) <= usage.cacheWrite, true);
    }));
  }
});

Deno.test("the parts of a prompt add up to it, whatever a chat server says of its cache", () => {
  const tokens = fc.nat(10_000);
  fc.assert(fc.property(tokens, tokens, tokens, tokens, (prompt, cached, written, completion) => {
    const reader = dialects.openai_chat.createReader();
    const prompt_tokens_details = { cached_tokens: cached, cache_write_tokens: written };
    reader.take({ usage: { prompt_tokens: prompt, completion_tokens: completion, prompt_tokens_details } });
    const { input, cacheRead, cacheWrite, output } = reader.reading.usage!;
    deepEqual([input + cacheRead + cacheWrite, output], [prompt, completion]);
  }));
});

Deno.test("the output of a reply is counted in UTF-8 bytes", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const reader = dialects.openai_chat.createReader();
    reader.take({ choices: [{ delta: { content: text } }] });
    equal(reader.reading.outputBytes, new TextEncoder().encode(text).length);
  }));
});
