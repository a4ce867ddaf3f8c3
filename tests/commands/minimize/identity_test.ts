import { notStrictEqual, strictEqual as equal } from "node:assert/strict";
import * as fc from "fast-check";
import { contentKey, taskIdentity } from "../../../src/commands/minimize/identity.ts";
import type { Part } from "../../../src/reduce/contract.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const text = (content: string): Part => ({ kind: "text", name: "a", text: content });
const list = (...elements: string[]): Part => ({ kind: "list", name: "b", elements });

Deno.test("contentKey() is the same for the same content only", () => {
  const part = fc.oneof(fc.string({ unit: "binary" }).map(text), fc.array(fc.string()).map((all) => list(...all)));
  const shape = (parts: readonly Part[]) => JSON.stringify(parts);
  fc.assert(fc.property(fc.array(part, { minLength: 1 }), fc.array(part, { minLength: 1 }), (a, b) => {
    equal(contentKey(a), contentKey(structuredClone(a)));
    if (a.length === b.length && a.every(({ kind }, at) => kind === b[at]!.kind)) {
      equal(contentKey(a) === contentKey(b), shape(a) === shape(b));
    }
  }));
  notStrictEqual(contentKey([text("a"), text("b")]), contentKey([text("ab"), text("")]));
  notStrictEqual(contentKey([list("a", "b")]), contentKey([list("ab")]));
  notStrictEqual(contentKey([list(""), list()]), contentKey([list(), list("")]));
  notStrictEqual(contentKey([text("\ud800")]), contentKey([text("\ud801")]));
});

Deno.test("taskIdentity() changes with the start, the settings, and the programs that the command names", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/check.sh`, "one");
    await Deno.writeTextFile(`${dir}/tool`, "one");
    await Deno.chmod(`${dir}/tool`, 0o755);
    await Deno.writeTextFile(`${dir}/log`, "one");
    const settings = { command: "sh './check.sh' {file} >>log; ./tool", cwd: dir, runs: 1 };
    const identity = (start = "x", other = {}) => taskIdentity([text(start)], { ...settings, ...other });
    const first = await identity();
    equal(await identity(), first);
    await Deno.writeTextFile(`${dir}/log`, "two");
    equal(await identity(), first, "an oracle may write a log");
    notStrictEqual(await identity("y"), first);
    notStrictEqual(await identity("x", { runs: 2 }), first);
    notStrictEqual(await identity("x", { command: "true" }), first);
    await Deno.writeTextFile(`${dir}/check.sh`, "two");
    const second = await identity();
    notStrictEqual(second, first);
    await Deno.writeTextFile(`${dir}/tool`, "two");
    notStrictEqual(await identity(), second);
  }));
