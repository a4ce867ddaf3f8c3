import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { createHash } from "node:crypto";
import { askConvolve, type OracleVerdict } from "../../../src/commands/eval/convolve_oracle.ts";
import { Sandbox } from "../../support/gocore.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";
import { evaluate } from "./evaluate_convolve.ts";
import { BUGGY, FIXED, makeFakeNumpy } from "./fake_numpy.ts";

const never = new AbortController().signal;

/** The function as somebody might have doctored it. */
const DOCTORED: readonly (readonly [what: string, source: string, verdict: OracleVerdict, detail: RegExp])[] = [
  ["as it was", BUGGY, "bug_present", /^The bug is there: an empty `a` gives "ValueError: v cannot be empty"/],
  ["mended", FIXED, "fixed", /^The bug is not there: an empty `a` gives "ValueError: a cannot be empty"/],
  ["other message", BUGGY.replace("'v cannot", "'w cannot"), "unexpected", /^Neither the bug nor its fix/],
  ["other type", BUGGY.replaceAll("ValueError", "TypeError"), "unexpected", /^Neither the bug nor its fix/],
  ["no check", BUGGY.replaceAll("== 0", "== -1"), "unexpected", /^Neither the bug nor its fix/],
  ["swapped names", FIXED.replace("'a c", "'x c").replace("'v c", "'a c"), "unexpected", /^Neither/],
  [
    "always fails",
    BUGGY.replace("    a, v = array", "    raise ValueError('v cannot be empty')\n    a, v = array"),
    ...[
      "unexpected",
      /^`convolve` does not work at all: ValueError: v cannot be empty$/,
    ] as const,
  ],
  [
    "answers wrongly",
    BUGGY.replace("v[::-1]", "v"),
    "unexpected",
    /^`convolve` answers wrongly: \[5,14,11,6\]|wrongly/,
  ],
  ["no function", BUGGY.replace("def convolve", "def convolute"), "unexpected", /has no function `convolve`$/],
  ["only a comment", "# def convolve(a, v): raise ValueError('v cannot be empty')\n", "unexpected", /has no function/],
  ["in a class", "class C:\n    def convolve(a, v):\n        pass\n", "unexpected", /has no function `convolve`$/],
  ["no Python", BUGGY.replace("def convolve(", "def convolve(("), "unexpected", /SyntaxError/],
  ["empty", "", "unexpected", /has no function `convolve`$/],
  [
    "needs more",
    BUGGY.replace("multiarray.correlate(a, v[", "more.correlate(a, v["),
    "unexpected",
    /NameError: name 'more'/,
  ],
  ["exits", BUGGY.replace("    a, v = a", "    raise SystemExit(0)\n    a, v = a"), "unexpected", /SystemExit: 0$/],
  [
    "kills itself",
    BUGGY.replace("    a, v = a", "    import os; os._exit(0)\n    a, v = a"),
    "unexpected",
    /no report/,
  ],
  ["prints the answer", BUGGY.replace("    a, v = a", '    print("{}")\n    a, v = a'), "bug_present", /^The bug/],
];

Deno.test("the oracle believes what `convolve` does, and nothing else", async () => {
  const python = await pythonPath();
  await inTempDir(async (dir) => {
    const ask = async (source: string) => {
      const folder = await Deno.makeTempDir({ dir });
      return await askConvolve({
        ...{ python, readable: [], source, commit: "c", folder },
        ...{ env: { PATH: Deno.env.get("PATH")! }, signal: never },
      });
    };
    const records = await Promise.all(DOCTORED.map(([, source]) => ask(source)));
    for (const [i, [what, source, verdict, detail]] of DOCTORED.entries()) {
      equal(records[i]!.verdict, verdict, `${what}: ${records[i]!.detail}`);
      match(records[i]!.detail, detail, what);
      equal(records[i]!.source_sha256, createHash("sha256").update(source).digest("hex"));
    }
    const { duration_ms, stdout, command, sandbox, python: version, source_sha256, ...rest } = records[0]!;
    deepEqual(rest, {
      verdict: "bug_present",
      detail: 'The bug is there: an empty `a` gives "ValueError: v cannot be empty", an empty `v` gives ' +
        '"ValueError: v cannot be empty"',
      first_error: "ValueError: v cannot be empty",
      second_error: "ValueError: v cannot be empty",
      commit: "c",
      ...{ numpy: null, numpy_path: null, exit_code: 0, stderr: "" },
    });
    ok(duration_ms > 0 && sandbox !== "" && source_sha256 !== null);
    match(version!, /^3\.\d+\.\d+/);
    deepEqual([command[0], command[1], JSON.parse(stdout).problem], [python, "-I", null]);
  });
});

Deno.test("offline passes with the bug and its fix, and keeps what it ran", async () => {
  await using sandbox = await Sandbox.create();
  const numpy = await makeFakeNumpy(sandbox);
  const { code, stdout, stderr, folder, summary, read } = await evaluate(sandbox, numpy, ["--mode", "offline"]);
  equal(code, 0, stdout + stderr);
  match(stdout, /^passed: The bug is there: .*; with the fix: The bug is not there: .*\nSummary: .*summary\.json\n$/);
  match(folder, /\/numpy-convolve-eval-\d{14}$/);
  deepEqual(namesIn(folder), ["before_oracle.json", "metadata.json", "reference_oracle.json", "summary.json"]);
  const { reason, finished_at, ...rest } = summary;
  deepEqual(rest, {
    status: "passed",
    before_oracle: "bug_present",
    after_oracle: "not_run",
    reference_oracle: "fixed",
    codex_invoked: false,
    skip_reason: null,
    artifacts_dir: folder,
    candidate_diff_path: null,
  });
  ok(reason.startsWith("The bug is there") && !Number.isNaN(Date.parse(finished_at)));
  const { gocore_version, platform, started_at, ...metadata } = await read("metadata.json");
  deepEqual(metadata, {
    eval: "numpy-convolve",
    mode: "offline",
    issue_url: "https://github.com/numpy/numpy/issues/30272",
    numpy_repo_path: numpy.path,
    bug_commit: numpy.bug,
    reference_fix_commit: numpy.fix,
    python_version: "3.12",
    max_runtime_sec: 900,
    agent: null,
  });
  ok(gocore_version && platform && started_at);
  deepEqual([(await read("before_oracle.json")).commit, (await read("reference_oracle.json")).commit], [
    numpy.bug,
    numpy.fix,
  ]);
});

Deno.test("offline fails on a doctored fixture and skips without the commits; a wrong place is a usage error", async () => {
  await using sandbox = await Sandbox.create();
  const numpy = await makeFakeNumpy(sandbox);
  const doctored = await numpy.commit(BUGGY.replaceAll("v cannot", "w cannot"));
  const other = await evaluate(sandbox, { ...numpy, bug: doctored }, ["--json"]);
  equal(other.code, 1);
  deepEqual(JSON.parse(other.stdout), other.summary);
  deepEqual([other.summary.status, other.summary.before_oracle], ["failed", "unexpected"]);
  const mended = await evaluate(sandbox, { ...numpy, bug: numpy.fix }, []);
  deepEqual([mended.code, mended.summary.before_oracle], [1, "unexpected"]);
  match(mended.stdout, /^failed: The bug is not there/);
  const unmended = await evaluate(sandbox, { ...numpy, fix: numpy.bug }, []);
  deepEqual([unmended.code, unmended.summary.reference_oracle], [1, "bug_present"]);
  const absent = await evaluate(sandbox, { ...numpy, bug: "0".repeat(40) }, []);
  deepEqual([absent.code, absent.summary.status, absent.summary.skip_reason], [
    75,
    "skipped",
    `Missing: the commit ${"0".repeat(40)} in the repository (\`git -C ${numpy.path} fetch origin ${"0".repeat(40)}\`)`,
  ]);
  const refusal = async (...place: string[]) => {
    const { code, stderr } = await sandbox.run(["eval", "numpy-convolve", ...place]);
    equal(code, 2);
    return stderr.split("\n").slice(0, 2);
  };
  const clone = "Hint: Make one: `git clone https://github.com/numpy/numpy";
  deepEqual(await refusal(), [
    "Error: Cannot evaluate: need a clone of NumPy, found no --numpy-repo-path",
    `${clone}\``,
  ]);
  deepEqual(await refusal("--numpy-repo-path", sandbox.tmp), [
    `Error: Cannot use --numpy-repo-path: need a clone of NumPy, found no git repository in "${sandbox.tmp}"`,
    `${clone}\``,
  ]);
  deepEqual(await refusal("--numpy-repo-path", `${sandbox.tmp}/x`), [
    `Error: Cannot use --numpy-repo-path: need a clone of NumPy, found no folder "${sandbox.tmp}/x"`,
    `${clone} ${sandbox.tmp}/x\``,
  ]);
});

async function pythonPath(): Promise<string> {
  const { stdout } = await new Deno.Command("python3", { args: ["-c", "import sys; print(sys.executable)"] }).output();
  return new TextDecoder().decode(stdout).trim();
}
