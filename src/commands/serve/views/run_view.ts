/** One manager run as others see it, read off its folder while another process carries it out. */
import { basename, join } from "node:path";
import { Failure } from "../../../failure.ts";
import { type History, openHistory } from "../../../git/history.ts";
import { openRepository } from "../../../git/open_repository.ts";
import { Refused, type RunView } from "../../../http/ports.ts";
import { RunHistory } from "../../../http/run_history.ts";
import { type RunArtifacts, runRecord } from "../../../http/run_record.ts";
import type { FileList, RunRecord, SourceLines } from "../../../http/schemas.ts";
import { DECISION_JSON, FINAL_MD, HYPOTHESES_JSON, RUN_DONE_JSON } from "../../../manager/artifacts.ts";
import { VERIFY_SH } from "../../../manager/proof_card.ts";
import { emptyRun, foldRun, type RunState } from "../../../manager/run_state.ts";
import { isObject, type Json } from "../../../models/json.ts";
import { runCommand } from "../../../process/spawn.ts";
import { Redactor, secretsIn } from "../../../safety/secrets.ts";
import { LOG_NAME, supervisorOf } from "../../manager/run_folder.ts";
import { isAlive, runStatus } from "../../manager/run_status.ts";
import { listFiles, readBelow } from "./folder_files.ts";
import { eachEvent, LiveLog } from "./live_log.ts";
import { maskedBytes } from "./masked_bytes.ts";
import { sendToFollowedRun, stopFollowedRun } from "./run_controls.ts";
import type { ViewOptions } from "./session_view.ts";

interface Folded {
  readonly run: RunState;
  readonly history: RunHistory;
}

const MAX_FILE_BYTES = 8 * 1024 * 1024;
/** Of a file that is a part of the record. */
const MAX_ARTIFACT_BYTES = 4 * 1024 * 1024;
const MAX_SCRIPT_BYTES = 256 * 1024;
const MAX_SOURCE_LINES = 200;
const MAX_LINE_CHARACTERS = 2000;
const REPRODUCER = /^minimal_repro\.\w{1,20}$/;

/** The log need not exist yet. Throws what the system says when it cannot be read. */
export async function openRunView(folder: string, { env, now }: ViewOptions): Promise<RunView & AsyncDisposable> {
  const redactor = new Redactor(secretsIn(env));
  const log = await LiveLog.open<Folded>(join(folder, LOG_NAME), {
    redactor,
    empty: () => ({ run: emptyRun(), history: new RunHistory() }),
    fold: eachEvent(({ run, history }, event) => {
      foldRun(run, event);
      history.add(event);
    }),
  });
  return new FollowedRun(folder, log, { env, now, redactor });
}

class FollowedRun implements RunView, AsyncDisposable {
  readonly #redactor: Redactor;
  readonly #closing = new AbortController();
  #history: Promise<History | undefined> | undefined;

  constructor(
    readonly folder: string,
    private readonly log: LiveLog<Folded>,
    private readonly options: ViewOptions & { readonly redactor: Redactor },
  ) {
    this.#redactor = options.redactor;
  }

  get state(): RunState {
    return this.log.state.run;
  }

  get streams() {
    return this.log.streams;
  }

  async record(): Promise<RunRecord> {
    const { folder } = this;
    const artifacts = await readArtifacts(folder);
    // Before the log: who ends in between has told it there.
    const isSupervised = supervisorOf(folder) !== undefined;
    const { run: state, history } = this.log.state;
    const record = runRecord({
      runId: basename(folder),
      folder,
      state,
      history,
      artifacts,
      isSupervised,
      isAlive: ({ process }) => process !== null && isAlive(process),
      nowMs: this.options.now(),
    });
    return this.#redactor.redactDeep(record);
  }

  async status(lines: number): Promise<unknown> {
    const status = await runStatus(this.folder, { lines, env: this.options.env }).catch((error) => {
      if (error instanceof Failure) throw new Refused(404, this.#redactor.redact(error.message));
      throw error;
    });
    return this.#redactor.redactDeep(status);
  }

  async files(): Promise<FileList> {
    return await listFiles(this.folder);
  }

  async file(path: string): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly isText: boolean }> {
    return maskedBytes(await readBelow(this.folder, path, { maxBytes: MAX_FILE_BYTES }), this.#redactor);
  }

  async source(
    file: string,
    { line, context }: { readonly line: number; readonly context: number },
  ): Promise<SourceLines> {
    const { start } = this.state;
    const history = start === null ? undefined : await this.#openHistory(start.repo_path);
    const text = await history?.readFileAt(start!.commit, file);
    if (start === null || text === undefined) {
      throw new Refused(404, `There is no text file ${JSON.stringify(file.slice(0, 300))} in the run's repository`);
    }
    const all = text.replace(/\n$/, "").split("\n");
    if (line > all.length) throw new Refused(404, `There is no line ${line}: the file has ${all.length}`);
    const around = Math.min(context, Math.floor((MAX_SOURCE_LINES - 1) / 2));
    const first = Math.max(line - around, 1);
    const last = Math.min(line + around, all.length);
    const lines = all.slice(first - 1, last).map((content) => this.#redactor.redact(content));
    return { file, commit: start.commit, first_line: first, lines: lines.map(clip) };
  }

  async stop(by: string, text: string): Promise<void> {
    await stopFollowedRun(text, this.#controlParts(by));
  }

  async send(worker: string, text: string, by: string): Promise<void> {
    await sendToFollowedRun(worker, text, this.#controlParts(by));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Refused(503, "The run is not shown any more"));
    await this.log[Symbol.asyncDispose]();
  }

  #controlParts(by: string) {
    const { folder, state, options: { env, now } } = this;
    return { folder, state, env, now, by };
  }

  async #openHistory(path: string): Promise<History | undefined> {
    const { env } = this.options;
    const opening = { env, run: runCommand, signal: this.#closing.signal };
    this.#history ??= openRepository(path, opening).then((found) => found && openHistory(found, opening));
    try {
      return await this.#history;
    } catch (error) {
      // The next one tries it again.
      this.#history = undefined;
      if (!(error instanceof Failure)) throw error;
      throw new Refused(404, this.#redactor.redact(`The run's repository cannot be read: ${error.message}`));
    }
  }
}

async function readArtifacts(folder: string): Promise<RunArtifacts> {
  const [decision, runDone, hypotheses, final, reproducer, verify] = await Promise.all([
    readObject(folder, DECISION_JSON),
    readObject(folder, RUN_DONE_JSON),
    readObject(folder, HYPOTHESES_JSON),
    readText(folder, FINAL_MD, MAX_ARTIFACT_BYTES),
    readReproducer(folder),
    readText(folder, VERIFY_SH, MAX_ARTIFACT_BYTES),
  ]);
  return { decision, runDone, hypotheses, final, reproducer, verify: verify === undefined ? undefined : VERIFY_SH };
}

async function readReproducer(folder: string): Promise<RunArtifacts["reproducer"]> {
  const entries = await Array.fromAsync(Deno.readDir(join(folder, "repro"))).catch(() => []);
  const name = entries.map(({ name }) => name).sort().find((one) => REPRODUCER.test(one));
  if (name === undefined) return undefined;
  const path = `repro/${name}`;
  const text = await readText(folder, path, MAX_SCRIPT_BYTES);
  return text === undefined ? undefined : { path, text };
}

async function readObject(folder: string, path: string): Promise<Json> {
  try {
    const value: unknown = JSON.parse(await readText(folder, path, MAX_ARTIFACT_BYTES) ?? "");
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** Undefined: there is no such file, or it is too long. */
async function readText(folder: string, path: string, maxBytes: number): Promise<string | undefined> {
  const bytes = await readBelow(folder, path, { maxBytes }).catch((error) => {
    if (error instanceof Refused) return undefined;
    throw error;
  });
  return bytes && new TextDecoder().decode(bytes);
}

function clip(line: string): string {
  return line.length <= MAX_LINE_CHARACTERS ? line : `${line.slice(0, MAX_LINE_CHARACTERS - 1).toWellFormed()}…`;
}
