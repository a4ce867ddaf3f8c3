/** What every dialect's error body says for programs, beside what its own clients expect. */
import type { Json } from "../../models/json.ts";
import type { Refusal } from "../refusal.ts";

/** `terminal`: asking again is of no use. */
export function errorFields(refusal: Refusal): Json {
  return { ...refusal.details, kind: refusal.kind, terminal: refusal.isTerminal };
}
