import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { type FailureCause, failureCauses } from "../../src/events/session_events.ts";
import { adjustmentFor, type Failed, remedyFor } from "../../src/orchestrate/recovery.ts";

const failed = (cause: FailureCause, more: Partial<Failed> = {}): Failed => ({
  agent: "claude",
  cause,
  text: "It broke",
  before: 0,
  beforeAll: 0,
  canResume: true,
  isSandboxed: true,
  resumed: false,
  ...more,
});

/** What is done about the first failure, the second and so on of one cause. */
function remedies(cause: FailureCause): string[] {
  const kinds: string[] = [];
  for (let before = 0; kinds.at(-1) !== "give_up"; before++) {
    const remedy = remedyFor(failed(cause, { before, beforeAll: before }));
    kinds.push(
      remedy.kind === "relaunch" ? `after ${remedy.waitMs} ms${remedy.resume ? ", goes on" : ""}` : remedy.kind,
    );
  }
  return kinds;
}

Deno.test("each cause is answered so often, and then given up", () => {
  const table: Record<FailureCause, string[]> = {
    include_directories: ["after 0 ms", "give_up"],
    trusted_directory: ["after 0 ms", "give_up"],
    root: ["after 0 ms", "give_up"],
    sandbox: ["after 0 ms", "give_up"],
    rate_limit: ["after 5000 ms, goes on", "after 20000 ms, goes on", "after 80000 ms, goes on", "give_up"],
    network: ["after 5000 ms, goes on", "after 20000 ms, goes on", "after 80000 ms, goes on", "give_up"],
    overloaded: ["after 5000 ms, goes on", "after 20000 ms, goes on", "after 80000 ms, goes on", "give_up"],
    context: ["after 0 ms", "give_up"],
    no_answer: ["after 0 ms, goes on", "give_up"],
    output: ["after 1000 ms", "give_up"],
    crashed: ["after 1000 ms, goes on", "after 4000 ms, goes on", "give_up"],
    model: ["after 1000 ms", "give_up"],
    permission: ["escalate", "give_up"],
    auth: ["give_up"],
    budget: ["give_up"],
    start: ["give_up"],
    arguments: ["give_up"],
  };
  deepEqual(Object.fromEntries(failureCauses.map((cause) => [cause, remedies(cause)])), table);
});

Deno.test("whatever fails in whatever order, attempts are bounded for each cause and in all", () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...failureCauses), { minLength: 30, maxLength: 60 }), (causes) => {
    const counts = new Map<FailureCause, number>();
    let relaunches = 0;
    let attempts = 0;
    for (const cause of causes) {
      const before = counts.get(cause) ?? 0;
      const remedy = remedyFor(failed(cause, { before, beforeAll: attempts }));
      counts.set(cause, before + 1);
      attempts++;
      if (remedy.kind !== "relaunch") continue;
      relaunches++;
      ok(before < 3);
      ok(remedy.waitMs <= 80_000);
    }
    ok(relaunches <= 5);
  }));
});

Deno.test("the command is changed by what the cause needs, and nothing else", () => {
  const changed = failureCauses.filter((cause) => Object.keys(adjustmentFor(cause)).length > 0);
  deepEqual(Object.fromEntries(changed.map((cause) => [cause, adjustmentFor(cause)])), {
    trusted_directory: { trustDirectory: true },
    include_directories: { includeDirectories: true },
    root: { allowRoot: true },
    sandbox: { withoutOwnSandbox: true },
  });
  for (const cause of failureCauses) {
    const remedy = remedyFor(failed(cause));
    if (remedy.kind === "relaunch") deepEqual(remedy.adjustment, adjustmentFor(cause));
  }
});

Deno.test("a session that an agent does not find any more is begun anew, once", () => {
  deepEqual(remedyFor(failed("arguments", { resumed: true })), {
    kind: "relaunch",
    change: "claude is started again",
    adjustment: {},
    resume: false,
    waitMs: 1000,
  });
  equal(remedyFor(failed("arguments", { resumed: true, before: 1, beforeAll: 1 })).kind, "give_up");
});

Deno.test("a remedy says what it changes, and an end what was tried and what a person can do", () => {
  deepEqual(remedyFor(failed("trusted_directory")), {
    kind: "relaunch",
    change: "started again with the directory trusted (--skip-git-repo-check, --skip-trust)",
    adjustment: { trustDirectory: true },
    resume: false,
    waitMs: 0,
  });
  deepEqual(remedyFor(failed("rate_limit", { canResume: false })), {
    kind: "relaunch",
    change: "goes on after a pause, because of a rate limit",
    adjustment: {},
    resume: false,
    waitMs: 5000,
  });
  deepEqual(remedyFor(failed("permission")), {
    kind: "escalate",
    reason: "claude failed because of a permission of the system: It broke",
    suggestions: [
      "Look at the permissions of the workspace and the target: `ls -la`",
      "Then answer the question, or `gocore orchestrate --resume SESSION`",
    ],
  });
  deepEqual(remedyFor(failed("crashed", { before: 2, beforeAll: 2 })), {
    kind: "give_up",
    reason: "claude failed after 2 further attempts because of a crash: It broke",
    suggestions: [],
  });
  const long = remedyFor(failed("auth", { beforeAll: 1, text: "x".repeat(100_000) }));
  ok(long.kind === "give_up");
  equal(
    long.reason,
    `claude failed after 1 further attempt because of a key or login that was refused: ${"x".repeat(2000)}`,
  );
});
