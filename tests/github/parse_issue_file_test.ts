/** Issues in files: JSON as trackers give it, Markdown as people write it, and what is wrong with either. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { Failure } from "../../src/failure.ts";
import type { IssueDocument } from "../../src/github/issue_document.ts";
import { parseIssueFile } from "../../src/github/parse_issue_file.ts";

const NOTHING = {
  source: "file",
  url: null,
  slug: null,
  number: null,
  title: "It fails",
  body: "",
  labels: [],
  state: null,
  author: null,
  createdAt: null,
  updatedAt: null,
  comments: [],
  notes: [],
} satisfies IssueDocument;
const TIME = "2026-01-02T03:04:05.000Z";

function failureOf(text: string, file: string): string {
  let told = "";
  throws(() => parseIssueFile(text, file), (error) => {
    ok(error instanceof Failure, Deno.inspect(error));
    equal(error.kind, "usage");
    told = error.message;
    return true;
  });
  return told;
}

Deno.test("JSON of every tracker becomes the same document", () => {
  const url = "https://github.com/o/r/issues/7";
  const expected = {
    ...NOTHING,
    url,
    slug: "o/r",
    number: 7,
    body: "ValueError",
    labels: ["bug"],
    state: "open",
    author: "ann",
    createdAt: TIME,
    updatedAt: TIME,
    comments: [{ author: "bob", isMaintainer: true, createdAt: TIME, body: "Me too" }],
  };
  const rest = {
    url: "https://api.github.com/repos/o/r/issues/7",
    html_url: url,
    id: 991,
    number: 7,
    title: "It fails",
    body: "ValueError",
    labels: [{ name: "bug" }],
    state: "open",
    user: { login: "ann" },
    created_at: TIME,
    updated_at: TIME,
    comments: 1,
  };
  const restComment = { user: { login: "bob" }, author_association: "OWNER", created_at: TIME, body: "Me too" };
  const gh = {
    author: { id: "U_1", is_bot: false, login: "ann", name: "Ann" },
    body: "ValueError",
    comments: [{
      author: { login: "bob" },
      authorAssociation: "OWNER",
      body: "Me too",
      createdAt: TIME,
      isMinimized: false,
    }],
    createdAt: TIME,
    labels: [{ id: "L", name: "bug", description: null }],
    number: 7,
    state: "OPEN",
    title: "It fails",
    updatedAt: TIME,
    url,
  };
  const read = (value: unknown) => parseIssueFile(JSON.stringify(value), "issue.json");
  deepEqual(read({ issue: rest, comments: [restComment] }), expected);
  deepEqual(read([rest, restComment]), expected);
  deepEqual(read(gh), expected);
  deepEqual(read(rest), { ...expected, comments: [] });
  deepEqual(parseIssueFile(JSON.stringify(gh), "issue"), expected);

  deepEqual(
    read({
      iid: 3,
      title: "It fails",
      description: null,
      web_url: "https://gitlab.com/group/sub/project/-/issues/3",
      state: "opened",
      labels: ["bug"],
      author: { username: "ann" },
      notes: [{ body: "changed the label", system: true }, { body: "Me too", author: { username: "bob" } }],
    }),
    {
      ...NOTHING,
      url: "https://gitlab.com/group/sub/project/-/issues/3",
      slug: "group/sub/project",
      number: 3,
      labels: ["bug"],
      state: "open",
      author: "ann",
      comments: [{ author: "bob", createdAt: null, body: "Me too" }],
    },
  );

  const paragraph = (...texts: string[]) => ({
    type: "paragraph",
    content: texts.map((text) => ({ type: "text", text })),
  });
  deepEqual(
    read({
      key: "ABC-12",
      self: "https://jira.example.com/rest/api/3/issue/1",
      fields: {
        summary: "It fails",
        description: {
          type: "doc",
          content: [
            paragraph("Call ", "it:"),
            { type: "codeBlock", content: [{ type: "text", text: "f()" }] },
            paragraph("End"),
          ],
        },
        status: { name: "Done" },
        reporter: { displayName: "Ann" },
        created: TIME,
        comment: { comments: [{ author: { displayName: "Bob" }, body: "Me too", created: TIME }] },
      },
    }),
    {
      ...NOTHING,
      body: "Call it:\n```\nf()\n```\nEnd\n",
      state: "closed",
      author: "Ann",
      createdAt: TIME,
      comments: [{ author: "Bob", createdAt: TIME, body: "Me too" }],
    },
  );

  deepEqual(
    read({
      bugs: [{ id: 5, summary: "It fails", keywords: ["crash"], creator: "ann@x", status: "RESOLVED" }],
      comments: [{ text: "Me too", creator: "bob@x", creation_time: TIME }],
    }),
    {
      ...NOTHING,
      number: 5,
      labels: ["crash"],
      state: "closed",
      author: "ann@x",
      comments: [{ author: "bob@x", createdAt: TIME, body: "Me too" }],
    },
  );
});

Deno.test("what is wrong with JSON is told with its file, line and field", () => {
  const cases: [string, string][] = [
    ["", "issue.json: need JSON, found an empty file"],
    ['{\n  "title": "secret-text",\n}', "issue.json:3: need JSON, found something else"],
    ["[]", "issue.json:1: [0]: need an object, found nothing"],
    ['{\n  "body": "x"\n}', "issue.json:1: title: need a text, found nothing"],
    ['{\n  "body": "x",\n  "title": ""\n}', "issue.json:3: title: need a text, found an empty one"],
    ['{\n  "title": "x",\n  "body":\n    ["y"]\n}', "issue.json:4: body: need a text, found a list"],
    [
      '{"issue": {"title": "x"},\n"comments": [\n{"body": "a, {[\\" title"},\n{"body": 5}]}',
      "issue.json:4: comments[1].body: need a text, found a number",
    ],
    ['{"title": "x",\n"comments": "y"}', "issue.json:2: comments: need a list of comments, found a text"],
    ['{"title": "x",\n"labels": "y"}', "issue.json:2: labels: need a list of labels, found a text"],
    ['[{"title": "x"},\n{"title": "y"}]', "issue.json:1: need one issue, found 2"],
    ['{"bugs": []}', "issue.json:1: bugs: need one issue, found 0"],
    ['"text"', "issue.json:1: need an object, found a text"],
  ];
  for (const [text, expected] of cases) {
    equal(failureOf(text, "issue.json"), `Cannot read the issue: ${expected}`, text);
  }
});

Deno.test("Markdown has its title in the first heading, and comments below rules", () => {
  deepEqual(
    parseIssueFile("\n# It fails #\r\n\r\nWith:\n\n```\n# no heading\n---\n## Comment\n```\n\n---\n\nmore\n", "a.md"),
    {
      ...NOTHING,
      body: "With:\n\n```\n# no heading\n---\n## Comment\n```\n\n---\n\nmore",
    },
  );
  deepEqual(
    parseIssueFile(
      "```\n# code\n```\n## It fails\nbody\n\n---\n\n## Comment by @bob (today)\n\nMe too\n\n---\n### Comment\nx\n",
      "a.md",
    ),
    {
      ...NOTHING,
      body: "```\n# code\n```\nbody",
      comments: [{ author: "bob", createdAt: null, body: "Me too" }, { author: null, createdAt: null, body: "x" }],
    },
  );
  deepEqual(parseIssueFile("It fails\nwhen I call it\n", "a.txt"), { ...NOTHING, body: "when I call it" });
});

Deno.test("front matter says what the text does not", () => {
  const text = `---
title: "It \\"fails\\""
url: https://github.com/o/r/issues/7
number: 7
labels: [bug, 'a b']
state: closed
author: ann
created_at: 2026-01-02T03:04:05Z
layout: x
---

# A heading
body
`;
  deepEqual(parseIssueFile(text, "a.md"), {
    ...NOTHING,
    title: 'It "fails"',
    url: "https://github.com/o/r/issues/7",
    slug: "o/r",
    number: 7,
    labels: ["bug", "a b"],
    state: "closed",
    author: "ann",
    createdAt: TIME,
    body: "# A heading\nbody",
  });
  deepEqual(parseIssueFile("---\ntitle: It fails\nlabels:\n  - bug\n  - c d\n---\n", "a.md").labels, ["bug", "c d"]);
});

Deno.test("what is wrong with Markdown is told with its file and line", () => {
  const cases: [string, string][] = [
    ["", "a.md:1: title: need a text, found an empty one"],
    ["---\ntitle: x\n", "a.md:1: need a second line `---` below the front matter, found none"],
    ["---\nurl: x\ntitle: |\n  y\n---\n", "a.md:3: title: need a text on one line, found one of several lines"],
  ];
  for (const [text, expected] of cases) equal(failureOf(text, "a.md"), `Cannot read the issue: ${expected}`, text);
});

Deno.test("whatever a file holds, it is an issue or a failure that says why", () => {
  const json = fc.json().map((text) => [text, "x.json"]);
  const word = fc.constantFrom(
    "# A\n",
    "---\n",
    "## Comment by b\n",
    "```\n",
    "title: x\n",
    "labels:\n",
    "- a\n",
    "x",
    "\n",
    " ",
  );
  const markdown = fc.array(word).map((words) => [words.join(""), "x.md"]);
  fc.assert(fc.property(fc.oneof(json, markdown), ([text, file]) => {
    try {
      ok(parseIssueFile(text!, file!).title !== "");
    } catch (error) {
      ok(error instanceof Failure, Deno.inspect(error));
    }
  }));
});

Deno.test("the line of a field behind a very long text is found, too", () => {
  const text = `{"title": "x",\n"other": ${JSON.stringify('a"\\'.repeat(1_000_000))},\n"body": 5}`;
  equal(failureOf(text, "a.json"), "Cannot read the issue: a.json:3: body: need a text, found a number");
});

Deno.test("an address that is none, or would do something in a terminal, is left out", () => {
  for (const url of ["javascript:alert(1)", "https://x/\x1b[2J", "https://x/\u202e", "https://x y", "x", 5]) {
    deepEqual(parseIssueFile(JSON.stringify({ title: "It fails", url }), "a.json"), NOTHING);
  }
});

Deno.test("long texts are cut, and that is said; foreign keys do nothing", () => {
  const { body, notes, labels } = parseIssueFile(
    `{"title": "x", "body": ${JSON.stringify("y".repeat(300_000))}, "__proto__": {"labels": ["z"]}}`,
    "a.json",
  );
  deepEqual([body.length, notes, labels], [
    262_145,
    ["Of the text only the first 262144 of 300000 characters were read"],
    [],
  ]);
});
