/** The gateway's events on their way to stdout, where a reader that is slow, stuck or gone may cost no call anything. */
import type { EventFact } from "../../events/event.ts";
import type { Failure } from "../../failure.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import type { Io } from "../../terminal/io.ts";

/** What waits for the reader, in characters; as much again may be on its way to the pipe. */
const MAX_WAITING = 4 * 1024 * 1024;

/** What may wait for its words, and so is not counted in characters yet. */
const MAX_FACTS = 256;

/**
 * Shows events in order without ever making their publisher wait. When too much waits for the reader, events are left out
 * until it has caught up; a `log` event in their place tells how many. When stdout cannot be written to any more, that is
 * told once on stderr, and events are dropped from then on: a gateway serves on without an audience.
 */
export class EventOutput {
  readonly #io: Pick<Io, "stdout" | "stderr">;
  readonly #format: (fact: EventFact) => string;
  /** Not put into words yet. */
  #facts: EventFact[] = [];
  #waiting = "";
  #leftOut = 0;
  #writing = false;
  #failureTold = false;

  /** @param format the text of an event, with its line break; empty for one that is not shown */
  constructor(io: Pick<Io, "stdout" | "stderr">, format: (fact: EventFact) => string) {
    this.#io = io;
    this.#format = format;
  }

  readonly publish = (fact: EventFact): void => {
    if (this.#io.stdout.failure !== undefined) return;
    if (this.#leftOut > 0 || this.#waiting.length >= MAX_WAITING) {
      this.#leftOut += 1;
      return;
    }
    this.#facts.push(fact);
    // Later, so that no call waits for its words.
    if (this.#facts.length === 1) setTimeout(() => this.#show(), 0);
    else if (this.#facts.length >= MAX_FACTS) this.#show();
  };

  #show(): void {
    for (const fact of this.#facts) this.#waiting += this.#format(fact);
    this.#facts = [];
    if (!this.#writing) this.#writeWaiting();
  }

  /** Hands the rest to the pipe, which the program flushes before it exits. */
  close(): void {
    this.#writing = true;
    this.#show();
    this.#tellLeftOut();
    this.#send(this.#takeWaiting());
  }

  async #writeWaiting(): Promise<void> {
    this.#writing = true;
    while (this.#waiting !== "") {
      await this.#send(this.#takeWaiting());
      if (this.#waiting === "") this.#tellLeftOut();
    }
    this.#writing = false;
  }

  #takeWaiting(): string {
    const text = this.#waiting;
    this.#waiting = "";
    return text;
  }

  #tellLeftOut(): void {
    if (this.#leftOut === 0) return;
    const events = this.#leftOut === 1 ? "1 event is" : `${this.#leftOut} events are`;
    this.#leftOut = 0;
    const content = `${events} left out here, because stdout was not read fast enough; the ledger has every call`;
    this.#waiting += this.#format({ type: "log", data: { level: "warning", content } });
  }

  async #send(text: string): Promise<void> {
    try {
      if (text !== "") await this.#io.stdout.write(text);
    } catch (failure) {
      this.#waiting = "";
      this.#leftOut = 0;
      this.#tellFailure(failure as Failure);
    }
  }

  #tellFailure({ message }: Failure): void {
    if (this.#failureTold) return;
    this.#failureTold = true;
    const text = `Note: ${message}; the gateway goes on, and shows no more events\n`;
    this.#io.stderr.write(escapeTerminal(text)).catch(() => {});
  }
}
