/** What a gateway says of missing keys and partly spent caps when it begins. */
import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { spentNotes, upstreamNotes } from "../../../src/commands/gateway/start_notes.ts";
import type { UpstreamSettings } from "../../../src/gateway/settings.ts";

const NOON = Date.UTC(2026, 10, 21, 12);

const upstream = (name: string, rest: Partial<UpstreamSettings> = {}): UpstreamSettings => ({
  name,
  provider: "openai",
  baseUrl: "https://models.example.com",
  apiKey: undefined,
  keyless: false,
  keySource: `${name.toUpperCase()}_API_KEY`,
  dialects: ["openai_chat"],
  models: [],
  ...rest,
});

const log = (level: string, content: string) => ({ type: "log", data: { level, content } });

/** A ledger that knows these sums alone. */
const ledgerWith = (sums: Record<string, number>) => ({
  spent: ({ scope, id }: { scope: string; id: string }) => ({
    capUsd: null,
    spentUsd: sums[`${scope} ${id}`] ?? 0,
    reservedUsd: 0,
    openCalls: 0,
    unknownCalls: 0,
  }),
});

Deno.test("upstreams without a key are named; it is a warning when nobody can be asked", () => {
  const [anthropic, openai, lab] = [upstream("anthropic"), upstream("openai"), upstream("lab", { keyless: true })];
  const source = { kind: "upstreams" } as const;
  deepEqual(upstreamNotes({ source, upstreams: [{ ...anthropic, apiKey: "k" }, lab] }), []);
  deepEqual(upstreamNotes({ source, upstreams: [anthropic, openai, lab] }), [
    log("info", "No key for: anthropic (ANTHROPIC_API_KEY), openai (OPENAI_API_KEY)"),
  ]);
  deepEqual(upstreamNotes({ source, upstreams: [anthropic, openai] }), [
    log("warning", "Every call will be refused: no key for anthropic (ANTHROPIC_API_KEY), openai (OPENAI_API_KEY)"),
  ]);
});

Deno.test("recordings and scripts need no keys", () => {
  for (const source of [{ kind: "replay", dir: "d" }, { kind: "script", path: "s" }] as const) {
    deepEqual(upstreamNotes({ source, upstreams: [upstream("anthropic")] }), []);
  }
});

Deno.test("a cap that is partly spent is told, one without anything left as a warning", () => {
  const ledger = ledgerWith({ "run default": 4.97, "day 2026-11-21": 20.000001, "run other": 1 });
  deepEqual(spentNotes({ caps: { run: 5, day: 20 }, run: "default" }, ledger, NOON), [
    log("info", 'run "default" has spent 4.97 of 5 USD'),
    log("warning", "the day 2026-11-21 (UTC) has spent 20.000001 of 20 USD"),
  ]);
  deepEqual(spentNotes({ caps: { day: 100 }, run: "default" }, ledger, NOON), [
    log("info", "the day 2026-11-21 (UTC) has spent 20.000001 of 100 USD"),
  ]);
});

Deno.test("caps of which nothing is spent, and sums without a cap, are not told", () => {
  const ledger = ledgerWith({ "run default": 4.97 });
  deepEqual(spentNotes({ caps: { run: 5, day: 20 }, run: "new" }, ledger, NOON), []);
  deepEqual(spentNotes({ caps: { worker: 1, key: 1 }, run: "default" }, ledger, NOON), []);
});
