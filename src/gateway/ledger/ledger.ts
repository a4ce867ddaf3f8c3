/** What every model call was allowed to cost and did cost: one SQLite file that several gateways may share. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { messageOf } from "../../failure.ts";
import type { Usage } from "../../models/usage.ts";
import { isCertainlyDead, ownIdentity, type ProcessIdentity } from "../../store/process_identity.ts";
import { Refusal } from "../refusal.ts";
import type { Caps } from "../settings.ts";
import { Checkpointer } from "./checkpointer.ts";
import type { Admission, BudgetRefusal, BudgetScope, CallEntry, Caller, Picodollars, Settlement } from "./entry.ts";
import { type IssuedKey, type KeyFinding, type KeyRecord, type KeyRequest, VirtualKeys } from "./keys.ts";
import { toCap, toUsd } from "./picodollars.ts";
import { readReport, type Report, type ReportQuery } from "./report.ts";
import { createTransaction, databaseFailure, isLocked, openDatabase, waitForLocks } from "./schema.ts";
import { NO_SUMS, type Scope, scopesOf, ScopeSums, type Sums } from "./scopes.ts";

/** How often settlements that could not be written are tried again. */
const RETRY_MS = 1000;
/** After a try that found the file locked, nobody tries for so long: each try stops the whole process for a moment. */
const LOCK_PAUSE_MS = 50;
/** A lock is worth telling after so many such tries in a row, about a second. */
const TOLD_LOCK_TRIES = 15;
/** What other processes release shows after this long. */
const POLL_MS = 250;
/** Names and counts come from upstreams; more than this is nonsense that must not break the sums. */
const LONGEST_MODEL_NAME = 200;
const HIGHEST_COUNT = 1e12;

export interface LedgerOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Undefined: no caps but those of keys. */
  readonly caps?: Caps;
  /** What becomes of a call of unknown price that a cap applies to; default: it is refused. */
  readonly unknownPrice?: "refuse" | "allow";
  /** Who holds the reservations; default: this process. */
  readonly identity?: ProcessIdentity;
  /** For readers: a missing file is a failure and is not made. */
  readonly mustExist?: boolean;
  /** Told in a sentence, once for each problem: settlements that wait for the disk, sums that had to be repaired. */
  readonly onProblem?: (problem: string) => void;
}

/** USD. */
export interface Spending {
  /** Null: no cap. */
  readonly capUsd: number | null;
  /** Includes what had been held back for ended calls that may have cost that much. */
  readonly spentUsd: number;
  readonly reservedUsd: number;
  readonly openCalls: number;
  /** Ended calls whose cost nobody knows. */
  readonly unknownCalls: number;
}

/** Calls whose gateway had died; each counts at what had been held back for it. */
export interface Recovery {
  readonly lostCalls: number;
  readonly lostUsd: number;
}

/** A settlement that is not on the disk. */
export interface PendingSettlement {
  readonly callId: string;
  readonly settlement: Settlement;
  readonly endedMs: number;
}

/** Another program holds the file, probably for a moment: ask again after `released`. */
export class LedgerLocked extends Refusal {}

interface OpenCall extends Caller {
  readonly day: string;
  readonly reserved: Picodollars | null;
}

/** Opens or makes the file; see `openDatabase` for its failures. Settles what dead processes left open. */
export function openLedger(path: string, options: LedgerOptions): Ledger {
  return new Ledger(path, options);
}

/**
 * A call is admitted with `reserve`, which holds back the most that it can cost, and ends with `settle`, which replaces
 * that by what it did cost. A cap holds at every admission: what is spent and held back, together with the new call,
 * never passes it, whichever process asks. Methods are synchronous: those for calls wait 20 ms for another program that
 * holds the file, those for commands, and opening and closing, 2 s.
 */
export class Ledger implements Disposable {
  readonly path: string;
  /** What was found and done at opening. */
  readonly recovery: Recovery;
  readonly #options: LedgerOptions;
  readonly #caps: ReadonlyMap<BudgetScope, bigint>;
  readonly #database: DatabaseSync;
  readonly #transaction: <T>(work: () => T) => T;
  readonly #sums: ScopeSums;
  readonly #keys: VirtualKeys;
  readonly #insertCall: StatementSync;
  readonly #findOpen: StatementSync;
  readonly #moveCall: StatementSync;
  readonly #endCall: StatementSync;
  readonly #openOf: StatementSync;
  readonly #otherProcesses: StatementSync;
  readonly #fileId: string | undefined;
  readonly #checkpointer: Checkpointer | undefined;
  /** This ledger's row in `process`, made with its first call. */
  #process: number | undefined;
  readonly #pending = new Map<string, PendingSettlement>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** What the last try found, until it may be tried again; undefined: the file may be free. */
  #lock: unknown;
  #lockedTries = 0;
  #problem: string | undefined;
  readonly #waiting = new Set<() => void>();
  #closed = false;

  constructor(path: string, options: LedgerOptions) {
    this.path = path;
    this.#options = options;
    const caps = Object.entries(options.caps ?? {}).filter(([, usd]) => usd !== undefined);
    this.#caps = new Map(caps.map(([kind, usd]) => [kind as BudgetScope, toCap(usd)]));
    const database = openDatabase(path, { mustExist: options.mustExist });
    this.#database = database;
    try {
      this.#fileId = fileIdOf(path);
      this.#transaction = createTransaction(database);
      this.#sums = new ScopeSums(database);
      this.#keys = new VirtualKeys(database, options.now);
      this.#insertCall = database.prepare(
        `INSERT INTO call (id, process, run, worker, key_id, day, upstream, provider, model, dialect, streamed,
          started_ms, reserved) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      );
      this.#findOpen = database.prepare(
        "SELECT run, worker, key_id AS keyId, day, reserved FROM call WHERE id = ? AND ended_ms IS NULL",
      );
      this.#moveCall = database.prepare(
        "UPDATE call SET upstream = ?, provider = ?, model = ?, dialect = ?, streamed = ?, reserved = ? WHERE id = ?",
      );
      this.#endCall = database.prepare(
        `UPDATE call SET ended_ms = ?, outcome = ?, status = ?, answered_model = ?, usage_source = ?, input = ?,
          cache_read = ?, cache_write = ?, cache_write_1h = ?, output = ?, reasoning = ?, web_searches = ?, cost = ?,
          cost_source = ?, counted = ?, attempts = ?, duration_ms = ?, first_byte_ms = ? WHERE id = ?`,
      );
      this.#openOf = database.prepare("SELECT id FROM call WHERE process = ? AND ended_ms IS NULL");
      this.#otherProcesses = database.prepare("SELECT * FROM process WHERE id IS NOT ?");
      this.recovery = this.#reconcile();
      this.#repair();
      waitForLocks(database, "short");
      if (path !== ":memory:") this.#checkpointer = new Checkpointer(path, () => this.#checkpoint());
    } catch (error) {
      database.close();
      throw databaseFailure(path, error);
    }
  }

  /** Settlements that could not be written yet; each is tried again until the ledger is closed. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Holds `amount` back for a call, or says which cap stands against it.
   *
   * Throws a `Refusal`: `unavailable` when it, or an earlier settlement, cannot be written (`LedgerLocked` when that may
   * pass at once), `authentication` when the caller's key is not valid any more.
   *
   * @param amount the most that the call can cost; null: its price is unknown
   */
  reserve(entry: CallEntry, amount: Picodollars | null): Admission {
    requireWhole(amount);
    const { id, run, worker, keyId, upstream, provider, model, dialect, streamed } = entry;
    return this.#admitting((): Admission => {
      const day = dayOf(this.#options.now());
      const scopes = scopesOf(entry, day);
      const refusal = this.#refusalFor(entry, scopes, amount, 0n);
      if (refusal !== undefined) return { admitted: false, refusal };
      const values = [upstream, provider, model, dialect, Number(streamed), this.#options.now(), amount];
      this.#insertCall.run(id, this.#process!, run, worker, keyId, day, ...values);
      this.#sums.add(scopes, { ...NO_SUMS, reserved: BigInt(amount ?? 0), openCalls: 1n });
      return { admitted: true };
    });
  }

  /**
   * Exchanges what is held back for an open call that goes to another model or upstream; `entry` says which. When it is
   * refused, everything stays as it was. Throws as `reserve` does, and a `RangeError` when the call is not open.
   */
  move(
    callId: string,
    entry: Pick<CallEntry, "upstream" | "provider" | "model" | "dialect" | "streamed">,
    amount: Picodollars | null,
  ): Admission {
    requireWhole(amount);
    const admission = this.#admitting((): Admission | undefined => {
      const call = this.#findOpen.get(callId) as OpenCall | undefined;
      if (call === undefined) return undefined;
      const scopes = scopesOf(call, call.day);
      const held = BigInt(call.reserved ?? 0);
      const refusal = this.#refusalFor(call, scopes, amount, held);
      if (refusal !== undefined) return { admitted: false, refusal };
      const { upstream, provider, model, dialect, streamed } = entry;
      this.#moveCall.run(upstream, provider, model, dialect, Number(streamed), amount, callId);
      this.#sums.add(scopes, { ...NO_SUMS, reserved: BigInt(amount ?? 0) - held });
      return { admitted: true };
    });
    if (admission === undefined) throw new RangeError(`Cannot move the call "${callId}": it is not open`);
    this.#wake();
    return admission;
  }

  /**
   * Ends a call: its cost takes the place of what was held back. Only the first settlement of a call counts, and one of
   * an unknown call is nothing. A settlement that cannot be written waits in memory and is tried again; only a caller's
   * mistake throws (a `RangeError` for a cost that is no whole number of picodollars).
   */
  settle(callId: string, settlement: Settlement): void {
    requireWhole(settlement.cost);
    if (this.#closed || this.#pending.has(callId)) return;
    const ending = { callId, settlement, endedMs: this.#options.now() };
    try {
      this.#write(() => this.#end(ending));
    } catch (error) {
      this.#keep(ending, error);
      return;
    }
    this.#writePending();
    this.#wake();
  }

  /**
   * Resolves when something that was held back, or the file, may have been released, at the latest after `timeoutMs`: ask
   * again then. Rejects with the signal's reason.
   */
  released(signal: AbortSignal, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const leave = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        this.#waiting.delete(wake);
      };
      const wake = () => {
        leave();
        resolve();
      };
      const abort = () => {
        leave();
        reject(signal.reason);
      };
      // Other processes say nothing when they release: asking again is cheap.
      const timer = setTimeout(wake, Math.min(timeoutMs, POLL_MS));
      signal.addEventListener("abort", abort);
      this.#waiting.add(wake);
    });
  }

  /** What a scope has cost so far. `id` is the run, `run/worker`, the key's id, or the day (UTC). */
  spent({ scope, id }: { readonly scope: BudgetScope; readonly id: string }): Spending {
    return this.#using(() => {
      const { settled, reserved, openCalls, unknownCalls } = this.#sums.read({ kind: scope, id });
      const cap = (scope === "key" ? this.#keys.standing(id).cap : null) ?? this.#caps.get(scope);
      return {
        capUsd: cap === undefined ? null : toUsd(cap),
        spentUsd: toUsd(settled),
        reservedUsd: toUsd(reserved),
        openCalls: Number(openCalls),
        unknownCalls: Number(unknownCalls),
      };
    });
  }

  /** Throws a `Failure`: `usage` for a name, cap or lease that cannot be, `environment` when it cannot be written. */
  issueKey(request: KeyRequest): IssuedKey {
    return this.#patiently(() => this.#keys.issue(request));
  }

  /** To be asked for every call: another process may have ended the key. Throws a `Refusal` when it cannot be read. */
  findKey(key: string): KeyFinding {
    try {
      this.#requireOpen();
      return this.#keys.find(key);
    } catch (error) {
      throw this.#unavailable(error);
    }
  }

  /** The lease ends so long from now, also when it was over; false: there is no such key, or it was ended. */
  renewKey(id: string, leaseMs: number): boolean {
    return this.#patiently(() => this.#keys.renew(id, leaseMs));
  }

  /** From now on the key admits no call, in no process; false: there is no such key, or it was ended before. */
  endKey(id: string): boolean {
    return this.#patiently(() => this.#keys.end({ id })) > 0;
  }

  /** Ends the worker's keys; returns how many. */
  endWorker(run: string, worker: string): number {
    return this.#patiently(() => this.#keys.end({ run, worker }));
  }

  /** Ends the run's keys; returns how many. */
  endRun(run: string): number {
    return this.#patiently(() => this.#keys.end({ run }));
  }

  keys(filter: { readonly run?: string } = {}): KeyRecord[] {
    return this.#patiently(() => this.#keys.list(filter));
  }

  report(query: ReportQuery): Report {
    return this.#reading(() => readReport(this.#database, query));
  }

  /** One line for each running sum that the calls do not add up to; empty: the ledger balances. Reads every call. */
  check(): string[] {
    return this.#reading(() => this.#sums.differences());
  }

  /**
   * Tries a last time to write what is pending, and settles this ledger's open calls as lost. What could not be written
   * is told and returned: those calls count as lost, at what was held back for them, now or when the file is next opened.
   */
  close(): readonly PendingSettlement[] {
    if (this.#closed) return [];
    waitForLocks(this.#database, "long");
    this.#lock = undefined;
    this.#writePending();
    try {
      this.#transaction(() => this.#process !== undefined && this.#abandon(this.#process));
    } catch (error) {
      this.#tell(error);
    }
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#checkpointer?.close();
    this.#database.close();
    this.#wake();
    const unwritten = [...this.#pending.values()];
    if (unwritten.length > 0) {
      const calls = unwritten.slice(0, 10).map(({ callId, settlement: { cost } }) =>
        `${callId} (${cost === null ? "cost unknown" : `${toUsd(cost)} USD`})`
      );
      const more = unwritten.length > calls.length ? ` and ${unwritten.length - calls.length} more` : "";
      this.#options.onProblem?.(
        `Cannot write how these calls ended to the ledger "${this.path}": ${calls.join(", ")}${more}`,
      );
    }
    return unwritten;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Whether a cap, or the key, stands against a call; `held` is what is held back for it already. */
  #refusalFor(
    caller: Caller,
    scopes: readonly Scope[],
    amount: Picodollars | null,
    held: bigint,
  ): BudgetRefusal | undefined {
    const refusal = this.#capAgainst(caller, scopes, amount, held);
    // Only when calls under way are in the way is it worth a look whether they really are.
    return refusal?.mayFitLater && this.#reconcileDead().lostCalls > 0
      ? this.#capAgainst(caller, scopes, amount, held)
      : refusal;
  }

  #capAgainst(
    caller: Caller,
    scopes: readonly Scope[],
    amount: Picodollars | null,
    held: bigint,
  ): BudgetRefusal | undefined {
    const key = caller.keyId === null ? undefined : this.#keys.standing(caller.keyId);
    if (key !== undefined && key.state !== "valid") throw keyRefusal(key.state);
    const limits = scopes.flatMap((scope): Limit[] => {
      const cap = (scope.kind === "key" ? key?.cap : null) ?? this.#caps.get(scope.kind);
      return cap === undefined ? [] : [{ scope, cap, ...this.#sums.read(scope) }];
    });
    const isUnpriced = amount === null && this.#options.unknownPrice !== "allow";
    // What is not known to be free costs something.
    const needed = BigInt(amount ?? 1);
    const reached = limits.filter(({ cap, settled, reserved }) =>
      isUnpriced || settled + reserved - held + needed > cap
    );
    if (reached.length === 0) return undefined;
    const tightest = reached.reduce((a, b) => roomIn(b) < roomIn(a) ? b : a);
    return {
      scope: tightest.scope.kind,
      scopeId: tightest.scope.id,
      capUsd: toUsd(tightest.cap),
      spentUsd: toUsd(tightest.settled),
      reservedUsd: toUsd(tightest.reserved - held),
      neededUsd: amount === null ? null : toUsd(amount),
      mayFitLater: !isUnpriced && limits.every(({ cap, settled }) => settled + needed <= cap),
    };
  }

  #end({ callId, settlement, endedMs }: PendingSettlement): void {
    const call = this.#findOpen.get(callId) as OpenCall | undefined;
    if (call === undefined) return;
    const { outcome, status, answeredModel, usage, usageSource, cost, costSource } = settlement;
    const reserved = call.reserved ?? 0;
    const counted = settlement.mayHaveCostMore ? Math.max(cost ?? 0, reserved) : cost ?? reserved;
    this.#record(callId, { call, cost, counted }, [
      endedMs,
      outcome,
      status,
      answeredModel?.slice(0, LONGEST_MODEL_NAME) ?? null,
      usageSource,
      ...countsOf(usage),
      cost,
      costSource,
      counted,
      settlement.attempts,
      settlement.durationMs,
      settlement.firstByteMs,
    ]);
  }

  /** Settles an open call that nobody can settle any more: it may have cost all that was held back for it. */
  #endLost(callId: string): Picodollars {
    const call = this.#findOpen.get(callId) as unknown as OpenCall;
    const { reserved } = call;
    const source = reserved === null ? "unknown" : "estimated";
    const unseen = [null, null, "absent", ...countsOf(undefined)] as const;
    const counted = reserved ?? 0;
    const ending = [this.#options.now(), "lost", ...unseen, reserved, source, counted, null, null, null];
    this.#record(callId, { call, cost: reserved, counted }, ending);
    return counted;
  }

  #record(
    callId: string,
    { call, cost, counted }: { call: OpenCall; cost: Picodollars | null; counted: Picodollars },
    ending: readonly (string | number | null)[],
  ): void {
    this.#endCall.run(...ending, callId);
    this.#sums.add(scopesOf(call, call.day), {
      settled: BigInt(counted),
      reserved: -BigInt(call.reserved ?? 0),
      openCalls: -1n,
      unknownCalls: cost === null ? 1n : 0n,
    });
  }

  #reconcile(): Recovery {
    return this.#transaction(() => this.#reconcileDead());
  }

  #reconcileDead(): Recovery {
    let lostCalls = 0;
    let lostUsd = 0;
    for (const row of this.#otherProcesses.all(this.#process ?? null)) {
      if (!isCertainlyDead(identityIn(row))) continue;
      const lost = this.#abandon(row.id as number);
      lostCalls += lost.lostCalls;
      lostUsd += lost.lostUsd;
    }
    return { lostCalls, lostUsd };
  }

  /** Settles what is open in a process's name, and forgets the process. */
  #abandon(process: number): Recovery {
    const calls = this.#openOf.all(process);
    const amounts = calls.map(({ id }) => BigInt(this.#endLost(id as string)));
    this.#database.prepare("DELETE FROM process WHERE id = ?").run(process);
    return { lostCalls: calls.length, lostUsd: toUsd(amounts.reduce((sum, amount) => sum + amount, 0n)) };
  }

  #repair(): void {
    if (this.check().length === 0) return;
    const repaired = this.#transaction(() => {
      const differences = this.#sums.differences();
      this.#sums.rebuild();
      return differences;
    });
    if (repaired.length > 0) {
      this.#options.onProblem?.(`The ledger "${this.path}" did not balance and was repaired: ${repaired.join(", ")}`);
    }
  }

  #admitting<T>(work: () => T): T {
    try {
      this.#requireOpen();
      if (this.#fileId !== fileIdOf(this.path)) throw new Error("the file was deleted or replaced");
      // What is spent and not on record yet, no cap would stop.
      for (const ending of this.#pending.values()) this.#writeEnding(ending);
      this.#process ??= this.#write(() => this.#register());
      return this.#write(work);
    } catch (error) {
      throw error instanceof Refusal ? error : this.#unavailable(error);
    }
  }

  #register(): number {
    const { pid, start_ticks, boot_id, pid_namespace } = this.#options.identity ?? ownIdentity();
    const insertion = this.#database.prepare(
      "INSERT INTO process (pid, start_ticks, boot_id, pid_namespace) VALUES (?, ?, ?, ?)",
    );
    const values = [pid, start_ticks ?? null, boot_id ?? null, pid_namespace ?? null];
    return Number(insertion.run(...values).lastInsertRowid);
  }

  #using<T>(work: () => T): T {
    try {
      this.#requireOpen();
      return work();
    } catch (error) {
      throw databaseFailure(this.path, error);
    }
  }

  #patiently<T>(work: () => T): T {
    return this.#using(() => {
      waitForLocks(this.#database, "long");
      try {
        return work();
      } finally {
        waitForLocks(this.#database, "short");
      }
    });
  }

  /** Everything that `work` reads is of the same moment; others may write meanwhile. */
  #reading<T>(work: () => T): T {
    return this.#patiently(() => {
      this.#database.exec("BEGIN");
      try {
        return work();
      } finally {
        this.#database.exec("COMMIT");
      }
    });
  }

  #requireOpen(): void {
    if (this.#closed) throw new Error("it is closed");
  }

  #unavailable(error: unknown): Refusal {
    if (!isLocked(error)) this.#tell(error);
    const Unavailable = isLocked(error) ? LedgerLocked : Refusal;
    return new Unavailable(
      "unavailable",
      `The gateway cannot use its ledger (${messageOf(error)}), and no call is made without a record of it`,
      { cause: error },
    );
  }

  #tell(error: unknown): void {
    const problem = `Cannot write the ledger "${this.path}": ${messageOf(error)}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem?.(problem);
  }

  /** A transaction, unless the file was found locked just now. */
  #write<T>(work: () => T): T {
    if (this.#lock !== undefined) throw this.#lock;
    try {
      const result = this.#transaction(work);
      this.#checkpointer?.count();
      this.#lockedTries = 0;
      if (this.#pending.size === 0) this.#problem = undefined;
      return result;
    } catch (error) {
      if (isLocked(error)) {
        this.#lock = error;
        this.#lockedTries += 1;
        if (this.#lockedTries === TOLD_LOCK_TRIES) this.#tell(error);
        this.#retryIn(LOCK_PAUSE_MS);
      }
      throw error;
    }
  }

  /** Of what little was written during the last one: only when nothing is left of the journal can it begin anew. */
  #checkpoint(): void {
    if (this.#closed) return;
    try {
      this.#database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // Calls go on: what cannot be written now is still in the journal.
    }
  }

  #writeEnding(ending: PendingSettlement): void {
    this.#write(() => this.#end(ending));
    this.#pending.delete(ending.callId);
    this.#wake();
  }

  #writePending(): void {
    for (const ending of [...this.#pending.values()]) {
      try {
        this.#writeEnding(ending);
      } catch (error) {
        this.#keep(ending, error);
        // Any other problem may be that of this one alone.
        if (isLocked(error)) break;
      }
    }
  }

  #keep(ending: PendingSettlement, error: unknown): void {
    this.#pending.set(ending.callId, ending);
    // After a lock all is tried again anyway.
    if (isLocked(error)) return;
    this.#tell(error);
    if (this.#retry === undefined) this.#retryIn(RETRY_MS);
  }

  /** Then what is pending is written, and those who wait are woken to try. */
  #retryIn(delayMs: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#lock = undefined;
      this.#writePending();
      this.#wake();
    }, delayMs);
    Deno.unrefTimer(this.#retry);
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

type Limit = Sums & { readonly scope: Scope; readonly cap: bigint };

const roomIn = ({ cap, settled, reserved }: Limit): bigint => cap - settled - reserved;

/** Input, cache read, cache write, the hourly part of it, output, reasoning, web searches. */
function countsOf(usage: Usage | undefined): (number | null)[] {
  if (usage === undefined) return Array(7).fill(null);
  const { input, cacheRead, cacheWrite, cacheWrite1h, output, reasoning, webSearches } = usage;
  return [input, cacheRead, cacheWrite, cacheWrite1h, output, reasoning, webSearches].map((count) =>
    count === undefined ? null : Math.max(0, Math.min(Math.round(count) || 0, HIGHEST_COUNT))
  );
}

function keyRefusal(state: Exclude<KeyRecord["state"] | "unknown", "valid">): Refusal {
  const finding = { ended: "was ended", expired: "has expired", unknown: "is not in this ledger" }[state];
  return new Refusal("authentication", `The virtual key ${finding}`, { details: { reason: state } });
}

function identityIn(row: Record<string, unknown>): ProcessIdentity {
  return {
    pid: row.pid as number,
    start_ticks: (row.start_ticks as number | null) ?? undefined,
    boot_id: (row.boot_id as string | null) ?? undefined,
    pid_namespace: (row.pid_namespace as string | null) ?? undefined,
  };
}

/** Which file the path names now; undefined: none. */
function fileIdOf(path: string): string | undefined {
  if (path === ":memory:") return undefined;
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function requireWhole(amount: Picodollars | null): void {
  if (amount !== null && !(Number.isSafeInteger(amount) && amount >= 0)) {
    throw new RangeError(`Need a whole number of picodollars, 0 or more, not ${amount}`);
  }
}
