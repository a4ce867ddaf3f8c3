/** `final.md`: what was done by whom, what was reviewed and decided, what it cost, what is open. */
import type { EventData } from "../events/event.ts";
import { escapeTerminal } from "../safety/escape_terminal.ts";
import { oneLine } from "../templates/fenced.ts";
import { placeText } from "./review.ts";
import type { SessionState } from "./session.ts";

const MAX_MESSAGE = 4000;
/** Of a text in one line. */
const MAX_LINE = 1000;

/** Markdown, to be rendered or shown by `cat`. What agents wrote stays in its place, and has no effect on either. */
export function finalReport(state: SessionState, finish: EventData<"session.finished">): string {
  const { start, tasks, workers, reviews, merges, verify, recoveries, saved, judged, questions } = state;
  const parts: string[] = [
    `# ${start!.session_id}: ${finish.status}`,
    `> ${quote(start!.task)}`,
    `**${sentence(inline(finish.summary))}** ${money(finish.cost_usd)}, ${duration(finish.duration_seconds)}.`,
  ];
  if (finish.result_commit !== null) {
    parts.push(
      `Result: branch \`${finish.result_branch}\`, commit \`${finish.result_commit.slice(0, 12)}\`` +
        (finish.applied ? ", and the target has it." : "."),
    );
  }
  parts.push(section("Open", finish.open.map((text) => `- ${inline(text)}`)));
  parts.push(section(
    "What was done",
    [...tasks.values()].map((task) => {
      const worker = task.worker === null ? undefined : workers.get(task.worker);
      const said = worker?.exit?.text.trim() ?? "";
      return [
        `### ${inline(task.assignment.title)} (${task.worker ?? "nobody"}): ${task.status}`,
        ...(task.reason === "" ? [] : [sentence(inline(task.reason))]),
        ...(task.files.length === 0 ? [] : [`Files: ${task.files.slice(0, 50).map(code).join(", ")}`]),
        ...(said === "" ? [] : [`> ${quote(said)}`]),
      ].join("\n\n");
    }),
  ));
  parts.push(section(
    "Reviews and decisions",
    [...reviews.values()].map((review) => {
      const answers = review.answers.map(({ reviewer, verdict, summary, issues, problem }) =>
        [
          `- ${reviewer}: **${verdict ?? "no verdict"}** ${inline(problem ?? summary)}`,
          ...issues.map(({ text, file, line, unsupported }) =>
            `  - ${file === null ? "" : `${code(placeText({ file, line }))} `}${inline(text)}` +
            (unsupported === undefined ? "" : ` (unsupported: ${inline(unsupported)})`)
          ),
        ].join("\n")
      );
      const decision = review.decision === null
        ? "no decision"
        : `**${review.decision.action}** (rule ${review.decision.rule}): ${inline(review.decision.reason)}`;
      return [
        `### ${review.id}: ${review.worker}, ${review.trigger}`,
        ...(answers.length > 0 ? [answers.join("\n")] : []),
        decision,
      ].join("\n\n");
    }),
  ));
  parts.push(section(
    "Questions",
    [...questions.values()].map(({ text, answer, by }) =>
      `- ${inline(text)}\n  ${answer === null ? "(no answer)" : `${inline(by ?? "")}: ${inline(answer)}`}`
    ),
  ));
  parts.push(section(
    "Merges",
    merges.map(({ branch, outcome, files }) =>
      `- \`${branch}\`: ${outcome}${files.length === 0 ? "" : ` (${files.slice(0, 20).map(code).join(", ")})`}`
    ),
  ));
  if (verify !== null) {
    const output = escapeTerminal(withLineFeeds(verify.output));
    const fence = "`".repeat(Math.max(3, ...[...output.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1)));
    parts.push(section("Check", [
      `${code(verify.command)}: exit code ${verify.exit_code ?? "none"}`,
      ...(verify.exit_code === 0 ? [] : [`${fence}\n${output}\n${fence}`]),
    ]));
  }
  parts.push(section(
    "Recovery",
    recoveries.map(({ worker, cause, change, outcome }) => `- ${worker}: ${cause}, ${outcome}: ${inline(change)}`),
  ));
  parts.push(section(
    "Commands that need a look",
    judged.filter(({ verdict }) => verdict !== "allow").slice(0, 50).map(({ worker, command, verdict, reason }) =>
      `- ${worker}, ${verdict}: ${code(command.slice(0, 200))} (${inline(reason)})`
    ),
  ));
  parts.push(
    section(
      "Kept work",
      saved.map(({ worker, ref, files, reason }) => `- ${worker}: \`${ref}\`, ${files} files, because ${reason}`),
    ),
  );
  const rows = [...state.spending].map(([worker, { calls, inputTokens, outputTokens, knownUsd, unknownCalls }]) => {
    const reported = workers.get(worker)?.reportedCostUsd;
    return `| ${worker} | ${calls} | ${inputTokens} | ${outputTokens} | ${
      unknownCalls > 0 ? "unknown" : knownUsd.toFixed(4)
    } | ${reported == null ? "" : reported.toFixed(4)} |`;
  });
  if (rows.length > 0) {
    parts.push(section("Cost", [
      [
        "| worker | calls | input tokens | output tokens | USD | USD, as the agent says |",
        "|---|---|---|---|---|---|",
        ...rows,
      ].join("\n"),
      ...differences(state),
    ]));
  }
  return parts.filter((part) => part !== "").join("\n\n") + "\n";
}

/** From this share on an agent's own account and the gateway's tell different things. */
const NOTABLE = 0.01;

function differences({ spending, workers }: SessionState): string[] {
  const lines: string[] = [];
  for (const [name, { inputTokens, outputTokens, knownUsd, unknownCalls }] of spending) {
    const { reportedTokens = null, reportedCostUsd = null } = workers.get(name) ?? {};
    const measured = inputTokens + outputTokens;
    if (reportedTokens !== null && isApart(reportedTokens, measured)) {
      lines.push(`${name} says that it has used ${reportedTokens} tokens, and the gateway has counted ${measured}.`);
    }
    if (reportedCostUsd !== null && unknownCalls === 0 && isApart(reportedCostUsd, knownUsd)) {
      lines.push(
        `${name} says that it has cost ${reportedCostUsd.toFixed(4)} USD, and the gateway has counted ${
          knownUsd.toFixed(4)
        }.`,
      );
    }
  }
  return lines;
}

function isApart(one: number, other: number): boolean {
  return Math.abs(one - other) > NOTABLE * Math.max(one, other);
}

function section(title: string, entries: readonly string[]): string {
  if (entries.length === 0) return "";
  const isList = entries.every((entry) => entry.startsWith("- "));
  return [`## ${title}`, entries.join(isList ? "\n" : "\n\n")].join("\n\n");
}

function money(usd: number | null): string {
  return usd === null ? "Cost unknown" : `${usd.toFixed(4)} USD`;
}

function duration(seconds: number): string {
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} minutes`;
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

function quote(text: string): string {
  return plain(cut(withLineFeeds(text).trim(), MAX_MESSAGE)).replaceAll("\n", "\n> ");
}

/** One line, which begins no heading, list, quote, table or fence. */
function inline(text: string): string {
  return plain(cut(oneLine(text), MAX_LINE) || "(nothing)").replace(/^(?=[#>+*=|-]|`{3}|~{3})/, "\\");
}

/** Names of files and commands. */
function code(text: string): string {
  return `\`${escapeTerminal(cut(oneLine(text), MAX_LINE)).replaceAll("`", "'")}\``;
}

/** Nothing that a terminal obeys, and no HTML. */
function plain(text: string): string {
  return escapeTerminal(text).replaceAll(/<(?=[A-Za-z/!?])/g, "&lt;");
}

function withLineFeeds(text: string): string {
  return text.replaceAll(/\r\n?/g, "\n");
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}…`.toWellFormed();
}
