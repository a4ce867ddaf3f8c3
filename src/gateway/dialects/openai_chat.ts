/** OpenAI's chat completions, as OpenAI and everybody else speaks them. */
import { isObject, type Json } from "../../models/json.ts";
import type { CallRequest, Dialect, ReplyReader } from "../dialect.ts";
import { openaiErrorBody } from "./openai_error.ts";
import { meterImageUrl } from "./openai_image.ts";
import { OpenaiUsage, textsOf, tierFactor } from "./openai_usage.ts";
import { addFinishReason, emptyReading, label, textBytes } from "./reply_fields.ts";
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

export const openaiChat: Dialect = {
  id: "openai_chat",
  readCall,
  createReader,
  withModel: withModelInBody,
  errorBody: openaiErrorBody,
};

function readCall(body: Json, _path: string, bodyBytes: number): CallRequest {
  const model = readModelName(body.model, '"model" in the body');
  const meter = new InputMeter();
  for (const message of objectsOf(body.messages)) {
    for (const part of objectsOf(message.content)) meterPart(meter, part, model);
  }
  const tools = objectsOf(body.tools);
  meter.addTools(tools.length, 0);
  const otherModels = readOtherModels(body);
  if (isObject(body.web_search_options)) meter.addWebSearch();
  const searches = [model, ...otherModels].some((name) => name.endsWith(":online"));
  if (
    searches || objectsOf(body.plugins).length > 0 || tools.some(({ type }) => type !== "function" && type !== "custom")
  ) meter.addHiddenInput();
  return {
    model,
    otherModels,
    streamed: body.stream === true,
    ...readChoices(readOutputLimit(body.max_completion_tokens, body.max_tokens), body.n),
    priceFactor: tierFactor(body.service_tier),
    ...meter.measure(bodyBytes),
  };
}

/** Sound is compressed by little more than its tokens are: it counts by its bytes, as text does. */
function meterPart(meter: InputMeter, part: Json, model: string): void {
  if (part.type === "image_url") {
    meterImageUrl(meter, isObject(part.image_url) ? part.image_url.url : part.image_url, model);
  } else if (part.type === "file" && isObject(part.file)) {
    if (typeof part.file.file_data === "string") meter.addDocument(part.file.file_data);
    else meter.addHiddenInput();
  } else if (part.type === "video_url") {
    meter.addHiddenInput();
  }
}

function createReader(): ReplyReader {
  const reading = emptyReading();
  const usage = new OpenaiUsage(reading);
  let streamedBytes = 0;
  let wholeBytes = 0;
  return {
    reading,
    skip(bytes) {
      reading.unreadBytes += bytes;
    },
    take(document) {
      reading.model = label(document.model) ?? reading.model;
      reading.responseId = label(document.id) ?? reading.responseId;
      const choices = objectsOf(document.choices);
      let toldUsage = false;
      for (const choice of choices) {
        if (isObject(choice.delta)) streamedBytes += messageBytes(choice.delta);
        if (isObject(choice.message)) {
          wholeBytes += messageBytes(choice.message);
          // A search that was made for the answer has a price of its own, and is not counted anywhere.
          if (objectsOf(choice.message.annotations).some(isCitation)) usage.takePaidExtra();
        }
        if (objectsOf(objectOf(choice.delta).annotations).some(isCitation)) usage.takePaidExtra();
        addFinishReason(reading, choice.finish_reason);
        if (label(choice.finish_reason) !== undefined) reading.isComplete = true;
        // Moonshot's place for it.
        if (isObject(choice.usage)) toldUsage = usage.take({ usage: choice.usage }) || toldUsage;
      }
      // A server may repeat at the end what it has streamed.
      reading.outputBytes = Math.max(streamedBytes, wholeBytes);
      usage.takeTier(document.service_tier);
      if (isObject(document.x_groq)) toldUsage = usage.take(document.x_groq) || toldUsage;
      toldUsage = usage.take(document) || toldUsage;
      // Some send the counts so far with every piece: those of the last one, or of one without text, are the final ones.
      const hasEnded = reading.isComplete || (choices.length === 0 && (reading.usage?.output ?? 0) > 0);
      if (toldUsage && hasEnded) reading.usageIsFinal = true;
      if (isObject(document.error)) {
        const { type, code } = document.error;
        reading.errorType = label(type) ?? label(code) ?? (typeof code === "number" ? String(code) : "error");
      }
    },
  };
}

function isCitation(annotation: Json): boolean {
  return annotation.type === "url_citation";
}

function messageBytes(message: Json): number {
  // Two names for one text; some servers send both.
  let bytes = textBytes(message.reasoning_content ?? message.reasoning) + textBytes(message.refusal) +
    textBytes(objectOf(message.function_call).arguments);
  for (const text of textsOf(message.content)) bytes += textBytes(text);
  for (const call of objectsOf(message.tool_calls)) {
    bytes += textBytes(objectOf(call.function).arguments) + textBytes(objectOf(call.custom).input);
  }
  return bytes;
}
