import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { differencesOf, similarity, sketchOf } from "../../../src/gateway/cassette/difference.ts";

Deno.test("differences name the place and show both values", () => {
  const recorded = {
    model: "a",
    messages: [{ role: "user", content: "one" }, { role: "x" }],
    n: 1,
    same: [1, { a: null }],
  };
  const asked = {
    model: "b",
    messages: [{ role: "user", content: "one" }],
    extra: { k: [1] },
    n: "1",
    same: [1, { a: null }],
  };
  deepEqual(differencesOf(recorded, asked, 10), [
    { path: "model", recorded: '"a"', asked: '"b"' },
    { path: "messages[1]", recorded: '{"role":"x"}', asked: "nothing" },
    { path: "n", recorded: "1", asked: '"1"' },
    { path: "extra", recorded: "nothing", asked: '{"k":[1]}' },
  ]);
  equal(differencesOf(recorded, asked, 2).length, 2);
});

Deno.test("of long texts the place is shown where they part", () => {
  const [difference] = differencesOf(`${"a".repeat(100_000)}left`, `${"a".repeat(100_000)}right${"b".repeat(1000)}`, 5);
  deepEqual(difference, {
    path: "",
    recorded: `…"${"a".repeat(30)}left"`,
    asked: `…"${"a".repeat(30)}right${"b".repeat(84)}…`,
  });
});

Deno.test("values differ exactly when there is a difference to tell", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
    deepEqual(differencesOf(a, structuredClone(a), 5), []);
    equal(differencesOf(a, b, 1).length === 0, JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)));
  }));
});

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => [k, sorted(v)]));
}

Deno.test("a value is most like itself, and less so the more it differs", () => {
  const conversation = (turns: number) => ({
    system: "s",
    messages: Array.from({ length: turns }, (_, n) => ({ role: "user", content: `turn ${n}` })),
  });
  const of = (turns: number) => similarity(sketchOf(conversation(20)), sketchOf(conversation(turns)));
  equal(of(20), 1);
  ok(of(20) > of(19) && of(19) > of(18) && of(18) > of(0));
  ok(of(20) > of(21) && of(21) > of(22));
  equal(similarity(sketchOf({ a: 1 }), sketchOf({ b: 1 })), 0);
});
