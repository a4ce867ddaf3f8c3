/** How a model's reply becomes commands: one fenced block in its text, or calls of the `bash` tool. */
import type { ChatReply, ToolCall } from "../models/chat_model.ts";

export interface Action {
  readonly command: string;
  /** Set for tool calls. */
  readonly toolCallId?: string;
}

export type ParsedReply =
  | { readonly kind: "actions"; readonly actions: readonly Action[] }
  | {
    readonly kind: "format_error";
    /** What was wrong, for the model. */
    readonly error: string;
    /** The commands that were found, for templates that count them. */
    readonly found: readonly string[];
  };

export interface ActionProtocol {
  readonly bashTool: boolean;
  parse(reply: ChatReply): ParsedReply;
}

/** Exactly one match of `actionRegex` in the text is the command: its first group, or the whole match without one. */
export function textProtocol(actionRegex: string): ActionProtocol {
  const pattern = new RegExp(actionRegex, "gsu");
  const ending = literalEnd(actionRegex);
  return {
    bashTool: false,
    parse({ content }) {
      // A fence that is never closed would be looked for from each place where it may begin, in quadratic time.
      const searched = ending === "" ? content : content.slice(0, content.lastIndexOf(ending) + ending.length);
      const found = Array.from(searched.matchAll(pattern), (match) => (match[1] ?? match[0]).trim());
      if (found.length !== 1) {
        return { kind: "format_error", error: `Expected exactly 1 action, found ${found.length}.`, found };
      }
      return { kind: "actions", actions: [{ command: found[0]! }] };
    },
  };
}

/** The line feeds and backticks that every match ends with; empty when that cannot be told. */
function literalEnd(regex: string): string {
  // What follows a match can matter to a lookahead, and an alternative may end in its own way.
  if (/\||\(\?[=!]/.test(regex)) return "";
  return (/(?<!\\)(?:\\n|`)+$/.exec(regex)?.[0] ?? "").replaceAll("\\n", "\n");
}

/** Every call must be of `bash` with a string `command`; one bad call makes the whole reply a format error. */
export const toolcallProtocol: ActionProtocol = {
  bashTool: true,
  parse({ toolCalls }) {
    if (toolCalls.length === 0) {
      return {
        kind: "format_error",
        error: "The reply has no tool call. Every reply needs at least one call of the tool `bash`.",
        found: [],
      };
    }
    const actions: Action[] = [];
    for (const call of toolCalls) {
      const parsed = parseCall(call);
      if ("error" in parsed) return { kind: "format_error", error: parsed.error, found: [] };
      actions.push({ command: parsed.command, toolCallId: call.id });
    }
    return { kind: "actions", actions };
  },
};

function parseCall({ name, arguments: text }: ToolCall): { command: string } | { error: string } {
  if (name !== "bash") return { error: `Unknown tool "${name}". The only tool is \`bash\`.` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { error: `The arguments of the tool call are not valid JSON: ${(error as Error).message}.` };
  }
  const command = (value as { command?: unknown } | null)?.command;
  if (typeof command !== "string") {
    return { error: 'The arguments of the tool call need "command", a string with the shell command.' };
  }
  return { command };
}

const FINISH_MARKERS = ["COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT", "MINI_SWE_AGENT_FINAL_OUTPUT"];

/** What a successful command submits: the lines after a finish marker on its first line; undefined without one. */
export function submissionIn(output: string): string | undefined {
  const text = output.trimStart();
  const end = text.indexOf("\n");
  const first = end < 0 ? text : text.slice(0, end);
  if (!FINISH_MARKERS.includes(first.trim())) return undefined;
  return end < 0 ? "" : text.slice(end + 1);
}
