/** Recorded streams of the real agents, as long as they are wanted. */
import { fileURLToPath } from "node:url";

export const agents = ["claude", "codex", "gemini"] as const;
export type Agent = typeof agents[number];

const captures = new URL("../../tests/workers/captures/", import.meta.url);

/** As many lines, one after another, over and over. */
export function recordedStream(agent: Agent, lines: number): string {
  const folder = fileURLToPath(new URL(`${agent}/`, captures));
  const recorded = [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .map((name): string => JSON.parse(Deno.readTextFileSync(`${folder}${name}`)).stdout)
    .map((stdout) => stdout.split("\n").filter((line) => line !== ""))
    // Others are a single document, or words of an agent that did not start.
    .filter((stream) => stream.length > 0 && stream.every((line) => line.startsWith('{"') && line.endsWith("}")))
    .flat();
  return Array.from({ length: lines }, (_, i) => `${recorded[i % recorded.length]}\n`).join("");
}

/** What the agent says, as a line of its stream with its line feed. */
export function messageLine(agent: Agent, text: string): string {
  const line = {
    claude: { type: "assistant", message: { role: "assistant", content: [{ type: "text", text }] } },
    codex: { type: "item.completed", item: { id: "item_0", type: "agent_message", text } },
    gemini: { type: "message", role: "assistant", content: text },
  }[agent];
  return `${JSON.stringify(line)}\n`;
}
