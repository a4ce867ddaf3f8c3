/** `gocore eval numpy-convolve --mode live` on a project that is built in a moment. */
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { evaluate } from "../commands/eval/evaluate_convolve.ts";
import { BUGGY, FIXED, makeFakeNumpy } from "../commands/eval/fake_numpy.ts";
import { FakeAgents } from "../support/fake_agents.ts";
import { Sandbox } from "../support/gocore.ts";
import { namesIn } from "../support/temp_dir.ts";

Deno.test("live builds, lets an agent mend it, and believes only its patch", async () => {
  await using agents = await FakeAgents.create(["mender"]);
  const { sandbox } = agents;
  const numpy = await makeFakeNumpy(sandbox);
  const args = ["--mode", "live", "--python-version", await pythonVersion(), "--max-runtime-sec", "600"];
  const config = ["--agent", "mender", "--config", join(sandbox.root, "agents/gocore.toml")];
  const mended = await sandbox.file("agents/mended.py", FIXED);
  await agents.behave(
    "mender",
    "task",
    `git cat-file -e HEAD:numpy/_core/numeric.py || exit 9\ncp ${mended} numpy/_core/numeric.py\nexit 0\n`,
  );
  const passed = await evaluate(sandbox, numpy, [...args, ...config]);
  equal(passed.code, 0, passed.stdout + passed.stderr);
  deepEqual(namesIn(passed.folder), [
    ...["after_oracle.json", "before_oracle.json", "build_after.log", "build_before.log", "build_reference.log"],
    ...["candidate.patch", "candidate_patch_validation.json", "codex_output.txt", "metadata.json"],
    ...["reference_oracle.json", "summary.json"],
  ]);
  const { before_oracle, after_oracle, reference_oracle, codex_invoked, candidate_diff_path } = passed.summary;
  deepEqual([before_oracle, after_oracle, reference_oracle, codex_invoked], ["bug_present", "fixed", "fixed", true]);
  equal(candidate_diff_path, join(passed.folder, "candidate.patch"));
  deepEqual(await passed.read("candidate_patch_validation.json"), {
    ...{ valid: true, non_empty: true, touches_target: true, applies: true },
    files: ["numpy/_core/numeric.py"],
    problems: [],
  });
  match((await passed.read("after_oracle.json")).numpy_path, /\/work\/after-venv\/.*site-packages\/numpy$/);

  await agents.behave("mender", "task", "echo note > numpy/NOTES\nexit 0\n");
  const beside = await evaluate(sandbox, numpy, [...args, ...config]);
  deepEqual([beside.code, beside.summary.reason, beside.summary.after_oracle], [
    ...[1, "The patch does not touch numpy/_core/numeric.py", "not_run"],
  ]);
  await agents.behave("mender", "task", "echo '# looked at' >> numpy/_core/numeric.py\nexit 0\n");
  const unchanged = await evaluate(sandbox, numpy, [...args, ...config]);
  deepEqual([unchanged.code, unchanged.summary.after_oracle], [1, "not_fixed"]);
  match(unchanged.summary.reason, /^With the patch: The bug is there/);
});

Deno.test("live says what is missing, all at once, and builds nothing then", async () => {
  await using sandbox = await Sandbox.create();
  const numpy = await makeFakeNumpy(sandbox);
  const absent = { ...numpy, fix: "1".repeat(40) };
  const { code, summary, folder } = await evaluate(sandbox, absent, ["--mode", "live", "--python-version", "3.99"]);
  deepEqual([code, summary.status, summary.codex_invoked], [75, "skipped", false]);
  const reasons = summary.skip_reason.split("; ");
  const fetch = `\`git -C ${numpy.path} fetch origin ${"1".repeat(40)}\``;
  equal(reasons[0], `Missing: the commit ${"1".repeat(40)} in the repository (${fetch})`);
  match(summary.skip_reason, /Python 3\.99 \(found 3\.\d+\.\d+; `uv` would get it\)/);
  match(summary.skip_reason, /an agent \(codex or mini\): .*(?:codex|mini): /);
  deepEqual(namesIn(folder), ["metadata.json", "summary.json"]);
});

Deno.test("live tells a network that is missing from a build that fails", async () => {
  await using agents = await FakeAgents.create(["mender"]);
  const { sandbox } = agents;
  const numpy = await makeFakeNumpy(sandbox);
  const args = ["--mode", "live", "--python-version", await pythonVersion(), "--agent", "mender"];
  const config = ["--config", join(sandbox.root, "agents/gocore.toml")];
  const offline = { broken: "urlopen: Temporary failure in name resolution" };
  const noNetwork = await evaluate(sandbox, { ...numpy, bug: await numpy.commit(BUGGY, offline) }, [
    ...args,
    ...config,
  ]);
  deepEqual([noNetwork.code, noNetwork.summary.status], [75, "skipped"]);
  match(noNetwork.summary.skip_reason, /^Missing: a network to build NumPy: /);
  const broken = await numpy.commit(BUGGY, { broken: "meson: no such option" });
  const failed = await evaluate(sandbox, { ...numpy, bug: broken }, [...args, ...config]);
  deepEqual([failed.code, failed.summary.status, failed.summary.before_oracle], [1, "failed", "not_run"]);
  match(failed.summary.reason, /pip.* ended with 1: .*/s);
});

Deno.test("live ends in time, and when it is told to, and leaves nothing but artifacts", async () => {
  await using agents = await FakeAgents.create(["mender"]);
  const { sandbox } = agents;
  const numpy = await makeFakeNumpy(sandbox);
  const args = ["--mode", "live", "--python-version", await pythonVersion(), "--agent", "mender"];
  const config = ["--config", join(sandbox.root, "agents/gocore.toml")];
  const late = await evaluate(sandbox, numpy, [...args, ...config, "--max-runtime-sec", "0.5"]);
  deepEqual([late.code, late.summary.status, late.summary.reason], [1, "failed", "It took more than 0.5 s"]);
  equal(namesIn(late.folder).includes("work"), false);

  await agents.behave("mender", "task", "mark working\nsleep 100000\n");
  const runs = join(sandbox.root, "cut");
  const run = await sandbox.start([
    ...["eval", "numpy-convolve", "--numpy-repo-path", numpy.path, "--runs-root", runs, ...args, ...config],
    ...["--bug-commit", numpy.bug, "--reference-fix-commit", numpy.fix],
  ], { env: { OPENAI_API_KEY: "sk-nobody-is-asked-with-this" } });
  await agents.marked("working");
  run.kill("SIGTERM");
  equal((await run.end).code, 143);
  await sandbox.noProcessLeft();
  const folder = join(runs, namesIn(runs)[0]!);
  const summary = JSON.parse(await Deno.readTextFile(join(folder, "summary.json")));
  deepEqual([summary.status, summary.reason, summary.codex_invoked], ["failed", "It was interrupted", true]);
  equal(namesIn(folder).includes("work"), false);
});

async function pythonVersion(): Promise<string> {
  const code = "import sys; print('%d.%d' % sys.version_info[:2])";
  const { stdout } = await new Deno.Command("python3", { args: ["-c", code] }).output();
  return new TextDecoder().decode(stdout).trim();
}
