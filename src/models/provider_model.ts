/** A `ChatModel` that asks a provider over HTTP. */
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  LanguageModelV4GenerateResult,
} from "@ai-sdk/provider";
import { Failure } from "../failure.ts";
import type { ChatMessage, ChatModel, ChatReply, FinishReason, QueryOptions } from "./chat_model.ts";
import { type Endpoint, resolveEndpoint } from "./endpoint.ts";
import { isObject, type Json } from "./json.ts";
import {
  type AttemptFailure,
  connectionFailure,
  type FailureContext,
  garbageFailure,
  localFailure,
  statusFailure,
  tell,
  timeoutFailure,
} from "./model_failure.ts";
import { type CallSettings, mergeJson, readModelKwargs } from "./model_kwargs.ts";
import { type ModelName, parseModelName } from "./model_name.ts";
import {
  costOf,
  loadPriceList,
  loadUserPrices,
  providerCost,
  readTokenPrices,
  type TokenPrices,
  UNKNOWN_COST,
} from "./price.ts";
import { createPromptBuilder, toProviderState } from "./prompt.ts";
import { createClient } from "./provider_clients.ts";
import { type ProviderId, type ProviderRow, providerTable } from "./provider_table.ts";
import { type AttemptResult, type Sleep, withRetries } from "./retry.ts";
import type { Cost, Usage } from "./usage.ts";
import { createWireFetch, type Exchange } from "./wire.ts";

export interface ProviderModelOptions {
  /** `provider/model`, or a bare model name. */
  readonly name: string;
  /** The provider, when something else than the name says it. */
  readonly provider?: string;
  readonly api: "chat" | "responses";
  readonly kwargs: Readonly<Json>;
  readonly setCacheControl: "default_end" | undefined;
  /** `disabled`: no price is looked up; a cost that the reply names is still told. */
  readonly costTracking: string;
  /** Absolute path of a price file in litellm's registry format. */
  readonly priceFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly sleep?: Sleep;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const BASH_TOOL: LanguageModelV4FunctionTool = {
  type: "function",
  name: "bash",
  description: "Execute a bash command",
  inputSchema: {
    type: "object",
    properties: { command: { type: "string", description: "The bash command to execute" } },
    required: ["command"],
  },
};

const FINISH_REASONS: Readonly<Record<string, FinishReason>> = {
  "stop": "stop",
  // What some servers of OpenAI's format say.
  "max_tokens": "length",
  "length": "length",
  "tool-calls": "tool_calls",
  "content-filter": "content_filter",
  "error": "error",
};

/**
 * Throws a usage `Failure` for a name, an address or settings that cannot be used. Nobody is contacted, no key is
 * needed and no package is loaded before the first query.
 */
export function createProviderModel(options: ProviderModelOptions): ChatModel {
  const custom = options.kwargs.custom_llm_provider;
  const hint = options.provider ?? (typeof custom === "string" && custom !== "" ? custom : undefined);
  const hasBase = [options.env.MINI_API_BASE, options.kwargs.api_base, options.kwargs.base_url]
    .some((base) => typeof base === "string" && base.trim() !== "");
  const parsed = parseModelName(options.name, { hasBase, provider: hint });
  if (parsed.provider === "scripted") throw new TypeError("A scripted model is loaded by loadScriptedModel");
  return new ProviderModel(options, parsed.provider, parsed);
}

class ProviderModel implements ChatModel {
  readonly name: string;
  readonly #options: ProviderModelOptions;
  readonly #provider: ProviderId;
  readonly #row: ProviderRow;
  readonly #model: string;
  readonly #api: "chat" | "responses";
  readonly #call: CallSettings;
  readonly #endpoint: Endpoint;
  readonly #failures: FailureContext;
  readonly #stateTag: string;
  readonly #toPrompt: ReturnType<typeof createPromptBuilder>;
  readonly #warned = new Set<string>();
  #client: LanguageModelV4 | undefined;
  #userPrices: Promise<TokenPrices | undefined> | undefined;
  #priceList: ReturnType<typeof loadPriceList> | undefined;
  #exchange: Exchange | undefined;

  constructor(options: ProviderModelOptions, provider: ProviderId, { model, api }: ModelName) {
    this.name = options.name;
    this.#options = options;
    this.#provider = provider;
    this.#row = providerTable[provider];
    this.#model = model;
    this.#api = api ?? options.api;
    const { client } = this.#row;
    this.#call = readModelKwargs(options.kwargs, { client, api: this.#api, model });
    this.#endpoint = resolveEndpoint(provider, options.env, this.#call.endpoint);
    this.#failures = {
      secrets: this.#endpoint.apiKey === undefined ? [] : [this.#endpoint.apiKey],
      keyVariable: this.#row.keyVariables[0] ?? "MINI_API_KEY",
      timeoutMs: this.#endpoint.timeoutMs,
      now: options.now ?? Date.now,
    };
    this.#stateTag = `${provider}/${this.#api}`;
    this.#toPrompt = createPromptBuilder({
      client,
      stateTag: this.#stateTag,
      setCacheControl: options.setCacheControl,
    });
  }

  async query(messages: readonly ChatMessage[], options: QueryOptions): Promise<ChatReply> {
    const { signal } = options;
    signal.throwIfAborted();
    for (const warning of this.#call.warnings) this.#warn(warning, options);
    await this.#userPrice();
    this.#client ??= await this.#createClient();
    const client = this.#client;
    // The list is large: it loads while the model thinks.
    if (this.#options.costTracking !== "disabled") (this.#priceList ??= loadPriceList()).catch(() => {});
    const callOptions: LanguageModelV4CallOptions = {
      ...this.#call.options,
      providerOptions: this.#providerOptions(),
      prompt: this.#toPrompt(messages),
      ...(options.bashTool && { tools: [BASH_TOOL], toolChoice: { type: "auto" } as const }),
    };
    const result = await withRetries(() => this.#attempt(client, callOptions, signal), {
      name: this.name,
      signal,
      maxAttempts: this.#call.maxAttempts,
      sleep: this.#options.sleep,
      onRetry: (notice) => options.onRetry(notice),
      onUnpricedAttempt: () => options.onUnpricedAttempt(),
    });
    return await this.#toReply(result, options);
  }

  /** One request with its own time limit. Throws only the reason of the caller's signal. */
  async #attempt(
    client: LanguageModelV4,
    callOptions: LanguageModelV4CallOptions,
    signal: AbortSignal,
  ): Promise<AttemptResult<LanguageModelV4GenerateResult>> {
    const attempt = new AbortController();
    let timedOut = false;
    let stop = () => {};
    // Raced as well as aborted: signing in to Google does not listen to signals.
    const stopped = new Promise<never>((_, reject) => {
      stop = () => {
        const reason = signal.aborted ? signal.reason : new DOMException("The attempt timed out", "TimeoutError");
        reject(reason);
        attempt.abort(reason);
      };
    });
    stopped.catch(() => {});
    const timer = setTimeout(() => {
      timedOut = true;
      stop();
    }, this.#endpoint.timeoutMs);
    const onAbort = () => stop();
    signal.addEventListener("abort", onAbort, { once: true });
    this.#exchange = undefined;
    try {
      const generated = Promise.resolve(client.doGenerate({ ...callOptions, abortSignal: attempt.signal }));
      generated.catch(() => {});
      return { ok: true, value: await Promise.race([generated, stopped]) };
    } catch (error) {
      signal.throwIfAborted();
      return { ok: false, failure: timedOut ? timeoutFailure(this.#failures) : this.#classify(error) };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Judged by what happened on the wire: the clients' error classes differ between runtimes. */
  #classify(error: unknown): AttemptFailure {
    const exchange = this.#exchange;
    if (exchange === undefined) return localFailure(error, this.#failures);
    if (exchange.connectionError !== undefined) {
      return connectionFailure(exchange, exchange.connectionError, this.#failures);
    }
    const { status } = exchange;
    if (status === undefined) return localFailure(error, this.#failures);
    if (status >= 200 && status <= 299) return garbageFailure(exchange, error, this.#failures);
    return statusFailure(exchange, this.#failures);
  }

  async #createClient(): Promise<LanguageModelV4> {
    const { client } = this.#row;
    try {
      return await createClient({
        provider: this.#provider,
        model: this.#model,
        api: this.#api,
        endpoint: this.#endpoint,
        headers: this.#call.headers,
        vertex: this.#call.vertex,
        env: this.#options.env,
        fetch: createWireFetch({
          client,
          shapeBody: (body) => this.#shapeBody(body),
          onExchange: (exchange) => {
            this.#exchange = exchange;
          },
        }),
      });
    } catch (error) {
      if (error instanceof Failure) throw error;
      const detail = tell(error instanceof Error ? error.message : String(error), this.#failures.secrets);
      throw new Failure("model", `Cannot make a client for ${this.name}: ${detail}`, { cause: error });
    }
  }

  #shapeBody(body: Json): Json {
    const { client } = this.#row;
    const extra = { ...this.#call.body };
    // Old name and new name of one limit; a provider refuses both together.
    if (extra.max_completion_tokens !== undefined) delete body.max_tokens;
    // Servers that must be asked for the cost of a call.
    const base = client === "openrouter" ? mergeJson({ usage: { include: true } }, body) : body;
    const merged = mergeJson(base, extra);
    if (!Array.isArray(merged.tools)) {
      delete merged.tool_choice;
      // OpenAI refuses it without tools, and the text protocol has none.
      delete merged.parallel_tool_calls;
    } else if (this.#call.singleToolCall) {
      const choice = typeof merged.tool_choice === "object" && merged.tool_choice !== null
        ? merged.tool_choice
        : { type: "auto" };
      merged.tool_choice = { ...choice, disable_parallel_tool_use: true };
    }
    if (client === "compatible" && Array.isArray(merged.messages)) {
      merged.messages = merged.messages.map(withCachedText);
    }
    return merged;
  }

  #providerOptions(): LanguageModelV4CallOptions["providerOptions"] {
    const given = this.#call.options.providerOptions;
    if (this.#api !== "responses" || (this.#row.client !== "openai" && this.#row.client !== "azure")) return given;
    // Nothing is kept at the provider: reasoning comes back encrypted and is sent again.
    const store = this.#call.body.store === true;
    // A summary is for verified organisations only; the client would ask for one with every effort.
    return { ...given, openai: { reasoningSummary: null, ...given?.openai, store } };
  }

  async #toReply(result: LanguageModelV4GenerateResult, options: QueryOptions): Promise<ChatReply> {
    for (const warning of result.warnings) {
      const what = warning.type === "other"
        ? warning.message
        : warning.type === "deprecated"
        ? undefined
        : `${warning.feature} ${warning.details === undefined ? "is not supported" : `(${warning.details})`}`;
      if (what !== undefined) this.#warn(`${this.name}: ${tell(what, this.#failures.secrets)}`, options);
    }
    const { content } = result;
    const raw = this.#exchange?.json ?? null;
    const texts = content.flatMap((part) => part.type === "text" ? [part.text] : []);
    const reasoning = content.flatMap((part) => part.type === "reasoning" && part.text !== "" ? [part.text] : []);
    const toolCalls = content.flatMap((part) =>
      part.type === "tool-call" && part.providerExecuted !== true
        ? [{ id: part.toolCallId, name: part.toolName, arguments: part.input }]
        : []
    );
    const found = readUsage(result, raw);
    const echoesReasoning = this.#row.echoesReasoning === true;
    return {
      content: texts.join(""),
      reasoning: reasoning.length > 0 ? reasoning.join("\n\n") : chatReasoning(raw),
      toolCalls,
      finishReason: FINISH_REASONS[result.finishReason.unified] ?? FINISH_REASONS[result.finishReason.raw ?? ""] ??
        "other",
      usage: found?.usage,
      cost: await this.#cost(found, raw),
      providerState: toProviderState(content, { stateTag: this.#stateTag, echoesReasoning }),
      raw,
    };
  }

  async #cost(found: FoundUsage | undefined, raw: unknown): Promise<Cost> {
    const told = providerCost(raw, this.#exchange?.headers);
    if (told !== undefined) return told;
    if (found === undefined || this.#options.costTracking === "disabled") return UNKNOWN_COST;
    const prices = await this.#userPrice();
    let cost = UNKNOWN_COST;
    if (prices !== undefined) cost = costOf(found.usage, prices, "user");
    else if (this.#row.priceId !== undefined && this.#priceList !== undefined) {
      const list = await this.#priceList.catch(() => undefined);
      const listed = list?.(this.#model, this.#row.priceId, new Date(this.#failures.now()));
      const { input, cacheRead, cacheWrite } = found.usage;
      if (listed !== undefined) cost = costOf(found.usage, listed.pricesFor(input + cacheRead + cacheWrite), "list");
    }
    return cost.usd === null || found.complete ? cost : { usd: cost.usd, source: "estimated" };
  }

  #userPrice(): Promise<TokenPrices | undefined> {
    const { priceFile, costTracking } = this.#options;
    const given = this.#call.price === undefined ? undefined : readTokenPrices(this.#call.price);
    if (given !== undefined) return Promise.resolve(given);
    if (priceFile === undefined || costTracking === "disabled") return Promise.resolve(undefined);
    const names = [this.name, this.#model, `${this.#provider}/${this.#model}`];
    return this.#userPrices ??= loadUserPrices(priceFile, names);
  }

  #warn(message: string, options: QueryOptions): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    options.onWarning(message);
  }
}

/** litellm's way to mark text for Anthropic's cache: the marker belongs to a part, and the client puts it beside the text. */
function withCachedText(message: unknown): unknown {
  if (typeof message !== "object" || message === null || !("cache_control" in message)) return message;
  const { cache_control, content, ...rest } = message as Json;
  if (typeof content !== "string" || content === "") return { ...rest, content };
  return { ...rest, content: [{ type: "text", text: content, cache_control }] };
}

interface FoundUsage {
  readonly usage: Usage;
  /** False when a part had to be taken as 0. */
  readonly complete: boolean;
}

function readUsage({ usage }: LanguageModelV4GenerateResult, raw: unknown): FoundUsage | undefined {
  const wire = isObject(raw) ? raw.usage ?? raw.usageMetadata : undefined;
  if (!isObject(wire)) return undefined;
  const details = isObject(wire.prompt_tokens_details) ? wire.prompt_tokens_details : {};
  const { inputTokens, outputTokens } = usage;
  // Anthropic's two are filled in with 0 before the client sees them.
  const saysInput = inputTokens.total !== undefined && (!("output_tokens" in wire) || wire.input_tokens !== undefined);
  const saysOutput = outputTokens.total !== undefined &&
    (!("input_tokens" in wire) || wire.output_tokens !== undefined);
  if (!saysInput && !saysOutput) return undefined;
  const total = count(inputTokens.total);
  // DeepSeek's and litellm's fields, which the clients do not know.
  const cacheRead = Math.min(
    total,
    count(inputTokens.cacheRead || wire.prompt_cache_hit_tokens || wire.cache_read_input_tokens),
  );
  const cacheWrite = Math.min(
    total - cacheRead,
    count(inputTokens.cacheWrite || wire.cache_creation_input_tokens || details.cache_write_tokens),
  );
  const output = count(outputTokens.total);
  const reasoning = Math.min(output, count(outputTokens.reasoning));
  // Anthropic's, which its client leaves out: both have prices of their own.
  const written = isObject(wire.cache_creation) ? wire.cache_creation : {};
  const cacheWrite1h = Math.min(cacheWrite, count(written.ephemeral_1h_input_tokens));
  const webSearches = isObject(wire.server_tool_use) ? count(wire.server_tool_use.web_search_requests) : 0;
  return {
    usage: {
      input: total - cacheRead - cacheWrite,
      cacheRead,
      cacheWrite,
      ...(cacheWrite1h > 0 && { cacheWrite1h }),
      output,
      reasoning,
      ...(webSearches > 0 && { webSearches }),
    },
    complete: saysInput && saysOutput,
  };
}

/** Reasoning beside a chat reply; OpenAI's own client does not read it, many servers of its format send it. */
function chatReasoning(raw: unknown): string {
  const choice: unknown = isObject(raw) && Array.isArray(raw.choices) ? raw.choices[0] : undefined;
  const message = isObject(choice) && isObject(choice.message) ? choice.message : {};
  const text = message.reasoning_content ?? message.reasoning;
  return typeof text === "string" ? text : "";
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
}
