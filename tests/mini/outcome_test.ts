import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { Failure, Interrupt } from "../../src/failure.ts";
import { errorData, outcomeOfError, WallTimeExceeded, wordsOf } from "../../src/mini/outcome.ts";

Deno.test("wordsOf() names every end with its status, mini-swe-agent's word and its exit code", () => {
  const rows = ([
    { kind: "submitted", submission: "done" },
    { kind: "limit", which: "cost", limit: 2 },
    { kind: "limit", which: "steps", limit: 7 },
    { kind: "limit", which: "time", limit: 60 },
    { kind: "format_errors", count: 3 },
    outcomeOfError(new Interrupt("SIGINT")),
    outcomeOfError(new Interrupt("SIGTERM")),
    outcomeOfError(new WallTimeExceeded(9)),
    outcomeOfError(new Failure("usage", "bad")),
    outcomeOfError(new Failure("model", "no", { type: "RateLimitError" })),
    outcomeOfError(new TypeError("a bug")),
  ] as const).map(wordsOf).map(({ status, exitStatus, exitCode }) => [status, exitStatus, exitCode]);
  deepEqual(rows, [
    ["success", "Submitted", 0],
    ["cost_limit", "LimitsExceeded", 1],
    ["step_limit", "LimitsExceeded", 1],
    ["time_limit", "TimeExceeded", 1],
    ["format_error", "RepeatedFormatError", 1],
    ["interrupted", "Interrupted", 130],
    ["interrupted", "Interrupted", 143],
    ["time_limit", "TimeExceeded", 1],
    ["error", "UsageError", 2],
    ["error", "RateLimitError", 1],
    ["error", "TypeError", 1],
  ]);
});

Deno.test("errorData() carries hints and the stacks of all causes", () => {
  const error = new Failure("model", "outer", { hints: ["do this"], cause: new RangeError("inner") });
  const data = errorData({ kind: "failed", error });
  ok(data !== undefined);
  equal(data.error, "outer");
  equal(data.type, "ModelError");
  deepEqual(data.hints, ["do this"]);
  match(data.traceback, /outer[\s\S]*Caused by: RangeError: inner/);
  equal(errorData({ kind: "submitted", submission: "" }), undefined);
});

Deno.test("errorData() ends for an error that is its own cause, and for what is no error", () => {
  const loop = new Error("loop");
  loop.cause = loop;
  ok(errorData({ kind: "failed", error: loop }) !== undefined);
  equal(errorData({ kind: "failed", error: "just text" })?.error, "just text");
});
