/** What a reply says besides its commands: the agent's reasoning, for `thought` events. */
import type { ChatReply } from "../models/chat_model.ts";

export interface Thought {
  readonly content: string;
  readonly source: "reply" | "reasoning";
}

const TAGS = ["thought", "thinking", "think"];

/**
 * The provider's reasoning; then each `<thought>`, `<thinking>` or `<think>` block of the text, or, when there is none,
 * the text without its fenced blocks.
 */
export function thoughtsIn(reply: Pick<ChatReply, "content" | "reasoning">): Thought[] {
  const blocks = taggedBlocks(reply.content);
  const said = blocks.length > 0 ? blocks : [withoutFences(reply.content)];
  return [
    { content: reply.reasoning, source: "reasoning" as const },
    ...said.map((content) => ({ content, source: "reply" as const })),
  ].map((thought) => ({ ...thought, content: thought.content.trim() })).filter(({ content }) => content !== "");
}

/** Linear in the text: a lazy pattern would be quadratic on many opening tags without a closing one. */
function taggedBlocks(text: string): string[] {
  const blocks: { at: number; content: string }[] = [];
  for (const tag of TAGS) {
    const open = `<${tag}>`, close = `</${tag}>`;
    for (let from = 0;;) {
      const start = text.indexOf(open, from);
      const end = start < 0 ? -1 : text.indexOf(close, start + open.length);
      if (end < 0) break;
      blocks.push({ at: start, content: text.slice(start + open.length, end) });
      from = end + close.length;
    }
  }
  return blocks.sort((a, b) => a.at - b.at).map(({ content }) => content);
}

/** The command of the text protocol stands in a fence, and has its own event. */
function withoutFences(text: string): string {
  const kept: string[] = [];
  let fenced = false;
  for (const line of text.split("\n")) {
    if (line.trimStart().startsWith("```")) fenced = !fenced;
    else if (!fenced) kept.push(line);
  }
  return kept.join("\n");
}
