/** The gateway: a server on which agents find all their models, and that lets no call past unmetered. */
import type { EventFact } from "../events/event.ts";
import { Failure, messageOf } from "../failure.ts";
import { VERSION } from "../config/version.ts";
import { Redactor, secretsIn } from "../safety/secrets.ts";
import { askUpstream, passedOnHeaders, passedOnSearch } from "./ask_upstream.ts";
import type { Answerer, Asked } from "./answerer.ts";
import { authorise } from "./authorise.ts";
import { type CallServices, MAX_WHOLE_REPLY_BYTES, OpenCall, relayedHeaders, wholeReply } from "./call.ts";
import { type ClientConnection, ClientConnections } from "./client_connections.ts";
import { CallEnded, Deadlines } from "./deadlines.ts";
import type { Dialect } from "./dialect.ts";
import { dialects } from "./dialects/all.ts";
import { readGeminiPath } from "./dialects/gemini_path.ts";
import { refuseRepeatedNames } from "./dialects/request_fields.ts";
import { checkHead, joined, parseBody, readBody } from "./guard.ts";
import { isLoopback, withoutBrackets } from "./loopback.ts";
import type { Recorder, RecorderOptions } from "./cassette/recorder.ts";
import type { Caller } from "./ledger/entry.ts";
import { type Ledger, openLedger } from "./ledger/ledger.ts";
import type { Metrics } from "./metrics.ts";
import { createPricing } from "./pricing.ts";
import { RateGate } from "./rate_gate.ts";
import { Refusal } from "./refusal.ts";
import { matchRoute, type Route } from "./route.ts";
import type { GatewaySettings, UpstreamSettings } from "./settings.ts";
import { type Target, targetsOf } from "./targets.ts";

export interface Gateway {
  /** `http://127.0.0.1:8045`, without a path. */
  readonly url: string;
  readonly ledger: Ledger;
  /** Takes no more calls, lets those under way go on for `drainMs`, then ends and settles them. Never rejects. */
  close(): Promise<void>;
}

export interface GatewayOptions {
  /** Its secrets are kept out of recordings. */
  readonly env: Readonly<Record<string, string>>;
  /** Told of every call. Never waited for; must not throw. */
  publish(fact: EventFact): void;
  /** Milliseconds since 1970. */
  now(): number;
  monotonicMs(): number;
}

/** How late a deadline of a call may be noticed, at most. */
const DEADLINE_PERIOD_MS = 250;
/** What the bodies of all calls under way may have together. */
const MAX_HELD_BYTES = 512 * 1024 * 1024;
/** How long the server rests when the system lets it take no more connections. */
const LISTEN_AGAIN_MS = 250;
/** How long connections that nothing happens on may hold up the end. */
const LAST_CONNECTIONS_MS = 1000;

/** Throws a `Failure` when it cannot listen, or open its ledger, its recordings or its script. */
export async function startGateway(settings: GatewaySettings, options: GatewayOptions): Promise<Gateway> {
  if (!isLoopback(settings.host) && settings.token === undefined && !settings.requireKey) {
    throw new Failure(
      "usage",
      `Cannot listen on "${settings.host}": need a token, because others could ask in your name`,
      {
        hints: [
          "Set one, for example `export GOCORE_GATEWAY_TOKEN=$(openssl rand -hex 24)`",
          "Or take virtual keys only, with `--require-key`, or listen on 127.0.0.1",
        ],
      },
    );
  }
  const problem = (content: string) => options.publish({ type: "log", data: { level: "warning", content } });
  const keys = [...settings.upstreams.map(({ apiKey }) => apiKey), settings.token].filter((key) => key !== undefined);
  const redactor = new Redactor([...secretsIn(options.env), ...keys]);
  const [pricing, answererOf, metrics, recorder] = await Promise.all([
    createPricing(settings),
    openSource(settings, redactor),
    import("./metrics.ts").then(({ createMetrics }) => createMetrics()),
    openRecording(settings, { redactor, now: options.now, onProblem: problem }),
  ]);
  const { caps, unknownPrice } = settings;
  const ledger = openLedger(settings.ledger, { now: options.now, caps, unknownPrice, onProblem: problem });
  const gate = new RateGate({ rules: settings.rates, monotonicMs: options.monotonicMs });
  const periodMs = Math.min(
    DEADLINE_PERIOD_MS,
    ...[settings.firstByteTimeoutMs, settings.idleTimeoutMs, settings.callTimeoutMs].map((ms) => Math.max(ms / 4, 10)),
  );
  const server = new GatewayServer({
    settings,
    ledger,
    pricing,
    gate,
    recorder,
    answererOf,
    redact: (name) => redactor.redact(name),
    deadlines: new Deadlines({ monotonicMs: options.monotonicMs, periodMs }),
    publish: (fact) => {
      metrics.take(fact);
      options.publish(fact);
    },
    now: options.now,
    monotonicMs: options.monotonicMs,
  }, metrics);
  try {
    server.listen();
  } catch (error) {
    ledger.close();
    throw error;
  }
  return server;
}

/** Who answers: providers, recordings, or a script. */
async function openSource(
  { source, upstreams }: GatewaySettings,
  redactor: Redactor,
): Promise<(target: Target) => Answerer> {
  if (source.kind === "replay") {
    const replay = await (await import("./cassette/replay.ts")).openReplay(source.dir, { redactor });
    return () => replay;
  }
  if (source.kind === "script") {
    const script = await (await import("./script/scripted_answerer.ts")).openScript(source.path);
    return () => script;
  }
  const answerers = new Map(upstreams.map((upstream) => [upstream, askUpstream(upstream)]));
  return ({ upstream }) => answerers.get(upstream)!;
}

async function openRecording({ source }: GatewaySettings, options: RecorderOptions): Promise<Recorder | undefined> {
  if (source.kind !== "upstreams" || source.recordDir === undefined) return undefined;
  const { openRecorder } = await import("./cassette/recorder.ts");
  return await openRecorder(source.recordDir, options);
}

class GatewayServer implements Gateway {
  readonly #services: CallServices;
  readonly #metrics: Metrics;
  readonly #calls = new Set<OpenCall>();
  readonly #connections: ClientConnections;
  #heldBytes = 0;
  /** Ends what is not a call of its own. */
  readonly #stop = new AbortController();
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  #url = "";
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(services: CallServices, metrics: Metrics) {
    this.#services = services;
    this.#metrics = metrics;
    const { requestTimeoutMs, idleTimeoutMs } = services.settings;
    this.#connections = new ClientConnections({
      requestTimeoutMs,
      // A client that keeps its connection may be about to send, and would take its end for a failure of the call.
      idleTimeoutMs: Math.max(idleTimeoutMs, 2 * requestTimeoutMs),
      onLate: (count) => this.#tellLate(count),
    });
  }

  get url(): string {
    return this.#url;
  }

  get ledger(): Ledger {
    return this.#services.ledger;
  }

  listen(): void {
    const { settings, ledger, publish } = this.#services;
    const { port, caps } = settings;
    try {
      this.#server = this.#serve(port);
    } catch (cause) {
      throw listenFailure(settings, cause);
    }
    const { addr } = this.#server;
    this.#connections.listensOn(addr);
    this.#url = `http://${addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname}:${addr.port}`;
    publish({
      type: "gateway.listening",
      data: {
        url: this.#url,
        pid: Deno.pid,
        version: VERSION,
        ledger: settings.ledger,
        source: settings.source.kind,
        caps: { run: caps.run ?? null, worker: caps.worker ?? null, key: caps.key ?? null, day: caps.day ?? null },
      },
    });
    const { lostCalls, lostUsd } = ledger.recovery;
    if (lostCalls === 0) return;
    const calls = lostCalls === 1 ? "1 call was" : `${lostCalls} calls were`;
    const content =
      `${calls} under way when a gateway died; what was held back for them, ${lostUsd} USD, counts as spent`;
    publish({ type: "log", data: { level: "warning", content } });
  }

  #serve(port: number): Deno.HttpServer<Deno.NetAddr> {
    const server = Deno.serve({
      hostname: withoutBrackets(this.#services.settings.host),
      port,
      onListen: () => {},
      onError: () => new Response(null, { status: 500 }),
    }, (request, { remoteAddr }) => this.#handle(request, this.#connections.of(remoteAddr)));
    server.finished.catch((error) => this.#listenAgain(error, server.addr.port));
    return server;
  }

  /** Without file descriptors the runtime gives up listening. Calls under way go on, and end, and give theirs back. */
  async #listenAgain(error: unknown, port: number): Promise<void> {
    if (this.#closing !== undefined) return;
    const content = `No connection can be taken for the moment: ${messageOf(error)}`;
    this.#services.publish({ type: "log", data: { level: "error", content } });
    while (this.#closing === undefined) {
      await new Promise((resolve) => setTimeout(resolve, LISTEN_AGAIN_MS));
      try {
        if (this.#closing === undefined) this.#server = this.#serve(port);
        return;
      } catch {
        // Whoever holds the descriptors, or the port, still does.
      }
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { settings, ledger, recorder } = this.#services;
    if (this.#calls.size > 0) {
      await withDeadline(new Promise<void>((resolve) => this.#onIdle = resolve), settings.drainMs);
    }
    for (const call of this.#calls) call.abort(new CallEnded("closing", "The gateway ends"));
    this.#stop.abort();
    this.#connections.close();
    // A server that was told to shut down cannot be aborted any more: what is left then ends with the client, or with us.
    await withDeadline(this.#server?.shutdown().catch(() => {}), LAST_CONNECTIONS_MS);
    await recorder?.settled();
    ledger.close();
  }

  #tellLate(count: number): void {
    const what = count === 1 ? "1 connection was ended" : `${count} connections were ended`;
    const content = `${what}: no request had come after ${this.#services.settings.requestTimeoutMs / 1000} s`;
    this.#services.publish({ type: "log", data: { level: "warning", content } });
  }

  async #handle(request: Request, client: ClientConnection): Promise<Response> {
    const arrivedMs = this.#services.monotonicMs();
    const release = client.hold();
    let dialect: Dialect = dialects.openai_chat;
    const id = newCallId();
    try {
      const { settings } = this.#services;
      // The address of a request with a broken Host header cannot be read.
      const url = URL.canParse(request.url) ? new URL(request.url) : undefined;
      const route: Route = url === undefined
        ? { kind: "unknown", dialect: dialect.id }
        : matchRoute(request.method, url.pathname, request.headers);
      if ("dialect" in route) dialect = dialects[route.dialect];
      checkHead(request.headers, settings);
      switch (route.kind) {
        case "hello":
          return Response.json({ gocore: "gateway", version: VERSION });
        case "health":
          return this.#health();
        case "metrics":
          // Beyond this machine its figures are not for everybody.
          if (!isLoopback(settings.host)) this.#authorise(request, url!.search, undefined);
          return await this.#renderMetrics();
        case "upgrade":
          throw new Refusal("upgrade_refused", "WebSocket is not spoken here; send the request over HTTP");
        case "wrong_method":
          throw new Refusal("method_not_allowed", `${request.method} is not possible here; use ${route.allow}`);
        case "unknown":
          throw new Refusal("not_found", "This gateway has no such path; it takes calls of models only");
        case "call":
        case "free": {
          this.#requireOpen();
          const search = url!.search;
          const caller = this.#authorise(request, search, route.worker);
          const from = { path: route.path, search: passedOnSearch(search, dialect.id), dialect, caller };
          if (route.kind === "free") return await this.#passThrough(request, from);
          return await this.#call(request, { ...from, id, arrivedMs, client });
        }
      }
    } catch (error) {
      return this.#refused(error, dialect, id);
    } finally {
      release();
    }
  }

  #authorise({ headers }: Request, search: string, worker: string | undefined): Caller {
    const { ledger, settings } = this.#services;
    return authorise({ headers, search, worker }, ledger, settings);
  }

  async #call(
    request: Request,
    { id, arrivedMs, client, ...from }: Origin & { id: string; arrivedMs: number; client: ClientConnection },
  ): Promise<Response> {
    const { dialect, caller } = from;
    const { monotonicMs } = this.#services;
    const beganMs = monotonicMs();
    const body = await this.#readBody(request);
    const outsideMs = monotonicMs() - beganMs;
    const json = parseBody(body);
    refuseRepeatedNames(body);
    const call = dialect.readCall(json, from.path, body.byteLength);
    const { model, streamed } = call;
    const asked = this.#asked(request, { ...from, body, model, streamed });
    const targets = this.#targets(model, dialect);
    // Until the end of the reply, not only of its head.
    const release = client.hold();
    const open = new OpenCall(
      { id, caller, dialect, call, asked, targets, arrivedMs, outsideMs },
      this.#services,
      () => {
        release();
        this.#calls.delete(open);
        this.#heldBytes -= body.byteLength;
        if (this.#calls.size === 0) this.#onIdle?.();
      },
    );
    this.#calls.add(open);
    this.#heldBytes += body.byteLength;
    const onGone = () => open.abort(new CallEnded("client_gone", "The client left"));
    request.signal.addEventListener("abort", onGone);
    if (request.signal.aborted) onGone();
    const stopLooking = client.watch(onGone);
    try {
      return await open.reply();
    } finally {
      // A reply that has begun is cancelled when the client leaves.
      stopLooking();
      request.signal.removeEventListener("abort", onGone);
    }
  }

  /** What costs nothing: it is asked and handed back, without a place in the ledger. */
  async #passThrough(request: Request, from: Origin): Promise<Response> {
    const { settings, recorder, deadlines, answererOf } = this.#services;
    const body = await this.#readBody(request);
    const { model: named } = body.byteLength === 0 ? {} : parseBody(body);
    const model = typeof named === "string" ? named : readGeminiPath(from.path)?.model ?? "";
    const asked = this.#asked(request, { ...from, body, model, streamed: false });
    const [target] = this.#targets(model === "" ? undefined : model, from.dialect);
    const late = new AbortController();
    const watch = deadlines.watch(settings.firstByteTimeoutMs, (reason) => late.abort(reason));
    const signal = AbortSignal.any([request.signal, this.#stop.signal, late.signal]);
    const recording = recorder?.start(asked);
    let response: Response;
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      response = await answererOf(target!)(asked, signal);
      bytes = await readWhole(response);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (late.signal.aborted) throw late.signal.reason;
      throw new Refusal("upstream", `The upstream "${target!.upstream.name}" did not answer`, { cause: error });
    } finally {
      watch.stop();
    }
    recording?.head(response.status, response.headers);
    recording?.chunk(bytes);
    recording?.end({ complete: true });
    return wholeReply(bytes, { status: response.status, headers: relayedHeaders(response) });
  }

  #asked(
    request: Request,
    { caller, body, ...rest }: Origin & Pick<Asked, "body" | "model" | "streamed">,
  ): Asked {
    const { run, worker } = caller;
    return {
      ...rest,
      body,
      get json() {
        return body.byteLength === 0 ? {} : parseBody(body);
      },
      method: request.method,
      headers: passedOnHeaders(request.headers),
      run,
      worker,
    };
  }

  /** Recordings and scripts answer for every model, at the prices of its usual provider. */
  #targets(model: string | undefined, dialect: Dialect): readonly Target[] {
    const { settings } = this.#services;
    const { kind } = settings.source;
    if (kind !== "upstreams") return [{ upstream: standIn(kind, dialect), model: model ?? "" }];
    return targetsOf(model, dialect, settings);
  }

  async #readBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    const { maxBodyBytes: maxBytes, requestTimeoutMs: timeoutMs } = this.#services.settings;
    try {
      const body = await readBody(request, { maxBytes, timeoutMs });
      this.#requireOpen();
      if (this.#heldBytes + body.byteLength > MAX_HELD_BYTES && this.#heldBytes > 0) {
        throw new Refusal("unavailable", "The requests of calls under way fill the gateway's memory; ask again later");
      }
      return body;
    } catch (error) {
      // Some runtimes break off what is on its way when the server is told to end.
      this.#requireOpen();
      throw error;
    }
  }

  /** A call that began later would neither be waited for nor be settled. */
  #requireOpen(): void {
    if (this.#closing !== undefined) throw new Refusal("unavailable", "The gateway ends");
  }

  #health(): Response {
    const { gate, settings, ledger } = this.#services;
    const closing = this.#closing !== undefined;
    return Response.json({
      status: closing ? "closing" : "ok",
      version: VERSION,
      source: settings.source.kind,
      open_calls: this.#calls.size,
      waiting_calls: gate.waiting,
      unwritten_settlements: ledger.pending,
    }, { status: closing ? 503 : 200 });
  }

  async #renderMetrics(): Promise<Response> {
    const { gate, ledger, settings, now } = this.#services;
    const scopes = [
      { scope: "run", id: settings.run },
      { scope: "day", id: new Date(now()).toISOString().slice(0, 10) },
    ] as const;
    const { contentType, body } = await this.#metrics.render({
      openCalls: this.#calls.size,
      waitingCalls: gate.waiting,
      spend: scopes.map(({ scope, id }) => ({ scope, ...ledger.spent({ scope, id }) })),
    });
    return new Response(body, { headers: { "content-type": contentType } });
  }

  #refused(error: unknown, dialect: Dialect, id: string): Response {
    const refusal = asRefusal(error);
    // A refusal by a cap has an event of its own.
    if (refusal.kind !== "budget") {
      const isOurs = refusal.kind === "internal";
      const content = isOurs
        ? `The gateway failed on a call: ${messageOf(error)}`
        : `A request was refused (${refusal.status}): ${refusal.message}`;
      this.#services.publish({ type: "log", data: { level: isOurs ? "error" : "warning", content, call: id } });
    }
    const headers: Record<string, string> = { "x-gocore-call": id };
    if (refusal.kind === "upgrade_refused") headers.upgrade = "HTTP/1.1";
    // What clients of these formats understand as "do not try again", whatever they think of the status.
    if (refusal.isTerminal) headers["x-should-retry"] = "false";
    const { wait_ms: waitMs } = refusal.details;
    if (typeof waitMs === "number") headers["retry-after"] = String(Math.ceil(waitMs / 1000));
    return Response.json(dialect.errorBody(refusal), { status: refusal.status, headers });
  }
}

interface Origin {
  readonly path: string;
  readonly search: string;
  readonly dialect: Dialect;
  readonly caller: Caller;
}

async function readWhole({ body }: Response): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body ?? []) {
    pieces.push(piece);
    bytes += piece.byteLength;
    if (bytes > MAX_WHOLE_REPLY_BYTES) throw new RangeError(`The reply is longer than ${MAX_WHOLE_REPLY_BYTES} bytes`);
  }
  return joined(pieces, bytes);
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (!(error instanceof CallEnded)) {
    return new Refusal("internal", "The gateway failed on this call", { cause: error });
  }
  if (error.kind === "timeout") return new Refusal("upstream_timeout", error.message, { cause: error });
  return new Refusal("unavailable", error.message, { cause: error });
}

/** Time and chance, so that they sort by age and never repeat. */
function newCallId(): string {
  const random = crypto.getRandomValues(new Uint32Array(2));
  const tail = random[0]!.toString(36).padStart(7, "0") + random[1]!.toString(36).padStart(7, "0");
  return `call_${Date.now().toString(36)}${tail}`;
}

function standIn(name: "replay" | "script", { id }: Dialect): UpstreamSettings {
  const provider = id === "anthropic" ? "anthropic" : id === "gemini" ? "gemini" : "openai";
  return { name, provider, baseUrl: "", apiKey: undefined, keyless: true, keySource: "", dialects: [id], models: [] };
}

function listenFailure({ host, port }: GatewaySettings, cause: unknown): Failure {
  const inUse = cause instanceof Deno.errors.AddrInUse;
  const finding = inUse ? "another program listens there" : messageOf(cause);
  return new Failure("environment", `Cannot listen on ${host}:${port}: ${finding}`, {
    hints: inUse ? ["Choose another port, for example `--port 0` for any that is free"] : [],
    cause,
  });
}

async function withDeadline(work: Promise<unknown> | undefined, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([work, late]);
  clearTimeout(timer);
}
