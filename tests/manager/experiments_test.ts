import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { CitedFiles } from "../../src/manager/cited_files.ts";
import { type ExperimentRequest, runExperiments } from "../../src/manager/experiments.ts";
import type { Evidence, Hypothesis } from "../../src/manager/ports.ts";
import { CALC, type FakePlace, investigate, type Investigation, type Shown } from "./investigation.ts";

const at = (line: number, file = "calc.py"): Evidence => ({ file, line, snippet: CALC.split("\n")[line - 1]!.trim() });

function hypothesis(evidence: readonly Evidence[], checks: readonly string[] = [], id = "w1-h1"): Hypothesis {
  return {
    ...{ hypothesis_id: id, worker_id: "w1", mechanism: "halve", confidence: 0.5 },
    ...{ evidence, disconfirming_checks: checks },
  };
}

async function experiment(
  world: Investigation,
  hypotheses: readonly Hypothesis[],
  show: (commit: string) => Shown | undefined,
  options: Partial<ExperimentRequest> = {},
) {
  const request = { ...await world.request(show), ...options };
  const { trials, ...found } = await runExperiments(hypotheses, new CitedFiles(world.history, request.commit), request);
  return { trials: Object.fromEntries(trials), ...found, request };
}

/** What the traced run says of evidence: for or against, the score, the words. */
async function traced(world: Investigation, evidence: readonly Evidence[], shown: Partial<Shown>) {
  const show = (): Shown => ({ outcome: "match", ...shown });
  const { trials } = await experiment(world, [hypothesis(evidence)], show);
  const { experiments: [first], score } = trials["w1-h1"]!;
  equal(first!.check, "executed");
  return [first!.speaks, score, first!.detail];
}

Deno.test("a cited line that is a frame of the failure, or in its function, speaks for, the innermost one most", () =>
  investigate(async (world) => {
    const frames = [
      { function: "loads", file: "/usr/lib/python3.12/json/__init__.py", line: 7 },
      { function: "halve", file: "/clean/calc.py", line: 7 },
      { function: "add", file: "./calc.py", line: 18 },
      { function: "<module>", file: "/clean/repro_candidate.py", line: 2 },
    ];
    const shown = { frames, executed: { "calc.py": [1, 4, 6, 7, 12, 18] } };
    deepEqual(await traced(world, [at(12), at(7)], shown), ["for", 0.15, "The failure is raised at calc.py:7"]);
    const above = "The failure is raised in the function of calc.py:6";
    deepEqual(await traced(world, [at(18), at(6)], shown), ["for", 0.12, above]);
    deepEqual(await traced(world, [at(18)], shown), ["for", 0.1, "The failure passes at calc.py:18"]);
    deepEqual(await traced(world, [at(17)], shown), ["for", 0.08, "The failure passes in the function of calc.py:17"]);
    deepEqual(await traced(world, [at(12)], shown), ["for", 0.05, "The reproducer executes calc.py:12"]);
    const own = { file: "repro_candidate.py", line: 2, snippet: "halve" };
    deepEqual((await traced(world, [own], shown))[0], null);
  }));

Deno.test("frames of an installed copy and of languages that print no folders are those of the project's file", () =>
  investigate(async (world) => {
    await world.commit({ "src/pkg/calc.py": CALC, "src/com/acme/Calc.java": "class Calc {\n  int x;\n}\n" });
    const cite = (file: string, line: number) => ({ file, line, snippet: "x" });
    const frame = (file: string, line: number) => ({ frames: [{ function: "f", file, line }] });
    const installed = frame("/clean/venv/lib/python3.12/site-packages/pkg/calc.py", 7);
    deepEqual((await traced(world, [cite("src/pkg/calc.py", 7)], installed))[1], 0.15);
    deepEqual((await traced(world, [cite("calc.py", 7)], installed))[1], 0, "another file of that name");
    deepEqual((await traced(world, [cite("src/com/acme/Calc.java", 2)], frame("Calc.java", 2)))[1], 0.15);
    deepEqual((await traced(world, [cite("src/pkg/calc.py", 7)], frame("/clean/calc.py", 7)))[1], 0);
    deepEqual((await traced(world, [cite("calc.py", 7)], frame("/other/calc.py", 7)))[1], 0);
  }));

Deno.test("whoever cites everything gains little by what it hits", () =>
  investigate(async (world) => {
    const frames = [{ function: "halve", file: "/clean/calc.py", line: 7 }];
    const all = Array.from({ length: 10 }, (_, i) => at(i + 4)).filter(({ snippet }) => snippet !== "");
    const [speaks, score] = await traced(world, all, { frames });
    deepEqual([speaks, score], ["for", 0.15 / (all.length / 5)]);
    deepEqual((await traced(world, all.slice(0, 5), { frames }))[1], 0.15);
  }));

Deno.test("a failure that comes and goes is traced when it comes", () =>
  investigate(async (world) => {
    const outcomes: Shown["outcome"][] = ["no_failure", "other_failure", "match", "match"];
    const frames = [{ function: "halve", file: "/clean/calc.py", line: 7 }];
    const show = (): Shown => ({ outcome: outcomes[world.places[0]!.runs - 1]!, frames });
    const { trials } = await experiment(world, [hypothesis([at(7)])], show);
    deepEqual([world.places[0]!.runs, trials["w1-h1"]!.score], [3, 0.15]);
  }));

Deno.test("only what would run and did not speaks against", () =>
  investigate(async (world) => {
    await world.commit({ "other.js": "f();\n", "never.py": "x = 1\n", "repro_candidate.py": "y = 1\n" });
    const executed = { "calc.py": [1, 4, 6, 7], "repro_candidate.py": [1, 2] };
    const nobody = "Nobody can tell whether the cited lines are executed";
    const not = (places: string) => `The reproducer does not execute ${places}`;
    const never = { file: "never.py", line: 1, snippet: "x = 1" };
    const js = { file: "other.js", line: 1, snippet: "f();" };
    const cases: readonly (readonly [readonly Evidence[], unknown])[] = [
      [[at(12)], ["against", -0.15, not("calc.py:12")]],
      [[at(12), never], ["against", -0.15, not("calc.py:12, never.py:1")]],
      [[at(12), at(6)], ["for", 0.05, "The reproducer executes calc.py:6"]],
      // A declaration, a comment, a class.
      ...[at(11), at(5), at(15)].map((one) => [[one], [null, 0, nobody]] as const),
      [[at(12), at(5)], [null, 0, not("calc.py:12")]],
      [[js], [null, 0, nobody]],
    ];
    for (const [evidence, expected] of cases) deepEqual(await traced(world, evidence, { executed }), expected);
    deepEqual(await traced(world, [at(12)], {}), [null, 0, nobody], "not traced");
    const alone = { executed: { "repro_candidate.py": [1, 2] } };
    deepEqual(await traced(world, [at(12)], alone), [null, 0, nobody], "nothing of the project was traced");
  }));

Deno.test("a traced run that ends in another way says nothing", () =>
  investigate(async (world) => {
    const shown = { executed: { "calc.py": [1] }, frames: [{ function: "halve", file: "/clean/calc.py", line: 7 }] };
    for (const other of [{ outcome: "timeout" }, { outcome: "match", template: "even" }] as const) {
      const [speaks, score] = await traced(world, [at(7)], { ...shown, ...other });
      deepEqual([speaks, score], [null, 0]);
    }
  }));

Deno.test("checks that are commands are run, and refute when they end with 0; the others are for people", () =>
  investigate(async (world) => {
    const checks = [
      "Check that `exit 0` is not reached",
      "halve(4) raises; exit 0",
      "$ exit 1",
      "`nothing`",
      "```sh\npython -c 1; exit 0\n```",
      "$ exit 0",
    ];
    const { trials, request } = await experiment(world, [hypothesis([at(5)], checks)], () => ({ outcome: "match" }));
    const { experiments, score } = trials["w1-h1"]!;
    deepEqual(experiments.slice(1), [
      { check: "disconfirming", speaks: null, detail: "Its own check does not refute it (exit 1): `exit 1`" },
      { check: "disconfirming", speaks: null, detail: "Its check could not be run (127): `nothing`" },
      { check: "disconfirming", speaks: "against", detail: "Its own check holds: `python -c 1; exit 0`" },
    ]);
    equal(score, -0.2);
    deepEqual((request.place as FakePlace).checked, ["exit 1", "nothing", "python -c 1; exit 0"]);
  }));

Deno.test("checks are bounded in number and in time", () =>
  investigate(async (world) => {
    const many = Array.from({ length: 9 }, (_, i) => hypothesis([at(5)], Array(9).fill("$ exit 1"), `w1-h${i}`));
    const show = (): Shown => ({ outcome: "match" });
    const { request } = await experiment(world, many, show);
    equal((request.place as FakePlace).checked.length, 15);
    let now = 0;
    const late = await experiment(world, many, show, { now: () => now += 100_000 });
    equal((late.request.place as FakePlace).checked.length, 3);
  }));

Deno.test("the commit that brought the failure speaks for what it wrote, and the log's runs are not repeated", () =>
  investigate(async (world) => {
    const start = await world.git("rev-parse", "HEAD");
    const before = await world.commit({ "far.py": "x = 1\n" }, "Far");
    const culprit = await world.commit({ "calc.py": CALC.replace("n % 2", "n & 1") }, "Faster `halve`");
    const last = await world.commit({ "far.py": "x = 2\n" }, "Farther");
    const good = [start, before];
    const show = (commit: string): Shown => ({ outcome: good.includes(commit) ? "no_failure" : "match" });
    const written = { file: "calc.py", line: 6, snippet: "if n & 1:" };
    const hypotheses = [
      hypothesis([at(5), written], [], "w1-h1"),
      hypothesis([at(11)], [], "w1-h2"),
      hypothesis([{ file: "far.py", line: 1, snippet: "x = 2" }], [], "w1-h3"),
    ];
    const { trials, culprit: found, bisection } = await experiment(world, hypotheses, show, { bisect: true });
    deepEqual([found?.commit, found?.files, found?.good], [culprit, ["calc.py"], before]);
    equal(bisection, "The first of the commits that fail, found in 4 tries");
    const name = `${culprit.slice(0, 10)} ("Faster \`halve\`")`;
    deepEqual(Object.values(trials).map(({ experiments, score }) => [score, experiments[1]]), [
      [0.15, { check: "bisect", speaks: "for", detail: `${name} brought the failure and calc.py:6` }],
      [0.06, { check: "bisect", speaks: "for", detail: `${name} brought the failure and changed calc.py` }],
      [-0.05, { check: "bisect", speaks: "against", detail: `${name} brought the failure and changed no cited file` }],
    ]);
    const runs = world.facts.flatMap((fact) => fact.type === "candidate.run" ? [fact.data] : []);
    deepEqual(runs.map(({ commit, outcome, stage, run }) => [commit, outcome, stage, run]), [
      [culprit, "match", "bisect", 1],
      [before, "no_failure", "bisect", 2],
      [culprit, "match", "bisect", 3],
      [before, "no_failure", "bisect", 4],
    ]);
    deepEqual(world.places.map(({ isOpen, runs }) => [isOpen, runs]), [[true, 1], ...Array(4).fill([false, 1])]);

    world.facts.length = 0;
    const again = await experiment(world, hypotheses, show, { bisect: true, earlierRuns: runs });
    deepEqual(again.culprit, found);
    deepEqual(
      world.facts.flatMap((fact) => fact.type === "candidate.run" ? [fact.data.run] : []),
      [5, 6],
      "only the proof is made again",
    );
    equal(last, again.request.commit);
  }));

Deno.test("bisecting goes around commits without an environment or with another failure, and needs nothing to find", () =>
  investigate(async (world) => {
    const commits: string[] = [await world.git("rev-parse", "HEAD")];
    for (let n = 1; n < 8; n++) commits.push(await world.commit({ "calc.py": `${CALC}# ${n}\n` }, `Commit ${n}`));
    const outcomes: readonly (Shown | undefined)[] = [
      { outcome: "no_failure" },
      { outcome: "no_failure" },
      { outcome: "no_failure" },
      { outcome: "match" },
      undefined,
      { outcome: "match", template: "even" },
      { outcome: "broken" },
      { outcome: "match" },
    ];
    const show = (commit: string) => outcomes[commits.indexOf(commit)];
    const { culprit } = await experiment(world, [hypothesis([at(7)])], show, { bisect: true });
    equal(culprit?.commit, commits[3]);
    const told = new Map(
      world.facts.flatMap(({ type, data }) => type === "candidate.run" ? [[data.commit, data.outcome]] : []),
    );
    deepEqual([told.get(commits[5]!), told.get(commits[6]!)], ["other_failure", "broken"]);
    const without = await experiment(world, [hypothesis([at(7)])], show);
    deepEqual([without.culprit, without.bisection], [null, "The commit that brought it was not looked for"]);
  }));

Deno.test("runExperiments() ends when it is told to", () =>
  investigate(async (world) => {
    const signal = AbortSignal.abort(new Error("stop"));
    const show = (): Shown => ({ outcome: "match" });
    await rejects(experiment(world, [hypothesis([at(7)])], show, { signal }), /stop/);
  }));
