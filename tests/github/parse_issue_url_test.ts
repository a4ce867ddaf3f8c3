/** Addresses of issues: what is one, and what is told about what is none. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { Failure } from "../../src/failure.ts";
import { parseIssueUrl } from "../../src/github/parse_issue_url.ts";

Deno.test("an issue is named by its address, whatever follows, or in short", () => {
  const numpy = {
    host: "github.com",
    slug: "numpy/numpy",
    number: 30272,
    url: "https://github.com/numpy/numpy/issues/30272",
  };
  for (
    const text of [
      "https://github.com/numpy/numpy/issues/30272",
      "http://github.com/numpy/numpy/issues/30272/",
      "https://www.github.com/numpy/numpy/issues/30272?x=1#issuecomment-5",
      "https://GitHub.com/numpy/numpy/issues/30272/linked_closing_reference",
      "github.com/numpy/numpy/issues/30272",
      "  numpy/numpy#30272\n",
    ]
  ) deepEqual(parseIssueUrl(text), numpy, text);
  deepEqual(parseIssueUrl("https://git.example.com:8443/a-b/c.d/issues/1"), {
    host: "git.example.com:8443",
    slug: "a-b/c.d",
    number: 1,
    url: "https://git.example.com:8443/a-b/c.d/issues/1",
  });
});

Deno.test("what is no issue is told with what it is", () => {
  const cases: [string, string][] = [
    ["", "Cannot read the issue: need the address of an issue, found an empty text"],
    ["12", 'Cannot read the issue "12": need the address of an issue, found another text'],
    ["ftp://github.com/a/b/issues/1", "found another text"],
    ["https://github.com/a/b/pull/1", "found a pull request"],
    ["https://github.com/a/b/discussions/1", "found a discussion"],
    ["https://github.com/a/b", "found an address of something else"],
    ["https://github.com/a/b/issues/", "found no number of an issue in it"],
    ["https://github.com/a/b/issues/0", "found no number of an issue in it"],
    ["https://github.com/a/b/issues/1e3", "found no number of an issue in it"],
    ["https://github.com/a/b%2f..%2f..%2fuser/issues/1", "found no owner and repository in it"],
    ["-x/y#1", "found no owner and repository in it"],
    ["a/..#1", "found no owner and repository in it"],
    ["https://github.com/a/b/issues/1".padEnd(3000, "0"), "found 3000 characters"],
  ];
  for (const [text, expected] of cases) {
    throws(() => parseIssueUrl(text), (error) => {
      ok(error instanceof Failure);
      equal(error.kind, "usage");
      ok(error.message.endsWith(expected), error.message);
      ok(error.hints.length === 1 && error.message.length < 400);
      return true;
    });
  }
  throws(() => parseIssueUrl("https://user:hunter22@github.com/a/b/issues/1"), (error) => {
    ok(error instanceof Failure && !Deno.inspect(error).includes("hunter22"));
    return true;
  });
});

Deno.test("an address that was read is read again as the same, and leads nowhere else", () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."ab/#:.@1?%\\ -_") }), (tail) => {
    try {
      const address = parseIssueUrl(`https://github.com/${tail}`);
      deepEqual(parseIssueUrl(address.url), address);
      equal(new URL(address.url).pathname, `/${address.slug}/issues/${address.number}`);
    } catch (error) {
      ok(error instanceof Failure, Deno.inspect(error));
    }
  }));
});
