/** What each worker of a session or a manager run said and ran, off its log. */
import { JsonLinesDecoder } from "../../events/json_lines.ts";
import { type RunEvent, runEvent } from "../../events/event.ts";
import type { Redactor } from "../../safety/secrets.ts";
import { readPieces } from "../../store/append_log.ts";
import { objectOf, textOf } from "../../workers/stream_text.ts";
import { addToSums, type EventSums, noSums } from "../serve/entries/event_sums.ts";
import { counted, shortened, type Step } from "./document.ts";

export interface WorkerStory {
  readonly worker: string;
  readonly steps: readonly Step[];
  /** Steps between the first and the last ones that nobody kept. */
  readonly leftOut: number;
}

export interface ReadStories {
  readonly stories: readonly WorkerStory[];
  readonly sums: EventSums;
  /** What is wrong with the log, in sentences. */
  readonly problems: readonly string[];
}

const MAX_WORKERS = 200;
/** Of one worker. */
const FIRST_STEPS = 100;
const MAX_STEPS = 600;
const MAX_TEXT = 8000;
/** Of all workers together; what comes later is cut to `MIN_TEXT`. */
const MAX_TEXTS = 16_000_000;
const MIN_TEXT = 200;

/** Memory is bounded, however long the log is. Texts have no secrets. Throws what the system says, or a `Failure`. */
export async function readStories(
  path: string,
  { redactor, signal }: { readonly redactor: Redactor; readonly signal: AbortSignal },
): Promise<ReadStories> {
  const stories = new Stories(redactor);
  const sums = noSums();
  let [damaged, unknown] = [0, 0];
  const decoder = new JsonLinesDecoder();
  const add = (lines: ReturnType<JsonLinesDecoder["push"]>): number => {
    let bad = 0;
    for (const line of lines) {
      if (line.kind !== "value") {
        bad++;
        continue;
      }
      const parsed = runEvent.safeParse(line.value);
      if (!parsed.success) {
        unknown++;
        continue;
      }
      const event = parsed.data as RunEvent;
      addToSums(sums, event);
      stories.add(event);
    }
    return bad;
  };
  using file = await Deno.open(path);
  for await (const piece of readPieces(file, path)) {
    signal.throwIfAborted();
    damaged += add(decoder.push(piece));
  }
  const isTorn = add(decoder.end()) > 0;
  return {
    stories: stories.all(),
    sums: redactor.redactDeep(sums),
    problems: [
      ...(damaged > 0 ? [`${counted(damaged, "line")} of its log could not be read`] : []),
      ...(unknown > 0 ? [`This version does not understand ${counted(unknown, "line")} of its log`] : []),
      ...(isTorn ? ["The last line of its log is torn: whoever wrote it was killed, or is writing it now"] : []),
      ...(sums.events === 0 ? ["Its log has no events"] : []),
    ],
  };
}

class Stories {
  readonly #redactor: Redactor;
  readonly #stories = new Map<string, Story>();
  #room = MAX_TEXTS;

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  add({ type, data, time }: RunEvent): void {
    if (type !== "worker.event") return;
    const { event: { type: what, payload: { text, file, data: more } } } = data;
    const { id, command, output, phase, exit_code } = objectOf(more);
    const isCommand = what === "command";
    const shown = isCommand ? textOf(command) || text : "";
    this.#storyOf(data.worker)?.push({
      kind: "step",
      who: what,
      time,
      text: this.#cut(isCommand ? "" : file === undefined || text.includes(file) ? text : `${text} (${file})`),
      commands: isCommand ? [this.#cut(shown)] : [],
      output: this.#cut(isCommand ? textOf(output) : ""),
      exitCode: Number.isSafeInteger(exit_code) ? exit_code as number : null,
    }, { call: typeof id === "string" ? `${what} ${id}` : undefined, isOpen: phase === "started" });
  }

  all(): WorkerStory[] {
    return [...this.#stories].map(([worker, { steps, leftOut }]) => ({ worker, steps, leftOut }));
  }

  #storyOf(worker: string): Story | undefined {
    const name = this.#redactor.redact(worker);
    let story = this.#stories.get(name);
    if (story === undefined && this.#stories.size < MAX_WORKERS) {
      story = new Story();
      this.#stories.set(name, story);
    }
    return story;
  }

  /** What is cut first could leave a part of a secret. */
  #cut(text: string): string {
    const cut = shortened(this.#redactor.redact(text), this.#room > 0 ? MAX_TEXT : MIN_TEXT);
    this.#room -= cut.length;
    return cut;
  }
}

class Story {
  readonly steps: Step[] = [];
  leftOut = 0;
  /** The call of the last step, if its end has not been told. */
  #open: string | undefined;

  push(step: Step, { call, isOpen }: { readonly call: string | undefined; readonly isOpen: boolean }): void {
    // The end of a call says all that its beginning does.
    if (call !== undefined && call === this.#open) this.steps.pop();
    this.#open = isOpen ? call : undefined;
    this.steps.push(step);
    if (this.steps.length <= MAX_STEPS) return;
    this.steps.splice(FIRST_STEPS, 1);
    this.leftOut++;
  }
}
