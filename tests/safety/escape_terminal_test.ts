import { ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { escapeTerminal } from "../../src/safety/escape_terminal.ts";

Deno.test("escapeTerminal() keeps text, line feeds and tabs", () => {
  const text = "Grüße\t日本語 👩‍👩‍👧\nnext \\x1b ~ \u00a0";
  equal(escapeTerminal(text), text);
});

Deno.test("escapeTerminal() shows what would move the cursor, set a title or reorder text", () => {
  equal(
    escapeTerminal("\x1b[2J\x1b]0;title\x07 a\rb\x00\x7f\x9b31m"),
    "\\x1b[2J\\x1b]0;title\\x07 a\\x0db\\x00\\x7f\\x9b31m",
  );
  equal(escapeTerminal("\u202egnp.exe\u2066x\u2069\u200f\u061c"), "\\u202egnp.exe\\u2066x\\u2069\\u200f\\u061c");
});

Deno.test("no control character but line feed and tab passes escapeTerminal()", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    ok(!/[^\P{Cc}\n\t]/u.test(escapeTerminal(text)));
  }));
});
