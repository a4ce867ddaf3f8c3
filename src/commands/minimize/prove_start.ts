/** Shows that the start is interesting, every time, before anything is left out of it. */
import * as z from "zod/mini";
import { Failure } from "../../failure.ts";
import type { FailureSignature } from "../../oracle/expected.ts";
import type { ObservedFailure } from "../../oracle/failure.ts";
import { sameSignature } from "../../oracle/signature.ts";
import type { OracleJournal } from "../../store/oracle_journal.ts";
import { shellWord } from "../../templates/shell_word.ts";
import { type Criterion, describeCriterion, describeEnd, expectationFor, failureOf, showsIt } from "./criterion.ts";
import type { OracleLanes, OracleRun, Where } from "./lanes.ts";
import type { Candidate } from "./subject.ts";

export interface StartProof {
  readonly where: Where;
  readonly timeoutMs: number;
  readonly criterion: Criterion;
  readonly runs: number;
  /** Whether the empty file was tried there, and does not show it. */
  readonly refusesEmpty: boolean;
  /** Whether none of the runs was made now: a killed run had made them. */
  readonly isNoted: boolean;
}

export interface ProofOptions {
  readonly file: string;
  readonly start: Candidate;
  /** The start with nothing in its first file. */
  readonly empty: Candidate;
  readonly criterion: Criterion;
  /** Undefined: tried out. */
  readonly where: Where | undefined;
  /** Undefined: from how long the start takes. */
  readonly timeoutMs: number | undefined;
  readonly runs: number;
  readonly cwd: string;
  readonly signal: AbortSignal;
}

/** A flaky oracle that agrees three times is one in which somebody has to believe. */
const LEAST_RUNS = 3;
const MAX_START_MS = 300_000;
const LEAST_TIMEOUT_MS = 5000;
/** A candidate that takes so many times as long as the start is taken for one that hangs. */
const SLOWER = 10;
const SHOWN_LINES = 15;
const SHOWN_CHARACTERS = 2000;

/**
 * Each run is noted in the journal, and not made again by whoever goes on after a death.
 *
 * @throws Failure of kind `environment` when the start is not interesting, or not always, or when the oracle says the same
 * of anything
 */
export async function proveStart(
  lanes: OracleLanes,
  journal: OracleJournal,
  options: ProofOptions,
): Promise<StartProof> {
  const proof = new Proof(lanes, journal, options);
  try {
    return await proof.make();
  } catch (error) {
    if (!(error instanceof Failure) || !proof.usedNotes) throw error;
    // What was wrong when it was noted may have been put right since then.
    return await new Proof(lanes, undefined, options).make();
  }
}

const sight = z.object({
  durationMs: z.number(),
  timedOut: z.boolean(),
  /** What it shows; null: nothing of what is to be kept. */
  shows: z.nullable(z.object({
    signature: z.nullable(z.custom<FailureSignature>((value) => typeof value === "object")),
    trouble: z.nullable(z.custom<ObservedFailure["trouble"]>((value) => typeof value === "string")),
  })),
});

type Sight = z.infer<typeof sight> & {
  /** Undefined: it was noted. */
  readonly run?: OracleRun;
};

class Proof {
  usedNotes = false;
  readonly #seen = new Map<string, Sight>();
  readonly #lanes: OracleLanes;
  readonly #journal: OracleJournal | undefined;
  readonly #options: ProofOptions;
  #ranAny = false;
  #refusesEmpty = false;

  constructor(lanes: OracleLanes, journal: OracleJournal | undefined, options: ProofOptions) {
    this.#lanes = lanes;
    this.#journal = journal;
    this.#options = options;
  }

  async make(): Promise<StartProof> {
    const { where: told, criterion, timeoutMs } = this.#options;
    const where = told ?? await this.#place();
    const first = await this.#look(where, "start", 1);
    if (first.shows === null) throw this.#notInteresting(first);
    if (first.timedOut && timeoutMs === undefined) {
      throw new Failure("usage", `Cannot minimize "${this.#options.file}" without a limit: the start does not end`, {
        hints: ["Say after how long a run counts as one that hangs: `--timeout-sec 5`"],
      });
    }
    const count = Math.max(LEAST_RUNS, this.#options.runs);
    const rest = Array.from({ length: count - 1 }, (_, at) => this.#look(where, "start", at + 2));
    const sights = [first, ...await Promise.all(rest)];
    const others = sights.filter((other) => !isSame(first, other));
    if (others.length > 0) throw this.#flaky(others[0]!, count - others.length, count);
    const slowestMs = Math.max(...sights.map(({ durationMs }) => durationMs));
    return {
      where,
      timeoutMs: timeoutMs ?? Math.ceil(Math.max(LEAST_TIMEOUT_MS, SLOWER * slowestMs)),
      criterion: criterion.kind === "same"
        ? { kind: "same", signature: first.shows.signature ?? undefined }
        : criterion.kind === "expected"
        ? { ...criterion, trouble: first.shows.trouble }
        : criterion,
      runs: count,
      refusesEmpty: this.#refusesEmpty,
      isNoted: !this.#ranAny,
    };
  }

  /** The candidate's own folder, unless only the person's shows it, or makes a difference that the own one does not. */
  async #place(): Promise<Where> {
    const { criterion } = this.#options;
    const own = await this.#look("own", "start", 1);
    // Elsewhere the command may fail for want of its files, or "succeed" because nothing of it could be run.
    if (criterion.kind === "same") {
      if (own.shows !== null && own.shows.trouble === null && own.shows.signature?.kind !== "exit") return "own";
    } else if (own.shows !== null) {
      this.#refusesEmpty = (await this.#look("own", "empty", 1)).shows === null;
      if (this.#refusesEmpty) return "own";
    }
    if (own.timedOut) return "own";
    const here = await this.#look("keep", "start", 1);
    // What fails but where the person is has another reason than the file.
    if (here.shows === null) return criterion.kind === "same" && own.shows !== null ? "keep" : "own";
    if (criterion.kind === "same" && isSame(own, here)) return "own";
    this.#refusesEmpty = !isSame(here, await this.#look("keep", "empty", 1));
    if (this.#refusesEmpty) return "keep";
    if (own.shows !== null) return "own";
    throw new Failure(
      "environment",
      `Cannot minimize "${this.#options.file}": the command says the same of an empty file where you are, and of the file ` +
        "in another folder it does not say it",
      {
        hints: [
          "Let the command take the candidate: write {file} where it takes a file, or name scripts by absolute paths",
        ],
      },
    );
  }

  async #look(where: Where, what: "start" | "empty", number: number): Promise<Sight> {
    const name = `${what} ${number}, ${where}`;
    let seen = this.#seen.get(name);
    if (seen === undefined) this.#seen.set(name, seen = this.#noted(name) ?? await this.#run(name, where, what));
    return seen;
  }

  #noted(name: string): Sight | undefined {
    const { data } = z.safeParse(sight, this.#journal?.noted(name));
    if (data !== undefined) this.usedNotes = true;
    return data;
  }

  async #run(name: string, where: Where, what: "start" | "empty"): Promise<Sight> {
    const { signal, timeoutMs = MAX_START_MS } = this.#options;
    this.#ranAny = true;
    const run = await this.#lanes.run(this.#options[what], { where, timeoutMs, signal });
    const seen: Sight = {
      durationMs: run.end.durationMs,
      timedOut: run.end.endedBy === "timeout",
      shows: this.#shownBy(run),
    };
    this.#journal?.note(name, seen);
    return { ...seen, run };
  }

  #shownBy(run: OracleRun): Sight["shows"] {
    const { criterion, cwd } = this.#options;
    const seen = criterion.kind === "exit 0" ? undefined : failureOf(run, cwd);
    if (criterion.kind !== "same") {
      return showsIt(run, criterion, cwd) ? { signature: null, trouble: seen?.failure.trouble ?? null } : null;
    }
    // What fails for want of a program says nothing about the input.
    if (seen === undefined || seen.failure.trouble === "missing_program") return null;
    return { signature: seen.signature, trouble: seen.failure.trouble };
  }

  #notInteresting(seen: Sight): Failure {
    const { file, where } = this.#options;
    return new Failure(
      "environment",
      [`Cannot minimize "${file}": the start does not show what is to be kept`, ...this.#report(seen)].join("\n"),
      {
        hints: [...this.#remedies(seen), ...(where === "own" ? ["`--cwd keep` runs the command where you are"] : [])],
        type: "NotInteresting",
      },
    );
  }

  #remedies({ run }: Sight): string[] {
    const { criterion, cwd } = this.#options;
    if (run !== undefined && failureOf(run, cwd)?.failure.trouble === "missing_program") {
      return ["The command names a program that is not there: install it, or name it by its path"];
    }
    const seen = run && expectationFor(run, cwd);
    const look = "Look whether the command fails like this when you run it yourself";
    if (criterion.kind === "same") return [look];
    return [
      ...(criterion.kind === "exit 0" ? ["An oracle exits with 0 when the file is interesting"] : []),
      seen === undefined
        ? look
        : `To keep what was found, write \`--expect ${
          quoted(seen)
        }\`, or \`--same-failure\`, which keeps its place too`,
    ];
  }

  #flaky(seen: Sight, matches: number, runs: number): Failure {
    const finding = `the oracle is flaky, it shows what is to be kept in ${matches} of ${runs} runs`;
    return new Failure(
      "environment",
      [`Cannot minimize "${this.#options.file}": ${finding}`, ...this.#report(seen)].join("\n"),
      {
        hints: ["Let the oracle try several times itself, and answer yes when one of them shows it"],
        type: "FlakyOracle",
      },
    );
  }

  #report({ run }: Sight): string[] {
    if (run === undefined) return [];
    const output = [run.end.output, run.end.stderr ?? ""].map((text) => text.trimEnd()).join("\n").trim();
    const lines = output.slice(-SHOWN_CHARACTERS).split("\n").slice(-SHOWN_LINES);
    return [
      `  expected: ${describeCriterion(this.#options.criterion)}`,
      `  found:    it ${describeEnd(run, this.#options.cwd)}`,
      `  command:  ${run.command}`,
      ...(output === "" ? ["  output:   none"] : ["  output:", ...lines.map((line) => `    ${line}`)]),
    ];
  }
}

/** As a word for a shell; messages often have single quotes in them. */
function quoted(text: string): string {
  return text.includes("'") && !/["$`\\!]/.test(text) ? `"${text}"` : shellWord(text);
}

/** Whether both show what is to be kept, and the same of it. */
function isSame({ shows: a }: Sight, { shows: b }: Sight): boolean {
  if (a === null || b === null || a.trouble !== b.trouble) return false;
  return a.signature === null || b.signature === null || sameSignature(a.signature, b.signature);
}
