import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import type { DialectId } from "../../../src/gateway/dialect.ts";
import { findShellTool, offeredTools, shellInput } from "../../../src/gateway/script/shell_tool.ts";

const object = (properties: Record<string, unknown>, required: string[] = Object.keys(properties)) => ({
  type: "object",
  properties,
  required,
});
const text = { type: "string" };
const codeMode = {
  type: "additional_tools",
  role: "developer",
  tools: [
    {
      type: "namespace",
      name: "clock",
      tools: [{ type: "function", name: "sleep", parameters: object({ script: text }) }],
    },
    { type: "namespace", name: "functions", tools: [{ type: "custom", name: "exec", format: { type: "grammar" } }] },
  ],
};

// What the tools of each agent look like, and the call that runs `ls "a b"`.
const CASES: [string, DialectId, Record<string, unknown>, { name: string; kind: string; input: unknown }][] = [
  ["claude", "anthropic", {
    tools: [
      { name: "Monitor", input_schema: object({ command: text }) },
      {
        name: "Bash",
        input_schema: object({ command: text, timeout: { type: "number" }, description: text }, ["command"]),
      },
    ],
  }, { name: "Bash", kind: "function", input: { command: 'ls "a b"' } }],
  ["claude when it wants a description", "anthropic", {
    tools: [{ name: "Bash", input_schema: object({ command: text, description: text }) }],
  }, { name: "Bash", kind: "function", input: { command: 'ls "a b"', description: "Run a command" } }],
  ["the tool that Anthropic defines", "anthropic", { tools: [{ type: "bash_20250124", name: "bash" }] }, {
    name: "bash",
    kind: "function",
    input: { command: 'ls "a b"' },
  }],
  ["codex", "openai_responses", {
    tools: [
      { type: "function", name: "write_stdin", parameters: object({ session_id: { type: "number" } }) },
      { type: "function", name: "exec_command", parameters: object({ cmd: text, tty: { type: "boolean" } }, ["cmd"]) },
      { type: "custom", name: "apply_patch", format: {} },
      { type: "web_search" },
    ],
  }, { name: "exec_command", kind: "function", input: { cmd: 'ls "a b"' } }],
  ["codex in code mode", "openai_responses", { input: [{ type: "message" }, codeMode] }, {
    name: "exec",
    kind: "custom",
    input: 'const result = await tools.exec_command({cmd: "ls \\"a b\\""}); text(result.output);',
  }],
  ["codex of old", "openai_responses", {
    tools: [{ type: "function", name: "shell", parameters: object({ command: { type: "array", items: text } }) }],
  }, { name: "shell", kind: "function", input: { command: ["bash", "-lc", 'ls "a b"'] } }],
  ["codex with shell_command", "openai_responses", {
    tools: [{
      type: "function",
      name: "shell_command",
      parameters: object({ command: text, workdir: text }, ["command"]),
    }],
  }, { name: "shell_command", kind: "function", input: { command: 'ls "a b"' } }],
  ["the API's own shell", "openai_responses", { tools: [{ type: "local_shell" }] }, {
    name: "local_shell",
    kind: "local_shell",
    input: 'ls "a b"',
  }],
  ["gemini", "gemini", {
    tools: [{ googleSearch: {} }, {
      functionDeclarations: [
        { name: "read_file", parametersJsonSchema: object({ file_path: text }) },
        {
          name: "run_shell_command",
          parametersJsonSchema: object({ command: text, description: text, dir_path: text }, ["command"]),
        },
      ],
    }],
  }, { name: "run_shell_command", kind: "function", input: { command: 'ls "a b"' } }],
  ["mini", "openai_chat", {
    tools: [{ type: "function", function: { name: "bash", parameters: object({ command: text }) } }],
  }, {
    name: "bash",
    kind: "function",
    input: { command: 'ls "a b"' },
  }],
  ["a stranger, known by its schema", "gemini", {
    tools: [{
      functionDeclarations: [
        { name: "explain", parameters: { type: "OBJECT", properties: { code: { type: "STRING" } } } },
        {
          name: "run_in_terminal",
          parameters: {
            type: "OBJECT",
            properties: { script: { type: "STRING" }, seconds: { type: "INTEGER", minimum: 5 } },
            required: ["script", "seconds"],
          },
        },
      ],
    }],
  }, { name: "run_in_terminal", kind: "function", input: { seconds: 5, script: 'ls "a b"' } }],
];

for (const [agent, dialect, request, expected] of CASES) {
  Deno.test(`a command runs through the shell of ${agent}`, () => {
    const tool = findShellTool(offeredTools(dialect, request))!;
    const input = shellInput(tool, 'ls "a b"');
    deepEqual(
      { name: tool.name, kind: tool.kind, input: tool.kind === "function" ? JSON.parse(input) : input },
      expected,
    );
  });
}

Deno.test("a request without a shell has none", () => {
  const requests: [DialectId, Record<string, unknown>][] = [
    ["anthropic", {}],
    ["anthropic", { tools: "x" }],
    ["anthropic", { tools: [null, 1, { name: 3 }, { name: "Read", input_schema: object({ path: text }) }] }],
    ["openai_chat", { tools: [{ type: "custom", custom: { name: "exec_command" } }, { type: "function" }] }],
    ["openai_responses", { tools: [{ type: "namespace", name: "x", tools: [null] }], input: "text" }],
    ["gemini", { tools: [{ functionDeclarations: {} }] }],
  ];
  deepEqual(
    requests.map(([dialect, request]) => findShellTool(offeredTools(dialect, request))),
    requests.map(() => undefined),
  );
});

Deno.test("tools in a namespace keep it, those in `functions` stand on the top level", () => {
  deepEqual(offeredTools("openai_responses", { input: [codeMode] }).map(({ name, namespace }) => [name, namespace]), [
    ["sleep", "clock"],
    ["exec", undefined],
  ]);
});

Deno.test("the command stands in code as a string, whatever it contains", () => {
  const command = "printf '%s' \"`${x}`\"\n\\ \u2028";
  const input = shellInput({ name: "exec", kind: "custom", namespace: undefined, schema: undefined }, command);
  const literal = /\{cmd: (".*")\}\)/su.exec(input)![1]!;
  equal(new Function(`return ${literal}`)(), command);
});
