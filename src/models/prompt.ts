/** Turns our conversation into the prompt of the provider clients. */
import type {
  LanguageModelV4Content,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4ToolResultPart,
  SharedV4ProviderOptions,
} from "@ai-sdk/provider";
import type { ChatMessage, ToolCall } from "./chat_model.ts";
import type { ClientKind } from "./provider_table.ts";

type AssistantMessage = Extract<ChatMessage, { role: "assistant" }>;
type ToolMessage = Extract<ChatMessage, { role: "tool" }>;
type AssistantPart = Extract<LanguageModelV4Message, { role: "assistant" }>["content"][number];

export interface PromptOptions {
  readonly client: ClientKind;
  /** Marks what the provider has written into `providerState`; only state with the same mark goes back. */
  readonly stateTag: string;
  readonly setCacheControl: "default_end" | undefined;
}

/** The parts of a reply that the same provider wants back as they are. */
interface ProviderState {
  readonly tag: string;
  readonly parts: readonly AssistantPart[];
}

const NOT_RUN = "(no result: this call was not run)";
const EMPTY = "(empty)";

/**
 * A function from messages to a prompt; a message that was converted once is not converted again. Repairs what
 * providers refuse: system messages later than at the start, calls without a result, results without a call, empty text.
 */
export function createPromptBuilder(
  options: PromptOptions,
): (messages: readonly ChatMessage[]) => LanguageModelV4Prompt {
  const { client, stateTag, setCacheControl } = options;
  const systemAnywhere = client === "openai" || client === "azure" || client === "compatible" ||
    client === "openrouter";
  const assistants = new WeakMap<AssistantMessage, LanguageModelV4Message>();
  const results = new WeakMap<ToolMessage, LanguageModelV4ToolResultPart>();

  const convertAssistant = (message: AssistantMessage): LanguageModelV4Message => {
    let converted = assistants.get(message);
    if (converted === undefined) {
      converted = { role: "assistant", content: storedParts(message, stateTag) ?? plainParts(message) };
      assistants.set(message, converted);
    }
    return converted;
  };
  const convertResult = (message: ToolMessage): LanguageModelV4ToolResultPart => {
    let converted = results.get(message);
    if (converted === undefined) {
      converted = resultPart(message.toolCallId, message.toolName, message.content);
      results.set(message, converted);
    }
    return converted;
  };

  return (messages) => {
    const prompt: LanguageModelV4Prompt = [];
    const firstOther = messages.findIndex(({ role }) => role !== "system");
    const leading = firstOther < 0 ? messages : messages.slice(0, firstOther);
    // One message: chat templates of open models accept no second one.
    const system = leading.map(({ content }) => content).filter((text) => text !== "").join("\n\n");
    if (system !== "") prompt.push({ role: "system", content: system });
    let lastAssistant = -1;
    for (let i = leading.length; i < messages.length; i++) {
      const message = messages[i]!;
      switch (message.role) {
        case "system":
          if (systemAnywhere) prompt.push({ role: "system", content: message.content });
          else prompt.push(userMessage(message.content));
          break;
        case "user":
          prompt.push(userMessage(message.content));
          break;
        case "tool":
          prompt.push(userMessage(message.content));
          break;
        case "assistant": {
          const converted = convertAssistant(message);
          if (converted.content.length === 0 && !systemAnywhere) break;
          lastAssistant = prompt.length;
          prompt.push(converted);
          const missing = new Map((message.toolCalls ?? []).map(({ id, name }) => [id, name]));
          if (missing.size === 0) break;
          const parts: LanguageModelV4ToolResultPart[] = [];
          for (
            let next = messages[i + 1];
            next?.role === "tool" && missing.delete(next.toolCallId);
            next = messages[i + 1]
          ) {
            parts.push(convertResult(next));
            i++;
          }
          for (const [id, name] of missing) parts.push(resultPart(id, name, NOT_RUN));
          prompt.push({ role: "tool", content: parts });
        }
      }
    }
    if (setCacheControl === "default_end") markCache(prompt, lastAssistant, client);
    return prompt;
  };
}

/** What the provider needs back of this reply, JSON; undefined when plain text and calls say it all. */
export function toProviderState(
  content: readonly LanguageModelV4Content[],
  { stateTag, echoesReasoning }: { stateTag: string; echoesReasoning: boolean },
): unknown {
  // Reasoning that was cut off before anything came of it: no provider takes it back alone.
  if (content.every(({ type }) => type === "reasoning")) return undefined;
  const hasCalls = content.some(({ type }) => type === "tool-call");
  const worthKeeping = content.some((part) =>
    ("providerMetadata" in part && part.providerMetadata !== undefined) ||
    (part.type === "reasoning" && echoesReasoning && hasCalls)
  );
  if (!worthKeeping) return undefined;
  const parts: AssistantPart[] = [];
  for (const part of content) {
    const providerOptions = part.type !== "tool-result" && part.providerMetadata !== undefined
      ? { providerOptions: part.providerMetadata as SharedV4ProviderOptions }
      : {};
    if (part.type === "text" || part.type === "reasoning") {
      parts.push({ type: part.type, text: part.text, ...providerOptions });
    } else if (part.type === "tool-call") {
      const { toolCallId, toolName, input } = part;
      parts.push({ type: "tool-call", toolCallId, toolName, input: parseArguments(input), ...providerOptions });
    } else if (part.type === "custom") {
      parts.push({ type: "custom", kind: part.kind, ...providerOptions });
    }
  }
  return { tag: stateTag, parts } satisfies ProviderState;
}

/** Undefined when there is none of this provider, or when the message was changed since (its text wins then). */
function storedParts(
  { content, toolCalls = [], providerState }: AssistantMessage,
  tag: string,
): AssistantPart[] | undefined {
  const state = providerState as Partial<ProviderState> | null | undefined;
  if (typeof state !== "object" || state === null || state.tag !== tag || !Array.isArray(state.parts)) return undefined;
  const parts = state.parts as readonly AssistantPart[];
  if (parts.some((part) => typeof part !== "object" || part === null)) return undefined;
  const text = parts.map((part) => part.type === "text" ? part.text : "").join("");
  const ids = parts.flatMap((part) => part.type === "tool-call" ? [part.toolCallId] : []);
  const unchanged = text === content && ids.length === toolCalls.length &&
    toolCalls.every(({ id }, i) => id === ids[i]);
  // Blocks without text are refused by Anthropic, unless a signature is all they carry.
  return unchanged
    ? parts.filter((part) => part.type !== "text" || part.text.trim() !== "" || part.providerOptions)
    : undefined;
}

function plainParts({ content, toolCalls = [] }: AssistantMessage): AssistantPart[] {
  return [
    ...(content.trim() === "" ? [] : [{ type: "text", text: content } as const]),
    ...toolCalls.map(({ id, name, arguments: text }: ToolCall) => ({
      type: "tool-call" as const,
      toolCallId: id,
      toolName: name,
      input: parseArguments(text),
    })),
  ];
}

/** An object, because Anthropic and Gemini take nothing else; what the model wrote is kept in it when it is no object. */
function parseArguments(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told to the model by the answer to its call.
  }
  return text.trim() === "" ? {} : { invalid_arguments: text };
}

function userMessage(text: string): LanguageModelV4Message {
  return { role: "user", content: [{ type: "text", text: text.trim() === "" ? EMPTY : text }] };
}

function resultPart(toolCallId: string, toolName: string, value: string): LanguageModelV4ToolResultPart {
  return { type: "tool-result", toolCallId, toolName, output: { type: "text", value } };
}

/**
 * Anthropic finds a cached prefix only up to 20 blocks before a marker, and one step can have more of them. So the end
 * of the previous query stays marked beside the new end, and the system prompt for what differs after it: 3 of 4 markers.
 */
function markCache(prompt: LanguageModelV4Prompt, lastAssistant: number, client: ClientKind): void {
  const cacheControl = { type: "ephemeral" } as const;
  const providerOptions: SharedV4ProviderOptions = client === "anthropic" || client === "vertex"
    ? { anthropic: { cacheControl } }
    : client === "openrouter"
    ? { openrouter: { cacheControl } }
    : client === "compatible"
    ? { openaiCompatible: { cache_control: cacheControl } }
    : {};
  const marked = new Set([prompt.length - 1, lastAssistant - 1, prompt[0]?.role === "system" ? 0 : -1]);
  for (const index of marked) {
    const message = prompt[index];
    if (message !== undefined) {
      prompt[index] = client === "compatible"
        ? markLastPart(message, providerOptions)
        : { ...message, providerOptions };
    }
  }
}

/** This client writes options of a user message or a tool result into the message only when a part carries them. */
function markLastPart(
  message: LanguageModelV4Message,
  providerOptions: SharedV4ProviderOptions,
): LanguageModelV4Message {
  if (message.role === "user") {
    const last = message.content.length - 1;
    return { ...message, content: message.content.map((part, i) => i === last ? { ...part, providerOptions } : part) };
  }
  if (message.role === "tool") {
    const last = message.content.length - 1;
    return { ...message, content: message.content.map((part, i) => i === last ? { ...part, providerOptions } : part) };
  }
  return { ...message, providerOptions };
}
