/** Anthropic's Messages API. */
import { isObject, type Json } from "../../models/json.ts";
import type { CallRequest, Dialect, ReplyReader } from "../dialect.ts";
import type { Refusal, RefusalKind } from "../refusal.ts";
import { errorFields } from "./error_fields.ts";
import {
  addFinishReason,
  count,
  emptyReading,
  jsonBytes,
  label,
  most,
  takeCost,
  textBytes,
  toUsage,
  type UsageParts,
} from "./reply_fields.ts";
import {
  InputMeter,
  objectOf,
  objectsOf,
  readChoices,
  readModelName,
  readOtherModels,
  readOutputLimit,
  withModelInBody,
} from "./request_fields.ts";

export const anthropic: Dialect = {
  id: "anthropic",
  readCall,
  createReader,
  withModel: withModelInBody,
  errorBody,
};

/** Per Anthropic's price list: its fast mode, and inference in one region only. */
const FAST_FACTOR = 6;
const REGION_FACTOR = 1.1;
/** The newest models take pictures of up to 4784 tokens, the others of up to 1600. */
const MAX_IMAGE_TOKENS = 5_000;
/** Tools that the client runs, although the provider describes them. */
const CLIENT_TOOL = /^(?:bash|text_editor|computer|browser|memory|tool_search)_/;
/** A block in a tool's result in a document in a message; more has no meaning, and counts by its bytes. */
const MAX_NESTING = 4;

function readCall(body: Json, _path: string, bodyBytes: number): CallRequest {
  const meter = new InputMeter();
  for (const message of objectsOf(body.messages)) meterBlocks(meter, message.content, 1);
  let tools = 0;
  let providerTools = 0;
  for (const { type } of objectsOf(body.tools)) {
    tools++;
    if (typeof type !== "string" || type === "custom") continue;
    if (CLIENT_TOOL.test(type)) providerTools++;
    else if (type.startsWith("web_search_")) meter.addWebSearch();
    else meter.addHiddenInput();
  }
  meter.addTools(tools, providerTools);
  const hasThread = objectOf(body.thread).type === "continue";
  const hasServers = Array.isArray(body.mcp_servers) && body.mcp_servers.length > 0;
  if (hasThread || hasServers || isObject(body.container) || typeof body.container === "string") meter.addHiddenInput();
  return {
    model: readModelName(body.model, '"model" in the body'),
    otherModels: readOtherModels(body),
    streamed: body.stream === true,
    ...readChoices(readOutputLimit(body.max_tokens), 1),
    priceFactor: (body.speed === "fast" ? FAST_FACTOR : 1) * (body.inference_geo === "us" ? REGION_FACTOR : 1),
    ...meter.measure(bodyBytes),
  };
}

function meterBlocks(meter: InputMeter, content: unknown, nesting: number): void {
  if (nesting > MAX_NESTING) return;
  for (const block of objectsOf(content)) {
    if (block.type === "tool_result") meterBlocks(meter, block.content, nesting + 1);
    if (block.type === "container_upload" || block.type === "web_fetch_tool_result") meter.addHiddenInput();
    if ((block.type !== "image" && block.type !== "document") || !isObject(block.source)) continue;
    const { type, data, content: parts } = block.source;
    if (type === "content") meterBlocks(meter, parts, nesting + 1);
    else if (type === "base64" && typeof data === "string") {
      if (block.type === "image") meter.addImage(data, MAX_IMAGE_TOKENS);
      else meter.addDocument(data);
    } else if (type !== "text") meter.addHiddenInput();
  }
}

/** What one usage object says; undefined: nothing about that part. */
type Said = { -readonly [Part in keyof UsageParts]?: number };

const PARTS = ["input", "cacheRead", "cacheWrite", "cacheWrite1h", "output", "reasoning", "webSearches"] as const;

function readSaid(usage: Json): Said {
  const kept = objectOf(usage.cache_creation);
  const hour = count(kept.ephemeral_1h_input_tokens);
  const minutes = count(kept.ephemeral_5m_input_tokens);
  const split = hour === undefined && minutes === undefined ? undefined : (hour ?? 0) + (minutes ?? 0);
  return {
    input: count(usage.input_tokens),
    cacheRead: count(usage.cache_read_input_tokens),
    cacheWrite: most(count(usage.cache_creation_input_tokens), split),
    cacheWrite1h: hour,
    output: count(usage.output_tokens),
    reasoning: count(objectOf(usage.output_tokens_details).thinking_tokens),
    webSearches: count(objectOf(usage.server_tool_use).web_search_requests),
  };
}

function createReader(): ReplyReader {
  const reading = emptyReading();
  const said: Said = {};
  /** Sampling that the totals leave out: summaries of the conversation, and another model's advice. */
  let beside: Said = {};
  const offList = { tier: false, speed: false, place: false, otherModel: false };

  function takeUsage(document: Json): void {
    const { usage } = document;
    if (!isObject(usage)) return;
    const found = readSaid(usage);
    for (const part of PARTS) said[part] = found[part] ?? said[part];
    if (Array.isArray(usage.iterations)) {
      beside = {};
      for (const iteration of objectsOf(usage.iterations)) {
        const { type } = iteration;
        if (type === "advisor_message" || type === "fallback_message") offList.otherModel = true;
        if (type !== "compaction" && type !== "advisor_message") continue;
        const extra = readSaid(iteration);
        for (const part of PARTS) beside[part] = (beside[part] ?? 0) + (extra[part] ?? 0);
      }
    }
    const { service_tier: tier, speed, inference_geo: place } = usage;
    if (typeof tier === "string") offList.tier = tier !== "standard";
    if (typeof speed === "string") offList.speed = speed !== "standard";
    // Keeping the work in one country costs extra.
    if (typeof place === "string") offList.place = place !== "global" && place !== "not_available";
    reading.isOffList = Object.values(offList).includes(true);
    takeCost(reading, document);
    if (PARTS.every((part) => said[part] === undefined)) return;
    const sum = (part: keyof UsageParts) => (said[part] ?? 0) + (beside[part] ?? 0);
    reading.usage = toUsage({
      input: sum("input"),
      cacheRead: sum("cacheRead"),
      cacheWrite: sum("cacheWrite"),
      cacheWrite1h: sum("cacheWrite1h"),
      output: sum("output"),
      reasoning: sum("reasoning"),
      webSearches: sum("webSearches"),
    });
  }

  function takeEnd(document: Json, reason: unknown): void {
    addFinishReason(reading, reason);
    if (label(reason) !== undefined) reading.isComplete = true;
    // Nobody asks with nothing: an input that was never told is not 0.
    const saidInput = said.input !== undefined || said.cacheRead !== undefined || said.cacheWrite !== undefined;
    if (isObject(document.usage) && saidInput && count(document.usage.output_tokens) !== undefined) {
      reading.usageIsFinal = true;
    }
  }

  function takeMessage(message: Json): void {
    reading.model = label(message.model) ?? reading.model;
    reading.responseId = label(message.id) ?? reading.responseId;
    takeUsage(message);
  }

  return {
    reading,
    skip(bytes) {
      reading.unreadBytes += bytes;
    },
    take(document) {
      // Small servers leave the type of a whole reply out.
      const type = document.type ?? (document.content === undefined ? undefined : "message");
      switch (type) {
        case "message_start":
          takeMessage(objectOf(document.message));
          break;
        case "content_block_start":
          reading.outputBytes += blockBytes(objectOf(document.content_block));
          break;
        case "content_block_delta": {
          const delta = objectOf(document.delta);
          reading.outputBytes += textBytes(delta.text ?? delta.thinking ?? delta.partial_json ?? delta.content);
          break;
        }
        case "message_delta":
          takeUsage(document);
          takeEnd(document, objectOf(document.delta).stop_reason);
          break;
        case "message_stop":
          reading.isComplete = true;
          break;
        case "message":
          takeMessage(document);
          for (const block of objectsOf(document.content)) reading.outputBytes += blockBytes(block);
          reading.isComplete = true;
          takeEnd(document, document.stop_reason);
          break;
        default:
          if (isObject(document.error)) reading.errorType = label(document.error.type) ?? "error";
      }
    },
  };
}

function blockBytes(block: Json): number {
  // What other parties wrote, such as the results of searches, is no output of the model.
  if (String(block.type).endsWith("_result")) return 0;
  const text = block.text ?? block.thinking ?? block.data ?? block.content;
  return textBytes(text) + jsonBytes(block.input);
}

const ERROR_TYPE: Record<RefusalKind, string> = {
  bad_request: "invalid_request_error",
  authentication: "authentication_error",
  // Never `rate_limit_error`: clients would ask again.
  budget: "billing_error",
  forbidden: "permission_error",
  not_found: "not_found_error",
  method_not_allowed: "invalid_request_error",
  request_timeout: "timeout_error",
  no_recording: "invalid_request_error",
  too_large: "request_too_large",
  unsupported_encoding: "invalid_request_error",
  misdirected: "invalid_request_error",
  upgrade_refused: "invalid_request_error",
  headers_too_large: "request_too_large",
  internal: "api_error",
  upstream: "api_error",
  unavailable: "overloaded_error",
  upstream_timeout: "timeout_error",
};

function errorBody(refusal: Refusal): Json {
  const { kind, message } = refusal;
  return { type: "error", error: { type: ERROR_TYPE[kind], message, gocore: errorFields(refusal) } };
}
