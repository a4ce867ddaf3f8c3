import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { readTestimony } from "../../../../src/commands/manager/places/witness.ts";
import { inTempDir } from "../../../support/temp_dir.ts";
import { never, withPlaces } from "./scratch_places.ts";

const PYTHON = { oracle_command: "python {repro_file}", file_extension: "py" };
const NODE = { oracle_command: "node {repro_file}", file_extension: "js" };

const isThere = (program: string) => {
  try {
    return new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
};

/** Times. */
const UNSTEADY = /in \d\.\d+s/g;

const PACKAGE = `import threading


class Broken(ValueError):
    pass


def early():
    return 1


EARLY = early()


def check(value):
    if value > 1:
        raise Broken("value is %d" % value)
    return value


def chained():
    try:
        check(5)
    except Broken as error:
        raise KeyError("outer") from error


def unused():
    return 0


def in_thread():
    thread = threading.Thread(target=check, args=(7,))
    thread.start()
    thread.join()


def again(count):
    return again(count + 1)
`;

/** Each script with what its witness has to tell: types, messages, functions of the frames, calls. */
const PYTHON_SCRIPTS: readonly {
  readonly claim: string;
  readonly script: string;
  readonly command?: string;
  readonly told: readonly (readonly [type: string, message: string, functions: string, called: boolean])[];
  readonly exitCode: number;
}[] = [
  {
    claim: "an exception of the project",
    script: "import pkg\npkg.check(3)\n",
    told: [["pkg.Broken", "value is 3", "check <module>", true]],
    exitCode: 1,
  },
  {
    claim: "an exception of the script itself, with a project that was only imported",
    script: "import pkg\nraise ValueError('v cannot be empty')\n",
    told: [["ValueError", "v cannot be empty", "<module>", false]],
    exitCode: 1,
  },
  {
    claim: "the exit, and nothing for what is caught and printed",
    script:
      "import pkg, sys, traceback\ntry:\n  pkg.check(3)\nexcept ValueError:\n  traceback.print_exc()\nsys.exit(1)\n",
    told: [["SystemExit", "1", "<module>", true]],
    exitCode: 1,
  },
  {
    claim: "an exception in spite of the script's own hook",
    script: "import pkg, sys\nsys.excepthook = lambda *about: print('oops')\npkg.check(3)\n",
    told: [["pkg.Broken", "value is 3", "check <module>", true]],
    exitCode: 1,
  },
  {
    claim: "an exception in a thread",
    script: "import pkg\npkg.in_thread()\n",
    told: [["pkg.Broken", "value is 7", "check run _bootstrap_inner*", true]],
    exitCode: 0,
  },
  {
    claim: "an exception of a child",
    script: "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, '-c', 'import pkg; pkg.check(4)']))\n",
    told: [["pkg.Broken", "value is 4", "check <module>", true], ["SystemExit", "1", "<module>", false]],
    exitCode: 1,
  },
  {
    claim: "an exception also when all files were closed",
    script: "import os, pkg\nos.closerange(3, 4096)\nkeep = open('other', 'w')\npkg.check(3)\n",
    told: [["pkg.Broken", "value is 3", "check <module>", true]],
    exitCode: 1,
  },
  {
    claim: "where a script does not parse",
    script: "def f(:\n",
    told: [["SyntaxError", "invalid syntax", "", false]],
    exitCode: 1,
  },
  {
    claim: "an endless recursion, without most of its frames",
    script: "import pkg\npkg.again(0)\n",
    told: [["RecursionError", "maximum recursion depth exceeded", "again*", true]],
    exitCode: 1,
  },
  {
    claim: "what a test of unittest raised",
    script:
      "import unittest, pkg\nclass T(unittest.TestCase):\n  def test(self):\n    self.assertEqual(pkg.check(1), 2)\n" +
      "  def test_two(self):\n    pkg.check(2)\nunittest.main()\n",
    told: [
      ["AssertionError", "1 != 2", "*", true],
      ["pkg.Broken", "value is 2", "*", true],
      ["SystemExit", "1", "runTests __init__ <module>", true],
    ],
    exitCode: 1,
  },
  {
    claim: "an exception in isolated mode",
    script: "import sys\nsys.path.insert(0, '.')\nimport pkg\npkg.check(3)\n",
    command: "python -I {repro_file}",
    told: [["pkg.Broken", "value is 3", "check <module>", true]],
    exitCode: 1,
  },
  {
    claim: "an exception although the command has a path of its own",
    script: "import pkg\npkg.check(3)\n",
    command: "PYTHONPATH=. python {repro_file}",
    told: [["pkg.Broken", "value is 3", "check <module>", true]],
    exitCode: 1,
  },
];

/** Each Python that the machine has and a witness treats in its own way. */
const versions = ["3.12", "3.11"].filter((version) =>
  isThere(`python${version}`) || Array.from(pyenvVersions()).some((name) => name.startsWith(`${version}.`))
);

function pyenvVersions(): string[] {
  try {
    return [...Deno.readDirSync(join(Deno.env.get("HOME") ?? "", ".pyenv/versions"))].map(({ name }) => name);
  } catch {
    return [];
  }
}

for (const version of versions.length > 0 ? versions : ["3"]) {
  Deno.test(`Python ${version}: the witness tells what nobody caught, and changes nothing that the script writes`, async (t) =>
    await withPlaces({ "pkg/__init__.py": PACKAGE }, { settings: { pythonVersion: version } }, async (scratch) => {
      const shared = await scratch.ready(PYTHON);
      const bareOne = await scratch.ready(unwitnessed(PYTHON));
      for (const { claim, script, command, told, exitCode } of PYTHON_SCRIPTS) {
        await t.step(`it tells ${claim}`, async () => {
          const own = command && { ...PYTHON, oracle_command: command };
          const place = own ? await scratch.ready(own) : shared;
          const { end } = await place.run(script, { fresh: false, signal: never });
          equal(end.hasWitness, true);
          equal(end.exitCode, exitCode, end.stderr);
          deepEqual(
            end.witnessed.map(({ type, message, frames, projectCalls }, index) => {
              const functions = frames.map((frame) => frame.function).join(" ").trim();
              const wanted = told[index]?.[2] ?? "";
              const isWanted = wanted.endsWith("*") ? functions.startsWith(wanted.slice(0, -1)) : functions === wanted;
              return [type, message, isWanted ? wanted : functions, (projectCalls ?? 0) > 0];
            }),
            told,
          );
          ok(end.witnessed.every(({ frames }) => frames.length <= 150));
          // The same interpreter for the same file at the same place, when nobody listens.
          const barePlace = own ? await scratch.ready(unwitnessed(own)) : bareOne;
          const { end: bare } = await barePlace.run(script, { fresh: false, signal: never });
          equal(bare.hasWitness, false);
          const written = ({ stdout, stderr }: typeof end) => [stdout, stderr.replaceAll(UNSTEADY, "")];
          deepEqual(written(end), written(bare));
        });
      }
      await t.step("it tells the causes of an exception, and all places of its frames", async () => {
        const { end, place: { project, reproFile } } = await shared.run("import pkg\npkg.chained()\n", {
          fresh: true,
          signal: never,
        });
        const file = join(project, "pkg/__init__.py");
        const [failure] = end.witnessed;
        deepEqual({ ...failure, pid: 0, projectCalls: 0 }, {
          runtime: "python",
          pid: 0,
          type: "KeyError",
          message: "'outer'",
          bases: ["LookupError", "Exception", "BaseException"],
          frames: [
            { function: "chained", file, line: 25 },
            { function: "<module>", file: reproFile, line: 2 },
          ],
          causes: [{
            type: "pkg.Broken",
            message: "value is 5",
            frames: [{ function: "check", file, line: 17 }, { function: "chained", file, line: 23 }],
          }],
          projectCalls: 0,
        });
      });
      await t.step("a trace has the executed lines of the project, and only those", async () => {
        const script = "import pkg\npkg.in_thread()\n";
        const { executed } = await shared.run(script, { fresh: false, trace: true, signal: never });
        const lines = executed?.get("pkg/__init__.py") ?? new Set<number>();
        deepEqual([...executed?.keys() ?? []], ["pkg/__init__.py"]);
        deepEqual([16, 17, 33, 34, 35].filter((line) => !lines.has(line)), []);
        deepEqual([18, 22, 23, 25, 29].filter((line) => lines.has(line)), []);
        equal((await shared.run(script, { fresh: false, signal: never })).executed, null);
      });
      await t.step("without site there is no witness, and it says so", async () => {
        const place = await scratch.ready({ ...PYTHON, oracle_command: "python -S {repro_file}" });
        const { end } = await place.run("import pkg\npkg.check(3)\n", { fresh: false, signal: never });
        deepEqual([end.exitCode, end.hasWitness, end.witnessed], [1, false, []]);
      });
      await t.step("an environment has its Python, its packages, and installs the project", async () => {
        const { tools } = shared.environment;
        ok(tools[0]?.startsWith(`python ${version}`), tools.join());
        const pip = await scratch.ready({ ...PYTHON, oracle_command: "python -m pip --version && which python pip" });
        const { end, place } = await pip.run("", { fresh: true, signal: never });
        const bin = join(place.project, "../../venv/bin");
        deepEqual(end.stdout.trim().split("\n").slice(1), [join(bin, "python"), join(bin, "pip")]);
      });
      await t.step("what depends on the order of hashes comes and goes", async () => {
        const seen = new Set<string>();
        for (let run = 0; run < 40 && seen.size < 2; run++) {
          seen.add((await shared.run("print(hash('a') % 2)\n", { fresh: false, signal: never })).end.stdout);
        }
        equal(seen.size, 2);
      });
    }));
}

function unwitnessed<T extends { readonly oracle_command: string }>(candidate: T): T {
  return { ...candidate, oracle_command: `rm ../../record/settings; ${candidate.oracle_command}` };
}

const LIBRARY = `class Broken extends TypeError {
  constructor(message, options) {
    super(message, options);
    this.name = "Broken";
  }
}
function check(value) {
  if (value > 1) throw new Broken("value is " + value);
  return value;
}
function chained() {
  try {
    check(5);
  } catch (error) {
    throw new Error("outer", { cause: error });
  }
}
module.exports = { check, chained };
`;

const NODE_SCRIPTS: readonly {
  readonly claim: string;
  readonly script: string;
  readonly told: readonly (readonly [type: string, message: string, functions: string, called: boolean])[];
  readonly exitCode: number;
}[] = [
  {
    claim: "an error of the project",
    script: 'require("./lib.js").check(3);\n',
    told: [["Broken", "value is 3", "check Object.<anonymous>", true]],
    exitCode: 1,
  },
  {
    claim: "an error of the script itself",
    script: 'require("./lib.js");\nthrow new Error("own");\n',
    told: [["Error", "own", "Object.<anonymous>", false]],
    exitCode: 1,
  },
  {
    claim: "the exit, and nothing for what is caught and printed",
    script: 'try { require("./lib.js").check(3); } catch (error) { console.error(error.stack); process.exit(1); }\n',
    told: [["process.exit", "1", "Object.<anonymous>", true]],
    exitCode: 1,
  },
  {
    claim: "a promise that nobody caught",
    script: 'const { check } = require("./lib.js");\n(async function late() { await null; check(3); })();\n',
    told: [["Broken", "value is 3", "check late", true]],
    exitCode: 1,
  },
  { claim: "what is no error", script: 'throw "text";\n', told: [["string", "text", "", false]], exitCode: 1 },
];

Deno.test({
  name: "Node: the witness tells what nobody caught, and changes nothing that the script writes",
  ignore: !isThere("node"),
  fn: (t) =>
    withPlaces({ "lib.js": LIBRARY }, {}, async (scratch) => {
      const place = await scratch.ready(NODE);
      const bare = await scratch.ready({ ...NODE, oracle_command: "env -u NODE_OPTIONS node {repro_file}" });
      for (const { claim, script, told, exitCode } of NODE_SCRIPTS) {
        await t.step(`it tells ${claim}`, async () => {
          const { end } = await place.run(script, { fresh: false, signal: never });
          equal(end.exitCode, exitCode, end.stderr);
          equal(end.hasWitness, true);
          deepEqual(
            end.witnessed.map(({ type, message, frames, projectCalls }) => {
              const outer = frames.filter(({ file }) => !file?.startsWith("node:"));
              // Older ones name what a function was called on.
              const functions = outer.map((frame) => frame.function?.replace(/^Object\.(?=\w)/, ""));
              return [type, message, functions.join(" "), (projectCalls ?? 0) > 0];
            }),
            told,
          );
          const { end: unwitnessed } = await bare.run(script, { fresh: false, signal: never });
          deepEqual([end.stdout, end.stderr], [unwitnessed.stdout, unwitnessed.stderr]);
          equal(unwitnessed.hasWitness, false);
        });
      }
      await t.step("it tells bases, causes and the places of frames", async () => {
        const { end, place: { project, reproFile } } = await place.run('require("./lib.js").chained();\n', {
          fresh: true,
          signal: never,
        });
        const [failure] = end.witnessed;
        deepEqual(
          [
            failure!.type,
            failure!.bases,
            failure!.frames.slice(0, 2).map((frame) => ({
              ...frame,
              function: frame.function?.replace(/^Object\.(?=\w)/, ""),
            })),
            failure!.causes.map(({ type, frames }) => [type, frames[0]]),
          ],
          ["Error", [], [
            { function: "chained", file: join(project, "lib.js"), line: 15 },
            { function: "Object.<anonymous>", file: reproFile, line: 1 },
          ], [["Broken", { function: "check", file: join(project, "lib.js"), line: 8 }]]],
        );
        const { end: plain } = await place.run('require("./lib.js").check(3);\n', { fresh: true, signal: never });
        deepEqual(plain.witnessed[0]!.bases, ["TypeError", "Error"]);
      });
      await t.step("a trace has the executed lines of the project, and only those", async () => {
        const { executed } = await place.run('require("./lib.js").check(3);\n', {
          fresh: false,
          trace: true,
          signal: never,
        });
        deepEqual([...executed?.keys() ?? []], ["lib.js"]);
        const lines = executed!.get("lib.js")!;
        deepEqual([3, 4, 8].filter((line) => !lines.has(line)), []);
        deepEqual([9, 12, 13, 15].filter((line) => lines.has(line)), []);
      });
    }),
});

const unseen = { results: { functions: [], calls: [] }, entered: null };

Deno.test("records that a program has flooded are not read to their end, and leave the output without a word", () =>
  inTempDir(async (dir) => {
    for (const name of ["a", "b", "c", "d"]) {
      using file = await Deno.create(join(dir, `${name}.jsonl`));
      await file.truncate(1e9);
    }
    await Deno.writeTextFile(join(dir, "e.jsonl"), '{"line":["a.py",3]}\n');
    const nothing = { hasWitness: true, witnessed: [], executed: new Map(), meddling: undefined, ...unseen };
    deepEqual(readTestimony(dir), nothing);
    const many = join(dir, "many");
    await Deno.mkdir(many);
    for (let i = 0; i < 200; i++) await Deno.writeTextFile(join(many, `${i}.jsonl`), "");
    deepEqual(readTestimony(many), nothing);
  }));

Deno.test("a record that a program has forged into something else is read as nothing", () =>
  inTempDir(async (dir) => {
    deepEqual(readTestimony(join(dir, "gone")), {
      hasWitness: false,
      witnessed: [],
      executed: new Map(),
      meddling: undefined,
      ...unseen,
    });
    await Deno.mkdir(join(dir, "folder.jsonl"));
    await Deno.symlink("/etc/passwd", join(dir, "link.jsonl"));
    await Deno.writeTextFile(join(dir, "other.txt"), '{"start":1}\n');
    await Deno.writeTextFile(
      join(dir, "odd.jsonl"),
      ["{", "[]", "null", "1", '{"__proto__":{"start":1}}', '{"failure":{"pid":"x"}}', '{"line":["a",-1]}', "\0"].join(
        "\n",
      ),
    );
    deepEqual(readTestimony(dir), {
      hasWitness: false,
      witnessed: [],
      executed: new Map(),
      meddling: undefined,
      ...unseen,
    });
    await Deno.writeTextFile(join(dir, "one.jsonl"), '{"start":7}\n{"line":["__proto__",3]}\n{"line":["a.py",3');
    deepEqual(readTestimony(dir), {
      hasWitness: true,
      witnessed: [],
      executed: new Map([["__proto__", new Set([3])]]),
      meddling: undefined,
      ...unseen,
    });
  }));
