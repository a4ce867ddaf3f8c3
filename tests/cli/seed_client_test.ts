/** A Python client that spawns a worker and reads its events works with gocore, in both dialects. */
import { match, ok, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { findPython, gocoreCommand, MARKER, Sandbox } from "../support/gocore.ts";
import { startFakeProvider } from "../support/fake_provider.ts";

const CLIENT = fileURLToPath(new URL("spawn_worker.py", import.meta.url));
const python = await findPython();

for (
  const { dialect, model, key, path, cost } of [
    {
      dialect: "Anthropic",
      model: "anthropic/claude-sonnet-4-20250514",
      key: "ANTHROPIC_API_KEY",
      path: "/v1/messages",
      cost: "0.0060",
    },
    { dialect: "OpenAI", model: "openai/gpt-4o", key: "OPENAI_API_KEY", path: "/v1/chat/completions", cost: "0.0045" },
  ]
) {
  Deno.test({
    name: `a Python client prints status and cost of a worker on the ${dialect} dialect${
      python === undefined ? " (ignored: no python3)" : ""
    }`,
    ignore: python === undefined,
    fn: async () => {
      await using box = await Sandbox.create();
      await using provider = startFakeProvider([{
        toolCalls: [{ id: "call_1", arguments: { command: `echo ${MARKER}; echo 'Fixed login.py'` } }],
        usage: { input: 1000, output: 200 },
      }]);
      const { code, stdout, stderr } = await new Deno.Command(python!, {
        args: [CLIENT, "Fix the login", model, ...gocoreCommand()],
        cwd: box.workdir,
        clearEnv: true,
        env: await box.environment({ MINI_API_BASE: provider.url, [key]: "sk-dummy" }),
      }).output();
      const printed = new TextDecoder().decode(stdout);
      equal(new TextDecoder().decode(stderr), "");
      equal(code, 0);
      match(printed, new RegExp(`^Step 1: echo ${MARKER}`));
      ok(printed.endsWith(`Status: success\nCost: $${cost}\n`), printed);
      equal(provider.requests[0]!.path, path);
    },
  });
}
