/** Whether a run shows the failure that is expected. When in doubt it does not: a wrong "reproduced" is worse than none. */
import type { ExpectedFailure, RunJudgement, RunPlace } from "./expected.ts";
import type { Frame, ObservedFailure, ProgramEnd, Runtime } from "./failure.ts";
import {
  bareFunction,
  comparablePath,
  isDynamicFrame,
  isRuntimeFrame,
  isSameFile,
  isSameFunction,
  ownerOf,
  packagePath,
  projectFrame,
} from "./frame_owner.ts";
import { messageTemplate, quotedValues, templatesMatch, wordsOf } from "./message_template.ts";
import { readFailures } from "./read_failures.ts";
import { dependsOnProject, ownEnd, ownLimit, replacedFunction } from "./reproducer_text.ts";
import { errorText } from "./report.ts";

/** What does not fit; `isOwn`: the reproducer raised it, without the project. */
interface Mismatch {
  readonly reason: string;
  readonly isOwn?: boolean;
  /** How many of the comparisons fitted before: of several mismatches the one that came furthest is told. */
  readonly depth: number;
}

/** Types that Python and Node raise for mistakes in the code itself, wherever it is: their quoted names are what they say. */
const OF_THE_LANGUAGE =
  /^(?:AttributeError|NameError|UnboundLocalError|TypeError|ReferenceError|ImportError|ModuleNotFoundError|KeyError|NoMethodError)$/;
const LANGUAGES: ReadonlySet<Runtime> = new Set(["python", "node", "go", "rust", "java"]);
/** Old names of types that Python prints under their new ones. */
const SAME_TYPES = new Map([
  ["IOError", "OSError"],
  ["EnvironmentError", "OSError"],
  ["socket.error", "OSError"],
  ["select.error", "OSError"],
  ["socket.timeout", "TimeoutError"],
  ["asyncio.TimeoutError", "TimeoutError"],
  ["asyncio.exceptions.TimeoutError", "TimeoutError"],
]);
const MAX_PATTERN_INPUT = 4096;

/**
 * - A failure counts with the status that belongs to it; all that is expected of it has to fit.
 * - A subclass of the expected type counts only when its message fits, too.
 * - What the reproducer raised itself is its own failure, unless a wrong result is to be shown: then an assertion of it counts
 *   once functions of the project have been entered.
 * - A reproducer that does not parse, or misses a file, a module, a program, the network, shows nothing, unless just that is
 *   expected and the project is where it happens.
 *
 * Never throws.
 */
export function judgeRun(end: ProgramEnd, expected: readonly ExpectedFailure[], place: RunPlace): RunJudgement {
  const failures = readFailures(end);
  const first = failures[0];
  if (first === undefined) return judgement("no_failure", "It ended well", null);
  // Whatever is expected: a machine with more of it may have shown something else.
  if (end.limit !== undefined) return judgement("environment", `It was ended by its limit of ${end.limit}`, first);
  let closest: Mismatch | undefined;
  for (const failure of failures) {
    for (const [index, wanted] of expected.entries()) {
      const mismatch = compare(failure, wanted, end, place) ?? compareMaker(failure, wanted, end, place);
      if (mismatch === null) {
        return { outcome: "match", matched: index, reason: matchReason(failure, wanted, place), failure };
      }
      if (closest === undefined || mismatch.depth > closest.depth) closest = mismatch;
    }
  }
  const reason = closest?.reason ?? "Nothing is expected";
  if (first.kind === "timeout" && !closest?.isOwn) return judgement("timeout", "It did not end in time", first);
  if (first.trouble !== null) return { ...judgement(outcomeOf(first.trouble), troubleReason(first), first) };
  const isOwn = closest?.isOwn === true || isRaisedByReproducer(first, place);
  return judgement(isOwn ? "own_failure" : "other_failure", reason, first);
}

function judgement(outcome: RunJudgement["outcome"], reason: string, failure: ObservedFailure | null): RunJudgement {
  return { outcome, matched: null, reason, failure };
}

/** Null: it is the expected one. */
function compare(failure: ObservedFailure, wanted: ExpectedFailure, end: ProgramEnd, place: RunPlace): Mismatch | null {
  const { type, message, pattern, exitCode, signal, shows } = wanted;
  if (type === "timeout" || failure.kind === "timeout") {
    if (type === "timeout" && failure.kind === "timeout") return null;
    return { depth: 0, reason: type === "timeout" ? "It ended, and a hang is expected" : "It did not end in time" };
  }
  if (
    type === null && message === null && pattern === null && exitCode === null && signal === null && shows === "failure"
  ) {
    return { depth: 0, reason: "Nothing that could be tested is expected" };
  }
  if (exitCode !== null && exitCode !== end.exitCode) {
    return { depth: 1, reason: `Its exit code is ${end.exitCode ?? "none"}, not ${exitCode}` };
  }
  if (exitCode !== null && failure.kind === "exit" && exitCode !== failure.exitCode) {
    return { depth: 1, reason: `An exit with ${failure.exitCode ?? "no code"} was asked for, not with ${exitCode}` };
  }
  if (signal !== null && signal !== failure.signal && !(signal === "SIGSEGV" && failure.type === "SEGV")) {
    return { depth: 1, reason: `It ended with ${nameOf(failure)}, not ${signal}` };
  }
  if (shows === "wrong_result") return compareResult(failure, wanted, end, place);
  const runtime = wanted.runtime;
  if (runtime !== null && runtime !== failure.runtime && LANGUAGES.has(runtime) && LANGUAGES.has(failure.runtime)) {
    return { depth: 1, reason: `${nameOf(failure)} is of ${failure.runtime}, not of ${runtime}` };
  }
  const saidMessage = compareMessage(failure, wanted, place);
  const isSame = type === null || isSameType(type, failure);
  const isSubclass = !isSame && type !== null && saidMessage === null &&
    wordsOf(messageTemplate(message ?? "")).length > 0 &&
    failure.bases.some((base) => isSameName(type, base));
  if (!isSame && !isSubclass) return { depth: 2, reason: `It failed with ${nameOf(failure)}, not with ${type}` };
  if (saidMessage !== null) return { depth: 3, reason: saidMessage };
  const frames = compareFrames(failure, wanted, place);
  if (frames === "different") {
    return {
      depth: 4,
      reason: `${nameOf(failure)} comes from ${whereOf(failure, place)}, not from ${whereExpected(wanted)}`,
    };
  }
  const { calls = [] } = wanted;
  if (calls.length > 0 && place.project !== "" && !isCalled(failure, calls, place)) {
    return {
      depth: 4,
      reason: `Nothing in the stack of ${nameOf(failure)} is called in the issue: ${calls.join(", ")}`,
    };
  }
  return compareOrigin(failure, wanted, end, place, frames === "same");
}

function isCalled(failure: ObservedFailure, calls: readonly string[], place: RunPlace): boolean {
  const names = failure.frames.filter((frame) => ownerOf(frame, failure.runtime, place) === "project")
    .map((frame) => bareFunction(frame.function) ?? "");
  // Of a class, a constructor runs.
  return names.some((name) =>
    calls.includes(name) || (name.startsWith("__") && calls.some((call) => /^[A-Z]/.test(call)))
  );
}

/** Whether it is the project's, as far as that can be told. */
function compareOrigin(
  failure: ObservedFailure,
  wanted: ExpectedFailure,
  end: ProgramEnd,
  place: RunPlace,
  hasFrame: boolean,
): Mismatch | null {
  if (place.reproFile === "" || place.project === "") return null;
  const hasProject = hasFrame || projectFrame(failure, place) !== null;
  if (failure.trouble !== null) {
    const isNamed = wanted.type !== null || wanted.message !== null || wanted.pattern !== null;
    // What a tool says before it exits is what is expected of it.
    if (failure.kind === "exit" && wordsOf(messageTemplate(wanted.message ?? "")).length >= 3) return null;
    if (!isNamed || !(hasProject || isImportOf(failure, wanted)) || !isSamePlaceMissing(failure, wanted)) {
      return { depth: 5, reason: troubleReason(failure) };
    }
    return isRaisedByReproducer(failure, place) && !isImportOf(failure, wanted)
      ? { depth: 5, reason: troubleReason(failure), isOwn: true }
      : null;
  }
  if (isRaisedByReproducer(failure, place)) {
    return { depth: 5, isOwn: true, reason: `The reproducer itself raised ${nameOf(failure)}` };
  }
  if (failure.frames.length > 0 && !hasProject) {
    return { depth: 5, isOwn: true, reason: `No function of the project is in the stack of ${nameOf(failure)}` };
  }
  if (failure.kind === "exit" && failure.source === "status" && end.hasWitness) {
    return {
      depth: 5,
      isOwn: true,
      reason: "Nothing tells that the project and not the reproducer asked for the exit",
    };
  }
  return null;
}

/** Whether the reproducer has made it itself, as far as its text and what was done to the project tell. */
function compareMaker(
  failure: ObservedFailure,
  { shows }: ExpectedFailure,
  end: ProgramEnd,
  place: RunPlace,
): Mismatch | null {
  const own = (reason: string): Mismatch => ({ depth: 6, isOwn: true, reason });
  if (end.meddling) return own(end.meddling);
  const reason = ownEnd(failure, end, place) ?? ownLimit(failure, end);
  if (reason !== null) return own(reason);
  if (shows !== "wrong_result" || end.script === undefined || place.reproFile === "") return null;
  const lines = failure.frames.filter((frame) => {
    const owner = ownerOf(frame, failure.runtime, place);
    // Go wants another name for a test.
    return owner === "reproducer" || owner === "other" && /_test\.go$/.test(frame.file ?? "");
  }).flatMap(({ line }) => line ?? []);
  const replaced = replacedFunction(end.script, place);
  if (replaced !== null) return own(`The reproducer puts a function of its own in the place of ${quote(replaced)}`);
  if (lines.length === 0 || dependsOnProject(end.script, lines, place)) return null;
  return own("What the reproducer asserts does not depend on the project");
}

/** The answer was wrong: only an assertion of the reproducer can say so, after the project has been asked. */
function compareResult(
  failure: ObservedFailure,
  wanted: ExpectedFailure,
  end: ProgramEnd,
  place: RunPlace,
): Mismatch | null {
  if (failure.trouble !== null) return { depth: 2, reason: troubleReason(failure) };
  if (wanted.pattern !== null) {
    const mismatch = compareMessage(failure, wanted, place);
    if (mismatch !== null) return { depth: 3, reason: mismatch };
  }
  if (!isAssertion(failure, place)) {
    const isOwn = isRaisedByReproducer(failure, place);
    return { depth: 3, isOwn, reason: `${nameOf(failure)} is no assertion of the reproducer about a result` };
  }
  if (place.reproFile === "" || place.project === "") return null;
  const calls = failure.projectCalls ?? end.projectCalls ?? null;
  if (calls !== null) {
    return calls > 0
      ? null
      : { depth: 4, isOwn: true, reason: "The reproducer asserts something without a call of the project" };
  }
  // The tests of a project in Go or Rust are built together with it.
  const isBuilt = failure.kind === "assertion" && (failure.runtime === "go" || failure.runtime === "rust") &&
    place.reproFile.startsWith(place.project + "/") && failure.frames.length > 0;
  if (isBuilt || projectFrame(failure, place) !== null) return null;
  return {
    depth: 4,
    isOwn: true,
    reason: "Nothing shows that the project was called before the reproducer's assertion",
  };
}

function isAssertion(failure: ObservedFailure, place: RunPlace): boolean {
  const [inner] = failure.frames.filter((frame) => ownerOf(frame, failure.runtime, place) !== "runtime");
  const isOwn = inner === undefined || ownerOf(inner, failure.runtime, place) === "reproducer" ||
    place.reproFile === "";
  if (failure.kind === "assertion") {
    // A project's own functions for tests raise it for the reproducer.
    return isOwn || /(?:^|[/_])(?:testing|tests?|asserts?)(?:[/_.]|$)/.test(inner?.file ?? "") ||
      ownerOf(inner!, failure.runtime, place) === "other";
  }
  if (failure.kind === "exit") return failure.source === "status" || isOwn;
  const type = failure.type?.split(".").at(-1) ?? "";
  return isOwn && (failure.kind === "panic" || /^(?:Exception|RuntimeError|Error)$/.test(type)) &&
    failure.frames.length > 0;
}

/** Null: it fits. */
function compareMessage(failure: ObservedFailure, wanted: ExpectedFailure, place: RunPlace): string | null {
  const { message, pattern } = wanted;
  const said = failure.message ?? "";
  if (pattern !== null) {
    let expression: RegExp;
    try {
      expression = new RegExp(pattern);
    } catch {
      return `The expected pattern "${pattern.slice(0, 80)}" is no regular expression`;
    }
    const whole = failure.type === null ? said : `${failure.type}: ${said}`;
    const fits = [said, whole].some((text) => expression.test(text.slice(0, MAX_PATTERN_INPUT)));
    return fits ? null : `Its message ${quote(said)} does not match /${pattern.slice(0, 80)}/`;
  }
  if (message === null) return null;
  const mismatch = `Its message is ${quote(said)}, not ${quote(message)}`;
  const isSaid = templatesMatch(message, said) ||
    (failure.kind === "exit" && templatesMatch(errorText(message) ?? message, said));
  if (!isSaid) return mismatch;
  if (compareFrames(failure, wanted, place) === "same") return null;
  // Nothing but the message says which failure it is: what it names has to be the same.
  const template = messageTemplate(message);
  const isEmpty = wordsOf(template).length === 0;
  if (isEmpty && plain(message) !== plain(said)) return mismatch;
  const type = failure.type?.split(".").at(-1) ?? "";
  if (!OF_THE_LANGUAGE.test(type)) return null;
  const names = (text: string) => quotedValues(text).filter((value) => /^[\p{L}_$][\w$.]*(?:\(\))?$/u.test(value));
  return names(message).join() === names(said).join() ? null : mismatch;
}

function plain(text: string): string {
  return text.replace(/\s+/g, " ").trim().replace(/^['"`](.*)['"`]$/, "$1");
}

/** `same` needs a frame of the project (or of its installed copy); `unknown`: none is expected. */
function compareFrames(
  failure: ObservedFailure,
  wanted: ExpectedFailure,
  place: RunPlace,
): "same" | "different" | "unknown" {
  const library = libraryFrames(wanted);
  if (library.length === 0 || place.project === "") return "unknown";
  const observed = observedFrames(failure, place);
  for (const { path, frame } of observed) {
    const at = library.findIndex((candidate) => {
      return isSameFile(comparablePath(candidate, wanted.runtime), path) &&
        isSameFunction(candidate.function, frame.function);
    });
    if (at < 0) continue;
    const root = rootOf(library[at]!, path, wanted.runtime);
    return library.slice(0, at).some((inner) => root !== null && isBelow(inner, root, wanted.runtime))
      ? "different"
      : "same";
  }
  // The person's own folder may look like a project: without a sign of one, nothing can be said.
  return "different";
}

/** The innermost frame of the project, and that of an installed copy when there is no other. */
function observedFrames(failure: ObservedFailure, place: RunPlace): { readonly path: string; readonly frame: Frame }[] {
  const own = projectFrame(failure, place);
  if (own !== null) return [own];
  // Where the project's files are known, a witness tells of copies that are the same as if they were those.
  if (place.files !== undefined) return [];
  const installed = failure.frames.find((frame) =>
    ownerOf(frame, failure.runtime, place) === "other" && frame.file !== null && packagePath(frame.file) !== null
  );
  return installed === undefined ? [] : [{ path: packagePath(installed.file!)!, frame: installed }];
}

/** The expected frames without those of the runtime and those of the person's own script. */
function libraryFrames({ frames, runtime }: ExpectedFailure): readonly Frame[] {
  const scripts = new Set(frames.filter((frame, i) => isOutermost(frame, i, frames)).map(({ file }) => file));
  return frames.filter((frame) =>
    frame.file !== null && !isRuntimeFrame(frame, runtime) && !scripts.has(frame.file) &&
    !/^(?:<|Cell In|\/tmp\/ipykernel|.*ipython-input)/.test(frame.file)
  );
}

function isOutermost(frame: Frame, index: number, frames: readonly Frame[]): boolean {
  if (frame.file !== null && packagePath(frame.file) !== null) return false;
  return frame.function === "<module>" || /^Object\.<anonymous>$|^main(?:\.main|::main)?$/.test(frame.function ?? "") ||
    (index === frames.length - 1 && frames.length > 1 && /(?:^|\.|::)main$/.test(frame.function ?? ""));
}

/** The folder of the expected frame's file up to where the two paths part. */
function rootOf(frame: Frame, path: string, runtime: Runtime | null): string | null {
  const expected = comparablePath(frame, runtime);
  if (frame.file !== null && packagePath(frame.file) !== null) return packageRoot(expected);
  const names = path.split("/");
  const folders = expected.split("/").slice(0, -1);
  return folders.slice(0, Math.max(0, folders.length - (names.length - 1))).map((name) => name + "/").join("");
}

/** `numpy/`, `@scope/name/`, `example.com/owner/repository/`. */
function packageRoot(path: string): string {
  const names = path.split("/");
  const count = names[0]!.includes(".") ? 3 : names[0]!.startsWith("@") ? 2 : 1;
  return names.slice(0, Math.min(count, names.length - 1)).map((name) => name + "/").join("");
}

function isBelow(frame: Frame, root: string, runtime: Runtime | null): boolean {
  const isInstalled = frame.file !== null && packagePath(frame.file) !== null;
  return !(isInstalled && root === "") && comparablePath(frame, runtime).startsWith(root);
}

/**
 * Whether the innermost frame is the reproducer's, but for those of the runtime and of code made at run time: what `int("x")`
 * raises was asked for by its caller.
 */
function isRaisedByReproducer(failure: ObservedFailure, place: RunPlace): boolean {
  if (place.reproFile === "" || (failure.kind === "signal" && failure.source !== "witness")) return false;
  const inner = failure.frames.find((frame) =>
    !isDynamicFrame(frame) && ownerOf(frame, failure.runtime, place) !== "runtime"
  );
  return inner !== undefined && ownerOf(inner, failure.runtime, place) === "reproducer";
}

/** `cannot import name 'X' from 'pkg'`, `No module named 'pkg.sub'`: the project is there and lacks what is expected of it. */
function isImportOf(failure: ObservedFailure, { message, type }: ExpectedFailure): boolean {
  if (failure.trouble !== "import" || message === null || type === null || failure.message === null) return false;
  const [name, from] = quotedValues(failure.message);
  const [wantedName, wantedFrom] = quotedValues(message);
  if (name === undefined || name !== wantedName) return false;
  if (/^cannot import name /.test(failure.message)) return from !== undefined && from === wantedFrom;
  return /^No module named /.test(failure.message) && name.includes(".");
}

/** Whatever opens files misses one that is not there: only the one that the issue names says something. */
function isSamePlaceMissing(failure: ObservedFailure, { message }: ExpectedFailure): boolean {
  if (failure.trouble !== "missing_file" || message === null) return true;
  const names = (text: string) => quotedValues(text).map((path) => path.split(/[/\\]/).at(-1));
  const wanted = names(message);
  return wanted.length === 0 || wanted.join("\n") === names(failure.message ?? "").join("\n");
}

function isSameType(expected: string, failure: ObservedFailure): boolean {
  if (failure.type === null) return false;
  if (failure.kind === "signal" && expected === failure.signal) return true;
  return isSameName(expected, failure.type) ||
    isSameName(SAME_TYPES.get(expected) ?? expected, SAME_TYPES.get(failure.type) ?? failure.type);
}

/** `ValueError` stands for `pkg.ValueError`, but `pkg.ValueError` not for the builtin one. */
function isSameName(expected: string, observed: string): boolean {
  if (expected === observed) return true;
  const wanted = parts(expected);
  const found = parts(observed);
  if (wanted.at(-1) !== found.at(-1)) return false;
  if (wanted.length === 1) return true;
  if (found.length === 1) return false;
  // Packages move their classes about: `numpy.linalg.LinAlgError` was `numpy.linalg.linalg.LinAlgError`.
  return wanted[0] === found[0] || wanted.join(".").endsWith("." + found.join(".")) ||
    found.join(".").endsWith("." + wanted.join("."));
}

function parts(type: string): string[] {
  return type.replace(/ \[[A-Z_\d]+\]$/, "").split(/[.$\\]|::/).filter((part) => part !== "");
}

function outcomeOf(trouble: NonNullable<ObservedFailure["trouble"]>): "broken" | "environment" {
  return trouble === "syntax" || trouble === "import" || trouble === "missing_file" ? "broken" : "environment";
}

function troubleReason(failure: ObservedFailure): string {
  const told = failure.message === null ? "" : `: ${quote(failure.message)}`;
  switch (failure.trouble) {
    case "syntax":
      return `It does not parse or compile${told}`;
    case "import":
      return `It imports what is not there${told}`;
    case "missing_file":
      return `A file is missing${told}`;
    case "missing_program":
      return `A program or library is missing${told}`;
    case "network":
      return `The network or a package cannot be reached${told}`;
    case "permission":
      return `A permission is missing${told}`;
    default:
      return `Memory, disk or time ran out, or somebody ended it${told}`;
  }
}

function matchReason(failure: ObservedFailure, wanted: ExpectedFailure, place: RunPlace): string {
  if (failure.kind === "timeout") return "It did not end in time, as expected";
  if (wanted.shows === "wrong_result") return `The reproducer's assertion shows the wrong result: ${nameOf(failure)}`;
  const where = failure.frames.length === 0 ? "; no stack tells where it comes from" : ` in ${whereOf(failure, place)}`;
  return `It failed as expected with ${nameOf(failure)}${where}`;
}

function nameOf({ type, kind, exitCode, signal, message }: ObservedFailure): string {
  if (kind === "exit") return `exit code ${exitCode ?? "none"}`;
  if (kind === "signal") return signal ?? type ?? "a signal";
  return type ?? quote(message ?? kind);
}

function whereOf(failure: ObservedFailure, place: RunPlace): string {
  const own = projectFrame(failure, place);
  const frame = own?.frame ?? failure.frames[0];
  if (frame === undefined) return "an unknown place";
  const file = own?.path ?? frame.file ?? "an unknown file";
  return frame.function === null ? file : `${file} (${frame.function})`;
}

function whereExpected(wanted: ExpectedFailure): string {
  const frame = libraryFrames(wanted)[0];
  if (frame === undefined) return "an unknown place";
  const file = comparablePath(frame, wanted.runtime);
  return frame.function === null ? file : `${file} (${frame.function})`;
}

function quote(text: string): string {
  const line = text.split("\n", 1)[0]!;
  return `"${line.length > 120 ? line.slice(0, 120) + "…" : line}"`;
}
