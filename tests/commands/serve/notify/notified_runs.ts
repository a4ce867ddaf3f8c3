/** Runs in memory, of which a notifier tells. */
import { createNotifier, type Notifier } from "../../../../src/commands/serve/notify/notifier.ts";
import type { NotifyFormat, NotifySettings } from "../../../../src/commands/serve/notify/read_places.ts";
import type { EntryChange, Library } from "../../../../src/http/ports.ts";
import type { Entry } from "../../../../src/http/schemas.ts";
import { until, VirtualTime } from "../virtual_time.ts";

export const SECRET = "sk-ant-0123456789abcdef0123";

export class NotifiedRuns {
  readonly time = new VirtualTime("2026-03-02T12:00:00Z");
  readonly told: string[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(change: EntryChange) => void>();

  constructor(readonly runsRoot: string) {}

  readonly library: Pick<Library, "subscribe" | "history" | "entry"> = {
    subscribe: (listener) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
    history: () => {
      const entries = [...this.#entries.values()];
      return { entries, next: null, total: entries.length, indexing: null };
    },
    entry: (kind, id) => this.#entries.get(`${kind}/${id}`),
  };

  /** A run is there, or has changed; it was heard of last at this moment. */
  put(id: string, changes: Partial<Entry>): void {
    const time = new Date(this.time.nowMs).toISOString();
    const { kind = "manager" } = changes;
    const entry: Entry = {
      kind,
      id,
      title: "fft returns NaN",
      status: "running",
      running: true,
      attention: [],
      agents: ["codex"],
      models: [],
      source: null,
      folder: "/runs",
      started_at: time,
      ended_at: null,
      last_event_at: time,
      elapsed_seconds: 120,
      cost_usd: 0.5,
      known_cost_usd: 0.5,
      calls: 7,
      progress: null,
      summary: null,
      ...this.#entries.get(`${kind}/${id}`),
      ...changes,
    };
    if (!entry.running) Object.assign(entry, { ended_at: entry.ended_at ?? time });
    this.#entries.set(`${kind}/${id}`, entry);
    for (const listener of this.#listeners) listener({ entry });
  }

  remove(id: string): void {
    this.#entries.delete(`manager/${id}`);
    for (const listener of this.#listeners) listener({ removed: { kind: "manager", id } });
  }

  serve(
    places: Partial<Record<NotifyFormat, string>>,
    settings: Partial<NotifySettings> = {},
  ): Notifier {
    return createNotifier({
      settings: {
        places: Object.entries(places).map(([format, address]) => ({ format: format as NotifyFormat, address })),
        on: new Set(["attention", "finish", "failure"]),
        kinds: new Set(["mini", "session", "manager"]),
        ...settings,
      },
      library: this.library,
      runsRoot: this.runsRoot,
      dashboardUrl: "http://127.0.0.1:8088/",
      env: { ANTHROPIC_API_KEY: SECRET },
      tell: (text) => this.told.push(text.replaceAll(this.runsRoot, "{runs}")),
      now: this.time.now,
      timers: this.time,
    });
  }

  /** Lets what has changed until now become news. */
  async settle(): Promise<void> {
    await until(() => this.time.waiting > 0);
    await this.time.goTo(new Date(this.time.nowMs + 3000).toISOString());
  }
}
