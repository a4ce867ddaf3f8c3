/** What a report says of a session. */
import { duration } from "../../terminal/session_notes.ts";
import { amountFacts, codes, costText, dollars } from "./amounts.ts";
import { clockText } from "./charts.ts";
import {
  badgeOf,
  type Block,
  type Cell,
  counted,
  factsOf,
  type LineChart,
  type ReportDocument,
  sectionsOf,
  shortened,
  type SpanChart,
  tableOf,
  timeText,
} from "./document.ts";
import type { SessionReport } from "./read_report.ts";
import { storyBlocks } from "./story_blocks.ts";

type SessionRecord = SessionReport["record"];

const MAX_TASK = 20_000;
const MAX_OUTPUT = 40_000;

export function sessionDocument(report: SessionReport): Omit<ReportDocument, "version" | "generatedAt"> {
  const { id, folder, record, sums, problems, stories } = report;
  const { session, workers, recovery, decisions, questions } = record;
  const isCutOff = !record.supervised && session.result === null;
  const firstLine = (session.task ?? "").trimStart().split("\n", 1)[0]!;
  return {
    kind: "session",
    id,
    title: firstLine === "" ? id : firstLine,
    status: badgeOf(isCutOff ? "cut_off" : session.status),
    summary: session.result?.summary ?? session.status_reason,
    facts: factsOf([
      ...amountFacts({ ...session, ended_at: session.finished_at }),
      ["Budget", session.budget_usd === null ? null : dollars(session.budget_usd)],
      ["Agents", codes(new Set(workers.map(({ agent }) => agent)))],
      ["Models", codes(sums.models)],
      ["Base commit", session.base_commit === null ? null : { code: session.base_commit.slice(0, 12) }],
      ["Target", session.target === null ? null : { code: session.target }],
      ["Folder", { code: folder }],
      ["Written by", session.version === null ? null : `gocore ${session.version}`],
    ]),
    problems: isCutOff
      ? ["Nobody carries it out any more, and it has not told its end: it was cut off", ...problems]
      : problems,
    sections: sectionsOf([
      ["Result", resultBlocks(record)],
      ["Task", session.task === null ? [] : [{ kind: "text", text: shortened(session.task, MAX_TASK) }]],
      [
        "Questions",
        tableOf(
          ["From", "Question", "By", "Answer"],
          questions.map(({ text, worker, answer, by }) => [worker ?? "", text, by ?? "", answer ?? badgeOf("open")]),
        ),
      ],
      ["Plan", planBlocks(report)],
      ["Workers", workerBlocks(report)],
      ["Cost over time", costBlocks(report)],
      ["Reviews", reviewBlocks(record)],
      [
        "Decisions",
        tableOf(
          ["When", "Decision", "On", "Rule", "Why"],
          decisions.map(({ timestamp, action, worker, rule, reason }) => [
            timeText(timestamp).slice(11, 19),
            badgeOf(action),
            worker,
            rule,
            reason,
          ]),
        ),
      ],
      [
        "Recovery",
        tableOf(
          ["When", "Worker", "Cause", "What was changed", "Outcome"],
          recovery.map(({ timestamp, worker, cause, change, outcome }) => [
            timeText(timestamp).slice(11, 19),
            worker,
            cause.replaceAll("_", " "),
            change,
            badgeOf(outcome),
          ]),
        ),
      ],
      ["Verification", verifyBlocks(record)],
      ["Warnings and errors", sums.errors.length === 0 ? [] : [{ kind: "code", text: sums.errors.join("\n") }]],
      ["Changes", changeBlocks(report)],
      [
        "Agents that were found",
        tableOf(
          ["Agent", "State", "Version", "Why"],
          session.agents.map(({ agent, status, version, reason }) => [agent, badgeOf(status), version ?? "", reason]),
        ),
      ],
      ["What each worker did", storyBlocks(stories)],
    ]),
  };
}

function resultBlocks({ session }: SessionRecord): Block[] {
  const { result, merges, saved } = session;
  const facts = result === null ? [] : factsOf([
    ["Branch", result.result_branch === null ? null : { code: result.result_branch }],
    ["Commit", result.result_commit === null ? null : { code: result.result_commit }],
    ["In the target's checkout", result.applied ? "yes" : "no"],
  ]);
  return [
    ...(facts.length === 0 ? [] : [{ kind: "facts", facts } as const]),
    ...tableOf(["What is open"], (result?.open ?? []).map((text) => [text])),
    ...tableOf(
      ["Task", "Merge", "Commit", "Files"],
      merges.map(({ task, outcome, commit, files }) => [task, badgeOf(outcome), commitCell(commit), fileCell(files)]),
    ),
    ...tableOf(
      ["Work kept for", "Under", "Files", "Why"],
      saved.map(({ worker, ref, files, reason }) => [worker, { code: ref }, String(files), reason]),
    ),
  ];
}

function planBlocks({ record, plan }: SessionReport): Block[] {
  const tasks = tableOf(
    ["Task", "", "Role", "Agent", "State", "Worker", "After", "Why"],
    record.tasks.map(({ id, title, role, agent, status, worker, depends_on, reason }) => [
      { code: id },
      title,
      role,
      agent ?? "",
      badgeOf(status),
      worker ?? "",
      depends_on.join(", "),
      reason,
    ]),
  );
  return [...(plan?.note ? [{ kind: "text", text: plan.note } as const] : []), ...tasks];
}

function workerBlocks({ record, timeline }: SessionReport): Block[] {
  const table = tableOf(
    ["Worker", "Agent", "For", "State", "Attempts", "Cost", "Calls", "Tokens in / out", "Last words"],
    record.workers.map((worker) => [
      worker.name,
      worker.agent,
      worker.task ?? worker.review ?? "",
      badgeOf(worker.status),
      String(worker.attempt),
      costText(worker),
      String(worker.calls),
      `${worker.input_tokens} / ${worker.output_tokens}`,
      // A reviewer's are its verdict, which the review has.
      worker.review === null ? shortened(worker.exit?.text || worker.last_text, 400) : "",
    ]),
  );
  const end = Date.parse(record.session.last_event_at ?? "");
  const chart: SpanChart = {
    title: "Who did what when",
    rows: [...Map.groupBy(timeline.spans, ({ worker }) => worker)].map(([name, spans]) => ({
      name,
      spans: spans.map(({ state, from, to }) => ({
        state,
        from: Date.parse(from),
        to: to === null ? Math.max(end, Date.parse(from)) : Date.parse(to),
      })),
    })),
  };
  return chart.rows.length === 0 ? table : [...table, { kind: "spans", chart }];
}

/** The sum of all workers, and each of those that cost most. */
function costBlocks({ usage: { points } }: SessionReport): Block[] {
  if (!points.some(({ cost_usd }) => cost_usd > 0)) return [];
  const all: [number, number][] = [];
  const own = new Map<string, [number, number][]>();
  const last = new Map<string, number>();
  let sum = 0;
  for (const { time, worker, cost_usd } of points) {
    const at = Date.parse(time);
    sum += cost_usd - (last.get(worker) ?? 0);
    last.set(worker, cost_usd);
    all.push([at, sum]);
    const line = own.get(worker) ?? [];
    line.push([at, cost_usd]);
    own.set(worker, line);
  }
  const most = [...own].sort(([a], [b]) => last.get(b)! - last.get(a)!);
  const chart: LineChart = {
    title: "Cost of model calls",
    lines: [{ name: "all", points: all }, ...most.map(([name, points]) => ({ name, points }))],
    xText: clockText,
    yText: dollars,
  };
  return [{ kind: "lines", chart }];
}

function reviewBlocks({ reviews }: SessionRecord): Block[] {
  return reviews.map(({ id, trigger, worker, reason, commit, answers, action }) => ({
    kind: "fold",
    title: `${id}: ${worker}`,
    aside: [
      trigger,
      answers.map(({ verdict }) => verdict ?? "no verdict").join(", ") || "no answer",
      action === null ? "" : action.replaceAll("_", " "),
    ].filter((word) => word !== "").join(" · "),
    isMain: answers.some(({ verdict }) => verdict !== "approved"),
    blocks: [
      ...(reason === "" ? [] : [{ kind: "text", text: reason } as const]),
      ...(commit === null ? [] : [{ kind: "facts", facts: factsOf([["Commit", commitCell(commit)]]) } as const]),
      ...tableOf(
        ["Reviewer", "Verdict", "Summary"],
        answers.map(({ reviewer, verdict, summary, problem }) => [
          reviewer,
          verdict === null ? badgeOf("unknown") : badgeOf(verdict),
          problem ?? summary,
        ]),
      ),
      ...tableOf(
        ["Where", "Issue"],
        answers.flatMap(({ issues }) => issues).map(({ text, file, line, unsupported }) => [
          file === null ? "" : { code: line === null ? file : `${file}:${line}` },
          unsupported === undefined ? text : `${text} (${unsupported})`,
        ]),
      ),
      ...tableOf(["Recommendation"], answers.flatMap(({ recommendations }) => recommendations).map((text) => [text])),
    ],
  }));
}

function verifyBlocks({ session: { verify } }: SessionRecord): Block[] {
  if (verify === null) return [];
  const { command, exit_code, output, duration_seconds } = verify;
  const facts = factsOf([
    ["Command", { code: command }],
    ["Outcome", exit_code === 0 ? badgeOf("ok") : badgeOf("failed")],
    ["Exit code", exit_code],
    ["Took", duration(duration_seconds)],
  ]);
  return [
    { kind: "facts", facts },
    ...(output === "" ? [] : [{ kind: "code", text: shortened(output, MAX_OUTPUT) } as const]),
  ];
}

function changeBlocks({ diff }: SessionReport): Block[] {
  return (diff?.workers ?? []).filter(({ files, problem }) => files.length > 0 || problem !== null).map((change) => {
    const { worker, task, files, patch, truncated, problem } = change;
    const sum = (counts: readonly (number | null)[]) => counts.reduce<number>((all, one) => all + (one ?? 0), 0);
    const size = `+${sum(files.map(({ added }) => added))} −${sum(files.map(({ removed }) => removed))}`;
    return {
      kind: "fold",
      title: task === null ? worker : `${worker} (${task})`,
      aside: problem ?? `${counted(files.length, "file")}, ${size}`,
      isMain: patch !== "" && patch.length < 4000,
      blocks: [
        ...tableOf(
          ["Added", "Removed", "File"],
          files.map(({ path, added, removed }) => [countCell(added), countCell(removed), { code: path }]),
        ),
        ...(patch === "" ? [] : [{ kind: "code", text: patch, language: "diff" } as const]),
        ...(truncated ? [{ kind: "text", text: "The rest is left out: it is too long." } as const] : []),
      ],
    };
  });
}

/** Null: a file that is no text. */
function countCell(count: number | null): Cell {
  return count === null ? "binary" : String(count);
}

function commitCell(commit: string | null): Cell {
  return commit === null ? "" : { code: commit.slice(0, 12) };
}

function fileCell(files: readonly string[]): Cell {
  return files.length === 0 ? "" : { code: files.join(", ") };
}
