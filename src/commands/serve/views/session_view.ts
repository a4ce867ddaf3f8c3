/** One session as others see it, read off its folder while another process carries it out. */
import { basename, join } from "node:path";
import type { Diff, Timeline, Usage } from "../../../http/schemas.ts";
import { Refused, type SessionView } from "../../../http/ports.ts";
import { TimelineHistory } from "../../../http/timeline_record.ts";
import { UsageHistory } from "../../../http/usage_record.ts";
import type { Control } from "../../../orchestrate/ports.ts";
import { emptySession, foldSession, type SessionState } from "../../../orchestrate/session.ts";
import { Redactor, secretsIn } from "../../../safety/secrets.ts";
import { writeFileAtomic } from "../../../store/atomic_file.ts";
import { followEvents } from "../../follow_events.ts";
import { CONTROL_FOLDER, LOG_NAME, supervisorOf } from "../../orchestrate/session_folder.ts";
import { eachEvent, LiveLog } from "./live_log.ts";
import { SessionDiffs } from "./session_diffs.ts";

export interface ViewOptions {
  /** Finds git; its secrets are masked. */
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  now(): number;
}

interface Folded {
  readonly session: SessionState;
  readonly usage: UsageHistory;
  readonly timeline: TimelineHistory;
}

/** How long a control may take to be carried out before its sender is answered all the same. */
const CONTROL_MS = 2000;
/** What a spool takes for a message's id, and the app makes. */
const CONTROL_ID = /^\d{1,16}-[0-9a-f]{8}$/;

/** The log need not exist yet. Throws what the system says when it cannot be read. */
export async function openSessionView(
  folder: string,
  { env }: Pick<ViewOptions, "env">,
): Promise<SessionView & AsyncDisposable> {
  const redactor = new Redactor(secretsIn(env));
  const log = await LiveLog.open<Folded>(join(folder, LOG_NAME), {
    redactor,
    empty: () => ({ session: emptySession(), usage: new UsageHistory(), timeline: new TimelineHistory() }),
    fold: eachEvent(({ session, usage, timeline }, told) => {
      // As whoever wrote the log does it, who may not know what is secret here.
      const event = redactor.redactDeep(told);
      foldSession(session, event);
      usage.add(event);
      timeline.add(event);
    }),
  });
  return new FollowedSession(folder, log, { env, redactor });
}

class FollowedSession implements SessionView, AsyncDisposable {
  readonly #diffs: SessionDiffs;
  readonly #closing = new AbortController();

  constructor(
    readonly folder: string,
    private readonly log: LiveLog<Folded>,
    { env, redactor }: Pick<ViewOptions, "env"> & { readonly redactor: Redactor },
  ) {
    this.#diffs = new SessionDiffs({ env, redactor, signal: this.#closing.signal });
  }

  get state(): SessionState {
    return this.log.state.session;
  }

  get streams() {
    return this.log.streams;
  }

  isSupervised(): boolean {
    return supervisorOf(this.folder) !== undefined;
  }

  async control(control: Control): Promise<void> {
    const { id } = control;
    if (!CONTROL_ID.test(id)) throw new TypeError(`Cannot use "${id}" as the id of a control`);
    const { folder, state } = this;
    this.#requireSupervisor();
    if (state.finish !== null) throw new Refused(409, `The session has ended already: ${state.status}`);
    const path = join(folder, LOG_NAME);
    const { size: from } = await Deno.stat(path);
    // Under its own id, which its sender is told, and which the log will have.
    const file = join(folder, CONTROL_FOLDER, `${id}.json`);
    await writeFileAtomic(file, JSON.stringify(control) + "\n");
    const isTaken = await followEvents(path, {
      from,
      timeoutMs: CONTROL_MS,
      signal: this.#closing.signal,
      take: ({ type, data }) => type === "control.received" && data.control === id,
    });
    if (isTaken || this.isSupervised()) return;
    // It would be carried out by whoever goes on with the session, perhaps days later.
    await Deno.remove(file).catch(() => {});
    throw new Refused(409, "The session is just ending");
  }

  async diff(worker: string | undefined): Promise<Diff> {
    return await this.#diffs.of(this.state, worker);
  }

  async usage(): Promise<Usage> {
    return this.log.state.usage.record();
  }

  async timeline(): Promise<Timeline> {
    return this.log.state.timeline.record({ isSupervised: this.isSupervised() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Refused(503, "The session is not shown any more"));
    await this.log[Symbol.asyncDispose]();
  }

  #requireSupervisor(): void {
    if (this.isSupervised()) return;
    const id = basename(this.folder);
    throw new Refused(
      409,
      `Nobody carries the session out: go on with it by \`gocore orchestrate --resume ${id}\``,
    );
  }
}
