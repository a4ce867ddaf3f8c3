/** What the events of a session or a manager run say beside its state: models, calls, errors, and the ledger. */
import type { RunEvent } from "../../../events/event.ts";
import { clip } from "../../../workers/stream_text.ts";

export interface EventSums {
  /** How many events there are. */
  events: number;
  /** Of the gateway that was asked last. */
  ledger: string | null;
  readonly models: Set<string>;
  /** USD of the calls whose price is known. */
  knownUsd: number;
  unpricedCalls: number;
  calls: number;
  /** The last of them. */
  readonly errors: string[];
}

const MAX_MODELS = 50;
const MAX_ERRORS = 40;
const MAX_ERROR = 600;

export function noSums(): EventSums {
  return { events: 0, ledger: null, models: new Set(), knownUsd: 0, unpricedCalls: 0, calls: 0, errors: [] };
}

/** Adds one event, in place. */
export function addToSums(sums: EventSums, { type, data }: RunEvent): void {
  sums.events++;
  switch (type) {
    case "gateway.listening":
      sums.ledger = data.ledger;
      break;
    case "model.called":
      if (sums.models.size < MAX_MODELS) sums.models.add(data["gen_ai.request.model"]);
      break;
    case "model.answered":
      sums.calls++;
      if (data.cost_usd === null) sums.unpricedCalls++;
      else sums.knownUsd += data.cost_usd;
      break;
    case "log":
      if (data.level === "warning" || data.level === "error") keepError(sums, data.content);
      break;
    case "error":
      keepError(sums, data.error);
      break;
    case "worker.exited":
      if (data.outcome !== "completed") keepError(sums, data.text);
      break;
  }
}

function keepError({ errors }: EventSums, text: string): void {
  if (text === "") return;
  errors.push(clip(text, MAX_ERROR));
  if (errors.length > MAX_ERRORS) errors.shift();
}
