/** What a language model is to the agent: messages in, one reply out. */
import type { Cost, Usage } from "./usage.ts";

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** The arguments as the model wrote them: JSON text, possibly invalid. */
  readonly arguments: string;
}

export type ChatMessage =
  | { readonly role: "system" | "user"; readonly content: string }
  | {
    readonly role: "assistant";
    readonly content: string;
    readonly toolCalls?: readonly ToolCall[];
    /** What the same provider needs back unchanged (signed reasoning, for example); opaque to everyone else, JSON. */
    readonly providerState?: unknown;
  }
  | { readonly role: "tool"; readonly toolCallId: string; readonly toolName: string; readonly content: string };

/** litellm's words, because templates of mini-swe-agent compare against them. */
export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "error" | "other";

export interface ChatReply {
  readonly content: string;
  /** The provider's own reasoning text; empty when there is none. */
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  /** Undefined when the provider did not say. */
  readonly usage: Usage | undefined;
  readonly cost: Cost;
  readonly providerState?: unknown;
  /** The provider's own reply, JSON, for the trajectory. */
  readonly raw: unknown;
}

/** A failed attempt that will be repeated after `waitMs`. */
export interface RetryNotice {
  /** The attempt that failed, from 1. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly waitMs: number;
  /** HTTP status, or undefined when no reply came. */
  readonly status: number | undefined;
  readonly message: string;
}

export interface QueryOptions {
  /** Offer the `bash` tool. Without it the model answers in text. */
  readonly bashTool: boolean;
  readonly signal: AbortSignal;
  onRetry(notice: RetryNotice): void;
  /** An attempt brought no reply, but the model may have worked: nobody knows what it cost. */
  onUnpricedAttempt(): void;
  /** Something worth telling that does not fail the call, such as a parameter that the provider ignores. */
  onWarning(message: string): void;
}

/**
 * Answers a conversation. Repeats what is worth repeating and then throws a `Failure` of kind `model`; throws the
 * signal's reason as soon as the signal aborts. Holds no state of the conversation. Queries do not overlap.
 */
export interface ChatModel {
  /** As the user named it, `anthropic/claude-sonnet-4-20250514`. */
  readonly name: string;
  query(messages: readonly ChatMessage[], options: QueryOptions): Promise<ChatReply>;
}
