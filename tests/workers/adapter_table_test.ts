/** The table of agents. */
import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { adapterOf, adapterTable } from "../../src/workers/adapter_table.ts";
import type { AgentAdapter } from "../../src/workers/adapter.ts";

Deno.test("the seed's agents stand in its order, and gocore's own comes last", () => {
  deepEqual(adapterTable.map(({ name, provider }) => [name, provider]), [
    ["gemini", "gemini"],
    ["claude", "anthropic"],
    ["codex", "openai"],
    ["mini", undefined],
  ]);
});

Deno.test("adapterOf() knows the table and what was declared, and nothing else", () => {
  const declared: AgentAdapter = { ...adapterTable[0]!, name: "aider" };
  equal(adapterOf("codex")?.name, "codex");
  equal(adapterOf("aider", [declared]), declared);
  equal(adapterOf("aider"), undefined);
  equal(adapterOf("constructor"), undefined);
});

Deno.test("no key is ever among the arguments, and a prompt is never a flag", () => {
  for (const { name, launch } of adapterTable) {
    for (const readOnly of [false, true]) {
      const { argv, env } = launch({
        program: ["/bin/agent"],
        prompt: "--help me",
        workdir: "/work",
        home: "/home/w",
        tmp: "/tmp/w",
        includeDirectories: [],
        gatewayUrl: "http://127.0.0.1:8045/w/x",
        key: "gk-secret",
        model: "m",
        readOnly,
        resume: undefined,
        costLimitUsd: 1,
        timeLimitSeconds: 60,
        extraArguments: [],
        adjustments: {},
      });
      equal(argv.filter((argument) => argument.includes("gk-secret")).length, 0, name);
      equal(Object.values(env).includes("gk-secret"), true, name);
      const bare = argv.indexOf("--help me");
      equal(bare === -1 || argv.slice(0, bare).includes("--"), true, `${name}: ${argv.join(" ")}`);
    }
  }
});
