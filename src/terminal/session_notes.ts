/** What the events of a session say to a person. */
import { dirname } from "node:path";
import type { EventData, RunEvent } from "../events/event.ts";
import type { AgentEvent } from "../events/session_events.ts";
import type { SessionState } from "../orchestrate/session.ts";
import { escapeTerminal } from "../safety/escape_terminal.ts";
import { shellWord } from "../templates/shell_word.ts";
import { clipToWidth } from "./display_width.ts";
import { renderEvent } from "./render_event.ts";

export type NoteLevel = "debug" | "info" | "warning" | "error";
export type NoteStyle = "plain" | "bold" | "dim" | "red" | "green" | "yellow";

export interface SessionNote {
  /** `debug`: not for everybody. */
  readonly level: NoteLevel;
  /** `coordinator`, `gateway`, or the name of a worker. */
  readonly source: string;
  readonly style: NoteStyle;
  /** One line, harmless for a terminal. */
  readonly text: string;
  /** Further lines of that kind that belong to it. */
  readonly details: readonly string[];
}

/** Columns of a line. */
const MAX_LINE = 1000;
/** Columns of what an agent says. */
const MAX_SAID = 300;
const MAX_TALK = 160;
const MAX_DETAILS = 40;
const CHECK_LINES = 10;

/** @returns undefined for an event that says nothing by itself */
export function noteOf(event: RunEvent, state: SessionState): SessionNote | undefined {
  const { type, data } = event;
  switch (type) {
    case "session.started": {
      const shared = data.shared ? ["All workers work in the target itself"] : [];
      const task = `Session ${data.session_id}: ${data.task}`;
      return coordinator("info", task, {
        style: "bold",
        details: [`Target ${data.target}`, `Folder ${data.folder}`, ...shared],
      });
    }
    case "session.resumed":
      return coordinator("info", `Goes on: ${data.reason}`, { style: "bold" });
    case "session.serving":
      return data.dashboard_url === null
        ? coordinator("debug", `Gateway at ${data.gateway_url}`)
        : coordinator("info", `Dashboard at ${data.dashboard_url}`);
    case "session.status": {
      const isHeld = data.status === "paused" || data.status === "needs_input";
      return coordinator(isHeld ? "warning" : "info", `Status: ${words(data.status)}${reasonOf(data.reason)}`);
    }
    case "session.finished": {
      const level = data.status === "done" ? "info" : data.status === "failed" ? "error" : "warning";
      const text =
        `Ended as ${words(data.status)} after ${duration(data.duration_seconds)}, ${usdOrUnknown(data.cost_usd)}` +
        reasonOf(data.summary);
      return coordinator(level, text, {
        style: data.status === "done" ? "green" : undefined,
        details: data.open.map((open) => `Open: ${open}`),
      });
    }
    case "preflight.checked":
      return coordinator("info", `Tier ${data.tier} (${data.tier_name}): ${data.reason}`, {
        details: data.agents.filter(({ status }) => status !== "not_chosen").map(({ agent, status, version, hint }) =>
          `${agent}${version === null ? "" : ` ${version}`}: ${words(status)}${hint === null ? "" : `; ${hint}`}`
        ),
      });
    case "plan.made":
      return planNote(data);
    case "task.changed": {
      const title = `Task ${data.task}`;
      if (data.status === "done") {
        const files = data.files.length === 0 ? "" : ` (${counted(data.files.length, "file")})`;
        return coordinator("info", `${title} is done${files}${reasonOf(data.reason)}`, { style: "green" });
      }
      if (data.status === "failed" || data.status === "skipped") {
        const how = data.status === "failed" ? "has failed" : "is left out";
        return coordinator("error", `${title} ${how}${reasonOf(data.reason)}`);
      }
      return data.status === "pending" && data.reason !== ""
        ? coordinator("info", `${title} waits: ${data.reason}`)
        : undefined;
    }
    case "worker.launched":
      return launchNote(data, state);
    case "worker.started":
      return startNote(data);
    case "worker.event":
      return talkNote(data.worker, data.event);
    case "worker.liveness": {
      const isBad = data.verdict === "stalled" || data.verdict === "spinning" || data.verdict === "dead";
      return note(data.worker, isBad ? "warning" : "debug", sentence(`${words(data.verdict)}${reasonOf(data.proof)}`));
    }
    case "worker.signalled":
      return note(data.worker, data.action === "nudge" ? "warning" : "info", `${DONE[data.action]}: ${data.reason}`);
    case "worker.exited":
      return exitNote(data, state);
    case "command.judged": {
      const { verdict, command, rule, reason } = data;
      if (verdict === "allow") return undefined;
      const why = `(${rule}: ${reason})`;
      return verdict === "block"
        ? note(data.worker, "error", `Blocked command: ${clipped(command, MAX_TALK)} ${why}`)
        : note(data.worker, "warning", `Command that needs a look: ${clipped(command, MAX_TALK)} ${why}`);
    }
    case "limit.exceeded":
      return note(
        data.worker,
        "error",
        `Over its limit of ${data.limit}: ${rounded(data.found)} ${data.unit}, ${rounded(data.allowed)} are allowed`,
      );
    case "review.requested": {
      const by = data.reviewers.length === 0 ? "nobody" : data.reviewers.join(", ");
      return coordinator(
        "info",
        `Review ${data.review} of ${data.worker} by ${by} (${words(data.trigger)})${reasonOf(data.reason)}`,
      );
    }
    case "review.answered": {
      const { review, verdict, summary, problem, issues, recommendations } = data;
      const text = `${review}: ${verdict === null ? "no verdict" : verdict}${
        reasonOf(clipped(problem ?? summary, MAX_SAID))
      }`;
      return note(data.reviewer, verdict === "approved" ? "info" : verdict === "blocker" ? "error" : "warning", text, {
        style: verdict === "approved" ? "green" : undefined,
        details: [
          ...issues.map(({ text, file, line, unsupported }) =>
            `- ${file === null ? "" : `${file}${line === null ? "" : `:${line}`}: `}${clipped(text, MAX_SAID)}${
              unsupported === undefined ? "" : ` (unsupported: ${unsupported})`
            }`
          ),
          ...recommendations.map((recommendation) => `Recommends: ${clipped(recommendation, MAX_SAID)}`),
        ],
      });
    }
    case "decision.made": {
      const { action, decision, review, rule, reason } = data;
      const level = action === "CONTINUE" ? "info" : action === "STOP_AND_ESCALATE" ? "error" : "warning";
      return coordinator(level, `Decision ${decision} on ${review}: ${action} (rule ${rule})${reasonOf(reason)}`);
    }
    case "question.asked": {
      const [first = "", ...more] = data.text.split("\n");
      return coordinator("warning", `Question ${data.question}: ${first}`, {
        style: "bold",
        details: [...more.slice(0, MAX_DETAILS - 1), `Answer with: ${answerCommand(data.question, state)}`],
      });
    }
    case "question.answered":
      return coordinator("info", `Question ${data.question} was answered by ${data.by}: ${data.answer}`);
    case "recovery.attempted": {
      const wait = data.wait_seconds > 0 ? ` in ${duration(data.wait_seconds)}` : "";
      const text = `Recovery from ${words(data.cause)}, attempt ${data.attempt}: ${words(data.outcome)}${wait}`;
      return note(data.worker, data.outcome === "relaunched" ? "warning" : "error", text + reasonOf(data.change), {
        details: data.suggestions.map((suggestion) => `Suggestion: ${suggestion}`),
      });
    }
    case "control.received":
      return coordinator("info", `Told by ${data.by}: ${data.command}${data.worker === null ? "" : ` ${data.worker}`}`);
    case "work.saved":
      return note(data.worker, "info", `Work is kept at ${data.ref} (${counted(data.files, "file")}): ${data.reason}`);
    case "conflict.foreseen":
      return coordinator("warning", `The work on ${data.task} and on ${data.other} will conflict`, {
        details: [data.files.slice(0, MAX_DETAILS).join(", ")],
      });
    case "merge.ended": {
      const { outcome, branch, task } = data;
      if (outcome === "nothing") return coordinator("info", `Nothing to merge of ${task}`);
      const files = data.files.slice(0, MAX_DETAILS).join(", ");
      if (outcome === "conflict") {
        return coordinator("error", `Conflict: ${branch} is not merged, both sides are kept`, {
          details: [files],
        });
      }
      const how = outcome === "resolved" ? "Merged after a conflict was resolved" : "Merged";
      return coordinator("info", `${how}: ${branch} (${counted(data.files.length, "file")})`, { style: "green" });
    }
    case "verify.ended": {
      const { command, exit_code, output, duration_seconds } = data;
      if (exit_code === 0) {
        return coordinator("info", `The check passes: ${command} (${duration(duration_seconds)})`, { style: "green" });
      }
      const end = exit_code === null ? "no exit code" : `exit code ${exit_code}`;
      return coordinator("error", `The check fails: ${command} (${end}, ${duration(duration_seconds)})`, {
        details: output.trimEnd().split("\n").slice(-CHECK_LINES).map((line) => clipped(line, MAX_SAID)),
      });
    }
    case "log":
      return coordinator(data.level, data.content, { details: data.hints?.map((hint) => `Hint: ${hint}`) });
    case "error":
      return coordinator("error", data.error, { details: data.hints.map((hint) => `Hint: ${hint}`) });
    case "model.called":
    case "model.answered":
    case "rate.waiting":
    case "budget.refused": {
      const text = renderEvent(event, { colour: false });
      return note("gateway", type === "budget.refused" ? "warning" : "debug", text);
    }
    default:
      return undefined;
  }
}

/** The command line that answers a question, from whatever folder. */
export function answerCommand(question: string, { start }: SessionState): string {
  return command(
    `answer ${shellWord(start?.session_id ?? "last")} "YOUR ANSWER" --question ${shellWord(question)}`,
    start,
  );
}

/** The command line that goes on with a session that has ended, from whatever folder. */
export function resumeCommand(start: EventData<"session.started">): string {
  return command(`--resume ${shellWord(start.session_id)}`, start);
}

/** Text of others as one line that does no harm. */
export function oneLine(text: string, columns = MAX_LINE): string {
  // What is cut off in any case need not be looked through.
  const beginning = text.slice(0, columns * 4);
  return clipToWidth(escapeTerminal(beginning.replaceAll(/\s+/g, " ").trim()), columns);
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export function usdOrUnknown(amount: number | null): string {
  return amount === null ? "cost unknown" : `${amount.toFixed(4)} USD`;
}

/** `waiting_model` as `waiting model`. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}

interface NoteMore {
  readonly style?: NoteStyle | undefined;
  readonly details?: readonly string[] | undefined;
}

const STYLES: Readonly<Record<NoteLevel, NoteStyle>> = { debug: "dim", info: "plain", warning: "yellow", error: "red" };
const DONE = { nudge: "Nudged", pause: "Paused", resume: "Goes on", stop: "Stopped" } as const;

function note(source: string, level: NoteLevel, text: string, { style, details = [] }: NoteMore = {}): SessionNote {
  const lines = details.slice(0, MAX_DETAILS).map((detail) => oneLine(detail));
  const left = details.length - lines.length;
  return {
    level,
    source: oneLine(source, 40),
    style: style ?? STYLES[level],
    text: oneLine(text),
    details: [...lines.filter((line) => line !== ""), ...(left > 0 ? [`… ${left} more`] : [])],
  };
}

function coordinator(level: NoteLevel, text: string, more?: NoteMore): SessionNote {
  return note("coordinator", level, text, more);
}

function planNote(data: EventData<"plan.made">): SessionNote {
  const { breakdown: { source, assignments }, cost_cap_usd, cost_estimate_usd } = data;
  const text = [
    `Plan (${source}): ${counted(assignments.length, "task")}`,
    cost_cap_usd === null ? "no cap" : `at most ${usdOrUnknown(cost_cap_usd)}`,
    cost_estimate_usd === null ? "nobody knows what it will cost" : `about ${usdOrUnknown(cost_estimate_usd)}`,
  ].join(", ");
  return coordinator("info", text, {
    style: "bold",
    details: [
      ...(data.note === "" ? [] : [data.note]),
      ...assignments.map(({ id, title, agent, load, depends_on }) => {
        const after = depends_on.length === 0 ? "" : `, after ${depends_on.join(", ")}`;
        return `${id}: ${clipped(title, MAX_TALK)} (${agent ?? "whoever is free"}, ${
          Math.round(load * 100)
        } %${after})`;
      }),
    ],
  });
}

function launchNote(data: EventData<"worker.launched">, { tasks }: SessionState): SessionNote {
  const title = data.task === null ? undefined : tasks.get(data.task)?.assignment.title ?? data.task;
  const what = data.review !== null
    ? `the review ${data.review}`
    : title === undefined
    ? "the result"
    : `"${clipped(title, MAX_TALK)}"`;
  const text = [
    `Starts on ${what}${data.agent === data.worker ? "" : ` as ${data.agent}`}`,
    ...(data.attempt > 1 ? [`attempt ${data.attempt}`] : []),
    ...(data.resumes === null ? [] : ["with its former conversation"]),
  ].join(", ");
  return note(data.worker, "info", text);
}

/** Says something only where it is not as it should be, or where there is something to see. */
function startNote({ worker, adopted, sandbox, attach }: EventData<"worker.started">): SessionNote | undefined {
  const details = attach === null ? [] : [`See it with: ${attach}`];
  if (adopted) return note(worker, "info", "Is still at work", { details });
  if (!sandbox.enforced) return note(worker, "warning", `Works without a sandbox: ${sandbox.detail}`, { details });
  return attach === null ? undefined : note(worker, "info", details[0]!);
}

function exitNote(data: EventData<"worker.exited">, { spending, workers }: SessionState): SessionNote {
  const { outcome, cause, exit_code, signal, text } = data;
  const spent = spending.get(data.worker);
  const parts = [
    `${OUTCOMES[outcome]}${cause === null ? "" : ` (${words(cause)})`} after ${duration(data.duration_seconds)}`,
    ...(exit_code === null || exit_code === 0 ? [] : [`exit code ${exit_code}`]),
    ...(signal === null ? [] : [signal]),
    ...(spent === undefined || spent.calls === 0 ? [] : [usdOrUnknown(spent.unknownCalls > 0 ? null : spent.knownUsd)]),
  ];
  const left = data.left_behind === 0 ? [] : [`Ended ${counted(data.left_behind, "process")} that it left behind`];
  const isGood = outcome === "completed";
  // A reviewer's answer is told in words of its own.
  const said = isGood && (workers.get(data.worker)?.review ?? null) !== null ? "" : reasonOf(clipped(text, MAX_SAID));
  return note(data.worker, isGood ? "info" : "warning", parts.join(", ") + said, {
    style: isGood ? "green" : undefined,
    details: left,
  });
}

const OUTCOMES = {
  completed: "Completed",
  failed: "Failed",
  stopped: "Was stopped",
  limit: "Was ended by a limit",
  lost: "Was lost",
} as const;

/** What agents say is for whoever wants to see everything, but for what others have to know. */
function talkNote(worker: string, { type, payload }: AgentEvent): SessionNote {
  const { text, data } = payload;
  switch (type) {
    case "milestone":
      return note(worker, "info", `Milestone: ${clipped(text, MAX_SAID)}`);
    case "finding":
      return note(worker, "info", `Finding: ${clipped(text, MAX_SAID)}`);
    case "request_review":
      return note(worker, "info", `Asks for a review: ${clipped(text, MAX_SAID)}`);
    case "blocker":
    case "denial":
    case "error":
      return note(worker, "warning", `${TALK[type]}: ${clipped(text, MAX_SAID)}`);
    case "command": {
      const end = data?.phase !== "ended"
        ? ""
        : typeof data.exit_code === "number"
        ? ` (exit code ${data.exit_code})`
        : " (ended)";
      return note(worker, "debug", `$ ${clipped(text, MAX_TALK)}${end}`);
    }
    case "message":
      return note(worker, "debug", clipped(text, MAX_TALK));
    default:
      return note(worker, "debug", `${words(type)}: ${clipped(text, MAX_TALK)}`);
  }
}

const TALK = { blocker: "Blocker", denial: "Denied", error: "Error" } as const;

/** Escaped later, with the line that it becomes a part of: escaping twice would show the escapes. */
function clipped(text: string, columns: number): string {
  return clipToWidth(text.slice(0, columns * 4).replaceAll(/\s+/g, " ").trim(), columns);
}

function reasonOf(reason: string): string {
  return reason === "" ? "" : `: ${reason}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function rounded(amount: number): number {
  return Math.round(amount * 10) / 10;
}

function command(words: string, start: SessionState["start"]): string {
  return `gocore orchestrate ${words}${start === null ? "" : ` --workspace ${shellWord(dirname(start.folder))}`}`;
}
