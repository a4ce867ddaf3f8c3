import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { clipToWidth, displayWidth } from "../../src/terminal/display_width.ts";

Deno.test("displayWidth() counts columns: two for wide characters, none for marks, joiners and colours", () => {
  const texts = [
    "",
    "abc",
    "日本語",
    "한글",
    "ｆｕｌｌ",
    "é",
    "e\u0301",
    "👍",
    "✅",
    "a\u200bb",
    "\x1b[1mbold\x1b[0m",
    "…",
  ];
  deepEqual(texts.map(displayWidth), [0, 3, 6, 4, 8, 1, 1, 2, 2, 2, 4, 1]);
});

Deno.test("clipToWidth() keeps what fits and marks what is missing", () => {
  deepEqual(
    [["abc", 3], ["abcd", 3], ["日本語", 6], ["日本語", 5], ["日本語", 4], ["a", 1], ["ab", 1], ["ab", 0], ["", 0]].map(
      (
        [text, columns],
      ) => clipToWidth(text as string, columns as number),
    ),
    ["abc", "ab…", "日本語", "日本…", "日…", "a", "…", "", ""],
  );
});

Deno.test("clipToWidth() gives the text itself or a beginning that fits, of bounded length", () => {
  const texts = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("e" + "\u0301".repeat(999), "日".repeat(99)));
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 50 }), (text, columns) => {
      const clipped = clipToWidth(text, columns);
      ok(displayWidth(clipped) <= columns && clipped.length <= columns * 4 + 1);
      ok(clipped === text || clipped.endsWith("…") && text.startsWith(clipped.slice(0, -1)));
    }),
  );
});
