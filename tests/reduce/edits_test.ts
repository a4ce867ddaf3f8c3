import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { applyEdits, combineEdits, type Edit, isGone, keptElements, savingOf } from "../../src/reduce/edits.ts";

const BASE = "0123456789";
const cut = (from: number, to: number, text = ""): Edit => ({ from, to, text });

const anyEdit = fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 10 }), fc.constantFrom("", "", "x"))
  .map(([from, length, text]) => cut(from, Math.min(10, from + length), text));

Deno.test("combineEdits() leaves out what either leaves out", () => {
  fc.assert(fc.property(fc.array(anyEdit), (edits) => {
    const cuts = edits.map(({ from, to }) => cut(from, to));
    let taken: readonly Edit[] = [];
    for (const edit of cuts) taken = combineEdits(taken, [edit])!;
    const isLeft = (i: number) => cuts.every(({ from, to }) => i < from || i >= to);
    equal(applyEdits(BASE, taken), [...BASE].filter((_, i) => isLeft(i)).join(""));
    equal(keptElements([...BASE], taken).join(""), applyEdits(BASE, taken));
    equal(savingOf(taken), BASE.length - applyEdits(BASE, taken).length);
    for (const { from, to } of cuts) equal(isGone(taken, from, to), true);
  }));
});

Deno.test("combineEdits() keeps edits sorted and apart, whatever they replace", () => {
  fc.assert(fc.property(fc.array(anyEdit), (edits) => {
    let taken: readonly Edit[] = [];
    for (const edit of edits) taken = combineEdits(taken, [edit]) ?? taken;
    for (const [i, edit] of taken.slice(1).entries()) equal(taken[i]!.to <= edit.from, true);
  }));
});

Deno.test("combineEdits() takes the wider, then the later of two edits, and refuses what overlaps in part", () => {
  deepEqual(combineEdits([cut(2, 4, "x")], [cut(1, 6)]), [cut(1, 6)]);
  const wide = [cut(1, 6)];
  equal(combineEdits(wide, [cut(2, 4, "x")]), wide);
  deepEqual(combineEdits([cut(2, 4, "xy")], [cut(2, 4, "z")]), [cut(2, 4, "z")]);
  equal(combineEdits([cut(2, 4, "x")], [cut(3, 6)]), undefined);
  deepEqual(combineEdits([cut(2, 4), cut(6, 8)], [cut(3, 7)]), [cut(2, 8)]);
  deepEqual(combineEdits([cut(2, 4), cut(6, 8, "x")], [cut(4, 6)]), [cut(2, 4), cut(4, 6), cut(6, 8, "x")]);
});

Deno.test("combineEdits() takes fifty thousand edits at once", () => {
  const edits = Array.from({ length: 50_000 }, (_, i) => cut(i * 2, i * 2 + 1));
  equal(combineEdits([], edits.toReversed())!.length, 50_000);
});
