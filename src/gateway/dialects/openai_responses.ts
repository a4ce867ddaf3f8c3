/** OpenAI's Responses API. */
import { isObject, type Json } from "../../models/json.ts";
import type { CallRequest, Dialect, ReplyReader } from "../dialect.ts";
import { Refusal } from "../refusal.ts";
import { openaiErrorBody } from "./openai_error.ts";
import { meterImageUrl } from "./openai_image.ts";
import { OpenaiUsage, textsOf, tierFactor } from "./openai_usage.ts";
import { addFinishReason, emptyReading, jsonBytes, label, textBytes } from "./reply_fields.ts";
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

export const openaiResponses: Dialect = {
  id: "openai_responses",
  readCall,
  createReader,
  withModel: withModelInBody,
  errorBody: openaiErrorBody,
};

/** Described in the request itself. */
const DESCRIBED_TOOLS: ReadonlySet<unknown> = new Set(["function", "custom", "namespace"]);
/** Run by the client, described by the provider. */
const CLIENT_TOOLS: ReadonlySet<unknown> = new Set([
  "local_shell",
  "apply_patch",
  "computer",
  "computer_use_preview",
  "tool_search",
  "programmatic_tool_calling",
]);

function readCall(body: Json, _path: string, bodyBytes: number): CallRequest {
  const model = readModelName(body.model, '"model" in the body');
  if (body.background === true) {
    throw new Refusal(
      "bad_request",
      'The gateway meters a reply as it passes, and one that is made in the background never does: leave out "background"',
    );
  }
  const meter = new InputMeter();
  const tools = objectsOf(body.tools);
  for (const entry of objectsOf(body.input)) {
    meterParts(meter, entry.content, model);
    meterParts(meter, entry.output, model);
    if (entry.type === "item_reference" || entry.type === "code_interpreter_call") meter.addHiddenInput();
    if (entry.type === "image_generation_call") meterImageUrl(meter, imageUrlOf(entry.result), model);
    if (entry.type === "computer_call_output") meterParts(meter, [entry.output], model);
    if (entry.type === "additional_tools") tools.push(...objectsOf(entry.tools));
  }
  let providerTools = 0;
  for (const { type, environment } of tools) {
    if (DESCRIBED_TOOLS.has(type)) continue;
    const runsHere = CLIENT_TOOLS.has(type) || (type === "shell" && objectOf(environment).type === "local");
    if (runsHere) providerTools++;
    else if (typeof type === "string" && type.startsWith("web_search")) meter.addWebSearch();
    else meter.addHiddenInput();
  }
  meter.addTools(tools.length, providerTools);
  const { previous_response_id: previous, conversation, prompt } = body;
  if ([previous, conversation, prompt].some((stored) => stored !== undefined && stored !== null)) {
    meter.addHiddenInput();
  }
  return {
    model,
    otherModels: readOtherModels(body),
    streamed: body.stream === true,
    ...readChoices(readOutputLimit(body.max_output_tokens), 1),
    priceFactor: tierFactor(body.service_tier),
    ...meter.measure(bodyBytes),
  };
}

function imageUrlOf(base64: unknown): string | undefined {
  return typeof base64 === "string" ? `data:image/png;base64,${base64}` : undefined;
}

function meterParts(meter: InputMeter, parts: unknown, model: string): void {
  for (const part of objectsOf(parts)) {
    if (part.type === "input_image" || part.type === "computer_screenshot") {
      if (typeof part.image_url === "string") meterImageUrl(meter, part.image_url, model);
      else if (part.file_id !== undefined) meter.addHiddenInput();
    } else if (part.type === "input_file") {
      if (typeof part.file_data === "string") meter.addDocument(part.file_data);
      else meter.addHiddenInput();
    }
  }
}

/** How a reply can end, as events and `status` name it. */
const ENDINGS: ReadonlySet<string> = new Set(["completed", "incomplete", "failed", "cancelled"]);
/** Calls of tools that the provider runs and charges for in ways that usage does not tell. */
const PAID_CALLS: ReadonlySet<unknown> = new Set([
  "file_search_call",
  "code_interpreter_call",
  "image_generation_call",
]);

function createReader(): ReplyReader {
  const reading = emptyReading();
  const usage = new OpenaiUsage(reading);
  const done = { bytes: 0, searches: 0 };
  let streamedBytes = 0;

  /** The same output comes up to three times: in pieces, item by item, and whole. The largest account of it counts. */
  function takeOutput(bytes: number, searches: number): void {
    reading.outputBytes = Math.max(reading.outputBytes, bytes);
    if (searches > 0) usage.takeWebSearches(searches);
  }

  function countItem(entry: Json): { bytes: number; searches: number } {
    const { type, action, environment } = entry;
    if (PAID_CALLS.has(type) || objectOf(environment).type === "container_reference") usage.takePaidExtra();
    // Opening a page that was found is free.
    const isSearch = type === "web_search_call" && (objectOf(action).type ?? "search") === "search";
    return { bytes: itemBytes(entry), searches: isSearch ? 1 : 0 };
  }

  function takeResponse(response: Json, ending: string | undefined): void {
    reading.model = label(response.model) ?? reading.model;
    reading.responseId = label(response.id) ?? reading.responseId;
    usage.takeTier(response.service_tier);
    const toldUsage = usage.take(response);
    const whole = { bytes: 0, searches: 0 };
    for (const entry of objectsOf(response.output)) {
      const { bytes, searches } = countItem(entry);
      whole.bytes += bytes;
      whole.searches += searches;
    }
    takeOutput(whole.bytes, whole.searches);
    if (isObject(response.error)) {
      reading.errorType = label(response.error.code) ?? label(response.error.type) ?? "error";
    }
    const status = ending ?? String(response.status);
    if (!ENDINGS.has(status)) return;
    if (status === "failed") reading.errorType ??= "failed";
    const reason = status === "incomplete" ? objectOf(response.incomplete_details).reason : undefined;
    addFinishReason(reading, label(reason) ?? status);
    reading.isComplete = true;
    if (toldUsage) reading.usageIsFinal = true;
  }

  return {
    reading,
    skip(bytes) {
      reading.unreadBytes += bytes;
    },
    take(document) {
      const { type, delta } = document;
      if (typeof type !== "string") {
        takeResponse(document, undefined);
      } else if (isObject(document.response)) {
        const ending = type.replace("response.", "");
        takeResponse(document.response, ENDINGS.has(ending) ? ending : undefined);
      } else if (typeof delta === "string") {
        // Sound comes as base64, and its words as a transcript beside it.
        if (/audio\.delta$/.test(type)) return;
        streamedBytes += textBytes(delta);
        takeOutput(streamedBytes, 0);
      } else if (type === "response.output_item.done" && isObject(document.item)) {
        const { bytes, searches } = countItem(document.item);
        done.bytes += bytes;
        done.searches += searches;
        takeOutput(done.bytes, done.searches);
      } else if (type === "error") {
        const error = isObject(document.error) ? document.error : document;
        reading.errorType = label(error.code) ?? (error === document ? undefined : label(error.type)) ?? "error";
      }
    },
  };
}

function itemBytes(entry: Json): number {
  let bytes = textBytes(entry.arguments) + textBytes(entry.input) + textBytes(entry.code) +
    jsonBytes(entry.action) + jsonBytes(entry.operation);
  for (const text of textsOf(entry.content)) bytes += textBytes(text);
  for (const text of textsOf(entry.summary)) bytes += textBytes(text);
  return bytes;
}
