/** What a report says of a manager run. */
import { describeSignature } from "../../oracle/signature.ts";
import type { FailureSignature } from "../../oracle/expected.ts";
import type { RunRecord } from "../../http/schemas.ts";
import { duration } from "../../terminal/session_notes.ts";
import { amountFacts, codes, costText } from "./amounts.ts";
import {
  badgeOf,
  type Block,
  type Cell,
  counted,
  factsOf,
  lineCount,
  type ReportDocument,
  sectionsOf,
  shortened,
  tableOf,
  timeText,
} from "./document.ts";
import type { ManagerReport } from "./read_report.ts";
import { storyBlocks } from "./story_blocks.ts";

type Candidate = RunRecord["candidates"][number];
type Hypothesis = RunRecord["hypotheses"][number];

const MAX_SCRIPT = 40_000;
const MAX_FINAL = 200_000;

export function managerDocument(report: ManagerReport): Omit<ReportDocument, "version" | "generatedAt"> {
  const { id, folder, record, sums, problems, stories, version } = report;
  const { issue, environment, final } = record;
  const isCutOff = record.status === "cut_off";
  return {
    kind: "manager",
    id,
    title: issue.title || issue.source || id,
    status: badgeOf(record.status),
    summary: record.rationale ?? "",
    facts: factsOf([
      ["Verdict", record.verdict === null ? null : badgeOf(record.verdict)],
      ...amountFacts(record),
      ["Issue", issue.url === null ? (issue.source === "" ? null : { code: issue.source }) : { link: issue.url }],
      ["Repository", record.repo_path === null ? null : { code: record.repo_path }],
      ["Commit", record.commit === null ? null : { code: record.commit.slice(0, 12) }],
      ["Agents", codes(new Set(record.workers.flatMap(({ agent }) => agent ?? [])))],
      ["Models", codes(sums.models)],
      ["Folder", { code: folder }],
      ["Written by", version === null ? null : `gocore ${version}`],
    ]),
    problems: isCutOff
      ? ["Nobody carries it out any more, and it has not told its end: it was cut off", ...problems]
      : problems,
    sections: sectionsOf([
      ["Proof", proofBlocks(record)],
      ["Hypotheses", record.hypotheses.map(hypothesisFold)],
      [
        "Phases",
        tableOf(
          ["Phase", "State", "Began", "Detail"],
          record.phases.map(({ phase, status, detail, started_at }) => [
            phase,
            badgeOf(status),
            timeText(started_at).slice(11, 19),
            detail,
          ]),
        ),
      ],
      ["Candidates", candidateBlocks(record.candidates)],
      ["Minimization", minimizationBlocks(record)],
      [
        "Workers",
        tableOf(
          ["Worker", "Role", "Agent", "State", "Cost", "Calls", "Last words"],
          record.workers.map((worker) => [
            worker.worker,
            worker.role.replaceAll("_", " ").toLowerCase(),
            worker.agent ?? "",
            badgeOf(worker.status),
            costText(worker),
            String(worker.calls),
            // A triager's are its hypotheses.
            shortened(worker.role === "TRIAGER" ? worker.reason : worker.last_text || worker.reason, 400),
          ]),
        ),
      ],
      [
        "Environment",
        environment === null ? [] : [{
          kind: "facts",
          facts: factsOf([
            ["Tools", environment.tools.join(", ")],
            ["Sandbox", environment.sandbox],
            ...environment.notes.map((note) => ["Note", note] as const),
          ]),
        }],
      ],
      ["Warnings and errors", sums.errors.length === 0 ? [] : [{ kind: "code", text: sums.errors.join("\n") }]],
      [
        "What was reported",
        final === null ? [] : [{
          kind: "fold",
          title: "final.md",
          aside: lineCount(final),
          blocks: [{ kind: "code", text: shortened(final, MAX_FINAL) }],
        }],
      ],
      ["What each worker did", storyBlocks(stories)],
    ]),
  };
}

function proofBlocks({ proof }: RunRecord): Block[] {
  if (proof === null) return [];
  const { verdict, matches, runs, signature, reproducer, verify, text } = proof;
  const language = /\.([a-z]+)$/.exec(reproducer ?? "")?.[1];
  return [
    {
      kind: "facts",
      facts: factsOf([
        ["Verdict", badgeOf(verdict)],
        ["Runs that failed like this", `${matches} of ${runs}`],
        ["Failure", signature === null ? null : { code: signatureText(signature) }],
        ["Reproducer", reproducer === null ? null : { code: reproducer }],
        ["Run it anywhere by", verify === null ? null : { code: `sh ${verify} CHECKOUT` }],
      ]),
    },
    ...(text === null ? [] : [{ kind: "code", text: shortened(text, MAX_SCRIPT), language } as const]),
  ];
}

/** Those of events have passed the schema of a signature; those of files may be anything. */
function signatureText(signature: Readonly<Record<string, unknown>>): string {
  const { kind, template = null, frame = null } = signature;
  const isSignature = typeof kind === "string" && (template === null || typeof template === "string") &&
    (frame === null || typeof frame === "object");
  return isSignature ? describeSignature(signature as unknown as FailureSignature) : JSON.stringify(signature);
}

function candidateBlocks(candidates: readonly Candidate[]): Block[] {
  const table = tableOf(
    ["Candidate", "Worker", "Verdict", "Runs", "Size", "Command", "Why"],
    candidates.map(({ candidate, worker, chosen, problem, verdicts, runs, script_bytes, oracle_command }) => {
      const last = verdicts.at(-1);
      return [
        { code: chosen ? `${candidate} (chosen)` : candidate },
        worker,
        last === undefined ? badgeOf(problem === null ? "not tried" : "unusable") : badgeOf(last.verdict),
        last === undefined ? String(runs.length) : `${last.matches} of ${last.runs}`,
        `${script_bytes} bytes`,
        oracle_command === null ? "" : { code: oracle_command },
        problem ?? last?.reason ?? "",
      ];
    }),
  );
  return [
    ...table,
    ...candidates.filter(({ runs }) => runs.length > 0).map(({ candidate, runs }): Block => ({
      kind: "fold",
      title: candidate,
      aside: counted(runs.length, "run"),
      blocks: tableOf(
        ["Stage", "Commit", "Run", "Outcome", "Failure", "Took", "Why"],
        runs.map(({ stage, commit, run, outcome, signature, duration_ms, reason }) => [
          stage.replaceAll("_", " "),
          { code: commit.slice(0, 12) },
          String(run),
          badgeOf(outcome),
          signature === null ? "" : { code: signatureText(signature) },
          `${Math.round(duration_ms)} ms`,
          reason,
        ]),
      ),
    })),
  ];
}

function minimizationBlocks({ minimization }: RunRecord): Block[] {
  if (minimization === null) return [];
  const { candidate, points, ended } = minimization;
  return [
    {
      kind: "facts",
      facts: factsOf([
        ["Candidate", { code: candidate }],
        ["Size", ended === null ? null : `${ended.start_size} → ${ended.size} characters`],
        ["Runs it took", ended?.calls],
        ["Nothing can be left out by", ended?.minimal_by],
        ["Removed by a model", ended === null ? null : `${ended.removed_by_model} characters`],
        ["Took", ended === null ? "it goes on" : duration(ended.duration_ms / 1000)],
      ]),
    },
    ...(points.length < 2 ? [] : [
      {
        kind: "lines",
        chart: {
          title: "Characters that are left, by the number of runs",
          lines: [{ name: candidate, points: points.map(({ calls, size }) => [calls, size] as const) }],
          xText: (calls: number) => `${calls} runs`,
          yText: (size: number) => `${size} characters`,
        },
      } as const,
    ]),
  ];
}

function hypothesisFold(hypothesis: Hypothesis): Block {
  const { rank, mechanism, score, confidence, evidence, checks, disconfirming_checks } = hypothesis;
  const [first = "", ...others] = mechanism.split("\n");
  const sides = checks.flatMap(({ speaks }) => speaks ?? []);
  return {
    kind: "fold",
    title: `${rank}. ${shortened(first, 300)}`,
    aside: [
      score === null ? "" : `score ${score}`,
      confidence === null ? "" : `its author's confidence ${confidence}`,
      `${sides.filter((side) => side === "for").length} for, ${
        sides.filter((side) => side === "against").length
      } against`,
    ].filter((text) => text !== "").join(" · "),
    isMain: rank <= 3,
    blocks: [
      ...(others.length === 0 ? [] : [{ kind: "text", text: others.join("\n") } as const]),
      ...tableOf(
        ["Evidence", ""],
        evidence.map(({ file, line, snippet }): Cell[] => [
          { code: line === null ? file : `${file}:${line}` },
          { code: snippet },
        ]),
      ),
      ...tableOf(
        ["Experiment", "Speaks", "What was seen"],
        checks.map(({ check, speaks, detail }) => [check, badgeOf(speaks ?? "neither"), detail]),
      ),
      ...tableOf(["Would speak against it"], disconfirming_checks.map((check) => [check])),
    ],
  };
}
