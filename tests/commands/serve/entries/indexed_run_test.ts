import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { entryOf, type EntryParts, unreadableRun } from "../../../../src/commands/serve/entries/indexed_run.ts";
import { entry as entrySchema } from "../../../../src/http/schemas.ts";

const NOW_MS = Date.UTC(2026, 5, 1);

Deno.test("an entry is no longer than a list can show, and its numbers are numbers", () => {
  const parts: EntryParts = {
    kind: "mini",
    id: "m1",
    folder: "/f",
    task: `\n\n  ${"a b\t".repeat(500)}\nsecond line`,
    status: "s".repeat(1000),
    running: false,
    attention: Array.from(
      { length: 100 },
      () => ({ kind: "failed", text: "x\n".repeat(9000), worker: null, since: "never" }),
    ),
    agents: Array.from({ length: 100 }, (_, at) => `agent${at}`),
    models: ["m".repeat(1000), "", "m".repeat(1000)],
    source: null,
    startedAt: "2026-01-02T00:00:00+01:00",
    endedAt: "2026-01-01T00:00:00Z",
    lastEventAt: "yesterday",
    knownUsd: Infinity,
    unpricedCalls: 0,
    calls: 1,
    progress: 1e9,
    summary: " \n ",
  };
  const entry = entrySchema.parse(entryOf(parts, NOW_MS));
  const { title, attention, agents, models, started_at, elapsed_seconds, last_event_at, known_cost_usd } = entry;
  deepEqual([title.length, title.slice(0, 6)], [300, "a b a "]);
  deepEqual([attention.length, attention[0]!.since, attention[0]!.text.length], [50, null, 300]);
  deepEqual([agents.length, models.length, models[0]!.length], [50, 1, 200]);
  deepEqual([started_at, elapsed_seconds, last_event_at], ["2026-01-01T23:00:00.000Z", 0, null]);
  deepEqual([known_cost_usd, entry.progress, entry.summary], [0, 100, null]);
  equal(entryOf({ ...parts, task: " \n" }, NOW_MS).title, "m1");
});

Deno.test("a run that cannot be read is in the list, with the reason", () => {
  const { entry, text } = unreadableRun({ kind: "manager", id: "r1", folder: "/runs/r1" }, "Permission denied", NOW_MS);
  const { status, summary, cost_usd } = entrySchema.parse(entry);
  deepEqual([status, summary, cost_usd], ["unreadable", "It cannot be read: Permission denied", null]);
  ok(text.includes("Permission denied"));
});
