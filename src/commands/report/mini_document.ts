/** What a report says of a mini run. */
import type { MiniRecord } from "../../http/schemas.ts";
import { amountFacts, dollars } from "./amounts.ts";
import {
  badgeOf,
  type Block,
  factsOf,
  lineCount,
  type ReportDocument,
  sectionsOf,
  shortened,
  type Step,
} from "./document.ts";
import type { MiniReport } from "./read_report.ts";

type Message = MiniRecord["messages"][number];

const MAX_TASK = 20_000;
const MAX_RESULT = 20_000;
const MAX_OUTPUT = 8000;

export function miniDocument({ id, record, problems }: MiniReport): Omit<ReportDocument, "version" | "generatedAt"> {
  const { status, task, result } = record;
  const isCutOff = status === "cut_off";
  const [title = ""] = task.trimStart().split("\n", 1);
  return {
    kind: "mini",
    id,
    title: title === "" ? id : title,
    status: badgeOf(status),
    summary: result?.trim().split("\n", 1)[0] ?? "",
    facts: factsOf([
      ...amountFacts(record),
      ["Steps", record.steps],
      ["Model", record.model === null ? null : { code: record.model }],
      ["Exit status", record.exit_status],
      ["Folder", { code: record.workdir }],
      ["Trajectory", record.trajectory_path === null ? null : { code: record.trajectory_path }],
    ]),
    problems: isCutOff ? ["Its process was killed: this is as far as it came", ...problems] : problems,
    sections: sectionsOf([
      [
        "Result",
        result === null || !result.trim().includes("\n") ? [] : [{ kind: "text", text: shortened(result, MAX_RESULT) }],
      ],
      ["Task", task === "" ? [] : [{ kind: "text", text: shortened(task, MAX_TASK) }]],
      ["Trajectory", trajectoryBlocks(record.messages)],
    ]),
  };
}

/** What the model was told at the beginning is long, and nearly always the same. */
function trajectoryBlocks(messages: readonly Message[]): Block[] {
  const first = messages.findIndex(({ role }) => role === "assistant");
  return messages.map((message, index) => {
    const { role, content } = message;
    if (index >= first && role !== "system") return messageStep(message);
    return { kind: "fold", title: role, aside: lineCount(content), blocks: [{ kind: "code", text: content }] };
  });
}

function messageStep({ role, content, commands, exit_code, time, cost_usd }: Message): Step {
  const isOutput = exit_code !== null || role === "tool";
  return {
    kind: "step",
    who: role === "assistant" && cost_usd !== null && cost_usd > 0 ? `${role}, ${dollars(cost_usd)}` : role,
    time,
    text: isOutput ? "" : shortened(content, MAX_OUTPUT),
    commands,
    output: isOutput ? shortened(content, MAX_OUTPUT) : "",
    exitCode: exit_code,
  };
}
