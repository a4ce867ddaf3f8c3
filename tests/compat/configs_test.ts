import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Sandbox, submit } from "../support/gocore.ts";

const PEERS = fileURLToPath(new URL("../../.cache/peers/", import.meta.url));
const ignore = !(await Deno.stat(`${PEERS}complete-1`).then(() => true, () => false));
const TASK = "Fix {{ braces }} in src/a.py\n\n<b> & 'quotes' 😀";

/** The protocol that each file is written for. */
const CONFIGS: Record<string, "toolcall" | "text"> = {
  "2.4.6/mini.yaml": "toolcall",
  "2.4.6/mini_textbased.yaml": "text",
  "2.4.6/default.yaml": "text",
  "2.4.6/benchmarks/swebench.yaml": "toolcall",
  "2.4.6/benchmarks/swebench_backticks.yaml": "text",
  "2.4.6/benchmarks/swebench_xml.yaml": "text",
  "1.17.5/mini.yaml": "text",
  "1.17.5/default.yaml": "text",
  "1.17.5/extra/swebench.yaml": "text",
  "1.17.5/extra/swebench_xml.yaml": "text",
};

async function renderWithPython(request: unknown): Promise<Record<string, string>> {
  const python = new Deno.Command(`${PEERS}venv/bin/python`, {
    args: [fileURLToPath(new URL("./render_first_messages.py", import.meta.url))],
    env: { PYTHONDONTWRITEBYTECODE: "1", PYTHONIOENCODING: "utf-8" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = python.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(request)));
  await writer.close();
  const { success, stdout, stderr } = await python.output();
  ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (const [name, protocol] of Object.entries(CONFIGS)) {
  const [version, ...path] = name.split("/");
  Deno.test({
    name: `mini-swe-agent ${name} drives a run in the ${protocol} protocol, with Jinja2's prompts${
      ignore ? " (ignored: fetch_peers.sh has not run)" : ""
    }`,
    ignore,
    fn: async () => {
      await using sandbox = await Sandbox.create();
      const file = `${PEERS}mini-swe-agent-${version}/minisweagent/config/${path.join("/")}`;
      const model = await sandbox.script([{ content: "I look.", commands: ["echo 'a < b & é'"] }, submit("patch")]);
      const run = await sandbox.mini(["-c", file, "--task", TASK, ...model]);
      equal(run.finish.status, "success");
      equal(run.finish.result, "patch\n");
      equal(run.start.protocol, protocol);
      const [system, instance, assistant, observation] = run.trajectory.messages;
      equal(assistant.role, "assistant");
      const expected = await renderWithPython({
        file,
        variables: { task: TASK, cwd: sandbox.workdir, n_model_calls: 1, model_cost: 0 },
        output: { output: "a < b & é\n", returncode: 0, exception_info: "" },
      });
      deepEqual(
        { system: system.content, instance: instance.content, observation: observation.content },
        expected,
      );
    },
  });
}
