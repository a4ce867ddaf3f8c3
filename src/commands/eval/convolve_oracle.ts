/** Asks a numpy, or the source of its `convolve` alone, which of two empty arguments it complains about. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import * as z from "zod/mini";
import { openSandbox } from "../../process/sandbox.ts";
import { runCommand } from "../../process/spawn.ts";
import { homeToHide, inheritedEnvironment } from "../worker_place.ts";
import oracleScript from "./convolve_oracle.py" with { type: "text" };

/** `bug_present`: an empty `a` is called `v`; `fixed`: each is called by its name; `unexpected`: anything else. */
export type OracleVerdict = "bug_present" | "fixed" | "unexpected";

/** What was run and what it said: `before_oracle.json` and its like. */
export interface OracleRecord {
  readonly verdict: OracleVerdict;
  /** One sentence for people. */
  readonly detail: string;
  /** What `convolve([], [1, 2])` raised, as `Type: message`; null: nothing. */
  readonly first_error: string | null;
  /** What `convolve([1, 2], [])` raised. */
  readonly second_error: string | null;
  readonly commit: string;
  /** Of the source that was run; null: an installed numpy was. */
  readonly source_sha256: string | null;
  readonly python: string | null;
  readonly numpy: string | null;
  readonly numpy_path: string | null;
  readonly command: readonly string[];
  readonly exit_code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly sandbox: string;
  readonly duration_ms: number;
}

export interface OracleRequest {
  /** The interpreter, absolute. */
  readonly python: string;
  /** Folders that it needs, which may lie in the home. */
  readonly readable: readonly string[];
  /** The text of `numpy/_core/numeric.py`; undefined: the numpy that is installed for `python`. */
  readonly source: string | undefined;
  readonly commit: string;
  /** Empty and absolute; the oracle is put there. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 64 * 1024;
const MAX_KEPT_CHARACTERS = 4000;
const EMPTY_A = "ValueError: a cannot be empty";
const EMPTY_V = "ValueError: v cannot be empty";
/** `[1, 2]` convolved with `[3, 4, 5]`. */
const CONTROL = [3, 10, 13, 10];

const asked = z.object({
  type: z.nullable(z.string()),
  message: z.nullable(z.string()),
  result: z.nullable(z.array(z.number())),
});
const report = z.object({
  python: z.string(),
  numpy: z.nullable(z.string()),
  numpy_path: z.nullable(z.string()),
  problem: z.nullable(z.string()),
  first: z.optional(asked),
  second: z.optional(asked),
  control: z.optional(asked),
});
type Report = z.infer<typeof report>;
type Asked = z.infer<typeof asked>;

/** What is wrong with the source or its numpy is in the record. Throws when `signal` aborts, or nothing can be written. */
export async function askConvolve(request: OracleRequest): Promise<OracleRecord> {
  const { python, source, commit, folder, env, signal } = request;
  const script = join(folder, "convolve_oracle.py");
  const file = join(folder, "numeric.py");
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(script, oracleScript);
  if (source !== undefined) await Deno.writeTextFile(file, source);
  const sandbox = await openSandbox({
    mode: "prefer",
    writable: [folder],
    readable: request.readable,
    protected: [],
    network: false,
    hideHome: homeToHide(env),
  }, { cwd: folder, path: env.PATH, program: python });
  const command: [string, ...string[]] = [python, "-I", script, ...(source === undefined ? [] : [file])];
  const end = await runCommand(sandbox.wrap(command), {
    cwd: folder,
    env: { ...inheritedEnvironment(env, []), LC_ALL: "C.UTF-8" },
    timeoutMs: TIMEOUT_MS,
    signal,
    maxOutputBytes: MAX_OUTPUT_BYTES,
    stderr: "separate",
  });
  signal.throwIfAborted();
  const found = end.exitCode === 0 ? readReport(end.output) : undefined;
  const failure = end.endedBy === "timeout"
    ? `it took more than ${TIMEOUT_MS / 1000} s`
    : end.failure ?? (end.exitCode === 0 ? "it gave no report" : `it ended with ${end.exitCode}`);
  return {
    ...(found === undefined
      ? { verdict: "unexpected" as const, detail: `The oracle cannot be read: ${failure}` }
      : judge(found)),
    first_error: errorIn(found?.first),
    second_error: errorIn(found?.second),
    commit,
    source_sha256: source === undefined ? null : createHash("sha256").update(source).digest("hex"),
    python: found?.python ?? null,
    numpy: found?.numpy ?? null,
    numpy_path: found?.numpy_path ?? null,
    command,
    exit_code: end.exitCode,
    stdout: end.output.slice(-MAX_KEPT_CHARACTERS),
    stderr: (end.stderr ?? "").slice(-MAX_KEPT_CHARACTERS),
    sandbox: sandbox.detail,
    duration_ms: Math.round(end.durationMs),
  };
}

/** The script writes one line, and nothing of what it runs can write to the same pipe by accident. */
function readReport(output: string): Report | undefined {
  try {
    return report.safeParse(JSON.parse(output)).data;
  } catch {
    return undefined;
  }
}

function judge(found: Report): { readonly verdict: OracleVerdict; readonly detail: string } {
  const unexpected = (detail: string) => ({ verdict: "unexpected" as const, detail });
  if (found.problem !== null) return unexpected(`There is no \`convolve\` to ask: ${found.problem.slice(0, 500)}`);
  const control = errorIn(found.control);
  if (control !== null) return unexpected(`\`convolve\` does not work at all: ${control}`);
  if (JSON.stringify(found.control?.result) !== JSON.stringify(CONTROL)) {
    return unexpected(`\`convolve\` answers wrongly: ${JSON.stringify(found.control?.result)}`);
  }
  const [first, second] = [errorIn(found.first), errorIn(found.second)];
  const pair = `an empty \`a\` gives ${quoted(first)}, an empty \`v\` gives ${quoted(second)}`;
  if (second !== EMPTY_V || first !== EMPTY_V && first !== EMPTY_A) {
    return unexpected(`Neither the bug nor its fix: ${pair}`);
  }
  return first === EMPTY_V
    ? { verdict: "bug_present", detail: `The bug is there: ${pair}` }
    : { verdict: "fixed", detail: `The bug is not there: ${pair}` };
}

const quoted = (error: string | null) => error === null ? "no error" : JSON.stringify(error.slice(0, 200));

function errorIn(answer: Asked | undefined): string | null {
  return answer === undefined || answer.type === null ? null : `${answer.type}: ${answer.message ?? ""}`;
}
