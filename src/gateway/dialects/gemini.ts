/** Google's Gemini API, also where Vertex AI offers it. */
import { isObject, type Json } from "../../models/json.ts";
import type { CallRequest, Dialect, ReplyReader } from "../dialect.ts";
import type { Refusal, RefusalKind } from "../refusal.ts";
import { errorFields } from "./error_fields.ts";
import { readGeminiPath, writeGeminiPath } from "./gemini_path.ts";
import { addFinishReason, count, emptyReading, jsonBytes, label, textBytes, toUsage } from "./reply_fields.ts";
import { InputMeter, objectOf, objectsOf, readChoices, readModelName, readOutputLimit } from "./request_fields.ts";

export const gemini: Dialect = {
  id: "gemini",
  readCall,
  createReader,
  withModel({ path, body }, model) {
    const place = readGeminiPath(path);
    return { path: place === undefined ? path : writeGeminiPath(place, model), body };
  },
  errorBody,
};

/** 16 tiles of 258 tokens; Gemini 3's highest resolution is 2240. */
const MAX_IMAGE_TOKENS = 5_000;
const CLIENT_TOOLS: ReadonlySet<string> = new Set([
  "functionDeclarations",
  "function_declarations",
  "computerUse",
  "computer_use",
]);

/** Run by the provider, and reckoned with; all other tools of its own are not. */
const SEARCHES: ReadonlySet<string> = new Set(["googleSearch", "google_search"]);

/** Every field of this API has two spellings, its servers take both, and nobody says which holds when both are there. */
function both(object: Json, camelCase: string, snakeCase: string): unknown[] {
  return [object[camelCase], object[snakeCase]];
}

function has(object: Json, camelCase: string, snakeCase: string): boolean {
  return both(object, camelCase, snakeCase).some((value) => value !== undefined);
}

/** The servers take an object for a list of one. */
function listOf(value: unknown): Json[] {
  return isObject(value) ? [value] : objectsOf(value);
}

function readCall(body: Json, path: string, bodyBytes: number): CallRequest {
  const place = readGeminiPath(path);
  const model = readModelName(place?.model, "the part of the path before the method");
  const meter = new InputMeter();
  for (const content of [body.contents, ...both(body, "systemInstruction", "system_instruction")].flatMap(listOf)) {
    for (const part of listOf(content.parts)) meterPart(meter, part);
  }
  const tools = listOf(body.tools);
  meter.addTools(tools.length, tools.filter((tool) => has(tool, "computerUse", "computer_use")).length);
  for (const name of tools.flatMap((tool) => Object.keys(tool))) {
    if (SEARCHES.has(name)) meter.addWebSearch();
    else if (!CLIENT_TOOLS.has(name)) meter.addHiddenInput();
  }
  if (has(body, "cachedContent", "cached_content")) meter.addHiddenInput();
  const configs = both(body, "generationConfig", "generation_config").map(objectOf);
  return {
    model,
    otherModels: [],
    streamed: place?.method === "streamGenerateContent",
    ...readChoices(
      readOutputLimit(...configs.flatMap((config) => both(config, "maxOutputTokens", "max_output_tokens"))),
      readOutputLimit(...configs.flatMap((config) => both(config, "candidateCount", "candidate_count"))),
    ),
    priceFactor: 1,
    ...meter.measure(bodyBytes),
  };
}

function meterPart(meter: InputMeter, part: Json): void {
  meterMedia(meter, part);
  for (const result of both(part, "functionResponse", "function_response")) {
    for (const inner of listOf(objectOf(result).parts)) meterMedia(meter, inner);
  }
}

function meterMedia(meter: InputMeter, part: Json): void {
  if (has(part, "fileData", "file_data")) meter.addHiddenInput();
  for (const inline of both(part, "inlineData", "inline_data").map(objectOf)) {
    const { data } = inline;
    if (typeof data !== "string") continue;
    const types = both(inline, "mimeType", "mime_type").filter((type) => type !== undefined).map(String);
    const isAll = (kinds: RegExp) => types.length > 0 && types.every((type) => kinds.test(type));
    if (isAll(/^image\//i)) meter.addImage(data, MAX_IMAGE_TOKENS);
    // Text has less tokens than bytes, and sound, at 32 tokens a second, too.
    else if (!isAll(/^(?:text|audio)\//i)) meter.addDocument(data);
  }
}

const COUNTS = [
  "promptTokenCount",
  "cachedContentTokenCount",
  "candidatesTokenCount",
  "thoughtsTokenCount",
  "toolUsePromptTokenCount",
  "totalTokenCount",
] as const;
const DETAILS = [
  "promptTokensDetails",
  "cacheTokensDetails",
  "candidatesTokensDetails",
  "toolUsePromptTokensDetails",
] as const;

function createReader(): ReplyReader {
  const reading = emptyReading();
  const said: { [Name in (typeof COUNTS)[number]]?: number } = {};

  function takeUsage(usage: Json): void {
    for (const name of COUNTS) said[name] = count(usage[name]) ?? said[name];
    const { trafficType: traffic, serviceTier: tier } = usage;
    const isListTraffic = traffic === undefined || traffic === "ON_DEMAND" || traffic === "TRAFFIC_TYPE_UNSPECIFIED";
    const isListTier = tier === undefined || /^(?:standard|(?:service_tier_)?unspecified)$/i.test(String(tier));
    if (!isListTraffic || !isListTier || DETAILS.some((name) => hasDearTokens(usage[name], name))) {
      reading.isOffList = true;
    }
    const prompt = said.promptTokenCount;
    const { thoughtsTokenCount: thoughts = 0, toolUsePromptTokenCount: toolResults = 0 } = said;
    const candidates = said.candidatesTokenCount ??
      Math.max(0, (said.totalTokenCount ?? 0) - (prompt ?? 0) - toolResults - thoughts);
    if (COUNTS.every((name) => said[name] === undefined)) return;
    const cacheRead = Math.min(said.cachedContentTokenCount ?? 0, prompt ?? 0);
    reading.usage = toUsage({
      input: (prompt ?? 0) - cacheRead + toolResults,
      cacheRead,
      cacheWrite: 0,
      cacheWrite1h: 0,
      output: candidates + thoughts,
      reasoning: thoughts,
      webSearches: 0,
    });
  }

  return {
    reading,
    skip(bytes) {
      reading.unreadBytes += bytes;
    },
    take(document) {
      reading.model = label(document.modelVersion) ?? reading.model;
      reading.responseId = label(document.responseId) ?? reading.responseId;
      for (const candidate of objectsOf(document.candidates)) {
        for (const part of objectsOf(objectOf(candidate.content).parts)) reading.outputBytes += partBytes(part);
        addFinishReason(reading, candidate.finishReason);
        if (label(candidate.finishReason) !== undefined) reading.isComplete = true;
        const { webSearchQueries, groundingChunks } = objectOf(candidate.groundingMetadata);
        for (const found of [webSearchQueries, groundingChunks]) {
          if (Array.isArray(found) && found.length > 0) reading.isOffList = true;
        }
      }
      const blocked = label(objectOf(document.promptFeedback).blockReason);
      if (blocked !== undefined) {
        addFinishReason(reading, blocked);
        reading.isComplete = true;
      }
      if (isObject(document.usageMetadata)) takeUsage(document.usageMetadata);
      const saidOutput = said.candidatesTokenCount ?? said.totalTokenCount ?? said.thoughtsTokenCount;
      if (reading.isComplete && said.promptTokenCount !== undefined && saidOutput !== undefined) {
        reading.usageIsFinal = true;
      }
      if (isObject(document.error)) {
        const { status, code } = document.error;
        reading.errorType = label(status) ?? (typeof code === "number" ? String(code) : "error");
      }
    },
  };
}

/** Sound in and out, and pictures out, have prices of their own. */
function hasDearTokens(details: unknown, name: (typeof DETAILS)[number]): boolean {
  return objectsOf(details).some(({ modality, tokenCount }) =>
    (count(tokenCount) ?? 0) > 0 &&
    (modality === "AUDIO" || (modality === "IMAGE" && name === "candidatesTokensDetails"))
  );
}

function partBytes(part: Json): number {
  return textBytes(part.text) + jsonBytes(objectOf(part.functionCall).args) +
    textBytes(objectOf(part.executableCode).code);
}

/** The names of google.rpc.Code; none that means "ask again" for what will not change. */
const ERROR_STATUS: Record<RefusalKind, string> = {
  bad_request: "INVALID_ARGUMENT",
  authentication: "UNAUTHENTICATED",
  // Not RESOURCE_EXHAUSTED: clients take that for a rate limit.
  budget: "FAILED_PRECONDITION",
  forbidden: "PERMISSION_DENIED",
  not_found: "NOT_FOUND",
  method_not_allowed: "UNIMPLEMENTED",
  request_timeout: "DEADLINE_EXCEEDED",
  no_recording: "FAILED_PRECONDITION",
  too_large: "INVALID_ARGUMENT",
  unsupported_encoding: "INVALID_ARGUMENT",
  misdirected: "INVALID_ARGUMENT",
  upgrade_refused: "UNIMPLEMENTED",
  headers_too_large: "INVALID_ARGUMENT",
  internal: "INTERNAL",
  upstream: "UNAVAILABLE",
  unavailable: "UNAVAILABLE",
  upstream_timeout: "DEADLINE_EXCEEDED",
};

function errorBody(refusal: Refusal): Json {
  const { kind, status, message } = refusal;
  const reason = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: kind.toUpperCase(), domain: "gocore" };
  return {
    error: { code: status, message, status: ERROR_STATUS[kind], details: [reason], gocore: errorFields(refusal) },
  };
}
