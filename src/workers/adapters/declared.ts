/** Agents that people declare in their configuration, in the tables `[orchestrate.agents.NAME]`. */
import * as z from "zod/mini";
import type { TomlPath } from "../../config/toml_source.ts";
import type { AgentEvent } from "../../events/session_events.ts";
import { closestName, Failure } from "../../failure.ts";
import type { AgentAdapter, Launch, LaunchRequest, ProcessExit, StreamReader, StreamResult } from "../adapter.ts";
import { causeOfSilence } from "../failure_cause.ts";
import { StreamEvents } from "../stream_events.ts";
import {
  clip,
  clipStart,
  complaintIn,
  MAX_ANSWER,
  MAX_NAME,
  objectOf,
  oneLine,
  readObject,
  textOf,
  withoutColours,
} from "../stream_text.ts";

// The message of each type is what was needed; what was found is added when a failure is told.
const TEXT = "a text";
const text = z.string(TEXT).check(z.minLength(1, TEXT));
const texts = z.array(z.string(TEXT), "a list of texts");
const PROGRAM = "the name of a program, or an absolute path";
const ENVIRONMENT = "a table of texts, by names of variables";
const FILES = "a table of texts, by paths below the agent's home";
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** One `[orchestrate.agents.NAME]`. Placeholders: see `PLACEHOLDERS`. */
const declaration = z.strictObject({
  program: z.string(PROGRAM).check(z.regex(/^(?:\/.+|[^/\s-][^/\s]*)$/, PROGRAM)),
  /** With `{prompt}` in one of them. */
  arguments: texts,
  /** Default: none is known, and the program is not asked. */
  version_arguments: z.optional(texts),
  env: z.optional(z.record(z.string().check(z.regex(VARIABLE, ENVIRONMENT)), z.string(TEXT), ENVIRONMENT)),
  files: z.optional(z.record(z.string().check(z.refine(isInside, FILES)), z.string(TEXT), FILES)),
  /** Whose models it asks; default: any. */
  provider: z.optional(z.enum(["openai", "anthropic", "gemini"], "one of openai, anthropic, gemini")),
  /** When the session names none. */
  model: z.optional(text),
  /** What its stdout has: text for people (default), or a JSON object on each line. */
  stream: z.optional(z.enum(["text", "jsonl"], "one of text, jsonl")),
  /** How it is installed, for who does not have it. */
  install: z.optional(text),
}, "a table");
type Declaration = z.infer<typeof declaration>;

const NAME = /^[a-z][a-z0-9_-]{0,31}$/;
const MAX_PROBLEMS = 8;

/**
 * `tables` is the value of `orchestrate.agents`. Throws a usage `Failure` that names the file, the line and the key of
 * what cannot be used.
 *
 * @param options.taken names that are adapters already
 * @param options.placeOf where a key stands, such as `gocore.toml:12: orchestrate.agents.aider.program`
 */
export function readDeclaredAgents(
  tables: unknown,
  { taken, placeOf }: { readonly taken: readonly string[]; placeOf(path: TomlPath): string },
): AgentAdapter[] {
  const at = ["orchestrate", "agents"];
  const problems: Problem[] = [];
  const agents: AgentAdapter[] = [];
  if (typeof tables !== "object" || tables === null || Array.isArray(tables)) {
    problems.push({ path: at, finding: "need tables such as `[orchestrate.agents.aider]`" });
  } else {
    for (const [name, table] of Object.entries(tables)) {
      const path = [...at, name];
      if (!NAME.test(name)) {
        problems.push({ path, finding: 'need a name of small letters, digits, "-" and "_"' });
      } else if (taken.includes(name)) {
        problems.push({ path, finding: "gocore has an agent of this name", hint: "Choose another name" });
      } else {
        const result = declaration.safeParse(table);
        const found = result.success ? problemsOfUse(result.data) : result.error.issues.flatMap(problemsOfIssue);
        problems.push(...found.map((problem) => ({ ...problem, path: [...path, ...problem.path] })));
        if (result.success) agents.push(adapterOfDeclaration(name, result.data));
      }
    }
  }
  if (problems.length === 0) return agents;
  const lines = problems.slice(0, MAX_PROBLEMS).map(({ path, finding }) => `${placeOf(path)}: ${finding}`);
  if (problems.length > lines.length) lines.push(`and ${problems.length - lines.length} more`);
  throw new Failure(
    "usage",
    `Cannot use the configuration:${lines.length === 1 ? ` ${lines[0]}` : ["", ...lines].join("\n  ")}`,
    { hints: [...new Set(problems.slice(0, MAX_PROBLEMS).flatMap(({ hint }) => hint ?? []))] },
  );
}

interface Problem {
  readonly path: TomlPath;
  readonly finding: string;
  readonly hint?: string;
}

function problemsOfIssue(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.filter((key) => typeof key !== "symbol");
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(declaration.def.shape);
    return issue.keys.map((key) => {
      const near = closestName(key, known);
      const hint = near === undefined ? `Known here: ${known.join(", ")}` : `Did you mean \`${near}\`?`;
      return { path: [...path, key], finding: "nobody reads this key", hint };
    });
  }
  // What was found is not told: it may be a key that somebody wrote here.
  const need = issue.code === "invalid_key" ? issue.issues[0]?.message ?? issue.message : issue.message;
  return [{ path, finding: `need ${need}` }];
}

/** What a placeholder stands for; `key` never stands in an argument, where every user of the machine can read it. */
const PLACEHOLDERS = ["prompt", "workdir", "model", "gateway_url", "home", "tmp"] as const;
type Placeholder = typeof PLACEHOLDERS[number] | "key";
const PLACEHOLDER = /\{([a-z_]+)\}/g;

function problemsOfUse({ arguments: args, env = {}, files = {}, model }: Declaration): Problem[] {
  const problems: Problem[] = [];
  for (const [index, argument] of args.entries()) {
    for (const [written, name] of argument.matchAll(PLACEHOLDER)) {
      if (PLACEHOLDERS.some((known) => known === name)) continue;
      const near = closestName(name!, PLACEHOLDERS);
      problems.push({
        path: ["arguments", index],
        finding: name === "key" ? "the key would show in the list of processes" : `nobody knows ${written}`,
        hint: name === "key"
          ? 'Pass it in a variable: `env = { OPENAI_API_KEY = "{key}" }`'
          : near === undefined
          ? `Known here: ${PLACEHOLDERS.map((known) => `{${known}}`).join(", ")}`
          : `Did you mean {${near}}?`,
      });
    }
  }
  if (!args.some((argument) => argument.includes("{prompt}"))) {
    problems.push({
      path: ["arguments"],
      finding: "need {prompt} in one of them",
      hint: 'Write for example `arguments = ["--message", "{prompt}"]`',
    });
  }
  const templates = [...args, ...Object.values(env), ...Object.values(files)];
  if (model === undefined && templates.some((template) => template.includes("{model}"))) {
    problems.push({ path: [], finding: "need a `model`, because {model} stands in it", hint: 'Add `model = "…"`' });
  }
  return problems;
}

/** The path cannot leave the folder that it is relative to. */
function isInside(path: string): boolean {
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..") && !path.includes("\0");
}

function adapterOfDeclaration(name: string, declared: Declaration): AgentAdapter {
  return {
    name,
    install: declared.install ?? `install ${declared.program}, or correct \`program\` in [orchestrate.agents.${name}]`,
    provider: declared.provider,
    programs: [declared.program],
    nativePaths: [],
    versionArguments: declared.version_arguments ?? [],
    canResume: false,
    stopSignal: "SIGTERM",
    launch: (request) => launch(request, declared),
    openStream: (options) => declared.stream === "jsonl" ? new JsonLinesStream(options) : new TextStream(options),
  };
}

function launch(request: LaunchRequest, declared: Declaration): Launch {
  const values: Readonly<Record<Placeholder, string>> = {
    prompt: request.prompt,
    workdir: request.workdir,
    model: request.model ?? declared.model ?? "",
    gateway_url: request.gatewayUrl,
    home: request.home,
    tmp: request.tmp,
    key: request.key,
  };
  const fill = (template: string) =>
    template.replaceAll(
      PLACEHOLDER,
      (written, name) => Object.hasOwn(values, name) ? values[name as Placeholder] : written,
    );
  const filled = (templates: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(Object.entries(templates).map(([name, template]) => [name, fill(template)]));
  const args = declared.arguments.map((template) => {
    const argument = fill(template);
    // A prompt alone must not be taken for a flag.
    return template.startsWith("{prompt}") && argument.startsWith("-") ? ` ${argument}` : argument;
  });
  const prompt = args.findIndex((_, index) => declared.arguments[index]!.includes("{prompt}"));
  // The flag that the prompt belongs to, or `--`, stays with it.
  const end = declared.arguments[prompt - 1]?.startsWith("-") ? prompt - 1 : prompt;
  return {
    argv: [...request.program, ...args.slice(0, end), ...request.extraArguments, ...args.slice(end)],
    env: filled(declared.env),
    files: filled(declared.files),
  };
}

/** Every line is a message; what counts in the end is all that it wrote. */
class TextStream implements StreamReader {
  readonly #events: StreamEvents;
  #text = "";

  constructor(options: { readonly agent: string; now(): number }) {
    this.#events = new StreamEvents(options);
  }

  read(line: string): AgentEvent[] {
    const text = withoutColours(line);
    this.#text += `${text}\n`;
    // Not after every line: each cut copies.
    if (this.#text.length > 2 * MAX_ANSWER) this.#text = clipStart(this.#text, MAX_ANSWER);
    return this.#events.said(text);
  }

  result(exit: ProcessExit): StreamResult {
    return resultOf(exit, { said: clipStart(this.#text, MAX_ANSWER), model: null, denials: this.#events.denials });
  }
}

/** Each line is an event as the seed writes it, or an object with a text. */
class JsonLinesStream implements StreamReader {
  readonly #events: StreamEvents;
  #text = "";
  #model: string | null = null;

  constructor(options: { readonly agent: string; now(): number }) {
    this.#events = new StreamEvents(options);
  }

  read(line: string): AgentEvent[] {
    if (line.trim() === "") return [];
    const object = readObject(line);
    if (object === undefined) return [this.#events.unreadable(line)];
    this.#model ??= clip(textOf(object.model), MAX_NAME) || null;
    const text = [object.text, object.message, object.content, object.result, objectOf(object.payload).text]
      .map(textOf).find((text) => text.trim() !== "");
    if (text !== undefined) this.#text = clip(text, MAX_ANSWER);
    const own = this.#events.said(line);
    if (own.length > 0 && own.every(({ type }) => type !== "message")) return own;
    return text === undefined ? [] : this.#events.said(text);
  }

  result(exit: ProcessExit): StreamResult {
    return resultOf(exit, { said: this.#text, model: this.#model, denials: this.#events.denials });
  }
}

function resultOf(
  exit: ProcessExit,
  { said, model, denials }: {
    readonly said: string;
    readonly model: string | null;
    readonly denials: readonly string[];
  },
): StreamResult {
  const known = { session: null, usage: null, reportedCostUsd: null, model, denials };
  if (exit.exitCode === 0) return { outcome: "completed", cause: null, text: said.trim(), ...known };
  const complaint = complaintIn(exit.stderr, NOISE) || oneLine(said.slice(-MAX_NAME), MAX_NAME);
  return { outcome: "failed", ...causeOfSilence(exit, complaint), ...known };
}

const NOISE = /^Warning: /i;
