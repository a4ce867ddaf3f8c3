/** The agent: ask the model, run its commands, show it what happened, until the work is submitted or a limit is reached. */
import { configDump } from "../config/config_dump.ts";
import type { MiniSettings } from "../config/mini_settings.ts";
import type { EventData, EventFact } from "../events/event.ts";
import { Failure } from "../failure.ts";
import type { ChatMessage, ChatModel, ChatReply, RetryNotice } from "../models/chat_model.ts";
import type { CommandVerdict } from "../safety/command_policy.ts";
import type { TemplateRenderer } from "../templates/render.ts";
import type { CommandResult, Environment } from "./environment.ts";
import { type Outcome, outcomeOfError, WallTimeExceeded } from "./outcome.ts";
import {
  type Action,
  type ActionProtocol,
  type ParsedReply,
  submissionIn,
  textProtocol,
  toolcallProtocol,
} from "./protocol.ts";
import { Tally } from "./tally.ts";
import { thoughtsIn } from "./thoughts.ts";
import type { TrajectoryMessage } from "./trajectory.ts";

export interface AgentParts {
  readonly settings: MiniSettings;
  readonly model: ChatModel;
  readonly environment: Environment;
  readonly renderer: TemplateRenderer;
  /** Without it every command is run. */
  readonly policy?: {
    judge(command: string): Promise<CommandVerdict>;
    /** Gets ready, while the model thinks. Never throws: `judge` tells what went wrong. */
    prepare(): void;
    /** Whether what it blocks is not run. */
    readonly refuses: boolean;
  };
  /** Resolves when every reader has taken the event. */
  publish(fact: EventFact): Promise<void>;
  /** Puts a message into the trajectory. */
  record(message: TrajectoryMessage): void;
  /** Milliseconds of a clock that never goes back. */
  monotonicMs(): number;
}

export class Agent {
  readonly tally = new Tally();
  readonly #parts: AgentParts;
  readonly #protocol: ActionProtocol;
  readonly #messages: ChatMessage[] = [];
  readonly #startedMs: number;
  #variables: Record<string, unknown> = {};
  #formatErrors = 0;
  #warnedOfCost = false;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#startedMs = parts.monotonicMs();
    const { protocol, actionRegex } = parts.settings.model;
    this.#protocol = protocol === "text" ? textProtocol(actionRegex) : toolcallProtocol;
  }

  /** Runs the task to one of its ends. Never throws: a failure is an outcome. */
  async run(task: string, signal: AbortSignal): Promise<Outcome> {
    using deadline = new Deadline(this.#parts.settings.agent.wallTimeLimitSeconds, signal);
    try {
      this.#begin(task);
      while (true) {
        const limit = this.#reachedLimit();
        if (limit !== undefined) return limit;
        const reply = await this.#query(deadline.signal);
        const parsed = await this.#take(reply);
        if (parsed.kind === "format_error") {
          await this.#answerFormatError(reply, parsed.error, parsed.found);
          const { maxConsecutiveFormatErrors: max } = this.#parts.settings.agent;
          if (max > 0 && this.#formatErrors >= max) return { kind: "format_errors", count: this.#formatErrors };
          continue;
        }
        this.#formatErrors = 0;
        const submission = await this.#execute(parsed.actions, deadline.signal);
        if (submission !== undefined) return { kind: "submitted", submission };
      }
    } catch (error) {
      return outcomeOfError(deadline.signal.aborted ? deadline.signal.reason : error);
    }
  }

  get elapsedSeconds(): number {
    return (this.#parts.monotonicMs() - this.#startedMs) / 1000;
  }

  #begin(task: string): void {
    const { settings, environment } = this.#parts;
    const { agent, model } = configDump(settings);
    this.#variables = { ...agent, ...environment.templateVariables(), ...model, task };
    for (const [role, template] of [["system", "systemTemplate"], ["user", "instanceTemplate"]] as const) {
      const name = `agent.${role === "system" ? "system_template" : "instance_template"}`;
      const content = this.#render(name, settings.agent[template]);
      this.#messages.push({ role, content });
      this.#parts.record({ role, content });
    }
  }

  #reachedLimit(): Outcome | undefined {
    const { stepLimit, costLimitUsd, wallTimeLimitSeconds } = this.#parts.settings.agent;
    const reached = (limit: number, value: number) => limit > 0 && value >= limit;
    if (reached(stepLimit, this.tally.calls)) return { kind: "limit", which: "steps", limit: stepLimit };
    if (reached(costLimitUsd, this.tally.knownUsd)) return { kind: "limit", which: "cost", limit: costLimitUsd };
    if (reached(wallTimeLimitSeconds, this.elapsedSeconds)) {
      return { kind: "limit", which: "time", limit: wallTimeLimitSeconds };
    }
    return undefined;
  }

  async #query(signal: AbortSignal): Promise<ChatReply> {
    const { model, policy, publish } = this.#parts;
    const notices: Promise<void>[] = [];
    const log = (level: "info" | "warning", content: string, details: Partial<EventData<"log">> = {}) =>
      void notices.push(publish({ type: "log", data: { level, content, ...details } }));
    const asking = model.query(this.#messages, {
      bashTool: this.#protocol.bashTool,
      signal,
      onRetry: (notice) => log("warning", sentenceOf(notice), detailsOf(notice)),
      onWarning: (message) => log("warning", message),
      onUnpricedAttempt: () => this.tally.addUnpricedAttempt(),
    }).finally(() => Promise.all(notices));
    policy?.prepare();
    const reply = await asking;
    this.tally.add(reply);
    return reply;
  }

  /** Puts a reply into the conversation and the trajectory, and tells what it says besides its commands. */
  async #take(reply: ChatReply): Promise<ParsedReply> {
    const { content, toolCalls, providerState } = reply;
    this.#messages.push({ role: "assistant", content, toolCalls, providerState });
    const parsed = this.#protocol.parse(reply);
    this.#parts.record({
      role: "assistant",
      content,
      ...(toolCalls.length > 0 &&
        {
          tool_calls: toolCalls.map(({ id, name, arguments: text }) => ({
            id,
            type: "function",
            function: { name, arguments: text },
          })),
        }),
      extra: {
        actions: parsed.kind === "actions"
          ? parsed.actions.map(({ command, toolCallId }) => ({ command, tool_call_id: toolCallId }))
          : [],
        response: reply.raw,
        finish_reason: reply.finishReason,
        usage: reply.usage,
        cost: reply.cost.usd,
        cost_source: reply.cost.source,
      },
    });
    for (const thought of thoughtsIn(reply)) {
      await this.#parts.publish({ type: "thought", data: { step: this.tally.calls, ...thought } });
    }
    await this.#checkPrice(reply);
    return parsed;
  }

  /** A cost limit cannot hold for calls without a price: told once, or the end of the run with `cost_tracking: strict`. */
  async #checkPrice({ cost }: ChatReply): Promise<void> {
    const { costTracking, name } = this.#parts.settings.model;
    if (cost.usd !== null || costTracking === "ignore_errors" || costTracking === "disabled") return;
    const hints = [
      "Name a price file with `-c model.litellm_model_registry=prices.json`",
      "Or accept an unknown cost with `-c model.cost_tracking=ignore_errors`",
    ];
    if (costTracking === "strict") {
      throw new Failure("model", `Cannot tell the cost of a call of "${name}", and cost_tracking is strict`, {
        type: "CostTrackingError",
        hints,
      });
    }
    if (this.#warnedOfCost) return;
    this.#warnedOfCost = true;
    const content =
      `The price of "${name}" is not known: its cost is reported as null, and the cost limit cannot stop it`;
    await this.#parts.publish({ type: "log", data: { level: "warning", content, hints } });
  }

  async #answerFormatError(reply: ChatReply, error: string, found: readonly string[]): Promise<void> {
    this.#formatErrors += 1;
    const content = this.#render("model.format_error_template", this.#parts.settings.model.formatErrorTemplate, {
      error,
      actions: found,
      finish_reason: reply.finishReason,
      has_tool_calls: reply.toolCalls.length > 0,
    });
    const extra = { interrupt_type: "FormatError", error };
    // Providers want an answer to each tool call, also to one that could not be used.
    for (const { id, name } of reply.toolCalls) this.#answer({ toolCallId: id, toolName: name }, content, extra);
    if (reply.toolCalls.length === 0) this.#answer(undefined, content, extra);
    await this.#parts.publish({
      type: "log",
      data: { level: "warning", content: `No usable command in the reply: ${error}`, step: this.tally.calls },
    });
  }

  /** Runs the commands of one reply in order; the submission, if one of them finished the task. */
  async #execute(actions: readonly Action[], signal: AbortSignal): Promise<string | undefined> {
    for (const [index, action] of actions.entries()) {
      signal.throwIfAborted();
      const result = await this.#refusal(action.command) ??
        await this.#parts.environment.execute(action.command, { signal });
      const content = this.#observation(action, result);
      this.#answer(
        action.toolCallId === undefined ? undefined : { toolCallId: action.toolCallId, toolName: "bash" },
        content,
        {
          raw_output: result.output,
          returncode: result.exitCode,
          exception_info: result.exceptionInfo,
          elided_bytes: result.elidedBytes,
          duration_seconds: result.durationMs / 1000,
        },
      );
      await this.#parts.publish({
        type: "step",
        data: {
          step: this.tally.calls,
          action: action.command,
          action_index: index,
          action_count: actions.length,
          output: result.output,
          exit_code: result.exitCode,
          timed_out: result.timedOut,
          exception_info: result.exceptionInfo,
          elided_bytes: result.elidedBytes,
          elided_chars: 0,
          duration_seconds: result.durationMs / 1000,
          cost_so_far: this.tally.totalUsd,
        },
      });
      const submission = result.exitCode === 0 ? submissionIn(result.output) : undefined;
      if (submission !== undefined) return submission;
    }
    return undefined;
  }

  /** What the model is answered instead of a result; undefined for a command that may run. */
  async #refusal(command: string): Promise<CommandResult | undefined> {
    const { policy, publish } = this.#parts;
    const judged = await policy?.judge(command);
    if (policy === undefined || judged === undefined || judged.verdict === "allow") return undefined;
    const refused = judged.verdict === "block" && policy.refuses;
    const { verdict, rule, reason } = judged;
    await publish({ type: "command.judged", data: { worker: "mini", command, verdict, rule, reason, refused } });
    if (!refused) return undefined;
    const exceptionInfo = `The command was not run, the command policy forbids it: ${reason} (rule ${rule})`;
    return { output: "", elidedBytes: 0, exitCode: -1, exceptionInfo, timedOut: false, durationMs: 0 };
  }

  #observation({ command }: Action, result: CommandResult): string {
    const { model } = this.#parts.settings;
    const output = {
      output: result.output,
      returncode: result.exitCode,
      exception_info: result.exceptionInfo,
      elided_bytes: result.elidedBytes,
      duration_seconds: result.durationMs / 1000,
    };
    if (model.templateDialect === "v1") {
      if (result.timedOut && model.timeoutTemplate !== undefined) {
        return this.#render("agent.timeout_template", model.timeoutTemplate, {
          action: { action: command },
          output: result.output,
        });
      }
      // v1 templates know no `exception_info`: the output is the only place where the model can read it.
      if (result.exceptionInfo !== "") output.output = `${result.exceptionInfo}\n${result.output}`;
    }
    return this.#render("model.observation_template", model.observationTemplate, {
      output,
      action: { action: command },
    });
  }

  #answer(
    call: { toolCallId: string; toolName: string } | undefined,
    content: string,
    extra: Record<string, unknown>,
  ): void {
    if (call === undefined) {
      this.#messages.push({ role: "user", content });
      this.#parts.record({ role: "user", content, extra });
    } else {
      this.#messages.push({ role: "tool", content, ...call });
      this.#parts.record({ role: "tool", tool_call_id: call.toolCallId, content, extra });
    }
  }

  #render(name: string, template: string, variables: Record<string, unknown> = {}): string {
    return this.#parts.renderer.render(name, template, {
      ...this.#variables,
      n_model_calls: this.tally.calls,
      model_cost: this.tally.knownUsd,
      elapsed_seconds: Math.floor(this.elapsedSeconds),
      ...variables,
    });
  }
}

/** Aborts with the run, or when the wall time is over. */
class Deadline {
  readonly signal: AbortSignal;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(limitSeconds: number, runSignal: AbortSignal) {
    if (limitSeconds <= 0) {
      this.signal = runSignal;
      return;
    }
    const over = new AbortController();
    // setTimeout holds no more than 2^31 - 1 ms, 24.8 days; a longer limit is checked before each query only.
    const limitMs = limitSeconds * 1000;
    if (limitMs < 2 ** 31) this.#timer = setTimeout(() => over.abort(new WallTimeExceeded(limitSeconds)), limitMs);
    this.signal = AbortSignal.any([runSignal, over.signal]);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

function sentenceOf({ attempt, maxAttempts, waitMs, message }: RetryNotice): string {
  return `${message}; attempt ${attempt} of ${maxAttempts}, next in ${waitMs / 1000} s`;
}

function detailsOf({ attempt, maxAttempts, waitMs, status }: RetryNotice): Partial<EventData<"log">> {
  return { attempt, max_attempts: maxAttempts, wait_seconds: waitMs / 1000, status: status ?? null };
}
