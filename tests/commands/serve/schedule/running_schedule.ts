/** A schedule over a folder of runs, with a clock of its own and runs that only hold their locks. */
import { loadSettingsFile } from "../../../../src/commands/manager/settings_file.ts";
import { readScheduleEntries } from "../../../../src/commands/serve/schedule/read_entries.ts";
import { createSchedule, type RunningSchedule } from "../../../../src/commands/serve/schedule/schedule.ts";
import { type Library, Refused } from "../../../../src/http/ports.ts";
import type { Entry, StartRun } from "../../../../src/http/schemas.ts";
import { claimLock } from "../../../../src/store/owner_lock.ts";
import { VirtualTime } from "../virtual_time.ts";

/** What is on disk, and what lives longer than a server. */
export class ScheduledRuns {
  readonly time = new VirtualTime("2026-03-02T12:00:00Z");
  readonly runsRoot: string;
  readonly requests: StartRun[] = [];
  readonly told: string[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #locks = new Map<string, () => void>();
  /** Instead of starting the next one. */
  refusal: Refused | undefined;
  /** With nothing new, the run that is told of. */
  unchanged: string | undefined;

  constructor(readonly dir: string) {
    this.runsRoot = `${dir}/runs`;
  }

  /** Until then; what was to be started has been. */
  async goTo(time: string): Promise<void> {
    await this.time.goTo(time, { alwaysHasOne: true });
  }

  readonly starter = {
    run: async (request: StartRun) => {
      const { refusal } = this;
      this.requests.push(request);
      this.refusal = undefined;
      if (refusal !== undefined) throw refusal;
      const source = request.issue_url ?? request.issue_file ?? "";
      const other = [...this.#entries.values()].find((entry) => entry.running && entry.source === source);
      if (other !== undefined) throw new Refused(409, `${other.id} works on this issue already`);
      const id = this.unchanged ?? `run-${this.#entries.size + 1}`;
      if (this.unchanged === undefined) await this.begin(id, source);
      this.unchanged = undefined;
      return { run_id: id, run_done: "", manager_session: "" };
    },
  };

  async begin(id: string, source: string): Promise<void> {
    await Deno.mkdir(`${this.runsRoot}/${id}`, { recursive: true });
    const claim = claimLock(`${this.runsRoot}/${id}/run.lock`);
    if (claim.kind === "held") this.#locks.set(id, claim.release);
    const started_at = new Date(this.time.nowMs).toISOString();
    this.#entries.set(id, { id, source, status: "running", running: true, started_at } as Entry);
  }

  end(id: string, status: string): void {
    this.#locks.get(id)?.();
    this.#entries.set(id, { ...this.#entries.get(id)!, status, running: false });
  }

  readonly library: Pick<Library, "entry" | "history"> = {
    entry: (_, id) => this.#entries.get(id),
    history: ({ q = "" }) => {
      const entries = [...this.#entries.values()].filter(({ source }) => source?.startsWith(q));
      return { entries, next: null, total: entries.length, indexing: null };
    },
  };

  /** A server with this `mminions.toml`. */
  async serve(
    toml: string,
    options: { readonly env?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
  ): Promise<RunningSchedule> {
    await Deno.writeTextFile(`${this.dir}/mminions.toml`, toml);
    const { env = {}, signal = new AbortController().signal } = options;
    const { time, runsRoot, starter, library } = this;
    return await createSchedule({
      ...await readScheduleEntries(await loadSettingsFile("mminions.toml", this.dir), time.nowMs),
      runsRoot,
      starter,
      library,
      env,
      signal,
      now: time.now,
      timers: time,
      tell: (text) => this.told.push(text.replaceAll(this.dir, "{dir}")),
    });
  }

  get issues(): (string | undefined)[] {
    return this.requests.map(({ issue_url, issue_file }) => (issue_url ?? issue_file)?.replace(this.dir, "{dir}"));
  }
}
