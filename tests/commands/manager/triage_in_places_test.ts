/** Hypotheses ranked by experiments with real programs, in real clean places. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { openHistory } from "../../../src/git/history.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { judgeScript } from "../../../src/manager/judge_script.ts";
import type { Candidate, IssueSpec, RankedHypothesis } from "../../../src/manager/ports.ts";
import { rankHypotheses, type Ranking } from "../../../src/manager/triage.ts";
import type { ExpectedFailure } from "../../../src/oracle/expected.ts";
import { runCommand } from "../../../src/process/spawn.ts";
import { candidate, never, type PlacesScratch, withPlaces } from "./places/scratch_places.ts";

interface Bug {
  readonly script: string;
  readonly candidate: Partial<Candidate>;
  readonly expected: Partial<ExpectedFailure>;
  /** By worker. */
  readonly answers: Readonly<Record<string, readonly unknown[]>>;
}

async function investigate(scratch: PlacesScratch, bug: Bug): Promise<Ranking & { readonly facts: EventFact[] }> {
  const { repository, env, git, places, ready } = scratch;
  const facts: EventFact[] = [];
  const history = await openHistory(repository, { env, run: runCommand });
  const expected: ExpectedFailure = {
    ...{ type: null, message: null, pattern: null, exitCode: null, signal: null, frames: [], runtime: null },
    ...{ shows: "failure", ...bug.expected },
  };
  const spec = { expected_failure_signals: [{ expected }] } as unknown as IssueSpec;
  const place = await ready(bug.candidate);
  const first = await place.run(bug.script, { fresh: true, signal: never });
  const { judgement, signature } = judgeScript(first, spec);
  equal(judgement.outcome, "match", `${judgement.reason}\n${first.end.stderr}`);
  try {
    const ranking = await rankHypotheses({
      answers: Object.entries(bug.answers).map(([worker, hypotheses]) => ({ worker, objects: [{ hypotheses }] })),
      failure: judgement.failure,
      roots: [],
      repository: history,
      commit: await git("rev-parse", "HEAD"),
      candidate: candidate(bug.candidate),
      script: bug.script,
      signature: signature!,
      judge: (run) => judgeScript(run, spec),
      place,
      places,
      bisect: true,
      goodRefs: [],
      earlierRuns: [],
      publish: (fact) => Promise.resolve(void facts.push(fact)),
      signal: never,
      now: Date.now,
    });
    return { ...ranking, facts };
  } finally {
    await place.close();
  }
}

const shown = ({ hypothesis_id, experiments, score_parts }: RankedHypothesis) => [
  hypothesis_id,
  score_parts.experiments,
  experiments.map(({ check, speaks }) => `${check} ${speaks}`),
];

const STATS = `def mean(numbers):
    total = sum(numbers)
    return divide(total, len(numbers))


def divide(a, b):
    return a / b


def median(numbers):
    ordered = sorted(numbers)
    return ordered[len(ordered) // 2]
`;
const GUARD = `    if not numbers:
        return None
`;

/** Eight commits after the first; the guard goes in the fifth. */
async function withHistory({ write, git }: PlacesScratch, path: string, { before, after }: Record<string, string>) {
  let culprit = "";
  for (let n = 1; n <= 8; n++) {
    await write({ [path]: n < 5 ? before! : after!, "notes.txt": `${n}\n` });
    await git("add", "-A");
    await git("commit", "--quiet", "-m", n === 5 ? "Simplify the mean" : `Note ${n}`);
    if (n === 5) culprit = await git("rev-parse", "HEAD");
  }
  return culprit;
}

Deno.test("a Python bug: the line that fails and the commit that brought it lead, what never runs goes down", () =>
  withPlaces({}, {}, async (scratch) => {
    const before = STATS.replace("    total = sum", `${GUARD}    total = sum`);
    const culprit = await withHistory(scratch, "pkg/stats.py", { before, after: STATS });
    const cite = (line: number, snippet: string) => ({ file: "pkg/stats.py", line, snippet });
    const claim = (mechanism: string, confidence: number, evidence: unknown[], checks: string[] = []) => ({
      ...{ mechanism, confidence, evidence, disconfirming_checks: checks },
    });
    const { ranked, rejected, culprit: found, facts } = await investigate(scratch, {
      script: "from pkg.stats import mean\nmean([])\n",
      candidate: { oracle_command: "python {repro_file}", file_extension: "py" },
      expected: { type: "ZeroDivisionError", runtime: "python" },
      answers: {
        w3: [
          claim("median takes the wrong element", 1, [cite(12, "return ordered[")], ["$ python -c 'import pkg.stats'"]),
          claim("division by the number of numbers without a guard", 0.5, [
            cite(3, "return divide(total"),
            cite(7, "a / b"),
          ]),
        ],
        w4: [
          claim("sum of nothing is zero", 0.5, [cite(2, "total = sum")], ["$ false", "read the code"]),
          claim("numpy divides", 1, [cite(7, "numpy.divide")]),
        ],
      },
    });
    deepEqual(ranked.map(shown), [
      ["w3-h2", 0.21, ["evidence for", "executed for", "bisect for"]],
      ["w4-h1", 0.14, ["evidence for", "executed for", "disconfirming null", "bisect for"]],
      ["w3-h1", -0.29, ["evidence for", "executed against", "disconfirming against", "bisect for"]],
    ]);
    deepEqual(rejected.map(({ hypothesis }) => hypothesis.hypothesis_id), ["w4-h2"]);
    deepEqual([found?.commit, found?.subject, found?.files], [
      ...[culprit, "Simplify the mean", ["notes.txt", "pkg/stats.py"]],
    ]);
    match(ranked[0]!.experiments[1]!.detail, /^The failure is raised at pkg\/stats\.py:7$/);
    match(ranked[2]!.experiments[1]!.detail, /^The reproducer does not execute pkg\/stats\.py:12$/);
    const runs = facts.filter(({ type }) => type === "candidate.run");
    ok(runs.length <= 7, `${runs.length} runs`);
  }));

Deno.test("a Node bug: traced lines and frames speak as well", () =>
  withPlaces({}, {}, async (scratch) => {
    const source = (guard: string) =>
      `function first(list) {\n${guard}  return list[0].name;\n}\nfunction last(list) {\n  return list.at(-1);\n}\n` +
      `module.exports = { first, last };\n`;
    const before = source("  if (list.length === 0) return null;\n");
    const culprit = await withHistory(scratch, "lib/list.js", { before, after: source("") });
    const { ranked, culprit: found } = await investigate(scratch, {
      script: 'require("./lib/list.js").first([]);\n',
      candidate: { oracle_command: "node {repro_file}", file_extension: "js" },
      expected: { type: "TypeError", runtime: "node" },
      answers: {
        w1: [
          { mechanism: "last", confidence: 0.5, evidence: [{ file: "lib/list.js", line: 5, snippet: "list.at(-1)" }] },
          {
            mechanism: "first",
            confidence: 0.5,
            evidence: [{ file: "lib/list.js", line: 2, snippet: "list[0].name" }],
          },
        ],
      },
    });
    deepEqual(ranked.map(shown), [
      ["w1-h2", 0.21, ["evidence for", "executed for", "bisect for"]],
      ["w1-h1", -0.09, ["evidence for", "executed against", "bisect for"]],
    ]);
    equal(found?.commit, culprit);
  }));

Deno.test("a bug that no tracer sees is still bisected, and the older commits without the file do not mislead", () =>
  withPlaces({}, {}, async (scratch) => {
    const before = 'check() { [ -n "$1" ] || return 0; kill -SEGV $$; }\n';
    const culprit = await withHistory(scratch, "lib.sh", { before, after: "check() { kill -SEGV $$; }\n" });
    const { ranked, culprit: found } = await investigate(scratch, {
      script: ". ./lib.sh\ncheck\n",
      candidate: { oracle_command: "sh {repro_file}", file_extension: "sh" },
      expected: { signal: "SIGSEGV" },
      answers: {
        w1: [{ mechanism: "kill", confidence: 0.5, evidence: [{ file: "lib.sh", line: 1, snippet: "kill -SEGV" }] }],
      },
    });
    deepEqual(ranked.map(shown), [["w1-h1", 0.15, ["evidence for", "executed null", "bisect for"]]]);
    equal(found?.commit, culprit);
  }));
