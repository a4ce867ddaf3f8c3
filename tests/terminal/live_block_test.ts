import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { LiveBlock } from "../../src/terminal/live_block.ts";

Deno.test("LiveBlock covers its lines in place, below lines that stay, and ends with nothing", () => {
  const block = new LiveBlock();
  const size = { columns: 10 };
  deepEqual([
    block.frame("", ["one", "two"], size),
    block.frame("stays\n", ["three"], size),
    block.frame("", ["four"], size),
    block.frame("last\n", [], size),
    block.frame("", [], size),
  ], [
    "\r\x1b[?7lone\x1b[K\ntwo\x1b[K\n\x1b[?7h\x1b[J",
    "\r\x1b[2A\x1b[Jstays\n\x1b[?7lthree\x1b[K\n\x1b[?7h\x1b[J",
    "\r\x1b[1A\x1b[?7lfour\x1b[K\n\x1b[?7h\x1b[J",
    "\r\x1b[1A\x1b[Jlast\n\x1b[J",
    "\r\x1b[J",
  ]);
});

Deno.test("LiveBlock goes up by the rows into which a terminal that became narrow has folded its lines", () => {
  const block = new LiveBlock();
  block.frame("", ["\x1b[1m日本語abcd\x1b[0m", "", "abc"], { columns: 20 });
  deepEqual(block.frame("", ["abc"], { columns: 4 }), "\r\x1b[5A\x1b[J\x1b[?7labc\x1b[K\n\x1b[?7h\x1b[J");
});
