/** The events of one agent's stream: with its name and the time, and bounded. */
import type { AgentEvent, FailureCause } from "../events/session_events.ts";
import { splitAgentLines } from "./agent_lines.ts";
import { causeOf } from "./failure_cause.ts";
import { clip, MAX_TEXT } from "./stream_text.ts";

const MAX_DENIALS = 50;
const MAX_DENIAL = 500;

export class StreamEvents {
  readonly #agent: string;
  readonly #now: () => number;
  readonly #denials = new Set<string>();

  /** @param options.now milliseconds since 1970 */
  constructor(options: { readonly agent: string; now(): number }) {
    this.#agent = options.agent;
    this.#now = options.now;
  }

  /** The first of them, each once. */
  get denials(): readonly string[] {
    return [...this.#denials];
  }

  make(
    type: AgentEvent["type"],
    text: string,
    payload: Partial<AgentEvent["payload"]> = {},
  ): AgentEvent {
    const timestamp = new Date(this.#now()).toISOString();
    return { type, agent: this.#agent, timestamp, payload: { text: clip(text, MAX_TEXT), ...payload } };
  }

  /** A whole message, and first the events that the agent has written into it. */
  said(text: string): AgentEvent[] {
    const { events, rest } = splitAgentLines(text);
    const own = events.map(({ type, timestamp, payload }): AgentEvent => {
      const event = this.make(type, payload.text, payload);
      return timestamp === null ? event : { ...event, timestamp };
    });
    return rest.trim() === "" ? own : [...own, this.make("message", rest)];
  }

  /** What the agent was not allowed to do, or could not: nothing when that was told already. `data.cause` says why. */
  denied(text: string, data: Readonly<Record<string, unknown>> = {}): AgentEvent[] {
    const denial = clip(text, MAX_DENIAL);
    if (this.#denials.has(denial)) return [];
    if (this.#denials.size < MAX_DENIALS) this.#denials.add(denial);
    const cause: FailureCause = causeOf({ status: null, message: text }) ?? "permission";
    return [this.make("denial", denial, { data: { ...data, cause } })];
  }

  unreadable(line: string): AgentEvent {
    return this.make("unreadable", clip(line, MAX_TEXT));
  }
}
