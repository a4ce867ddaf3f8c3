import { ok, strictEqual as equal } from "node:assert/strict";
import { estimateCost } from "../../../src/commands/orchestrate/estimate.ts";
import { loadPriceList } from "../../../src/models/price.ts";

const MODELS = { claude: "claude-sonnet-4-5", codex: "gpt-5", gemini: "gemini/gemini-2.5-pro", mini: "openai/gpt-5" };

Deno.test("a plan costs what 10 000 tokens for a heavy share and 3 000 for a light one cost by the list", async () => {
  const list = await loadPriceList();
  const at = new Date();
  const price = (model: string, provider: string, tokens: number) => {
    const { input, output } = list(model, provider, at)!.pricesFor(tokens);
    return tokens * (0.8 * input + 0.2 * output);
  };
  const shares = [{ agent: "claude", load: 0.45 }, { agent: "gemini", load: 0.3 }, { agent: "codex", load: 0.25 }];
  const expected = price("claude-sonnet-4-5", "anthropic", 10_000) + price("gemini-2.5-pro", "google", 10_000) +
    price("gpt-5", "openai", 3000);
  const near = (found: number | null, wanted: number) =>
    ok(found !== null && wanted > 0 && Math.abs(found - wanted) < 1e-9, `${found}, ${wanted}`);
  near(await estimateCost(shares, MODELS), expected);
  near(await estimateCost([{ agent: "mini", load: 0 }], MODELS), price("gpt-5", "openai", 3000));
  equal(await estimateCost([], MODELS), 0);
});

Deno.test("nobody knows what a plan costs when a model or a price is unknown", async () => {
  const one = (agent: string, models: Record<string, string>) => estimateCost([{ agent, load: 1 }], models);
  equal(await one("claude", {}), null);
  equal(await one("toString", {}), null);
  equal(await one("claude", { claude: "no-such-model" }), null);
  equal(await one("mini", { mini: "scripted/replies.yaml" }), null);
  equal(await one("mini", { mini: "no-such-model" }), null);
  equal(await one("mini", { mini: "" }), null);
  equal(
    await estimateCost([{ agent: "claude", load: 1 }, { agent: "mini", load: 1 }], { claude: "claude-sonnet-4-5" }),
    null,
  );
});
