/** Chooses, of all failures that an issue quotes, those that the bug shows. */
import type { ExpectedFailure } from "../oracle/expected.ts";
import type { FoundFailure } from "../oracle/find_failures.ts";
import { templatesMatch } from "../oracle/message_template.ts";
import { SIGNALS } from "../oracle/report.ts";
import { wrongResultsIn } from "./issue_results.ts";
import type { FailureSignal } from "./ports.ts";

export interface Statement {
  readonly by: "reporter" | "maintainer" | "other";
  readonly text: string;
  readonly failures: readonly FoundFailure[];
}

export interface ChosenSignals {
  readonly signals: readonly FailureSignal[];
  /** What should happen and does not. */
  readonly wanted: readonly ExpectedFailure[];
  /** What was left out, and why. */
  readonly notes: readonly string[];
}

const STRENGTHS = ["traceback", "code", "prose"] as const;
const MAX_SIGNALS = 10;

/**
 * A run that shows any one of the signals counts as a reproduction, so that each one too many is a false proof: of the
 * report only those of the strongest kind are taken. A maintainer may add what the report does not quote; what anybody
 * else quotes counts when it makes a vague report exact, or when nobody before has named a failure at all.
 *
 * @param statements in the order in which they were written
 */
export function chooseSignals(statements: readonly Statement[]): ChosenSignals {
  const all = statements.flatMap(({ failures }) => failures);
  const shownBy = (speaker: Statement["by"]) =>
    statements.filter(({ by }) => by === speaker).flatMap(({ failures }) => failures)
      .filter(({ isExpectedBehaviour }) => !isExpectedBehaviour);
  const reported = strongestOf(shownBy("reporter"));
  const maintained = strongestOf(shownBy("maintainer"));
  const others = strongestOf(shownBy("other"));
  const isVague = reported.every(({ strength }) => strength === "prose");
  const makesExact = (failure: FoundFailure) =>
    isVague && reported.some(({ expected }) => agree(expected, failure.expected));
  const chosen = [
    ...reported,
    ...maintained.filter((failure) => failure.strength !== "prose" || reported.length === 0 || makesExact(failure)),
    ...others.filter((failure) => reported.length + maintained.length === 0 || makesExact(failure)),
  ];
  const testable = chosen.filter((failure) => !isVagueResult(failure.expected));
  const results = testable.length > 0
    ? []
    : statements.filter(({ by }) => by !== "other").flatMap(({ text, failures }) =>
      wrongResultsIn(text, failures.filter(({ isExpectedBehaviour }) => isExpectedBehaviour))
    );
  const signals: FailureSignal[] = results.map((expected) => signalOf(expected, "prose"));
  for (const { expected, strength } of testable) {
    if (signals.some((signal) => covers(signal.expected, expected))) continue;
    const vaguer = signals.findIndex((signal) => covers(expected, signal.expected));
    if (vaguer === -1) signals.push(signalOf(expected, strength));
    else signals[vaguer] = signalOf(expected, strength);
  }
  signals.sort((a, b) => STRENGTHS.indexOf(a.strength) - STRENGTHS.indexOf(b.strength));
  const omitted = all.filter(({ expected, isExpectedBehaviour }) =>
    !isExpectedBehaviour && !signals.some((signal) => covers(signal.expected, expected))
  );
  const names = [...new Set(omitted.map(({ expected, strength }) => `${nameOf(expected)} (${strength})`))];
  return {
    signals: signals.slice(0, MAX_SIGNALS),
    wanted: all.filter(({ isExpectedBehaviour }) => isExpectedBehaviour).map(({ expected }) => expected),
    notes: [
      ...(names.length > 0 ? [`Named, but not taken for the failure: ${names.slice(0, 10).join(", ")}`] : []),
      ...(signals.length > MAX_SIGNALS ? [`Only the first ${MAX_SIGNALS} of ${signals.length} failures count`] : []),
    ],
  };
}

/** "It gives wrong results", with nothing to compare: no run could show it. */
function isVagueResult({ shows, message }: ExpectedFailure): boolean {
  if (shows !== "wrong_result" || message === null) return false;
  const isCompared = !/^(?:wrong|incorrect|inconsistent)\s/i.test(message) ||
    /\b(?:instead of|rather than|expected|should|but)\b/i.test(message);
  return !isCompared || !/[\d`"']/.test(message);
}

function strongestOf(failures: readonly FoundFailure[]): readonly FoundFailure[] {
  const best = Math.min(...failures.map(rankOf));
  return failures.filter((failure) => rankOf(failure) === best);
}

/** From 0, the strongest. A named failure says more than an assertion among the code, which may be of anything. */
function rankOf({ strength, expected }: FoundFailure): number {
  return STRENGTHS.indexOf(strength) + (strength !== "traceback" && expected.shows === "wrong_result" ? 2 : 0);
}

/** Whether whatever shows `b` is told by `a` as well, which says at least as much. */
function covers(a: ExpectedFailure, b: ExpectedFailure): boolean {
  // So shells tell of a signal.
  const isSignalsExit = a.signal !== null && b.exitCode === 128 + (SIGNALS.get(a.signal) ?? NaN);
  if (isSignalsExit && b.type === null && b.message === null && b.signal === null) return true;
  if (a.shows !== b.shows || !sameType(a.type, b.type)) return false;
  const isSame = <T>(mine: T | null, theirs: T | null) => theirs === null || mine === theirs;
  const saysAsMuch = b.message === null || a.message !== null && templatesMatch(a.message, b.message);
  return saysAsMuch && isSame(a.pattern, b.pattern) && isSame(a.exitCode, b.exitCode) && isSame(a.signal, b.signal) &&
    (b.frames.length === 0 || a.frames.length > 0 && samePlace(a, b));
}

/** Whether both can be the same failure, as far as they say. */
function agree(a: ExpectedFailure, b: ExpectedFailure): boolean {
  return a.shows === b.shows && sameType(a.type, b.type) && a.type !== null &&
    (a.message === null || b.message === null || templatesMatch(a.message, b.message));
}

function sameType(a: string | null, b: string | null): boolean {
  return a?.split(/[.:]+/).at(-1) === b?.split(/[.:]+/).at(-1);
}

function samePlace({ frames: [a] }: ExpectedFailure, { frames: [b] }: ExpectedFailure): boolean {
  return a?.function === b?.function && a?.file?.split(/[/\\]/).at(-1) === b?.file?.split(/[/\\]/).at(-1);
}

function signalOf(expected: ExpectedFailure, strength: FailureSignal["strength"]): FailureSignal {
  return {
    exception_type: expected.type,
    message_substring: expected.message,
    exit_code: expected.exitCode,
    raw_pattern: expected.pattern ?? expected.signal,
    strength,
    expected,
  };
}

function nameOf({ type, message, signal, exitCode, shows }: ExpectedFailure): string {
  return type ?? signal ?? (exitCode === null ? undefined : `exit ${exitCode}`) ?? message?.slice(0, 60) ??
    (shows === "wrong_result" ? "a wrong result" : "a failure");
}
