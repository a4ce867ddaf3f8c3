/** Asks whether a candidate is interesting: each content once, several at the same time, counted. */
import { createHash } from "node:crypto";
import type { Part, ReduceOptions } from "./contract.ts";

/** A candidate and what it is known by. */
export interface Question {
  readonly key: string;
  readonly candidate: readonly Part[];
}

export class Asker {
  /** Questions that were sent. */
  calls = 0;
  /** Digests and answers: about a hundred bytes for each question, whatever the size of the candidate. */
  readonly #answers = new Map<string, boolean>();
  readonly #open = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  readonly #digests = new WeakMap<Part, string>();
  readonly #keep: readonly RegExp[];
  readonly #stop = new AbortController();
  readonly #options: ReduceOptions;
  readonly #failed: Promise<never>;
  #fail!: (reason: unknown) => void;
  readonly #forward = () => {
    this.#fail(this.#options.signal.reason);
    this.#stop.abort(this.#options.signal.reason);
  };

  constructor(options: ReduceOptions) {
    this.#options = options;
    // A regular expression that remembers where it was would find every second candidate only.
    this.#keep = options.keep.map(({ source, flags }) => new RegExp(source, flags.replace(/[gy]/g, "")));
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.#failed = promise;
    this.#fail = reject;
    if (options.signal.aborted) this.#forward();
    else options.signal.addEventListener("abort", this.#forward, { once: true });
  }

  question(candidate: readonly Part[]): Question {
    const digests = candidate.map((part) => this.#digestOf(part));
    return { candidate, key: digests.length === 1 ? digests[0]! : digest([digests.join("")]) };
  }

  /** The answer, when it needs no call. */
  known({ key, candidate }: Question): boolean | undefined {
    const known = this.#answers.get(key);
    if (known !== undefined || this.#open.has(key)) return known;
    if (this.#keep.every((pattern) => candidate.some((part) => part.kind === "text" && pattern.test(part.text)))) {
      return;
    }
    this.#answers.set(key, false);
    return false;
  }

  isOpen({ key }: Question): boolean {
    return this.#open.has(key);
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** Sends a question that is neither known nor open. */
  send({ key, candidate }: Question): void {
    // An answer may abort while others are about to be sent.
    if (this.#stop.signal.aborted) return;
    this.calls++;
    this.#open.add(key);
    const run = async () => {
      try {
        const answer = await this.#options.isInteresting(candidate, { signal: this.#stop.signal });
        // What was stopped answers something, too.
        if (!this.#stop.signal.aborted) this.#answers.set(key, answer);
      } catch (error) {
        this.#fail(error);
        this.#stop.abort(error);
      } finally {
        this.#open.delete(key);
      }
    };
    const running = run().then(() => void this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits until one of the questions is answered. Rejects when one failed or the reduction is aborted. */
  async next(): Promise<void> {
    await Promise.race([this.#failed, ...this.#running]);
    if (this.#stop.signal.aborted) await this.#failed;
  }

  async ask(candidate: readonly Part[]): Promise<boolean> {
    const question = this.question(candidate);
    if (this.known(question) === undefined && !this.isOpen(question)) this.send(question);
    while (this.known(question) === undefined) await this.next();
    return this.known(question)!;
  }

  /** Ends the questions whose answers nobody waits for. */
  async close(): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#forward);
    this.#stop.abort();
    // Whoever aborts wants to go on at once.
    if (!this.#options.signal.aborted) await Promise.all(this.#running);
  }

  #digestOf(part: Part): string {
    let known = this.#digests.get(part);
    if (known === undefined) {
      known = digest(part.kind === "text" ? [part.text] : [`${part.elements.length}`, ...part.elements]);
      this.#digests.set(part, known);
    }
    return known;
  }
}

function digest(texts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}:`).update(text, "utf16le");
  return hash.digest("base64");
}
