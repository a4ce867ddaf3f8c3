/** Texts of agents' streams, bounded: nothing that is kept or passed on is longer than its reader can use. */
import { isObject, type Json } from "../models/json.ts";

/** What `payload.text` holds at most, in UTF-16 code units, as the others. */
export const MAX_TEXT = 2000;
export const MAX_COMMAND = 8192;
export const MAX_OUTPUT = 4096;
/** The final message: it may be a verdict that has to be whole. */
export const MAX_ANSWER = 64 * 1024;
/** Names, ids, paths and states. */
export const MAX_NAME = 300;

/** The beginning of the text, with "…" for what is left out: together at most `max` code units. */
export function clip(text: string, max: number): string {
  return text.length <= max ? text : copy(text.slice(0, max - 1)) + "…";
}

/** The end of the text, with "…" for what is left out: together at most `max` code units. */
export function clipStart(text: string, max: number): string {
  return text.length <= max ? text : "…" + copy(text.slice(1 - max));
}

/** A slice would keep the whole text in memory, and may have half of a surrogate pair at its edge. */
function copy(slice: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(slice));
}

/** One line of white space collapsed, for a status or a title. */
export function oneLine(text: string, max: number): string {
  return clip(text.slice(0, 4 * max).replaceAll(/\s+/g, " ").trim(), max);
}

/** The object of this line of a stream; undefined: it is none. */
export function readObject(line: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The value if it is an object, else one without members. */
export function objectOf(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** The value if it is a text, else "". */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The value as JSON, "" when it has none. */
export function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    // Nested too deeply.
    return "";
  }
}

/** The value if it is a count, else 0. */
export function countOf(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

/** Without the escape sequences that colour a terminal. */
export function withoutColours(text: string): string {
  // deno-lint-ignore no-control-regex -- they are what is looked for
  return text.replaceAll(/\x1b\[[0-9;]*[A-Za-z]/g, "");
}

/** What stderr says of a failure: its first lines, at most three, without those that match `noise` and without stacks. */
export function complaintIn(stderr: string, noise: RegExp): string {
  const lines = withoutColours(stderr.slice(0, MAX_STDERR)).split("\n").map((line) => line.trim());
  const said = lines.filter((line) =>
    line !== "" && !noise.test(line) && !/^at .{1,1000}:\d+:\d+\)?(?: \{)?$/.test(line)
  );
  return oneLine(said.slice(0, 3).join(" "), MAX_COMPLAINT);
}

const MAX_STDERR = 64 * 1024;
const MAX_COMPLAINT = 500;
