/** What a session's model calls add up to over time, for each worker: the answer of `usage`. */
import type { RunEvent } from "../events/event.ts";
import type { Usage } from "./schemas.ts";
import { Thinned } from "./thinned.ts";

type Point = Usage["points"][number];

export const MAX_USAGE_POINTS = 1000;

/** Memory is bounded, however long the session is: points are left out evenly, but none that is its worker's last. */
export class UsageHistory {
  readonly #points = new Thinned<Point>(MAX_USAGE_POINTS);
  /** What each worker has come to. */
  readonly #last = new Map<string, Point>();

  add({ type, data, time }: RunEvent): void {
    if (type === "model.answered") {
      const { worker, cost_usd } = data;
      const before = this.#last.get(worker);
      this.#push({
        time,
        worker,
        model: data["gen_ai.response.model"] ?? data["gen_ai.request.model"],
        cost_usd: (before?.cost_usd ?? 0) + (cost_usd ?? 0),
        unpriced_calls: (before?.unpriced_calls ?? 0) + (cost_usd === null ? 1 : 0),
        input_tokens: (before?.input_tokens ?? 0) + data["gen_ai.usage.input_tokens"],
        output_tokens: (before?.output_tokens ?? 0) + data["gen_ai.usage.output_tokens"],
      });
    } else if (type === "spending.counted") {
      // The ledger also has what was spent while nobody could write it into the log.
      const { worker, known_usd: cost_usd, unknown_calls: unpriced_calls, input_tokens, output_tokens } = data;
      const point: Point = { time, worker, model: null, cost_usd, unpriced_calls, input_tokens, output_tokens };
      if (!isSameSum(this.#last.get(worker), point)) this.#push(point);
    }
  }

  record(): Usage {
    const last = [...this.#last.values()].slice(-MAX_USAGE_POINTS);
    const isLast = new Set(last);
    const others = this.#points.values().filter((point) => !isLast.has(point));
    const free = MAX_USAGE_POINTS - last.length;
    const points = [...spread(others, free), ...last];
    return { points: points.sort((a, b) => Date.parse(a.time) - Date.parse(b.time)) };
  }

  #push(point: Point): void {
    this.#points.add(point);
    this.#last.set(point.worker, point);
  }
}

/** Sums of prices are not exact. */
function isSameSum(a: Point | undefined, b: Point): boolean {
  return a !== undefined && Math.abs(a.cost_usd - b.cost_usd) < 1e-9 && a.unpriced_calls === b.unpriced_calls &&
    a.input_tokens === b.input_tokens && a.output_tokens === b.output_tokens;
}

/** At most `max` of them. */
function spread<T>(values: readonly T[], max: number): readonly T[] {
  if (values.length <= max) return values;
  return Array.from({ length: max }, (_, index) => values[Math.floor(index * values.length / max)]!);
}
