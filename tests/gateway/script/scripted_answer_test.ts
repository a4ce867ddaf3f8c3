import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { piecesOf } from "../../../src/gateway/script/scripted_answer.ts";

Deno.test("a text is cut after spaces, always in the same places", () => {
  deepEqual(piecesOf("I create the file now, with a shell command."), [
    "I create ",
    "the file ",
    "now, with a ",
    "shell ",
    "command.",
  ]);
  deepEqual(piecesOf("short"), ["short"]);
  deepEqual(piecesOf(""), []);
});

Deno.test("pieces of any text make up the text, are not empty, few, and break no character", () => {
  const text = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 200 }),
    fc.string({ unit: fc.constantFrom(" ", "a", "🌍") }),
  );
  fc.assert(fc.property(text, (given) => {
    const pieces = piecesOf(given);
    equal(pieces.join(""), given);
    ok(pieces.every((piece) => piece !== "" && piece.isWellFormed()));
    ok(pieces.length <= 1 + given.length);
  }));
});

Deno.test("a long text without a space is cut as well, in time that does not explode", () => {
  const text = "x".repeat(2_000_000);
  const pieces = piecesOf(text);
  equal(pieces.length, 6);
  equal(pieces.join(""), text);
});
