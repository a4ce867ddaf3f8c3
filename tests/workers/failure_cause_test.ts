import { strictEqual as equal } from "node:assert/strict";
import { causeOf, causeOfSilence, refusalIn } from "../../src/workers/failure_cause.ts";
import { clip, clipStart, complaintIn } from "../../src/workers/stream_text.ts";

Deno.test("causeOf() knows the words of the agents, of today and of the seed", () => {
  const cases: [string, ReturnType<typeof causeOf>][] = [
    ["Path must be within one of the workspace directories: /a", "include_directories"],
    ["patch rejected: writing outside of the project; rejected by user approval settings", "include_directories"],
    ["Not inside a trusted directory", "trusted_directory"],
    ["We recommend running codex inside a git repository", "trusted_directory"],
    ["/bin/bash: line 1: x: Permission denied", "permission"],
    ["--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons", "root"],
    ["bwrap: Creating new namespace failed", "sandbox"],
    ["unexpected status 402 Payment Required: a cap is reached", "budget"],
    ["API Error: 429 insufficient_quota", "budget"],
    [
      '[API Error: {"error":{"code":429,"message":"You exceeded your current quota, please check your plan"}}]',
      "rate_limit",
    ],
    ["Codex ran out of room in the model's context window. Start a new thread", "context"],
    ["API Error: 400 prompt is too long: 210000 tokens > 200000 maximum", "context"],
    ['[API Error: {"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}]', "auth"],
    ["API Error: 500 Internal server error. This is a server-side issue", "overloaded"],
    ["API Error: Repeated 529 Overloaded errors", "overloaded"],
    ["API Error: Request rejected (429) · This request would exceed your rate limit.", "rate_limit"],
    ["API Error: Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)", "network"],
    ["stream closed before response.completed", "network"],
    ["Incomplete JSON segment at the end", "model"],
    ["error: unknown option '--nonexistent-flag'", "arguments"],
    ["Error: No such file or directory (os error 2)", "arguments"],
    ["It works", null],
  ];
  for (const [message, cause] of cases) equal(causeOf({ status: null, message }), cause, message);
});

Deno.test("causeOf() knows each status of the gateway", () => {
  const causes = { 400: "model", 401: "auth", 402: "budget", 404: "model", 413: "context", 429: "rate_limit" };
  for (const [status, cause] of Object.entries({ ...causes, 500: "overloaded", 502: "network", 503: "overloaded" })) {
    equal(causeOf({ status: Number(status), message: "no" }), cause);
  }
  equal(causeOf({ status: 200, message: "no" }), null);
});

Deno.test("causeOfSilence() believes what was said before it believes the exit", () => {
  const exit = { exitCode: null, signal: "SIGKILL" };
  equal(causeOfSilence(exit, "Connection refused").cause, "network");
  equal(causeOfSilence(exit, "").cause, "crashed");
  equal(causeOfSilence({ exitCode: 137, signal: null }, "").text, "It broke off without an answer (ended by SIGKILL)");
  equal(causeOfSilence({ exitCode: 0, signal: null }, "").cause, "no_answer");
});

Deno.test("refusalIn() finds what the system refused, and no text about it", () => {
  const refused = [
    "/bin/bash: line 1: made.txt: Read-only file system",
    "fatal: Unable to create '/w/.git/index.lock': Read-only file system",
    "PermissionError: [Errno 13] Permission denied: 'x'",
    "Error: EACCES: permission denied, open '/x'",
    "rm: cannot remove 'x': Operation not permitted",
    "bwrap: Creating new namespace failed: nesting depth",
  ];
  for (const line of refused) equal(refusalIn(`before\n${line}\nafter`), line);
  for (const text of ["Permission denied", "Handle a: permission denied error", "", "curl: (7) Failed to connect"]) {
    equal(refusalIn(text), null);
  }
});

Deno.test("clipped texts have no halves of characters", () => {
  equal(clip("ab😀cd", 4), "ab�…");
  equal(clipStart("ab😀cd", 4), "…�cd");
  equal(clip("\ufeffabc", 3), "\ufeffa…");
});

Deno.test("complaintIn() leaves out noise, colours and stacks", () => {
  const stderr =
    "noise 1\n\x1b[31mError: no\x1b[0m\n    at f (file:///a.js:1:2)\n    at g (file:///a.js:1:2) {\n\nHint\n";
  equal(complaintIn(stderr, /^noise/), "Error: no Hint");
});
