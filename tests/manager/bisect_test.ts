import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { bisect, type BisectRequest, type BisectTest } from "../../src/manager/bisect.ts";
import { investigate, type Investigation } from "./investigation.ts";

const never = new AbortController().signal;

/** Commits `Commit 1` … `Commit n` after the first two; returns all, the oldest first. */
async function line(world: Investigation, length: number): Promise<string[]> {
  for (let n = 1; n <= length; n++) await world.commit({ [`f${n}`]: `${n}\n` }, `Commit ${n}`);
  return (await world.git("rev-list", "--reverse", "HEAD")).split("\n");
}

interface Asked {
  readonly asked: string[];
  readonly request: BisectRequest;
}

function ask(
  world: Investigation,
  bad: string,
  answer: (commit: string, again: boolean) => BisectTest,
  options: Partial<BisectRequest> = {},
): Asked {
  const asked: string[] = [];
  const test: BisectRequest["test"] = (commit, { again }) => {
    asked.push(commit);
    return Promise.resolve(answer(commit, again));
  };
  return {
    asked,
    request: { repository: world.history, bad, goodRefs: [], test, signal: never, now: () => 0, ...options },
  };
}

Deno.test("bisect() finds each commit of a history, and says who did what", () =>
  investigate(async (world) => {
    const commits = await line(world, 9);
    for (const [i, culprit] of commits.entries()) {
      if (i === 0) continue;
      const { asked, request } = ask(world, commits.at(-1)!, (one) => commits.indexOf(one) < i ? "good" : "bad");
      const found = await bisect(request);
      const name = i === 1 ? "Numbers" : `Commit ${i - 1}`;
      ok(found.kind === "found");
      const { date, good, ...culpritFound } = found.culprit;
      deepEqual(culpritFound, {
        commit: culprit,
        subject: name,
        author: "Pat Person",
        files: [i === 1 ? "calc.py" : `f${i - 1}`],
      });
      ok(commits.indexOf(good) < i && !Number.isNaN(Date.parse(date)));
      equal(found.tested, asked.length);
      ok(asked.length <= 10, `${asked.length} tests`);
      const once = asked.slice(0, asked.length - (i === commits.length - 1 ? 1 : 2));
      deepEqual(once, [...new Set(once)], "no commit is tried twice before the proof");
    }
  }));

Deno.test("bisect() begins at a ref that is called good, when it is one before and good", () =>
  investigate(async (world) => {
    const commits = await line(world, 9);
    await world.git("tag", "v1", commits[3]!);
    await world.git("tag", "v2", commits[8]!);
    await world.git("checkout", "--quiet", "-b", "other", commits[0]!);
    await world.commit({}, "Elsewhere");
    const goodRefs = ["--all", "other", "v2", commits.at(-1)!, "v1", commits[0]!];
    const answer = (one: string) => commits.indexOf(one) < 5 ? "good" as const : "bad" as const;
    const { asked, request } = ask(world, commits.at(-1)!, answer, { goodRefs });
    const found = await bisect(request);
    deepEqual(found.kind === "found" && [found.culprit.commit, found.culprit.good], [commits[5], commits[3]]);
    deepEqual(asked.slice(0, 2), [commits[8], commits[3]]);
  }));

Deno.test("bisect() finds the merge or the commit on the branch that brought it", () =>
  investigate(async (world) => {
    const { git } = world;
    await line(world, 2);
    await git("checkout", "--quiet", "-b", "side");
    const onSide = await world.commit({ side: "1\n" }, "On the side");
    await world.commit({ side: "2\n" }, "Later on the side");
    await git("checkout", "--quiet", "main");
    await world.commit({ main: "1\n" }, "On main");
    await git("merge", "--quiet", "--no-ff", "-m", "Merge", "side");
    const merge = await git("rev-parse", "HEAD");
    const last = await world.commit({}, "Last");
    const has = async (commit: string, culprit: string) => await world.history.isAncestor(culprit, commit);
    for (const culprit of [onSide, merge]) {
      const test = async (commit: string) => await has(commit, culprit) ? "bad" as const : "good" as const;
      const found = await bisect({ ...ask(world, last, () => "skip").request, test });
      equal(found.kind === "found" && found.culprit.commit, culprit);
    }
  }));

Deno.test("bisect() goes around what nobody can tell, and says so when that hides the culprit", () =>
  investigate(async (world) => {
    const commits = await line(world, 9);
    const last = commits.at(-1)!;
    const around = (skipped: readonly number[]) => (one: string): BisectTest => {
      const i = commits.indexOf(one);
      return skipped.includes(i) ? "skip" : i < 5 ? "good" : "bad";
    };
    const found = await bisect(ask(world, last, around([3, 6, 9])).request);
    equal(found.kind === "found" && found.culprit.commit, commits[5]);
    const hidden = `It is ${commits[6]!.slice(0, 10)} or one of 1 before it that could not be tried`;
    deepEqual(await bisect(ask(world, last, around([5])).request), { kind: "none", reason: hidden });
    const every = await bisect(ask(world, last, () => "skip").request);
    deepEqual(every, { kind: "none", reason: "No commit before it was found that does not fail in the same way" });
  }));

Deno.test("bisect() names nobody when all fail, when there is nothing before, and when the answers change", () =>
  investigate(async (world) => {
    const commits = await line(world, 5);
    const last = commits.at(-1)!;
    const noGood = { kind: "none", reason: "No commit before it was found that does not fail in the same way" };
    deepEqual(await bisect(ask(world, last, () => "bad").request), noGood);
    deepEqual(await bisect(ask(world, commits[0]!, () => "good").request), noGood);
    const flaky = (one: string, again: boolean): BisectTest => again || commits.indexOf(one) >= 4 ? "bad" : "good";
    const reason = `The outcome around ${commits[4]!.slice(0, 10)} is not the same every time`;
    deepEqual(await bisect(ask(world, last, flaky).request), { kind: "none", reason });
  }));

Deno.test("bisect() ends when its time is over, and when it is told to", () =>
  investigate(async (world) => {
    const commits = await line(world, 9);
    let now = 0;
    const answer = (): BisectTest => {
      now += 6 * 60_000;
      return "bad";
    };
    const { asked, request } = ask(world, commits.at(-1)!, answer, { now: () => now });
    deepEqual(await bisect(request), { kind: "none", reason: "Not found in 20 minutes" });
    equal(asked.length, 4);
    const signal = AbortSignal.abort(new Error("stop"));
    await rejects(bisect(ask(world, commits.at(-1)!, () => "bad", { signal }).request), /stop/);
  }));
