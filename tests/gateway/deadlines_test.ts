import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { type CallEnded, Deadlines } from "../../src/gateway/deadlines.ts";

/** Deadlines on a clock that stands still until it is moved. */
function deadlinesAt(startMs: number) {
  let nowMs = startMs;
  const deadlines = new Deadlines({ monotonicMs: () => nowMs, periodMs: 1 });
  const moveTo = async (ms: number) => {
    nowMs = ms;
    // It is looked at last, and expires at once: all the others have been looked at then.
    await new Promise<void>((resolve) => deadlines.watch(0, () => resolve()));
  };
  return { deadlines, moveTo };
}

/** What became of a watch. */
function record() {
  const reasons: CallEnded[] = [];
  return { reasons, expire: (reason: CallEnded) => reasons.push(reason) };
}

const told = (reasons: readonly CallEnded[]) => reasons.map(({ name, kind, message }) => ({ name, kind, message }));

Deno.test("a call ends when its whole time is over, and hears of it once", async () => {
  const { deadlines, moveTo } = deadlinesAt(1000);
  const { reasons, expire } = record();
  deadlines.watch(3000, expire);
  await moveTo(3999);
  deepEqual(reasons, []);
  await moveTo(4000);
  await moveTo(9000);
  deepEqual(told(reasons), [{ name: "CallEnded", kind: "timeout", message: "The call took longer than 3 s" }]);
});

Deno.test("a stage ends when nothing has happened in it for its time", async () => {
  const { deadlines, moveTo } = deadlinesAt(0);
  const { reasons, expire } = record();
  const watch = deadlines.watch(1_000_000, expire);
  watch.expect("The upstream did not begin to answer", 100);
  await moveTo(99);
  watch.touch();
  await moveTo(198);
  deepEqual(reasons, []);
  watch.expect("Nothing came from the upstream", 500);
  await moveTo(697);
  deepEqual(reasons, []);
  await moveTo(698);
  deepEqual(told(reasons), [{
    name: "CallEnded",
    kind: "timeout",
    message: "Nothing came from the upstream for 0.5 s",
  }]);
});

Deno.test("what happens all the time does not make a call longer than it may be", async () => {
  const { deadlines, moveTo } = deadlinesAt(0);
  const { reasons, expire } = record();
  const watch = deadlines.watch(50, expire);
  watch.expect("Nothing came", 20);
  for (const ms of [10, 20, 30, 40]) {
    await moveTo(ms);
    watch.touch();
  }
  deepEqual(reasons, []);
  await moveTo(50);
  equal(reasons.length, 1);
});

Deno.test("a watch that was stopped stays silent, others go on, and no timer is left", async () => {
  const { deadlines, moveTo } = deadlinesAt(0);
  const stopped = record();
  const other = record();
  const watch = deadlines.watch(10, stopped.expire);
  deadlines.watch(10, other.expire);
  watch.stop();
  watch.stop();
  await moveTo(10);
  deepEqual([stopped.reasons.length, other.reasons.length], [0, 1]);
});

Deno.test("a watch may be stopped while another one expires", async () => {
  const { deadlines, moveTo } = deadlinesAt(0);
  const second = record();
  const watches = [deadlines.watch(10, () => watches[1]!.stop()), deadlines.watch(10, second.expire)];
  await moveTo(10);
  deepEqual(second.reasons, []);
});
