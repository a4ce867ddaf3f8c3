/** `gocore orchestrate show`: a session as a page, or as JSON. */
import { basename } from "node:path";
import { summaryRecord } from "../../http/session_records.ts";
import { costOf, type ReviewState, type SessionState } from "../../orchestrate/session.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";
import { oneLine } from "../../workers/stream_text.ts";
import { readWorkspace } from "./read_options.ts";
import { findSessionFolder, readSession } from "./session_folder.ts";
import { commandLine, type PlaceFlags, type SessionStanding, standingOf, statusText } from "./session_standing.ts";
import { ageText, textTable, usdText } from "./text_table.ts";

export interface ShowFlags extends PlaceFlags {
  readonly session: string;
  readonly json?: true;
}

export async function runShow(flags: ShowFlags, io: Io): Promise<number> {
  const workspace = await readWorkspace({ env: io.env, cwd: io.cwd, flags });
  const folder = await findSessionFolder(workspace, flags.session);
  const { state } = await readSession(folder);
  const standing = standingOf(folder, state);
  if (flags.json) {
    const summary = summaryRecord(state, io.now());
    const session = { ...summary.session, status: standing.status, pid: standing.pid ?? null };
    await io.stdout.write(`${JSON.stringify({ ...summary, session }, null, 2)}\n`);
    return 0;
  }
  const command = (words: string) => commandLine(words, { workspace, flags });
  const page = sessionPage(state, { id: basename(folder), standing, nowMs: io.now(), command });
  await io.stdout.write(escapeTerminal(page));
  return 0;
}

interface PageContext {
  readonly id: string;
  readonly standing: SessionStanding;
  readonly nowMs: number;
  /** The command line with these words. */
  command(words: string): string;
}

const MAX_TEXT = 160;
const clip = (text: string, max = MAX_TEXT) => oneLine(text, max);

function sessionPage(state: SessionState, context: PageContext): string {
  return [
    headOf(state, context),
    section("Questions", questionsOf(state, context)),
    section("Tasks", tasksOf(state)),
    section("Workers", workersOf(state, context)),
    section("Reviews", [...state.reviews.values()].flatMap(reviewLines)),
    section(
      "Decisions",
      textTable(state.decisions.map(({ id, worker, action, rule, reason }) => [
        id,
        worker,
        action,
        `rule ${rule}`,
        clip(reason),
      ])),
    ),
    section(
      "Recovery",
      state.recoveries.flatMap(({ worker, cause, outcome, change, suggestions }) => [
        clip(`${worker}: ${cause}, ${outcome}: ${change}`),
        ...suggestions.map((suggestion) => `  ${clip(suggestion)}`),
      ]),
    ),
    section("Cost", costsOf(state)),
    section("Result", resultOf(state)),
  ].filter((part) => part !== "").join("\n");
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${title}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

function headOf(
  state: SessionState,
  { id, standing: { status, pid, canResume }, nowMs, command }: PageContext,
): string {
  const { start, preflight, plan, statusReason, dashboardUrl } = state;
  const endMs = state.finishedAt === null ? nowMs : Date.parse(state.finishedAt);
  const reason = status === "cut_off" || statusReason === "" ? "" : `: ${clip(statusReason)}`;
  const cost = costOf(state);
  const budget = start?.budget_usd == null ? "" : ` of ${usdText(start.budget_usd)}`;
  const estimate = plan?.cost_estimate_usd == null ? "" : `, ${usdText(plan.cost_estimate_usd)} estimated`;
  const rows = [
    ["session", id],
    ["task", clip(start?.task ?? "-", 1000)],
    ["status", statusText(status) + reason],
    ...(pid !== undefined ? [["process", String(pid)]] : canResume ? [["resume", command(`--resume ${id}`)]] : []),
    ...(preflight === null ? [] : [["tier", `${preflight.tier} (${preflight.tier_name}): ${clip(preflight.reason)}`]]),
    ...(start === null ? [] : [["target", clip(start.target, 1000)]]),
    ...(state.startedAt === "" ? [] : [["time", ageText(endMs - Date.parse(state.startedAt))]]),
    ["cost", `${usdText(cost)} USD${budget}${estimate}`],
    ...(pid !== undefined && dashboardUrl !== null ? [["dashboard", clip(dashboardUrl)]] : []),
  ];
  return textTable(rows).map((line) => `${line}\n`).join("");
}

function questionsOf({ questions }: SessionState, { id, standing, nowMs, command }: PageContext): string[] {
  return [...questions.values()].flatMap(({ id: question, worker, text, askedAt, answer, by }) => {
    const asked = `${question}${worker === null ? "" : `, about ${worker}`}, ` +
      `${ageText(nowMs - Date.parse(askedAt))} ago:`;
    const lines = text.trim().split("\n").map((line) => `  ${clip(line, 400)}`);
    if (answer !== null) return [`${asked} ${clip(text)}`, `  ${clip(by ?? "")}: ${clip(answer)}`];
    const answering = command(`answer ${id} "…" --question ${question}`);
    return [asked, ...lines, ...(standing.status === "done" ? [] : [`  Answer it: ${answering}`])];
  });
}

function tasksOf({ tasks }: SessionState): string[] {
  return textTable([...tasks.values()].map(({ assignment: { id, title }, status, worker, reason, files }) => [
    id,
    status,
    worker ?? "-",
    clip([title, reason, filesText(files.length)].filter((part) => part !== "").join("; ")),
  ]));
}

function workersOf({ workers }: SessionState, { standing }: PageContext): string[] {
  const rows = [...workers.values()].map((worker) => [
    worker.name,
    // Nobody looks after it: what the log said last is not known to be so.
    worker.exit === null && standing.pid === undefined ? "unknown" : worker.status,
    `${Math.round(worker.progress)} %`,
    worker.exit === null ? worker.liveness?.verdict ?? "-" : worker.exit.cause ?? "-",
    worker.task ?? worker.review ?? "-",
    clip(worker.exit?.text || worker.lastText),
  ]);
  const screens = [...workers.values()].flatMap(({ name, exit, process }) =>
    exit === null && process !== null && process.attach !== null ? [clip(`see ${name}: ${process.attach}`)] : []
  );
  if (rows.length === 0) return [];
  return [...textTable([["worker", "status", "done", "state", "task", "last"], ...rows]), ...screens];
}

function filesText(count: number): string {
  return count === 0 ? "" : count === 1 ? "1 file" : `${count} files`;
}

function reviewLines({ id, worker, trigger, answers, decision }: ReviewState): string[] {
  const decided = decision === null ? "not decided" : decision.action;
  return [
    `${id}: ${worker}, ${trigger}: ${decided}`,
    ...answers.flatMap(({ reviewer, verdict, summary, problem, issues, recommendations }) => [
      `  ${reviewer}: ${verdict ?? "no verdict"}: ${clip(problem ?? summary, 1000)}`,
      ...issues.map(({ text, file, line, unsupported }) => {
        const place = file === null ? "" : `${clip(file)}${line === null ? "" : `:${line}`} `;
        return `    - ${place}${clip(text, 400)}${unsupported === undefined ? "" : ` (unsupported: ${unsupported})`}`;
      }),
      ...recommendations.map((text) => `    > ${clip(text, 400)}`),
    ]),
  ];
}

function costsOf({ spending, workers }: SessionState): string[] {
  if (spending.size === 0) return [];
  const rows = [...spending].map(([name, { calls, inputTokens, outputTokens, knownUsd, unknownCalls }]) => [
    name,
    String(calls),
    String(inputTokens),
    String(outputTokens),
    usdText(unknownCalls > 0 ? null : knownUsd),
    workers.get(name)?.reportedCostUsd?.toFixed(4) ?? "-",
  ]);
  return textTable([["worker", "calls", "input", "output", "USD", "USD, as it says"], ...rows]);
}

function resultOf({ finish, merges, verify, saved }: SessionState): string[] {
  return [
    ...merges.map(({ branch, outcome, files }) =>
      clip(`${branch}: ${outcome}${outcome === "conflict" ? ` in ${files.join(", ")}` : ""}`)
    ),
    ...(verify === null ? [] : [clip(`${verify.command}: exit code ${verify.exit_code ?? "none"}`)]),
    ...(finish === null ? [] : [
      clip(`${finish.status}: ${finish.summary}`),
      ...finish.open.map((text) => `- ${clip(text)}`),
      ...(finish.result_branch === null
        ? []
        : [`branch ${clip(finish.result_branch)}${finish.applied ? ", and the target has it" : ""}`]),
      ...(finish.report === null ? [] : [`report ${clip(finish.report, 1000)}`]),
    ]),
    ...saved.map(({ worker, ref, files }) => clip(`kept work of ${worker}: ${ref}, ${filesText(files)}`)),
  ];
}
