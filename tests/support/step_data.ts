/** A whole `step` event's data, for tests that look at a part of it. */
import type { EventData } from "../../src/events/event.ts";

export function stepData(changes: Partial<EventData<"step">> = {}): EventData<"step"> {
  return {
    step: 1,
    action: "x",
    action_index: 0,
    action_count: 1,
    output: "",
    exit_code: 0,
    timed_out: false,
    exception_info: "",
    elided_bytes: 0,
    elided_chars: 0,
    duration_seconds: 0,
    cost_so_far: 0,
    ...changes,
  };
}
