/** Tries to refute a reproducer: runs in which something is changed that a true one has to answer to. */
import type { ExpectedFailure, FailureSignature } from "../oracle/expected.ts";
import type { ProgramEnd, Runtime } from "../oracle/failure.ts";
import { judgeScript } from "./judge_script.ts";
import type { Candidate, ControlOrder, IssueSpec, PreparedPlace, ScriptRun, SeenCall } from "./ports.ts";
import { type Literal, type Stated, statedIn } from "./stated_literals.ts";
import { showsWrongResult } from "./stated_values.ts";

export interface ControlOptions {
  readonly spec: IssueSpec;
  /** What its runs have shown. */
  readonly signature: FailureSignature;
  readonly signal: AbortSignal;
}

/** `refuted`: it fails also where the bug is not. The reasons are sentences. */
export type Control =
  | { readonly kind: "refuted" | "held"; readonly reason: string }
  /** There is nothing that could be changed. */
  | { readonly kind: "untried" };

const UNTRIED: Control = { kind: "untried" };
/** Each takes as long as any run. */
const MAX_RUNS = 24;
const MAX_CALLS = 4;

/**
 * - A wrong result: the function that the issue names gives what the issue says it should, and the reproducer must not fail
 *   any more. It must have called it, as the issue does or with the result that the issue tells.
 * - A report that no witness has told: the runtime is asked to write it in another way, which printed text does not do.
 */
export async function tryToRefute(
  candidate: Candidate,
  place: PreparedPlace,
  options: ControlOptions,
): Promise<Control> {
  const { spec, signature } = options;
  const again = (control?: ControlOrder) =>
    place.run(candidate.script, { fresh: true, control, signal: options.signal });
  if (showsWrongResult(spec)) {
    const stated = statedIn([spec.title, spec.body, ...spec.comments.map(({ body }) => body)].join("\n"));
    const run = await again({ results: { ...stated, replace: null } });
    options.signal.throwIfAborted();
    if (wantedBy(run, spec)?.shows === "wrong_result") {
      return await refuteResult(run, stated, (control) => again({ results: { ...stated, replace: control } }), options);
    }
  }
  const report = REPORTS.get(signature.runtime);
  if (report === undefined || signature.kind === "assertion" && signature.runtime === "go") return UNTRIED;
  return await refuteReport(report, again, options);
}

/** Which of the expected failures a run shows. */
function wantedBy(run: ScriptRun, spec: IssueSpec): ExpectedFailure | undefined {
  const { matched } = judgeScript(run, spec).judgement;
  return matched === null ? undefined : spec.expected_failure_signals[matched]!.expected;
}

interface Replacement {
  readonly call: number | "all";
  readonly value: Literal;
}

async function refuteResult(
  { results }: ScriptRun,
  stated: Stated,
  runWith: (replace: Replacement) => Promise<ScriptRun>,
  { spec, signal }: ControlOptions,
): Promise<Control> {
  if (results === undefined || results.functions.length === 0) return UNTRIED;
  const names = results.functions.slice(0, 5).join(", ");
  const { calls } = results;
  if (calls.length === 0) {
    return { kind: "refuted", reason: `It does not call what the issue is about: ${names}` };
  }
  const open = replacements(calls, stated);
  if (open.length === 0) return UNTRIED;
  let strange: string | undefined;
  for (const { call, value } of open) {
    const run = await runWith({ call, value });
    signal.throwIfAborted();
    if (judgeScript(run, spec).judgement.outcome !== "no_failure") continue;
    const changed = call === "all" ? calls : [calls[call - 1]!];
    const one = changed.find(isOfIssue);
    const name = (one ?? changed[0]!).name;
    if (one !== undefined) {
      return { kind: "held", reason: `Where "${name}" gives ${literalText(value)} it does not fail` };
    }
    strange = `It calls "${name}" with other arguments than the issue does, and does not get the result that it tells`;
  }
  const reason = `It fails also where ${names} gives what the issue says that it should`;
  return { kind: "refuted", reason: strange ?? reason };
}

/** Whether it is the issue's case: its call, or the wrong result that it tells; where it has neither, any. */
function isOfIssue({ isStated, equals }: SeenCall): boolean {
  return isStated !== false || equals.length > 0;
}

/** The likeliest first: all calls, the last one, then the others before it. */
function replacements(calls: readonly SeenCall[], { values, wanted }: Stated): Replacement[] {
  const last = Array.from({ length: Math.min(calls.length, MAX_CALLS) }, (_, back) => calls.length - back);
  const found = values.flatMap((value, index) =>
    (calls.length > 1 ? ["all" as const, ...last] : last).flatMap((call, rank) => {
      const fits = call === "all"
        ? calls.some((one) => one.fits.includes(index))
        : calls[call - 1]!.fits.includes(index);
      return fits ? [{ call, value, order: index + 2 * rank }] : [];
    })
  );
  const isRaised = ({ value }: Replacement) => "raises" in value;
  // Of an error that the text only names, nobody can say that it should come.
  if (found.every((one) => isRaised(one) && values.indexOf(one.value) >= wanted)) return [];
  return found.sort((a, b) => Number(isRaised(a)) - Number(isRaised(b)) || a.order - b.order).slice(0, MAX_RUNS);
}

function literalText(literal: Literal): string {
  if ("raises" in literal) return literal.raises;
  if ("number" in literal) return literal.number;
  if ("text" in literal) return JSON.stringify(literal.text.slice(0, 60));
  if ("constant" in literal) return literal.constant;
  if ("pairs" in literal) return "a mapping";
  return `[${("list" in literal ? literal.list : literal.tuple).slice(0, 8).map(literalText).join(", ")}]`;
}

/** How a runtime is asked to write its reports in another way, and whether it has done so. */
interface ReportControl {
  readonly env: NonNullable<ControlOrder["env"]>;
  isAnswered(before: ProgramEnd, after: ProgramEnd): boolean;
}

const SANITIZERS = ["ASAN", "LSAN", "UBSAN", "TSAN", "MSAN"];
/** What no program writes by itself. */
const FRAME_MARK = "gocore-frame";
const STACK_FORMAT = `print_stacktrace=1:stack_trace_format=#%n.${FRAME_MARK}.%p`;
const set = (value: string) => ({ value, isList: false });
const linesOf = ({ stdout, stderr }: ProgramEnd, pattern: RegExp) => `${stderr}\n${stdout}`.match(pattern)?.length ?? 0;

const REPORTS = new Map<Runtime, ReportControl>([
  ["go", {
    env: { GOTRACEBACK: set("system") },
    isAnswered: (before, after) => linesOf(after, /^runtime\.goexit\(/gm) > linesOf(before, /^runtime\.goexit\(/gm),
  }],
  ["rust", {
    env: { RUST_BACKTRACE: set("1") },
    isAnswered: (before, after) => linesOf(after, /^stack backtrace:$/gm) > linesOf(before, /^stack backtrace:$/gm),
  }],
  ["java", {
    env: { JAVA_TOOL_OPTIONS: set("-XX:MaxJavaStackTraceDepth=1") },
    isAnswered: (before, after) => linesOf(after, /^\s+at \S/gm) < linesOf(before, /^\s+at \S/gm),
  }],
  ["sanitizer", {
    env: Object.fromEntries(SANITIZERS.map((name) => [`${name}_OPTIONS`, { value: STACK_FORMAT, isList: true }])),
    isAnswered: (_, after) => linesOf(after, new RegExp(`^\\s*#\\d+\\.${FRAME_MARK}\\.`, "gm")) > 0,
  }],
]);

async function refuteReport(
  { env, isAnswered }: ReportControl,
  again: (control?: ControlOrder) => Promise<ScriptRun>,
  { signal, signature: { runtime } }: ControlOptions,
): Promise<Control> {
  const before = await again();
  signal.throwIfAborted();
  const after = await again({ env });
  signal.throwIfAborted();
  if (isAnswered(before.end, after.end)) {
    return { kind: "held", reason: `Asked for another form of its report, the runtime of ${runtime} gave it` };
  }
  const [setting] = Object.entries(env)[0]!;
  return {
    kind: "refuted",
    reason: `The report may have been printed by the reproducer: it does not change with ${setting}`,
  };
}
