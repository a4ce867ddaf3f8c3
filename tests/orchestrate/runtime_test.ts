import { deepStrictEqual as deepEqual, rejects } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import type { LaunchOrder, SessionPorts } from "../../src/orchestrate/ports.ts";
import { Runtime } from "../../src/orchestrate/runtime.ts";

Deno.test("run() throws what stood against a launch before it was told: as an attempt it would be repeated for ever", async () => {
  const told: unknown[] = [];
  const ports = {
    state: { workers: new Map() },
    signal: new AbortController().signal,
    now: () => 0,
    publish: (fact: unknown) => Promise.resolve(void told.push(fact)),
    launcher: { launch: () => Promise.reject(new Failure("environment", "Cannot use the ledger: disk is full")) },
  } as unknown as SessionPorts;
  const order = { worker: "claude", attempt: 1 } as LaunchOrder;
  await rejects(new Runtime(ports).run(order, () => {}), { message: "Cannot use the ledger: disk is full" });
  deepEqual(told, []);
});

Deno.test("newReviewId() gives each review an id of its own, also to those that are not told yet, and after a former supervisor's", () => {
  const reviews = new Map([["r1", {}], ["r2", {}]]);
  const ports = { state: { reviews }, signal: new AbortController().signal, now: () => 0 } as unknown as SessionPorts;
  const runtime = new Runtime(ports);
  const prepared = [runtime.newReviewId(), runtime.newReviewId()];
  for (const id of prepared) reviews.set(id, {});
  deepEqual([...prepared, runtime.newReviewId()], ["r3", "r4", "r5"]);
});
