/** The files that `gocore manager` leaves, record by record. */
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { listing } from "../support/gocore.ts";
import { builder, ISSUE, ManagedIssue, TRIAGERS } from "../support/managed_issue.ts";

const SCRIPT = "import pkg\npkg.mean([])\n";
const MINIMAL = "import pkg\npkg.mean([])";
const WORKERS = { w1: builder(SCRIPT), w2: builder("import pkg\npkg.mean([1])\n"), ...TRIAGERS };

const SIGNATURE = {
  runtime: "python",
  kind: "exception",
  type: "ZeroDivisionError",
  template: "division by zero",
  frame: { file: "pkg/core.py", function: "mean" },
  exitCode: 1,
  signal: null,
};
const SIGNATURE_TEXT = "ZeroDivisionError: division by zero in pkg/core.py (mean)";
const MATCH = {
  outcome: "match",
  reason: "It failed as expected with ZeroDivisionError in pkg/core.py (mean)",
  duration_ms: 0,
};
const REASON = `It failed in the same way in all of 5 runs: ${SIGNATURE_TEXT}`;
const CANDIDATE = {
  candidate_id: "repro",
  worker_id: "w1",
  script: SCRIPT,
  setup_commands: [],
  oracle_command: "python {repro_file}",
  claimed_failure_signature: "ZeroDivisionError: division by zero",
  file_extension: "py",
};

Deno.test("a run leaves the artifacts of the seed with their fields, ours behind them, and no other file", async () => {
  await using issue = await ManagedIssue.create();
  const { root } = issue.box;
  const commit = await issue.git("rev-parse", "HEAD");
  const [heading, ...body] = ISSUE.split("\n");
  const file = await issue.box.file(
    "issue.json",
    JSON.stringify({ title: heading!.slice(2), body: body.join("\n").trim(), labels: ["bug"], number: 12 }),
  );
  const end = await (await issue.start(WORKERS, [
    ...["--issue-file", file, "--run-id", "r1", "--rounds", "1", "--no-semantic-cut", "--no-bisect"],
  ])).end;
  equal(end.code, 0, end.stdout + end.stderr);

  /** What differs from one machine or run to the next has a word in its place. */
  const read = async (path: string) => {
    const text = (await issue.read(path)).replaceAll(root, "ROOT").replaceAll(commit, "COMMIT");
    return JSON.parse(text, (key, value) => key === "duration_ms" ? 0 : value);
  };
  const validation = {
    total_runs: 5,
    matches: 5,
    matched_signature: SIGNATURE_TEXT,
    passed: true,
    verdict: "reproduced",
    reason: REASON,
    interval: [0.5655175313406071, 1],
    commit: "COMMIT",
    signature: SIGNATURE,
    outcomes: [MATCH, MATCH, MATCH, MATCH, MATCH],
  };

  const { created_at, preflight, metrics, cost_usd, ...decision } = await read("decision.json");
  match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  deepEqual(preflight.map(({ name }: { name: string }) => name), ["git", "mini", "gateway", "tmux", "semantic cut"]);
  const tokens = (turns: number) => ({ input_tokens: 0, cached_input_tokens: 0, output_tokens: 0, turns });
  deepEqual(
    JSON.parse(
      JSON.stringify(metrics),
      (key, value) =>
        /_tokens$/.test(key) || /^[a-z]+$/.test(key) && typeof value === "number" && key !== "turns" ? 0 : value,
    ),
    {
      timing_sec: {
        ...{ preflight: 0, issue: 0, environment: 0, reproduce: 0, validate: 0, minimize: 0, triage: 0 },
        ...{ experiments: 0, report: 0, total: 0 },
      },
      tokens: {
        workers: tokens(6),
        manager: tokens(0),
        total: tokens(6),
        by_source: { w1: tokens(2), w2: tokens(2), w3: tokens(1), w4: tokens(1) },
      },
      model_routing: { worker_model: "openai/gpt-5", manager_model: null },
    },
  );
  equal(cost_usd > 0, true);
  deepEqual(decision, {
    status: "ok",
    selected_repro_candidate_id: "repro",
    rationale: `5 of 5 runs of "repro" failed as the issue says: ${SIGNATURE_TEXT}; 23 of its 24 characters are left`,
    top_hypotheses: ["mean divides by len(values), which is zero for an empty list", "the total begins at zero"],
    next_fix_targets: ["pkg/core.py:9", "pkg/core.py:6"],
    diagnostics: [],
    repro: {
      path: "repro/minimal_repro.py",
      oracle_command: "python {repro_file}",
      claimed_failure_signature: "ZeroDivisionError: division by zero",
      validation,
    },
    run_id: "r1",
    verdict: "reproduced",
    commit: "COMMIT",
    cost_source: "list",
    signature: SIGNATURE,
    candidates: [
      {
        candidate_id: "repro",
        worker_id: "w1",
        verdict: "reproduced",
        matches: 5,
        total_runs: 5,
        score: 0.9985,
        reason: REASON,
      },
      {
        candidate_id: "repro-w2",
        worker_id: "w2",
        verdict: "not_reproduced",
        matches: 0,
        total_runs: 9,
        score: 0.3985,
        reason: "It did not fail as expected in all of 9 runs: it ended well",
      },
    ],
    elsewhere: [],
    first_fixed: null,
    culprit: null,
    missing: [],
  });

  const { fingerprint, body: kept, code_blocks, expected_failure_signals, ...spec } = await read("issue.json");
  match(fingerprint, /^[0-9a-f]{16,64}$/);
  equal(kept, body.join("\n").trim());
  equal(code_blocks.length, 2);
  deepEqual(
    expected_failure_signals.map(({ expected: _, ...signal }: Record<string, unknown>) => signal),
    [{
      exception_type: "ZeroDivisionError",
      message_substring: "division by zero",
      exit_code: null,
      raw_pattern: null,
      strength: "traceback",
    }],
  );
  deepEqual(spec, {
    issue_url: null,
    repo_slug: null,
    issue_number: 12,
    title: "mean() of an empty list crashes",
    labels: ["bug"],
    constraints: [],
    target_paths: ["pkg/core.py"],
    status: "ok",
    needs_human_reason: null,
    missing: ["The version of the project in which it happens"],
    versions: [],
    refs: [],
    comments: [],
    updated_at: null,
    notes: [],
  });

  deepEqual(await read("repro/candidates/w1.json"), CANDIDATE);
  equal(await issue.read("repro/minimal_repro.py"), MINIMAL);
  deepEqual(await read("repro/selected_candidate.json"), {
    candidate_id: "repro",
    worker_id: "w1",
    score: 0.9985,
    minimal_by: "character",
    signature: SIGNATURE_TEXT,
    candidate: CANDIDATE,
    validation,
  });
  const { environment, gocore_version: _, ...proof } = await read("repro/proof.json");
  deepEqual(Object.keys(environment), ["platform", "tools", "packages", "sandbox", "network", "notes"]);
  deepEqual(proof, {
    run_id: "r1",
    commit: "COMMIT",
    script: "minimal_repro.py",
    script_sha256: createHash("sha256").update(MINIMAL).digest("hex"),
    setup_commands: [],
    oracle_command: "python {repro_file}",
    expected_signature: SIGNATURE,
    signature: SIGNATURE_TEXT,
    verdict: "reproduced",
    matches: 5,
    total_runs: 5,
    interval: validation.interval,
    outcomes: validation.outcomes,
  });

  const hypotheses = await read("triage/hypotheses.json");
  deepEqual(hypotheses.hypotheses[0], {
    hypothesis_id: "w3-h1",
    worker_id: "w3",
    mechanism: "mean divides by len(values), which is zero for an empty list",
    evidence: [{ file: "pkg/core.py", line: 9, snippet: "return total / len(values)" }],
    confidence: 0.9,
    disconfirming_checks: ["Look whether callers check for it"],
    score: 0.735,
    score_parts: { evidence: 0.13333, agreement: 0.25, replay: 0.06667, confidence: 0.135, experiments: 0.15 },
    rejected_evidence: [],
    experiments: [
      { check: "evidence", speaks: "for", detail: "1 of 1 pieces of evidence are there" },
      { check: "executed", speaks: "for", detail: "The failure is raised at pkg/core.py:9" },
    ],
  });
  deepEqual([Object.keys(hypotheses), hypotheses.top], [
    ["hypotheses", "top", "rejected", "culprit", "bisection"],
    ["w3-h1", "w4-h1"],
  ]);

  const { completed_at, ...done } = await read("run_done.json");
  match(completed_at, /Z$/);
  deepEqual(done, {
    run_id: "r1",
    status: "ok",
    decision_json: "ROOT/runs/r1/decision.json",
    final_md: "ROOT/runs/r1/final.md",
  });
  const left = (await listing(join(issue.runs, "r1"))).filter((path) => !/^(?:agents|telemetry)\/./.test(path));
  deepEqual(left, [
    ...[".gitignore", "agents/", "answers/"],
    ...["w1", "w2", "w3", "w4"].map((worker) => `answers/${worker}.txt`),
    ...["control/", "decision.json", "events.jsonl", "final.md", "issue.json", "options.json", "prompts/"],
    ...["repro-w1.txt", "repro-w2.txt", "triage-w3.txt", "triage-w4.txt"].map((name) => `prompts/${name}`),
    ...["repro/", "repro/README.md", "repro/candidates/", "repro/candidates/w1.json", "repro/candidates/w2.json"],
    ...["repro/environments/", "repro/environments/w1.json", "repro/environments/w2.json"],
    ...["repro/minimal_repro.py", "repro/minimize.jsonl", "repro/minimized.json", "repro/observed.json"],
    ...["repro/proof.json", "repro/selected_candidate.json", "repro/verify.sh", "run_done.json"],
    ...["scripts/", "scripts/repro-w1.sh", "scripts/repro-w2.sh", "scripts/triage-w3.sh", "scripts/triage-w4.sh"],
    ...["sessions.json", "telemetry/", "triage/", "triage/answers.json", "triage/hypotheses.json"],
    ...["triage/w3.json", "triage/w4.json"],
  ]);
});
