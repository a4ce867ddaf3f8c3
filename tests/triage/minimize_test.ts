/** `gocore minimize` on real files with real oracles, and what is left of it however it ends. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { contentKey } from "../../src/commands/minimize/identity.ts";
import { runEvent } from "../../src/events/event.ts";
import type { MinimizeEnd, MinimizeEvent } from "../../src/events/minimize_events.ts";
import { exists, findPython, type GocoreEnd, type GocoreOptions, Sandbox, until } from "../support/gocore.ts";
import { namesIn } from "../support/temp_dir.ts";

const python = await findPython();
const hasProgram = async (name: string) =>
  await new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null" }).output()
    .then(({ success }) => success, () => false);
const [hasGcc, hasNode] = await Promise.all([hasProgram("gcc"), hasProgram("node")]);

const TEXT = Array.from({ length: 60 }, (_, line) => `line ${line}: the quick brown fox jumps over the lazy dog\n`)
  .join("");
/** Fast, and known to be 1-minimal by eye. */
const GREP = "grep -q 'line 17' {file} && grep -q lazy {file}";

/** Runs in the sandbox's work folder, with --json; checks what holds for every run. */
async function minimize(box: Sandbox, args: readonly string[], options: GocoreOptions = {}) {
  const end = await box.run(["minimize", "--json", ...args], options);
  return { ...end, ...told(end) };
}

/** The stream of a run that was not killed. */
function told(end: GocoreEnd): { events: MinimizeEvent[]; ended: MinimizeEnd } {
  const events = end.events as unknown as MinimizeEvent[];
  for (const [seq, { timestamp: time, ...fact }] of end.events.entries()) {
    deepEqual(runEvent.parse({ seq, time, ...fact }), { seq, time, ...fact }, "every record is an event of ours");
  }
  const last = events.at(-1);
  equal(events[0]?.type, "minimize.started", `${end.stdout}${end.stderr}`);
  ok(last?.type === "minimize.ended", `${end.stdout}${end.stderr}`);
  equal(events.filter(({ type }) => type === "minimize.ended").length, 1);
  equal(last.data.status === "minimal", end.code === 0, "only a minimal result is exit code 0");
  return { events, ended: last.data };
}

const read = (box: Sandbox, name: string) => Deno.readTextFile(join(box.workdir, name));
const OURS = new Set([".git", "README.md"]);
const files = (box: Sandbox) => namesIn(box.workdir).filter((name) => !OURS.has(name));

/** Removing any one character makes the oracle say no. */
async function isOneMinimal(text: string, isInteresting: (text: string) => Promise<boolean>): Promise<boolean> {
  if (!await isInteresting(text)) return false;
  for (let at = 0; at < text.length; at++) {
    if (await isInteresting(text.slice(0, at) + text.slice(at + 1))) return false;
  }
  return true;
}

Deno.test("a result stands beside the input, which stays as it was, and nothing else is left", async () => {
  await using box = await Sandbox.create();
  const path = await box.file("work/notes.txt", TEXT);
  await Deno.chmod(path, 0o640);
  const { code, stdout, stderr } = await box.run(["minimize", "notes.txt", "--oracle", GREP]);
  equal(code, 0, stderr);
  const result = await read(box, "notes.minimal.txt");
  ok(await isOneMinimal(result, async (text) => text.includes("line 17") && text.includes("lazy")), result);
  equal(await read(box, "notes.txt"), TEXT);
  deepEqual(files(box), ["notes.minimal.txt", "notes.txt"]);
  deepEqual(namesIn(box.tmp), []);
  deepEqual(namesIn(box.home), []);
  equal((await Deno.stat(join(box.workdir, "notes.minimal.txt"))).mode! & 0o777, 0o640);
  match(stdout, /^status: {2}minimal\nresult: {2}.*\/notes\.minimal\.txt\nsize: {4}\d+ → 11 characters/);
  match(stderr, /^notes\.txt: \d+ characters, \d+ jobs?\nstart: the command exits with 0, in 3 of 3 runs\n/);
  await box.noProcessLeft();
});

Deno.test({
  name: "a Python traceback is kept by type, message and place",
  ignore: python === undefined,
  fn: async () => {
    await using box = await Sandbox.create();
    await box.file(
      "work/crash.py",
      `import os

class Store:
    def __init__(self):
        self.values = {"a": 1, "b": 2}

    def get(self, name):
        # A comment.
        return self.values[name]

def main():
    store = Store()
    for name in ["a", "b", "missing"]:
        print(os.path.join("x", name), store.get(name))

main()
`,
    );
    const { ended, code } = await minimize(box, ["crash.py", "--oracle", python!, "--same-failure"]);
    deepEqual([code, ended.minimal_by], [0, "character"]);
    const result = await read(box, "crash.minimal.py");
    const { stderr } = await new Deno.Command(python!, { args: [join(box.workdir, "crash.minimal.py")] }).output();
    match(new TextDecoder().decode(stderr), /in get\n[\s\S]*KeyError: /);
    ok(result.length < 100, result);
  },
});

Deno.test({
  name: "an expectation that the start does not meet is told what would meet it, as it has to be written",
  ignore: python === undefined,
  fn: async () => {
    await using box = await Sandbox.create();
    await box.file("work/a.py", 'print("hello")\n{}["it\'s a $name"]\n');
    await box.file("work/b.py", 'x = 1\nraise ValueError("can\'t")\n');
    const refused = async (file: string) => {
      const { code, stderr } = await box.run(["minimize", file, "--oracle", python!, "--expect", "OSError: bar"]);
      equal(code, 1);
      return stderr;
    };
    const dollar = await refused("a.py");
    match(
      dollar,
      /expected: the command fails with OSError: bar\n {2}found: {4}it exited with 1, with KeyError: "it's/,
    );
    match(dollar, /write `--expect 'KeyError: "it'\\''s a \$name"'`, or `--same-failure`/);
    match(await refused("b.py"), /write `--expect "ValueError: can't"`/);
    const { code } = await minimize(box, ["b.py", "--oracle", python!, "--expect", "ValueError: can't"]);
    equal(code, 0);
  },
});

Deno.test({
  name: "an error of gcc is kept by --expect",
  ignore: !hasGcc,
  fn: async () => {
    await using box = await Sandbox.create();
    const filler = Array.from({ length: 20 }, (_, i) => `static int f${i}(int x) { return x + ${i}; }\n`).join("");
    await box.file(
      "work/bad.c",
      `#include <stddef.h>\n${filler}int main(void) { int *p = 0; return p->field + f3(1); }\n`,
    );
    const oracle = "gcc -fsyntax-only {file}";
    const { code, ended } = await minimize(box, ["bad.c", "--oracle", oracle, "--expect", "/request for member/"]);
    const result = await read(box, "bad.minimal.c");
    const { stderr } = await new Deno.Command("gcc", { args: ["-fsyntax-only", join(box.workdir, "bad.minimal.c")] })
      .output();
    match(new TextDecoder().decode(stderr), /request for member/);
    deepEqual([code, ended.status], [0, "minimal"]);
    ok(result.length < 60, result);
  },
});

Deno.test({
  name: "a TypeError of Node is kept, with the arguments, variables and files that it needs",
  ignore: !hasNode,
  fn: async () => {
    await using box = await Sandbox.create();
    await box.file(
      "work/run.js",
      `const config = require("./config.json");
const extra = require("./extra.json");
if (process.argv.includes("--boom") && process.env.MODE === "x") config.list.forEach((e) => e.name.length);
console.log(extra);
`,
    );
    await box.file("work/config.json", '{"list": [{"name": "a"}, {"id": 2}], "more": [1, 2, 3]}');
    await box.file("work/extra.json", '{"a": 1}');
    const args = [
      "run.js",
      "--oracle",
      "node {file} {args}",
      "--expect",
      "TypeError: Cannot read properties of undefined",
    ];
    const also = ["config.json", "extra.json", "arg:--fast", "arg:--boom", "env:MODE=x", "env:OTHER=y"];
    const { code, ended, stderr } = await minimize(box, [...args, ...also.flatMap((what) => ["--also", what])]);
    deepEqual([code, ended.status], [0, "minimal"], stderr);
    deepEqual(
      ended.output,
      [
        "run.minimal.js",
        "config.minimal.json",
        "extra.minimal.json",
        "run.minimal.js.env",
        "run.minimal.js.args",
      ].map((name) => join(box.workdir, name)),
    );
    const [env, list, config, script] = await Promise.all(
      ["run.minimal.js.env", "run.minimal.js.args", "config.minimal.json", "run.minimal.js"].map((name) =>
        read(box, name)
      ),
    );
    ok(!env!.includes("OTHER") && !list!.includes("--fast"), env! + list!);
    ok(config!.length + script!.length < 60, config! + script!);
  },
});

Deno.test("values of variables that were inherited are written nowhere", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", "ab");
  const oracle = 'test "$SECRET" = s3cr3t-value && grep -q a {file}';
  const { code, stdout, stderr } = await minimize(box, ["a.txt", "--oracle", oracle, "--also", "env"], {
    env: { SECRET: "s3cr3t-value", OTHER: "o" },
  });
  equal(code, 0, stderr);
  // Without a PATH the shell has one of its own.
  equal(await read(box, "a.minimal.txt.env"), "SECRET\n");
  for (const name of files(box)) ok(!(await read(box, name)).includes("s3cr3t-value"), name);
  ok(
    !stdout.replace(/"oracle":"[^}]*?{file}"/g, "").includes("s3cr3t-value"),
    "the command itself is the person's own",
  );
});

Deno.test("the result and its size are the same for 1, 2 and 4 jobs", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", TEXT);
  const results = [];
  for (const jobs of ["1", "2", "4"]) {
    const { code, ended } = await minimize(box, ["a.txt", "--oracle", GREP, "-j", jobs, "-o", `out${jobs}.txt`]);
    results.push([code, ended.size, await read(box, `out${jobs}.txt`)]);
  }
  deepEqual(results[1], results[0]);
  deepEqual(results[2], results[0]);
});

Deno.test("a start that is not interesting is told with what was seen, and leaves nothing", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", "x\n");
  const cases: [args: string[], expected: RegExp][] = [
    [
      ["--oracle", "echo seen; exit 3; :"],
      /expected: the command exits with 0\n {2}found: {4}it exited with 3\n[\s\S]*seen/,
    ],
    [["--oracle", "true", "--same-failure"], /expected: the command fails\n {2}found: {4}it exited with 0/],
    [
      ["--oracle", "exit 3; :", "--expect", "exit 4"],
      /fails with exit 4\n {2}found: {4}it exited with 3\n[\s\S]*write `--expect 'exit 3'`/,
    ],
    [
      ["--oracle", "kill -SEGV $$; :", "--expect", "SIGABRT"],
      /was ended by SIGSEGV\n[\s\S]*write `--expect SIGSEGV`/,
    ],
    [
      ["--oracle", "no-such-program-x", "--same-failure"],
      /it exited with 127\n[\s\S]*names a program that is not there/,
    ],
    [["--oracle", "sleep 100000; :", "--timeout-sec", "0.5"], /it did not end in time/],
  ];
  await Promise.all(cases.map(async ([args, expected], at) => {
    const { code, stderr, stdout } = await box.run(["minimize", "a.txt", ...args, "-o", `out${at}.txt`]);
    deepEqual([code, stdout], [1, ""], stderr);
    match(stderr, expected);
  }));
  deepEqual(files(box), ["a.txt"]);
  deepEqual(namesIn(box.tmp), []);
});

Deno.test("an oracle runs where the start shows it: alone with the copy, or in the folder where it was typed", async () => {
  await using box = await Sandbox.create();
  const script = (name: string, text: string) => box.file(`work/${name}`, `#!/bin/sh\n${text}\n`);
  await box.file("work/a.txt", "one two\n");
  await box.file("work/data.txt", "");
  await script("by_name.sh", "grep -q two a.txt");
  await script("by_argument.sh", 'grep -q two "$1"');
  await script("with_data.sh", '[ -e data.txt ] && grep -q two "$1"');
  await script("not.sh", '! grep -q two "$1"');
  await script("fail.sh", 'grep -q two "$1" && echo "x: boom" >&2 && exit 3');
  for (const name of files(box).filter((name) => name.endsWith(".sh"))) {
    await Deno.chmod(join(box.workdir, name), 0o755);
  }
  const before = files(box);
  const cases: [args: string[], where: string][] = [
    [["--oracle", "./by_name.sh"], "own"],
    [["--oracle", "./by_argument.sh {file}"], "own"],
    [["--oracle", "sh by_argument.sh {file}"], box.workdir],
    [["--oracle", "./with_data.sh {file}"], box.workdir],
    // In another folder it would say yes to anything, because there is no such script there.
    [["--oracle", "! sh not.sh {file}"], box.workdir],
    [["--oracle", "sh fail.sh {file}", "--same-failure"], box.workdir],
    [["--oracle", "./fail.sh {file}", "--same-failure"], "own"],
    [["--oracle", "sh by_argument.sh {file}", "--cwd", "keep"], box.workdir],
  ];
  await Promise.all(cases.map(async ([args, where], at) => {
    const { code, events, stderr } = await minimize(box, ["a.txt", ...args, "-o", `out${at}`]);
    const proved = events.find(({ type }) => type === "minimize.start_proved");
    ok(proved?.type === "minimize.start_proved", stderr);
    deepEqual([code, proved.data.cwd, await read(box, `out${at}`)], [0, where, "two"], args.join(" "));
  }));
  deepEqual(files(box), [...before, ...cases.map((_, at) => `out${at}`)].sort());
  const blind = await box.run(["minimize", "a.txt", "--oracle", "sh by_name.sh"]);
  equal(blind.code, 1);
  match(blind.stderr, /says the same of an empty file/);
});

Deno.test("an oracle that does not always agree with itself is told at the start", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", "x\n");
  const oracle = `n=$(cat ${box.root}/n 2>/dev/null || echo 0); echo $((n+1)) >${box.root}/n
    grep -q x {file} && test $n -ne 2`;
  const { code, stderr } = await box.run(["minimize", "a.txt", "--oracle", oracle, "-j", "1"]);
  equal(code, 1);
  match(stderr, /the oracle is flaky, it shows what is to be kept in 2 of 3 runs/);
  deepEqual(files(box), ["a.txt"]);
});

Deno.test("with --runs a candidate has to show it every time", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", "abc");
  // Every second run of whatever has no "b" fails.
  const oracle =
    `grep -q b {file} || { n=$(cat ${box.root}/n 2>/dev/null || echo 0); echo $((n+1)) >${box.root}/n; test $((n%2)) = 0; }`;
  const { code, ended } = await minimize(box, ["a.txt", "--oracle", oracle, "--runs", "2", "-j", "1"]);
  deepEqual([code, ended.size, await read(box, "a.minimal.txt")], [0, 1, "b"]);
});

Deno.test("a hang is kept by --expect timeout, and otherwise is no answer that stays", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.sh", "sleep 9000\n");
  const hang = await minimize(box, ["a.sh", "--oracle", "sh {file}", "--expect", "timeout", "--timeout-sec", "2"]);
  equal(hang.code, 0, hang.stderr);
  match(await read(box, "a.minimal.sh"), /^sleep [1-9]\d*$/);
  const without = await box.run(["minimize", "a.sh", "--oracle", "sh {file}", "--expect", "timeout", "-o", "b.sh"]);
  equal(without.code, 2);
  match(without.stderr, /--timeout-sec/);
  await box.file("work/c.txt", "kzz\n");
  const oracle = "grep -q k {file} || sleep 100000";
  const other = await minimize(box, ["c.txt", "--oracle", oracle, "--timeout-sec", "2"]);
  deepEqual([other.code, await read(box, "c.minimal.txt")], [0, "k"]);
  await box.noProcessLeft();
});

Deno.test("names of files are no program text, and the oracle gets the input's own name", async () => {
  await using box = await Sandbox.create();
  const names = [
    "a b.txt",
    "it's $(touch made).txt",
    "`touch made`;touch made.txt",
    "-rf.txt",
    'say "x".txt',
    "ü\n.txt",
  ];
  await Promise.all(names.map(async (name, at) => {
    await box.file(`work/${at}/${name}`, "one two\n");
    const cwd = join(box.workdir, String(at));
    const oracle = 'grep -q two -- {file} && test "$(ls | wc -l)" -ge 1 && cat "{dir}"/* | grep -q two';
    const end = await box.run(["minimize", "--quiet", "--oracle", oracle, "-o", "out", "--", name], { cwd });
    deepEqual([end.code, end.stdout, end.stderr], [0, "", ""], name);
    equal(await Deno.readTextFile(join(cwd, "out")), "two");
    deepEqual(namesIn(cwd), [name, "out"].sort());
  }));
});

Deno.test("--keep keeps what it names, and must be there", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", TEXT);
  const { code } = await minimize(box, ["a.txt", "--oracle", GREP, "--keep", "^line 3: the quick", "--keep", "dog$"]);
  equal(code, 0);
  const result = await read(box, "a.minimal.txt");
  match(result, /^line 3: the quick/m);
  match(result, /dog$/m);
  for (const keep of ["nowhere", "("]) {
    const end = await box.run(["minimize", "a.txt", "--oracle", GREP, "--keep", keep]);
    equal(end.code, 2);
    match(end.stderr, /^Error: Cannot (?:keep|read)/);
  }
});

Deno.test("bytes that are no UTF-8 come back as they are", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.bin", Uint8Array.of(0, 0xff, 0xfe, 0x80, 0x41, 0x0d, 0x0a, 0xc3, 0x28));
  const { code } = await minimize(box, ["a.bin", "--oracle", "LC_ALL=C grep -q \"$(printf '\\376\\200')\" {file}"]);
  equal(code, 0);
  deepEqual(await Deno.readFile(join(box.workdir, "a.minimal.bin")), Uint8Array.of(0xfe, 0x80));
});

Deno.test("an empty file and an oracle that takes anything end with an empty result", async () => {
  await using box = await Sandbox.create();
  await box.file("work/empty", "");
  await box.file("work/some.c", "int x;\n");
  for (const [name, result] of [["empty", "empty.minimal"], ["some.c", "some.minimal.c"]]) {
    const { code, events } = await minimize(box, [name!, "--oracle", "true"]);
    deepEqual([code, await read(box, result!)], [0, ""]);
    equal(events.some(({ type, data }) => type === "minimize.note" && data.text.includes("empty")), name === "some.c");
  }
});

Deno.test("a model's proposals are taken when the oracle takes them, and thrown away otherwise", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", TEXT);
  const fence = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`;
  const content = `Here:\n${fence("nothing of use")}Or\n${fence("line 17: lazy\nmore")}`;
  const script = await box.script([{ content, cost: 0.0125 }]);
  const { code, ended, events } = await minimize(box, ["a.txt", "--oracle", GREP, ...script]);
  equal(code, 0);
  deepEqual(ended.cost, { usd: 0.0125, source: "provider" });
  const model = events.find(({ type }) => type === "minimize.model");
  ok(model?.type === "minimize.model");
  deepEqual([model.data.proposals, model.data.cost_usd], [2, 0.0125]);
  const proposals = ended.passes.find(({ pass }) => pass === "proposals");
  deepEqual([proposals?.calls, proposals?.removed], [2, TEXT.length - "line 17: lazy\nmore\n".length]);
  const failing = await box.script([{ error: { status: 400, message: "no" } }]);
  const without = await minimize(box, ["a.txt", "--oracle", GREP, ...failing]);
  deepEqual([without.code, without.ended.cost], [0, null]);
  ok(without.events.some(({ type, data }) => type === "minimize.note" && data.text.includes("no proposal")));
});

Deno.test("limits end with the best so far, and the same command goes on from there", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", TEXT);
  const args = ["a.txt", "--oracle", GREP, "-j", "1"];
  const first = await minimize(box, [...args, "--max-calls", "12"]);
  deepEqual([first.code, first.ended.status, first.ended.calls, first.ended.minimal_by], [1, "limit", 12, null]);
  equal((await read(box, "a.minimal.txt")).length, first.ended.size);
  ok(first.ended.size < TEXT.length);
  const second = await minimize(box, args);
  equal(second.code, 0);
  equal(second.ended.answered_before, 10, "three calls of the start are one answer");
  deepEqual(files(box), ["a.minimal.txt", "a.txt"]);
  const whole = await minimize(box, [...args, "-o", "whole.txt"]);
  equal(await read(box, "a.minimal.txt"), await read(box, "whole.txt"));
  equal(first.ended.calls + second.ended.calls, whole.ended.calls);
  const timed = await minimize(box, ["a.txt", "--oracle", `sleep 0.05; ${GREP}`, "--max-seconds", "1", "-o", "t.txt"]);
  deepEqual([timed.code, timed.ended.status], [1, "limit"]);
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`${signal} keeps the best so far and the answers, and ends with ${code}`, async () => {
    await using box = await Sandbox.create();
    await box.file("work/a.txt", TEXT);
    const run = await box.start(["minimize", "--json", "a.txt", "--oracle", `sleep 0.02; ${GREP}`]);
    await until(
      "it made progress",
      () =>
        (run.events as unknown as MinimizeEvent[]).some(({ type, data }) =>
          type === "minimize.progress" && data.size < TEXT.length
        ),
    );
    run.kill(signal);
    const end = await run.end;
    equal(end.code, code, end.stderr);
    const { ended } = told(end);
    equal(ended.status, "interrupted");
    equal((await read(box, "a.minimal.txt")).length, ended.size);
    deepEqual(files(box), ["a.minimal.txt", "a.minimal.txt.gocore-minimize.jsonl", "a.txt"]);
    deepEqual(namesIn(box.tmp), []);
    await box.noProcessLeft();
  });
}

Deno.test("killed at 50 random moments it goes on, repeats no answered call, and ends with the same result", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", TEXT);
  const log = join(box.root, "calls");
  await Deno.writeTextFile(log, "");
  // Contents have no line breaks then. Many calls, so that 50 deaths fit in.
  const oracle = `echo "$RUN $(base64 -w0 <{file})" >>${log}; sleep 0.01; ` +
    `for word in 'line 17' 'line 31' 'quick' 'lazy' 'line 45' 'fox' 'over' 'line 9'; do grep -q "$word" {file} || exit 1; done; exit 0`;
  const args = ["minimize", "--quiet", "a.txt", "--oracle", oracle, "-j", "2"];
  const calls = async () => (await Deno.readTextFile(log)).split("\n").slice(0, -1);
  const journal = join(box.workdir, "a.minimal.txt.gocore-minimize.jsonl");
  const answered = async () =>
    new Set(
      (await Deno.readTextFile(journal).catch(() => "")).split("\n").slice(0, -1).map((line) => JSON.parse(line).key),
    );
  const keyOf = (base64: string) => {
    const text = new TextDecoder().decode(Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0)));
    return contentKey([{ kind: "text", name: "a.txt", text }]);
  };

  let deaths = 0;
  for (let known = new Set<string>(); deaths < 50; deaths++) {
    const before = (await calls()).length;
    const run = await box.start(args, { env: { RUN: String(deaths) } });
    const wanted = before + 1 + Math.floor(Math.random() * 2);
    let hasEnded = false;
    run.end.then(() => hasEnded = true);
    await until("it has asked", async () => hasEnded || (await calls()).length >= wanted);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 15));
    run.kill("SIGKILL");
    const { signal } = await run.end;
    const repeated = (await calls()).map((line) => line.split(" ")).filter(([of, text]) =>
      of === String(deaths) && known.has(keyOf(text ?? ""))
    );
    deepEqual(repeated, [], `run ${deaths}`);
    if (signal !== "SIGKILL") break;
    known = await answered();
  }
  const end = await box.run(args, { env: { RUN: "last" } });
  deepEqual([end.code, end.stderr], [0, ""]);
  const result = await read(box, "a.minimal.txt");
  const whole = await box.run([...args, "-o", "whole.txt"], { env: { RUN: "whole" } });
  deepEqual([whole.code, await read(box, "whole.txt")], [0, result]);
  equal(deaths, 50, "there were calls enough for all of them");
  deepEqual(files(box), ["a.minimal.txt", "a.txt", "whole.txt"]);
  deepEqual(namesIn(box.tmp), []);
  await box.noProcessLeft();
});

Deno.test("a changed oracle or input is another task: its answers are not taken", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", TEXT);
  const script = await box.file("work/check.sh", '#!/bin/sh\ngrep -q lazy "$1"\n');
  await Deno.chmod(script, 0o755);
  const args = ["a.txt", "--oracle", "./check.sh {file}", "-j", "1"];
  equal((await minimize(box, [...args, "--max-calls", "6"])).code, 1);
  await Deno.writeTextFile(script, '#!/bin/sh\ngrep -q quick "$1"\n');
  const { code, events, ended } = await minimize(box, [...args]);
  deepEqual([code, ended.answered_before, await read(box, "a.minimal.txt")], [0, 0, "quick"]);
  ok(events.some(({ type, data }) => type === "minimize.note" && data.text.includes("put aside")));
});

Deno.test("results are written only where they may be, and never over an input", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", "abc\n");
  await box.file("work/b.min.txt", "precious\n");
  await box.file("work/b.txt", "abc\n");
  await Deno.symlink("a.txt", join(box.workdir, "link.txt"));
  const cases: [args: string[], code: number, message: RegExp][] = [
    [["a.txt", "-o", "a.txt"], 2, /it is an input, which is never changed/],
    [["a.txt", "-o", "../work/./a.txt"], 2, /it is an input/],
    [["a.txt", "-o", ".git"], 2, /it is a folder/],
    [["a.txt", "-o", "-"], 2, /Cannot write the result to stdout/],
    [["a.txt", "-o", "/dev/null"], 2, /it is no regular file/],
    [["a.txt", "--also", "b.txt", "-o", "b.minimal.txt"], 2, /Cannot write two results/],
    [["a.txt", "--also", "b.txt", "-o", "b.txt"], 2, /it is an input/],
    [["a.txt", "-o", "a.txt/below"], 1, /Cannot write/],
    [["a.txt", "-o", "/proc/nowhere/out"], 1, /Cannot write/],
    [["."], 2, /it is a folder/],
    [["-"], 2, /cat > case\.txt/],
    [["none"], 2, /no such file/],
  ];
  for (const [args, code, message] of cases) {
    const end = await box.run(["minimize", ...args, "--oracle", "true"]);
    equal(end.code, code, `${args}: ${end.stderr}`);
    match(end.stderr, message);
  }
  deepEqual(files(box), ["a.txt", "b.min.txt", "b.txt", "link.txt"]);
  await box.file("work/b.minimal.txt", "of a former run\n");
  deepEqual([(await minimize(box, ["b.txt", "--oracle", "grep -q b {file}"])).code, await read(box, "b.minimal.txt")], [
    0,
    "b",
  ]);
  equal(await read(box, "b.min.txt"), "precious\n");
  const link = await minimize(box, ["a.txt", "--oracle", "grep -q b {file}", "-o", "link.txt"]);
  deepEqual([link.code, await read(box, "a.txt"), await read(box, "link.txt")], [0, "abc\n", "b"]);
});

Deno.test("two at once do not write the same result", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", "abc\n");
  const args = ["minimize", "--json", "a.txt", "--oracle", `sleep 100000; :`];
  const first = await box.start(args);
  const lock = join(box.workdir, "a.minimal.txt.gocore-minimize.lock");
  await until("the first has begun", () => exists(lock));
  const second = await box.run(args);
  equal(second.code, 1);
  match(second.stderr, new RegExp(`process ${first.pid} does so`));
  first.kill("SIGTERM");
  equal((await first.end).code, 143);
  deepEqual(files(box), ["a.txt"]);
});

Deno.test("a sandboxed oracle cannot write outside of its folder", async () => {
  await using box = await Sandbox.create();
  await box.file("work/a.txt", "abc\n");
  const oracle =
    `touch ${box.workdir}/made; test ! -e ${box.workdir}/made && touch here "$TMPDIR/there" && grep -q b {file}`;
  const { code, stderr } = await box.run(["minimize", "a.txt", "--oracle", oracle, "--sandbox", "require"]);
  if (/needs bubblewrap/.test(stderr)) return;
  equal(code, 0, stderr);
  deepEqual(files(box), ["a.minimal.txt", "a.txt"]);
});
