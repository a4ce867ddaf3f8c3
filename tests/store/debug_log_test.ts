import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { DebugLog } from "../../src/store/debug_log.ts";
import { inTempDir } from "../support/temp_dir.ts";

const now = () => Date.UTC(2026, 10, 21, 12);
const HEAD = `2026-11-21T12:00:00.000Z [${Deno.pid}]`;

Deno.test("a debug log has readable lines, indents further ones and escapes control characters", () =>
  inTempDir((dir) => {
    const path = `${dir}/logs/debug.log`;
    {
      using log = DebugLog.open(path, { now });
      log.write("info", "one");
      log.write("warning", "two\r\nlines\n\x1b[2J\n");
    }
    using again = DebugLog.open(path, { now });
    again.write("error", "");
    equal(
      Deno.readTextFileSync(path),
      `${HEAD} INFO one\n${HEAD} WARNING two\n    lines\n    \\x1b[2J\n${HEAD} ERROR \n`,
    );
  }));

Deno.test("a debug log and its predecessor together stay below the bound and hold the latest entries", () =>
  inTempDir((dir) => {
    const path = `${dir}/debug.log`;
    using log = DebugLog.open(path, { now, maxBytes: 10_000 });
    for (let i = 0; i < 1000; i++) {
      log.write("debug", `entry ${i}`);
      const sizes = Array.from(Deno.readDirSync(dir), ({ name }) => Deno.statSync(`${dir}/${name}`).size);
      ok(sizes.reduce((sum, size) => sum + size) <= 10_000);
    }
    const kept = Deno.readTextFileSync(path + ".1") + Deno.readTextFileSync(path);
    const numbers = Array.from(kept.matchAll(/entry (\d+)\n/g), ([, number]) => Number(number));
    ok(numbers.length > 80);
    deepEqual(numbers, Array.from(numbers, (_, i) => 1000 - numbers.length + i));
  }));

Deno.test("an entry is cut to 64 KiB, or to what fits, at a whole character", () =>
  inTempDir((dir) => {
    const path = `${dir}/debug.log`;
    using log = DebugLog.open(path, { now });
    log.write("info", "€".repeat(10_000_000));
    log.write("info", "next");
    const [cut = "", next] = Deno.readTextFileSync(path).split("\n");
    const bytes = new TextEncoder().encode(cut + "\n").length;
    ok(bytes <= 64 * 1024 && bytes > 64 * 1024 - 8);
    match(cut, /^[^€]*€+ \[…\]$/);
    equal(next, `${HEAD} INFO next`);
    using tiny = DebugLog.open(`${dir}/tiny.log`, { now, maxBytes: 200 });
    for (let i = 0; i < 5; i++) tiny.write("info", "x".repeat(1000));
    ok(Deno.statSync(`${dir}/tiny.log`).size <= 100 && Deno.statSync(`${dir}/tiny.log.1`).size <= 100);
  }));

Deno.test("logs of several processes in one file follow each other when one renames it", () =>
  inTempDir((dir) => {
    const path = `${dir}/debug.log`;
    using first = DebugLog.open(path, { now, maxBytes: 2000 });
    using second = DebugLog.open(path, { now, maxBytes: 2000 });
    for (let i = 0; i < 200; i++) (i % 3 === 0 ? second : first).write("info", `entry ${i}`);
    const kept = Deno.readTextFileSync(path + ".1") + Deno.readTextFileSync(path);
    const numbers = Array.from(kept.matchAll(/entry (\d+)\n/g), ([, number]) => Number(number));
    deepEqual(numbers, Array.from(numbers, (_, i) => 200 - numbers.length + i));
  }));

Deno.test("a debug log whose folder was removed begins anew", () =>
  inTempDir((dir) => {
    using log = DebugLog.open(`${dir}/logs/debug.log`, { now });
    Deno.removeSync(`${dir}/logs`, { recursive: true });
    log.write("info", "still here");
    equal(Deno.readTextFileSync(`${dir}/logs/debug.log`), `${HEAD} INFO still here\n`);
  }));

Deno.test("a debug log that cannot be written is silent, and one that is a link is left alone", () =>
  inTempDir((dir) => {
    Deno.writeTextFileSync(`${dir}/file`, "mine");
    Deno.symlinkSync("file", `${dir}/link`);
    Deno.mkdirSync(`${dir}/folder`);
    for (const path of [`${dir}/file/below`, `${dir}/link`, `${dir}/folder`, "/dev/full", "/proc/none/debug.log"]) {
      using log = DebugLog.open(path, { now });
      log.write("info", "lost");
      log.write("info", "lost");
    }
    using badClock = DebugLog.open(`${dir}/clock`, { now: () => NaN });
    badClock.write("info", "lost");
    badClock.close();
    badClock.write("info", "after the end");
    equal(Deno.readTextFileSync(`${dir}/file`), "mine");
    equal(Deno.readTextFileSync(`${dir}/clock`), "");
  }));
