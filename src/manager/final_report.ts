/** `final.md`: what a run has found, ready to be put under the issue. */
import { fixTargets } from "./fix_targets.ts";
import { codeBlock, codeSpan, plainLine } from "./plain_markdown.ts";
import type { IssueSpec, RankedHypothesis } from "./ports.ts";
import { signalText } from "./prompts.ts";
import { showsWrongResult } from "./stated_values.ts";
import type { ChosenCandidate, CommitInfo, ElsewhereTrial, RunResult, TriedCandidate } from "./run_result.ts";

export interface ReportParts {
  readonly runId: string;
  readonly version: string;
  /** As `describeSignature` has it; null: none. */
  readonly signature: string | null;
  readonly diagnostics: readonly string[];
}

const MAX_HYPOTHESES = 3;
const MAX_LISTED = 10;
/** GitHub takes 65 536 characters for a comment. */
const MAX_SCRIPT = 20_000;
const MAX_STDERR = 4_000;

const VERDICTS = {
  reproduced: "Reproduced",
  flaky: "Flaky",
  not_reproduced: "Not reproduced",
  already_fixed: "Already fixed",
  environment_error: "Could not be tried",
  unusable: "Not reproduced",
} as const;

export function finalReport(result: RunResult, parts: ReportParts): string {
  const { chosen, spec } = result;
  const sections = [
    `**${headline(result)}**${spec === null ? "" : ` · ${plainLine(spec.title, 200)}`}`,
    plainLine(result.rationale, 1000),
    ...missingSection(result),
    ...(chosen === null ? [] : reproSection(chosen, result, parts)),
    ...elsewhereSection(result),
    ...hypothesesSection(result),
    ...(chosen === null ? triedSection(result.tried) : []),
    ...(parts.diagnostics.length === 0 || result.status === "ok" ? [] : [
      listSection("What went wrong on the way", parts.diagnostics.slice(-MAX_LISTED).map((text) => plainLine(text))),
    ]),
    `---\n\ngocore ${plainLine(parts.version)}, run ${codeSpan(parts.runId)}, commit ${
      commitLink(result.commit, result)
    }. Nothing here is believed without a run: a reproducer counts when it failed in the same way every time in a ` +
    `clean copy of that commit.`,
  ];
  return sections.join("\n\n") + "\n";
}

function headline({ status, verdict, chosen }: RunResult): string {
  if (status === "already-fixed") return VERDICTS.already_fixed;
  if (status === "stopped") return "Stopped";
  if (verdict === "reproduced" && status === "ok") {
    return `${VERDICTS.reproduced}: ${chosen!.proof.matches} of ${chosen!.proof.total_runs} runs`;
  }
  if (verdict !== null && status !== "ok") return VERDICTS[verdict];
  return status === "needs-human" ? "Needs somebody" : "Failed";
}

function missingSection({ missing }: RunResult): string[] {
  if (missing.length === 0) return [];
  return [listSection("What is missing", missing.slice(0, MAX_LISTED).map((text) => plainLine(text)))];
}

function reproSection(chosen: ChosenCandidate, { spec }: RunResult, { signature }: ReportParts): string[] {
  const { candidate, script, proof, environment, minimalBy, startCharacters, observed } = chosen;
  const file = `repro_candidate.${candidate.file_extension}`;
  const setup = candidate.setup_commands;
  const size = minimalBy === null
    ? ""
    : ` (${script.length} of ${startCharacters} characters are left; no single ${minimalBy} can be left out)`;
  const isCut = script.length > MAX_SCRIPT;
  const [lower, upper] = proof.interval;
  const share = proof.verdict === "flaky"
    ? `: ${percent(proof.matches / Math.max(proof.total_runs, 1))}, with 95 % certainty between ${percent(lower)} and ${
      percent(upper)
    }`
    : "";
  const expected = (spec?.expected_failure_signals ?? []).slice(0, MAX_LISTED).map(signalText);
  return [
    "### How to reproduce it",
    [
      `Save this as ${codeSpan(file)} at the top of a checkout of ${codeSpan(proof.commit)}${size}:`,
      codeBlock(isCut ? script.slice(0, MAX_SCRIPT) : script, candidate.file_extension),
      ...(isCut ? ["It is cut off here; the run's folder has all of it."] : []),
      `Then run${setup.length === 0 ? "" : ", after the setup"}:`,
      codeBlock([...setup, candidate.oracle_command.replaceAll("{repro_file}", file)].join("\n"), "sh"),
      "Or let `sh repro/verify.sh CHECKOUT`, in the run's folder, do all of that as often as here, and compare.",
    ].join("\n\n"),
    [
      "| | |",
      "|---|---|",
      ...expected.map((text) => row("Expected", text)),
      ...(signature === null ? [] : [row("Observed", signature)]),
      `| Runs | ${proof.matches} of ${proof.total_runs} failed like this${share} |`,
      ...(environment === null ? [] : [
        row("Environment", [environment.platform, ...environment.tools].join(", ")),
        ...(environment.packages.length === 0 ? [] : [row("Packages", environment.packages.join(" "))]),
        row("Sandbox", `${environment.sandbox}, ${environment.network ? "with" : "without"} a network`),
        ...environment.notes.map((note) => row("Note", note)),
      ]),
    ].join("\n"),
    ...(spec !== null && showsWrongResult(spec)
      ? [
        "The failure is an assertion of the reproducer. That it fails was proved; that what it asks for is right is what " +
        "the issue says: compare the two.",
      ]
      : []),
    ...(spec !== null && namesTypesOnly(spec)
      ? [
        "The issue names no more than the type of the failure: whether it is this one, the message and the place have to tell.",
      ]
      : []),
    ...(proof.verdict === "reproduced" ? [] : [listSection(
      "Runs",
      proof.outcomes.slice(0, 20).map(({ outcome, reason }) =>
        `${outcome.replaceAll("_", " ")}: ${plainLine(reason, 200)}`
      ),
    )]),
    ...(observed === null || observed.stderr.trim() === ""
      ? []
      : [`What it writes:\n\n${codeBlock(observed.stderr.slice(-MAX_STDERR))}`]),
  ];
}

function elsewhereSection({ elsewhere, firstFixed }: RunResult): string[] {
  const lines = [
    ...elsewhere.map((trial) => elsewhereLine(trial)),
    ...(firstFixed === null ? [] : [`First commit without it: ${commitLine(firstFixed)}`]),
  ];
  return lines.length === 0 ? [] : [listSection("On other commits", lines)];
}

function elsewhereLine({ name, commit, shows, reason, candidate }: ElsewhereTrial): string {
  const what = shows === "bug" ? "has it" : shows === "no_bug" ? "does not have it" : "could not be tried";
  return `${codeSpan(name)} (${codeSpan(commit.slice(0, 12))}) ${what}, by ${codeSpan(candidate)}: ${
    plainLine(reason, 300)
  }`;
}

function hypothesesSection(result: RunResult): string[] {
  const { hypotheses, culprit, status } = result;
  if (hypotheses.length === 0) {
    if (status !== "ok") return [];
    return [
      "### What causes it",
      culprit === null
        ? "Nobody knows yet: no hypothesis has evidence that is there."
        : `It came with ${commitLine(culprit)}`,
    ];
  }
  const targets = fixTargets(hypotheses).map(({ file, line }) => placeLink(file, line, result));
  return [
    "### What causes it",
    ...hypotheses.slice(0, MAX_HYPOTHESES).map((hypothesis, index) => hypothesisText(hypothesis, index, result)),
    ...(culprit === null ? [] : [`It came with ${commitLine(culprit)}`]),
    ...(targets.length === 0 ? [] : [listSection("Where to begin", targets)]),
  ];
}

function hypothesisText(hypothesis: RankedHypothesis, index: number, result: RunResult): string {
  const { mechanism, score, confidence, evidence, experiments, disconfirming_checks } = hypothesis;
  const speaking = (side: "for" | "against") =>
    experiments.filter(({ speaks }) => speaks === side).map(({ detail }) => plainLine(detail, 300));
  const lines = [
    ...evidence.slice(0, MAX_LISTED).map(({ file, line, snippet }) =>
      `${placeLink(file, line, result)} ${codeSpan(snippet, 160)}`
    ),
    ...speaking("for").map((detail) => `For it: ${detail}`),
    ...speaking("against").map((detail) => `Against it: ${detail}`),
    ...disconfirming_checks.slice(0, MAX_LISTED).map((check) => `Would speak against it: ${plainLine(check, 300)}`),
  ];
  return `${index + 1}. ${plainLine(mechanism)} (score ${score}, its author's confidence ${confidence})\n${
    lines.map((line) => `   - ${line}`).join("\n")
  }`;
}

function triedSection(tried: readonly TriedCandidate[]): string[] {
  if (tried.length === 0) return [];
  return [
    listSection(
      "What was tried",
      tried.map(({ id, problem, validation }) =>
        validation === null
          ? `${codeSpan(id)}: ${plainLine(problem ?? "it was not tried", 300)}`
          : `${codeSpan(id)}: ${VERDICTS[validation.verdict].toLowerCase()}, ${plainLine(validation.reason, 300)}`
      ),
    ),
  ];
}

function listSection(title: string, lines: readonly string[]): string {
  return `### ${title}\n\n${lines.map((line) => `- ${line}`).join("\n")}`;
}

function row(name: string, text: string): string {
  // A bar ends a cell in code, too.
  return `| ${name} | ${codeSpan(text.replaceAll("|", "¦"), 1000)} |`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function commitLine({ commit, subject, author, date }: CommitInfo): string {
  return `${codeSpan(commit.slice(0, 12))} ${plainLine(subject, 200)} (${plainLine(author, 80)}, ${
    plainLine(date, 40)
  })`;
}

const SLUG = /^[\w.-]{1,100}\/[\w.-]{1,100}$/;

/** Where the repository is on the web; undefined: nobody knows. */
function webAddress({ spec }: RunResult): string | undefined {
  if (spec === null || spec.repo_slug === null || !SLUG.test(spec.repo_slug)) return undefined;
  let host = "https://github.com";
  try {
    if (spec.issue_url !== null) host = new URL(spec.issue_url).origin;
  } catch {
    // An address of some other kind.
  }
  return /^https:\/\/[\w.:-]+$/.test(host) ? `${host}/${spec.repo_slug}` : undefined;
}

function placeLink(file: string, line: number, result: RunResult): string {
  const address = webAddress(result);
  const text = codeSpan(`${file}:${line}`);
  if (address === undefined) return text;
  const path = file.split("/").map(encodeURIComponent).join("/").replaceAll(/[()]/g, (c) => c === "(" ? "%28" : "%29");
  return `[${text}](${address}/blob/${result.commit}/${path}#L${line})`;
}

function commitLink(commit: string, result: RunResult): string {
  const address = webAddress(result);
  const text = codeSpan(commit.slice(0, 12));
  return address === undefined ? text : `[${text}](${address}/commit/${commit})`;
}

/** Whether any failure of that type would be taken for the issue's. */
function namesTypesOnly({ expected_failure_signals }: IssueSpec): boolean {
  return expected_failure_signals.length > 0 && expected_failure_signals.every(({ expected }) => {
    const { message, pattern, frames, exitCode, signal, shows } = expected;
    return shows === "failure" && message === null && pattern === null && frames.length === 0 && exitCode === null &&
      signal === null;
  });
}
