/** A cost that no call can have, from an upstream that tells nonsense. */
import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { startFakeUpstream } from "../../support/fake_upstream.ts";
import { openGateway, priced, send } from "../open_gateway.ts";

Deno.test("an absurd cost is the same amount for the client, in the events, the ledger and its report", async () => {
  const usage = { input: 1e9, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
  await using upstream = startFakeUpstream(() => ({ usage }));
  await using gateway = await openGateway(upstream.url, { prices: [priced("*", { input: 1e6, output: 1e6 })] });
  const response = await send(gateway.url, "openai_chat");
  equal(response.status, 200);
  await response.body?.cancel();
  await gateway.stated("model.answered", 1);
  const { ledger } = gateway.gateway;
  const most = 9007.199254740991;
  deepEqual({
    client: response.headers.get("x-gocore-cost-usd"),
    event: gateway.eventsOf("model.answered")[0]!.cost_usd,
    call: gateway.rows()[0]!.cost,
    report: ledger.report({ by: [] }).totals.cost_usd,
    spent: ledger.spent({ scope: "run", id: gateway.settings.run }).spentUsd,
  }, { client: String(most), event: most, call: Number.MAX_SAFE_INTEGER, report: most, spent: most });
});
