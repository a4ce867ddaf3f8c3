import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import { EventBus } from "../../src/events/bus.ts";
import type { EventFact, RunEvent } from "../../src/events/event.ts";

const log = (content: string): EventFact => ({ type: "log", data: { level: "info", content } });
const contentOf = (event: RunEvent) => event.type === "log" ? event.data.content : event.type;

function busAt(...times: number[]) {
  const errors: string[] = [];
  const last = times.at(-1) ?? 0;
  const bus = new EventBus({
    now: () => times.shift() ?? last,
    onSubscriberError: (error, event) => errors.push(`${error} at ${event.seq}`),
  });
  return { bus, errors };
}

Deno.test("a bus stamps events with seq from 0 and a time that never goes back", async () => {
  const { bus } = busAt(1000, 3000, 2000, 4000);
  const seen: RunEvent[] = [];
  bus.subscribe((event) => void seen.push(event));
  await Promise.all(["a", "b", "c", "d"].map((content) => bus.publish(log(content))));
  deepEqual(seen, [
    { seq: 0, time: "1970-01-01T00:00:01.000Z", type: "log", data: { level: "info", content: "a" } },
    { seq: 1, time: "1970-01-01T00:00:03.000Z", type: "log", data: { level: "info", content: "b" } },
    { seq: 2, time: "1970-01-01T00:00:03.000Z", type: "log", data: { level: "info", content: "c" } },
    { seq: 3, time: "1970-01-01T00:00:04.000Z", type: "log", data: { level: "info", content: "d" } },
  ]);
});

Deno.test("a slow subscriber gets every event in order, one at a time", async () => {
  const { bus } = busAt();
  const marks: string[] = [];
  bus.subscribe(async (event) => {
    marks.push(`begin ${contentOf(event)}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    marks.push(`end ${contentOf(event)}`);
  });
  await Promise.all([bus.publish(log("a")), bus.publish(log("b")), bus.publish(log("c"))]);
  deepEqual(marks, ["begin a", "end a", "begin b", "end b", "begin c", "end c"]);
});

Deno.test("publish() resolves only when the slowest subscriber has taken the event, and does not hold up the others", async () => {
  const { bus } = busAt();
  const gate = Promise.withResolvers<void>();
  const fast = Promise.withResolvers<void>();
  bus.subscribe(() => gate.promise);
  bus.subscribe((event) => contentOf(event) === "b" ? fast.resolve() : undefined);
  let taken = false;
  const publishing = Promise.all([bus.publish(log("a")), bus.publish(log("b"))]).then(() => taken = true);
  await fast.promise;
  equal(taken, false);
  gate.resolve();
  await publishing;
});

Deno.test("a subscriber that throws or rejects disturbs neither the others nor what it gets later", async () => {
  const { bus, errors } = busAt();
  const seen: Record<string, string[]> = { throwing: [], rejecting: [], healthy: [] };
  bus.subscribe((event) => {
    seen.throwing!.push(contentOf(event));
    throw new Error("thrown");
  });
  bus.subscribe((event) => {
    seen.rejecting!.push(contentOf(event));
    return Promise.reject(new Error("rejected"));
  });
  bus.subscribe((event) => void seen.healthy!.push(contentOf(event)));
  await bus.publish(log("a"));
  await bus.publish(log("b"));
  deepEqual(seen, { throwing: ["a", "b"], rejecting: ["a", "b"], healthy: ["a", "b"] });
  deepEqual(errors.sort(), [
    "Error: rejected at 0",
    "Error: rejected at 1",
    "Error: thrown at 0",
    "Error: thrown at 1",
  ]);
});

Deno.test("a failing error callback, or none, leaves the bus working", async () => {
  const options = [{ now: () => 0 }, {
    now: () => 0,
    onSubscriberError: () => {
      throw new Error("again");
    },
  }];
  for (const option of options) {
    const bus = new EventBus(option);
    let count = 0;
    bus.subscribe(() => {
      count++;
      throw new Error("bad");
    });
    await bus.publish(log("a"));
    await bus.publish(log("b"));
    equal(count, 2);
  }
});

Deno.test("a subscriber that publishes and awaits, even after other waits, does not deadlock; its event comes next", async () => {
  const { bus } = busAt();
  const seen: string[] = [];
  bus.subscribe(async (event) => {
    seen.push(contentOf(event));
    if (contentOf(event) === "first") {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await bus.publish(log("nested"));
      seen.push("after nested publish");
    }
  });
  await bus.publish(log("first"));
  await bus.publish(log("second"));
  deepEqual(seen, ["first", "after nested publish", "nested", "second"]);
});

Deno.test("work that a subscriber left behind publishes with backpressure again", async () => {
  const { bus } = busAt();
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  let leftBehind = Promise.resolve();
  let taken = false;
  bus.subscribe((event) => {
    if (contentOf(event) === "second") {
      begun.resolve();
      return gate.promise;
    }
    leftBehind = new Promise((resolve) => setTimeout(resolve, 1))
      .then(() => bus.publish(log("second")))
      .then(() => void (taken = true));
  });
  await bus.publish(log("first"));
  await begun.promise;
  await new Promise((resolve) => setTimeout(resolve, 1));
  equal(taken, false);
  gate.resolve();
  await leftBehind;
  equal(taken, true);
});

Deno.test("unsubscribing ends the deliveries, those in the queue too, and a late subscriber sees only what comes", async () => {
  const { bus } = busAt();
  const early: string[] = [];
  const late: number[] = [];
  const unsubscribe = bus.subscribe((event) => {
    early.push(contentOf(event));
    unsubscribe();
  });
  const both = [bus.publish(log("a")), bus.publish(log("b"))];
  bus.subscribe((event) => void late.push(event.seq));
  await Promise.all(both);
  await bus.publish(log("c"));
  unsubscribe();
  deepEqual({ early, late }, { early: ["a"], late: [2] });
});

Deno.test("a subscriber cannot restamp an event for the others", async () => {
  const { bus, errors } = busAt();
  let event: RunEvent | undefined;
  bus.subscribe((published) => void (published.seq = 99));
  bus.subscribe((published) => void (event = published));
  await bus.publish(log("a"));
  equal(event?.seq, 0);
  equal(errors.length, 1);
  throws(() => event!.seq = 1, TypeError);
  ok(Object.isFrozen(event));
});
