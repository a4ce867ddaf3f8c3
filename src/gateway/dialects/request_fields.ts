/** What every dialect reads of a request in the same way: the model's name, the output limit, how large the input can be. */
import { isObject, type Json } from "../../models/json.ts";
import type { CallRequest } from "../dialect.ts";
import { Refusal } from "../refusal.ts";

const MAX_MODEL_LENGTH = 200;
/** No model says more; with larger numbers a reservation would be no amount of money. */
const MAX_LIMIT = 1e9;

/** `place`: where the name was looked for, such as `"model" in the body`. Throws a `Refusal` (400). */
export function readModelName(value: unknown, place: string): string {
  if (typeof value === "string" && value !== "" && value.length <= MAX_MODEL_LENGTH && !/[\0-\x1f\x7f]/.test(value)) {
    return value;
  }
  throw new Refusal(
    "bad_request",
    `The gateway needs the model's name: ${place} has to be a text of 1 to ${MAX_MODEL_LENGTH} characters`,
  );
}

/**
 * The largest of several spellings of the limit; servers differ in which they obey. Undefined when none of them is one:
 * it is passed on, and the provider refuses it or does without. Numbers in quotes count, since some servers take them.
 */
export function readOutputLimit(...values: readonly unknown[]): number | undefined {
  let limit: number | undefined;
  for (const value of values) {
    const number = typeof value === "string" ? Number(value) : value;
    if (typeof number === "number" && number > 0 && number >= (limit ?? 0)) {
      limit = Math.min(MAX_LIMIT, Math.ceil(number));
    }
  }
  return limit;
}

/** The limit for all of a request's alternatives together, and their number. */
export function readChoices(
  limit: number | undefined,
  number: unknown,
): Pick<CallRequest, "maxOutputTokens" | "choices"> {
  const choices = readOutputLimit(number) ?? 1;
  return { maxOutputTokens: limit === undefined ? undefined : Math.min(MAX_LIMIT, limit * choices), choices };
}

/** More is no list of alternatives, and each costs a look at the list of prices. */
const MAX_OTHER_MODELS = 32;

/**
 * The models that may answer in place of the first: OpenRouter's `models`, Anthropic's and litellm's `fallbacks`, names
 * or objects with one. Throws a `Refusal` (400) for what is neither.
 */
export function readOtherModels({ models, fallbacks }: Json): readonly string[] {
  const others = [models, fallbacks].flatMap((value) => value ?? []);
  if (others.length > MAX_OTHER_MODELS) {
    throw new Refusal("bad_request", `A request may name ${MAX_OTHER_MODELS} other models, not ${others.length}`);
  }
  return others.map((other) =>
    readModelName(isObject(other) ? other.model : other, 'each entry of "models" and "fallbacks"')
  );
}

const [QUOTE, COLON, BACKSLASH] = [0x22, 0x3a, 0x5c];
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);
/** What some dialect reads of a request, in the request itself or in an object of it; lower case. */
const READ_NAMES = new Set(
  ("model models fallbacks stream max_tokens max_completion_tokens max_output_tokens n service_tier speed inference_geo " +
    "messages input contents system_instruction systeminstruction tools plugins web_search_options mcp_servers container " +
    "thread background previous_response_id conversation prompt cachedcontent cached_content generationconfig " +
    "generation_config maxoutputtokens candidatecount candidate_count parts").split(" "),
);
/** Limits stand no deeper. There clients choose the names: of tools, of their parameters. */
const CHECKED_DEPTH = 2;

/**
 * Refuses a request in which a name that the gateway reads stands twice: servers differ in which of the two holds, and the gateway would reckon
 * with the other one. `body` is known to be JSON. Throws a `Refusal` (400).
 */
export function refuseRepeatedNames(body: Uint8Array): void {
  const names: Set<string>[] = [];
  let depth = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!;
    if (OPENING.has(byte) && ++depth <= CHECKED_DEPTH) names[depth] = new Set();
    else if (CLOSING.has(byte)) depth--;
    if (byte !== QUOTE) continue;
    const end = endOfString(body, at);
    if (depth <= CHECKED_DEPTH && isName(body, end + 1)) {
      const name = String(JSON.parse(new TextDecoder().decode(body.subarray(at, end + 1))));
      // Some servers, of those written in Go, do not tell upper from lower case.
      const key = name.toLowerCase();
      if (names[depth]!.has(key)) {
        throw new Refusal("bad_request", `The name "${name}" stands twice in one object of the body`);
      }
      if (READ_NAMES.has(key)) names[depth]!.add(key);
    }
    at = end;
  }
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(body: Uint8Array, start: number): number {
  let end = body.indexOf(QUOTE, start + 1);
  while (end >= 0) {
    let before = end;
    while (body[before - 1] === BACKSLASH) before--;
    if ((end - before) % 2 === 0) return end;
    end = body.indexOf(QUOTE, end + 1);
  }
  return body.length;
}

function isName(body: Uint8Array, after: number): boolean {
  while (body[after]! <= 0x20) after++;
  return body[after] === COLON;
}

/** `Dialect.withModel` of the formats that have the model's name in the body. */
export function withModelInBody({ path, body }: { path: string; body: Json }, model: string) {
  return { path, body: { ...body, model } };
}

/** The objects in a list; none when it is no list. */
export function objectsOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** An empty object for whatever is none. */
export function objectOf(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** The provider's own instructions for the use of tools, and what a tool that only the provider describes adds to them. */
const TOOL_PROMPT_TOKENS = 1_000;
const PROVIDER_TOOL_TOKENS = 3_000;
const TYPICAL_IMAGE_TOKENS = 1_500;
const TYPICAL_TOKENS_PER_KIB_OF_DOCUMENT = 50;
const BYTES_PER_TOKEN = 4;
/**
 * What searches of the web can bring in is stated nowhere, and agents that always offer them seldom use them: with the
 * whole context window for them, as for other hidden input, no agent would start under a usual cap. Where OpenAI charges
 * a fixed block for what a search brings, it is 8 000 tokens; models rarely make more than a few searches for one reply.
 */
const SEARCHES = 8;
const TOKENS_PER_SEARCH = 8_000;

/**
 * Adds up what a request's input can have. A dialect tells it of the media where its provider takes them for media:
 * anywhere else the same JSON is text for the model, and counts by its bytes as everything does that nobody tells of.
 */
export class InputMeter {
  #mediaBytes = 0;
  #maxTokens = 0;
  #typicalTokens = 0;
  #hasHiddenInput = false;
  #searches = 0;

  /** Of a picture the provider makes a number of tokens that does not grow with its file: `maxTokens` at most. */
  addImage(base64: string, maxTokens: number): void {
    this.#mediaBytes += base64.length;
    this.#maxTokens += maxTokens;
    this.#typicalTokens += Math.min(maxTokens, TYPICAL_IMAGE_TOKENS);
  }

  /**
   * A document, or a film. It is compressed, so its size bounds neither its pages nor its seconds, and each of them costs
   * tokens: only the context window bounds it, as it does for input that is not in the request.
   */
  addDocument(base64: string): void {
    this.#hasHiddenInput = true;
    this.#mediaBytes += base64.length;
    this.#typicalTokens += Math.ceil(base64.length / 1024 * TYPICAL_TOKENS_PER_KIB_OF_DOCUMENT);
  }

  addHiddenInput(): void {
    this.#hasHiddenInput = true;
  }

  /** The provider may search the web, and reads what it finds. */
  addWebSearch(): void {
    this.#searches = SEARCHES;
  }

  /** `providerTools`: how many of them are described by the provider alone, who describes them at length. */
  addTools(tools: number, providerTools: number): void {
    if (tools > 0) this.#maxTokens += TOOL_PROMPT_TOKENS + providerTools * PROVIDER_TOOL_TOKENS;
  }

  measure(bodyBytes: number): Pick<CallRequest, "inputTokens" | "maxInputTokens" | "webSearches" | "hasHiddenInput"> {
    // A text in JSON has as many bytes as characters at least, so this takes off no more than the media had.
    const textBytes = bodyBytes - this.#mediaBytes;
    return {
      inputTokens: Math.ceil(textBytes / BYTES_PER_TOKEN) + this.#typicalTokens,
      maxInputTokens: textBytes + this.#maxTokens + this.#searches * TOKENS_PER_SEARCH,
      webSearches: this.#searches,
      hasHiddenInput: this.#hasHiddenInput,
    };
  }
}
