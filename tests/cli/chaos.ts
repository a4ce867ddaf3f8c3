/** A provider and its clients whose luck follows from a seed: replies, errors, breaks, delays and charges. */
import { createHash } from "node:crypto";
import type { DialectId } from "../../src/gateway/dialect.ts";
import type { Usage } from "../../src/models/usage.ts";
import { FORMATS, requestFor } from "../gateway/open_gateway.ts";
import type { UpstreamReply, UpstreamRequest } from "../support/fake_upstream.ts";

/** Picodollars per token. */
const PRICES = { input: 1e6, cacheRead: 1e5, cacheWrite: 1.25e6, cacheWrite1h: 2e6, output: 5e6 };

/**
 * A gateway's configuration file: an upstream for the models `chaos-…` in every format, another for `nowhere-…` that
 * cannot be reached, and prices. `limits` are the file's own.
 */
export function chaosConfig(url: string, limits: Readonly<Record<string, number>> = {}): string {
  const upstream = (name: string, base: string) => `
[[upstream]]
name = "${name}"
provider = "openai_compatible"
base_url = "${base}"
keyless = true
dialects = ${JSON.stringify(FORMATS)}
models = ["${name}-*"]

[prices."${name}-*"]
input_cost_per_token = 1e-6
cache_read_input_token_cost = 0.1e-6
cache_creation_input_token_cost = 1.25e-6
cache_creation_input_token_cost_above_1hr = 2e-6
output_cost_per_token = 5e-6
`;
  // Nobody ever listens on this port.
  return `[limits]\n${Object.entries(limits).map(([name, value]) => `${name} = ${value}\n`).join("")}` +
    upstream("chaos", url) + upstream("nowhere", "http://127.0.0.1:2");
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
 * - `left`: the client leaves when it has some of a stream, which the provider holds then; or when the provider has the
 *   request, which it answers all the same: not every runtime tells a server that its client has left by then
 */
export interface Fate {
  readonly kind: "whole" | "error" | "cut" | "left";
  readonly format: DialectId;
  readonly streamed: boolean;
  readonly status: number;
  /** Characters that make the request longer. */
  readonly padding: number;
  /** Of the reply's body, before it breaks off; 0: before its head. */
  readonly afterBytes: number;
  readonly delayMs: number;
}

/** What the requests of `requestFor` allow. */
const MOST_OUTPUT = 100;
const LONG_TEXT = "tok ".repeat(MOST_OUTPUT);
/** Whoever has so many bytes has not got the whole of any format's stream with the long text, or of any whole reply. */
const MOST_STREAM_BYTES = 2500;
const MOST_WHOLE_BYTES = 100;
const ERRORS = [400, 401, 404, 429, 500, 503, 529];

/** Each call asks for a model of its own, so its name tells it apart in the ledger and at the provider. */
export class Chaos {
  readonly seed: number;
  /** What the provider has charged, in picodollars, by the call's model; 0 for an error. */
  readonly charged = new Map<string, number>();
  /** What a reply tells at its end, if that comes. */
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
    const { kind, format, streamed, status, delayMs } = fate;
    const breaks = kind === "cut" || kind === "left";
    const usage = this.#usage(model, request, format);
    this.told.set(model, usage);
    // For what broke off it charges all the same.
    this.charged.set(model, kind === "error" ? 0 : priceOf(usage));
    const delay = () => new Promise<void>((resolve) => setTimeout(resolve, delayMs));
    return {
      status,
      usage,
      text: breaks ? LONG_TEXT : LONG_TEXT.slice(0, 1 + delayMs * 6),
      splits: streamed ? undefined : [50],
      fault: faultOf(fate),
      beforeHead: delay,
      beforePiece: (index) => index === 4 ? delay() : undefined,
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

  /** A number from 0 up to 1 that follows from the seed and the words. */
  #draw(...words: string[]): number {
    const digest = createHash("sha256").update([this.seed, ...words].join(" ")).digest();
    return digest.readUInt32LE(0) / 2 ** 32;
  }
}

function faultOf({ kind, afterBytes }: Fate): UpstreamReply["fault"] {
  if (kind === "cut") return afterBytes === 0 ? { kind: "refuse" } : { kind: "cut", afterBytes };
  if (kind === "left" && afterBytes > 0) return { kind: "stall", afterBytes };
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
