/** What agents ask of a model: a system prompt, tools, and a conversation of 20 KB. */

export type Format = "chat" | "messages";

const BODY_BYTES = 20 * 1024;
const SYSTEM = "You are a careful software engineer. ".repeat(50);
const OBSERVATION = 'src/parser.ts:42: error: "unexpected token" — expected `}`\n'.repeat(12);
const PARAMETERS = { type: "object", properties: { command: { type: "string" } }, required: ["command"] };
const DESCRIPTION = "Runs a command in the shell of the project and returns what it printed.";

/** A whole HTTP request, as bytes for a connection that stays open. */
export function requestTo(url: string, format: Format, key: string): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(format === "chat" ? chatBody() : messagesBody()));
  const head = [
    `POST ${format === "chat" ? "/v1/chat/completions" : "/v1/messages"} HTTP/1.1`,
    `host: ${new URL(url).host}`,
    "accept: application/json",
    "accept-encoding: gzip, deflate",
    `authorization: Bearer ${key}`,
    ...(format === "messages" ? [`x-api-key: ${key}`, "anthropic-version: 2023-06-01"] : []),
    "content-type: application/json",
    `content-length: ${body.byteLength}`,
    "user-agent: bench/1.0",
    "x-stainless-lang: js",
    "x-stainless-retry-count: 0",
    "x-stainless-timeout: 600",
  ];
  return new Uint8Array([...new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`), ...body]);
}

function chatBody(): object {
  const tools = [{ type: "function", function: { name: "bash", description: DESCRIPTION, parameters: PARAMETERS } }];
  const begin = [{ role: "system", content: SYSTEM }, { role: "user", content: "Fix the parser." }];
  return filled(begin, (n) => [
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: `call_${n}`, type: "function", function: { name: "bash", arguments: '{"command":"make"}' } }],
    },
    { role: "tool", tool_call_id: `call_${n}`, content: OBSERVATION },
  ], { model: "gpt-4o", max_tokens: 1000, tools });
}

function messagesBody(): object {
  const tools = [{ name: "bash", description: DESCRIPTION, input_schema: PARAMETERS }];
  return filled([{ role: "user", content: "Fix the parser." }], (n) => [
    { role: "assistant", content: [{ type: "tool_use", id: `toolu_${n}`, name: "bash", input: { command: "make" } }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: `toolu_${n}`, content: OBSERVATION }] },
  ], { model: "claude-sonnet-4-20250514", max_tokens: 1000, stream: true, system: SYSTEM, tools });
}

/** Goes on with the conversation until the body is as long as it should be. */
function filled(begin: object[], turn: (n: number) => object[], rest: object): object {
  const messages = [...begin];
  for (let n = 0; JSON.stringify({ ...rest, messages }).length < BODY_BYTES; n++) messages.push(...turn(n));
  return { ...rest, messages };
}
