/** Sorts `model_kwargs`: what the client has an option for, what goes into the body as it is, what was meant for litellm. */
import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";
import { Failure } from "../failure.ts";
import type { EndpointSettings } from "./endpoint.ts";
import { isObject, type Json } from "./json.ts";
import type { ClientKind } from "./provider_table.ts";

export interface CallSettings {
  /** Given to the client, which knows what a model refuses. */
  readonly options: Partial<LanguageModelV4CallOptions>;
  /** Merged into the body; wins over what the client wrote. */
  readonly body: Readonly<Json>;
  readonly headers: Readonly<Record<string, string>>;
  readonly endpoint: EndpointSettings;
  /** Undefined: the usual number. */
  readonly maxAttempts: number | undefined;
  /** A price that the user gave with the call, USD per token. */
  readonly price: Readonly<Record<string, unknown>> | undefined;
  readonly vertex: { readonly project?: string; readonly location?: string };
  readonly singleToolCall: boolean;
  readonly warnings: readonly string[];
}

/** litellm handles these itself and sends none of them. */
const IGNORED = new Set([
  "additional_drop_params",
  "allowed_openai_params",
  "cache",
  "caching",
  "custom_llm_provider",
  "drop_params",
  "force_timeout",
  "litellm_params",
  "mock_response",
  "model_info",
  "ssl_verify",
  "vertex_credentials",
]);

/** The loop writes these itself. */
const OURS = new Set(["functions", "input", "messages", "model", "stream", "stream_options", "tools"]);

const EFFORTS = new Set(["none", "minimal", "low", "medium", "high", "xhigh", "max"]);

/** Room for the answer beside the thinking, when nobody said how much. */
const ANSWER_TOKENS = 16_384;

/**
 * Anthropic's format demands a limit. 32000 is what every Claude since 3.7 allows, and little enough for a reply to
 * come in one piece within the time limit of an attempt.
 */
function usualMaxTokens(model: string): number {
  if (/claude-(3-7|(opus|sonnet|haiku)-\d|fable-\d)/i.test(model)) return 32_000;
  return /claude-3-(haiku|opus|sonnet)/i.test(model) ? 4096 : 8192;
}

/** These refuse sampling parameters, and the client leaves them out. It does so for every Claude it does not know, too. */
const WITHOUT_SAMPLING = /claude-[a-z]+-(4-[78]|[5-9]|\d\d)(?!\d)/i;

export interface KwargsContext {
  readonly client: ClientKind;
  readonly api: "chat" | "responses";
  readonly model: string;
}

/**
 * null (Python's None) counts as "not given". Throws a usage `Failure` for the few keys that we read ourselves and that
 * have the wrong type; what goes to the provider is the provider's to judge.
 */
export function readModelKwargs(kwargs: Readonly<Json>, context: KwargsContext): CallSettings {
  const { client, api, model } = context;
  const anthropic = client === "anthropic" || (client === "vertex" && /claude/i.test(model));
  const google = client === "gemini" || (client === "vertex" && !anthropic);
  const given = Object.fromEntries(Object.entries(kwargs).filter(([, value]) => value !== null && value !== undefined));
  const warnings: string[] = [];
  const options: Partial<LanguageModelV4CallOptions> = {};
  const headers: Record<string, string> = {};
  const price: Json = {};
  let endpoint: EndpointSettings = {};
  let vertex: CallSettings["vertex"] = {};
  let body: Json = {};
  let maxAttempts: number | undefined;
  let singleToolCall = false;

  const numbers: Readonly<Record<string, keyof LanguageModelV4CallOptions>> = {
    temperature: "temperature",
    top_p: "topP",
    max_tokens: "maxOutputTokens",
    seed: "seed",
    presence_penalty: "presencePenalty",
    frequency_penalty: "frequencyPenalty",
    ...((anthropic || google) && { top_k: "topK", max_completion_tokens: "maxOutputTokens" }),
    ...(google && { max_output_tokens: "maxOutputTokens" }),
    ...(api === "responses" && { max_completion_tokens: "maxOutputTokens", max_output_tokens: "maxOutputTokens" }),
  };

  for (const [key, value] of Object.entries(given)) {
    if (IGNORED.has(key)) continue;
    if (OURS.has(key)) {
      warnings.push(`model_kwargs.${key} is not used: gocore writes it itself`);
      continue;
    }
    const option = Object.hasOwn(numbers, key) ? numbers[key] : undefined;
    const verbatim = anthropic && !WITHOUT_SAMPLING.test(model) && ["temperature", "top_p", "top_k"].includes(key);
    if (option !== undefined && typeof value === "number" && !verbatim) {
      Object.assign(options, { [option]: value });
      continue;
    }
    switch (key) {
      case "stop":
      case "stop_sequences":
        if (typeof value === "string") options.stopSequences = [value];
        else if (isTexts(value)) options.stopSequences = [...value];
        else body[key] = value;
        break;
      case "api_key":
        endpoint = { ...endpoint, apiKey: textOf(key, value) };
        break;
      case "api_base":
      case "base_url":
        endpoint = { ...endpoint, apiBase: textOf(key, value) };
        break;
      case "api_version":
        endpoint = { ...endpoint, apiVersion: textOf(key, value) };
        break;
      case "timeout":
      case "request_timeout":
        endpoint = { ...endpoint, timeoutSeconds: numberOf(key, value) };
        break;
      case "num_retries":
      case "max_retries":
        maxAttempts = Math.min(Math.max(Math.trunc(numberOf(key, value)), 0), 99) + 1;
        break;
      case "vertex_project":
        vertex = { ...vertex, project: textOf(key, value) };
        break;
      case "vertex_location":
        vertex = { ...vertex, location: textOf(key, value) };
        break;
      case "headers":
      case "extra_headers":
        for (const [name, text] of Object.entries(objectOf(key, value))) headers[name.toLowerCase()] = String(text);
        break;
      case "extra_body":
        body = mergeJson(body, objectOf(key, value));
        break;
      case "input_cost_per_token":
      case "output_cost_per_token":
      case "cache_read_input_token_cost":
      case "cache_creation_input_token_cost":
        price[key] = value;
        break;
      case "parallel_tool_calls":
        if (!anthropic && !google) body[key] = value;
        else if (value === false && anthropic) singleToolCall = true;
        else if (value === false) warnings.push(`model_kwargs.${key} is not used: ${model} cannot be told so`);
        break;
      case "reasoning_effort":
        if (anthropic || google) {
          if (typeof value === "string" && EFFORTS.has(value)) {
            options.reasoning = value as NonNullable<LanguageModelV4CallOptions["reasoning"]>;
          } else warnings.push(`model_kwargs.${key} is not used: "${String(value)}" is not an effort`);
        } else if (client === "compatible" || client === "openrouter") body[key] = value;
        // The client leaves sampling options out when it knows that the model reasons.
        else if (typeof value === "string" && EFFORTS.has(value)) {
          options.providerOptions = { openai: { reasoningEffort: value } };
        } else if (api === "responses") body = mergeJson(body, { reasoning: { effort: value } });
        else body[key] = value;
        break;
      case "thinking":
        if (google && isObject(value)) {
          body = mergeJson(body, { generationConfig: { thinkingConfig: thinkingConfig(value) } });
        } else body[key] = value;
        break;
      case "user":
        if (anthropic) body = mergeJson(body, { metadata: { user_id: value } });
        else body[key] = value;
        break;
      case "verbosity":
        if (api === "responses") body = mergeJson(body, { text: { verbosity: value } });
        else body[key] = value;
        break;
      case "tool_choice":
        body[key] = anthropic ? anthropicToolChoice(value) : value;
        break;
      case "safety_settings":
        body[google ? "safetySettings" : key] = value;
        break;
      default:
        body[key] = isObject(value) && isObject(body[key]) ? mergeJson(body[key], value) : value;
    }
  }

  if (anthropic) {
    const thinking = isObject(body.thinking) && body.thinking.type !== "disabled" ? body.thinking : undefined;
    if (thinking !== undefined) {
      for (const key of ["temperature", "top_k"]) {
        if (body[key] === undefined || body[key] === 1) continue;
        warnings.push(`model_kwargs.${key} is not used: a thinking model refuses it`);
        delete body[key];
      }
    }
    if (options.maxOutputTokens === undefined && body.max_tokens === undefined) {
      const budget = Number(thinking?.budget_tokens ?? 0);
      options.maxOutputTokens = budget > 0 ? budget + ANSWER_TOKENS : usualMaxTokens(model);
    }
  }
  return {
    options,
    body,
    headers,
    endpoint,
    maxAttempts,
    price: Object.keys(price).length > 0 ? price : undefined,
    vertex,
    singleToolCall,
    warnings,
  };
}

/** `extra` wins; objects are merged, anything else is replaced. Neither argument is changed. */
export function mergeJson(base: Readonly<Json>, extra: Readonly<Json>): Json {
  const merged: Json = { ...base };
  for (const [key, value] of Object.entries(extra)) {
    // A key of that name in a configuration file must not become a prototype.
    if (key === "__proto__") continue;
    const present = merged[key];
    merged[key] = isObject(present) && isObject(value) ? mergeJson(present, value) : value;
  }
  return merged;
}

function anthropicToolChoice(value: unknown): unknown {
  if (value === "auto" || value === "none") return { type: value };
  if (value === "required" || value === "any") return { type: "any" };
  if (isObject(value) && isObject(value.function)) return { type: "tool", name: value.function.name };
  return value;
}

function thinkingConfig(thinking: Json): Json {
  if (thinking.type === "disabled") return { thinkingBudget: 0 };
  const budget = thinking.budget_tokens;
  return { includeThoughts: true, ...(budget !== undefined && { thinkingBudget: budget }) };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function textOf(key: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw wrongType(key, "a text", value);
}

function numberOf(key: string, value: unknown): number {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number === "number" && Number.isFinite(number)) return number;
  throw wrongType(key, "a number", value);
}

function objectOf(key: string, value: unknown): Json {
  if (isObject(value)) return value;
  throw wrongType(key, "a mapping", value);
}

function wrongType(key: string, need: string, value: unknown): Failure {
  const found = Array.isArray(value) ? "a list" : isObject(value) ? "a mapping" : `a ${typeof value}`;
  return new Failure("usage", `Cannot use model_kwargs.${key}: need ${need}, found ${found}`, {
    hints: [`Correct \`model_kwargs.${key}\` in the configuration`],
  });
}
