/** What the programs of the benchmark of `orchestrate` are told, and what they answer: a line of JSON each. */
import type { Agent } from "./streams.ts";

/** In the arguments. */
export interface Order {
  /** Empty; for whatever the program writes. */
  readonly folder: string;
  /** Each is a `cat` of its files, one after another. */
  readonly workers: readonly { readonly agent: Agent; readonly paths: readonly string[] }[];
}

/** The first line, when all workers are started. */
export interface Started {
  /** Where the stream of events is. */
  readonly url: string;
}

/** The second, when of each worker the line with `LAST_TEXT` is in the log. */
export interface Told {
  /** Since before the first worker was started. */
  readonly seconds: number;
  /** Lines in the log. */
  readonly logged: number;
}

export const LAST_TEXT = "This is the last line.";

export function readOrder(): Order {
  return JSON.parse(Deno.args[0]!);
}

export function answer(line: Started | Told): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
}
