/** A provider that does not answer at all, with the real waits: a file of its own, so that others run meanwhile. */
import { deepStrictEqual as deepEqual, match, ok } from "node:assert/strict";
import { Sandbox } from "../support/gocore.ts";
import { closedAddress } from "../support/fake_provider.ts";

Deno.test("a provider where nobody listens is tried six times over half a minute, then named", async () => {
  await using box = await Sandbox.create();
  const address = closedAddress();
  const models = [["anthropic/claude-sonnet-4-20250514", "ANTHROPIC_API_KEY"], ["openai/gpt-4o", "OPENAI_API_KEY"]];
  await Promise.all(models.map(async ([model, key], index) => {
    const run = await box.mini(["-t", "x", "--model", model!], {
      cwd: await box.repository(`work-${index}`),
      env: { MINI_API_BASE: address, [key!]: "sk-dummy" },
    });
    deepEqual([run.code, run.finish.exit_status, run.cost.calls], [1, "APIConnectionError", 0]);
    ok(run.error!.error.includes(address), run.error!.error);
    deepEqual(run.logs.map(({ wait_seconds }) => wait_seconds), [1, 2, 4, 8, 16]);
    match(run.error!.hints.join("\n"), /MINI_API_BASE/);
  }));
});
