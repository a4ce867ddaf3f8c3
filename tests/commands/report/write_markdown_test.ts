/** The Markdown of a report: it fits into an issue, tells nobody, and has no markup of others. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { writeMarkdown } from "../../../src/commands/report/write_markdown.ts";
import type { Block } from "../../../src/commands/report/document.ts";
import { sampleReport } from "./sample_report.ts";

/** What is left without code, in which nothing has an effect. */
function withoutCode(markdown: string): string {
  const lines: string[] = [];
  let fence: string | undefined;
  for (const line of markdown.split("\n")) {
    const [ticks] = /^`{3,}/.exec(line) ?? [];
    if (fence === undefined && ticks !== undefined) fence = ticks;
    else if (fence !== undefined) {
      if (line === fence) fence = undefined;
    } else lines.push(line);
  }
  equal(fence, undefined, "a fence is left open");
  return lines.join("\n").replaceAll(/(?<![\\`])(`+)(?!`)[^]*?[^`]\1(?!`)/g, "");
}

Deno.test("in a report nobody is named, nothing is linked, and there is no markup of others", () => {
  const text = fc.oneof(
    fc.constantFrom(
      "@user #1 GH-2",
      "<img src=x>",
      "![x](http://host/y)",
      "[a]: b",
      "```\n# x\n```",
      "~~~",
      "a|b",
      "*b*",
    ),
    fc.array(
      fc.constantFrom("`", "~", "@a", "#1", "<b>", "[x](y)", "|", "\n", " ", "\\", "*", "_", "&lt;", "$x$", "- "),
    )
      .map((parts) => parts.join("")),
  );
  fc.assert(fc.property(text, (text) => {
    const prose = withoutCode(writeMarkdown(sampleReport(`a${text}`)));
    // The rules between cells and the heading are ours.
    deepEqual(prose.match(/@a|@user|#\d|GH-2|(?<!\\)[<[]|:\/\//g), null, prose);
  }));
});

Deno.test("a report fits into an issue, and says what is left out", () => {
  const code: Block = { kind: "code", text: "x".repeat(5000) };
  const markdown = writeMarkdown(sampleReport("x", {
    sections: [
      { title: "Much", blocks: Array.from({ length: 30 }, () => code) },
      { title: "Little", blocks: [{ kind: "text", text: "the small one" }] },
    ],
  }));
  ok(markdown.length <= 65_536, `${markdown.length}`);
  ok(markdown.length > 60_000, `${markdown.length}`);
  match(markdown, /\n### Little\n\nthe small one\n/);
  match(markdown, /\nLeft out, because an issue takes no more: parts of "Much"\.\n/);
});

Deno.test("what only some want to see is its title alone, and of many steps the last ones are shown", () => {
  const steps = Array.from({ length: 50 }, (_, index): Block => ({
    kind: "step",
    who: "command",
    time: "2026-02-05T12:00:01.000Z",
    text: "",
    commands: [`make ${index}`],
    output: "much",
    exitCode: 0,
  }));
  const blocks: Block[] = [{ kind: "fold", title: "w1", aside: "3 steps", blocks: [steps[0]!] }, ...steps];
  const lines = writeMarkdown(sampleReport("x", { sections: [{ title: "S", blocks }] })).split("\n");
  const from = lines.indexOf("### S");
  deepEqual(lines.slice(from + 2, from + 5), [
    "- 10 earlier steps are left out here",
    "- **w1** 3 steps",
    "- 12:00:01 command: `make 10`, exit 0",
  ]);
  equal(lines.filter((line) => line.includes("make")).length, 40);
});
