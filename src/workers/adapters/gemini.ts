/** Google's gemini: how it is started headless, and what its JSON lines say. */
import { isObject, type Json } from "../../models/json.ts";
import type { Usage } from "../../models/usage.ts";
import type { AgentEvent, FailureCause } from "../../events/session_events.ts";
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

export const gemini: AgentAdapter = {
  name: "gemini",
  install: "npm install -g @google/gemini-cli",
  provider: "gemini",
  programs: ["gemini"],
  nativePaths: [],
  canResume: true,
  stopSignal: "SIGTERM",
  launch,
  openStream: (options) => new GeminiStream(options),
};

function launch(request: LaunchRequest): Launch {
  const { program, model, readOnly, resume, adjustments } = request;
  const directories = new Set([...request.includeDirectories, ...adjustments.includeDirectories ?? []]);
  directories.delete(request.workdir);
  return {
    argv: [
      ...program,
      // Not its plan mode: without a terminal the model may leave it, and then everything is allowed.
      ...(readOnly ? ["--approval-mode", "default"] : ["--yolo"]),
      ...[...directories].flatMap((directory) => ["--include-directories", directory]),
      ...["--output-format", "stream-json"],
      ...(model === undefined ? [] : ["--model", model]),
      ...(resume === undefined ? [] : ["--resume", resume]),
      ...(adjustments.trustDirectory === true ? ["--skip-trust"] : []),
      ...request.extraArguments,
      // In front of anything else a slash would make a command of the program out of it.
      `--prompt=${request.prompt.startsWith("/") ? " " : ""}${request.prompt}`,
    ],
    env: {
      GEMINI_CLI_HOME: request.home,
      GOOGLE_GEMINI_BASE_URL: request.gatewayUrl,
      GEMINI_API_KEY: request.key,
      // Its launcher would keep signals from it.
      GEMINI_CLI_NO_RELAUNCH: "true",
      // It complains of other terminals on stderr.
      ...{ NO_COLOR: "1", TERM: "xterm-256color", COLORTERM: "truecolor" },
    },
    files: {
      ".gemini/settings.json": JSON.stringify(SETTINGS, null, 2) + "\n",
      ...(readOnly ? { ".gemini/policies/read_only.toml": READ_ONLY } : {}),
    },
  };
}

const SETTINGS = {
  // A worktree is new to it each time: nobody could have trusted it.
  security: { auth: { selectedType: "gemini-api-key" }, folderTrust: { enabled: false } },
  general: { maxAttempts: 3, enableAutoUpdate: false, enableAutoUpdateNotification: false },
  privacy: { usageStatisticsEnabled: false },
  telemetry: { enabled: false },
  // Each "@" of a prompt, such as a decorator in a diff, would be searched for as a file.
  context: { fileFiltering: { enableRecursiveFileSearch: false } },
};

const READ_ONLY = `[[rule]]
toolName = "*"
decision = "deny"
priority = 998
denyMessage = "You may only look: read and search files."

[[rule]]
toolName = ["read_file", "read_many_files", "list_directory", "glob", "grep_search", "update_topic"]
decision = "allow"
priority = 999
`;

/** stderr has these in good runs too. */
const NOISE =
  /^YOLO mode|^Ripgrep is not|^\[STARTUP\]|^\[WARN\]|^Warning: |^Error executing tool|^Attempt \d|^Loaded cached|^[{}]|^status: \d/;
/** Without these it cannot do what it was started for; other tools that are not there are the model's invention. */
const WRITING_TOOLS = ["run_shell_command", "write_file", "replace"];
const MAX_OPEN_CALLS = 200;
const MAX_TODOS = 50;
const MAX_DOCUMENT = 1024 * 1024;

interface Call {
  readonly name: string;
  readonly command: string;
  readonly file: string;
  readonly detail: string;
}

class GeminiStream implements StreamReader {
  readonly #events: StreamEvents;
  #session: string | null = null;
  #model: string | null = null;
  /** Of the message whose pieces are coming, and of the last whole one. */
  #coming = "";
  #answer = "";
  #complaint = "";
  #retry = "";
  #usage: Usage | null = null;
  #status: "none" | "success" | "error" = "none";
  readonly #calls = new Map<string, Call>();
  /** Lines of the one value that `--output-format json` writes. */
  #document = "";

  constructor(options: Parameters<AgentAdapter["openStream"]>[0]) {
    this.#events = new StreamEvents(options);
  }

  read(line: string): AgentEvent[] {
    if (line.trim() === "") return [];
    // It goes on: what it tried again did succeed.
    this.#retry = "";
    if (this.#document !== "" || line === "{") return this.#readDocument(line);
    const record = readObject(line);
    if (record === undefined) return [this.#events.unreadable(line)];
    const isPiece = record.type === "message" && record.role === "assistant" && record.delta === true;
    return isPiece ? this.#piece(textOf(record.content)) : [...this.#endMessage(), ...this.#whole(record)];
  }

  #readDocument(line: string): AgentEvent[] {
    this.#document += line + "\n";
    if (line !== "}" && this.#document.length < MAX_DOCUMENT) return [];
    const text = this.#document;
    this.#document = "";
    const document = readObject(text);
    return document === undefined ? [this.#events.unreadable(text)] : this.#takeDocument(document);
  }

  #takeDocument(document: Json): AgentEvent[] {
    this.#session = clip(textOf(document.session_id), MAX_NAME) || this.#session;
    if (isObject(document.error)) return this.#fail(textOf(document.error.message));
    const models = Object.entries(objectOf(objectOf(document.stats).models));
    const sums = models.map(([model, stats]) => ({ model, tokens: objectOf(objectOf(stats).tokens) }));
    const sum = (name: string) => sums.reduce((total, { tokens }) => total + countOf(tokens[name]), 0);
    this.#model = this.#modelOf(sums.map(({ model, tokens }) => ({ model, tokens: countOf(tokens.total) })));
    this.#usage = usageOf({
      prompt: sum("prompt") + sum("tool"),
      cached: sum("cached"),
      candidates: sum("candidates"),
      thoughts: sum("thoughts"),
    });
    this.#status = "success";
    this.#answer = clip(textOf(document.response), MAX_ANSWER);
    return this.#events.said(textOf(document.response));
  }

  #piece(content: string): AgentEvent[] {
    if (this.#coming.length < MAX_ANSWER) this.#coming = clip(this.#coming + content, MAX_ANSWER);
    return [];
  }

  #endMessage(): AgentEvent[] {
    const text = this.#coming;
    if (text === "") return [];
    this.#coming = "";
    this.#answer = text;
    return this.#events.said(text);
  }

  #whole(record: Json): AgentEvent[] {
    switch (record.type) {
      case "init": {
        this.#session = clip(textOf(record.session_id), MAX_NAME) || null;
        this.#model = clip(textOf(record.model), MAX_NAME) || null;
        const data = { session: this.#session, model: this.#model };
        return [this.#events.make("status", "Session started", { data })];
      }
      case "message": {
        if (record.role !== "assistant") return [];
        this.#answer = clip(textOf(record.content), MAX_ANSWER);
        return this.#events.said(textOf(record.content));
      }
      case "tool_use":
        return this.#useTool(record);
      case "tool_result":
        return this.#toolResult(record);
      case "error": {
        const message = textOf(record.message);
        if (record.severity === "warning") return [this.#events.make("warning", message)];
        this.#complaint = clip(message, MAX_OUTPUT);
        return [this.#events.make("error", message)];
      }
      case "result":
        return this.#end(record);
      default:
        return [];
    }
  }

  #useTool(record: Json): AgentEvent[] {
    const id = clip(textOf(record.tool_id), MAX_NAME);
    const name = clip(textOf(record.tool_name), MAX_NAME);
    const parameters = objectOf(record.parameters);
    const file = clip(textOf(parameters.file_path), MAX_NAME);
    const command = name === "run_shell_command" ? textOf(parameters.command) : "";
    const detail = oneLine(
      file || textOf(parameters.dir_path) || textOf(parameters.pattern) || asJson(parameters),
      MAX_NAME,
    );
    const call: Call = { name, command: clip(command, MAX_COMMAND), file, detail };
    if (this.#calls.size < MAX_OPEN_CALLS) this.#calls.set(id, call);
    if (name === "write_todos") return [this.#todos(parameters.todos)];
    if (name === "update_topic") {
      return [this.#events.make("progress", textOf(parameters.summary) || textOf(parameters.title))];
    }
    return [this.#callEvent(id, call, { phase: "started", status: "", output: "" })];
  }

  #toolResult(record: Json): AgentEvent[] {
    const id = clip(textOf(record.tool_id), MAX_NAME);
    const call = this.#calls.get(id) ?? { name: id.split("__", 1)[0]!, command: "", file: "", detail: "" };
    this.#calls.delete(id);
    const error = objectOf(record.error);
    const output = textOf(record.output) || textOf(error.message);
    const status = clip(textOf(record.status), MAX_NAME);
    const refusal = this.#refusal(call, status, { type: textOf(error.type), message: textOf(error.message), output });
    const isQuiet = (call.name === "write_todos" || call.name === "update_topic") && status === "success";
    const events = isQuiet ? [] : [this.#callEvent(id, call, { phase: "ended", status, output })];
    if (call.file !== "" && status === "success" && WRITING_TOOLS.includes(call.name)) {
      events.push(
        this.#events.make("file", `${call.name} ${call.file}`, { file: call.file, data: { kind: call.name } }),
      );
    }
    return refusal === null ? events : [...events, ...this.#events.denied(refusal, { tool: call.name })];
  }

  /** A command that was refused something has the status of success. */
  #refusal(call: Call, status: string, { type, message, output }: { type: string; message: string; output: string }) {
    if (status !== "error") {
      const refusal = call.name === "run_shell_command" ? refusalIn(output) : null;
      return refusal === null ? null : `${oneLine(call.command, MAX_NAME)}: ${refusal}`;
    }
    if (type === "tool_not_registered") return WRITING_TOOLS.includes(call.name) ? `${call.name}: ${message}` : null;
    const cause = causeOf({ status: null, message });
    const isDenied = type === "permission_denied" || type === "policy_violation" ||
      cause === "include_directories" || cause === "permission" || cause === "sandbox";
    return isDenied ? message : null;
  }

  #callEvent(id: string, call: Call, end: { phase: "started" | "ended"; status: string; output: string }): AgentEvent {
    const { name, command, detail } = call;
    const { phase, status } = end;
    const output = clipStart(end.output, MAX_OUTPUT);
    if (command !== "") {
      // It tells no exit code of commands.
      return this.#events.make("command", command, { data: { id, command, phase, exit_code: null, output, status } });
    }
    const data = { id, name, phase, status, detail: status === "error" ? oneLine(end.output, MAX_NAME) : detail };
    return this.#events.make("tool", `${name} ${detail}`.trim(), { data });
  }

  #todos(value: unknown): AgentEvent {
    const todos = Array.isArray(value) ? value.slice(0, MAX_TODOS).map(objectOf) : [];
    const done = todos.filter((todo) => todo.status === "completed").length;
    const lines = todos.map((todo) => {
      return `${todo.status === "completed" ? "[x]" : "[ ]"} ${oneLine(textOf(todo.description), MAX_NAME)}`;
    });
    const progress = todos.length === 0 ? {} : { progress: Math.round(100 * done / todos.length) };
    return this.#events.make("task", lines.join("\n"), progress);
  }

  #end(record: Json): AgentEvent[] {
    const stats = objectOf(record.stats);
    const models = Object.entries(objectOf(stats.models));
    this.#model = this.#modelOf(models.map(([model, of]) => ({ model, tokens: countOf(objectOf(of).total_tokens) })));
    const [prompt, candidates] = [countOf(stats.input_tokens), countOf(stats.output_tokens)];
    // Thoughts are in the total only.
    const thoughts = Math.max(0, countOf(stats.total_tokens) - prompt - candidates);
    this.#usage = usageOf({ prompt, cached: countOf(stats.cached), candidates, thoughts });
    if (record.status === "success") {
      this.#status = "success";
      return [];
    }
    return this.#fail(textOf(objectOf(record.error).message));
  }

  #fail(message: string): AgentEvent[] {
    const isNew = message !== "" && message !== this.#complaint;
    this.#status = "error";
    this.#complaint = clip(message, MAX_OUTPUT) || this.#complaint;
    return isNew ? [this.#events.make("error", message)] : [];
  }

  /** What it was started with may be "auto": then the one that did most. */
  #modelOf(models: readonly { model: string; tokens: number }[]): string | null {
    if (models.length === 0 || models.some(({ model }) => model === this.#model)) return this.#model;
    return clip(models.reduce((most, one) => one.tokens > most.tokens ? one : most).model, MAX_NAME);
  }

  readStderr(line: string): AgentEvent[] {
    const text = line.slice(0, MAX_OUTPUT);
    if (!/^Attempt \d+ failed/.test(text)) return [];
    this.#retry = text;
    return [this.#events.make("retry", text)];
  }

  result(exit: ProcessExit): StreamResult {
    if (this.#status === "none") this.#takeStderr(exit.stderr);
    const known = {
      session: this.#session,
      usage: this.#usage,
      reportedCostUsd: null,
      model: this.#model,
      denials: this.#events.denials,
    };
    if (this.#status === "success") return { outcome: "completed", cause: null, text: this.#answer, ...known };
    if (this.#status === "error") {
      const message = this.#complaint || "It ended with an error";
      const cause = causeOf({ status: statusOf(exit.exitCode), message }) ?? causeOfExit(exit) ?? "model";
      return { outcome: "failed", cause, text: message, ...known };
    }
    const end = causeOfSilence(exit, this.#complaint || this.#retry || complaintIn(exit.stderr, NOISE));
    return { outcome: "failed", ...known, ...end, cause: causeOfExit(exit) ?? end.cause };
  }

  /** With `--output-format json` a failure is a value at the end of stderr. */
  #takeStderr(stderr: string): void {
    const start = stderr.startsWith("{\n") ? 0 : stderr.lastIndexOf("\n{\n") + 1;
    if (start === 0 && !stderr.startsWith("{\n")) return;
    const document = readObject(stderr.slice(start));
    if (document !== undefined) this.#takeDocument(document);
  }
}

/** Zeros are no answer to the question. */
function usageOf(
  { prompt, cached, candidates, thoughts }: Record<"prompt" | "cached" | "candidates" | "thoughts", number>,
): Usage | null {
  if (prompt + candidates + thoughts === 0) return null;
  const input = Math.max(0, prompt - cached);
  return { input, cacheRead: cached, cacheWrite: 0, output: candidates + thoughts, reasoning: thoughts };
}

/** The program's exit code after a refused model call is the HTTP status modulo 256. */
function statusOf(exitCode: number | null): number | null {
  return exitCode !== null && exitCode >= 400 % 256 && exitCode < 256 ? exitCode + 256 : null;
}

/** Its own exit codes, because the words of stderr may be those of another version. */
function causeOfExit({ exitCode }: ProcessExit): FailureCause | null {
  return exitCode === null ? null : EXIT_CAUSES.get(exitCode) ?? null;
}

const EXIT_CAUSES: ReadonlyMap<number, FailureCause> = new Map([
  [41, "auth"],
  [42, "arguments"],
  [44, "sandbox"],
  [52, "arguments"],
  [55, "trusted_directory"],
]);
