/** The files that hypotheses cite, as they are at the run's commit. */
import type { RunRepository } from "./ports.ts";
import { readSourceLines, type SourceLines } from "./source_lines.ts";

/** Reads each file once. */
export class CitedFiles {
  readonly #texts = new Map<string, Promise<string | undefined>>();
  readonly #lines = new Map<string, Promise<readonly string[] | undefined>>();
  readonly #structures = new Map<string, Promise<SourceLines | undefined>>();

  constructor(private readonly repository: RunRepository, private readonly commit: string) {}

  /** Without any blanks. */
  lines(path: string): Promise<readonly string[] | undefined> {
    return remembered(this.#lines, path, async () => {
      const text = await this.#text(path);
      return text === undefined ? undefined : linesWithoutBlanks(text);
    });
  }

  structure(path: string): Promise<SourceLines | undefined> {
    return remembered(this.#structures, path, async () => {
      const text = await this.#text(path);
      return text === undefined ? undefined : await readSourceLines(path, text);
    });
  }

  #text(path: string): Promise<string | undefined> {
    return remembered(this.#texts, path, () => this.repository.readFileAt(this.commit, path));
  }
}

/** Blanks make no difference to what is cited: not their number, and not beside brackets either. */
export function linesWithoutBlanks(text: string): string[] {
  return text.split(/\r\n|\n|\r/).map((line) => line.replaceAll(/\s+/g, ""));
}

function remembered<T>(known: Map<string, Promise<T>>, key: string, find: () => Promise<T>): Promise<T> {
  const value = known.get(key) ?? find();
  known.set(key, value);
  return value;
}
