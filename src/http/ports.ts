/** What the HTTP interface needs of the world: runs to show, and hands to start and to control them. */
import type { MiddlewareHandler } from "hono";
import type { RunState } from "../manager/run_state.ts";
import type { Control } from "../orchestrate/ports.ts";
import type { SessionState } from "../orchestrate/session.ts";
import type { EventStreams } from "./event_streams.ts";
import type {
  About,
  Costs,
  CostsQuery,
  Diff,
  Entry,
  FileList,
  HistoryPage,
  HistoryQuery,
  MiniRecord,
  RunKind,
  RunRecord,
  ScheduleList,
  SourceLines,
  StartMini,
  StartOrchestration,
  StartRun,
  Timeline,
  Usage,
} from "./schemas.ts";

/** Something that a person asked for cannot be: told as it is, with this status. */
export class Refused extends Error {
  readonly status: 400 | 403 | 404 | 409 | 413 | 503;

  constructor(status: Refused["status"], message: string) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

/** What there is on disk, found by id. Ids from clients are names only: whoever implements this lets none leave the roots. */
export interface Library {
  readonly about: About;
  history(query: HistoryQuery): HistoryPage;
  /** All with something to look at, the newest first. */
  attention(): Entry[];
  entry(kind: RunKind, id: string): Entry | undefined;
  /** Ids, oldest first. */
  ids(kind: RunKind): string[];
  /** Told of each entry that is new or has changed, and of ids that have gone. Call the result to end it. */
  subscribe(listener: (change: EntryChange) => void): () => void;
  costs(query: CostsQuery): Costs;
  /** Undefined id: the newest session, one that goes on before others. Undefined: there is none. */
  session(id: string | undefined): Promise<SessionView | undefined>;
  run(id: string): Promise<RunView | undefined>;
  mini(id: string): Promise<MiniView | undefined>;
}

export type EntryChange =
  | { readonly entry: Entry }
  | { readonly removed: { readonly kind: RunKind; readonly id: string } };

/** One session, up to date for as long as it is held: by the process that carries it out, or by one that follows its log. */
export interface SessionView {
  readonly folder: string;
  readonly state: SessionState;
  readonly streams: EventStreams;
  /** Whether somebody carries it out now. */
  isSupervised(): boolean;
  /** Gives a control to whoever carries the session out. Throws `Refused` (409) when nobody does or it is ending. */
  control(control: Control): Promise<void>;
  diff(worker: string | undefined): Promise<Diff>;
  usage(): Promise<Usage>;
  timeline(): Promise<Timeline>;
}

export interface RunView {
  readonly folder: string;
  readonly state: RunState;
  readonly streams: EventStreams;
  record(): Promise<RunRecord>;
  /** The seed's status, with the last `lines` of each stream. */
  status(lines: number): Promise<unknown>;
  /** Of its folder, sorted by path. */
  files(): Promise<FileList>;
  /** Bytes of a file below its folder; throws `Refused` (404, 413). Secrets masked in text. */
  file(path: string): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly isText: boolean }>;
  /** Lines of the repository at the run's commit, around `line`; throws `Refused` (404). */
  source(file: string, options: { readonly line: number; readonly context: number }): Promise<SourceLines>;
  /** Throws `Refused` (409: nobody carries the run out). */
  stop(by: string, text: string): Promise<void>;
  /** Throws `Refused` (404: no such worker, 409: nobody carries the run out). */
  send(worker: string, text: string, by: string): Promise<void>;
}

export interface MiniView {
  readonly folder: string;
  /** Undefined: no events of it were kept. Their ids are offsets in the log. */
  readonly streams: EventStreams | undefined;
  record(): Promise<MiniRecord>;
  /** Its trajectory file's bytes, secrets masked; throws `Refused` (404). */
  trajectory(): Promise<Uint8Array<ArrayBuffer>>;
  /** Throws `Refused` (409: it does not run). */
  stop(): Promise<void>;
}

/** Starts runs as processes that outlive the server. Throws `Refused` (400 with the field, 409, 503). */
export interface Starter {
  run(request: StartRun): Promise<{ run_id: string; run_done: string; manager_session: string }>;
  orchestration(request: StartOrchestration): Promise<{ session_id: string; folder: string }>;
  mini(request: StartMini): Promise<{ run_id: string; folder: string }>;
}

export interface Schedule {
  list(): ScheduleList;
}

/** Everything that an application is made of. */
export interface AppOptions {
  readonly library: Library;
  /** Undefined: nothing can be started here. */
  readonly starter: Starter | undefined;
  readonly schedule: Schedule | undefined;
  /** Prometheus' text format; undefined: there are no metrics. */
  metrics?(): Promise<string>;
  /** Sees every request before everything else. */
  readonly measure?: MiddlewareHandler;
  /** Undefined: everybody on this machine may, but for agents. */
  readonly token: string | undefined;
  /** Why the program at the other end of this connection may not do this; undefined: it may. */
  refusalOf(client: Deno.NetAddr, what: string): string | undefined;
  /** Milliseconds since 1970. */
  now(): number;
  /** Aborted: the streams of lists end. */
  readonly ending: AbortSignal;
  /** Told of what should not have happened; the client is not. */
  onError(error: unknown): void;
}
