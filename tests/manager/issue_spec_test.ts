/** What a run is to reproduce, of issues as people write them, and what it asks a person for. */
import { deepStrictEqual as deepEqual, notStrictEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { IssueDocument } from "../../src/github/issue_document.ts";
import { fingerprintOf, issueSpec } from "../../src/manager/issue_spec.ts";
import type { IssueSpec } from "../../src/manager/ports.ts";
import { findFailures } from "../../src/oracle/find_failures.ts";

const FILES = ["README.md", "src/mylib/__init__.py", "src/mylib/core.py", "tests/test_core.py"];
const REFS = ["v1.4.0", "1a2b3c4d"];

const documentOf = (part: Partial<IssueDocument>): IssueDocument => ({
  source: "github",
  url: "https://github.com/o/mylib/issues/7",
  slug: "o/mylib",
  number: 7,
  title: "It fails",
  body: "",
  labels: [],
  state: "open",
  author: "ann",
  createdAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-02T00:00:00.000Z",
  comments: [],
  notes: [],
  ...part,
});

const specOf = (part: Partial<IssueDocument>): Promise<IssueSpec> =>
  issueSpec(documentOf(part), {
    files: FILES,
    hasRef: (ref) => Promise.resolve(REFS.includes(ref)),
    findFailures,
  });

const signalsOf = ({ expected_failure_signals: signals }: IssueSpec) =>
  signals.map(({ exception_type, message_substring, exit_code, raw_pattern, strength, expected: { shows } }) =>
    [strength, shows, exception_type ?? exit_code ?? raw_pattern, message_substring].join(" | ")
  );

const TRACEBACK = `\`\`\`
Traceback (most recent call last):
  File "t.py", line 2, in <module>
    mylib.parse("")
  File "/venv/lib/python3.12/site-packages/mylib/core.py", line 12, in parse
    return items[0]
IndexError: list index out of range
\`\`\``;

Deno.test("an issue with all that is needed becomes a specification", async () => {
  const body = `<!-- Please fill in -->
Calling \`parse\` with an empty text fails. It must be an empty text.

\`\`\`python
import mylib
mylib.parse("")
\`\`\`

${TRACEBACK}

It worked in v1.4.0, and broke with 1a2b3c4d or deadbee1. See README.md and ../../etc/passwd.

- Python version: 3.12.4
- mylib 1.5.0\r\n`;
  const comments = [{ author: "bob", createdAt: null, body: "Me too\u202e" }];
  const frame = (file: string, line: number, name: string) => ({ function: name, file, line });
  const expected = {
    type: "IndexError",
    message: "list index out of range",
    pattern: null,
    exitCode: null,
    signal: null,
    frames: [
      frame("/venv/lib/python3.12/site-packages/mylib/core.py", 12, "parse"),
      frame("t.py", 2, "<module>"),
    ],
    runtime: "python" as const,
    shows: "failure" as const,
  };
  const document = documentOf({ title: "parse()  fails\x1b", body, comments, labels: ["bug"], notes: ["A note"] });
  deepEqual(await specOf(document), {
    issue_url: "https://github.com/o/mylib/issues/7",
    repo_slug: "o/mylib",
    issue_number: 7,
    title: "parse() fails\\x1b",
    body: body.replace("\r\n", ""),
    labels: ["bug"],
    expected_failure_signals: [{
      exception_type: "IndexError",
      message_substring: "list index out of range",
      exit_code: null,
      raw_pattern: null,
      strength: "traceback",
      expected,
    }],
    constraints: ["It must be an empty text.", "It worked in v1.4.0, and broke with 1a2b3c4d or deadbee1."],
    target_paths: ["src/mylib/core.py", "README.md"],
    status: "ok",
    needs_human_reason: null,
    missing: [],
    code_blocks: [
      { language: "python", text: 'import mylib\nmylib.parse("")' },
      { language: null, text: TRACEBACK.split("\n").slice(1, -1).join("\n") },
    ],
    versions: [{ name: "Python", version: "3.12.4" }, { name: "mylib", version: "1.5.0" }],
    refs: ["1a2b3c4d", "v1.4.0"],
    comments: [{ author: "bob", created_at: null, body: "Me too\\u202e" }],
    updated_at: "2026-01-02T00:00:00.000Z",
    fingerprint: fingerprintOf(document),
    notes: ["A note"],
  });
});

Deno.test("the failure is what the report shows, not all that it mentions", async () => {
  const cases: [string, string, string[]][] = [
    ["a traceback before words", `Unlike the KeyError of issue 3:\n${TRACEBACK}\nor \`TypeError: x\``, [
      "traceback | failure | IndexError | list index out of range",
    ]],
    ["the word for the same is no second one", `I get an IndexError.\n\n${TRACEBACK}\n\nThe IndexError is new.`, [
      "traceback | failure | IndexError | list index out of range",
    ]],
    ["what should happen is none", "`f()` raises `ValueError: v is empty`, it should raise `TypeError: f needs v`.", [
      "code | failure | ValueError | v is empty",
    ]],
    ["what should happen and does not", "`f([])` should raise `ValueError`, but it silently returns None.", [
      "prose | wrong_result |  | `f([])` should raise `ValueError`, but it silently returns None.",
    ]],
    ["a result beside the right one", "`add(2, 2)` returns `5` instead of `4`.", [
      "prose | wrong_result |  | returns `5` instead of `4`.",
    ]],
    ["the right result below code", "```py\n>>> fmt(1.25)\n'1.2'\n```\nI expected `'1.25'`, as before.", [
      "prose | wrong_result |  | I expected `'1.25'`, as before.",
    ]],
    ["what somebody expects of code", "```js\nf(2.5) // 3\n```\nI'd expect 2 for it.", [
      "prose | wrong_result |  | I'd expect 2 for it.",
    ]],
    ["sections", "### Expected behavior\n\n`4`\n\n### Actual behavior\n\n`5`\n\n### Version\n1", [
      "prose | wrong_result |  | expected: `4`; actual: `5`",
    ]],
    ["a named failure before an assertion in code", "It raises KeyError.\n```py\nassert f(1) == 2\n```", [
      "prose | failure | KeyError | ",
    ]],
    ["a crash and how shells tell of it", "It crashes with a segmentation fault (exit code 139).", [
      "prose | failure | SIGSEGV | ",
    ]],
    ["an exit status", "`mylib check` exits with code 3.", ["prose | failure | 3 | "]],
    ["a hang", "`mylib.run()` hangs forever.", ["prose | failure | timeout | "]],
  ];
  for (const [name, body, expected] of cases) {
    const spec = await specOf({ body });
    deepEqual([name, spec.status, signalsOf(spec)], [name, "ok", expected]);
  }
});

Deno.test("what others quote counts when the report is vague, or silent, or a maintainer says it", async () => {
  const other = TRACEBACK.replaceAll("IndexError: list", "KeyError: dict");
  const by = (author: string, body: string, isMaintainer = false) => ({ author, createdAt: null, body, isMaintainer });
  const of = async (body: string, ...comments: IssueDocument["comments"]) =>
    signalsOf(await specOf({ body, comments }));
  const index = "traceback | failure | IndexError | list index out of range";
  const key = "traceback | failure | KeyError | dict index out of range";
  deepEqual(await of(TRACEBACK, by("bob", other)), [index]);
  deepEqual(await of(TRACEBACK, by("eve", other, true)), [index, key]);
  deepEqual(await of(TRACEBACK, by("ann", other)), [index, key]);
  deepEqual(await of("It raises IndexError.", by("bob", other), by("bob", TRACEBACK)), [index]);
  deepEqual(await of("It does not work.", by("bob", other)), [key]);
  deepEqual(await of("It does not work.", by("bob", other), by("eve", TRACEBACK, true)), [index]);
  const { notes } = await specOf({ body: TRACEBACK, comments: [by("bob", other)] });
  deepEqual(notes, ["Named, but not taken for the failure: KeyError (traceback)"]);
});

Deno.test("without anything to test it says what a person has to add", async () => {
  const program = "A short program or command that shows it";
  const version = "The version of mylib in which it happens";
  const error = "The whole error text or traceback; or the result that comes, and the one that should";
  const cases: [Partial<IssueDocument>, string, string[]][] = [
    [{ body: "" }, "The issue has a title alone: nothing in it says how the failure shows", [error, program, version]],
    [
      { body: "It does not work since 2 weeks. Please fix." },
      "The issue names no failure that a program could show: no error, no exit code, no wrong result",
      [error, program, version],
    ],
    [
      { body: "See:\n\n![shot](https://example.com/x.png)\n\nmylib 1.5.0" },
      "The failure stands in a picture, which cannot be compared with what a program prints",
      ["The error as text instead of a picture", program],
    ],
    [
      { body: "```python\nimport mylib\nmylib.run()\n```\ngives wrong results with mylib==1.5" },
      "The issue names no failure that a program could show: no error, no exit code, no wrong result",
      ["What the code prints, the whole error text included, and what it should print"],
    ],
    [
      { body: "`f([])` should raise `ValueError: v is empty`." },
      "The issue says what should happen, but not what happens instead",
      ["What happens instead of what should: the value that comes back, or the error", program, version],
    ],
    [
      { title: "Add support for TOML", body: "Now one gets a ValueError." },
      "The issue asks for something new and names no failure that a program could show",
      ["The whole error text, with the traceback", program, version],
    ],
    [
      { labels: ["type: feature request"], body: "It would be nice." },
      "The issue asks for something new and names no failure that a program could show",
      [error, program, version],
    ],
    [
      { title: "How do I avoid the KeyError?", body: "I see a KeyError." },
      "The issue asks a question and names no failure that a program could show",
      ["The whole error text, with the traceback", program, version],
    ],
  ];
  for (const [part, reason, missing] of cases) {
    const spec = await specOf(part);
    deepEqual([spec.status, spec.needs_human_reason, spec.missing], ["needs-human", reason, missing]);
  }
  // A label or a traceback is more than the words of a title.
  equal((await specOf({ title: "Add support for TOML", body: "Raises ValueError.", labels: ["bug"] })).status, "ok");
  equal((await specOf({ title: "How do I avoid this?", body: TRACEBACK })).status, "ok");
});

Deno.test("the fingerprint changes with title, text and comments, and with nothing else", () => {
  const comments = [{ author: "bob", createdAt: null, body: "x" }];
  const first = fingerprintOf(documentOf({ comments }));
  equal(
    fingerprintOf(documentOf({ comments, labels: ["bug"], state: "closed", updatedAt: null, notes: ["x"] })),
    first,
  );
  for (
    const part of [
      { comments, title: "other" },
      { comments, body: "other" },
      { comments: [] },
      { comments: [...comments, ...comments] },
      { comments: [{ ...comments[0]!, body: "y" }] },
    ]
  ) notStrictEqual(fingerprintOf(documentOf(part)), first);
  ok(/^[0-9a-f]{64}$/.test(first));
});

Deno.test("long texts are cut, and that is said", async () => {
  const { title, body, comments, notes } = await specOf({
    title: "t".repeat(900),
    body: "b ".repeat(150_000),
    comments: Array.from({ length: 250 }, (_, n) => ({ author: null, createdAt: null, body: `${n}` })),
  });
  deepEqual([title.length, body.length, comments.length, comments[0]!.body, notes], [302, 200_002, 200, "50", [
    "Of the title only the first 300 of 900 characters were read",
    "Of the text only the first 200000 of 300000 characters were read",
    "Only the last 200 comments were read",
  ]]);
});

Deno.test("hostile text becomes data: bounded, without control characters, without foreign paths", async () => {
  const word = fc.constantFrom(
    "$(touch /tmp/x)",
    "`rm -rf ~`",
    "../../../etc/passwd",
    "src/mylib/core.py",
    "\u202e",
    "\x1b[2J",
    "\0",
    "\n",
    " ",
    "```",
    "ValueError: x",
    "Traceback (most recent call last):\n",
    '  File "/x/mylib/core.py", line 1, in f\n',
    "should raise",
    "__proto__",
    "<!--",
    "-->",
    "v1.4.0",
    "@everyone",
    "a".repeat(50),
    "| a | b |",
    "# Expected",
    "# Actual",
  );
  const text = fc.array(word, { maxLength: 30 }).map((words) => words.join(""));
  await fc.assert(
    fc.asyncProperty(text, text, text, async (title, body, comment) => {
      const spec = await specOf({ title, body, comments: [{ author: comment, createdAt: null, body: comment }] });
      // deno-lint-ignore no-control-regex
      ok(!/[\0-\x08\x0b-\x1f\u202a-\u202e]/.test(JSON.stringify(spec, (_, value) => value === "\n" ? "" : value)));
      for (const path of spec.target_paths) ok(FILES.includes(path));
      for (const ref of spec.refs) ok(REFS.includes(ref));
      equal(spec.status === "ok", spec.needs_human_reason === null);
    }),
    { numRuns: 60 },
  );
});

Deno.test("a large hostile issue is read in time that grows with its size", async () => {
  for (
    const piece of [
      "`",
      "ValueError ",
      "# Expected\n",
      "<!--",
      "a/b.py:1 ",
      "**Actual** 1\n",
      "should but `TypeError` ",
    ]
  ) {
    const { expected_failure_signals: signals } = await specOf({ body: piece.repeat(20_000) });
    ok(signals.length <= 10);
  }
});
