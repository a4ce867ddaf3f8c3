/** Recognises what agents ask beside their conversation, so that a script has replies for the conversation alone. */
import { isObject, type Json } from "../../models/json.ts";
import type { ScriptedReply } from "../../models/scripted_model.ts";
import type { Asked } from "../answerer.ts";
import { sampleValue } from "./sample_value.ts";
import { offeredTools } from "./shell_tool.ts";

/**
 * The text that answers a side request; undefined for a request that belongs to the conversation. A side request offers
 * no tools, and asks for JSON (a router, a title) or for a single token (a probe of the quota). It is answered with
 * the smallest value of its schema.
 *
 * @param next the worker's next reply: when its content is an object with all the properties that the schema requires,
 * it is meant for this request, which then belongs to the conversation
 */
export function sideAnswer({ dialect, json }: Asked, next: ScriptedReply | undefined): string | undefined {
  if (offeredTools(dialect.id, json).length > 0) return undefined;
  if (json.max_tokens === 1) return "OK";
  const wanted = wantedJson(json);
  if (wanted === undefined || isMeantFor(wanted, next)) return undefined;
  return JSON.stringify(sampleValue(wanted));
}

/** The schema that the reply has to satisfy; any object where the request names none. */
function wantedJson(request: Json): Json | undefined {
  const { response_format: chat, text, output_config: output, generationConfig: gemini } = request;
  for (const format of [chat, member(text, "format"), member(output, "format"), request.output_format]) {
    if (!isObject(format)) continue;
    if (format.type === "json_object") return { type: "object" };
    const schema = member(format.json_schema, "schema") ?? format.schema;
    if (format.type === "json_schema") return isObject(schema) ? schema : { type: "object" };
  }
  if (!isObject(gemini)) return undefined;
  const schema = gemini.responseJsonSchema ?? gemini.responseSchema;
  if (isObject(schema)) return schema;
  return gemini.responseMimeType === "application/json" ? { type: "object" } : undefined;
}

function isMeantFor({ required }: Json, next: ScriptedReply | undefined): boolean {
  if (next === undefined) return false;
  const content = parse(next.content ?? "");
  return isObject(content) && (!Array.isArray(required) || required.every((name) => Object.hasOwn(content, name)));
}

function member(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
