/** One reply of the scripted model before it is written in a dialect. */
import type { FinishReason } from "../../models/chat_model.ts";
import { isObject, type Json } from "../../models/json.ts";
import type { Usage } from "../../models/usage.ts";

export interface ToolUse {
  readonly id: string;
  readonly name: string;
  /** Where the tool stands in the request's list, when it is not on its top level (Responses API). */
  readonly namespace: string | undefined;
  /** `custom`: the input is free text; `local_shell`: the input is a command line. Otherwise JSON text, possibly invalid. */
  readonly kind: "function" | "custom" | "local_shell";
  readonly input: string;
}

export interface ScriptedAnswer {
  /** Unique among the answers to one worker; each dialect puts its prefix before it. */
  readonly id: string;
  readonly model: string;
  readonly text: string;
  readonly reasoning: string;
  readonly toolUses: readonly ToolUse[];
  readonly finishReason: FinishReason;
  readonly usage: Usage;
  /** USD, when the script names it. */
  readonly costUsd: number | undefined;
}

export interface ScriptedError {
  readonly status: number;
  readonly message: string;
  /** Seconds. */
  readonly retryAfter: number | undefined;
}

/** Puts answers into one wire format, as its usual provider does. */
export interface AnswerWriter {
  /** The whole reply. Throws an `Inexpressible`. */
  document(answer: ScriptedAnswer, request: Json): Json;
  /** The same in pieces, each the data of one server-sent event. Throws an `Inexpressible`. */
  events(answer: ScriptedAnswer, request: Json): Json[];
  /** Each event has a line with its type. */
  readonly namesEvents: boolean;
  /** What comes after the last event; empty: nothing. */
  readonly endMark: string;
  error(error: ScriptedError): Json;
  /** The answer to a question for the tokens of an input. */
  tokenCount(tokens: number): Json;
  model(id: string): Json;
  modelList(models: readonly Json[]): Json;
}

/** The wire format has no place for what the script says. */
export class Inexpressible extends Error {}

/** The input as an object, for formats that send it as such. */
export function inputObject({ id, name, input }: ToolUse): Json {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch {
    value = undefined;
  }
  if (isObject(value)) return value;
  throw new Inexpressible(
    `Cannot write the call ${id} of "${name}": need a JSON object as its arguments in this format`,
  );
}

/** The tokens that are left for what the model said, when its reasoning is counted apart. */
export function spokenTokens({ output, reasoning }: Usage): number {
  return Math.max(0, output - reasoning);
}

export function allInputTokens({ input, cacheRead, cacheWrite }: Usage): number {
  return input + cacheRead + cacheWrite;
}

const PIECES = 6;
const SHORTEST_PIECE = 12;

/** Cuts a text into a few pieces, after a space where there is one; the same text is always cut in the same places. */
export function piecesOf(text: string): string[] {
  const length = Math.max(SHORTEST_PIECE, Math.ceil(text.length / PIECES));
  const pieces: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + length, text.length);
    const space = text.slice(start, end).search(/\s\S*$/);
    if (end < text.length && space >= 0) end = start + space + 1;
    // The halves of a surrogate pair stay together.
    else if (/[\ud800-\udbff]/.test(text[end - 1]!) && end < text.length) end++;
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}
