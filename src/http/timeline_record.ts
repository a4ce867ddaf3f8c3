/** What each worker of a session did when: the answer of `timeline`. */
import type { RunEvent } from "../events/event.ts";
import type { Timeline } from "./schemas.ts";

type Span = Timeline["spans"][number];

export const MAX_SPANS = 2000;
const MAX_DETAIL = 300;

/**
 * A worker is `starting`, then `running` or what its liveness is called, `paused`, or `unsupervised` between the death of
 * one supervisor and the next one's word; at its end stands a span without length, with the outcome. Memory is bounded:
 * of too many spans the shortest are counted to those before them.
 */
export class TimelineHistory {
  #spans: Span[] = [];
  /** What each worker does now; the last of its spans. */
  readonly #open = new Map<string, Span>();
  #lastTime = "";

  add({ type, data, time }: RunEvent): void {
    switch (type) {
      case "worker.launched":
        this.#begin(data.worker, "starting", { time, detail: data.task ?? data.review ?? "" });
        break;
      case "worker.started":
        this.#begin(data.worker, "running", { time, detail: data.adopted ? "found again" : "" });
        break;
      case "worker.liveness":
        if (this.#open.has(data.worker)) this.#begin(data.worker, data.verdict, { time, detail: data.proof });
        break;
      case "worker.signalled":
        if (!this.#open.has(data.worker)) break;
        if (data.action === "pause") this.#begin(data.worker, "paused", { time, detail: data.reason });
        if (data.action === "resume") this.#begin(data.worker, "running", { time, detail: data.reason });
        break;
      case "worker.exited":
        this.#begin(data.worker, data.outcome, { time, detail: data.text });
        this.#close(data.worker, time);
        break;
      case "session.resumed":
        for (const worker of [...this.#open.keys()]) {
          this.#begin(worker, "unsupervised", { time: this.#lastTime, detail: data.reason });
        }
        break;
      default:
    }
    this.#lastTime = time;
  }

  /** @param options.isSupervised otherwise nobody knows what has been since the last event */
  record({ isSupervised }: { readonly isSupervised: boolean }): Timeline {
    const spans = this.#spans.length > MAX_SPANS ? thinned(this.#spans) : this.#spans;
    return { spans: spans.map((span) => ({ ...span, to: span.to ?? (isSupervised ? null : this.#lastTime) })) };
  }

  #begin(worker: string, state: string, { time, detail }: { readonly time: string; readonly detail: string }): void {
    if (this.#open.get(worker)?.state === state) return;
    this.#close(worker, time);
    const span: Span = { worker, state, from: time, to: null, detail: clip(detail) };
    this.#spans.push(span);
    this.#open.set(worker, span);
    if (this.#spans.length > 2 * MAX_SPANS) this.#spans = thinned(this.#spans);
  }

  #close(worker: string, time: string): void {
    const span = this.#open.get(worker);
    if (span !== undefined) span.to = time;
    this.#open.delete(worker);
  }
}

/** At most `MAX_SPANS`. Those that stay are the same objects. */
function thinned(spans: readonly Span[]): Span[] {
  const lengthOf = ({ from, to }: Span) => to === null ? Infinity : Date.parse(to) - Date.parse(from);
  // An end has no length, and is no state that something could be counted to.
  const isEnd = (span: Span) => lengthOf(span) === 0;
  const lengths = spans.filter((span) => !isEnd(span)).map(lengthOf).sort((a, b) => b - a);
  const shortest = lengths[Math.floor(MAX_SPANS / 2)] ?? 0;
  const before = new Map<string, Span>();
  const kept = spans.filter((span) => {
    const last = before.get(span.worker);
    if (!isEnd(span) && lengthOf(span) <= shortest && last?.to === span.from && !isEnd(last)) {
      last.to = span.to;
      return false;
    }
    before.set(span.worker, span);
    return true;
  });
  return kept.slice(-MAX_SPANS);
}

function clip(text: string): string {
  return text.length <= MAX_DETAIL ? text : `${text.slice(0, MAX_DETAIL - 1).toWellFormed()}…`;
}
