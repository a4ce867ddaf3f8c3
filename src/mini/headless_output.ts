/** Shows a run as JSON Lines on stdout: one `{type, data, timestamp}` per event, of the seed's seven types. */
import type { EventData, RunEvent } from "../events/event.ts";
import { encodeJsonLine } from "../events/json_lines.ts";
import type { Redactor } from "../safety/secrets.ts";

export interface HeadlessOutputOptions {
  write(line: string): Promise<void>;
  redactor: Redactor;
  includeTimestamps: boolean;
  /** Characters of a step's output; 0: all. */
  maxOutputLength: number;
}

/** A subscriber of the bus. Resolves when the line is written, so a slow reader slows the run and costs no memory. */
export class HeadlessOutput {
  readonly #options: HeadlessOutputOptions;

  constructor(options: HeadlessOutputOptions) {
    this.#options = { ...options };
  }

  /** Settings are known only after the first things can go wrong. */
  configure(options: Partial<Omit<HeadlessOutputOptions, "write">>): void {
    Object.assign(this.#options, options);
  }

  readonly show = (stated: RunEvent): Promise<void> => {
    const { write, redactor, includeTimestamps, maxOutputLength } = this.#options;
    const event: RunEvent = stated.type === "command.judged"
      ? { ...stated, type: "log", data: warningOf(stated.data) }
      : stated;
    // First whole, then cut: nobody would know half a secret.
    const redacted = redactor.redactDeep(event);
    const line = {
      type: event.type,
      data: redacted.type === "step" ? shortened(redacted.data, maxOutputLength) : redacted.data,
      ...(includeTimestamps && { timestamp: event.time }),
    };
    return write(encodeJsonLine(line));
  };
}

function warningOf({ verdict, rule, reason, refused }: EventData<"command.judged">): EventData<"log"> {
  const fate = refused ? "was not run" : verdict === "block" ? "runs although the command policy forbids it" : "runs";
  return { level: "warning", content: `A command ${fate}: ${reason}`, verdict, rule };
}

function shortened<T extends { output: string; elided_chars: number }>(data: T, max: number): T {
  if (max <= 0 || data.output.length <= max) return data;
  const characters = [...data.output];
  const left = characters.length - max;
  if (left <= 0) return data;
  const head = Math.ceil(max / 2);
  const output = characters.slice(0, head).join("") + `\n[… ${left} characters left out …]\n` +
    characters.slice(head + left).join("");
  return { ...data, output, elided_chars: data.elided_chars + left };
}
