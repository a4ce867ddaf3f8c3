/** Where the results of a minimization stand, and how they get there. */
import { dirname, join, parse, resolve } from "node:path";
import { Failure } from "../../failure.ts";
import type { Part } from "../../reduce/contract.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { shellWord } from "../../templates/shell_word.ts";
import { candidateOf, type Subject } from "./subject.ts";

export interface ResultPaths {
  /** One for each file of the subject, in order; absolute. */
  readonly files: readonly [string, ...string[]];
  /** Of what is left of the environment; undefined: it is not reduced. */
  readonly variables: string | undefined;
  readonly arguments: string | undefined;
}

/** Between two writings of what is best until then. */
const LEAST_PAUSE_MS = 1000;

/**
 * @param output where the first file's result goes; undefined: beside the file, as `name.minimal.ext`
 * @throws Failure of kind `usage` for "-"
 */
export function resultPaths(
  subject: Subject,
  { output, cwd }: { output: string | undefined; cwd: string },
): ResultPaths {
  const [first, ...others] = subject.files;
  if (output === "-") {
    throw new Failure("usage", "Cannot write the result to stdout: the best so far stands in a file at any time", {
      hints: ["Name a file with `--output FILE`"],
    });
  }
  const main = output === undefined ? minimalName(resolve(cwd, first.path)) : resolve(cwd, output);
  return {
    files: [main, ...others.map(({ name }) => join(dirname(main), minimalName(name)))],
    variables: subject.variables.size > 0 ? `${main}.env` : undefined,
    arguments: subject.hasArguments ? `${main}.args` : undefined,
  };
}

/**
 * Refuses what would lose an input, or write to what is no file. What is there already is replaced: it was named, or has
 * a name that nobody else gives.
 */
export async function checkResultPaths(paths: ResultPaths, subject: Subject, cwd: string): Promise<void> {
  const all = allPaths(paths);
  const inputs = await Promise.all(subject.files.map(({ path }) => Deno.realPath(resolve(cwd, path))));
  for (const [at, path] of all.entries()) {
    if (all.indexOf(path) !== at) {
      throw new Failure("usage", `Cannot write two results to "${path}"`, {
        hints: ["Name another with `--output FILE`"],
      });
    }
    const place = await realPlace(path);
    if (inputs.includes(place)) {
      throw new Failure("usage", `Cannot write the result to "${path}": it is an input, which is never changed`, {
        hints: ["Name another file with `--output FILE`"],
      });
    }
    const found = await Deno.lstat(path).catch(() => undefined);
    if (found !== undefined && !found.isFile && !found.isSymlink) {
      const finding = found.isDirectory ? "it is a folder" : "it is no regular file";
      throw new Failure("usage", `Cannot write the result to "${path}": ${finding}`, {
        hints: ["The best so far stands in a file at any time: name one with `--output FILE`"],
      });
    }
  }
}

export const allPaths = ({ files, variables, arguments: args }: ResultPaths): string[] =>
  [...files, variables, args].filter((path) => path !== undefined);

/** Keeps on disk what is best so far, so that a run that is killed has left it. */
export class ResultWriter {
  readonly #subject: Subject;
  readonly #paths: ResultPaths;
  readonly #onFailure: (error: unknown) => void;
  #waiting: readonly Part[] | undefined;
  #writing: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writtenAt = -Infinity;

  /** @param onFailure told when what is best so far cannot be written */
  constructor(subject: Subject, paths: ResultPaths, onFailure: (error: unknown) => void) {
    this.#subject = subject;
    this.#paths = paths;
    this.#onFailure = onFailure;
  }

  /** Written soon. */
  offer(parts: readonly Part[]): void {
    this.#waiting = parts;
    if (this.#timer !== undefined) return;
    const pauseMs = Math.max(0, this.#writtenAt + LEAST_PAUSE_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#next().catch(this.#onFailure);
    }, pauseMs);
  }

  /** Writes this as the last. Throws a Failure of kind `environment` when that is not possible. */
  async finish(parts: readonly Part[]): Promise<void> {
    this.cancel();
    this.#waiting = parts;
    await this.#writing.catch(() => {});
    await this.#next();
  }

  /** Drops what has not been written. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = undefined;
  }

  #next(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const parts = this.#waiting;
      this.#waiting = undefined;
      if (parts === undefined) return;
      await writeResults(parts, this.#subject, this.#paths);
      this.#writtenAt = performance.now();
    });
    return this.#writing;
  }
}

async function writeResults(parts: readonly Part[], subject: Subject, paths: ResultPaths): Promise<void> {
  const candidate = candidateOf(parts, subject);
  for (const [at, { bytes, mode }] of candidate.files.entries()) {
    await writeFileAtomic(paths.files[at]!, bytes, { mode: mode | 0o200 });
  }
  if (paths.variables !== undefined) {
    const lines = candidate.variables.map(([name, value]) =>
      subject.inherited.has(name) ? `${name}\n` : `${name}=${shellWord(value)}\n`
    );
    await writeFileAtomic(paths.variables, lines.join(""), { mode: 0o600 });
  }
  if (paths.arguments !== undefined) {
    await writeFileAtomic(paths.arguments, candidate.arguments.map((text) => `${shellWord(text)}\n`).join(""));
  }
}

/** `dir/name.ext` as `dir/name.minimal.ext`: `.min` is what minifiers write, and theirs must not be replaced. */
function minimalName(path: string): string {
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}.minimal${ext}`);
}

/** With the links of its folder resolved, but not its own: a link is replaced, not followed. */
async function realPlace(path: string): Promise<string> {
  const { dir, base } = parse(path);
  return join(await Deno.realPath(dir).catch(() => dir), base);
}
