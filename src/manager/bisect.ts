/** Finds the commit that brought a failure: first one before it, then halving what lies between. */
import type { RunRepository } from "./ports.ts";

/** The first commit that fails. */
export interface Culprit {
  readonly commit: string;
  readonly subject: string;
  readonly author: string;
  /** ISO 8601. */
  readonly date: string;
  /** What it changed, paths relative to the top. */
  readonly files: readonly string[];
  /** A commit without the failure that it was looked for from. */
  readonly good: string;
}

/** `bad`: it fails in the same way; `skip`: nobody can tell (another failure, no environment). */
export type BisectTest = "good" | "bad" | "skip";

export interface BisectRequest {
  readonly repository: RunRepository;
  /** A commit that fails. */
  readonly bad: string;
  /** Refs that may be without the failure, the most likely first. */
  readonly goodRefs: readonly string[];
  /** Tries a commit; `again` when it was tried before, and its answer is to be proved. */
  test(commit: string, options: { readonly again: boolean }): Promise<BisectTest>;
  readonly signal: AbortSignal;
  now(): number;
}

export type Bisection =
  | { readonly kind: "found"; readonly culprit: Culprit; readonly tested: number }
  | { readonly kind: "none"; readonly reason: string };

/** The search goes back 1, 2, 4, … commits, 2048 at last, and then halves what is left where it could not go on. */
const MAX_STEPS_BACK = 12;
const MAX_GOOD_REFS = 5;
const MAX_TESTS = 40;
const MAX_SKIPS = 8;
const BUDGET_MS = 20 * 60_000;

/** Bounded in tests and time. Rejects when `signal` aborts, and when git or a test does. */
export async function bisect(request: BisectRequest): Promise<Bisection> {
  const { repository } = request;
  const tests = new Tests(request);
  try {
    const range = await findGood(request, tests);
    if (range === undefined) return none("No commit before it was found that does not fail in the same way");
    const state = { good: [range.good], bad: range.bad, skip: [] as string[] };
    while (true) {
      const step = await repository.bisectStep(state);
      if (step === undefined) break;
      const outcome = await tests.run(step.commit);
      if (outcome === "bad") state.bad = step.commit;
      else if (outcome === "good") state.good.push(step.commit);
      else if (state.skip.push(step.commit) > MAX_SKIPS) return none("Too many commits could not be tried");
    }
    const unknown = await undecided(repository, state);
    if (unknown > 0) return none(`It is ${short(state.bad)} or one of ${unknown} before it that could not be tried`);
    if (!await isProved(request, tests, state.bad)) {
      return none(`The outcome around ${short(state.bad)} is not the same every time`);
    }
    const info = await repository.commitInfo(state.bad);
    if (info === undefined) return none(`The commit ${short(state.bad)} cannot be read`);
    const files = await repository.filesChangedBy(state.bad);
    return { kind: "found", culprit: { ...info, files, good: range.good }, tested: tests.count };
  } catch (error) {
    if (error instanceof Exhausted) return none(error.message);
    throw error;
  }
}

const none = (reason: string): Bisection => ({ kind: "none", reason });
const short = (commit: string) => commit.slice(0, 10);

class Exhausted extends Error {}

/** Each commit once, unless its answer is to be proved. */
class Tests {
  count = 0;
  readonly #startedMs: number;
  readonly #known = new Map<string, BisectTest>();

  constructor(private readonly request: BisectRequest) {
    this.#startedMs = request.now();
  }

  async run(commit: string, options = { again: false }): Promise<BisectTest> {
    const known = this.#known.get(commit);
    if (known !== undefined && !options.again) return known;
    this.request.signal.throwIfAborted();
    if (this.count === MAX_TESTS) throw new Exhausted(`Not found in ${MAX_TESTS} tries`);
    if (this.request.now() - this.#startedMs > BUDGET_MS) {
      throw new Exhausted(`Not found in ${BUDGET_MS / 60_000} minutes`);
    }
    this.count++;
    const outcome = await this.request.test(commit, options);
    this.#known.set(commit, outcome);
    return outcome;
  }
}

/** A good commit, and the last bad one on the way to it. */
async function findGood(
  { repository, goodRefs, bad }: BisectRequest,
  tests: Tests,
): Promise<{ readonly good: string; readonly bad: string } | undefined> {
  for (const ref of goodRefs.slice(0, MAX_GOOD_REFS)) {
    const commit = await repository.resolve(ref);
    if (commit === undefined || commit === bad || !await repository.isAncestor(commit, bad)) continue;
    if (await tests.run(commit) === "good") return { good: commit, bad };
  }
  const back = async (distance: number) => {
    // Of the first parents.
    const commit = await repository.resolve(`${bad}~${distance}`);
    return commit === undefined ? undefined : { commit, distance, outcome: await tests.run(commit) };
  };
  let nearest = { commit: bad, distance: 0 };
  let beyond: number | undefined;
  let steps = 0;
  for (let distance = 1; steps < MAX_STEPS_BACK; steps++, distance *= 2) {
    const tried = await back(distance);
    if (tried?.outcome === "good") return { good: tried.commit, bad: nearest.commit };
    if (tried?.outcome === "bad") nearest = tried;
    beyond = tried?.outcome === "bad" ? undefined : beyond ?? distance;
    if (tried === undefined) break;
  }
  // What is too old to be tried may have younger ones before it that are good.
  while (beyond !== undefined && beyond - nearest.distance > 1 && steps++ < MAX_STEPS_BACK) {
    const tried = await back((nearest.distance + beyond) >> 1);
    if (tried?.outcome === "good") return { good: tried.commit, bad: nearest.commit };
    if (tried?.outcome === "bad") nearest = tried;
    else beyond = (nearest.distance + beyond) >> 1;
  }
  return undefined;
}

/** How many commits that were skipped may be the first bad one as well. */
async function undecided(
  repository: RunRepository,
  { good, bad, skip }: { readonly good: readonly string[]; readonly bad: string; readonly skip: readonly string[] },
): Promise<number> {
  let count = 0;
  for (const commit of skip) {
    const isCleared = await any(good, (one) => repository.isAncestor(commit, one));
    if (!isCleared && await repository.isAncestor(commit, bad)) count++;
  }
  return count;
}

async function any<T>(values: readonly T[], holds: (value: T) => Promise<boolean>): Promise<boolean> {
  for (const value of values) if (await holds(value)) return true;
  return false;
}

/** Once more, itself and what it came after: a failure that comes and goes leads bisection anywhere. */
async function isProved({ repository, bad }: BisectRequest, tests: Tests, culprit: string): Promise<boolean> {
  if (culprit !== bad && await tests.run(culprit, { again: true }) !== "bad") return false;
  for (const parent of [`${culprit}^1`, `${culprit}^2`]) {
    const commit = await repository.resolve(parent);
    if (commit !== undefined && await tests.run(commit, { again: true }) === "bad") return false;
  }
  return true;
}
