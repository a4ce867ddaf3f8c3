import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { thoughtsIn } from "../../src/mini/thoughts.ts";

const contents = (content: string, reasoning = "") =>
  thoughtsIn({ content, reasoning }).map((thought) => thought.content);

Deno.test("thoughtsIn() gives the provider's reasoning first, then each tagged block in order", () => {
  deepEqual(
    thoughtsIn({
      reasoning: "hm",
      content: "a <thinking>one</thinking> b <thought>\ntwo\n</thought>\n```bash\nls\n```",
    }),
    [
      { content: "hm", source: "reasoning" },
      { content: "one", source: "reply" },
      { content: "two", source: "reply" },
    ],
  );
});

Deno.test("thoughtsIn() takes the text around the command when no block is tagged", () => {
  deepEqual(contents("I look at it.\n```bash\nls\n```\nThen more."), ["I look at it.\nThen more."]);
});

Deno.test("thoughtsIn() gives nothing for a reply that says nothing", () => {
  deepEqual(contents("```bash\nls\n```"), []);
  deepEqual(contents("<thought> </thought>"), []);
});

Deno.test("thoughtsIn() is linear in many opening tags without an end", () => {
  const hostile = "<thought>".repeat(200_000);
  deepEqual(contents(hostile).length, 1);
});
