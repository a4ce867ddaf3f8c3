/** Moves a ledger's journal into its file on a thread of its own, because that waits for the disk. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

/** They make a journal of about 25 MB. */
const TRANSACTIONS = 1500;
const CLOSE_WAIT_MS = 2000;
const [IDLE, WORKING] = [0, 1];

// Part of the program as text, so that it is found wherever that runs: as sources, bundled or compiled. It has the file
// open only while it works; `mode=rw` makes no file in place of one that was deleted.
const WORKER = `
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
const { url, state } = workerData;
parentPort.on("message", () => {
  try {
    const database = new DatabaseSync(url);
    try {
      database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } finally {
      database.close();
    }
  } catch {
    // What SQLite does by itself when the journal gets long will tell whether something is wrong.
  }
  Atomics.store(state, 0, ${IDLE});
  Atomics.notify(state, 0);
  parentPort.postMessage("done");
});
`;

/** Begins with the first checkpoint, keeps no process alive, and never throws: without it SQLite makes its own. */
export class Checkpointer {
  readonly #url: string;
  readonly #onDone: () => void;
  readonly #state = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #worker: Worker | undefined;
  #hasFailed = false;
  #transactions = 0;

  /**
   * @param path of the ledger's file
   * @param onDone called when the journal was moved, but for what was written in the meantime
   */
  constructor(path: string, onDone: () => void) {
    this.#url = `${pathToFileURL(resolve(path))}?mode=rw`;
    this.#onDone = onDone;
  }

  /** To be told of every transaction: each so many of them begin a checkpoint. */
  count(): void {
    if (++this.#transactions < TRANSACTIONS || this.#hasFailed || this.#state[0] === WORKING) return;
    this.#transactions = 0;
    try {
      this.#worker ??= this.#start();
      Atomics.store(this.#state, 0, WORKING);
      this.#worker.postMessage("checkpoint");
    } catch {
      this.#fail();
    }
  }

  /** Waits for a checkpoint that is under way. */
  close(): void {
    Atomics.wait(this.#state, 0, WORKING, CLOSE_WAIT_MS);
    this.#worker?.terminate();
  }

  #start(): Worker {
    const code = new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`);
    const worker = new Worker(code, { workerData: { url: this.#url, state: this.#state } });
    worker.on("message", this.#onDone);
    worker.on("error", () => this.#fail());
    worker.unref();
    return worker;
  }

  #fail(): void {
    this.#hasFailed = true;
    Atomics.store(this.#state, 0, IDLE);
  }
}
