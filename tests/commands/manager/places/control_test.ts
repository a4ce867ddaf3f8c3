/** What witnesses tell of the results of a project's functions, and what they put in their place. */
import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { ControlOrder } from "../../../../src/manager/ports.ts";
import type { Literal } from "../../../../src/manager/stated_literals.ts";
import { never, seen, withPlaces } from "./scratch_places.ts";

const FILES = {
  "pkg/__init__.py": "from pkg.core import half, Box\n",
  "pkg/core.py": `import functools

def half(value):
    return value // 2

@functools.lru_cache()
def name():
    return "x"

class Box:
    @staticmethod
    def sides():
        return (1, 2)
    @property
    def size(self):
        return half(6)

async def later():
    return 5

def unused():
    return 1
`,
  "lib/index.js": `exports.half = (value) => Math.floor(value / 2);
exports.later = async () => 5;
exports.Box = class Box {
  static sides() {
    return new Set([1, 2]);
  }
  name() {
    return "x";
  }
};
`,
  "lib/unused.js": "function unused() {\n  return 1;\n}\nmodule.exports = { unused };\n",
};
const number = (text: string): Literal => ({ number: text });
const order = (
  functions: readonly string[],
  values: readonly Literal[],
  replace: NonNullable<ControlOrder["results"]>["replace"] = null,
): ControlOrder => ({
  results: { functions, values, wanted: 0, calls: [{ name: "half", arguments: [number("5")] }], replace },
});

const LANGUAGES = {
  Python: {
    parts: { oracle_command: "python {repro_file}", file_extension: "py" },
    halves: "from pkg import half\nprint(half(5), half(9))\n",
    others:
      "import asyncio\nfrom pkg import Box\nfrom pkg.core import later, name\nprint(asyncio.run(later()), name(), sorted(Box.sides()))\n",
    shown: "5 x [1, 2]",
    printed: "7 7",
    nothing: "import pkg\n",
  },
  Node: {
    parts: { oracle_command: "node {repro_file}", file_extension: "js" },
    halves: 'const { half } = require("./lib");\nconsole.log(half(5), half(9));\n',
    others:
      'const { later, Box } = require("./lib");\nlater().then((n) => console.log(n, new Box().name(), [...Box.sides()]));\n',
    shown: "5 x [ 1, 2 ]",
    printed: "7 7",
    nothing: 'require("./lib");\n',
  },
};

for (const [language, { parts, halves, others, shown, printed, nothing }] of Object.entries(LANGUAGES)) {
  Deno.test(`what functions give is told and replaced in ${language}`, () =>
    withPlaces(FILES, {}, async ({ ready }) => {
      const place = await ready(parts);
      const run = (script: string, control: ControlOrder) => place.run(script, { fresh: true, control, signal: never });
      const values = [number("2"), number("7"), { text: "x" }];
      const half = await run(halves, order(["half", "unused"], values));
      deepEqual(half.results, {
        functions: language === "Python" ? ["half", "unused"] : ["half"],
        calls: [
          { name: "half", equals: [0], fits: [1], isStated: true },
          { name: "half", equals: [], fits: [0, 1], isStated: false },
        ],
      });
      equal(half.end.stdout, "2 4\n");
      const all = await run(halves, order(["half"], values, { call: "all", value: number("7") }));
      equal(all.end.stdout, `${printed}\n`);
      const second = await run(halves, order(["half"], values, { call: 2, value: number("2") }));
      equal(second.end.stdout, "2 2\n");
      const misfit = await run(halves, order(["half"], values, { call: 1, value: { text: "x" } }));
      equal(misfit.end.stdout, "2 4\n");
      const raised = await run(
        halves,
        order(["half"], [{ raises: "RangeError" }], {
          call: 1,
          value: { raises: "RangeError" },
        }),
      );
      equal(raised.end.exitCode, 1);

      const names = ["later", "name", "sides"];
      const stated: Literal[] = [number("5"), { text: "x" }, { list: [number("1"), number("2")] }];
      const other = await run(others, order(names, stated));
      equal(other.end.stdout, `${shown}\n`);
      deepEqual(
        new Set(other.results!.calls.map(({ name, equals }) => `${name} ${equals}`)),
        new Set(["later 0", "name 1", "sides 2"]),
      );
      deepEqual((await run(nothing, order(["unused"], values))).results, { functions: ["unused"], calls: [] });
      const plain = await place.run(halves, { fresh: true, signal: never });
      deepEqual([plain.results, seen(plain).stdout], [undefined, "2 4\n"]);
    }));
}

Deno.test("a control's variables stand before those that a command sets", () =>
  withPlaces({}, {}, async ({ ready }) => {
    const place = await ready({ oracle_command: "ASAN_OPTIONS=a=1 GOTRACEBACK=all sh {repro_file}" });
    const env = { ASAN_OPTIONS: { value: "b=2", isList: true }, GOTRACEBACK: { value: "system", isList: false } };
    const script = 'echo "$ASAN_OPTIONS $GOTRACEBACK"\nASAN_OPTIONS="c d" env | grep ^ASAN\n';
    const run = await place.run(script, { fresh: true, control: { env }, signal: never });
    equal(run.end.stdout, "b=2:a=1 system\nASAN_OPTIONS=b=2:c d\n");
  }));
