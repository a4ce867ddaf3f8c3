/** What of a failure must stay the same from run to run, and what people write to expect one. */
import type { ExpectedFailure, FailureSignature, RunPlace } from "./expected.ts";
import type { ObservedFailure } from "./failure.ts";
import { bareFunction, projectFrame } from "./frame_owner.ts";
import { messageTemplate } from "./message_template.ts";
import { SIGNAL_WORDS, SIGNALS } from "./report.ts";

export function signatureOf(failure: ObservedFailure, place: RunPlace): FailureSignature {
  const { runtime, kind, type, message, exitCode, signal } = failure;
  const found = projectFrame(failure, place);
  const frame = found === null ? null : { file: found.path, function: bareFunction(found.frame.function) };
  return { runtime, kind, type, template: message === null ? null : messageTemplate(message), frame, exitCode, signal };
}

/** Whether both are the same failure: lines may have moved, nothing else. */
export function sameSignature(a: FailureSignature, b: FailureSignature): boolean {
  return a.runtime === b.runtime && a.kind === b.kind && a.type === b.type && a.template === b.template &&
    a.exitCode === b.exitCode && a.signal === b.signal &&
    a.frame?.file === b.frame?.file && a.frame?.function === b.frame?.function;
}

/** `ValueError: v cannot be empty in numpy/_core/numeric.py (convolve)`; one line. */
export function describeSignature({ kind, type, template, frame, exitCode, signal }: FailureSignature): string {
  if (kind === "timeout") return "timeout";
  const status = kind === "signal" && signal !== null
    ? signal
    : kind === "exit"
    ? `exit ${exitCode ?? "without a code"}`
    : null;
  const name = status ?? type ?? kind;
  const text = template === null || template === "" ? name : `${name}: ${template.slice(0, 200)}`;
  if (frame === null) return text;
  return `${text} in ${frame.file}${frame.function === null ? "" : ` (${frame.function})`}`;
}

const NOTHING: ExpectedFailure = {
  type: null,
  message: null,
  pattern: null,
  exitCode: null,
  signal: null,
  frames: [],
  runtime: null,
  shows: "failure",
};

/**
 * `ValueError: v cannot be empty`, `ValueError`, `exit 3`, `SIGSEGV`, `/a pattern/`, `timeout`. Of what cannot be read: why,
 * as a sentence goes on after a colon.
 */
export function parseExpectation(text: string): ExpectedFailure | string {
  const wanted = text.trim();
  if (wanted === "") return "it is empty";
  if (/^(?:timeout|hang)$/i.test(wanted)) return { ...NOTHING, type: "timeout" };
  const exit = /^exit(?:s|ed)?(?: with)?(?: (?:code|status))?[ :=]*(\S+)$/i.exec(wanted);
  if (exit !== null) return exitOf(exit[1]!);
  const pattern = /^\/(.*)\/([a-z]*)$/s.exec(wanted);
  if (pattern !== null) return patternOf(pattern[1]!, pattern[2]!);
  const signal = signalOf(wanted);
  if (signal !== undefined) return signal;
  const named = /^([A-Za-z_$][\w$]*(?:(?:\.|::|\\)[\w$]+|-[a-z]+)*)(?: \[[A-Z_\d]+\])?(?::\s+(.*))?$/s.exec(wanted);
  if (named === null) return { ...NOTHING, message: wanted };
  const [, type, message] = named;
  if (message === undefined && !/[A-Z]|[.:]|-/.test(type!) && !/^(?:panic|assert)$/.test(type!)) {
    return { ...NOTHING, message: wanted };
  }
  return { ...NOTHING, type: type!, message: message?.trim() ?? null };
}

function exitOf(text: string): ExpectedFailure | string {
  const code = Number(text);
  if (!/^\d+$/.test(text) || code > 255) return `an exit code is a number from 1 to 255, not "${text}"`;
  return code === 0 ? "an exit code of 0 is no failure" : { ...NOTHING, exitCode: code };
}

function patternOf(source: string, flags: string): ExpectedFailure | string {
  if (flags !== "") return `a pattern takes no flags, not "${flags}"`;
  if (source === "") return "the pattern is empty";
  try {
    new RegExp(source);
  } catch (error) {
    return `the pattern is no regular expression (${(error as Error).message})`;
  }
  return { ...NOTHING, pattern: source };
}

function signalOf(text: string): ExpectedFailure | string | undefined {
  const word = SIGNAL_WORDS.get(text.toLowerCase().replace(/ \(core dumped\)$/, ""));
  if (word !== undefined) return { ...NOTHING, signal: word };
  const name = /^(?:signal )?(SIG[A-Z\d]+|\d+)$/.exec(text)?.[1];
  if (name === undefined) return undefined;
  const signal = SIGNALS.has(name) ? name : [...SIGNALS].find(([, number]) => String(number) === name)?.[0];
  if (signal === undefined) return `"${name}" is no signal that ends programs`;
  return /^\d+$/.test(text)
    ? `"${text}" may be an exit code or a signal: write \`exit ${text}\` or ${signal}`
    : { ...NOTHING, signal };
}
