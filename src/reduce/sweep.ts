/** Goes through the choices of one pass, one decision after the other, and asks what it will probably ask next. */
import type { Asker, Question } from "./asker.ts";
import type { Choice } from "./choice.ts";
import { combineEdits, type Edits, savingOf } from "./edits.ts";

export interface SweepOptions<T> {
  readonly asker: Asker;
  /** The candidate that the edits make; undefined for one that is not worth a question. */
  readonly offer: (edits: Edits) => T | undefined;
  readonly question: (candidate: T) => Question;
  readonly parallel: number;
  /** Called after every decision, with the candidate if it was accepted. */
  readonly onDecision: (accepted: T | undefined) => void;
}

/** Where the sweep may be: everything in it is immutable, so a future that does not come costs nothing. */
interface State {
  readonly taken: Edits;
  readonly rest: Stack | undefined;
}

/** A state with a question to be answered. */
interface Decision<T> {
  readonly candidate: T;
  readonly question: Question;
  /** Whether it was no repetition when it first came up. */
  readonly isNew: boolean;
  yes(): State;
  no(): State;
}

interface Stack {
  readonly choice: Choice;
  readonly below: Stack | undefined;
}

/** Questions that will be needed with less probability than this are not asked before their time. */
const LEAST_LIKELY = 0.55;

/** Ends when nothing finer is left to ask. The decisions are the same for every `parallel`, whatever the order in which the answers come. */
export async function sweep<T>(root: Choice, options: SweepOptions<T>): Promise<void> {
  const { asker, parallel, onDecision } = options;
  const odds = new Odds();
  const decisions = new WeakMap<State, Decision<T> | undefined>();
  const decisionOf = (state: State) => {
    if (!decisions.has(state)) decisions.set(state, nextDecision(state, options));
    return decisions.get(state);
  };
  const lookAhead = (decision: Decision<T>) => {
    const futures = [{ decision, likelihood: 1, recent: odds.recent }];
    while (asker.openCount < parallel && futures.length > 0) {
      const best = futures.reduce((a, b) => b.likelihood > a.likelihood ? b : a);
      futures.splice(futures.indexOf(best), 1);
      const known = asker.known(best.decision.question);
      if (known === undefined && !asker.isOpen(best.decision.question)) asker.send(best.decision.question);
      for (const answer of [true, false]) {
        const chance = known === undefined ? odds.of(answer, best.recent) : known === answer ? 1 : 0;
        if (best.likelihood * chance < LEAST_LIKELY) continue;
        const next = decisionOf(answer ? best.decision.yes() : best.decision.no());
        if (next === undefined) continue;
        futures.push({ decision: next, likelihood: best.likelihood * chance, recent: odds.after(answer, best.recent) });
      }
    }
  };
  let state: State = { taken: [], rest: { choice: root, below: undefined } };
  while (true) {
    const decision = decisionOf(state);
    if (decision === undefined) return;
    const { question } = decision;
    if (asker.known(question) === undefined && !asker.isOpen(question)) asker.send(question);
    while (asker.known(question) === undefined) {
      if (parallel > 1) lookAhead(decision);
      await asker.next();
    }
    const accepted = asker.known(question)!;
    if (decision.isNew) odds.note(accepted);
    state = accepted ? decision.yes() : decision.no();
    onDecision(accepted ? decision.candidate : undefined);
  }
}

function nextDecision<T>(
  state: State,
  { offer, question: questionOf, asker }: SweepOptions<T>,
): Decision<T> | undefined {
  const { taken } = state;
  let { rest } = state;
  while (rest !== undefined) {
    const { choice, below }: Stack = rest;
    const added = choice.edits(taken);
    const combined = added.length === 0 ? undefined : combineEdits(taken, added);
    // What is gone already has nothing finer to offer.
    if (combined === taken) rest = below;
    else {
      const gain = combined === undefined ? -1 : savingOf(combined) - savingOf(taken);
      const candidate = gain > 0 || (gain === 0 && choice.mayBeAsLong) ? offer(combined!) : undefined;
      if (candidate === undefined) rest = push(choice.after(false), below);
      else {
        let yes: State | undefined;
        let no: State | undefined;
        const question = questionOf(candidate);
        return {
          candidate,
          question,
          isNew: asker.known(question) === undefined,
          yes: () => yes ??= { taken: combined!, rest: push(choice.after(true), below) },
          no: () => no ??= { taken, rest: push(choice.after(false), below) },
        };
      }
    }
  }
  return undefined;
}

function push(choices: readonly Choice[], below: Stack | undefined): Stack | undefined {
  return choices.reduceRight<Stack | undefined>((stack, choice) => ({ choice, below: stack }), below);
}

/** How often the answer was yes after the same two answers before it. */
class Odds {
  /** The last two answers, a bit for each. */
  recent = 0;
  readonly #yes = [0.3, 0.3, 0.3, 0.3];

  note(answer: boolean): void {
    this.#yes[this.recent]! += ((answer ? 1 : 0) - this.#yes[this.recent]!) / 8;
    this.recent = this.after(answer, this.recent);
  }

  after(answer: boolean, recent: number): number {
    return (recent << 1 | (answer ? 1 : 0)) & 3;
  }

  of(answer: boolean, recent: number): number {
    return answer ? this.#yes[recent]! : 1 - this.#yes[recent]!;
  }
}
