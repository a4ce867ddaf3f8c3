/** Finds, among the tools that a request offers, the one through which a command runs. */
import { isObject, type Json } from "../../models/json.ts";
import type { DialectId } from "../dialect.ts";
import { sampleValue } from "./sample_value.ts";
import type { ToolUse } from "./scripted_answer.ts";

export interface OfferedTool extends Pick<ToolUse, "name" | "namespace" | "kind"> {
  /** Of its input; undefined: none is given. */
  readonly schema: Json | undefined;
}

/** The shell of the agents that are known: the first that is offered counts, whatever its schema. */
const KNOWN = [
  "exec_command", // codex
  "shell_command", // codex, some models
  "shell", // codex, older: a list of words
  "local_shell", // codex, the API's own tool
  "Bash", // claude
  "bash", // gocore mini, and the tool that Anthropic defines
  "run_shell_command", // gemini
];
/** codex in "code mode" offers a program in JavaScript as its only tool; commands run from inside it. */
const CODE_MODE = "exec";
const COMMAND_PROPERTIES = ["command", "cmd", "script", "code"];

/** The tools that a request offers, in their order. */
export function offeredTools(dialect: DialectId, request: Json): OfferedTool[] {
  const tools = objectsIn(request.tools);
  switch (dialect) {
    case "anthropic":
      return tools.flatMap((tool) => toolOf(tool, tool.input_schema));
    case "openai_chat":
      return tools.flatMap(({ type, function: declared, custom }) =>
        type === "custom" && isObject(custom)
          ? toolOf(custom, undefined, "custom")
          : isObject(declared)
          ? toolOf(declared, declared.parameters)
          : []
      );
    case "openai_responses": {
      const inInput = objectsIn(request.input).filter(({ type }) => type === "additional_tools");
      return [...tools, ...inInput.flatMap((item) => objectsIn(item.tools))].flatMap((tool) =>
        tool.type === "namespace"
          ? objectsIn(tool.tools).flatMap((one) => responsesTool(one, tool.name))
          : responsesTool(tool)
      );
    }
    case "gemini":
      return tools.flatMap((tool) => objectsIn(tool.functionDeclarations)).flatMap((declared) =>
        toolOf(declared, declared.parametersJsonSchema ?? declared.parameters)
      );
  }
}

function responsesTool(tool: Json, namespace?: unknown): OfferedTool[] {
  if (tool.type === "local_shell") return toolOf({ name: "local_shell" }, undefined, "local_shell");
  if (tool.type !== "function" && tool.type !== "custom") return [];
  // `functions` is the model's own word for the top level.
  const place = typeof namespace === "string" && namespace !== "functions" ? namespace : undefined;
  return toolOf(tool, tool.parameters, tool.type, place);
}

function toolOf(
  { name }: Json,
  schema: unknown,
  kind: ToolUse["kind"] = "function",
  namespace?: string,
): OfferedTool[] {
  if (typeof name !== "string" || name === "") return [];
  return [{ name, kind, namespace, schema: isObject(schema) ? schema : undefined }];
}

/** The tool that runs commands; undefined: none is offered. */
export function findShellTool(tools: readonly OfferedTool[]): OfferedTool | undefined {
  for (const name of KNOWN) {
    const known = tools.find((tool) => tool.name === name && tool.kind !== "custom");
    if (known !== undefined) return known;
  }
  return tools.find(isCodeMode) ??
    tools.find(({ kind, schema }) => kind === "function" && schema !== undefined && hasRequiredCommand(schema));
}

/** The input with which a shell tool runs a command. */
export function shellInput(tool: OfferedTool, command: string): string {
  if (tool.kind === "local_shell") return command;
  if (isCodeMode(tool)) {
    return `const result = await tools.exec_command({cmd: ${JSON.stringify(command)}}); text(result.output);`;
  }
  const schema = tool.schema ?? {};
  const properties = propertiesOf(schema);
  const name = COMMAND_PROPERTIES.find((candidate) => properties.has(candidate)) ?? "command";
  const isList = typeNames(properties.get(name)).includes("array");
  const others = sampleValue({ ...schema, type: "object" }) as Json;
  if (Object.hasOwn(others, "description")) others.description = "Run a command";
  return JSON.stringify({ ...others, [name]: isList ? ["bash", "-lc", command] : command });
}

function isCodeMode({ kind, name }: OfferedTool): boolean {
  return kind === "custom" && name === CODE_MODE;
}

function hasRequiredCommand(schema: Json): boolean {
  const properties = propertiesOf(schema);
  const required = Array.isArray(schema.required) ? schema.required : [];
  return COMMAND_PROPERTIES.some((name) =>
    required.includes(name) && typeNames(properties.get(name)).includes("string")
  );
}

function propertiesOf({ properties }: Json): Map<string, unknown> {
  return new Map(isObject(properties) ? Object.entries(properties) : []);
}

function typeNames(schema: unknown): string[] {
  const type = isObject(schema) ? schema.type : undefined;
  return [type].flat().filter((name) => typeof name === "string").map((name) => name.toLowerCase());
}

function objectsIn(list: unknown): Json[] {
  return Array.isArray(list) ? list.filter(isObject) : [];
}
