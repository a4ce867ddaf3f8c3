/** OpenAI's codex: how `codex exec` is started, and what its JSON lines say. */
import { isObject, type Json } from "../../models/json.ts";
import type { Usage } from "../../models/usage.ts";
import type { AgentEvent } from "../../events/session_events.ts";
import type { AgentAdapter, Launch, LaunchRequest, ProcessExit, StreamReader, StreamResult } from "../adapter.ts";
import { causeOf, causeOfSilence, refusalIn } from "../failure_cause.ts";
import { StreamEvents } from "../stream_events.ts";
import {
  asJson,
  clip,
  clipStart,
  complaintIn,
  countOf,
  MAX_ANSWER,
  MAX_COMMAND,
  MAX_NAME,
  MAX_OUTPUT,
  objectOf,
  oneLine,
  readObject,
  textOf,
} from "../stream_text.ts";

export const codex: AgentAdapter = {
  name: "codex",
  install: "npm install -g @openai/codex",
  provider: "openai",
  programs: ["codex"],
  nativePaths: ["x64", "arm64"].flatMap((cpu) => {
    const triple = `${cpu === "x64" ? "x86_64" : "aarch64"}-unknown-linux-musl`;
    // Beside the launcher's package, or inside of it.
    return ["../..", "../node_modules/@openai"].map((at) => `${at}/codex-linux-${cpu}/vendor/${triple}/bin/codex`);
  }),
  canResume: true,
  // It ends its commands on SIGINT; on SIGTERM they survive when it has no sandbox.
  stopSignal: "SIGINT",
  launch,
  openStream: (options) => new CodexStream(options),
};

const KEY_VARIABLE = "GOCORE_KEY";

function launch(request: LaunchRequest): Launch {
  const { program, workdir, model, readOnly, resume, adjustments } = request;
  const stateFolder = ".codex";
  return {
    argv: [
      ...program,
      "exec",
      "--json",
      // Its own sandbox hides from the stream what it denies, so that writers work in that of gocore.
      ...(readOnly && adjustments.withoutOwnSandbox !== true
        ? ["-s", "read-only"]
        : ["--dangerously-bypass-approvals-and-sandbox"]),
      ...["-C", workdir],
      ...(adjustments.trustDirectory === true ? ["--skip-git-repo-check"] : []),
      ...(model === undefined ? [] : ["-m", model]),
      ...request.extraArguments,
      ...(resume === undefined ? ["--"] : ["resume", "--", resume]),
      // A dash alone would mean stdin.
      request.prompt === "-" ? " -" : request.prompt,
    ],
    env: { CODEX_HOME: `${request.home}/${stateFolder}`, [KEY_VARIABLE]: request.key, NO_COLOR: "1" },
    files: { [`${stateFolder}/config.toml`]: settings(`${request.gatewayUrl}/v1`) },
  };
}

/** Strings of JSON are strings of TOML. */
function settings(baseUrl: string): string {
  return `model_provider = "gocore"
check_for_update_on_startup = false
web_search = "disabled"

[analytics]
enabled = false

[features]
plugins = false
# Or it never ends when the gateway is gone.
unbounded_connection_retries = false

[shell_environment_policy]
exclude = [${JSON.stringify(KEY_VARIABLE)}]

[model_providers.gocore]
name = "gocore"
base_url = ${JSON.stringify(baseUrl)}
env_key = ${JSON.stringify(KEY_VARIABLE)}
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 2
`;
}

/** stderr has these in good runs too. */
const NOISE =
  /^Reading (?:additional input|prompt) from stdin|^WARNING: proceeding|^\S{1,60} ERROR \S{1,200}: failed to record rollout items: thread |^Stack backtrace:|^\d{1,4}: <unknown>/;
const TOOL_REFUSED = /^patch rejected|^approval policy is Never/;
const MAX_CHANGES = 50;

class CodexStream implements StreamReader {
  readonly #events: StreamEvents;
  /** Undefined: `usage` cannot be told from the session's sum. */
  readonly #usedBefore: Usage | undefined;
  #session: string | null = null;
  #answer = "";
  #complaint = "";
  #retried = false;
  #usage: Usage | null = null;
  #end: "none" | "completed" | "failed" = "none";

  constructor(options: Parameters<AgentAdapter["openStream"]>[0]) {
    this.#events = new StreamEvents(options);
    this.#usedBefore = options.resumed ? options.usedBefore : NOTHING;
  }

  read(line: string): AgentEvent[] {
    if (line.trim() === "") return [];
    const record = readObject(line);
    if (record === undefined) return [this.#events.unreadable(line)];
    switch (record.type) {
      case "thread.started": {
        this.#session = clip(textOf(record.thread_id), MAX_NAME) || null;
        return [this.#events.make("status", "Session started", { data: { session: this.#session } })];
      }
      case "turn.started":
        this.#end = "none";
        return [];
      case "turn.completed":
        this.#end = "completed";
        this.#usage = this.#usageOf(record.usage);
        return [];
      case "turn.failed":
        this.#end = "failed";
        this.#complaint = clip(textOf(objectOf(record.error).message), MAX_OUTPUT) || this.#complaint;
        return [this.#events.make("error", this.#complaint || "The turn failed")];
      case "error":
        return this.#error(textOf(record.message));
      case "item.started":
      case "item.updated":
      case "item.completed":
        return isObject(record.item) ? this.#item(record.item, record.type !== "item.completed") : [];
      default:
        return [];
    }
  }

  /** Most of them are not the end: `turn.failed` is. */
  #error(message: string): AgentEvent[] {
    this.#complaint = clip(message, MAX_OUTPUT);
    this.#retried = message.startsWith("Reconnecting...");
    return [this.#events.make(this.#retried ? "retry" : "warning", message)];
  }

  #item(item: Json, isOpen: boolean): AgentEvent[] {
    // It goes on: what it complained of was not the end.
    if (item.type !== "error") this.#complaint = "";
    const id = clip(textOf(item.id), MAX_NAME);
    switch (item.type) {
      case "agent_message":
        return isOpen ? [] : this.#message(textOf(item.text));
      case "reasoning":
        return isOpen || textOf(item.text) === "" ? [] : [this.#events.make("thought", textOf(item.text))];
      case "command_execution":
        return this.#command(id, item, isOpen);
      case "file_change":
        return isOpen ? [] : this.#changes(item);
      case "error":
        return [this.#events.make("warning", textOf(item.message))];
      case "todo_list":
        return [this.#todo(item.items)];
      default: {
        const name = clip(textOf(item.tool) || textOf(item.name) || textOf(item.type), MAX_NAME);
        const detail = oneLine(textOf(item.query) || textOf(item.prompt) || asJson(item.arguments), MAX_NAME);
        const status = clip(textOf(item.status), MAX_NAME);
        const data = { id, name, phase: isOpen ? "started" : "ended", status, detail };
        return [this.#events.make("tool", `${name} ${detail}`.trim(), { data })];
      }
    }
  }

  #message(text: string): AgentEvent[] {
    // Each attempt at a reply whose stream broke off writes the message again.
    const isAgain = this.#retried && text === this.#answer;
    this.#retried = false;
    this.#answer = clip(text, MAX_ANSWER);
    return isAgain ? [] : this.#events.said(text);
  }

  #command(id: string, item: Json, isOpen: boolean): AgentEvent[] {
    const command = textOf(item.command);
    const output = textOf(item.aggregated_output);
    const exitCode = typeof item.exit_code === "number" ? item.exit_code : null;
    const status = clip(textOf(item.status), MAX_NAME);
    const shown = /^\S{1,100}sh -lc '([^']*)'$/.exec(command)?.[1] ?? command;
    const data = {
      id,
      command: clip(command, MAX_COMMAND),
      phase: isOpen ? "started" : "ended",
      exit_code: exitCode,
      output: clipStart(output, MAX_OUTPUT),
      status,
    };
    const events = [this.#events.make("command", shown, { data })];
    if (isOpen) return events;
    // Of a list of commands, the exit code is the last one's.
    const refusal = status === "declined" ? "declined" : refusalIn(output);
    return refusal === null ? events : [...events, ...this.#events.denied(`${oneLine(shown, MAX_NAME)}: ${refusal}`)];
  }

  #changes(item: Json): AgentEvent[] {
    const status = clip(textOf(item.status), MAX_NAME);
    const changes = Array.isArray(item.changes) ? item.changes.slice(0, MAX_CHANGES).map(objectOf) : [];
    return changes.flatMap((change) => {
      const file = clip(textOf(change.path), MAX_NAME);
      const kind = clip(textOf(change.kind), MAX_NAME);
      if (status === "declined") return this.#events.denied(`Change of ${file} declined`);
      if (status === "failed") return [this.#events.make("warning", `Change of ${file} failed`)];
      return [this.#events.make("file", `${kind} ${file}`.trim(), { file, data: { kind } })];
    });
  }

  #todo(items: unknown): AgentEvent {
    const steps = Array.isArray(items) ? items.slice(0, MAX_CHANGES).map(objectOf) : [];
    const done = steps.filter((step) => step.completed === true).length;
    const lines = steps.map((step) =>
      `${step.completed === true ? "[x]" : "[ ]"} ${oneLine(textOf(step.text), MAX_NAME)}`
    );
    const progress = steps.length === 0 ? {} : { progress: Math.round(100 * done / steps.length) };
    return this.#events.make("task", lines.join("\n"), progress);
  }

  #usageOf(value: unknown): Usage | null {
    const told = objectOf(value);
    const cacheRead = countOf(told.cached_input_tokens);
    const cacheWrite = countOf(told.cache_write_input_tokens);
    const before = this.#usedBefore;
    const sum: Usage = {
      input: countOf(told.input_tokens) - cacheRead - cacheWrite,
      cacheRead,
      cacheWrite,
      output: countOf(told.output_tokens),
      reasoning: countOf(told.reasoning_output_tokens),
    };
    // An upstream that tells no usage is summed up as zeros.
    if (before === undefined || sum.input + cacheRead + cacheWrite + sum.output === 0) return null;
    const rest = (name: "input" | "cacheRead" | "cacheWrite" | "output" | "reasoning") =>
      Math.max(0, sum[name] - before[name]);
    return {
      input: rest("input"),
      cacheRead: rest("cacheRead"),
      cacheWrite: rest("cacheWrite"),
      output: rest("output"),
      reasoning: rest("reasoning"),
    };
  }

  readStderr(line: string): AgentEvent[] {
    if (NOISE.test(line)) return [];
    const error = /^\S{1,60} ERROR (?:\S{1,200}: )?(?:error=)?(.*)$/.exec(line.slice(0, MAX_OUTPUT))?.[1];
    if (error === undefined) return [];
    return TOOL_REFUSED.test(error) ? this.#events.denied(error) : [this.#events.make("warning", error)];
  }

  result(exit: ProcessExit): StreamResult {
    const known = {
      session: this.#session,
      usage: this.#usage,
      reportedCostUsd: null,
      model: null,
      denials: this.#events.denials,
    };
    if (this.#end === "completed") return { outcome: "completed", cause: null, text: this.#answer, ...known };
    if (this.#end === "failed") {
      const cause = causeOf({ status: null, message: this.#complaint }) ?? "model";
      return { outcome: "failed", cause, text: this.#complaint || "The turn failed", ...known };
    }
    const said = this.#complaint || complaintIn(exit.stderr, NOISE);
    return { outcome: "failed", ...causeOfSilence(exit, said), ...known };
  }
}

const NOTHING: Usage = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
