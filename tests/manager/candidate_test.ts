import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import * as fc from "fast-check";
import { readCandidate } from "../../src/manager/candidate.ts";

const answer = {
  candidate_id: "c1",
  script: "import pkg\npkg.boom()\n",
  setup_commands: ["pip install -e ."],
  oracle_command: "python {repro_file}",
  claimed_failure_signature: "ValueError: v cannot be empty",
  file_extension: "py",
};
const problemOf = (object: Record<string, unknown>) => {
  const read = readCandidate([object], "w1");
  return read.kind === "problem" ? read.problem : undefined;
};

Deno.test("an answer of the seed's schema is a candidate of its worker", () => {
  deepEqual(readCandidate([answer], "w1"), { kind: "candidate", candidate: { ...answer, worker_id: "w1" } });
});

Deno.test("what may be missing has a default", () => {
  const { candidate_id: _, setup_commands: __, file_extension: ___, ...rest } = answer;
  const expected = { ...answer, candidate_id: "w2", worker_id: "w2", setup_commands: [] };
  deepEqual(readCandidate([rest], "w2"), { kind: "candidate", candidate: expected });
  const nulls = { ...rest, candidate_id: null, setup_commands: null, file_extension: null };
  deepEqual(readCandidate([nulls], "w2"), { kind: "candidate", candidate: expected });
});

Deno.test("the last object that is one counts", () => {
  const read = readCandidate([{ ...answer, script: "first" }, answer, { note: "done" }], "w1");
  equal(read.kind === "candidate" && read.candidate.script, answer.script);
});

Deno.test("a problem names its field", () => {
  equal(problemOf({}), "`script` is missing; `oracle_command` is missing; `claimed_failure_signature` is missing");
  const { script: _, ...noScript } = answer;
  equal(problemOf(noScript), "`script` is missing");
  equal(problemOf({ ...answer, script: 5 }), "`script` must be a text");
  equal(problemOf({ ...answer, script: " \n" }), "`script` is empty");
  equal(problemOf({ ...answer, script: "a\0b" }), "`script` has a NUL character");
  equal(problemOf({ ...answer, script: "é".repeat(200_000) }), "`script` is larger than 256 KiB");
  equal(problemOf({ ...answer, setup_commands: "pip install x" }), "`setup_commands` must be a list of texts");
  equal(problemOf({ ...answer, setup_commands: [" "] }), "`setup_commands` is empty");
  equal(problemOf({ ...answer, setup_commands: Array(31).fill("true") }), "`setup_commands` has more than 30 commands");
  equal(problemOf({ ...answer, oracle_command: "" }), "`oracle_command` is empty");
  match(problemOf({ ...answer, oracle_command: "exit 1" })!, /needs `\{repro_file\}`/);
  equal(problemOf({ ...answer, oracle_command: "python -m repro_candidate" }), undefined);
  match(problemOf({ ...answer, file_extension: "../x" })!, /^`file_extension` must be/);
  equal(readCandidate([], "w1").kind, "problem");
});

Deno.test("names are fit for files and terminals", () => {
  const id = (candidate_id: unknown) => {
    const read = readCandidate([{ ...answer, candidate_id }], "w1");
    return read.kind === "candidate" ? read.candidate.candidate_id : read.problem;
  };
  deepEqual(["a b", "../../x", "\x1b[31mred", 7, "...", "x".repeat(99)].map(id), [
    "a-b",
    "x",
    "31mred",
    "7",
    "w1",
    "x".repeat(60),
  ]);
});

Deno.test("whatever an answer holds, it is read without an error", () => {
  fc.assert(fc.property(fc.array(fc.object()), (objects) => {
    readCandidate(objects as Record<string, unknown>[], "w1");
  }));
});
