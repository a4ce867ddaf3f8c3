/** A run's events as lines for a person. */
import type { RunEvent } from "../events/event.ts";
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
    case "gateway.listening":
    case "model.called":
    case "model.answered":
    case "budget.refused":
    case "rate.waiting":
      return "";
  }
}

function indent(first: string, text: string): string {
  return first + text.replaceAll("\n", "\n" + " ".repeat(first.length));
}

function firstLines(text: string, max: number): string {
  const lines = text.split("\n");
  return lines.length <= max ? text : [...lines.slice(0, max), `… ${lines.length - max} more lines`].join("\n");
}
