/** A request that the gateway itself answers with an error. */

/** What went wrong, and the HTTP status that says so. */
export const REFUSAL_STATUS = {
  bad_request: 400,
  /** The credential is missing, wrong, ended or expired. */
  authentication: 401,
  /** A cap is reached, or a price that a cap needs is unknown. Asking again is of no use: never 429. */
  budget: 402,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  /** The client took too long to send its request. */
  request_timeout: 408,
  /** Nothing recorded fits the request. */
  no_recording: 409,
  too_large: 413,
  unsupported_encoding: 415,
  /** A host name that this gateway does not have. */
  misdirected: 421,
  /** WebSocket is not spoken here; clients fall back to HTTP. */
  upgrade_refused: 426,
  headers_too_large: 431,
  internal: 500,
  /** The upstream cannot be reached, or broke off before it answered. */
  upstream: 502,
  /** The gateway ends, or its ledger cannot be written: nothing is spent without a record. */
  unavailable: 503,
  /** The upstream did not answer in time. */
  upstream_timeout: 504,
} as const;

export type RefusalKind = keyof typeof REFUSAL_STATUS;

export class Refusal extends Error {
  readonly kind: RefusalKind;
  readonly status: number;
  /** Members for the error's body that programs can read, such as the cap that was reached. */
  readonly details: Readonly<Record<string, unknown>>;

  /** `message`: what was wrong, and what to do about it, in whole sentences without a full stop at the end. */
  constructor(
    kind: RefusalKind,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Refusal";
    this.kind = kind;
    this.status = REFUSAL_STATUS[kind];
    this.details = options.details ?? {};
  }

  /** Whether the same request can succeed later without anybody changing anything. */
  get isTerminal(): boolean {
    return this.status < 500 && this.kind !== "request_timeout";
  }
}
