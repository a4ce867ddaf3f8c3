/** Our own agent: `gocore mini --headless`. */
import { join } from "node:path";
import type { AgentEvent, FailureCause } from "../../events/session_events.ts";
import type { Json } from "../../models/json.ts";
import type { Usage } from "../../models/usage.ts";
import type { AgentAdapter, Launch, LaunchRequest, ProcessExit, StreamReader, StreamResult } from "../adapter.ts";
import { causeOf, causeOfSilence, refusalIn } from "../failure_cause.ts";
import { StreamEvents } from "../stream_events.ts";
import {
  clip,
  clipStart,
  complaintIn,
  countOf,
  MAX_ANSWER,
  MAX_COMMAND,
  MAX_NAME,
  MAX_OUTPUT,
  MAX_TEXT,
  objectOf,
  oneLine,
  readObject,
  textOf,
} from "../stream_text.ts";

/** It has no read-only mode: what its commands may write is the sandbox's business alone. */
export const mini: AgentAdapter = {
  name: "mini",
  install: "it is part of gocore",
  provider: undefined,
  programs: ["gocore"],
  nativePaths: [],
  canResume: false,
  stopSignal: "SIGINT",
  launch,
  openStream: (options) => new MiniStream(options),
};

function launch(request: LaunchRequest): Launch {
  const { home, workdir, model, costLimitUsd, timeLimitSeconds } = request;
  return {
    argv: [
      ...request.program,
      ...["mini", "--headless"],
      ...["--output", join(home, "trajectory.json")],
      ...(model === undefined ? [] : ["--model", model]),
      ...(costLimitUsd === undefined ? [] : ["--cost-limit", String(costLimitUsd)]),
      ...(timeLimitSeconds === undefined ? [] : ["--wall-time-limit", String(timeLimitSeconds)]),
      ...request.extraArguments,
      // A text in JSON is one in YAML too, whatever the path has in it.
      ...["-c", `environment.cwd=${JSON.stringify(workdir)}`],
      `--task=${request.prompt}`,
    ],
    env: {
      // Its `.miniswe` stays out of the work, and a profile or an `.env` of the repository out of its settings.
      MINI_WORKDIR: home,
      MINI_API_BASE: request.gatewayUrl,
      MINI_API_KEY: request.key,
      NO_COLOR: "1",
    },
    files: {},
  };
}

const NOISE = /^Hint: /;

class MiniStream implements StreamReader {
  readonly #events: StreamEvents;
  #session: string | null = null;
  #model: string | null = null;
  #finish: { readonly status: string; readonly exitStatus: string; readonly result: string } | undefined;
  #usage: Usage | null = null;
  #costUsd: number | null = null;
  /** Why the model was last asked in vain; null once it has answered. */
  #trouble: { readonly text: string; readonly cause: FailureCause } | null = null;

  constructor(options: { readonly agent: string; now(): number }) {
    this.#events = new StreamEvents(options);
  }

  read(line: string): AgentEvent[] {
    if (line.trim() === "") return [];
    const event = readObject(line);
    const data = objectOf(event?.data);
    switch (event?.type) {
      case "start":
        return [this.#readStart(data)];
      case "step":
        return this.#readStep(data);
      case "thought":
        return this.#readThought(data);
      case "log":
        return this.#readLog(data);
      case "error":
        return [this.#events.make("error", textOf(data.error), { data: { type: clip(textOf(data.type), MAX_NAME) } })];
      case "finish":
        return this.#readFinish(data);
      case "cost":
        this.#usage = usageOf(data);
        this.#costUsd = typeof data.total === "number" && data.total >= 0 ? data.total : null;
        return [];
    }
    return typeof event?.type === "string" ? [] : [this.#events.unreadable(line)];
  }

  result(exit: ProcessExit): StreamResult {
    const known = {
      session: this.#session,
      usage: this.#usage,
      reportedCostUsd: this.#costUsd,
      model: this.#model,
      denials: this.#events.denials,
    };
    if (this.#finish === undefined) {
      const end = causeOfSilence(exit, this.#trouble?.text ?? complaintIn(exit.stderr, NOISE));
      const cause = this.#trouble?.cause ?? (exit.exitCode === 2 ? "arguments" : end.cause);
      return { outcome: "failed", cause, text: end.text, ...known };
    }
    const { status, result } = this.#finish;
    if (status === "success") return { outcome: "completed", cause: null, text: result, ...known };
    return { outcome: "failed", cause: causeOfFinish(this.#finish), text: result || `It ended: ${status}`, ...known };
  }

  #readStart(data: Json): AgentEvent {
    this.#session = clip(textOf(data.run_id), MAX_NAME) || null;
    this.#model = clip(textOf(data.model), MAX_NAME) || null;
    const version = clip(textOf(data.version), MAX_NAME);
    return this.#events.make("status", `Works with ${this.#model ?? "an unknown model"}`, {
      data: { session: this.#session, model: this.#model, version },
    });
  }

  /** mini tells a command once it has ended. */
  #readStep(data: Json): AgentEvent[] {
    this.#trouble = null;
    const exitCode = typeof data.exit_code === "number" ? data.exit_code : null;
    const command = clip(textOf(data.action), MAX_COMMAND);
    const problem = textOf(data.exception_info);
    const id = `${countOf(data.step)}.${countOf(data.action_index)}`;
    const output = textOf(data.output);
    const ended = this.#events.make("command", command, {
      data: {
        id,
        command,
        phase: "ended",
        exit_code: exitCode,
        output: clipStart(problem === "" ? output : `${output}\n${problem}`, MAX_OUTPUT),
        status: exitCode === 0 ? "completed" : "failed",
      },
    });
    const refusal = refusalIn(output);
    if (refusal === null) return [ended];
    return [ended, ...this.#events.denied(`${oneLine(command, MAX_NAME)}: ${refusal}`, { id, tool: "bash" })];
  }

  /** The words around a command, in which the agent may write events, or the model's own reasoning. */
  #readThought(data: Json): AgentEvent[] {
    this.#trouble = null;
    const content = textOf(data.content);
    if (data.source === "reasoning") return content.trim() === "" ? [] : [this.#events.make("thought", content)];
    return this.#events.said(content).map((event) => event.type === "message" ? { ...event, type: "thought" } : event);
  }

  #readLog(data: Json): AgentEvent[] {
    const content = textOf(data.content);
    if (data.attempt !== undefined) {
      const status = typeof data.status === "number" ? data.status : null;
      this.#trouble = { text: clip(content, MAX_TEXT), cause: causeOf({ status, message: content }) ?? "network" };
      const told = {
        attempt: countOf(data.attempt),
        max_attempts: countOf(data.max_attempts),
        wait_seconds: typeof data.wait_seconds === "number" ? data.wait_seconds : 0,
        status,
      };
      return [this.#events.make("retry", content, { data: told })];
    }
    return data.level === "warning" || data.level === "error" ? [this.#events.make("warning", content)] : [];
  }

  #readFinish(data: Json): AgentEvent[] {
    const status = clip(textOf(data.status), MAX_NAME);
    const result = textOf(data.result);
    this.#finish = {
      status,
      exitStatus: clip(textOf(data.exit_status), MAX_NAME),
      result: clip(result, MAX_ANSWER).trim(),
    };
    if (status === "success") return result.trim() === "" ? [] : this.#events.said(result);
    // An error was told by its own event.
    return status === "error"
      ? []
      : [this.#events.make("error", result || `It ended: ${status}`, { data: { status } })];
  }
}

/** mini's own words for what went wrong (`src/models/model_failure.ts`, `src/failure.ts`). */
const CAUSES: ReadonlyMap<string, FailureCause> = new Map([
  ["AuthenticationError", "auth"],
  ["PermissionDeniedError", "auth"],
  ["RateLimitError", "rate_limit"],
  ["APIConnectionError", "network"],
  ["Timeout", "network"],
  ["InternalServerError", "overloaded"],
  ["ServiceUnavailableError", "overloaded"],
  ["ContextWindowExceededError", "context"],
  ["BudgetExceededError", "budget"],
  ["NotFoundError", "model"],
  ["BadRequestError", "model"],
  ["UnprocessableEntityError", "model"],
  ["ContentPolicyViolationError", "model"],
  ["UsageError", "arguments"],
]);

function causeOfFinish({ status, exitStatus, result }: {
  readonly status: string;
  readonly exitStatus: string;
  readonly result: string;
}): FailureCause | null {
  switch (status) {
    case "interrupted":
      return null;
    case "cost_limit":
      return "budget";
    case "step_limit":
    case "time_limit":
      return "no_answer";
    case "format_error":
      return "model";
  }
  // A 429 or a 400 may mean that nothing is left to pay with.
  if (/\(out of credit\)/.test(result)) return "budget";
  return CAUSES.get(exitStatus) ?? causeOf({ status: null, message: result }) ?? "crashed";
}

function usageOf(cost: Json): Usage {
  return {
    input: countOf(cost.input_tokens),
    cacheRead: countOf(cost.cache_read_tokens),
    cacheWrite: countOf(cost.cache_write_tokens),
    output: countOf(cost.output_tokens),
    reasoning: countOf(cost.reasoning_tokens),
  };
}
