import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import type { Hypothesis } from "../../src/manager/ports.ts";
import { rankHypotheses, type Ranking, readHypotheses } from "../../src/manager/triage.ts";
import { CALC, failureWith, investigate, type Investigation } from "./investigation.ts";

const GOOD = {
  hypothesis_id: "theirs",
  mechanism: "halve refuses numbers that are odd",
  evidence: [{ file: "calc.py", line: 7, snippet: 'raise ValueError("odd")' }],
  confidence: 0.5,
  disconfirming_checks: ["halve(4) raises"],
};
const READ: Hypothesis = { ...GOOD, hypothesis_id: "w3-h1", worker_id: "w3" };

// --- answers

Deno.test("readHypotheses() takes the last object that has a list of them, and names them itself", () => {
  const objects = [{ hypotheses: [] }, { hypotheses: [GOOD, GOOD] }, { hypotheses: "none" }, {}];
  deepEqual(readHypotheses(objects, "w3"), {
    hypotheses: [READ, { ...READ, hypothesis_id: "w3-h2" }],
    problems: [],
  });
  deepEqual(readHypotheses([{}], "w3"), { hypotheses: [], problems: ['w3: no answer has a list "hypotheses"'] });
});

Deno.test("readHypotheses() tells what is wrong, and keeps what can be used", () => {
  const hypotheses = [
    { ...GOOD, mechanism: " " },
    null,
    { ...GOOD, confidence: "high", evidence: "calc.py:7" },
    { ...GOOD, confidence: 7, disconfirming_checks: "none" },
    { ...GOOD, confidence: -1, disconfirming_checks: ["a", 1, ""] },
    { ...GOOD, evidence: [{ file: "calc.py", line: 0, snippet: "" }, { file: 3, line: "7", snippet: "x" }, "calc.py"] },
    { ...GOOD, evidence: [{ file: "calc.py", line: "7", snippet: "x" }, { file: "calc.py", line: 7.5, snippet: "x" }] },
  ];
  const { hypotheses: read, problems } = readHypotheses([{ hypotheses }], "w1");
  deepEqual(problems, [
    'w1-h1: "mechanism" is no text',
    'w1-h2: "mechanism" is no text',
    'w1-h3: "evidence" is no list',
    'w1-h3: "confidence" is no number, and counts as 0',
    'w1-h4: "disconfirming_checks" is no list',
    'w1-h6: evidence 1 has no "line" and no "snippet"',
    'w1-h6: evidence 2 has no "file"',
    'w1-h6: evidence 3 has no "file" and no "line" and no "snippet"',
    'w1-h7: evidence 2 has no "line"',
  ]);
  deepEqual(
    read.map(({ hypothesis_id, confidence, evidence, disconfirming_checks }) => [
      ...[hypothesis_id, confidence, evidence.length, disconfirming_checks],
    ]),
    [
      ["w1-h3", 0, 0, GOOD.disconfirming_checks],
      ["w1-h4", 1, 1, []],
      ["w1-h5", 0, 1, ["a"]],
      ["w1-h6", 0.5, 0, GOOD.disconfirming_checks],
      ["w1-h7", 0.5, 1, GOOD.disconfirming_checks],
    ],
  );
});

Deno.test("readHypotheses() reads a bounded part of an endless answer", () => {
  const many = { ...GOOD, mechanism: "m".repeat(1e6), evidence: Array(1000).fill(GOOD.evidence[0]) };
  const { hypotheses, problems } = readHypotheses([{ hypotheses: Array(1000).fill(many) }], "w1");
  equal(hypotheses.length, 20);
  deepEqual([hypotheses[0]!.mechanism.length, hypotheses[0]!.evidence.length], [4000, 20]);
  ok(problems.includes("w1: only 20 of 1000 hypotheses are read"));
});

Deno.test("readHypotheses() takes any JSON, and no prototype for a member", () => {
  deepEqual(readHypotheses([JSON.parse('{"__proto__":{"hypotheses":[]}}')], "w1").hypotheses, []);
  fc.assert(fc.property(fc.array(fc.jsonValue()), (values) => {
    readHypotheses(values.map((value) => ({ hypotheses: value })), "w1");
    readHypotheses([{ hypotheses: values }], "w1");
    readHypotheses([{ hypotheses: [{ ...GOOD, evidence: values, disconfirming_checks: values }] }], "w1");
  }));
});

// --- evidence

type Cited = readonly [file: string, line: number, snippet: string];

/** What became of evidence: the line where it is, or the problem. */
async function judge(world: Investigation, cited: readonly Cited[], roots: readonly string[] = []) {
  const verdicts: (number | string)[] = [];
  for (const [file, line, snippet] of cited) {
    const ranking = await rank(world, { w1: [{ ...GOOD, evidence: [{ file, line, snippet }] }] }, roots);
    const [kept] = ranking.ranked;
    const reason = ranking.rejected[0]?.reason ?? "";
    verdicts.push(kept?.evidence[0]?.line ?? reason.split(": ").at(-1)!);
  }
  return verdicts;
}

async function rank(
  world: Investigation,
  answers: Readonly<Record<string, readonly unknown[]>>,
  roots: readonly string[] = [],
): Promise<Ranking> {
  return await rankHypotheses({
    ...await world.request(() => ({ outcome: "match" })),
    answers: Object.entries(answers).map(([worker, hypotheses]) => ({ worker, objects: [{ hypotheses }] })),
    failure: failureWith([{ function: "halve", file: "/clean/calc.py", line: 7 }]),
    roots,
  });
}

Deno.test("evidence counts when its snippet is in the line or two lines around, whatever its blanks", () =>
  investigate(async (world) => {
    const raise = 'raise ValueError("odd")';
    deepEqual(
      await judge(world, [
        ["calc.py", 7, raise],
        ["calc.py", 7, '  raise   ValueError( "odd" )\t'],
        ["calc.py", 5, raise],
        ["calc.py", 9, raise],
        ["./calc.py", 6, `if n % 2:\n\n    ${raise}\n`],
        ["calc.py", 8, "return n // 2\ndef double(n):\r\n    return n * 2"],
        ["calc.py", 4, raise],
        ["calc.py", 7, "raise TypeError"],
        ["calc.py", 6, `if n % 2:\n    return 1`],
        ["calc.py", 7, "(n"],
        ["calc.py", 7, "\n \n)"],
        ["calc.py", 900, raise],
      ]),
      [
        ...[7, 7, 7, 7, 6, 8],
        "the snippet is in line 7",
        "the snippet is not there",
        "the snippet is not there",
        "the snippet is too short to tell anything",
        "the snippet is too short to tell anything",
        "the file has 19 lines",
      ],
    );
  }));

Deno.test("evidence is in a text file of the run's commit, and nowhere else", () =>
  investigate(async (world) => {
    const { root, git } = world;
    await Deno.writeFile(join(root, "binary"), new Uint8Array([65, 66, 67, 0]));
    await Deno.writeTextFile(join(root, "huge"), "ABC\n".repeat(600_000));
    await Deno.writeTextFile(join(root, "gone"), "ABC\n");
    await Deno.symlink("calc.py", join(root, "link.py"));
    await Deno.symlink("/etc", join(root, "etc"));
    await world.commit({ "sub/x\ny.txt": "ABC\n" });
    await git("rm", "--quiet", "gone");
    await world.commit({});
    await Deno.writeTextFile(join(root, "new"), "ABC\n");
    const outside = ["../repo/calc.py", "sub/../calc.py", "/etc/passwd", "/work/calc.py/", "..", ".", "a\0b", "/"];
    const none = ["binary", "huge", "gone", "new", "link.py", "etc/passwd", "sub", "*.py", ":(glob)**", "--help"];
    const cite = (path: string): Cited => [path, 1, "ABC"];
    deepEqual(await judge(world, [cite("sub/x\ny.txt"), cite(`${root}/sub//x\ny.txt`)]), [1, 1]);
    deepEqual(await judge(world, [cite("/tmp/w1/sub/x\ny.txt")], ["/tmp/w1"]), [1]);
    const anywhere = await judge(world, outside.map(cite));
    deepEqual(anywhere, outside.map(() => "the path is not in the repository"));
    deepEqual(await judge(world, none.map(cite)), none.map(() => "no such text file at this commit"));
  }));

Deno.test("rankHypotheses() drops evidence that is not there and hypotheses without any, and says so", () =>
  investigate(async (world) => {
    const wrong = { file: "calc.py", line: 1, snippet: "import numpy" };
    const moved = { file: "calc.py", line: 6, snippet: "raise ValueError" };
    const { ranked, rejected, problems } = await rank(world, {
      w1: [
        { ...GOOD, evidence: [GOOD.evidence[0], wrong, moved, GOOD.evidence[0]] },
        { ...GOOD, evidence: [wrong] },
        { ...GOOD, evidence: [] },
        {},
      ],
    });
    deepEqual(problems, ['w1-h4: "mechanism" is no text']);
    const [first] = ranked;
    deepEqual([ranked.length, first!.evidence], [1, GOOD.evidence]);
    deepEqual(first!.rejected_evidence, [{ ...wrong, problem: "the snippet is not there" }]);
    deepEqual(first!.experiments[0], {
      check: "evidence",
      speaks: null,
      detail: "3 of 4 pieces of evidence are there; calc.py:1: the snippet is not there",
    });
    deepEqual(rejected.map(({ hypothesis, reason }) => [hypothesis.hypothesis_id, reason]), [
      ["w1-h2", "0 of 1 pieces of evidence are there; calc.py:1: the snippet is not there"],
      ["w1-h3", "No evidence is cited"],
    ]);
    deepEqual(
      world.facts.filter(({ data }) => "check" in data && data.check === "evidence").map(({ data }) =>
        "speaks" in data && data.speaks
      ),
      [null, "against", "against"],
    );
  }));

// --- scores

const at = (line: number, snippet: string) => ({ file: "calc.py", line, snippet });
const HALVE = at(8, "return n // 2");
const RAISE = at(7, "raise ValueError");
const CHECK = at(6, "if n % 2");
const DOUBLE = at(12, "return n * 2");
const TOTAL = { file: "far.py", line: 1, snippet: "total = 0" };
const RETURN = { file: "far.py", line: 2, snippet: "rest = 0" };

Deno.test("scores are the seed's sum: evidence, agreement, replay, confidence", () =>
  investigate(async (world) => {
    await world.commit({ "far.py": "total = 0\nrest = 0\n" });
    const claim = (mechanism: string, confidence: number, ...evidence: unknown[]) => ({
      ...GOOD,
      ...{ mechanism, confidence, evidence, disconfirming_checks: [] },
    });
    const { ranked } = await rank(world, {
      w1: [claim("halve raises ValueError early", 1, RAISE, CHECK, HALVE), claim("nothing known here", 0, TOTAL)],
      w2: [claim("division wrong", 0.4, HALVE, RAISE)],
      w3: [claim("adder broken", 0.5, RETURN)],
    });
    deepEqual(ranked.map(({ hypothesis_id, score, score_parts }) => [hypothesis_id, score, score_parts]), [
      // One of the two others cites the same lines; Of its six words, "raises" and "early" are not in the reproducer.
      ["w1-h1", 0.80833, { evidence: 0.4, agreement: 0.125, replay: 0.13333, confidence: 0.15, experiments: 0 }],
      ["w2-h1", 0.45167, { evidence: 0.26667, agreement: 0.125, replay: 0, confidence: 0.06, experiments: 0 }],
      ["w3-h1", 0.33333, { evidence: 0.13333, agreement: 0.125, replay: 0, confidence: 0.075, experiments: 0 }],
      ["w1-h2", 0.25833, { evidence: 0.13333, agreement: 0.125, replay: 0, confidence: 0, experiments: 0 }],
    ]);
  }));

Deno.test("agreement is of other workers: near lines, the same function, or the same words", () =>
  investigate(async (world) => {
    const body = Array.from({ length: 40 }, (_, i) => `    step_${i}()`).join("\n");
    await world.commit({ "long.py": `def long():\n${body}\n\n\ndef next():\n    pass\n` });
    const cite = (line: number) => ({
      file: "long.py",
      line,
      snippet: line === 45 ? "def next" : `step_${line - 2}()`,
    });
    const agreement = async (a: object, b: object, worker = "w2") => {
      const answers = worker === "w1"
        ? { w1: [{ ...GOOD, ...a }, { ...GOOD, ...b }] }
        : { w1: [{ ...GOOD, ...a }], [worker]: [{ ...GOOD, ...b }] };
      return (await rank(world, answers)).ranked.map(({ score_parts }) => score_parts.agreement);
    };
    const one = { mechanism: "alpha", evidence: [cite(2)] };
    deepEqual(await agreement(one, { mechanism: "beta", evidence: [cite(12)] }), [0.25, 0.25]);
    deepEqual(await agreement(one, { mechanism: "beta", evidence: [cite(40)] }), [0.25, 0.25]);
    deepEqual(await agreement(one, { mechanism: "beta", evidence: [cite(45)] }), [0, 0]);
    deepEqual(await agreement(one, { mechanism: "beta", evidence: [RAISE] }), [0, 0]);
    deepEqual(await agreement(one, { mechanism: "alpha", evidence: [RAISE] }), [0, 0]);
    const told = "the arguments are swapped before their lengths are checked";
    const retold = "Lengths are checked only after swapped arguments arrive";
    deepEqual(
      await agreement({ ...one, mechanism: told }, { mechanism: retold, evidence: [RAISE] }),
      [0.25, 0.25],
    );
    deepEqual(await agreement(one, one, "w1"), [0, 0]);
  }));

Deno.test("equal scores are put in order by confidence and name, whatever order the answers have", () =>
  investigate(async (world) => {
    const same = { ...GOOD, evidence: [DOUBLE], mechanism: "swapped" };
    const answers = { w2: [same, same], w1: [same], w10: [{ ...same, confidence: 0.9 }] };
    const names = async (order: Readonly<Record<string, readonly unknown[]>>) =>
      (await rank(world, order)).ranked.map(({ hypothesis_id }) => hypothesis_id);
    const expected = ["w10-h1", "w1-h1", "w2-h1", "w2-h2"];
    deepEqual(await names(answers), expected);
    deepEqual(await names(Object.fromEntries(Object.entries(answers).reverse())), expected);
  }));

Deno.test("whatever is answered, scores are from 0 to 1, in order, and evidence is in the repository", () =>
  investigate(async (world) => {
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom("calc.py", "../calc.py", 7, 8, 'raise ValueError("odd")'),
    );
    const evidence = fc.record({
      file: fc.oneof({ weight: 4, arbitrary: fc.constantFrom("calc.py", "./calc.py", "a.txt") }, anything),
      line: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }) }, anything),
      snippet: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...CALC.split("\n"), "1", "n") }, anything),
    });
    const answer = fc.record({
      mechanism: fc.oneof(fc.string(), fc.constantFrom("halve is odd", "raise ValueError"), anything),
      evidence: fc.oneof({ weight: 5, arbitrary: fc.array(evidence) }, anything),
      confidence: fc.oneof(fc.double(), fc.double({ min: 0, max: 1 }), anything),
      disconfirming_checks: fc.oneof(fc.array(fc.constantFrom("$ exit 0", "$ exit 1", "`x`", "read")), anything),
    });
    const given = await world.request(() => ({ outcome: "match", executed: { "calc.py": [6, 7] } }));
    const lines = CALC.split("\n");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(answer), { maxLength: 4 }), async (workers) => {
        const answers = workers.map((hypotheses, i) => ({ worker: `w${i}`, objects: [{ hypotheses }] }));
        const { ranked } = await rankHypotheses({ ...given, answers, failure: null, roots: [] });
        for (const [i, one] of ranked.entries()) {
          ok(one.score >= 0 && one.score <= 1 && Math.abs(one.score_parts.experiments) <= 0.3);
          ok(i === 0 || ranked[i - 1]!.score >= one.score);
          for (const { file, line, snippet } of one.evidence) {
            ok(file === "calc.py" || file === "a.txt", file);
            const first = snippet.split("\n").find((part) => part.trim() !== "")!.replaceAll(/\s/g, "");
            if (file === "calc.py") ok(lines[line - 1]!.replaceAll(/\s/g, "").includes(first));
          }
        }
      }),
      { numRuns: 40 },
    );
  }));

Deno.test("rankHypotheses() without any answer is empty, and ends when it is told to", () =>
  investigate(async (world) => {
    deepEqual(await rank(world, {}), {
      ...{
        ranked: [],
        rejected: [],
        problems: [],
        culprit: null,
        bisection: "The commit that brought it was not looked for",
      },
    });
    const request = await world.request(() => ({ outcome: "match" }));
    const signal = AbortSignal.abort(new Error("stop"));
    const answers = [{ worker: "w1", objects: [{ hypotheses: [GOOD] }] }];
    await rejects(rankHypotheses({ ...request, answers, failure: null, roots: [], signal }), /stop/);
  }));
