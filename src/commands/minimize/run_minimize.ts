/** A minimization from its flags to its exit code. */
import { VERSION } from "../../config/version.ts";
import type { MinimizeEnd } from "../../events/minimize_events.ts";
import { exitCodeOf, Failure, Interrupt, messageOf } from "../../failure.ts";
import { endAllCommands, killAllNow } from "../../process/spawn.ts";
import type { Part, ReduceProgress, Reduction } from "../../reduce/contract.ts";
import { reduce } from "../../reduce/reduce.ts";
import { removeTemporaries, removeUnfinished } from "../../store/atomic_file.ts";
import { OracleJournal } from "../../store/oracle_journal.ts";
import { claimLock } from "../../store/owner_lock.ts";
import type { Io } from "../../terminal/io.ts";
import { askModel, type ModelAnswer } from "./ask_model.ts";
import { type Criterion, criterionOf, describeCriterion, expectsTimeout, showsIt } from "./criterion.ts";
import { contentKey, taskIdentity } from "./identity.ts";
import { OracleLanes, type Where } from "./lanes.ts";
import { withAbsoluteProgram } from "./oracle_command.ts";
import { proveStart, type StartProof } from "./prove_start.ts";
import { allPaths, checkResultPaths, type ResultPaths, resultPaths, ResultWriter } from "./results.ts";
import { type MinimizeShow, showMinimize } from "./show_minimize.ts";
import { candidateOf, readSubject, sizeOf, type Subject } from "./subject.ts";

export interface MinimizeFlags {
  readonly file: string;
  readonly oracle: string;
  readonly output?: string;
  readonly expect?: readonly string[];
  readonly sameFailure?: boolean;
  readonly keep?: readonly string[];
  readonly also?: readonly string[];
  readonly cwd?: Where;
  readonly timeoutSec?: number;
  readonly jobs?: number;
  readonly runs?: number;
  readonly maxCalls?: number;
  readonly maxSeconds?: number;
  readonly model?: string;
  readonly sandbox?: "require" | "prefer" | "off";
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Why a run ended before nothing more could go. */
class LimitReached extends Error {}

export async function runMinimize(flags: MinimizeFlags, io: Io): Promise<number> {
  const { cwd } = io;
  const subject = await readSubject(flags.file, flags.also ?? [], io);
  const criterion = criterionOf({ expect: flags.expect ?? [], sameFailure: flags.sameFailure });
  if (expectsTimeout(criterion) && flags.timeoutSec === undefined) {
    throw new Failure("usage", "Cannot expect a timeout without a time", {
      hints: ["Say after how long a run counts as one that hangs: `--timeout-sec 5`"],
    });
  }
  const keep = keepPatterns(flags.keep ?? [], subject.parts);
  const paths = resultPaths(subject, { output: flags.output, cwd });
  const identity = await taskIdentity(subject.parts, {
    command: flags.oracle,
    cwd,
    version: VERSION,
    expect: flags.expect ?? [],
    sameFailure: flags.sameFailure ?? false,
    keep: flags.keep ?? [],
    runs: flags.runs ?? 1,
    timeoutSec: flags.timeoutSec ?? null,
    where: flags.cwd ?? null,
    sandbox: flags.sandbox ?? "off",
    model: flags.model ?? null,
  });
  const journalPath = `${paths.files[0]}.gocore-minimize.jsonl`;
  await checkResultPaths(paths, subject, cwd);

  const claim = claimLock(`${paths.files[0]}.gocore-minimize.lock`);
  if (claim.kind === "taken") {
    throw new Failure("environment", `Cannot minimize to "${paths.files[0]}": process ${claim.owner.pid} does so`, {
      hints: ["Wait until it has ended, or name another result with `--output FILE`"],
    });
  }
  const show = showMinimize({ json: flags.json ?? false, quiet: flags.quiet ?? false }, io);
  try {
    const journal = await OracleJournal.open(journalPath, identity);
    const { exitCode, goesOn } = await new Minimization({ flags, io, subject, paths, keep, journal, show })
      .run(criterion).finally(() => journal.close());
    if (!goesOn) await Deno.remove(journalPath);
    if (typeof exitCode !== "number") throw exitCode.error;
    return exitCode;
  } finally {
    claim.release();
    await show.close();
  }
}

interface Ending {
  /** Or what the command fails with. */
  readonly exitCode: number | { readonly error: unknown };
  /** Whether the same command can go on from here. */
  readonly goesOn: boolean;
}

interface Task {
  readonly flags: MinimizeFlags;
  readonly io: Io;
  readonly subject: Subject;
  readonly paths: ResultPaths;
  readonly keep: readonly RegExp[];
  readonly journal: OracleJournal;
  readonly show: MinimizeShow;
}

class Minimization {
  readonly #task: Task;
  readonly #startedAt: number;
  readonly #startSize: number;
  readonly #stop = new AbortController();
  readonly #writer: ResultWriter;
  readonly #jobs: number;
  /** Undefined: the start has not been proved. */
  #best: readonly Part[] | undefined;
  #answeredBefore = 0;
  #lanes: OracleLanes | undefined;
  #cost: MinimizeEnd["cost"] = null;

  constructor(task: Task) {
    this.#task = task;
    this.#startedAt = task.io.monotonicMs();
    this.#startSize = sizeOf(task.subject.parts);
    this.#writer = new ResultWriter(task.subject, task.paths, (error) => this.#stop.abort(error));
    this.#jobs = task.flags.jobs ?? navigator.hardwareConcurrency;
  }

  async run(criterion: Criterion): Promise<Ending> {
    const { flags, io, subject, paths, show, journal } = this.#task;
    show.tell({
      type: "minimize.started",
      data: {
        file: flags.file,
        output: paths.files[0],
        oracle: flags.oracle,
        size: this.#startSize,
        jobs: this.#jobs,
        known_answers: journal.known,
        version: VERSION,
        pid: Deno.pid,
      },
    });
    const formerPid = journal.noted("pid");
    journal.note("pid", Deno.pid);
    if (typeof formerPid === "number") {
      // Whoever held the lock before us is dead.
      for (const path of allPaths(paths)) await removeUnfinished(path, { pid: formerPid });
    }
    if (journal.putAside !== undefined) this.#note(`answers of another task were put aside: ${journal.putAside}`);
    const { maxSeconds } = flags;
    const timer = maxSeconds === undefined
      ? undefined
      : setTimeout(() => this.#stop.abort(new LimitReached(`${maxSeconds} seconds are over`)), maxSeconds * 1000);
    const signal = AbortSignal.any([io.signal, this.#stop.signal]);
    try {
      this.#lanes = await OracleLanes.open({
        command: withAbsoluteProgram(flags.oracle, io.cwd),
        count: this.#jobs,
        cwd: io.cwd,
        env: io.env,
        sandbox: flags.sandbox ?? "off",
        reducedVariables: subject.variables,
        readsOutput: criterion.kind !== "exit 0",
      });
      io.onHardExit(() => {
        killAllNow();
        this.#lanes?.removeNow();
        removeTemporaries();
      });
      const reduction = await this.#reduce(criterion, signal);
      await this.#writer.finish(reduction.parts);
      if (this.#startSize > 0 && reduction.size === 0) {
        this.#note("the result is empty: nothing of the file is needed, so the command probably does not look at it");
      }
      this.#tellEnd({ status: "minimal", reason: "", reduction });
      return { exitCode: 0, goesOn: false };
    } catch (error) {
      return await this.#endEarly(io.signal.aborted ? io.signal.reason : error);
    } finally {
      clearTimeout(timer);
      await endAllCommands();
      await this.#lanes?.close();
    }
  }

  async #reduce(criterion: Criterion, signal: AbortSignal): Promise<Reduction> {
    const { flags, io, subject, journal, keep } = this.#task;
    const [main, ...others] = subject.parts;
    const empty: readonly Part[] = [{ ...main!, kind: "text", text: "" } as Part, ...others];
    const proof = await proveStart(this.#lanes!, journal, {
      file: flags.file,
      start: candidateOf(subject.parts, subject),
      empty: candidateOf(empty, subject),
      criterion,
      where: flags.cwd,
      timeoutMs: flags.timeoutSec === undefined ? undefined : flags.timeoutSec * 1000,
      runs: flags.runs ?? 1,
      cwd: io.cwd,
      signal,
    });
    if (proof.refusesEmpty) journal.put(contentKey(empty), false);
    journal.put(contentKey(subject.parts), true);
    this.#task.show.tell({
      type: "minimize.start_proved",
      data: {
        runs: proof.runs,
        shows: describeCriterion(proof.criterion),
        cwd: proof.where === "own" ? "own" : io.cwd,
        timeout_sec: proof.timeoutMs / 1000,
        before: proof.isNoted,
      },
    });
    if (proof.where === "keep" && flags.cwd === undefined) {
      this.#note("the start shows it in this folder only, so every candidate is run here, as with --cwd keep");
    }
    const signature = proof.criterion.kind === "same" ? proof.criterion.signature : undefined;
    if (signature?.kind === "exit" && signature.template === null) {
      this.#note("nothing but the exit code is known of the failure: name more of it with --expect '/regex/'");
    }
    this.#best = subject.parts;
    this.#writer.offer(subject.parts);
    const model = await this.#askModel(proof, signal);
    return await reduce(subject.parts, {
      isInteresting: (candidate, options) => this.#ask(candidate, proof, options.signal),
      parallel: this.#jobs,
      keep,
      proposals: model.map((text) => subject.parts.with(0, { ...subject.parts[0]!, kind: "text", text } as Part)),
      signal,
      onProgress: (progress) => this.#tellProgress(progress),
    });
  }

  async #ask(parts: readonly Part[], proof: StartProof, signal: AbortSignal): Promise<boolean> {
    const { flags, journal, subject, io } = this.#task;
    const key = contentKey(parts);
    let answer = journal.get(key);
    if (answer !== undefined) {
      // What this run has proved itself, the start, is no answer of a former one.
      if (journal.known > 0) this.#answeredBefore++;
    } else {
      answer = true;
      const candidate = candidateOf(parts, subject);
      for (let run = 0; answer && run < (flags.runs ?? 1); run++) {
        if (this.#lanes!.calls >= (flags.maxCalls ?? Infinity)) {
          this.#stop.abort(new LimitReached(`the command was run ${this.#lanes!.calls} times`));
          throw this.#stop.signal.reason;
        }
        const done = await this.#lanes!.run(candidate, { where: proof.where, timeoutMs: proof.timeoutMs, signal });
        answer = showsIt(done, proof.criterion, io.cwd);
      }
      journal.put(key, answer);
    }
    if (answer && sizeOf(parts) < sizeOf(this.#best!)) {
      this.#best = parts;
      this.#writer.offer(parts);
    }
    return answer;
  }

  async #askModel(proof: StartProof, signal: AbortSignal): Promise<readonly string[]> {
    const { flags, io, subject, journal, show } = this.#task;
    if (flags.model === undefined) return [];
    const noted = journal.noted("model") as ModelAnswer | undefined;
    const answer = noted ?? await askModel(subject, {
      model: flags.model,
      shows: describeCriterion(proof.criterion),
      io,
      signal,
      note: (text) => this.#note(text),
    });
    if (noted === undefined && answer !== undefined) journal.note("model", answer);
    if (answer === undefined) return [];
    this.#cost = answer.cost;
    show.tell({
      type: "minimize.model",
      data: {
        model: flags.model,
        proposals: answer.texts.length,
        cost_usd: answer.cost.usd,
        cost_source: answer.cost.source,
      },
    });
    return answer.texts;
  }

  /** What is best is kept, and the journal with it, unless the start itself would not do. */
  async #endEarly(error: unknown): Promise<Ending> {
    const { io } = this.#task;
    const isLimit = error instanceof LimitReached;
    const best = this.#best;
    if (best === undefined) this.#writer.cancel();
    else {
      // Whatever ended the run is told, not what may follow from it here.
      await this.#writer.finish(best).catch(() => {});
    }
    const goesOn = best === undefined ? "" : "; the same command goes on from here";
    this.#tellEnd({
      status: isLimit ? "limit" : io.signal.aborted ? "interrupted" : "failed",
      reason: `${messageOf(error).split("\n", 1)[0]}${goesOn}`,
    });
    const exitCode = isLimit ? 1 : error instanceof Interrupt ? exitCodeOf(error) : { error };
    return { exitCode, goesOn: best !== undefined };
  }

  #tellProgress({ pass, part, size }: ReduceProgress): void {
    const elapsed = this.#elapsedSeconds();
    const { calls } = this.#lanes!;
    this.#task.show.tell({
      type: "minimize.progress",
      data: {
        pass,
        part,
        size,
        start_size: this.#startSize,
        calls,
        calls_per_second: elapsed > 0 ? calls / elapsed : 0,
        elapsed_seconds: elapsed,
      },
    });
  }

  #tellEnd({ status, reason, reduction }: Pick<MinimizeEnd, "status" | "reason"> & { reduction?: Reduction }): void {
    const best = reduction?.parts ?? this.#best;
    this.#task.show.tell({
      type: "minimize.ended",
      data: {
        status,
        reason,
        start_size: this.#startSize,
        size: best === undefined ? this.#startSize : sizeOf(best),
        minimal_by: reduction?.minimalBy ?? null,
        calls: this.#lanes?.calls ?? 0,
        answered_before: this.#answeredBefore,
        duration_seconds: this.#elapsedSeconds(),
        output: best === undefined ? [] : allPaths(this.#task.paths),
        cost: this.#cost,
        passes: [...(reduction?.passes ?? [])],
      },
    });
  }

  #elapsedSeconds(): number {
    return (this.#task.io.monotonicMs() - this.#startedAt) / 1000;
  }

  #note(text: string): void {
    this.#task.show.tell({ type: "minimize.note", data: { text } });
  }
}

function keepPatterns(sources: readonly string[], parts: readonly Part[]): RegExp[] {
  return sources.map((source) => {
    let pattern: RegExp;
    try {
      pattern = new RegExp(source, "m");
    } catch (cause) {
      throw new Failure("usage", `Cannot read "--keep ${source}": ${messageOf(cause)}`, { cause });
    }
    if (parts.some((part) => part.kind === "text" && pattern.test(part.text))) return pattern;
    throw new Failure("usage", `Cannot keep what "--keep ${source}" asks for: the start has no match of it`, {
      hints: ["Write it as a regular expression of JavaScript; `^` and `$` are the ends of a line"],
    });
  });
}
