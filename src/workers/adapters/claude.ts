/** Claude Code: `claude --print --output-format stream-json`, 2.1.197 to 2.1.329. */
import { join } from "node:path";
import type { AgentEvent, FailureCause } from "../../events/session_events.ts";
import { isObject, type Json } from "../../models/json.ts";
import type { Usage } from "../../models/usage.ts";
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
  MAX_TEXT,
  objectOf,
  oneLine,
  readObject,
  textOf,
} from "../stream_text.ts";

export const claude: AgentAdapter = {
  name: "claude",
  install: "npm install -g @anthropic-ai/claude-code",
  provider: "anthropic",
  programs: ["claude"],
  // What npm's install script links to; the script may not have run.
  nativePaths: ["linux-x64", "linux-arm64", "darwin-arm64", "darwin-x64"].map((platform) =>
    `../../claude-code-${platform}/claude`
  ),
  canResume: true,
  stopSignal: "SIGINT",
  launch,
  openStream: (options) => new ClaudeStream(options),
};

const SETTINGS = "gateway.json";

function launch(request: LaunchRequest): Launch {
  const { home, gatewayUrl, key, model, resume, costLimitUsd, adjustments } = request;
  const folders = new Set([...request.includeDirectories, ...(adjustments.includeDirectories ?? [])]);
  const argv = [
    ...["--print", "--output-format", "stream-json", "--verbose", "--strict-mcp-config"],
    ...(request.readOnly ? READ_ONLY : ["--dangerously-skip-permissions"]),
    ...["--settings", join(home, SETTINGS)],
    ...Array.from(folders, (folder) => ["--add-dir", folder]).flat(),
    ...(model === undefined ? [] : ["--model", model]),
    ...(costLimitUsd === undefined ? [] : ["--max-budget-usd", String(costLimitUsd)]),
    ...(resume === undefined ? [] : [`--resume=${resume}`]),
    ...request.extraArguments,
    // Ends the list of the variadic flags, which would swallow the prompt.
    // In front of anything else a slash would make a command of the program out of it.
    ...["--", request.prompt.startsWith("/") ? ` ${request.prompt}` : request.prompt],
  ];
  return {
    argv: [...request.program, ...argv],
    env: {
      CLAUDE_CONFIG_DIR: join(home, ".claude"),
      ANTHROPIC_BASE_URL: gatewayUrl,
      ANTHROPIC_API_KEY: key,
      CLAUDE_CODE_MAX_RETRIES: "2",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      NO_COLOR: "1",
      // Nothing but "1" counts.
      ...(adjustments.allowRoot === true ? { IS_SANDBOX: "1" } : {}),
    },
    // A repository's own `.claude/settings.json` may name another address, and comes before the environment.
    files: { [SETTINGS]: JSON.stringify({ env: { ANTHROPIC_BASE_URL: gatewayUrl } }) },
  };
}

/**
 * Has no tools that write, and runs only those commands that claude itself judges to change nothing. The hooks and
 * permissions of the repository, which the reviewed agent may have written, do not count.
 */
const READ_ONLY = [
  ...["--permission-mode", "dontAsk", "--tools", "Bash,Read,Grep,Glob", "--setting-sources", "user"],
];

/** Calls whose results have not come; of more than this the oldest are forgotten. */
const MAX_CALLS = 500;
const MAX_WARNINGS = 20;
/** stderr has these in good runs too. */
const NOISE = /^\[claude-code:|^Ignoring \d+ permissions|^Warning: /;
const DENIALS: ReadonlySet<FailureCause> = new Set(["permission", "include_directories", "sandbox"]);
const NOT_ALLOWED = /\bis disabled for this session\b|was blocked\. For security/;
const EXIT_CODE = /^Exit code (\d{1,3})\b/;
const FILE_TOOLS = new Set(["Write", "Edit", "MultiEdit", "NotebookEdit"]);

interface Call {
  readonly name: string;
  readonly command: string;
  readonly file: string;
}

class ClaudeStream implements StreamReader {
  readonly #events: StreamEvents;
  readonly #resumed: boolean;
  readonly #calls = new Map<string, Call>();
  readonly #deniedCalls = new Set<string>();
  #session: string | null = null;
  #model: string | null = null;
  #lastText = "";
  /** Why the model was last asked in vain; null once it has answered. */
  #trouble: { readonly text: string; readonly cause: FailureCause | null } | null = null;
  #end: { readonly failed: boolean; readonly text: string; readonly cause: FailureCause | null } | undefined;
  /** Of all results so far: one run may have several, when background work goes on after the first. */
  #usage: Usage | null = null;
  #costUsd: number | null = null;
  #warnings = 0;

  constructor({ agent, now, resumed }: { readonly agent: string; now(): number; readonly resumed: boolean }) {
    this.#events = new StreamEvents({ agent, now });
    this.#resumed = resumed;
  }

  read(line: string): AgentEvent[] {
    if (line.trim() === "") return [];
    const message = readObject(line);
    switch (message?.type) {
      case "system":
        return this.#readSystem(message);
      case "assistant":
        return this.#readAssistant(message);
      case "user":
        return this.#readUser(message);
      case "result":
        return this.#readResult(message);
      case "rate_limit_event":
        return this.#readRateLimit(objectOf(message.rate_limit_info));
    }
    // Further types come with new versions.
    return typeof message?.type === "string" ? [] : [this.#events.unreadable(line)];
  }

  readStderr(line: string): AgentEvent[] {
    if (line.trim() === "" || this.#warnings >= MAX_WARNINGS) return [];
    this.#warnings++;
    return [this.#events.make("warning", line.trim())];
  }

  result(exit: ProcessExit): StreamResult {
    const known = {
      session: this.#session,
      // Zeros: the model was never reached.
      usage: isNothing(this.#usage) ? null : this.#usage,
      reportedCostUsd: isNothing(this.#usage) ? null : this.#costUsd,
      model: this.#model,
      denials: this.#events.denials,
    };
    if (this.#end === undefined) {
      const end = causeOfSilence(exit, this.#trouble?.text ?? complaintIn(exit.stderr, NOISE));
      const cause = this.#trouble?.cause ??
        (/ requires (?:--|a valid session)/.test(end.text) ? "arguments" : end.cause);
      return { outcome: "failed", cause, text: end.text, ...known };
    }
    const { failed, cause } = this.#end;
    const text = this.#end.text || (failed ? "It failed" : this.#lastText);
    if (failed) return { outcome: "failed", cause, text, ...known };
    if (text.trim() === "") return { outcome: "failed", cause: "no_answer", text: "It gave no answer", ...known };
    return { outcome: "completed", cause: null, text, ...known };
  }

  #readSystem(message: Json): AgentEvent[] {
    switch (message.subtype) {
      case "init": {
        const session = textOf(message.session_id) || null;
        const model = textOf(message.model) || null;
        if (session === this.#session && model === this.#model) return [];
        this.#session = session && clip(session, MAX_NAME);
        this.#model = model && clip(model, MAX_NAME);
        const data = {
          session: this.#session,
          model: this.#model,
          version: clip(textOf(message.claude_code_version), MAX_NAME),
          permission_mode: clip(textOf(message.permissionMode), MAX_NAME),
        };
        return [this.#events.make("status", `Works with ${this.#model ?? "an unknown model"}`, { data })];
      }
      case "api_retry":
        return [this.#readRetry(message)];
      case "permission_denied": {
        const [id, name] = [clip(textOf(message.tool_use_id), MAX_NAME), clip(textOf(message.tool_name), MAX_NAME)];
        this.#noteDenied(id);
        const text = this.#denialOf(this.#calls.get(id), textOf(message.message)) || `${name} was denied`;
        // Only here it says what another folder in `--add-dir` would mend.
        const isOutside = message.decision_reason_type === "workingDir";
        const reason = isOutside ? ` (${oneLine(textOf(message.decision_reason), MAX_NAME)})` : "";
        return this.#events.denied(text + reason, { id, tool: name });
      }
      case "compact_boundary":
        return [this.#events.make("status", "The conversation was shortened to fit the context")];
      case "informational":
        if (message.level !== "warning" && message.level !== "error") return [];
        return [this.#events.make("warning", textOf(message.content))];
    }
    return [];
  }

  #readRetry(message: Json): AgentEvent {
    const status = typeof message.error_status === "number" ? message.error_status : null;
    const error = clip(textOf(message.error), MAX_NAME);
    const [attempt, attempts] = [countOf(message.attempt), countOf(message.max_retries)];
    const waitSeconds = typeof message.retry_delay_ms === "number" ? message.retry_delay_ms / 1000 : 0;
    const what = status === null ? "no answer from the model" : `HTTP ${status}`;
    const reason = error === "" || error === "unknown" ? what : `${what}, ${error.replaceAll("_", " ")}`;
    const cause = causeOf({ status, message: error.replaceAll("_", " ") }) ?? "network";
    this.#trouble = { text: `It was still asking the model again: ${reason}`, cause };
    return this.#events.make(
      "retry",
      `Asks the model again (${attempt} of ${attempts}) in ${waitSeconds.toFixed(1)} s: ${reason}`,
      { data: { attempt, max_attempts: attempts, wait_seconds: waitSeconds, status, error } },
    );
  }

  #readRateLimit(info: Json): AgentEvent[] {
    const status = clip(textOf(info.status), MAX_NAME);
    if (status === "" || status === "allowed") return [];
    const type = clip(textOf(info.rateLimitType), MAX_NAME);
    return [this.#events.make("warning", `Rate limit: ${status.replaceAll("_", " ")}`, { data: { status, type } })];
  }

  #readAssistant(message: Json): AgentEvent[] {
    const events: AgentEvent[] = [];
    const { content } = objectOf(message.message);
    const failed = typeof message.error === "string";
    if (!failed) this.#trouble = null;
    for (const block of Array.isArray(content) ? content : []) {
      if (!isObject(block)) continue;
      if (block.type === "text") {
        const text = textOf(block.text);
        if (failed) {
          this.#trouble = { text: clip(text, MAX_ANSWER), cause: causeOf({ status: null, message: text }) };
          continue; // The result says it too.
        }
        // A subagent's words are not the answer.
        if (typeof message.parent_tool_use_id !== "string") this.#lastText = clip(text, MAX_ANSWER);
        events.push(...this.#events.said(text));
      } else if (block.type === "thinking") {
        const text = textOf(block.thinking);
        if (text.trim() !== "") events.push(this.#events.make("thought", text));
      } else if (block.type === "tool_use" || block.type === "server_tool_use") {
        events.push(...this.#readCall(block));
      }
    }
    return events;
  }

  #readCall(block: Json): AgentEvent[] {
    const id = clip(textOf(block.id), MAX_NAME);
    const name = clip(textOf(block.name), MAX_NAME);
    const input = objectOf(block.input);
    const command = clip(textOf(input.command), MAX_COMMAND);
    const file = clip(textOf(input.file_path) || textOf(input.notebook_path), MAX_NAME);
    if (this.#calls.size >= MAX_CALLS) this.#calls.delete(this.#calls.keys().next().value!);
    this.#calls.set(id, { name, command, file });
    if (name === "Bash") {
      const data = { id, command, phase: "started", exit_code: null, output: "", status: "in_progress" };
      return [this.#events.make("command", command, { data })];
    }
    if (name === "TodoWrite" && Array.isArray(input.todos)) return this.#readTodos(input.todos);
    const detail = detailOf(input);
    const data = { id, name, phase: "started", status: "in_progress", detail };
    return [this.#events.make("tool", detail === "" ? name : `${name}: ${detail}`, { data })];
  }

  #readTodos(todos: readonly unknown[]): AgentEvent[] {
    const all = todos.filter(isObject);
    if (all.length === 0) return [];
    const done = all.filter(({ status }) => status === "completed").length;
    const current = all.find(({ status }) => status === "in_progress");
    const doing = current === undefined ? "" : `: ${textOf(current.activeForm) || textOf(current.content)}`;
    const progress = Math.round(100 * done / all.length);
    return [this.#events.make("progress", oneLine(`${done} of ${all.length} steps done${doing}`, 500), { progress })];
  }

  #readUser(message: Json): AgentEvent[] {
    const { content } = objectOf(message.message);
    const blocks = Array.isArray(content) ? content.filter(isObject) : [];
    return blocks.filter(({ type }) => type === "tool_result").flatMap((block) =>
      this.#readAnswer(block, objectOf(message.tool_use_result))
    );
  }

  #readAnswer(block: Json, details: Json): AgentEvent[] {
    const id = clip(textOf(block.tool_use_id), MAX_NAME);
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    const failed = block.is_error === true;
    const whole = textIn(block.content);
    const output = clipStart(whole, MAX_OUTPUT);
    const denials = this.#denialsIn(id, call, { text: whole, failed });
    const status = this.#deniedCalls.has(id) ? "denied" : failed ? "failed" : "completed";
    if (call === undefined) return denials;
    const { name, command, file } = call;
    if (name === "TodoWrite") return denials;
    if (name === "Bash") {
      const found = failed ? EXIT_CODE.exec(whole) : null;
      // One that goes on in the background has none yet.
      const isOver = !failed && typeof details.backgroundTaskId !== "string";
      const exitCode = found !== null ? Number(found[1]) : isOver ? 0 : null;
      const data = { id, command, phase: "ended", exit_code: exitCode, output, status };
      return [this.#events.make("command", command, { data }), ...denials];
    }
    const text = failed ? `${name}: ${oneLine(whole, 500)}` : file === "" ? name : `${name}: ${file}`;
    const data = { id, name, phase: "ended", status, detail: failed ? output : file };
    const ended = this.#events.make("tool", text, { data });
    if (failed || !FILE_TOOLS.has(name)) return [ended, ...denials];
    const path = clip(textOf(details.filePath), MAX_NAME) || file;
    const kind = details.type === "create" ? "created" : "changed";
    return [ended, this.#events.make("file", `${path} ${kind}`, { file: path, data: { kind } }), ...denials];
  }

  /** Also what the system did not allow, of which claude keeps no account, and what 2.1.197 says in no other place. */
  #denialsIn(
    id: string,
    call: Call | undefined,
    answer: { readonly text: string; readonly failed: boolean },
  ): AgentEvent[] {
    if (this.#deniedCalls.has(id)) return [];
    const name = call?.name ?? "";
    if (name === "Bash" && (!answer.failed || EXIT_CODE.test(answer.text))) {
      const refusal = refusalIn(answer.text);
      if (refusal === null) return [];
      return this.#events.denied(this.#denialOf(call, refusal), { id, tool: name });
    }
    if (!answer.failed) return [];
    const text = oneLine(answer.text.slice(0, MAX_TEXT).replaceAll(/<\/?tool_use_error>/g, ""), MAX_NAME);
    const cause = causeOf({ status: null, message: text });
    if (!NOT_ALLOWED.test(text) && (cause === null || !DENIALS.has(cause))) return [];
    this.#noteDenied(id);
    return this.#events.denied(this.#denialOf(call, text), { id, tool: name });
  }

  /** Of many refused commands each is told: the message alone is often the same. What it asks of the model is left out. */
  #denialOf(call: Call | undefined, message: string): string {
    const text = oneLine(message.split(" IMPORTANT: ", 1)[0]!, MAX_NAME);
    return call === undefined || call.command === "" ? text : `${oneLine(call.command, MAX_NAME)}: ${text}`;
  }

  #noteDenied(id: string): void {
    if (this.#deniedCalls.size < MAX_CALLS) this.#deniedCalls.add(id);
  }

  #readResult(result: Json): AgentEvent[] {
    this.#session ??= clip(textOf(result.session_id), MAX_NAME) || null;
    this.#account(result);
    const failed = result.is_error === true || result.subtype !== "success";
    const text = clip(failed ? failureText(result) : textOf(result.result), MAX_ANSWER);
    this.#end = { failed, text, cause: failed ? causeOfResult(result, text) : null };
    const denials = result.permission_denials;
    const events: AgentEvent[] = [];
    for (const denial of Array.isArray(denials) ? denials.filter(isObject) : []) {
      const id = clip(textOf(denial.tool_use_id), MAX_NAME);
      if (this.#deniedCalls.has(id)) continue;
      this.#noteDenied(id);
      const name = clip(textOf(denial.tool_name), MAX_NAME);
      const detail = detailOf(objectOf(denial.tool_input));
      events.push(...this.#events.denied(`${name} was denied: ${detail}`, { id, tool: name }));
    }
    if (failed) events.push(this.#events.make("error", text || "It failed", { data: { cause: this.#end.cause } }));
    return events;
  }

  /** `total_cost_usd` and `modelUsage` are of the whole session, so they count only in a session that began here. */
  #account(result: Json): void {
    const sinceLast = result.model_usage_since_last_result;
    if (isObject(sinceLast)) {
      const models = Object.values(sinceLast).filter(isObject);
      this.#usage = models.map(usageOfModel).reduce(addUsage, this.#usage ?? NO_USAGE);
      this.#costUsd = models.reduce((sum, { costUSD }) => sum + amountOf(costUSD), this.#costUsd ?? 0);
      return;
    }
    if (!this.#resumed && isObject(result.modelUsage)) {
      this.#usage = Object.values(result.modelUsage).filter(isObject).map(usageOfModel).reduce(addUsage, NO_USAGE);
      this.#costUsd = typeof result.total_cost_usd === "number" ? amountOf(result.total_cost_usd) : null;
    } else if (isObject(result.usage)) {
      this.#usage = addUsage(this.#usage ?? NO_USAGE, usageOfRun(result.usage));
    }
  }
}

const NO_USAGE: Usage = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

function usageOfModel(model: Json): Usage {
  const cacheWrite1h = countOf(model.cacheCreationEphemeral1hInputTokens);
  const webSearches = countOf(model.webSearchRequests);
  return {
    input: countOf(model.inputTokens),
    cacheRead: countOf(model.cacheReadInputTokens),
    cacheWrite: countOf(model.cacheCreationInputTokens),
    ...(cacheWrite1h > 0 ? { cacheWrite1h } : {}),
    output: countOf(model.outputTokens),
    reasoning: countOf(model.thinkingTokens),
    ...(webSearches > 0 ? { webSearches } : {}),
  };
}

function usageOfRun(usage: Json): Usage {
  return usageOfModel({
    inputTokens: usage.input_tokens,
    cacheReadInputTokens: usage.cache_read_input_tokens,
    cacheCreationInputTokens: usage.cache_creation_input_tokens,
    cacheCreationEphemeral1hInputTokens: objectOf(usage.cache_creation).ephemeral_1h_input_tokens,
    outputTokens: usage.output_tokens,
    thinkingTokens: objectOf(usage.output_tokens_details).thinking_tokens,
    webSearchRequests: objectOf(usage.server_tool_use).web_search_requests,
  });
}

function addUsage(a: Usage, b: Usage): Usage {
  const cacheWrite1h = (a.cacheWrite1h ?? 0) + (b.cacheWrite1h ?? 0);
  const webSearches = (a.webSearches ?? 0) + (b.webSearches ?? 0);
  return {
    input: a.input + b.input,
    cacheRead: a.cacheRead + b.cacheRead,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    ...(cacheWrite1h > 0 ? { cacheWrite1h } : {}),
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
    ...(webSearches > 0 ? { webSearches } : {}),
  };
}

function isNothing(usage: Usage | null): boolean {
  return usage === null || usage.input + usage.cacheRead + usage.cacheWrite + usage.output === 0;
}

function amountOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}

/** `result` has the words when the API failed, `errors` otherwise. */
function failureText(result: Json): string {
  if (isInterrupted(result)) return "It was interrupted";
  const errors = Array.isArray(result.errors) ? result.errors.slice(0, 10).map(textOf).join("; ") : "";
  return textOf(result.result) || errors || textOf(result.subtype).replaceAll("_", " ");
}

function isInterrupted(result: Json): boolean {
  return textOf(result.terminal_reason).startsWith("aborted");
}

function causeOfResult(result: Json, text: string): FailureCause | null {
  if (isInterrupted(result)) return null;
  const reason = clip(textOf(result.terminal_reason), MAX_NAME);
  if (result.subtype === "error_max_budget_usd" || reason === "budget_exhausted") return "budget";
  if (result.subtype === "error_max_turns" || reason === "max_turns") return "no_answer";
  const status = typeof result.api_error_status === "number" ? result.api_error_status : null;
  const words = `${text}\n${reason.replaceAll("_", " ")}`;
  return causeOf({ status, message: words }) ?? (reason === "api_error" || status !== null ? "model" : "crashed");
}

/** What a call is about: its path, pattern, address or description, else its input. */
function detailOf(input: Json): string {
  const names = ["command", "file_path", "notebook_path", "path", "pattern", "url", "query", "description", "subject"];
  const found = names.map((name) => textOf(input[name])).find((text) => text !== "");
  if (found !== undefined) return oneLine(found, 500);
  return Object.keys(input).length === 0 ? "" : oneLine(asJson(input), 500);
}

/** The text of a tool's answer, which is a text or a list of blocks. */
function textIn(content: unknown): string {
  if (typeof content === "string") return content;
  const blocks = Array.isArray(content) ? content.filter(isObject) : [];
  return blocks.map(({ text }) => textOf(text)).filter((text) => text !== "").join("\n");
}
