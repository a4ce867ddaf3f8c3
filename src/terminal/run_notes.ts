/** What the events of a manager run say to a person, and what has come of it at the end. */
import type { RunEvent } from "../events/event.ts";
import type { ReproducerMinimized } from "../events/minimize_events.ts";
import type { Decision } from "../manager/artifacts.ts";
import { duration, type NoteStyle, oneLine, usdOrUnknown, words } from "./session_notes.ts";

const MAX_SAID = 300;
const MAX_ROWS = 40;

export interface RunNote {
  readonly style: NoteStyle;
  /** One line, harmless for a terminal. */
  readonly text: string;
}

/** Says what each event has changed; events have to come in their order. */
export class RunNotes {
  /** What each worker was said to be last. */
  readonly #statuses = new Map<string, string>();
  /** Of the reproducer, in characters. */
  #size = -1;

  /** @returns undefined for an event that says nothing by itself */
  of({ type, data }: RunEvent): RunNote | undefined {
    switch (type) {
      case "run.started":
        return note("bold", `Run ${data.run_id}: ${data.issue} at ${data.commit.slice(0, 12)} of ${data.repo_path}`);
      case "run.resumed":
        return note("bold", `Goes on: ${data.reason}`);
      case "run.phase": {
        const style = data.status === "failed" ? "red" : data.status === "started" ? "bold" : "plain";
        return note(style, `${data.phase}: ${data.status}${said(data.detail)}`);
      }
      case "issue.read": {
        const where = data.repo_slug === null ? "" : ` (${data.repo_slug}#${data.issue_number ?? "?"})`;
        const signals = `${data.signals} failure signal${data.signals === 1 ? "" : "s"}`;
        return data.status === "ok"
          ? note("plain", `Issue${where}: ${data.title}, ${signals}`)
          : note("yellow", `Issue${where}: ${data.title}; needs somebody${said(data.needs_human_reason ?? "")}`);
      }
      case "environment.prepared":
        return note("plain", [`Places: ${data.sandbox}`, ...data.tools, ...data.notes].join(", "));
      case "worker.status": {
        const former = this.#statuses.get(data.worker);
        this.#statuses.set(data.worker, data.status);
        const change = former === undefined || former === data.status ? data.status : `${former} → ${data.status}`;
        const isBad = data.status === "failed" || data.status === "timeout";
        return note(isBad ? "yellow" : "plain", `${data.worker} ${data.role} ${change}${said(data.reason)}`);
      }
      case "worker.nudged":
        return note("yellow", `${data.worker} was ${data.action}${said(data.reason)}`);
      case "candidate.read":
        return data.problem === null
          ? note("plain", `Candidate ${data.candidate} of ${data.worker}: ${data.oracle_command}`)
          : note("yellow", `${data.worker} gave no candidate${said(data.problem)}`);
      case "candidate.run":
        return note(
          data.outcome === "match" ? "plain" : "dim",
          `Candidate ${data.candidate}, ${words(data.stage)} run ${data.run}: ${words(data.outcome)}${
            said(data.outcome === "match" ? "" : data.reason)
          }`,
        );
      case "candidate.judged":
        return note(
          data.verdict === "reproduced" ? "green" : "yellow",
          `Candidate ${data.candidate}: ${words(data.verdict)}, ${data.matches} of ${data.runs}${said(data.reason)}`,
        );
      case "minimize.progress": {
        if (data.size === this.#size) return undefined;
        this.#size = data.size;
        return note("dim", `minimize: ${data.pass}, ${data.size} characters, ${data.calls} calls`);
      }
      case "minimize.ended":
        return "candidate" in data ? note("plain", minimized(data)) : undefined;
      case "hypothesis.checked":
        return note(
          "dim",
          `Hypothesis ${data.hypothesis}, ${data.check}: ${data.speaks ?? "open"}${said(data.detail)}`,
        );
      case "hypotheses.ranked": {
        const [best] = data.top;
        const top = best === undefined ? "" : `, the best at ${best.place ?? "no place"} with ${best.score}`;
        return note("plain", `${data.count} ${data.count === 1 ? "hypothesis" : "hypotheses"}${top}`);
      }
      case "comment.posted":
        return note("plain", `${data.edited ? "Edited" : "Posted"} the comment ${data.url}`);
      case "log":
        return data.level === "debug" ? undefined : note(data.level === "info" ? "plain" : "yellow", data.content);
      case "error":
        return note("red", data.error);
      case "budget.refused":
        return note("yellow", `A call of ${data.worker} was refused: the cap of ${data.cap_usd} USD is reached`);
      default:
        return undefined;
    }
  }
}

function minimized({ start_size, size, calls, minimal_by, removed_by_model }: ReproducerMinimized): string {
  const model = removed_by_model === 0 ? "" : `, ${removed_by_model} of them by a model`;
  return `minimize: ${start_size} to ${size} characters${model}, minimal by ${minimal_by}, ${calls} calls`;
}

/** The seed's summary, as lines with their line breaks. */
export function runSummary(decision: Decision, { folder }: { readonly folder: string }): string {
  const { status, rationale, repro, top_hypotheses, next_fix_targets, metrics, cost_usd, missing, diagnostics } =
    decision;
  const { workers, manager, total } = metrics.tokens;
  const { total: seconds = 0, ...phases } = metrics.timing_sec;
  const spent = Object.entries(phases).map(([phase, sec]) => `${phase} ${duration(sec)}`);
  const lines: readonly (readonly [name: string, value: string])[] = [
    ["status", status],
    ["rationale", rationale],
    ...missing.map((text) => ["missing", text] as const),
    ...(repro === null ? [] : [["reproducer", `${folder}/${repro.path}`] as const]),
    ...top_hypotheses.map((text, index) => [`hypothesis ${index + 1}`, text] as const),
    ...next_fix_targets.map((place) => ["fix target", place] as const),
    ...(status === "ok" ? [] : diagnostics.slice(-5).map((text) => ["note", text] as const)),
    [
      "tokens",
      `${total.input_tokens} in (${total.cached_input_tokens} cached), ${total.output_tokens} out, ${total.turns} turns; ` +
      `workers ${workers.input_tokens + workers.output_tokens}, manager ${
        manager.input_tokens + manager.output_tokens
      }`,
    ],
    ["cost", total.turns === 0 ? "nothing was asked" : usdOrUnknown(cost_usd)],
    ["time", [duration(seconds), ...(spent.length === 0 ? [] : [`(${spent.join(", ")})`])].join(" ")],
    ["report", `${folder}/final.md`],
  ];
  return lines.slice(0, MAX_ROWS).map(([name, value]) => `${`${name}:`.padEnd(14)}${oneLine(value)}\n`).join("");
}

function note(style: NoteStyle, text: string): RunNote {
  return { style, text: oneLine(text) };
}

function said(text: string): string {
  const shown = text.replaceAll(/\s+/g, " ").trim();
  return shown === "" ? "" : `: ${shown.length > MAX_SAID ? `${shown.slice(0, MAX_SAID)}…` : shown}`;
}
