/** Versions and commits that an issue names. */
import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { refCandidates, versionsIn } from "../../src/manager/issue_versions.ts";

const plain = (text: string, project: string | null = "mylib") =>
  versionsIn(text.split("\n"), project).map(({ name, version }) => `${name} ${version}`);

Deno.test("versions are found as people and programs write them", () => {
  const cases: [string, string[]][] = [
    ["I use numpy 1.26.4 and Python 3.12.", ["NumPy 1.26.4", "Python 3.12"]],
    ["node v22.1.0, go version go1.22.1 linux/amd64", ["Node 22.1.0", "Go 1.22.1"]],
    ["pip freeze: requests==2.31.0 mylib==1.0rc1", ["requests 2.31.0", "mylib 1.0rc1"]],
    ["npm i left-pad@1.3.0", ["left-pad 1.3.0"]],
    ["Since mylib 2.0.1-beta.2 it fails", ["mylib 2.0.1-beta.2"]],
    ["- OS: Ubuntu 22.04\n- Python version: 3.11.4\n- Version: 5.0", [
      "Ubuntu 22.04",
      "OS Ubuntu 22.04",
      "Python 3.11.4",
      "mylib 5.0",
    ]],
    ["**OS**: macOS\n| Node.js | v20 |\n**Package version:** `1.2`", ["OS macOS", "Node 20", "mylib 1.2"]],
    ["### Python and MyLib Versions:\n\n2.4.0\n3.12.1 (main, Dec 8 2023) [GCC 13.2.0]\n### Other\n5.5", [
      "mylib 2.4.0",
      "Python 3.12.1",
      "GCC 13.2.0",
    ]],
    ["Python 3.12.4.final\npython : 3.11.9.final.0\nDjango==4.2.0.final.0\n**Python**: `3.10.1.final.0`", [
      "Python 3.12.4",
      "Python 3.11.9",
      "Django 4.2.0",
      "Python 3.10.1",
    ]],
    ["Python 3.12.4 (main, Jun  6 2024, 18:26:44)\nPython 3.13.0rc1\nPython: 3.14.0.candidate.2\npython3 3.9.2+", [
      "Python 3.12.4",
      "Python 3.13.0rc1",
      "Python 3.14.0rc2",
      "Python 3.9.2",
    ]],
    ["Node v20.11.1 and go1.22.3, then go1.23rc2; not /usr/local/go1.20/bin, mango1.5", [
      "Node 20.11.1",
      "Go 1.22.3",
      "Go 1.23rc2",
    ]],
    ["A gem: mylib 3.0.0.beta.2", ["mylib 3.0.0.beta.2"]],
    ["See section 3.2, step 4, and 10 files; Python is nice. Version", []],
    ["A matrix of 3.5 GB at 12:30:05 on 2024-01-02, mail@1.com", []],
  ];
  deepEqual(cases.map(([text]) => [text, plain(text)]), cases);
  deepEqual(plain("Version: 5.0", null), ["version 5.0"]);
});

Deno.test("commits and tags are told from other words and numbers", () => {
  const text = `Broken since 1a2b3c4d (see https://github.com/o/r/commit/89ab12cdef0123456789ab12cdef0123456789ab),
not in v1.2.3 or v2.0rc1. node v22.1.0, mylib 1.4, defaced, 20240102, 1234567, docker sha256:${"a1".repeat(32)}`;
  const versions = versionsIn(text.split("\n"), "mylib");
  deepEqual(refCandidates(text, versions, "mylib"), [
    "1a2b3c4d",
    "89ab12cdef0123456789ab12cdef0123456789ab",
    "v1.2.3",
    "v2.0rc1",
    "v1.4",
    "1.4",
    "mylib-1.4",
  ]);
});

Deno.test("endless text takes no endless time", () => {
  for (
    const piece of [
      "a",
      "a.",
      "1.",
      "v1.",
      "Python ",
      "a==",
      "go1.",
      "1.final.",
      "Python 3.0.candidate.",
      "deadbee1",
      "- a: ",
      "1a2b3c4 ",
    ]
  ) {
    const text = piece.repeat(100_000);
    const versions = versionsIn([text], "mylib");
    ok(versions.length <= 40 && refCandidates(text, versions, "mylib").length <= 20);
  }
});
