import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { type Permit, RateGate, type Timers, type WaitNotice } from "../../src/gateway/rate_gate.ts";
import { Refusal } from "../../src/gateway/refusal.ts";
import { matchesPattern, type RateRule } from "../../src/gateway/settings.ts";

/** A clock that stands still until it is told to go on, and the timers that belong to it. */
class VirtualTime implements Timers {
  nowMs = 1000;
  fired = 0;
  readonly #timers = new Map<number, { atMs: number; callback: () => void }>();
  #ids = 0;

  setTimeout(callback: () => void, ms: number): number {
    this.#timers.set(++this.#ids, { atMs: this.nowMs + ms, callback });
    return this.#ids;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  get pending(): number {
    return this.#timers.size;
  }

  get nextMs(): number | undefined {
    const all = Array.from(this.#timers.values(), ({ atMs }) => atMs - this.nowMs);
    return all.length === 0 ? undefined : Math.min(...all);
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const [next] = [...this.#timers].sort(([, a], [, b]) => a.atMs - b.atMs);
      if (next === undefined || next[1].atMs > untilMs) break;
      this.#timers.delete(next[0]);
      this.nowMs = next[1].atMs;
      this.fired++;
      next[1].callback();
      await microtasks();
    }
    this.nowMs = untilMs;
  }
}

async function microtasks(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

interface Call {
  permit?: Permit;
  error?: unknown;
  readonly notices: WaitNotice[];
  readonly controller: AbortController;
}

/** A gate on a virtual clock, and a record of what became of each call. */
function gateWith(rules: readonly RateRule[]) {
  const time = new VirtualTime();
  const gate = new RateGate({ rules, monotonicMs: () => time.nowMs, timers: time });
  const ask = async (
    { upstream = "anthropic", model = "opus", tokens = 0, timeoutMs = 600_000 } = {},
  ): Promise<Call> => {
    const call: Call = { notices: [], controller: new AbortController() };
    const options = { signal: call.controller.signal, timeoutMs, onWait: (one: WaitNotice) => call.notices.push(one) };
    gate.acquire({ upstream, model, tokens }, options).then(
      (permit) => call.permit = permit,
      (error) => call.error = error,
    );
    await microtasks();
    return call;
  };
  const asks = async (count: number, call: Parameters<typeof ask>[0] = {}): Promise<Call[]> => {
    const all: Call[] = [];
    for (let i = 0; i < count; i++) all.push(await ask(call));
    return all;
  };
  const release = async (call: Call, actualTokens?: number) => {
    call.permit!.release(actualTokens);
    await microtasks();
  };
  return { time, gate, ask, asks, release };
}

const wentOf = (calls: readonly Call[]) => calls.map(({ permit }) => permit !== undefined);

Deno.test("acquire() resolves without a macrotask, a timer or a notice when nothing stands in the way", async () => {
  for (const rules of [[], [{ concurrency: 1, requestsPerMinute: 1, tokensPerMinute: 10 }]]) {
    const { time, gate, ask } = gateWith(rules);
    const call = await ask({ tokens: 10 });
    deepEqual([wentOf([call]), call.notices, time.pending, gate.waiting], [[true], [], 0, 0]);
  }
});

Deno.test("concurrency: a call goes when one before it ends, in the order in which they came", async () => {
  const { time, gate, asks, release } = gateWith([{ concurrency: 2 }]);
  const calls = await asks(5);
  deepEqual(wentOf(calls), [true, true, false, false, false]);
  equal(gate.waiting, 3);
  await release(calls[1]!);
  deepEqual(wentOf(calls), [true, true, true, false, false]);
  await release(calls[0]!);
  await release(calls[2]!);
  deepEqual(wentOf(calls), [true, true, true, true, true]);
  deepEqual(calls.map(({ notices }) => notices), [
    [],
    [],
    [{ reason: "concurrency", waitMs: null, ahead: 0 }],
    [{ reason: "concurrency", waitMs: null, ahead: 1 }],
    [{ reason: "concurrency", waitMs: null, ahead: 2 }],
  ]);
  equal(time.fired, 0);
});

Deno.test("a permit counts once, however often it is released", async () => {
  const { asks, release } = gateWith([{ concurrency: 2 }]);
  const calls = await asks(5);
  calls[0]!.permit!.release();
  await release(calls[0]!);
  deepEqual(wentOf(calls), [true, true, true, false, false]);
});

Deno.test("a call that is cancelled counts for nothing", async () => {
  const { time, ask } = gateWith([{ concurrency: 1, requestsPerMinute: 1, tokensPerMinute: 6000 }]);
  for (let i = 0; i < 5; i++) {
    const call = await ask({ tokens: 6000 });
    ok(call.permit);
    call.permit.cancel();
    call.permit.release(1e6);
  }
  const last = await ask({ tokens: 6000 });
  const next = await ask();
  last.permit!.cancel();
  await microtasks();
  deepEqual([wentOf([last, next]), time.pending], [[true, true], 0]);
});

Deno.test("requests per minute: a minute's worth at once, then one at a time as the bucket fills up", async () => {
  const { time, asks } = gateWith([{ requestsPerMinute: 4 }]);
  const calls = await asks(6);
  deepEqual(calls.map(({ notices }) => notices), [
    [],
    [],
    [],
    [],
    [{ reason: "requests", waitMs: 15_000, ahead: 0 }],
    [{ reason: "requests", waitMs: 30_000, ahead: 1 }],
  ]);
  await time.advance(14_999);
  equal(wentOf(calls)[4], false);
  await time.advance(1);
  deepEqual(wentOf(calls), [true, true, true, true, true, false]);
  await time.advance(15_000);
  equal(wentOf(calls)[5], true);
  deepEqual([time.fired, time.pending], [2, 0]);
});

Deno.test("requests per minute below 1: the first call goes at once, the next when the debt is waited off", async () => {
  const { time, asks } = gateWith([{ requestsPerMinute: 0.5 }]);
  const calls = await asks(2);
  deepEqual(calls.map(({ notices }) => notices), [[], [{ reason: "requests", waitMs: 120_000, ahead: 0 }]]);
  await time.advance(120_000);
  deepEqual(wentOf(calls), [true, true]);
});

Deno.test("tokens per minute: the estimate is charged first, the true figure when the call ends", async () => {
  const { time, ask, release } = gateWith([{ tokensPerMinute: 6000 }]);
  const first = await ask({ tokens: 6000 });
  const second = await ask({ tokens: 1000 });
  deepEqual(second.notices, [{ reason: "tokens", waitMs: 10_000, ahead: 0 }]);
  await release(first, 5000);
  ok(second.permit, "what the first one did not use is there for the second one");
  await release(second, 4000);
  const third = await ask({ tokens: 100 });
  deepEqual(third.notices, [{ reason: "tokens", waitMs: 31_000, ahead: 0 }], "a debt of 3000 and 100 of its own");
  await time.advance(30_999);
  equal(third.permit, undefined);
  await time.advance(1);
  ok(third.permit);
});

Deno.test("tokens per minute: what a call gives back never makes more than a minute's worth", async () => {
  const { time, ask, release } = gateWith([{ tokensPerMinute: 6000 }]);
  const first = await ask({ tokens: 6000 });
  await time.advance(60_000);
  await release(first, 0);
  await ask({ tokens: 6000 });
  deepEqual((await ask({ tokens: 600 })).notices, [{ reason: "tokens", waitMs: 6000, ahead: 0 }]);
});

Deno.test("tokens per minute: a call larger than the bucket goes when it is full, and later ones wait off its debt", async () => {
  const { time, ask } = gateWith([{ tokensPerMinute: 6000 }]);
  const small = await ask({ tokens: 600 });
  const large = await ask({ tokens: 12_000 });
  const next = await ask({ tokens: 600 });
  deepEqual(wentOf([small, large, next]), [true, false, false]);
  deepEqual(large.notices, [{ reason: "tokens", waitMs: 6000, ahead: 0 }]);
  await time.advance(6000);
  deepEqual(wentOf([large, next]), [true, false]);
  await time.advance(65_999);
  equal(next.permit, undefined, "6000 of debt and 600 of its own take 66 s");
  await time.advance(1);
  ok(next.permit);
});

Deno.test("a large call is not starved by small ones that would fit", async () => {
  const { time, ask, asks } = gateWith([{ tokensPerMinute: 6000 }]);
  await ask({ tokens: 5000 });
  const large = await ask({ tokens: 3000 });
  const small = await asks(5, { tokens: 100 });
  deepEqual(wentOf([large, ...small]), [false, false, false, false, false, false]);
  await time.advance(20_000);
  deepEqual(wentOf([large, ...small]), [true, false, false, false, false, false]);
  await time.advance(5000);
  deepEqual(wentOf(small), [true, true, true, true, true]);
});

Deno.test("absurd token counts neither break the bucket nor close it for more than an hour", async () => {
  const { time, ask, release } = gateWith([{ tokensPerMinute: 6000 }]);
  for (const absurd of [NaN, -1e9, Infinity]) await release(await ask({ tokens: absurd }), absurd);
  const call = await ask({ tokens: 6000 });
  ok(call.permit, "none of them was charged or gave anything back");
  await release(call, 1e300);
  const next = await ask({ tokens: 0, timeoutMs: 1e9 });
  deepEqual(next.notices, [{ reason: "tokens", waitMs: 3_600_000, ahead: 0 }]);
  await time.advance(3_600_000);
  ok(next.permit);
});

Deno.test("each upstream has counters of its own, and all the models that a rule matches share them", async () => {
  const { ask } = gateWith([{ upstream: "a*", model: "*opus*", concurrency: 1 }]);
  const calls = [
    await ask({ upstream: "a1", model: "opus-4" }),
    await ask({ upstream: "a1", model: "OPUS-5" }),
    await ask({ upstream: "a2", model: "opus-4" }),
    await ask({ upstream: "b", model: "opus-4" }),
    await ask({ upstream: "b", model: "opus-4" }),
    await ask({ upstream: "a1", model: "sonnet" }),
  ];
  deepEqual(wentOf(calls), [true, false, true, true, true, true]);
});

Deno.test("a call has to pass all rules that match it, and is told each reason once", async () => {
  const { time, ask, release } = gateWith([{ concurrency: 1 }, { model: "opus", requestsPerMinute: 1 }]);
  const first = await ask();
  const second = await ask();
  await time.advance(30_000);
  await release(first);
  equal(second.permit, undefined);
  deepEqual(second.notices, [
    { reason: "concurrency", waitMs: null, ahead: 0 },
    { reason: "requests", waitMs: 30_000, ahead: 0 },
  ]);
  await time.advance(30_000);
  ok(second.permit);
  equal(second.notices.length, 2);
});

Deno.test("a call is told what lasts the longest, whatever the order of the rules", async () => {
  const rules = [{ requestsPerMinute: 2 }, { requestsPerMinute: 1 }, { tokensPerMinute: 600 }, {
    tokensPerMinute: 300,
  }];
  for (const ordered of [rules, rules.toReversed()]) {
    const { asks } = gateWith(ordered);
    const byRequests = await asks(2, { tokens: 100 });
    deepEqual(byRequests[1]!.notices, [{ reason: "requests", waitMs: 60_000, ahead: 0 }]);
    const { asks: asksMore } = gateWith(ordered);
    const byTokens = await asksMore(2, { tokens: 400 });
    deepEqual(byTokens[1]!.notices, [{ reason: "tokens", waitMs: 80_000, ahead: 0 }]);
  }
});

Deno.test("a call that waits for a limit of its own model does not hold up other models", async () => {
  const { ask, asks, release } = gateWith([{ concurrency: 2 }, { model: "opus", requestsPerMinute: 1 }]);
  await release(await ask());
  const opus = await asks(3);
  const sonnet = await asks(3, { model: "sonnet" });
  deepEqual(wentOf([...opus, ...sonnet]), [false, false, false, true, true, false]);
  await release(sonnet[0]!);
  deepEqual(wentOf(sonnet), [true, true, true]);
});

Deno.test("a call is not starved by others that take turns in what it needs", async () => {
  const { ask, release } = gateWith([{ model: "*a*", concurrency: 1 }, { model: "*b*", concurrency: 1 }]);
  const [a1, b1] = [await ask({ model: "a" }), await ask({ model: "b" })];
  const both = await ask({ model: "ab" });
  const [a2, b2] = [await ask({ model: "a" }), await ask({ model: "b" })];
  await release(a1);
  deepEqual(wentOf([both, a2, b2]), [false, true, false], "it waits for `b`, so `a` is not kept for it");
  await release(b1);
  deepEqual(wentOf([both, b2]), [false, false], "both have been free for it: now both are kept");
  await release(a2);
  deepEqual(wentOf([both, b2]), [true, false]);
  await release(both);
  deepEqual(wentOf([b2]), [true]);
});

Deno.test("nothing looks at the queue again and again while only other calls can change it", async () => {
  const { time, ask, release } = gateWith([{ model: "*a*", tokensPerMinute: 6000 }, { model: "*b*", concurrency: 1 }]);
  await ask({ model: "a", tokens: 6000 });
  const both = await ask({ model: "ab", tokens: 6000, timeoutMs: 1e8 });
  const holder = await ask({ model: "b" });
  await time.advance(60_000);
  const small = await ask({ model: "a", tokens: 1, timeoutMs: 1e8 });
  deepEqual(wentOf([both, holder, small]), [false, true, false], "the whole bucket is kept for the one before");
  const fired = time.fired;
  await time.advance(600_000);
  equal(time.fired, fired);
  await release(holder);
  await time.advance(10);
  deepEqual(wentOf([both, small]), [true, true]);
});

Deno.test("closeUntil() holds for every call of that model at that upstream; the longest of several counts", async () => {
  const { time, gate, ask, asks } = gateWith([]);
  gate.closeUntil({ upstream: "anthropic", model: "opus" }, 5000);
  gate.closeUntil({ upstream: "anthropic", model: "opus" }, 3000);
  for (const nothing of [0, -1, NaN]) gate.closeUntil({ upstream: "anthropic", model: "sonnet" }, nothing);
  const calls = await asks(2);
  const others = [await ask({ model: "sonnet" }), await ask({ upstream: "openrouter" })];
  deepEqual(wentOf(others), [true, true]);
  deepEqual(calls.map(({ notices }) => notices), [
    [{ reason: "retry_after", waitMs: 5000, ahead: 0 }],
    [{ reason: "retry_after", waitMs: 5000, ahead: 1 }],
  ]);
  await time.advance(2000);
  gate.closeUntil({ upstream: "anthropic", model: "opus" }, 10_000);
  await time.advance(9999);
  deepEqual(wentOf(calls), [false, false]);
  await time.advance(1);
  deepEqual(wentOf(calls), [true, true]);
  deepEqual([time.pending, gate.waiting], [0, 0]);
});

Deno.test("closeUntil() holds up those who wait already, and what they wait for is free for others", async () => {
  const { time, gate, ask, release } = gateWith([{ concurrency: 1 }]);
  const first = await ask();
  const opus = await ask();
  const sonnet = await ask({ model: "sonnet" });
  gate.closeUntil({ upstream: "anthropic", model: "opus" }, 60_000);
  await release(first);
  deepEqual(wentOf([opus, sonnet]), [false, true]);
  deepEqual(opus.notices.map(({ reason }) => reason), ["concurrency", "retry_after"]);
  await time.advance(60_000);
  equal(opus.permit, undefined);
  await release(sonnet);
  ok(opus.permit);
});

Deno.test("closeUntil() is for an hour at most, and is remembered for a bounded number of models", async () => {
  const { time, gate, ask } = gateWith([]);
  gate.closeUntil({ upstream: "anthropic", model: "opus" }, 1e15);
  const call = await ask({ timeoutMs: 1e9 });
  deepEqual(call.notices, [{ reason: "retry_after", waitMs: 3_600_000, ahead: 0 }]);
  await time.advance(3_600_000);
  ok(call.permit);
  for (let i = 0; i < 3000; i++) {
    gate.closeUntil({ upstream: "anthropic", model: `${i}-${"x".repeat(10_000)}` }, 60_000 + i);
  }
  const closed = [];
  for (let i = 0; i < 3000; i++) closed.push(await ask({ model: `${i}-${"x".repeat(10_000)}` }));
  equal(closed.filter(({ permit }) => permit === undefined).length, 1000);
  for (const { controller } of closed) controller.abort();
});

Deno.test("a pause is not forgotten for the sake of pauses that are over", async () => {
  const { time, gate, ask } = gateWith([]);
  gate.closeUntil({ upstream: "anthropic", model: "opus" }, 60_000);
  for (let i = 0; i < 999; i++) gate.closeUntil({ upstream: "anthropic", model: `${i}` }, 1000);
  await time.advance(1000);
  gate.closeUntil({ upstream: "anthropic", model: "sonnet" }, 1000);
  const call = await ask();
  equal(call.permit, undefined);
  call.controller.abort();
});

Deno.test("the pause of an overlong name holds for all names that begin with its first 256 characters", async () => {
  const { gate, ask } = gateWith([]);
  const name = "x".repeat(256);
  gate.closeUntil({ upstream: "anthropic", model: `${name}1` }, 60_000);
  const calls = [await ask({ model: `${name}2` }), await ask({ model: name.slice(1) })];
  deepEqual(wentOf(calls), [false, true]);
  calls[0]!.controller.abort();
});

Deno.test("an abort takes the call out of the queue at once, with the signal's reason", async () => {
  const { time, gate, asks, release } = gateWith([{ concurrency: 1, tokensPerMinute: 6000 }]);
  const calls = await asks(4, { tokens: 3000 });
  const reason = new Error("the client left");
  calls[1]!.controller.abort(reason);
  await microtasks();
  equal(calls[1]!.error, reason);
  await release(calls[0]!);
  deepEqual(wentOf(calls), [true, false, true, false]);
  calls[3]!.controller.abort();
  calls[2]!.controller.abort();
  await microtasks();
  deepEqual([gate.waiting, time.pending], [0, 0]);
  await rejects(
    gate.acquire({ upstream: "anthropic", model: "opus", tokens: 0 }, {
      signal: AbortSignal.abort(reason),
      timeoutMs: 0,
      onWait: () => {},
    }),
    reason,
  );
});

Deno.test("a call that leaves lets those behind it go", async () => {
  const { ask } = gateWith([{ tokensPerMinute: 6000 }]);
  await ask({ tokens: 5000 });
  const large = await ask({ tokens: 5000 });
  const small = await ask({ tokens: 500 });
  equal(small.permit, undefined);
  large.controller.abort();
  await microtasks();
  ok(small.permit);
});

Deno.test("a call may abort, or another one end, while it is told that it waits", async () => {
  const { gate, ask } = gateWith([{ concurrency: 1 }]);
  const first = await ask();
  const controller = new AbortController();
  const call = { upstream: "anthropic", model: "opus", tokens: 0 };
  await rejects(
    gate.acquire(call, { signal: controller.signal, timeoutMs: 1000, onWait: () => controller.abort("enough") }),
    (error) => error === "enough",
  );
  const { signal } = new AbortController();
  await gate.acquire(call, { signal, timeoutMs: 1000, onWait: () => first.permit!.release() });
  equal(gate.waiting, 0);
});

Deno.test("a call that has left is told nothing any more, and leaves nothing at its signal", async () => {
  const { gate, ask, release } = gateWith([{ concurrency: 1 }]);
  const first = await ask();
  const options = { timeoutMs: 1000, onWait: () => {} };
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...given: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, given);
  };
  signal.removeEventListener = (...given: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, given);
  };
  const call = { upstream: "anthropic", model: "opus", tokens: 0 };
  const second = gate.acquire(call, { signal, ...options });
  equal(listeners, 1);
  await release(first);
  const permit = await second;
  equal(listeners, 0);
  const third = gate.acquire(call, {
    ...options,
    signal: new AbortController().signal,
    onWait: ({ reason }) => reason === "retry_after" && last.controller.abort(),
  });
  const last = await ask();
  gate.closeUntil(call, 500);
  await microtasks();
  deepEqual(last.notices.map(({ reason }) => reason), ["concurrency"]);
  gate.closeUntil(call, 5000);
  await rejects(third, Refusal);
  permit.release();
});

Deno.test("a call whose turn does not come in time is refused with what it waited for", async () => {
  const { time, gate, asks } = gateWith([{ concurrency: 1 }]);
  const calls = await asks(3, { timeoutMs: 5000 });
  await time.advance(4999);
  equal(calls[1]!.error, undefined);
  await time.advance(1);
  const told = calls.slice(1).map(({ error }) => {
    ok(error instanceof Refusal);
    return [error.kind, error.status, error.message, error.details];
  });
  deepEqual(told, [
    [
      "unavailable",
      503,
      'No call of "opus" can go to "anthropic" within 5 s (found: as many calls as its limit allows are under way). ' +
      "Ask again later",
      { reason: "concurrency", waited_ms: 5000, wait_ms: null, ahead: 0 },
    ],
    [
      "unavailable",
      503,
      'No call of "opus" can go to "anthropic" within 5 s (found: as many calls as its limit allows are under way). ' +
      "Ask again later",
      { reason: "concurrency", waited_ms: 5000, wait_ms: null, ahead: 0 },
    ],
  ]);
  deepEqual([gate.waiting, time.pending, time.fired], [0, 0, 1]);
});

Deno.test("a call that may not wait is refused at once and told nothing", async () => {
  const { time, asks } = gateWith([{ requestsPerMinute: 2 }]);
  const calls = await asks(3, { timeoutMs: 0 });
  ok(calls[2]!.error instanceof Refusal);
  deepEqual(calls[2]!.error.details, { reason: "requests", waited_ms: 0, wait_ms: 30_000, ahead: 0 });
  deepEqual([calls[2]!.notices, time.pending], [[], 0]);
});

Deno.test("a call is refused at once when the upstream has asked for a pause that is longer than it may wait", async () => {
  const { gate, ask } = gateWith([]);
  gate.closeUntil({ upstream: "anthropic", model: "opus" }, 700_000);
  const call = await ask({ timeoutMs: 600_000 });
  ok(call.error instanceof Refusal);
  deepEqual([call.error.message, call.error.details], [
    'No call of "opus" can go to "anthropic" within 600 s (found: the upstream asked for a pause, 700 s to wait). ' +
    "Ask again later",
    { reason: "retry_after", waited_ms: 0, wait_ms: 700_000, ahead: 0 },
  ]);
  deepEqual(call.notices, []);
});

Deno.test("figures that let nothing pass are a mistake of the caller", () => {
  for (const figure of [0, -1, NaN]) {
    throws(() => gateWith([{ concurrency: figure }]), RangeError);
    throws(() => gateWith([{ requestsPerMinute: figure }]), RangeError);
    throws(() => gateWith([{ tokensPerMinute: figure }]), RangeError);
  }
});

Deno.test("the gate works with the real clock and the real timers", async () => {
  const gate = new RateGate({ rules: [{ requestsPerMinute: 1200 }], monotonicMs: () => performance.now() });
  const signal = new AbortController().signal;
  const call = { upstream: "anthropic", model: "opus", tokens: 0 };
  const notices: WaitNotice[] = [];
  const beganMs = performance.now();
  for (let i = 0; i < 1202; i++) {
    await gate.acquire(call, { signal, timeoutMs: 60_000, onWait: (one) => notices.push(one) });
  }
  ok(performance.now() - beganMs >= 99, "two more than the bucket holds take 50 ms each");
  ok(notices.every(({ reason, ahead }) => reason === "requests" && ahead === 0));
});

const MODELS = ["a", "b", "ab", "abc"];
const UPSTREAMS = ["one", "two"];

const anyRule: fc.Arbitrary<RateRule> = fc.record({
  upstream: fc.constantFrom("*", "one"),
  model: fc.constantFrom("*", "*a*", "*b*", "ab*", "a"),
  concurrency: fc.integer({ min: 1, max: 3 }),
  requestsPerMinute: fc.integer({ min: 1, max: 8 }),
  tokensPerMinute: fc.integer({ min: 50, max: 500 }),
}, { requiredKeys: [] });

type Step =
  | { readonly do: "ask"; readonly upstream: string; readonly model: string; readonly tokens: number }
  | { readonly do: "release"; readonly which: number; readonly used: number }
  | { readonly do: "abort"; readonly which: number }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "close"; readonly upstream: string; readonly model: string; readonly ms: number };

const where = { upstream: fc.constantFrom(...UPSTREAMS), model: fc.constantFrom(...MODELS) };
const which = fc.nat(50);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("ask" as const), ...where, tokens: fc.nat(600) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("release" as const), which, used: fc.nat(800) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("abort" as const), which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.nat(40_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), ...where, ms: fc.nat(90_000) }) },
);

interface Asked {
  readonly upstream: string;
  readonly model: string;
  readonly tokens: number;
  readonly controller: AbortController;
  readonly rules: readonly RateRule[];
  state: "waiting" | "open" | "released" | "aborted";
  permit?: Permit;
}

/** Plays a history against the gate, and checks at every grant what may never happen. */
class Play {
  readonly time = new VirtualTime();
  readonly gate: RateGate;
  readonly asked: Asked[] = [];
  readonly grants: { readonly call: Asked; readonly atMs: number }[] = [];
  readonly closedUntilMs = new Map<string, number>();

  /** What a check found, first; checks run where nobody awaits them. */
  #wrong: unknown;

  constructor(readonly rules: readonly RateRule[]) {
    this.gate = new RateGate({ rules, monotonicMs: () => this.time.nowMs, timers: this.time });
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "ask":
        this.#ask(step);
        break;
      case "release": {
        const open = this.asked.filter(({ state }) => state === "open");
        const call = open[step.which % open.length];
        if (call !== undefined) this.release(call, step.used);
        break;
      }
      case "abort": {
        const waiting = this.asked.filter(({ state }) => state === "waiting");
        const call = waiting[step.which % waiting.length];
        if (call === undefined) break;
        call.state = "aborted";
        call.controller.abort();
        break;
      }
      case "advance":
        await this.time.advance(step.ms);
        break;
      case "close": {
        const key = `${step.upstream} ${step.model}`;
        const untilMs = step.ms > 0 ? this.time.nowMs + step.ms : 0;
        this.closedUntilMs.set(key, Math.max(this.closedUntilMs.get(key) ?? 0, untilMs));
        this.gate.closeUntil(step, step.ms);
      }
    }
    await this.#settled();
  }

  async #settled(): Promise<void> {
    await microtasks();
    if (this.#wrong !== undefined) throw this.#wrong;
  }

  release(call: Asked, used?: number): void {
    call.state = "released";
    call.permit!.release(used);
  }

  #ask({ upstream, model, tokens }: Step & { do: "ask" }): void {
    const rules = this.rules.filter((rule) =>
      matchesPattern(rule.upstream ?? "*", upstream) && matchesPattern(rule.model ?? "*", model)
    );
    const controller = new AbortController();
    const call: Asked = { upstream, model, tokens, controller, rules, state: "waiting" };
    this.asked.push(call);
    const reasons = new Set<string>();
    this.gate.acquire(call, {
      signal: controller.signal,
      timeoutMs: 1e12,
      onWait: ({ reason, waitMs, ahead }) => {
        ok(!reasons.has(reason), "each reason is told once");
        reasons.add(reason);
        ok(waitMs === null || waitMs > 0);
        ok(ahead >= 0 && ahead < this.asked.length);
      },
    }).then((permit) => this.#granted(call, permit), () => equal(call.state, "aborted")).catch((error) =>
      this.#wrong ??= error
    );
  }

  #granted(call: Asked, permit: Permit): void {
    equal(call.state, "waiting");
    call.state = "open";
    call.permit = permit;
    this.grants.push({ call, atMs: this.time.nowMs });
    const isClosed = ({ upstream, model }: Asked) =>
      (this.closedUntilMs.get(`${upstream} ${model}`) ?? 0) > this.time.nowMs;
    ok(!isClosed(call), "nobody goes during a pause that the upstream asked for");
    const overtaken = this.asked.slice(0, this.asked.indexOf(call)).find((other) =>
      other.state === "waiting" && other.upstream === call.upstream && !isClosed(other) &&
      other.rules.every((rule) => call.rules.includes(rule))
    );
    equal(overtaken, undefined, "nobody overtakes a call whose limits are all among its own");
    for (const rule of call.rules) this.#check(rule, call.upstream);
  }

  #check(rule: RateRule, upstream: string): void {
    const shares = (call: Asked) => call.upstream === upstream && call.rules.includes(rule);
    const open = this.asked.filter((call) => shares(call) && call.state === "open").length;
    ok(open <= (rule.concurrency ?? Infinity), `${open} at once, allowed ${rule.concurrency}`);
    const grants = this.grants.filter(({ call }) => shares(call));
    const limit = rule.requestsPerMinute;
    if (limit === undefined) return;
    for (const [index, { atMs }] of grants.entries()) {
      const count = grants.length - index;
      const most: number = limit + (this.time.nowMs - atMs) * limit / 60_000;
      ok(count <= most + 1e-6, `${count} requests in ${this.time.nowMs - atMs} ms, allowed ${most}`);
    }
  }

  /** The end of the history: those under way end, and time goes by. */
  async finish(): Promise<void> {
    for (let rounds = 0; this.gate.waiting > 0; rounds++) {
      ok(rounds < 1000, `${this.gate.waiting} calls wait for ever`);
      for (const call of this.asked) if (call.state === "open") this.release(call);
      await this.#settled();
      const nextMs = this.time.nextMs;
      if (nextMs !== undefined) await this.time.advance(nextMs);
    }
    deepEqual(this.asked.filter(({ state }) => state === "waiting"), []);
    await this.#settled();
    equal(this.time.pending, 0);
  }
}

Deno.test("whatever happens: limits hold, nobody overtakes, nobody waits for ever, nothing is left", async () => {
  const histories = fc.asyncProperty(
    fc.array(anyRule, { maxLength: 4, size: "max" }),
    fc.array(anyStep, { maxLength: 60, size: "max" }),
    async (rules, steps) => {
      const play = new Play(rules);
      for (const step of steps) await play.take(step);
      await play.finish();
    },
  );
  await fc.assert(histories, { numRuns: 1000 });
});

Deno.test("whatever happens: no window has more tokens than the bucket and what flowed into it meanwhile", async () => {
  const histories = fc.asyncProperty(
    fc.array(fc.record({ tokens: fc.nat(400), waitMs: fc.nat(30_000), over: fc.nat(200) }), {
      maxLength: 40,
      size: "max",
    }),
    async (calls) => {
      const { time, ask, release } = gateWith([{ tokensPerMinute: 400 }]);
      const used: { atMs: number; tokens: number }[] = [];
      for (const { tokens, waitMs, over } of calls) {
        const call = await ask({ tokens, timeoutMs: 1e12 });
        while (call.permit === undefined) await time.advance(time.nextMs!);
        used.push({ atMs: time.nowMs, tokens });
        let sum = 0;
        for (const earlier of used.toReversed()) {
          sum += earlier.tokens;
          ok(sum <= 400 + (time.nowMs - earlier.atMs) * 400 / 60_000 + 1e-6);
        }
        await release(call, tokens + over);
        used.at(-1)!.tokens += over;
        await time.advance(waitMs);
      }
    },
  );
  await fc.assert(histories, { numRuns: 100 });
});
