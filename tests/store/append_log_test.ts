import { ok, strictEqual as equal, throws } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import { AppendLog } from "../../src/store/append_log.ts";
import { inTempDir } from "../support/temp_dir.ts";

Deno.test("an append log grows at its end, whoever else writes to it", () =>
  inTempDir((dir) => {
    const path = `${dir}/a/b/log`;
    using first = AppendLog.open(path);
    using second = AppendLog.open(path);
    first.append("1 ä\n");
    second.append("2\n" + "x".repeat(1_000_000) + "\n");
    first.append("");
    first.append("3\n");
    equal(Deno.readTextFileSync(path), `1 ä\n2\n${"x".repeat(1_000_000)}\n3\n`);
  }));

Deno.test("an append log that must be new refuses an existing file and a broken link", () =>
  inTempDir((dir) => {
    Deno.symlinkSync("missing", `${dir}/link`);
    AppendLog.open(`${dir}/log`, { mustBeNew: true }).close();
    for (const name of ["log", "link"]) {
      throws(
        () => AppendLog.open(`${dir}/${name}`, { mustBeNew: true }),
        (error) => error instanceof Failure && error.message === `Cannot write "${dir}/${name}": file exists`,
      );
    }
  }));

Deno.test("a full disk is a Failure; closing twice is none, and nothing can be appended afterwards", () =>
  inTempDir((dir) => {
    const full = AppendLog.open("/dev/full");
    throws(
      () => full.append("x"),
      (error) => error instanceof Failure && error.message === 'Cannot write "/dev/full": no space left on device',
    );
    full.close();
    full.close();
    const log = AppendLog.open(`${dir}/log`);
    log.close();
    throws(() => log.append("x"), Failure);
    ok(Deno.statSync(`${dir}/log`).size === 0);
  }));
