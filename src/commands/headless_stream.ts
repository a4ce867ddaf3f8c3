/** The events of a headless run on their way to stdout. */
import { EventBus } from "../events/bus.ts";
import type { EventData, EventFact } from "../events/event.ts";
import { describeFailure } from "../failure.ts";
import { HeadlessOutput } from "../mini/headless_output.ts";
import { errorData, type Outcome, wordsOf } from "../mini/outcome.ts";
import { Tally } from "../mini/tally.ts";
import { escapeTerminal } from "../safety/escape_terminal.ts";
import { Redactor, secretsIn } from "../safety/secrets.ts";
import type { Io } from "../terminal/io.ts";

/** How long a reader that takes nothing may hold up a run that is to end. */
const STUCK_READER_MS = 2000;
const LOOK_AGAIN_MS = 100;

/** First `start`, then anything, at the end `error` if the run failed, `finish`, `cost`. */
export class HeadlessStream {
  readonly output: HeadlessOutput;
  readonly #bus: EventBus;
  readonly #io: Io;
  readonly #startedMs: number;
  readonly #stuck = new AbortController();
  #opened = false;
  #ending = false;
  #closed = false;

  constructor(io: Io) {
    this.#io = io;
    this.#startedMs = io.monotonicMs();
    if (io.signal.aborted) this.expectEnd();
    else io.signal.addEventListener("abort", () => this.expectEnd(), { once: true });
    this.output = new HeadlessOutput({
      write: (line) => settledOrAborted(io.stdout.write(line), this.#stuck.signal),
      redactor: new Redactor(secretsIn(io.env)),
      includeTimestamps: true,
      maxOutputLength: 0,
    });
    // Without a reader the run is for nothing: it ends, and saves what it has.
    this.#bus = new EventBus({ now: io.now, onSubscriberError: (error) => io.abort(error) });
    this.#bus.subscribe(this.output.show);
  }

  readonly publish = (fact: EventFact): Promise<void> => {
    if (fact.type === "start") this.#opened = true;
    return this.#bus.publish(fact);
  };

  subscribe(...args: Parameters<EventBus["subscribe"]>): void {
    this.#bus.subscribe(...args);
  }

  /** From now on the run does not wait for a reader that takes nothing, as it does while it works. */
  expectEnd(): void {
    if (this.#ending) return;
    this.#ending = true;
    const watch = async () => {
      while (!this.#closed && await this.#io.stdout.flush(STUCK_READER_MS)) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
      }
      this.#stuck.abort();
    };
    watch();
  }

  /** Tells the end; the exit code. */
  async close(
    outcome: Outcome,
    opening: EventData<"start">,
    totals: { tally: Tally; trajectoryPath: string | null } = { tally: new Tally(), trajectoryPath: null },
  ): Promise<number> {
    if (!this.#opened) await this.publish({ type: "start", data: opening });
    const words = wordsOf(outcome);
    const error = errorData(outcome);
    if (error !== undefined) await this.publish({ type: "error", data: error });
    await this.publish({
      type: "finish",
      data: {
        status: words.status,
        result: words.result,
        exit_status: words.exitStatus,
        steps: totals.tally.calls,
        total_cost: totals.tally.totalUsd,
        duration_seconds: (this.#io.monotonicMs() - this.#startedMs) / 1000,
        trajectory_path: totals.trajectoryPath,
      },
    });
    await this.publish({ type: "cost", data: totals.tally.costData });
    this.#tellOutputFailure(outcome);
    this.#closed = true;
    return words.exitCode;
  }

  /** stdout that cannot take the events can only be told of on stderr; a reader that went away wants to hear nothing. */
  #tellOutputFailure(outcome: Outcome): void {
    const failed = this.#io.stdout.failure;
    if (failed === undefined || failed.kind === "closed") return;
    const told = outcome.kind === "failed" ? outcome.error : failed;
    this.#io.stderr.write(escapeTerminal(describeFailure(told))).catch(() => {});
  }
}

/** Not a race against one promise for the whole run, which would remember every line. */
function settledOrAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => resolve();
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}
