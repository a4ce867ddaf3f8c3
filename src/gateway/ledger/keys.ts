/** Virtual keys: what workers hold instead of a real key; each names one worker of one run. */
import { createHash } from "node:crypto";
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { Failure } from "../../failure.ts";
import { isRunName, isWorkerName } from "../names.ts";
import type { Caller } from "./entry.ts";
import { toCap, toUsd } from "./picodollars.ts";

export const VIRTUAL_KEY_PREFIX = "gck_";
const SECRET_LENGTH = 32;
const KEY = new RegExp(`^${VIRTUAL_KEY_PREFIX}[A-Za-z0-9]{${SECRET_LENGTH}}$`);
const ID_LENGTH = 12;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** The latest time that a Date can hold, in milliseconds since 1970. */
const LATEST_MS = 8.64e15;

/** Whether it calls itself a virtual key; an id of one does not. */
export function isVirtualKey(credential: string): boolean {
  return credential.startsWith(VIRTUAL_KEY_PREFIX);
}

export interface KeyRequest {
  readonly run: string;
  readonly worker: string;
  /** Instead of the cap that holds for every key. */
  readonly capUsd?: number;
  /** From now on; undefined: until it is ended. */
  readonly leaseMs?: number;
}

export interface IssuedKey {
  /** Names the key in lists and sums; no secret. */
  readonly id: string;
  /** `gck_` and 32 letters or digits. Told this once; only its SHA-256 is stored. */
  readonly key: string;
}

export type KeyFinding =
  | { readonly kind: "valid"; readonly caller: Caller }
  | { readonly kind: "unknown" }
  | { readonly kind: "ended" }
  /** Its lease is over. */
  | { readonly kind: "expired" };

export interface KeyRecord {
  readonly id: string;
  readonly run: string;
  readonly worker: string;
  /** Null: the cap for every key holds, if there is one. */
  readonly capUsd: number | null;
  readonly state: "valid" | "ended" | "expired";
  readonly created: Date;
  /** Null: no lease. */
  readonly leaseUntil: Date | null;
  readonly ended: Date | null;
}

interface KeyRow {
  readonly id: string;
  readonly run: string;
  readonly worker: string;
  readonly cap: bigint | null;
  readonly created_ms: bigint;
  readonly lease_until_ms: bigint | null;
  readonly ended_ms: bigint | null;
}

/** Every method is one statement, so that what another process has ended stops at once. */
export class VirtualKeys {
  readonly #database: DatabaseSync;
  readonly #now: () => number;
  readonly #byHash: StatementSync;
  readonly #byId: StatementSync;

  /** @param now milliseconds since 1970 */
  constructor(database: DatabaseSync, now: () => number) {
    this.#database = database;
    this.#now = now;
    this.#byHash = database.prepare("SELECT * FROM key WHERE hash = ?");
    this.#byId = database.prepare("SELECT * FROM key WHERE id = ?");
    for (const statement of [this.#byHash, this.#byId]) statement.setReadBigInts(true);
  }

  /** Throws a `Failure` of kind `usage` for a name, a cap or a lease that cannot be. */
  issue({ run, worker, capUsd, leaseMs }: KeyRequest): IssuedKey {
    requireNames({ run, worker });
    if (capUsd !== undefined && !(capUsd >= 0)) {
      throw new Failure("usage", `Cannot issue a key with a cap of ${capUsd}: need an amount in USD, 0 or more`);
    }
    const id = `key_${randomText(ID_LENGTH)}`;
    const key = VIRTUAL_KEY_PREFIX + randomText(SECRET_LENGTH);
    this.#database.prepare(
      "INSERT INTO key (id, hash, run, worker, cap, created_ms, lease_until_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ).run(
      id,
      hashOf(key),
      run,
      worker,
      capUsd === undefined ? null : toCap(capUsd),
      this.#now(),
      this.#leaseEnd(leaseMs),
    );
    return { id, key };
  }

  find(key: string): KeyFinding {
    const row = KEY.test(key) ? this.#byHash.get(hashOf(key)) as KeyRow | undefined : undefined;
    if (row === undefined) return { kind: "unknown" };
    const kind = this.#stateOf(row);
    return kind === "valid" ? { kind, caller: { run: row.run, worker: row.worker, keyId: row.id } } : { kind };
  }

  /** What becomes of calls with this key, and the cap of its own in picodollars. */
  standing(id: string): { readonly state: "unknown" | KeyRecord["state"]; readonly cap: bigint | null } {
    const row = this.#byId.get(id) as KeyRow | undefined;
    return row === undefined ? { state: "unknown", cap: null } : { state: this.#stateOf(row), cap: row.cap };
  }

  /** The lease ends so long from now, also when it was over; false: there is no such key, or it was ended. */
  renew(id: string, leaseMs: number): boolean {
    const renewal = this.#database.prepare("UPDATE key SET lease_until_ms = ? WHERE id = ? AND ended_ms IS NULL");
    return Number(renewal.run(this.#leaseEnd(leaseMs), id).changes) > 0;
  }

  /** Ends every key that fits and has not ended; returns how many. What they have spent and reserved stays counted. */
  end(which: { readonly id: string } | { readonly run: string; readonly worker?: string }): number {
    const [condition, ...values] = "id" in which
      ? ["id = ?", which.id]
      : which.worker === undefined
      ? ["run = ?", which.run]
      : ["run = ? AND worker = ?", which.run, which.worker];
    const ending = this.#database.prepare(`UPDATE key SET ended_ms = ? WHERE ended_ms IS NULL AND ${condition}`);
    return Number(ending.run(this.#now(), ...values).changes);
  }

  /** In the order in which they were issued. */
  list(filter: { readonly run?: string } = {}): KeyRecord[] {
    const values: SQLInputValue[] = filter.run === undefined ? [] : [filter.run];
    const listing = this.#database.prepare(
      `SELECT * FROM key ${filter.run === undefined ? "" : "WHERE run = ?"} ORDER BY created_ms, id`,
    );
    listing.setReadBigInts(true);
    return (listing.all(...values) as unknown as KeyRow[]).map((row) => ({
      id: row.id,
      run: row.run,
      worker: row.worker,
      capUsd: row.cap === null ? null : toUsd(row.cap),
      state: this.#stateOf(row),
      created: new Date(Number(row.created_ms)),
      leaseUntil: dateOf(row.lease_until_ms),
      ended: dateOf(row.ended_ms),
    }));
  }

  #stateOf({ ended_ms, lease_until_ms }: KeyRow): KeyRecord["state"] {
    if (ended_ms !== null) return "ended";
    return lease_until_ms !== null && Number(lease_until_ms) <= this.#now() ? "expired" : "valid";
  }

  #leaseEnd(leaseMs: number | undefined): number | null {
    if (leaseMs === undefined) return null;
    const end = Math.round(this.#now() + leaseMs);
    if (!(leaseMs > 0) || !(end <= LATEST_MS)) {
      throw new Failure("usage", `Cannot lease a key for ${leaseMs} ms: need a time above 0`);
    }
    return end;
  }
}

/** Throws a `Failure` of kind `usage` for a name that no run, or no worker, can have. */
export function requireNames({ run, worker }: Pick<KeyRequest, "run" | "worker">): void {
  if (!isRunName(run)) throw nameFailure("run", run, 128);
  if (!isWorkerName(worker)) throw nameFailure("worker", worker, 64);
}

function nameFailure(what: string, name: string, longest: number): Failure {
  const shown = JSON.stringify(name.slice(0, 200));
  return new Failure("usage", `Cannot issue a key for the ${what} ${shown}: it is no name that a ${what} can have`, {
    hints: [`Use 1 to ${longest} letters, digits, ".", "_" and "-", but not "." or ".." alone`],
  });
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function randomText(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      // 248 is a multiple of 62: with the bytes above, some characters would be likelier than others.
      if (byte < 248 && text.length < length) text += ALPHABET[byte % ALPHABET.length];
    }
  }
  return text;
}

function dateOf(ms: bigint | null): Date | null {
  return ms === null ? null : new Date(Number(ms));
}
