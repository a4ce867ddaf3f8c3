/** Renders prompt templates as Python's Jinja2 does with StrictUndefined, by minijinja. */
import type { Environment } from "minijinja";
import { Failure, messageOf } from "../failure.ts";
import { PYTHON_FILTERS } from "./python_filters.ts";
import { BUILTIN, strictTemplate } from "./strict_template.ts";

export interface TemplateRenderer {
  /**
   * The text of `template`, which is trusted; `variables` are plain data and only ever shown. `name` is for messages:
   * `agent.instance_template`. Throws a Failure of kind `template` that names the template, the variable or the problem,
   * and the line, never the contents of a variable.
   */
  render(name: string, template: string, variables: Record<string, unknown>): string;
}

// Deeper data would overflow the stack of the engine, which does not survive it.
const MAX_DEPTH = 100;
const MAX_CACHED = 32;

/** Data as the engine takes it: objects without a prototype; what has no value in Python is left out. */
function toData(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new Failure("template", "");
  if (Array.isArray(value)) return value.map((member) => isData(member) ? toData(member, depth + 1) : null);
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== "object" || value === null) return value;
  const data: Record<string, unknown> = Object.create(null);
  const entries: Iterable<[unknown, unknown]> = value instanceof Map ? value : Object.entries(value);
  for (const [key, member] of entries) if (isData(member)) data[String(key)] = toData(member, depth + 1);
  return data;
}

function isData(value: unknown): boolean {
  return value !== undefined && typeof value !== "function" && typeof value !== "symbol";
}

class MinijinjaRenderer implements TemplateRenderer {
  #engine: Environment | undefined;
  /** What went wrong in a function of ours: an exception thrown through the engine would leave it unusable. */
  #problem: string | undefined;
  #line: number | undefined;
  readonly #strict = new Map<string, string>();

  constructor(private readonly createEngine: () => Environment) {}

  render(name: string, template: string, variables: Record<string, unknown>): string {
    this.#problem = undefined;
    this.#line = undefined;
    const source = this.#prepare(template);
    let data: unknown;
    try {
      data = toData(variables, 0);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      throw new Failure("template", `Cannot render ${name}: a variable holds data nested more than ${MAX_DEPTH} deep`);
    }
    this.#engine ??= this.#setUp();
    let text: string | undefined;
    let thrown: unknown;
    try {
      // A name of our own: the engine escapes HTML in what is called `*.html`.
      text = this.#engine.renderNamedStr("template", source, data);
    } catch (error) {
      thrown = error;
    }
    if (this.#problem !== undefined) {
      const isVariable = /^'\w+' is undefined$/.test(this.#problem);
      const known = Object.keys(data as Record<string, unknown>).sort().join(", ");
      throw failure(name, this.#problem, this.#line, isVariable && known !== "" ? [`Variables here: ${known}`] : []);
    }
    if (text !== undefined) return text;
    throw this.#failureOfEngine(name, thrown);
  }

  #prepare(template: string): string {
    let strict = this.#strict.get(template);
    if (strict === undefined) {
      strict = strictTemplate(template.replace(/\r\n?/g, "\n"));
      if (this.#strict.size >= MAX_CACHED) this.#strict.clear();
      this.#strict.set(template, strict);
    }
    return strict;
  }

  #setUp(): Environment {
    const engine = this.createEngine();
    engine.undefinedBehavior = "strict";
    engine.enablePyCompat();
    // Jinja2 has no such function; it would show every variable.
    engine.removeGlobal("debug");
    engine.addGlobal(BUILTIN.undefined, (name: unknown, line: unknown) => {
      this.#note(`'${name}' is undefined`, typeof line === "number" ? line : undefined);
    });
    for (const [name, filter] of Object.entries(PYTHON_FILTERS)) {
      engine.addFilter(name, (value: unknown, ...args: unknown[]) => {
        // Named arguments arrive as a Map at the end; a dict that is given as the last argument looks the same.
        const last = args.at(-1);
        const named = last instanceof Map ? last as Map<string, unknown> : new Map<string, unknown>();
        try {
          return filter(value, named.size > 0 && name !== "format" ? args.slice(0, -1) : args, named);
        } catch (error) {
          this.#note(`filter ${name.replace(/^gocore__/, "")}: ${messageOf(error)}`);
          return "";
        }
      });
    }
    return engine;
  }

  #note(problem: string, line?: number): void {
    if (this.#problem !== undefined) return;
    this.#problem = problem;
    this.#line = line;
  }

  #failureOfEngine(name: string, error: unknown): Failure {
    const first = messageOf(error).split("\n", 1)[0]!;
    const [, problem, line] = /^(.*) \(in template:(\d+)\)$/.exec(first) ?? [];
    if (problem === undefined) {
      // A trap inside WebAssembly; this engine cannot be used again.
      this.#engine = undefined;
      return new Failure("template", `Cannot render ${name}: the template engine gave up`, { cause: error });
    }
    const unknown = /^unknown function: (.*) is unknown$/.exec(problem)?.[1];
    if (unknown !== undefined) return failure(name, `'${unknown}' is undefined`, Number(line));
    // Details beyond these kinds may quote values: the name of a template to include, for example.
    const kind = problem.split(":", 1)[0]!;
    const isHarmless = /^(syntax error|invalid operation|unknown \w+)$/.test(kind);
    return failure(name, isHarmless ? problem : kind, Number(line));
  }
}

function failure(name: string, problem: string, line: number | undefined, hints: string[] = []): Failure {
  const place = line === undefined ? "" : ` (line ${line})`;
  return new Failure("template", `Cannot render ${name}: ${problem}${place}`, { hints });
}

let renderer: Promise<TemplateRenderer> | undefined;

/** The renderer of this process. The engine is 1 MB of WebAssembly and is loaded by the first call. */
export function loadRenderer(): Promise<TemplateRenderer> {
  return renderer ??= import("minijinja").then(({ Environment }) => new MinijinjaRenderer(() => new Environment()));
}
