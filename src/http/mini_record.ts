/** A mini run as JSON: of its trajectory, or as far as its log or its events have come. */
import type { MiniRecord } from "./schemas.ts";

type Message = MiniRecord["messages"][number];
type Fields = Readonly<Record<string, unknown>>;

/** What is known of a run, wherever it was found; what is not is undefined. */
export interface MiniFacts {
  readonly task?: string;
  readonly model?: string;
  readonly workdir?: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** As `finish` has it. */
  readonly status?: string;
  readonly result?: string;
  readonly exitStatus?: string;
  /** Null: a call had no known price. */
  readonly costUsd?: number | null;
  readonly knownCostUsd?: number;
  readonly calls?: number;
  readonly messages?: readonly Message[];
}

export interface MiniRecordParts {
  readonly runId: string;
  readonly workdir: string;
  /** Whether its process runs. */
  readonly isRunning: boolean;
  /** The most trusted first: each fact is of the first that has it. */
  readonly sources: readonly MiniFacts[];
  readonly trajectoryPath: string | null;
  readonly hasEvents: boolean;
  /** Of the last event that is taken account of; -1: none. */
  readonly seq: number;
  readonly nowMs: number;
}

const MAX_MESSAGES = 5000;
/** The task and what belongs to it: they stay, whatever is left out. */
const OPENING_MESSAGES = 2;
/** Characters of one message, and of all of them together. */
const MAX_CONTENT = 100_000;
const MAX_CONTENTS = 8_000_000;
/** Of an old message, when all of them together are too long. */
const MIN_CONTENT = 200;

export function miniRecord(parts: MiniRecordParts): MiniRecord {
  const { sources, isRunning } = parts;
  const first = <K extends keyof MiniFacts>(key: K): MiniFacts[K] =>
    sources.find((source) => source[key] !== undefined)?.[key];
  const startedAt = first("startedAt") ?? null;
  const endedAt = isRunning ? null : first("endedAt") ?? null;
  const endMs = endedAt === null && isRunning ? parts.nowMs : Date.parse(endedAt ?? "");
  const elapsedMs = startedAt === null ? 0 : endMs - Date.parse(startedAt);
  const known = first("knownCostUsd") ?? 0;
  const cost = first("costUsd");
  const calls = first("calls") ?? 0;
  return {
    run_id: parts.runId,
    // One that has not told its end, and does not run, was killed.
    status: isRunning ? "running" : first("status") ?? "cut_off",
    running: isRunning,
    task: first("task") ?? "",
    model: first("model") ?? null,
    workdir: first("workdir") ?? parts.workdir,
    started_at: startedAt,
    ended_at: endedAt,
    elapsed_seconds: Number.isFinite(elapsedMs) ? Math.max(elapsedMs, 0) / 1000 : 0,
    cost_usd: cost === undefined ? known : cost,
    known_cost_usd: known,
    calls,
    steps: calls,
    result: first("result") ?? null,
    exit_status: first("exitStatus") ?? null,
    messages: [...first("messages") ?? []],
    trajectory_path: parts.trajectoryPath,
    has_events: parts.hasEvents,
    seq: parts.seq,
  };
}

/** mini-swe-agent's words for ends; any other is the type of an error. */
const STATUSES: Readonly<Record<string, string>> = {
  Submitted: "success",
  TimeExceeded: "time_limit",
  RepeatedFormatError: "format_error",
  Interrupted: "interrupted",
  UserInterruption: "interrupted",
  Killed: "cut_off",
};

/** The `status` of a run whose trajectory has this `exit_status`; `result` tells which limit was reached. */
function miniStatus(exitStatus: string, result: string): string {
  if (exitStatus === "LimitsExceeded") return result.includes("cost limit") ? "cost_limit" : "step_limit";
  return Object.hasOwn(STATUSES, exitStatus) ? STATUSES[exitStatus]! : "error";
}

/** A document of the format `mini-swe-agent-1.1`, or what there is of one. Nothing of it is trusted. */
export function trajectoryFacts(document: unknown): MiniFacts {
  const { info, messages } = fieldsOf(document);
  const { exit_status, model_stats, config, task, workdir, submission } = fieldsOf(info);
  const { instance_cost, api_calls } = fieldsOf(model_stats);
  const conversation = new Conversation();
  let replies = 0;
  const spent: { usd: number | null; known: number } = { usd: 0, known: 0 };
  for (const message of Array.isArray(messages) ? messages : []) {
    const read = trajectoryMessage(fieldsOf(message));
    conversation.push(read);
    if (read.role !== "assistant") continue;
    replies++;
    spent.known += read.cost_usd ?? 0;
    spent.usd = spent.usd === null || read.cost_usd === null ? null : spent.usd + read.cost_usd;
  }
  const shown = conversation.messages;
  const exit = shown.findLast(({ role }) => role === "exit");
  const exitStatus = textOf(exit_status);
  const result = exit?.content || textOf(submission) || undefined;
  const isPriced = exitStatus !== undefined && (instance_cost === null || typeof instance_cost === "number");
  return {
    // One of mini-swe-agent has its task in the first thing alone that is said to the model.
    task: textOf(task) ?? shown.find(({ role }) => role === "user")?.content,
    model: textOf(fieldsOf(fieldsOf(config).model).model_name),
    workdir: textOf(workdir),
    startedAt: shown.find(({ time }) => time !== null)?.time ?? undefined,
    endedAt: shown.findLast(({ time }) => time !== null)?.time ?? undefined,
    status: exitStatus && miniStatus(exitStatus, result ?? ""),
    result,
    exitStatus,
    costUsd: isPriced ? instance_cost : spent.usd,
    knownCostUsd: spent.known,
    calls: exitStatus === undefined ? replies : countOf(api_calls) ?? replies,
    messages: shown,
  };
}

/** Entries of a run's log (`store/run_logs.ts`) as a trajectory that goes on. */
export function logFacts(entries: readonly Fields[]): MiniFacts {
  const info = fieldsOf(entries.find(({ kind }) => kind === "run")?.info);
  const messages = entries.flatMap(({ kind, message }) => kind === "message" ? [message] : []);
  const end = entries.find(({ kind }) => kind === "end")?.end;
  const { exitStatus, cost, calls } = fieldsOf(end);
  return trajectoryFacts({
    info: { ...info, exit_status: exitStatus, model_stats: { instance_cost: cost, api_calls: calls } },
    messages,
  });
}

/** What the lines of `gocore mini --headless` say, added one by one. Memory is bounded by what a record shows. */
export class MiniEvents {
  readonly #conversation = new Conversation();
  #facts: MiniFacts = {};
  /** The number of model replies so far, and what the last one became. */
  #step = 0;
  #reply: Message | undefined;

  add(line: unknown): void {
    const { type, data: found, timestamp } = fieldsOf(line);
    const data = fieldsOf(found);
    const time = textOf(timestamp);
    switch (type) {
      case "start":
        this.#learn({ task: textOf(data.task), model: textOf(data.model), workdir: textOf(data.workdir) });
        this.#learn({ startedAt: time });
        this.#push("user", { content: textOf(data.task), time });
        break;
      case "thought":
        this.#conversation.append(this.#replyOf(data.step, time), textOf(data.content) ?? "");
        break;
      case "step": {
        this.#replyOf(data.step, time).commands.push((textOf(data.action) ?? "").slice(0, MAX_CONTENT));
        const content = [textOf(data.exception_info), textOf(data.output)].filter(Boolean).join("\n");
        this.#push("tool", { content, time }).exit_code = integerOf(data.exit_code);
        this.#learn({ costUsd: numberOf(data.cost_so_far), knownCostUsd: numberOf(data.cost_so_far) ?? undefined });
        // With the cost: a reply whose commands are still to end has not been priced yet.
        this.#learn({ calls: countOf(data.step) });
        break;
      }
      case "finish":
        this.#learn({ status: textOf(data.status), exitStatus: textOf(data.exit_status), endedAt: time });
        this.#learn({ result: textOf(data.result), calls: countOf(data.steps) });
        this.#push("exit", { content: textOf(data.result), time });
        break;
      case "cost":
        this.#learn({ costUsd: numberOf(data.total), knownCostUsd: numberOf(data.known_total) ?? undefined });
        break;
      default:
    }
  }

  get facts(): MiniFacts {
    return { ...this.#facts, messages: this.#conversation.messages };
  }

  #learn(facts: MiniFacts): void {
    const known = Object.entries(facts).filter(([, value]) => value !== undefined);
    this.#facts = { ...this.#facts, ...Object.fromEntries(known) };
  }

  #push(role: string, { content = "", time = null }: { content?: string; time?: string | null }): Message {
    const message: Message = { role, content, commands: [], exit_code: null, time, cost_usd: null };
    this.#conversation.push(message);
    return message;
  }

  /** The message in which the commands and thoughts of a model's reply are gathered. */
  #replyOf(step: unknown, time: string | undefined): Message {
    const number = countOf(step) ?? this.#step;
    if (this.#reply === undefined || number !== this.#step) {
      this.#step = number;
      this.#reply = this.#push("assistant", { time });
    }
    return this.#reply;
  }
}

/** The messages of a run, as many and as long as may be shown: the newest whole, and of the older ones less. */
class Conversation {
  readonly messages: Message[] = [];
  #characters = 0;
  /** The first one that has not been cut to make room. */
  #whole = OPENING_MESSAGES;

  push(message: Message): void {
    if (this.messages.length >= MAX_MESSAGES) {
      const left = this.messages.splice(OPENING_MESSAGES, MAX_MESSAGES / 10);
      for (const { content } of left) this.#characters -= content.length;
      this.#whole = Math.max(this.#whole - left.length, OPENING_MESSAGES);
    }
    this.messages.push(message);
    const { content } = message;
    message.content = "";
    this.append(message, content);
  }

  /** Adds to the text of one of them. */
  append(message: Message, text: string): void {
    this.#set(message, clip(message.content === "" ? text : `${message.content}\n${text}`, MAX_CONTENT));
    while (this.#characters > MAX_CONTENTS && this.#whole < this.messages.length - 1) {
      const oldest = this.messages[this.#whole++]!;
      this.#set(oldest, clip(oldest.content, MIN_CONTENT));
    }
  }

  #set(message: Message, content: string): void {
    this.#characters += content.length - message.content.length;
    message.content = content;
  }
}

function trajectoryMessage({ role, content, tool_calls, extra: found }: Fields): Message {
  const extra = fieldsOf(found);
  const actions = listOf(extra.actions).map((action) => textOf(action.command));
  const calls = listOf(tool_calls).map((call) => commandOf(fieldsOf(call.function).arguments));
  const given = actions.length > 0 ? actions : calls;
  return {
    role: textOf(role) ?? "unknown",
    content: textOf(content) ?? listOf(content).map(({ text }) => textOf(text) ?? "").join("\n"),
    commands: given.filter((command) => command !== undefined).map((command) => command.slice(0, MAX_CONTENT)),
    exit_code: integerOf(extra.returncode),
    time: timeOf(extra.timestamp),
    cost_usd: numberOf(extra.cost),
  };
}

function commandOf(text: unknown): string | undefined {
  try {
    return textOf(fieldsOf(JSON.parse(textOf(text) ?? "")).command);
  } catch {
    return undefined;
  }
}

/** @param seconds since 1970 */
function timeOf(seconds: unknown): string | null {
  const date = new Date((numberOf(seconds) ?? NaN) * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Fields : {};
}

function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function integerOf(value: unknown): number | null {
  return Number.isSafeInteger(value) ? value as number : null;
}

function countOf(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : undefined;
}

/** A slice would keep the whole text in memory, and may have half of a surrogate pair at its edge. */
function clip(text: string, max: number): string {
  if (text.length <= max) return text;
  return new TextDecoder().decode(new TextEncoder().encode(text.slice(0, max - 1))) + "…";
}
