import { strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import * as fc from "fast-check";
import { readTail } from "../../src/store/read_tail.ts";
import { inTempDir } from "../support/temp_dir.ts";

Deno.test("the last lines of a file are those that all of it ends with", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "log");
    const line = fc.string({ unit: fc.constantFrom("a", "é", " ") });
    await fc.assert(fc.asyncProperty(fc.array(line), line, fc.nat(5), async (whole, torn, count) => {
      await Deno.writeTextFile(path, whole.map((line) => `${line}\n`).join("") + torn);
      const all = torn === "" ? whole : [...whole, torn];
      equal(await readTail(path, { lines: count, maxBytes: 10_000 }), count === 0 ? "" : all.slice(-count).join("\n"));
    }));
  });
});

Deno.test("of a long file only whole lines of its end are read, and nothing of what is no file", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "log");
    await Deno.writeTextFile(path, `${"x".repeat(100)}\nsecond\nthird\n`);
    equal(await readTail(path, { lines: 9, maxBytes: 20 }), "second\nthird");
    equal(await readTail(join(dir, "none"), { lines: 9, maxBytes: 20 }), "");
    equal(await readTail(dir, { lines: 9, maxBytes: 20 }), "");
    await Deno.symlink(path, join(dir, "link"));
    equal(await readTail(join(dir, "link"), { lines: 9, maxBytes: 20 }), "", "a link leads anywhere");
  });
});
