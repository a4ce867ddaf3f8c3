/** The HTML of a report: nothing in it is obeyed, nothing is asked for, and it is never too large. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { createHash } from "node:crypto";
import { parser } from "@lezer/html";
import fc from "fast-check";
import { writeHtml } from "../../../src/commands/report/write_html.ts";
import { sampleReport } from "./sample_report.ts";

/** Elements and the names of their attributes, in order. */
function structureOf(page: string): string[] {
  const found: string[] = [];
  parser.parse(page).iterate({
    enter({ name, from, to }) {
      if (["TagName", "AttributeName", "Comment", "ProcessingInst"].includes(name)) {
        found.push(`${name} ${page.slice(from, to)}`);
      }
    },
  });
  return found;
}

/** Text beyond what fits into a narrow column, on one line. */
const LONG = "some text of an agent that is long enough";
const HOSTILE = [
  `<img src=x onerror=alert(1)>`,
  `"><script>alert(1)</script>`,
  `' onmouseover='alert(1)`,
  `</style></pre></title></textarea><svg/onload=alert(1)>`,
  `<!-- ]]> <?php &lt;b&gt; &#60;`,
  `javascript:alert(1)`,
  `https://host/"onclick="alert(1)`,
];

Deno.test("a text in any place of a report changes nothing but text", () => {
  const expected = structureOf(writeHtml(sampleReport(LONG)));
  const text = fc.oneof(
    fc.constantFrom(...HOSTILE),
    fc.string({ unit: "binary" }),
    fc.array(
      fc.constantFrom("<", ">", '"', "'", "&", "/", "!", "-", "=", "`", "\0", "\x1b", "\u202e", "\ud800", "a", " "),
    )
      .map((parts) => parts.join("")),
  );
  fc.assert(fc.property(text, (text) => {
    const page = writeHtml(sampleReport(LONG + text.replaceAll(/[\r\n]/g, "")));
    deepEqual(structureOf(page), expected);
    // deno-lint-ignore no-control-regex -- those are what may not be there
    ok(!/[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(page));
    ok(page.isWellFormed());
  }));
});

Deno.test("a page has no script, asks for nothing, and its policy allows its own style alone", () => {
  const page = writeHtml(sampleReport("https://host/path"));
  const [, style = ""] = /<style>([^]*?)<\/style>/.exec(page)!;
  const hash = createHash("sha256").update(style).digest("base64");
  match(page, /^<!doctype html>\n/);
  ok(page.includes(`content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'"`));
  deepEqual(page.match(/<(?:script|link|img|iframe|object|embed|base|form)\b/g), null);
  deepEqual(page.match(/\s(?:src|style|on\w+)=/g), null);
  deepEqual(style.match(/url\(|@import|</g), null);
  deepEqual(page.match(/href="[^"#][^"]*"[^>]*>/g), ['href="https://host/path" rel="noreferrer noopener">']);
});

Deno.test("a text is shown as it is, and its control characters are visible", () => {
  ok(writeHtml(sampleReport("&lt;'")).includes(">&amp;lt;&#39;<"));
  const page = writeHtml(sampleReport("\x1b[31mred\u202e"));
  ok(page.includes("\\x1b[31mred\\u202e"));
});

Deno.test("what does not fit is left out, and what comes after it and fits is there", () => {
  const maxBytes = 300_000;
  const page = writeHtml(
    sampleReport("x", {
      sections: [
        {
          title: "One",
          blocks: [{ kind: "text", text: "é<".repeat(100_000) }, { kind: "text", text: "the small one" }],
        },
        {
          title: "Two",
          blocks: Array.from({ length: 20_000 }, (_, index) => ({
            kind: "fold" as const,
            title: `fold ${index}`,
            aside: "",
            blocks: [{ kind: "code" as const, text: "<".repeat(10) }],
          })),
        },
      ],
    }),
    { maxBytes },
  );
  const size = new TextEncoder().encode(page).length;
  ok(size <= maxBytes, `${size}`);
  ok(size > maxBytes / 3, `${size}`);
  ok(page.includes("the small one"));
  match(page, /<p class="note">One part is left out here: the report would be too large\.<\/p>/);
  match(
    page,
    /<ul class="problems"><li>x<\/li><li>\d+ parts are left out, because the report would be too large<\/li>/,
  );
  equal(page.match(/<details/g)?.length, page.match(/<\/details>/g)?.length);
});

Deno.test("a long output is shown when somebody asks for it", () => {
  const step = { kind: "step", who: "command", time: null, text: "", commands: ["make"], exitCode: 0 } as const;
  const outputOf = (lines: number) => {
    const output = Array.from({ length: lines }, (_, index) => `line ${index}`).join("\n");
    return writeHtml(sampleReport("x", { sections: [{ title: "S", blocks: [{ ...step, output }] }] }));
  };
  ok(!outputOf(12).includes("<details"));
  match(outputOf(13), /<details><summary><span>Output, 13 lines<\/span><\/summary><pre class="output">line 0\n/);
});
