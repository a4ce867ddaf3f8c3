/** A run's events as lines for a person. */
import type { EventData, RunEvent } from "../events/event.ts";
import { escapeTerminal } from "../safety/escape_terminal.ts";

export interface RenderOptions {
  readonly colour: boolean;
  /** Lines of a command's output that are shown. */
  readonly maxOutputLines?: number;
}

const SGR = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** The text of one event, with its line break; empty for events that say nothing to a person. */
export function renderEvent(event: Pick<RunEvent, "type" | "data">, options: RenderOptions): string {
  const paint = (style: keyof typeof SGR, text: string) => {
    const safe = escapeTerminal(text);
    return options.colour ? `\x1b[${SGR[style]}m${safe}\x1b[0m` : safe;
  };
  // A line break in a name would begin a line that looks like one of ours.
  const line = (style: keyof typeof SGR, text: string) => `${paint(style, text.replaceAll(/\s/g, " "))}\n`;
  const { type, data } = event as RunEvent;
  switch (type) {
    case "start":
      return `${paint("bold", "Task")}  ${paint("bold", data.task)}\n${
        paint("dim", `${data.model} in ${data.workdir}`)
      }\n`;
    case "thought":
      return `\n${escapeTerminal(data.content)}\n`;
    case "step": {
      const output = firstLines(data.output.trimEnd(), options.maxOutputLines ?? 40);
      const end = data.exception_info || (data.exit_code === 0 ? "" : `exit code ${data.exit_code}`);
      return `\n${paint("cyan", indent("$ ", data.action.trimEnd()))}\n` +
        (output === "" ? "" : `${paint("dim", indent("  ", output))}\n`) +
        (end === "" ? "" : `  ${paint("yellow", end)}\n`);
    }
    case "log":
      return data.level === "debug" ? "" : `${paint(data.level === "error" ? "red" : "yellow", data.content)}\n`;
    case "error":
      return `\n${paint("red", data.error)}\n`;
    case "finish": {
      const text = `${data.status} after ${data.steps} steps in ${data.duration_seconds.toFixed(1)} s`;
      return `\n${paint(data.status === "success" ? "green" : "red", text)}\n${
        escapeTerminal(data.result.trimEnd())
      }\n`;
    }
    case "cost":
      return paint("dim", data.total === null ? "Cost unknown" : `Cost ${data.total.toFixed(4)} USD`) + "\n";
    case "gateway.listening": {
      const capped = Object.entries(data.caps).flatMap(([scope, cap]) => cap === null ? [] : [`${scope} ${usd(cap)}`]);
      const caps = capped.length === 0 ? "no caps" : `caps: ${capped.join(", ")}`;
      return line("bold", `Answers from ${data.source} at ${data.url}, accounts in ${data.ledger}, ${caps}`);
    }
    case "model.called": {
      const most = data.reserved_usd === null ? "price unknown" : `at most ${usd(data.reserved_usd)}`;
      const again = data.attempt > 1 ? `, attempt ${data.attempt}` : "";
      return line("dim", `-> ${callOf(data)}  asks ${data.upstream}, ${most}${again}`);
    }
    case "model.answered":
      return line(data.outcome === "answered" ? "green" : "red", `<- ${callOf(data)}  ${endOf(data)}`);
    case "budget.refused": {
      const needed = data.needed_usd === null ? "and the price is unknown" : `${usd(data.needed_usd)} may be needed`;
      const text = `refused: the cap of ${data.scope} ${data.scope_id} is ${usd(data.cap_usd)}, ` +
        `${usd(data.spent_usd)} spent, ${usd(data.reserved_usd)} held back, ${needed}`;
      return line("red", `!! ${callOf(data)}  ${text}`);
    }
    case "rate.waiting": {
      const wait = data.wait_ms === null ? "" : ` ${seconds(data.wait_ms)}`;
      const ahead = data.ahead === 0 ? "" : `, ${data.ahead} before it`;
      return line(
        "yellow",
        `.. ${callOf(data)}  waits${wait} for ${WAITS_FOR[data.reason]} at ${data.upstream}${ahead}`,
      );
    }
    default:
      // Sessions have a view of their own.
      return "";
  }
}

const WAITS_FOR: Readonly<Record<EventData<"rate.waiting">["reason"], string>> = {
  concurrency: "a place among the calls under way",
  requests: "the limit of requests",
  tokens: "the limit of tokens",
  retry_after: "the time that was asked for",
  budget: "budget that other calls hold back",
};

function callOf(data: { run: string; worker: string; "gen_ai.request.model": string }): string {
  return `${data.run}/${data.worker}  ${data["gen_ai.request.model"]}`;
}

function endOf(data: EventData<"model.answered">): string {
  const tokens = data.usage_source === "absent"
    ? "tokens unknown"
    : `${data["gen_ai.usage.input_tokens"]} + ${data["gen_ai.usage.output_tokens"]} tokens`;
  const cost = data.cost_usd === null ? "cost unknown" : usd(data.cost_usd);
  return [
    ...(data.outcome === "answered" ? [] : [data.outcome.replace("_", " ")]),
    ...(data.status === null || data.status === 200 ? [] : [`HTTP ${data.status}`]),
    ...(data["error.type"] === undefined ? [] : [data["error.type"]]),
    tokens,
    data.cost_source === "estimated" ? `${cost} (estimated)` : cost,
    seconds(data.duration_ms),
  ].join(", ");
}

/** Calls of small models cost less than a hundredth of a cent. */
function usd(amount: number): string {
  return `${amount.toFixed(amount > 0 && amount < 0.01 ? 6 : 4)} USD`;
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}

function indent(first: string, text: string): string {
  return first + text.replaceAll("\n", "\n" + " ".repeat(first.length));
}

function firstLines(text: string, max: number): string {
  const lines = text.split("\n");
  return lines.length <= max ? text : [...lines.slice(0, max), `… ${lines.length - max} more lines`].join("\n");
}
