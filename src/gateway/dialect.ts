/** What the gateway knows of one wire format: how a request is read, a reply is metered, an error is told. */
import type { Json } from "../models/json.ts";
import type { Usage } from "../models/usage.ts";
import type { Refusal } from "./refusal.ts";

export type DialectId = "anthropic" | "openai_chat" | "openai_responses" | "gemini";

/** What a request asks for, as far as money and metering are concerned. */
export interface CallRequest {
  /** As the client named it. */
  readonly model: string;
  /** Those that the request lets the provider answer with instead. */
  readonly otherModels: readonly string[];
  /** The reply comes in pieces. */
  readonly streamed: boolean;
  /** The most output tokens that the request allows, for all its alternatives together; undefined: it sets no limit. */
  readonly maxOutputTokens: number | undefined;
  /** How many alternatives it asks for. */
  readonly choices: number;
  /** What the list's prices are multiplied by at most, because it asks for a dearer service; 1: it does not. */
  readonly priceFactor: number;
  /** What the input is likely to have, for estimates and for the rate gate. */
  readonly inputTokens: number;
  /**
   * What the input can have at most: a token of text is a byte at least, media count with a fixed bound each, and what
   * searches of the web find with a fixed allowance.
   */
  readonly maxInputTokens: number;
  /** How many searches of the web are reckoned with; 0: the provider is not allowed to search. */
  readonly webSearches: number;
  /**
   * The request refers to input that is not in it (a stored conversation, a URL) or is compressed (a document): it may
   * fill the context window.
   */
  readonly hasHiddenInput: boolean;
}

/** What a reply has told so far. */
export interface ReplyReading {
  /** What the provider counted; undefined as long as it said nothing. Later counts replace earlier ones, part by part. */
  readonly usage: Usage | undefined;
  /** The counts are those of the whole reply, not of its beginning. */
  readonly usageIsFinal: boolean;
  /** USD, when the reply names its own cost (OpenRouter, LiteLLM). */
  readonly costUsd: number | undefined;
  /** The price list does not hold for this reply: another service tier, audio, paid tools that nobody can price. */
  readonly isOffList: boolean;
  /** As the provider names it. */
  readonly model: string | undefined;
  readonly responseId: string | undefined;
  readonly finishReasons: readonly string[];
  /** UTF-8 bytes of output that went past (text, reasoning, tool arguments): the base of an estimate. */
  readonly outputBytes: number;
  /** Bytes that were no JSON, or more than is read: they may have been output. */
  readonly unreadBytes: number;
  /** The provider ended the reply in its own way, so nothing is missing. */
  readonly isComplete: boolean;
  /** The provider reported an error inside a reply that had begun well: its type. */
  readonly errorType: string | undefined;
}

/** Meters one reply. Never throws: what it does not understand does not count. */
export interface ReplyReader {
  /** One JSON document: a whole reply, or the data of one server-sent event. */
  take(document: Json): void;
  /** Something that cannot be read went past, of so many bytes. */
  skip(bytes: number): void;
  readonly reading: ReplyReading;
}

export interface Dialect {
  readonly id: DialectId;
  /**
   * Reads a request's body. `path` is the request's path from the version on (`/v1beta/models/x:generateContent`): some
   * formats have the model there. Throws a `Refusal` (400) when something that the gateway needs is missing.
   */
  readCall(body: Json, path: string, bodyBytes: number): CallRequest;
  createReader(): ReplyReader;
  /** The same request asking for another model. */
  withModel(request: { readonly path: string; readonly body: Json }, model: string): { path: string; body: Json };
  /** The body of an error reply, in the shape that this format's clients expect. */
  errorBody(refusal: Refusal): Json;
}
