import { ok, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Failure } from "../../src/failure.ts";
import { loadRenderer } from "../../src/templates/render.ts";

const PEERS = fileURLToPath(new URL("../../.cache/peers/", import.meta.url));
const VERSIONS = ["1.17.5", "2.4.6"];

interface Case {
  file: string;
  key: string;
  template: string;
  /** One for each context: what Python rendered, or the message of its UndefinedError. */
  outcomes: { text?: string; undefined?: string }[];
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

const LONG = "head 😀𝔘\u0000\x1b[31m\t{{ task }} <b> & 'q' \\ \"\r\n\u2028é".repeat(400);
const CONTROL = "\x00\x01\x08\x0b\x0c\x1f\x7f\u0085\u200b\ufeff{% raw %}\n\n";

function contexts(): Record<string, unknown>[] {
  const linux = {
    task: "Fix {{ it }} in a/b.py\n\n<important> & 'quotes' \"too\" 😀",
    system: "Linux",
    release: "6.1.0",
    version: "#1 SMP",
    machine: "x86_64",
    cwd: "/testbed",
    timeout: 60,
    step_limit: 250,
    cost_limit: 3,
    n_model_calls: 240,
    model_cost: 0.0125,
    wall_time_limit_seconds: 3600,
    elapsed_seconds: 3121.75,
  };
  const outputs = [
    { output: "short\n", returncode: 0, exception_info: "" },
    { output: "", returncode: -1, exception_info: "Timed out after 30 s: <b> & 'é' 😀\n" },
    { output: LONG, returncode: 1, exception_info: "" },
    { output: LONG.slice(0, 9_999) + "x", returncode: 1, exception_info: "" },
    { output: "😀".repeat(10_000), returncode: 130, exception_info: "bad" },
    { output: "😀".repeat(9_999), returncode: 0, exception_info: "" },
    { output: CONTROL, returncode: 2, exception_info: CONTROL },
  ];
  const errors = [
    { error: "no block <a> & 'b' 😀", actions: [] },
    { error: "two blocks", actions: ["ls", "pwd {{ x }}"], finish_reason: "stop", has_tool_calls: false },
    { error: "cut", actions: ["a"], finish_reason: "length", has_tool_calls: false },
    { error: "calls", actions: ["a"], finish_reason: "tool_calls", has_tool_calls: false },
    { error: "calls", actions: ["a"], finish_reason: "tool_calls", has_tool_calls: true },
  ];
  return [
    {},
    linux,
    { ...linux, system: "Darwin", machine: "arm64", step_limit: 0, wall_time_limit_seconds: 0 },
    ...outputs.map((output) => ({ ...linux, output, action: { action: "sleep 99 && echo '{{ x }}'" } })),
    // The timeout templates of version 1 get the output as text.
    ...outputs.map(({ output }) => ({ ...linux, output, action: { action: "sleep 99" } })),
    ...errors.map((error) => ({ ...linux, ...error })),
    ...errors,
  ];
}

async function renderWithPython(request: unknown): Promise<Case[]> {
  const script = fileURLToPath(new URL("./render_peers.py", import.meta.url));
  const python = new Deno.Command(`${PEERS}venv/bin/python`, {
    args: [script],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { PYTHONDONTWRITEBYTECODE: "1" },
  }).spawn();
  const writing = (async () => {
    const writer = python.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(request)));
    await writer.close();
  })();
  const [{ success, stdout, stderr }] = await Promise.all([python.output(), writing]);
  ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const ignore = !exists(`${PEERS}complete-1`);

Deno.test({
  name: `mini-swe-agent's own configuration files render as in Jinja2${
    ignore ? " (ignored: tests/compat/fetch_peers.sh has not run)" : ""
  }`,
  ignore,
  fn: async () => {
    const renderer = await loadRenderer();
    const variables = contexts();
    const folders = VERSIONS.map((version) => `${PEERS}mini-swe-agent-${version}/minisweagent/config`);
    const cases = await renderWithPython({ folders, contexts: variables });
    let rendered = 0;
    let failed = 0;
    for (const { file, key, template, outcomes } of cases) {
      for (const [index, expected] of outcomes.entries()) {
        const where = `${file} ${key} with context ${index}`;
        let outcome: { text: string } | { failure: Failure };
        try {
          outcome = { text: renderer.render(key, template, variables[index]!) };
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          outcome = { failure: error };
        }
        if (expected.text !== undefined) {
          rendered++;
          equal("text" in outcome ? outcome.text : outcome.failure.message, expected.text, where);
          continue;
        }
        failed++;
        const message = expected.undefined ?? "";
        const name = /^'(\w+)' is undefined$/.exec(message)?.[1] ?? /has no attribute '(\w+)'$/.exec(message)?.[1];
        ok(name !== undefined, `${where}: ${message}`);
        ok("failure" in outcome, `${where}: rendered, but Python says ${message}`);
        ok(new RegExp(`'([\\w.]+\\.)?${name}' is undefined`).test(outcome.failure.message), outcome.failure.message);
      }
    }
    // Both wheels hold their files, and both outcomes occur.
    for (const version of VERSIONS) ok(cases.some(({ file }) => file.includes(`mini-swe-agent-${version}/`)), version);
    ok(rendered > 500 && failed > 50, `${rendered} rendered, ${failed} failed`);
  },
});
