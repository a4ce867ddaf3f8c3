/** What a gateway can be told; `read_settings.ts` makes it of a file, the environment and flags. */
import type { ProviderId } from "../models/provider_table.ts";
import type { TokenPrices } from "../models/price.ts";
import type { DialectId } from "./dialect.ts";

/** Where calls go, with the real key. One provider may have several: accounts, proxies. */
export interface UpstreamSettings {
  /** Names the account in the ledger, in rates and in fallbacks. */
  readonly name: string;
  /** Whose prices hold, and how the key is sent. */
  readonly provider: ProviderId;
  /** Without a trailing slash. With a version at its end (`…/v1`) that one replaces the client's. */
  readonly baseUrl: string;
  /** Undefined: none is set. Only `keyless` upstreams are asked then. */
  readonly apiKey: string | undefined;
  readonly keyless: boolean;
  /** The name of the variable or file that should have had the key, for messages. */
  readonly keySource: string;
  readonly dialects: readonly DialectId[];
  /** Patterns with `*`; empty: every model. */
  readonly models: readonly string[];
}

/** Limits for the calls that a rule matches; each upstream has counters of its own. */
export interface RateRule {
  /** Patterns with `*`; undefined: all. */
  readonly upstream?: string;
  readonly model?: string;
  readonly concurrency?: number;
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
}

/** Where a call goes when the model or upstream that it names cannot answer. */
export interface FallbackRule {
  /** A pattern with `*`. */
  readonly model: string;
  /** In this order. Without `upstream`: wherever the model is served; without `model`: the same model elsewhere. */
  readonly to: readonly { readonly upstream?: string; readonly model?: string }[];
}

/** USD. Undefined: no cap. A key may have a cap of its own beside these. */
export interface Caps {
  readonly run?: number;
  readonly worker?: number;
  readonly key?: number;
  /** Per day, in UTC. */
  readonly day?: number;
}

export type AnswerSource =
  | { readonly kind: "upstreams"; readonly recordDir?: string }
  | { readonly kind: "replay"; readonly dir: string }
  | { readonly kind: "script"; readonly path: string };

export interface GatewaySettings {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** The SQLite file, or ":memory:". */
  readonly ledger: string;
  /** The run that calls without a virtual key belong to. */
  readonly run: string;
  readonly source: AnswerSource;
  /** In the order in which they are asked whether they serve a model. */
  readonly upstreams: readonly UpstreamSettings[];
  readonly caps: Caps;
  readonly rates: readonly RateRule[];
  readonly fallbacks: readonly FallbackRule[];
  /** Attempts of one call at one upstream, 1: no retry. */
  readonly attempts: number;
  /** By pattern of the model's name; before the public list. */
  readonly prices: readonly { readonly model: string; readonly prices: TokenPrices }[];
  /** What becomes of a call of unknown price that a cap applies to. */
  readonly unknownPrice: "refuse" | "allow";
  /** What caps count calls as whose usage the provider never told in full: the most they can have cost, or the estimate. */
  readonly uncounted: "reservation" | "estimate";
  /** What a request that sets no limit for its output is taken to ask for. */
  readonly assumedOutputTokens: number;
  /** Calls without a virtual key are refused. */
  readonly requireKey: boolean;
  /** What clients without a virtual key have to send; needed when others than this machine can reach the gateway. */
  readonly token: string | undefined;
  /** Host names, besides those of the loopback and `host`, under which clients may ask. */
  readonly allowedHosts: readonly string[];
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  /** A client must have sent the head of its first request this long after it connected, a body this long after its head. */
  readonly requestTimeoutMs: number;
  /** An upstream must have begun to answer after this long. */
  readonly firstByteTimeoutMs: number;
  /**
   * No piece of a reply may be later than this after the one before; also the longest that a client may take nothing, and
   * that it may leave its connection without a request, which is twice `requestTimeoutMs` at least.
   */
  readonly idleTimeoutMs: number;
  /** A whole call. */
  readonly callTimeoutMs: number;
  /** How long a call may wait for its turn, and for budget that others have reserved. */
  readonly queueTimeoutMs: number;
  /** How long calls that are under way may go on when the gateway is told to end. */
  readonly drainMs: number;
}

export const DEFAULT_SETTINGS = {
  host: "127.0.0.1",
  port: 8045,
  run: "default",
  caps: {},
  rates: [],
  fallbacks: [],
  attempts: 1,
  prices: [],
  unknownPrice: "refuse",
  uncounted: "reservation",
  assumedOutputTokens: 32_768,
  requireKey: false,
  token: undefined,
  allowedHosts: [],
  maxBodyBytes: 32 * 1024 * 1024,
  maxHeaderBytes: 64 * 1024,
  requestTimeoutMs: 60_000,
  firstByteTimeoutMs: 600_000,
  idleTimeoutMs: 300_000,
  callTimeoutMs: 3_600_000,
  queueTimeoutMs: 600_000,
  drainMs: 5_000,
} as const satisfies Partial<GatewaySettings>;

/** Whether a name fits a pattern in which `*` stands for any characters; upper and lower case are the same. */
export function matchesPattern(pattern: string, name: string): boolean {
  const parts = pattern.toLowerCase().split("*");
  const text = name.toLowerCase();
  const first = parts[0]!;
  if (parts.length === 1) return text === first;
  const last = parts.at(-1)!;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
