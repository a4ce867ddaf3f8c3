import { deepStrictEqual as deepEqual, throws } from "node:assert/strict";
import { authorise } from "../../src/gateway/authorise.ts";
import { openLedger } from "../../src/gateway/ledger/ledger.ts";
import type { Refusal } from "../../src/gateway/refusal.ts";

const TOKEN = "token-8e1d3f";
const OPEN = { requireKey: false, token: undefined, run: "mine" };

function refused(kind: string, words: string) {
  return (error: Refusal) => error.kind === kind && error.message.includes(words);
}

function ask(
  settings: Parameters<typeof authorise>[2],
  { headers = {}, search = "", worker, ledger }: {
    headers?: Record<string, string>;
    search?: string;
    worker?: string;
    ledger?: ReturnType<typeof openLedger>;
  } = {},
) {
  if (ledger !== undefined) return authorise({ headers: new Headers(headers), search, worker }, ledger, settings);
  const own = openLedger(":memory:", { now: () => 0 });
  try {
    return authorise({ headers: new Headers(headers), search, worker }, own, settings);
  } finally {
    own.close();
  }
}

Deno.test("without a virtual key a call belongs to the default run and to the path's worker", () => {
  deepEqual(ask(OPEN), { run: "mine", worker: "default", keyId: null });
  deepEqual(ask(OPEN, { worker: "bob", headers: { authorization: "Bearer sk-anything" } }), {
    run: "mine",
    worker: "bob",
    keyId: null,
  });
});

Deno.test("with a token it takes the token, in whatever header, and virtual keys", () => {
  const guarded = { ...OPEN, token: TOKEN };
  const mine = { run: "mine", worker: "default", keyId: null };
  deepEqual(ask(guarded, { headers: { authorization: `Bearer ${TOKEN}` } }), mine);
  deepEqual(ask(guarded, { headers: { authorization: `BEARER   ${TOKEN}` } }), mine);
  for (const name of ["x-api-key", "x-goog-api-key", "api-key"]) {
    deepEqual(ask(guarded, { headers: { [name]: TOKEN } }), mine);
  }
  deepEqual(ask(guarded, { search: `?alt=sse&key=${TOKEN}` }), mine);
  const wrong: Record<string, string>[] = [
    {},
    { "x-api-key": "" },
    { "x-api-key": `${TOKEN}x` },
    { "x-api-key": TOKEN.slice(1) },
    { authorization: TOKEN },
    { authorization: `Basic ${TOKEN}` },
    { "x-other": TOKEN },
  ];
  for (const headers of wrong) throws(() => ask(guarded, { headers }), refused("authentication", "virtual keys"));
});

Deno.test("where keys are asked for, a token is none", () => {
  const strict = { ...OPEN, token: TOKEN, requireKey: true };
  throws(() => ask(strict, { headers: { "x-api-key": TOKEN } }), refused("authentication", "virtual keys"));
});

Deno.test("a virtual key names its caller, also beside a dummy key and where none is asked for", () => {
  let nowMs = 0;
  const ledger = openLedger(":memory:", { now: () => nowMs });
  try {
    const { id, key } = ledger.issueKey({ run: "r", worker: "alice", leaseMs: 1000 });
    const alice = { run: "r", worker: "alice", keyId: id };
    for (const settings of [OPEN, { ...OPEN, token: TOKEN }, { ...OPEN, requireKey: true }]) {
      deepEqual(ask(settings, { ledger, headers: { authorization: "Bearer sk-dummy", "x-api-key": key } }), alice);
      deepEqual(ask(settings, { ledger, search: `?key=${key}`, worker: "alice" }), alice);
      const headers = { "x-goog-api-key": key };
      throws(
        () => ask(settings, { ledger, headers, worker: "bob" }),
        (error: Refusal) => refused("forbidden", '"alice"')(error) && !error.message.includes(key),
      );
      // Ended, expired or unknown, it is never taken for a dummy.
      throws(
        () => ask(settings, { ledger, headers: { "x-api-key": `${key.slice(0, -1)}!` } }),
        refused("authentication", "unknown"),
      );
    }
    nowMs = 1001;
    throws(() => ask(OPEN, { ledger, headers: { "x-api-key": key } }), refused("authentication", "expired"));
    ledger.endKey(id);
    throws(() => ask(OPEN, { ledger, headers: { "x-api-key": key } }), refused("authentication", "ended"));
  } finally {
    ledger.close();
  }
});
