/** A provider and its clients whose luck follows from a seed: replies, errors, breaks, delays, and what is charged for each. */
import { createHash } from "node:crypto";
import type { DialectId } from "../../src/gateway/dialect.ts";
import type { Usage } from "../../src/models/usage.ts";
import { FORMATS, requestFor } from "../gateway/open_gateway.ts";
import type { UpstreamReply, UpstreamRequest } from "../support/fake_upstream.ts";

/** Picodollars per token. */
const PRICES = { input: 1e6, cacheRead: 1e5, cacheWrite: 1.25e6, cacheWrite1h: 2e6, output: 5e6 };

/** A gateway's configuration file: one upstream for every format, and prices for the models `chaos-…`. */
export function chaosConfig(url: string, limits: Readonly<Record<string, number>> = {}): string {
  return `
[limits]
${Object.entries(limits).map(([name, value]) => `${name} = ${value}`).join("\n")}

[[upstream]]
name = "fake"
provider = "openai_compatible"
base_url = "${url}"
keyless = true
dialects = ${JSON.stringify(FORMATS)}
models = ["chaos-*"]

[prices."chaos-*"]
input_cost_per_token = 1e-6
cache_read_input_token_cost = 0.1e-6
cache_creation_input_token_cost = 1.25e-6
cache_creation_input_token_cost_above_1hr = 2e-6
output_cost_per_token = 5e-6
`;
}

/** In picodollars. */
export function priceOf({ input, cacheRead, cacheWrite, cacheWrite1h = 0, output }: Usage): number {
  return input * PRICES.input + cacheRead * PRICES.cacheRead + (cacheWrite - cacheWrite1h) * PRICES.cacheWrite +
    cacheWrite1h * PRICES.cacheWrite1h + output * PRICES.output;
}

export function modelOf({ json, target }: UpstreamRequest): string {
  return json?.model ?? /\/models\/([^:]+):/.exec(target)![1]!;
}

/**
 * - `whole`: the reply comes whole, after delays
 * - `error`: an HTTP error, which costs nothing
 * - `cut`: the provider closes the connection after some of the body, or before the head
 * - `left`: the client leaves when it has some of the body or, without a stream, when the provider has the request
 */
export interface Fate {
  readonly kind: "whole" | "error" | "cut" | "left";
  readonly format: DialectId;
  readonly streamed: boolean;
  readonly status: number;
  /** Characters that make the request longer. */
  readonly padding: number;
  /** Of the reply's body, before it breaks off; 0: not even its head comes. */
  readonly afterBytes: number;
  readonly delayMs: number;
}

/** What the requests of `requestFor` allow. */
const MOST_OUTPUT = 100;
const LONG_TEXT = "tok ".repeat(MOST_OUTPUT);
/** Whoever has so many bytes has not got the whole of any format's stream with the long text, or of any whole reply. */
const MOST_STREAM_BYTES = 2500;
const MOST_WHOLE_BYTES = 100;
/** A piece of a stream has up to 12 characters of the text, which are 3 tokens here. */
const TOKENS_PER_PIECE = 3;
/** The pieces of a stream before its text begins. */
const PIECES_BEFORE: Readonly<Record<DialectId, number>> = {
  anthropic: 3,
  openai_chat: 1,
  openai_responses: 4,
  gemini: 0,
};

const ERRORS = [400, 401, 404, 429, 500, 503, 529];

/** Each call asks for a model of its own, so its name tells it apart in the ledger and at the provider. */
export class Chaos {
  readonly seed: number;
  /** What the provider has charged, in picodollars, by the call's model; 0 for an error. */
  readonly charged = new Map<string, number>();
  /** The usage that whole replies told. */
  readonly told = new Map<string, Usage>();
  /** How often each call came to the provider. */
  readonly seen = new Map<string, number>();
  readonly #waiting = new Map<string, () => void>();

  constructor(seed: number) {
    this.seed = seed;
  }

  fateOf(model: string): Fate {
    const draw = (what: string) => this.#draw(model, what);
    const luck = draw("luck");
    const streamed = draw("streamed") < 0.6;
    const kind = luck < 0.7 ? "whole" : luck < 0.8 ? "error" : luck < 0.9 ? "cut" : "left";
    return {
      kind,
      format: FORMATS[Math.floor(draw("format") * FORMATS.length)]!,
      streamed,
      status: kind === "error" ? ERRORS[Math.floor(draw("status") * ERRORS.length)]! : 200,
      padding: Math.floor(draw("padding") * 300),
      afterBytes: draw("early") < 0.2 || (kind === "left" && !streamed)
        ? 0
        : Math.ceil(draw("bytes") * (streamed ? MOST_STREAM_BYTES : MOST_WHOLE_BYTES)),
      delayMs: Math.floor(draw("delay") * 30),
    };
  }

  /** The provider's side, for `startFakeUpstream`. */
  readonly reply = (request: UpstreamRequest): UpstreamReply => {
    const model = modelOf(request);
    this.seen.set(model, (this.seen.get(model) ?? 0) + 1);
    this.#waiting.get(model)?.();
    const fate = this.fateOf(model);
    const { kind, format, status, afterBytes, delayMs } = fate;
    const breaks = kind === "cut" || kind === "left";
    const usage = breaks && request.streamed ? this.#brokenUsage(model, request) : this.#usage(model, request, format);
    const charge = (output: number) => this.charged.set(model, priceOf({ ...usage, output }));
    if (kind === "error") this.charged.set(model, 0);
    else charge(breaks && request.streamed ? 0 : usage.output);
    if (kind === "whole") this.told.set(model, usage);
    const delay = () => new Promise<void>((resolve) => setTimeout(resolve, delayMs));
    return {
      status,
      usage,
      text: request.streamed && breaks ? LONG_TEXT : LONG_TEXT.slice(0, 1 + delayMs * 6),
      splits: request.streamed ? undefined : [50],
      fault: breaks ? this.#faultOf(fate) : undefined,
      beforeHead: delay,
      beforePiece: (index) => {
        // What was sent whole before this piece. A provider charges a stream that broke off for what it sent.
        if (breaks && request.streamed) charge(Math.max(0, index - PIECES_BEFORE[format]) * TOKENS_PER_PIECE);
        // The pieces of whole replies only: a stream that breaks off must not depend on when.
        if (kind === "whole" && index === 4 && afterBytes > 0) return delay();
      },
    };
  };

  /**
   * Makes one call as a client does, and leaves where it has to. Returns the reply's status, and its call's id when the
   * client has got it whole. Rejects when the connection breaks, also because the client left.
   */
  async call(url: string, model: string): Promise<{ status: number; wholeCall: string | undefined }> {
    const { kind, format, streamed, padding, afterBytes } = this.fateOf(model);
    const { path, headers, body } = requestFor(format, {
      streamed,
      model,
      changes: { metadata: { padding: "x".repeat(padding) } },
    });
    const leaving = new AbortController();
    if (kind === "left" && afterBytes === 0) this.#waiting.set(model, () => leaving.abort());
    try {
      const reply = await fetch(url + path, { method: "POST", headers, body, signal: leaving.signal });
      let bytes = 0;
      for await (const piece of reply.body ?? []) {
        bytes += piece.byteLength;
        if (kind === "left" && reply.ok && bytes >= afterBytes) leaving.abort();
      }
      return { status: reply.status, wholeCall: reply.headers.get("x-gocore-call") ?? undefined };
    } finally {
      this.#waiting.delete(model);
    }
  }

  #faultOf({ kind, afterBytes }: Fate): UpstreamReply["fault"] {
    if (afterBytes === 0) return { kind: kind === "cut" ? "refuse" : "hang" };
    return { kind: kind === "cut" ? "cut" : "stall", afterBytes };
  }

  /** Never more input than the request has bytes, nor more output than it allows. */
  #usage(model: string, { body }: UpstreamRequest, format: DialectId): Usage {
    const draw = (what: string, most: number) => Math.floor(this.#draw(model, what) * (most + 1));
    const all = draw("input", body.length);
    const cacheRead = draw("cacheRead", all);
    // OpenAI and Google name no price for what is written to the cache.
    const cacheWrite = format === "anthropic" ? draw("cacheWrite", all - cacheRead) : 0;
    const output = draw("output", MOST_OUTPUT);
    return {
      input: all - cacheRead - cacheWrite,
      cacheRead,
      cacheWrite,
      ...(format === "anthropic" && { cacheWrite1h: draw("cacheWrite1h", cacheWrite) }),
      output,
      reasoning: 0,
    };
  }

  /** When a stream breaks before its counts are told, the gateway goes by 4 bytes for a token of the input. */
  #brokenUsage(model: string, { body }: UpstreamRequest): Usage {
    const input = Math.floor(this.#draw(model, "input") * body.length / 4);
    return { input, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
  }

  /** A number from 0 up to 1 that follows from the seed and the words. */
  #draw(...words: string[]): number {
    const digest = createHash("sha256").update([this.seed, ...words].join(" ")).digest();
    return digest.readUInt32LE(0) / 2 ** 32;
  }
}

/** Runs `test` with a seed of its own, or that of GOCORE_CHAOS_SEED, and names it when the test fails. */
export async function withSeed(test: (seed: number) => Promise<void>): Promise<void> {
  const named = Deno.env.get("GOCORE_CHAOS_SEED");
  const seed = named === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(named);
  try {
    await test(seed);
  } catch (cause) {
    throw new Error(`Failed with GOCORE_CHAOS_SEED=${seed}: ${(cause as Error).message}`, { cause });
  }
}
