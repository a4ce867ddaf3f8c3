/** `gocore manager` on bugs of Python, Node, Go and C, each as its own runtime tells them. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { findProgram } from "../../src/process/find_program.ts";
import { listing, type Reply } from "../support/gocore.ts";
import { builder, ManagedIssue, type Project, triager } from "../support/managed_issue.ts";

interface Language extends Project {
  readonly name: string;
  /** Without it the test is left out. */
  readonly program: string;
  readonly extension: string;
  readonly oracle: string;
  readonly script: string;
  readonly place: { readonly file: string; readonly line: number; readonly snippet: string };
  /** Says whether a script shows the bug, by other means than the oracle's. */
  readonly shows: (end: ProgramEnd) => boolean;
  readonly signature: string;
}

interface ProgramEnd {
  readonly code: number;
  readonly text: string;
}

const fenced = (text: string) => `\`\`\`\n${text}\`\`\`\n`;

const NODE: Language = {
  name: "Node",
  program: "node",
  extension: "js",
  oracle: "node {repro_file}",
  files: {
    "package.json": `{ "name": "tally", "version": "1.0.0", "main": "lib/index.js" }\n`,
    "lib/index.js": `exports.median = require("./stats/order/median.js").median;\n`,
    "lib/stats/order/median.js": `"use strict";

/** The middle one. */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted[middle].toFixed(2);
}

module.exports = { median };
`,
  },
  issue: `# median of nothing throws\n\n${
    fenced(`TypeError: Cannot read properties of undefined (reading 'toFixed')
    at median (/home/ann/tally/lib/stats/order/median.js:7:25)
    at Object.<anonymous> (/home/ann/t.js:3:13)
`)
  }`,
  script: `const { median } = require("./lib/index.js");
const numbers = [3, 1, 2];
console.log(median(numbers));
console.log(median([]));
`,
  place: { file: "lib/stats/order/median.js", line: 7, snippet: "return sorted[middle].toFixed(2);" },
  shows: ({ code, text }) => code === 1 && /TypeError: [^\n]*'toFixed'\)\n\s+at (?:[\w.]+\.)?median /.test(text),
  signature: "TypeError: Cannot read properties of undefined (reading 'toFixed')",
};

const GO: Language = {
  name: "Go",
  program: "go",
  extension: "go",
  oracle: "go run {repro_file}",
  files: {
    "go.mod": "module tally\n\ngo 1.18\n",
    "stats/order/middle.go": `// Package order has what follows from an order.
package order

// Middle is the one in the middle.
func Middle(values ...int) int {
	at := len(values) / 2
	return values[at]
}
`,
  },
  issue: `# Middle of nothing panics\n\n${
    fenced(`panic: runtime error: index out of range [0] with length 0

goroutine 1 [running]:
tally/stats/order.Middle(...)
	/home/ann/tally/stats/order/middle.go:7
main.main()
	/home/ann/t.go:6 +0x1d
exit status 2
`)
  }`,
  script: `package main

import "tally/stats/order"

func main() {
	order.Middle(1)
	order.Middle()
}
`,
  place: { file: "stats/order/middle.go", line: 7, snippet: "return values[at]" },
  shows: ({ code, text }) => code === 1 && /panic: runtime error: index out of range[^]*\border\.Middle\(/.test(text),
  signature: "panic: runtime error: index out of range [0] with length 0",
};

const C: Language = {
  name: "C",
  program: "gcc",
  extension: "c",
  oracle: "gcc -g -fsanitize=address -Isrc -o {repro_file}.out {repro_file} src/text/buffer.c && {repro_file}.out",
  files: {
    "src/text/buffer.h": "char *copy(const char *text);\n",
    "src/text/buffer.c": `#include "buffer.h"
#include <stdlib.h>
#include <string.h>

char *copy(const char *text) {
  size_t size = strlen(text);
  char *room = malloc(size);
  for (size_t at = 0; at <= size; at++)
    room[at] = text[at];
  return room;
}
`,
  },
  issue: `# copy() writes behind its buffer\n\n${
    fenced(
      `==4242==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000013 at pc 0x55d0 bp 0x7ffe sp 0x7ffd
WRITE of size 1 at 0x602000000013 thread T0
    #0 0x55d0 in copy /home/ann/tally/src/text/buffer.c:9
    #1 0x55d1 in main /home/ann/t.c:4
SUMMARY: AddressSanitizer: heap-buffer-overflow /home/ann/tally/src/text/buffer.c:9 in copy
`,
    )
  }`,
  script: `#include "text/buffer.h"

int main(void) {
  char *room = copy("abc");
  return room[0] == 'b';
}
`,
  place: { file: "src/text/buffer.c", line: 9, snippet: "room[at] = text[at];" },
  shows: ({ text }) => /ERROR: AddressSanitizer: heap-buffer-overflow[^]*\n\s+#0 \S+ in copy /.test(text),
  signature: "AddressSanitizer: heap-buffer-overflow",
};

const LANGUAGES = [NODE, GO, C];

/** The candidate and the cause, of two workers each; the others are wrong. */
function workersFor({ script, extension, oracle, place, signature }: Language): Record<string, Reply[]> {
  const more = { file_extension: extension, oracle_command: oracle, claimed_failure_signature: signature };
  return {
    w1: builder(script, more),
    w2: triager(place.line, place.snippet, "there is nothing in the middle", place.file),
  };
}

for (const language of LANGUAGES) {
  const { name, program, extension, place } = language;
  Deno.test({
    name: `a planted bug of ${name} ends ok: 5 of 5, minimal, the failing line on top`,
    // The gate's machine has it.
    ignore: findProgram(program, Deno.env.get("PATH")!, "/") === undefined,
    fn: async () => {
      await using issue = await ManagedIssue.create(language);
      const end = await issue.run(workersFor(language), [
        ...["--workers", "1", "--rounds", "1", "--no-semantic-cut", "--no-bisect"],
      ]);
      equal(end.code, 0, end.stdout + end.stderr + await issue.read("final.md"));
      const { status, verdict, repro, next_fix_targets } = await issue.decision();
      deepEqual([status, verdict, repro?.validation.matches, repro?.validation.total_runs], [
        ...["ok", "reproduced", 5, 5],
      ]);
      equal(next_fix_targets[0], `${place.file}:${place.line}`);
      const minimal = await issue.read(`repro/minimal_repro.${extension}`);
      await checkMinimal(issue, minimal, language);
      await checkProof(issue);
      deepEqual(await listing(issue.box.tmp), []);
      await issue.box.noProcessLeft();
    },
  });
}

/** No piece can go without the bug going, too: tried one by one, in a copy, by the runtime itself. */
async function checkMinimal(issue: ManagedIssue, minimal: string, { shows, oracle, extension }: Language) {
  const folder = join(issue.box.root, "copy");
  await issue.git("clone", "--quiet", issue.repo, folder);
  const showsIn = async (script: string, name: string) => {
    const file = join(folder, `${name}.${extension}`);
    await Deno.writeTextFile(file, script);
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", oracle.replaceAll("{repro_file}", file)],
      cwd: folder,
    }).output();
    const decoder = new TextDecoder();
    return shows({ code, text: decoder.decode(stderr) + decoder.decode(stdout) });
  };
  ok(await showsIn(minimal, "whole"), minimal);
  const { minimalBy } = JSON.parse(await issue.read("repro/minimized.json"));
  equal(minimalBy, "character");
  const characters = [...minimal];
  const places = [...characters.keys()];
  await Promise.all(Array.from({ length: 4 }, async (_, lane) => {
    for (let at = places.shift(); at !== undefined; at = places.shift()) {
      const smaller = characters.toSpliced(at, 1).join("");
      ok(!await showsIn(smaller, `check${lane}`), `${JSON.stringify(minimal)} has ${characters[at]} at ${at} in vain`);
    }
  }));
}

async function checkProof(issue: ManagedIssue): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [join(issue.runs, "r1/repro/verify.sh"), issue.repo],
  }).output();
  const said = new TextDecoder().decode(stdout);
  equal(code, 0, said + new TextDecoder().decode(stderr));
  match(said, /REPRODUCED 5 of 5: /);
}
