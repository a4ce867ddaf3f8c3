/** One call's life: it waits for its turn, is admitted against the caps, asked, relayed byte by byte, and settled. */
import type { EventData, EventFact } from "../events/event.ts";
import { sleepFor } from "../models/retry.ts";
import type { Answerer, Asked } from "./answerer.ts";
import { neverConnected } from "./ask_upstream.ts";
import type { Recorder, Recording } from "./cassette/recorder.ts";
import { CallEnded, type Deadlines, type Watch } from "./deadlines.ts";
import type { CallRequest, Dialect, ReplyReader, ReplyReading } from "./dialect.ts";
import { joined } from "./guard.ts";
import type { BudgetRefusal, CallEntry, Caller, CallOutcome } from "./ledger/entry.ts";
import { type Ledger, LedgerLocked } from "./ledger/ledger.ts";
import { toPicodollars, toReservation, toUsd } from "./ledger/picodollars.ts";
import { createPieceReader } from "./piece_reader.ts";
import type { CallEnding, PricedTarget, Pricing } from "./pricing.ts";
import type { Permit, RateGate } from "./rate_gate.ts";
import { Refusal } from "./refusal.ts";
import { createReplyTap, isEventStream, type ReplyTap } from "./reply_tap.ts";
import type { GatewaySettings, UpstreamSettings } from "./settings.ts";
import type { Target } from "./targets.ts";
import { pauseMs } from "./upstream_pause.ts";

/** What all calls of a gateway share. */
export interface CallServices {
  readonly settings: GatewaySettings;
  readonly ledger: Ledger;
  readonly pricing: Pricing;
  readonly gate: RateGate;
  readonly deadlines: Deadlines;
  readonly recorder: Recorder | undefined;
  answererOf(target: Target): Answerer;
  /** Takes secrets out of a name that a client or an upstream has chosen. */
  redact(name: string): string;
  publish(fact: EventFact): void;
  monotonicMs(): number;
  now(): number;
}

/** A request that was read and understood. */
export interface CallOrder {
  readonly id: string;
  readonly caller: Caller;
  readonly dialect: Dialect;
  readonly call: CallRequest;
  /** For the first target; a fallback changes the model in it. */
  readonly asked: Asked;
  /** At least one. */
  readonly targets: readonly Target[];
  /** When the request came, on the monotonic clock. */
  readonly arrivedMs: number;
  /** The part of the time since then that was spent waiting for the client. */
  readonly outsideMs: number;
}

/** No reply to one request is longer; a server whose is, is broken or hostile. Streams have no such bound. */
export const MAX_WHOLE_REPLY_BYTES = 64 * 1024 * 1024;
/** Trying again may help: the request was not taken, and nothing is charged for it. */
const RETRYABLE = new Set([408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]);
/** A client that followed would take its key, which is ours, to another host. */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** With these an upstream's `retry-after` is meant for everyone. */
const SLOW_DOWN = new Set([429, 503, 529]);
/** So long a call waits for another program that holds the ledger's file. */
const LOCK_PATIENCE_MS = 5000;
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 60_000;
/** What a request is taken to put out, as far as tokens per minute are concerned; corrected when the reply is there. */
const USUAL_OUTPUT_TOKENS = 2000;

export class OpenCall {
  readonly #order: CallOrder;
  readonly #services: CallServices;
  readonly #onSettled: () => void;
  readonly #aborter = new AbortController();
  readonly #watch: Watch;
  readonly #startedAt: Date;
  #outsideMs: number;
  #attempts = 0;
  #target: Target;
  /** What the ledger holds back; undefined: not admitted yet. */
  #reservation: { readonly target: Target; readonly usd: number | null } | undefined;
  #permit: Permit | undefined;
  readonly #toldWaits = new Set<string>();
  #recording: Recording | undefined;
  #firstByteMs: number | null = null;
  #overheadMs = 0;
  #settled = false;

  /** @param onSettled called once, when nothing of the call is left */
  constructor(order: CallOrder, services: CallServices, onSettled: () => void) {
    this.#order = order;
    this.#services = services;
    this.#onSettled = onSettled;
    this.#target = order.targets[0]!;
    this.#outsideMs = order.outsideMs;
    this.#startedAt = new Date(services.now());
    this.#watch = services.deadlines.watch(services.settings.callTimeoutMs, (reason) => this.abort(reason));
  }

  /** Ends the call: the upstream is told, what it cost is settled, the client sees a broken connection. */
  abort(reason: CallEnded): void {
    if (!this.#aborter.signal.aborted) this.#aborter.abort(reason);
  }

  /**
   * The reply: the upstream's own, whatever its status. Throws a `Refusal` when there is none, or a `CallEnded`. The call
   * is settled, and its end published, when this throws or the reply's body has come to its end.
   */
  async reply(): Promise<Response> {
    try {
      return await this.#tryTargets();
    } catch (error) {
      const reason = this.#aborter.signal.aborted ? this.#aborter.signal.reason : error;
      // Whatever ended it, an admitted call never stays open.
      this.#settle("refused", { outcome: outcomeOf(reason), errorType: typeOfError(reason) });
      throw reason;
    }
  }

  async #tryTargets(): Promise<Response> {
    const { targets } = this.#order;
    for (const [index, target] of targets.entries()) {
      this.#target = target;
      const isLastTarget = index === targets.length - 1;
      for (let attempt = 1;; attempt++) {
        await this.#admit();
        const response = await this.#ask(isLastTarget && attempt >= this.#services.settings.attempts);
        const waitMs = response === undefined ? undefined : this.#heed(response);
        if (response !== undefined && !RETRYABLE.has(response.status)) return await this.#relay(response);
        const isLastAttempt = attempt >= this.#services.settings.attempts ||
          (waitMs ?? 0) > this.#services.settings.queueTimeoutMs;
        if (response !== undefined && isLastAttempt && isLastTarget) return await this.#relay(response);
        // It will be asked again: this answer is for nobody.
        response?.body?.cancel().catch(() => {});
        this.#permit?.release(0);
        if (isLastAttempt) break;
        const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** (attempt - 1), MAX_BACKOFF_MS);
        await this.#outside(sleepFor(Math.max(waitMs ?? 0, backoffMs), this.#aborter.signal));
      }
    }
    throw new TypeError("A call has at least one target, and its last attempt replies or throws");
  }

  // --- admission

  async #admit(): Promise<void> {
    const { settings, gate, ledger, pricing } = this.#services;
    const { call } = this.#order;
    const { upstream, model } = this.#target;
    const boundUsd = pricing.bound(call, this.#priced());
    const tokens = call.inputTokens + Math.min(call.maxOutputTokens ?? USUAL_OUTPUT_TOKENS, USUAL_OUTPUT_TOKENS);
    const giveUpMs = this.#services.monotonicMs() + settings.queueTimeoutMs;
    const { signal } = this.#aborter;
    let lockedSinceMs: number | undefined;
    this.#watch.rest();
    while (true) {
      const timeoutMs = Math.max(giveUpMs - this.#services.monotonicMs(), 0);
      this.#permit = await this.#outside(gate.acquire({ upstream: upstream.name, model, tokens }, {
        signal,
        timeoutMs,
        onWait: ({ reason, waitMs, ahead }) => this.#tellWait(reason, waitMs, ahead),
      }));
      // Between here and the request there is nothing to wait for: what is admitted is sent.
      signal.throwIfAborted();
      const obstacle = this.#reserve(boundUsd);
      if (obstacle === undefined) return;
      this.#permit.cancel();
      const nowMs = this.#services.monotonicMs();
      if (obstacle instanceof LedgerLocked) {
        lockedSinceMs ??= nowMs;
        if (nowMs - lockedSinceMs >= LOCK_PATIENCE_MS) throw obstacle;
        await this.#outside(ledger.released(signal, LOCK_PATIENCE_MS));
        continue;
      }
      lockedSinceMs = undefined;
      if (!obstacle.mayFitLater || nowMs >= giveUpMs) throw this.#refuse(obstacle);
      this.#tellWait("budget", null, 0);
      await this.#outside(ledger.released(signal, giveUpMs - nowMs));
    }
  }

  /** What keeps the call from being admitted for now; undefined: it is. */
  #reserve(usd: number | null): BudgetRefusal | LedgerLocked | undefined {
    const target = this.#target;
    if (this.#reservation?.target === target) return undefined;
    const amount = usd === null ? null : toReservation(usd);
    const { ledger } = this.#services;
    try {
      const admission = this.#reservation === undefined
        ? ledger.reserve(this.#entry(), amount)
        : ledger.move(this.#order.id, this.#entry(), amount);
      if (!admission.admitted) return admission.refusal;
    } catch (error) {
      if (error instanceof LedgerLocked) return error;
      throw error;
    }
    this.#reservation = { target, usd: amount === null ? null : toUsd(amount) };
  }

  #priced(): PricedTarget {
    return { ...this.#target, at: this.#startedAt };
  }

  #entry(): CallEntry {
    const { id, caller, dialect, call } = this.#order;
    const { upstream } = this.#target;
    return {
      ...caller,
      id,
      upstream: upstream.name,
      provider: this.#providerName(),
      model: this.#shownModel(),
      dialect: dialect.id,
      streamed: call.streamed,
    };
  }

  #refuse(refusal: BudgetRefusal): Refusal {
    const { id, caller } = this.#order;
    const { model } = this.#target;
    const numbers = {
      scope: refusal.scope,
      scope_id: refusal.scopeId,
      cap_usd: refusal.capUsd,
      spent_usd: refusal.spentUsd,
      reserved_usd: refusal.reservedUsd,
      needed_usd: refusal.neededUsd,
    };
    this.#services.publish({
      type: "budget.refused",
      data: {
        call: id,
        run: caller.run,
        worker: caller.worker,
        "gen_ai.request.model": this.#shownModel(),
        ...numbers,
      },
    });
    return new Refusal("budget", budgetMessage(refusal, model), { details: numbers });
  }

  #tellWait(reason: EventData<"rate.waiting">["reason"], waitMs: number | null, ahead: number): void {
    // A call that waits for budget comes back to the gate again and again.
    if (this.#toldWaits.has(reason)) return;
    this.#toldWaits.add(reason);
    const { id, caller } = this.#order;
    this.#services.publish({
      type: "rate.waiting",
      data: {
        call: id,
        run: caller.run,
        worker: caller.worker,
        upstream: this.#target.upstream.name,
        "gen_ai.request.model": this.#shownModel(),
        reason,
        wait_ms: waitMs,
        ahead,
      },
    });
  }

  /** Awaits what is not the gateway's own work, and leaves it out of the overhead. */
  async #outside<T>(work: Promise<T>): Promise<T> {
    const startedMs = this.#services.monotonicMs();
    try {
      return await work;
    } finally {
      this.#outsideMs += this.#services.monotonicMs() - startedMs;
    }
  }

  // --- asking

  /** The head of a reply; undefined when nothing was sent, and there is somebody left to try. */
  async #ask(isLast: boolean): Promise<Response | undefined> {
    const { settings, recorder, publish } = this.#services;
    const asked = this.#askedOfTarget();
    this.#attempts += 1;
    publish({
      type: "model.called",
      data: { ...this.#identity(), attempt: this.#attempts, reserved_usd: this.#reservation!.usd },
    });
    // What the client asked, and what it got in the end: a replay sees neither retries nor fallbacks.
    this.#recording = recorder?.start(this.#order.asked);
    this.#watch.expect("The upstream did not begin to answer", settings.firstByteTimeoutMs);
    const { signal } = this.#aborter;
    try {
      const response = await this.#outside(this.#services.answererOf(this.#target)(asked, signal));
      this.#recording?.head(response.status, response.headers);
      return response;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      const unsent = !signal.aborted && neverConnected(error);
      if (unsent && !isLast) return undefined;
      const reason = signal.aborted ? signal.reason : error;
      // The request was sent: the model may have worked, unseen.
      if (!unsent) this.#settle("cut", { outcome: outcomeOf(reason), errorType: typeOfError(reason) });
      if (signal.aborted) throw reason;
      const { name } = this.#target.upstream;
      const finding = unsent ? "it cannot be reached" : "the connection broke before it answered";
      throw new Refusal("upstream", `The upstream "${name}" did not answer: ${finding}`, { cause: error });
    }
  }

  #askedOfTarget(): Asked {
    const { asked, dialect } = this.#order;
    const { model } = this.#target;
    if (model === asked.model) return asked;
    const changed = dialect.withModel({ path: asked.path, body: asked.json }, model);
    const body = new TextEncoder().encode(JSON.stringify(changed.body));
    return { ...asked, path: changed.path, json: changed.body, body, model };
  }

  /** What the upstream asks of everyone: how long to wait, in milliseconds. */
  #heed(response: Response): number | undefined {
    if (!SLOW_DOWN.has(response.status)) return undefined;
    const waitMs = pauseMs(response, this.#services.now);
    const { upstream, model } = this.#target;
    if (waitMs !== undefined) this.#services.gate.closeUntil({ upstream: upstream.name, model }, waitMs);
    return waitMs;
  }

  // --- relaying

  #relay(response: Response): Promise<Response> | Response {
    if (REDIRECTS.has(response.status)) {
      response.body?.cancel().catch(() => {});
      const { status } = response;
      this.#settle("refused", { outcome: "refused", status, errorType: String(status) });
      const { name } = this.#target.upstream;
      throw new Refusal("upstream", `The upstream "${name}" has moved (${response.status}): correct its base URL`);
    }
    const isStream = response.ok && response.body !== null &&
      (this.#order.call.streamed || isEventStream(response.headers.get("content-type")));
    this.#watch.expect(
      "Nothing came from the upstream, or was taken by the client,",
      this.#services.settings.idleTimeoutMs,
    );
    return isStream ? this.#relayStream(response) : this.#relayWhole(response);
  }

  /** With its cost in a header, which can only be told when the whole reply is there. */
  async #relayWhole(response: Response): Promise<Response> {
    const { signal } = this.#aborter;
    const meter = new Meter(this.#order.dialect, response.headers);
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const reader = response.body === null ? undefined : createPieceReader(response.body);
    const stop = () => void reader?.cancel(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      while (reader !== undefined) {
        const piece = await this.#outside(reader.read());
        signal.throwIfAborted();
        if (piece === undefined) break;
        this.#took(piece, meter);
        pieces.push(piece);
        bytes += piece.byteLength;
        if (bytes > MAX_WHOLE_REPLY_BYTES) throw new RangeError(`It is longer than ${MAX_WHOLE_REPLY_BYTES} bytes`);
      }
    } catch (error) {
      const reason = signal.aborted ? signal.reason : error;
      if (!signal.aborted) stop();
      this.#end(meter, response, { complete: false, reason });
      if (signal.aborted) throw reason;
      const { name } = this.#target.upstream;
      throw new Refusal("upstream", `The reply of the upstream "${name}" broke off`, { cause: error });
    } finally {
      signal.removeEventListener("abort", stop);
    }
    const headers = this.#replyHeaders(response);
    const costUsd = this.#end(meter, response, { complete: true });
    if (costUsd !== null) headers["x-gocore-cost-usd"] = plainDecimal(costUsd);
    return wholeReply(joined(pieces, bytes), { status: response.status, headers });
  }

  #relayStream(response: Response): Response {
    const { signal } = this.#aborter;
    const meter = new Meter(this.#order.dialect, response.headers);
    const reader = createPieceReader(response.body!);
    const headers = this.#replyHeaders(response);
    let ended = false;
    let breakOff: (reason: unknown) => void = () => {};
    const end = (how: { complete: boolean; reason?: unknown }) => {
      ended = true;
      signal.removeEventListener("abort", onAbort);
      this.#end(meter, response, how);
    };
    const onAbort = () => {
      end({ complete: false, reason: signal.reason });
      reader.cancel(signal.reason);
      breakOff(signal.reason);
    };
    signal.addEventListener("abort", onAbort);
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        breakOff = (reason) => controller.error(reason);
      },
      pull: async (controller) => {
        try {
          const piece = await reader.read();
          if (ended) return;
          if (piece === undefined) {
            end({ complete: true });
            return controller.close();
          }
          this.#took(piece, meter);
          controller.enqueue(piece);
        } catch (error) {
          if (ended) return;
          end({ complete: false, reason: error });
          controller.error(error);
        }
      },
      cancel: () => this.abort(new CallEnded("client_gone", "The client left")),
    }, { highWaterMark: 0 });
    if (signal.aborted) onAbort();
    return new Response(body, { status: response.status, headers });
  }

  #took(piece: Uint8Array, meter: Meter): void {
    this.#firstByteMs ??= this.#services.monotonicMs() - this.#order.arrivedMs;
    this.#watch.touch();
    meter.push(piece);
    this.#recording?.chunk(piece);
  }

  #replyHeaders(response: Response): Record<string, string> {
    const headers = relayedHeaders(response);
    this.#overheadMs = this.#services.monotonicMs() - this.#order.arrivedMs - this.#outsideMs;
    headers["x-gocore-call"] = this.#order.id;
    headers["x-gocore-overhead-ms"] = Math.max(this.#overheadMs, 0).toFixed(3);
    return headers;
  }

  // --- settling

  /** The body has come to an end; the cost in USD, null when nobody knows. */
  #end(meter: Meter, response: Response, how: { complete: boolean; reason?: unknown }): number | null {
    const { reading, isComplete } = meter.end();
    this.#recording?.end({ complete: how.complete });
    const { status, headers } = response;
    const errorType = reading.errorType ?? (response.ok ? undefined : String(status));
    const told = { status, headers, reading };
    if (!response.ok) return this.#settle("refused", { ...told, outcome: "refused", errorType });
    // Clients hang up as soon as they have what they need, and some upstreams end a broken stream properly.
    const isWhole = isComplete || how.complete && !isEventStream(headers.get("content-type"));
    if (isWhole) return this.#settle("whole", { ...told, outcome: "answered", errorType });
    const outcome = how.complete ? "cut" : outcomeOf(how.reason, "cut");
    return this.#settle("cut", { ...told, outcome, errorType: errorType ?? typeOfError(how.reason) });
  }

  #settle(ending: CallEnding, told: EndOfCall): number | null {
    if (this.#settled) return null;
    this.#settled = true;
    this.#watch.stop();
    this.#onSettled();
    if (this.#reservation === undefined) {
      this.#permit?.cancel();
      return null;
    }
    const { settings, ledger, pricing, monotonicMs, publish } = this.#services;
    const { call, arrivedMs, id } = this.#order;
    const { outcome, status = null, reading, headers, errorType } = told;
    const { target, usd: reservedUsd } = this.#reservation;
    // A fallback that was not admitted is not what was asked.
    this.#target = target;
    const priced = { ...target, at: this.#startedAt };
    const charge = pricing.charge({ ...priced, ending, call, reading, headers, reservedUsd });
    const { usage, usageSource, costSource } = charge;
    // As the ledger counts it, so that every place shows the same sum.
    const cost = charge.costUsd === null ? null : toPicodollars(charge.costUsd);
    const costUsd = cost === null ? null : toUsd(cost);
    const durationMs = monotonicMs() - arrivedMs;
    ledger.settle(id, {
      outcome,
      status,
      answeredModel: reading?.model === undefined ? null : this.#services.redact(reading.model),
      usage,
      usageSource,
      cost,
      costSource,
      mayHaveCostMore: charge.mayHaveCostMore && settings.uncounted === "reservation",
      attempts: this.#attempts,
      durationMs,
      firstByteMs: this.#firstByteMs,
    });
    const input = usage === undefined ? 0 : usage.input + usage.cacheRead + usage.cacheWrite;
    // Of a call that was sent without a count of what it used, the estimate stands.
    this.#permit?.release(ending === "refused" ? 0 : usage && input + usage.output);
    publish({
      type: "model.answered",
      data: {
        ...this.#identity(),
        outcome,
        status,
        attempts: this.#attempts,
        cost_usd: costUsd,
        cost_source: costSource,
        usage_source: usageSource,
        duration_ms: durationMs,
        first_byte_ms: this.#firstByteMs,
        overhead_ms: Math.max(this.#overheadMs, 0),
        "gen_ai.response.model": reading?.model,
        "gen_ai.response.id": reading?.responseId,
        "gen_ai.response.finish_reasons": [...reading?.finishReasons ?? []],
        "gen_ai.usage.input_tokens": input,
        "gen_ai.usage.output_tokens": usage?.output ?? 0,
        "gen_ai.usage.cache_read.input_tokens": usage?.cacheRead ?? 0,
        "gen_ai.usage.cache_creation.input_tokens": usage?.cacheWrite ?? 0,
        "gen_ai.usage.reasoning.output_tokens": usage?.reasoning ?? 0,
        "error.type": errorType,
      },
    });
    return costUsd;
  }

  #identity() {
    const { id, caller, dialect, call } = this.#order;
    const { upstream } = this.#target;
    return {
      call: id,
      run: caller.run,
      worker: caller.worker,
      key: caller.keyId,
      upstream: upstream.name,
      dialect: dialect.id,
      streamed: call.streamed,
      "gen_ai.operation.name": "chat" as const,
      "gen_ai.provider.name": this.#providerName(),
      "gen_ai.request.model": this.#shownModel(),
      "gen_ai.request.max_tokens": call.maxOutputTokens,
      ...serverOf(upstream),
    };
  }

  /** A client chooses it, and may choose its key by mistake. */
  #shownModel(): string {
    return this.#services.redact(this.#target.model);
  }

  #providerName(): string {
    const { provider } = this.#target.upstream;
    return provider === "gemini" ? "gcp.gemini" : provider === "vertex_ai" ? "gcp.vertex_ai" : provider;
  }
}

const servers = new WeakMap<UpstreamSettings, { "server.address"?: string; "server.port"?: number }>();

/** Where an upstream listens; nothing for recordings and scripts. */
function serverOf(upstream: UpstreamSettings): { "server.address"?: string; "server.port"?: number } {
  const known = servers.get(upstream);
  if (known !== undefined) return known;
  const url = URL.canParse(upstream.baseUrl) ? new URL(upstream.baseUrl) : undefined;
  const server = url === undefined ? {} : {
    "server.address": url.hostname,
    "server.port": Number(url.port || (url.protocol === "https:" ? 443 : 80)),
  };
  servers.set(upstream, server);
  return server;
}

/** Reads what a reply says about itself while it goes past. */
class Meter {
  readonly #reader: ReplyReader;
  readonly #tap: ReplyTap;

  constructor(dialect: Dialect, headers: Headers) {
    this.#reader = dialect.createReader();
    this.#tap = createReplyTap(this.#reader, headers.get("content-type"));
  }

  push(piece: Uint8Array): void {
    this.#tap.push(piece);
  }

  end(): { reading: ReplyReading; isComplete: boolean } {
    this.#tap.end();
    const { reading } = this.#reader;
    return { reading, isComplete: reading.isComplete || this.#tap.sawDone };
  }
}

interface EndOfCall {
  readonly outcome: Exclude<CallOutcome, "lost">;
  readonly status?: number;
  readonly headers?: Headers;
  readonly reading?: ReplyReading;
  readonly errorType?: string;
}

/** They belong to one connection, or to a body that is decoded by now; cookies are for browsers. */
const NOT_RELAYED = new Set([
  "alt-svc",
  "connection",
  "content-length",
  "keep-alive",
  "proxy-authenticate",
  "set-cookie",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** A reply with all of its body; with some statuses there must be none. */
export function wholeReply(body: Uint8Array<ArrayBuffer>, init: { status: number; headers: HeadersInit }): Response {
  return new Response([204, 205, 304].includes(init.status) ? null : body, init);
}

/** A reply's headers as they reach the client. */
export function relayedHeaders(response: Response): Record<string, string> {
  // Not `Headers`, which some runtimes sort anew for each entry that is read; without a prototype every name is a name.
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of response.headers) {
    if (!NOT_RELAYED.has(name) && !name.startsWith("x-gocore-")) headers[name] = value;
  }
  return headers;
}

function outcomeOf(reason: unknown, otherwise: "cut" | "unreachable" = "unreachable"): EndOfCall["outcome"] {
  if (reason instanceof Refusal) return reason.kind === "upstream" ? otherwise : "refused";
  if (!(reason instanceof CallEnded)) return otherwise;
  return reason.kind === "closing" ? "cut" : reason.kind;
}

function typeOfError(reason: unknown): string | undefined {
  if (reason === undefined) return undefined;
  if (reason instanceof Refusal || reason instanceof CallEnded) return reason.kind;
  // fetch has no word of its own for it.
  if (reason instanceof TypeError) return "connection_broken";
  return reason instanceof Error ? reason.name : "Error";
}

function budgetMessage(refusal: BudgetRefusal, model: string): string {
  const { scope, scopeId, capUsd, spentUsd, reservedUsd, neededUsd } = refusal;
  const cap = `the cap of ${money(capUsd)} for the ${scope} "${scopeId}"`;
  if (neededUsd === null) {
    return `The price of the model "${model}" is unknown, and ${cap} stands; give its price in the gateway's ` +
      `configuration under [prices], or set unknown_price = "allow"`;
  }
  const [spent, reserved, needed] = [spentUsd, reservedUsd, neededUsd].map(money);
  return `${cap.charAt(0).toUpperCase()}${
    cap.slice(1)
  } does not allow this call: ${spent} are spent, ${reserved} are ` +
    `reserved for calls under way, and it can cost up to ${needed}; raise the cap, or lower the request's limit of ` +
    `output tokens`;
}

function money(usd: number): string {
  return `${usd < 0.01 && usd > 0 ? usd.toPrecision(2) : usd.toFixed(2)} USD`;
}

/** Without an exponent, to the picodollar. */
function plainDecimal(usd: number): string {
  return usd.toFixed(12).replace(/\.?0+$/, "");
}
