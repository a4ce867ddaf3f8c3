/** What makes a candidate interesting, and whether a run of the oracle shows it. */
import { constants } from "node:os";
import { Failure } from "../../failure.ts";
import type { ExpectedFailure, FailureSignature } from "../../oracle/expected.ts";
import type { ObservedFailure, ProgramEnd } from "../../oracle/failure.ts";
import { judgeRun } from "../../oracle/judge_run.ts";
import { readFailures } from "../../oracle/read_failures.ts";
import { describeSignature, parseExpectation, sameSignature, signatureOf } from "../../oracle/signature.ts";
import type { OracleRun } from "./lanes.ts";

export type Criterion =
  /** The convention of C-Reduce and Shrink Ray. */
  | { readonly kind: "exit 0" }
  | {
    readonly kind: "expected";
    readonly expected: readonly ExpectedFailure[];
    readonly texts: readonly string[];
    /** Of the start: "exit 1" is not to become the exit code of a syntax error. Undefined until the start was run. */
    readonly trouble: ObservedFailure["trouble"] | undefined;
  }
  /** Undefined until the start has shown it. */
  | { readonly kind: "same"; readonly signature: FailureSignature | undefined };

/** Of a message, in a sentence of ours. */
const MAX_MESSAGE = 200;

/** @throws Failure of kind `usage` for an expectation that cannot be read */
export function criterionOf(flags: { readonly expect: readonly string[]; readonly sameFailure?: boolean }): Criterion {
  if (flags.sameFailure) return { kind: "same", signature: undefined };
  if (flags.expect.length === 0) return { kind: "exit 0" };
  const expected = flags.expect.flatMap((text) => {
    const parsed = parseExpectation(text);
    if (typeof parsed !== "string") return parsed.message === null ? [parsed] : [parsed, beginningOf(parsed)];
    throw new Failure("usage", `Cannot read the expectation "${text}": ${parsed}`, {
      hints: ["Expect for example 'ValueError: v cannot be empty', SIGSEGV, 'exit 3', timeout or '/a pattern/'"],
    });
  });
  return { kind: "expected", expected, texts: flags.expect, trouble: undefined };
}

/** People write the beginning of a message, or, without a type, any part of it. */
function beginningOf({ message, ...expected }: ExpectedFailure): ExpectedFailure {
  const literal = (message ?? "").replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  return { ...expected, message: null, pattern: expected.type === null ? literal : `^${literal}` };
}

export const expectsTimeout = (criterion: Criterion): boolean =>
  criterion.kind === "expected" && criterion.expected.some(({ type }) => type === "timeout");

/** @param cwd where the person stands: frames there are the project's, as those of the candidate are */
export function showsIt(run: OracleRun, criterion: Criterion, cwd: string): boolean {
  switch (criterion.kind) {
    case "exit 0":
      return run.end.endedBy === "exit" && run.end.exitCode === 0;
    case "expected": {
      const { outcome, failure } = judgeRun(programEnd(run), criterion.expected, placeOf(run.folder));
      return outcome === "match" && (criterion.trouble === undefined || criterion.trouble === failure?.trouble);
    }
    case "same": {
      const signature = criterion.signature && failureOf(run, cwd)?.signature;
      return signature !== undefined && sameSignature(signature, criterion.signature!);
    }
  }
}

/** What a run failed with; undefined: it ended well. */
export function failureOf(
  run: OracleRun,
  cwd: string,
): { readonly failure: ObservedFailure; readonly signature: FailureSignature } | undefined {
  const [failure] = readFailures(programEnd(run));
  // What the machine has no more of says nothing about the input.
  if (failure === undefined || run.end.limit !== undefined) return undefined;
  const own = signatureOf(failure, placeOf(run.folder));
  return { failure, signature: own.frame === null ? signatureOf(failure, placeOf(cwd)) : own };
}

/** As a sentence goes on after "it": what the run shows. */
export function describeEnd(run: OracleRun, cwd: string): string {
  const { end } = run;
  if (end.endedBy === "timeout") return "did not end in time";
  if (end.limit !== undefined) return `was ended by its limit of ${end.limit}`;
  const how = end.signalName === null ? `exited with ${end.exitCode}` : `was ended by ${end.signalName}`;
  const { type = null, message = null } = failureOf(run, cwd)?.failure ?? {};
  const said = [type ?? "", firstLine(message)].filter((part) => part !== "").join(": ");
  return said === "" || said === end.signalName ? how : `${how}, with ${said}`;
}

/** What `--expect` has to be for the run to show it, as precisely as can be told; undefined: the run did not fail. */
export function expectationFor(run: OracleRun, cwd: string): string | undefined {
  const failure = failureOf(run, cwd)?.failure;
  if (failure === undefined) return undefined;
  const { kind, type, message, exitCode, signal } = failure;
  if (kind === "timeout") return "timeout";
  const texts = [
    ...(type !== null && firstLine(message) !== "" ? [`${type}: ${firstLine(message)}`] : []),
    ...[type, signal].filter((name) => name !== null),
    ...(exitCode === null ? [] : [`exit ${exitCode}`]),
  ];
  return texts.find((text) =>
    typeof parseExpectation(text) !== "string" && showsIt(run, criterionOf({ expect: [text] }), cwd)
  );
}

/** The beginning of a message is enough to expect it. */
const firstLine = (message: string | null) => (message ?? "").split("\n", 1)[0]!.slice(0, MAX_MESSAGE).trim();

export function describeCriterion(criterion: Criterion): string {
  switch (criterion.kind) {
    case "exit 0":
      return "the command exits with 0";
    case "expected":
      return `the command fails with ${criterion.texts.join(", or with ")}`;
    case "same":
      return criterion.signature === undefined
        ? "the command fails"
        : `the command fails with ${describeSignature(criterion.signature)}`;
  }
}

/**
 * The candidate takes the part of the project here: what fails is the file itself, which need not be without fault as the
 * reproducer of an issue has to be.
 */
const placeOf = (project: string) => ({ project, reproFile: "" });

function programEnd({ end }: OracleRun): ProgramEnd {
  const timedOut = end.endedBy === "timeout";
  const killed = timedOut ? null : end.signalName;
  return {
    exitCode: timedOut || killed !== null ? null : end.exitCode,
    signal: killed ?? (timedOut ? null : signalOf(end.exitCode)),
    timedOut,
    ...end.limit !== undefined && { limit: end.limit },
    stdout: end.output,
    stderr: end.stderr ?? "",
    witnessed: [],
    hasWitness: false,
  };
}

/** What a shell tells of a signal that ended its command. */
function signalOf(exitCode: number | null): string | null {
  const number = (exitCode ?? 0) - 128;
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? null;
}
