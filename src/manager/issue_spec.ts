/** Makes of an issue what a run has to reproduce, or says what a person would have to add. */
import { createHash } from "node:crypto";
import type { IssueDocument } from "../github/issue_document.ts";
import { callsIn, isBareType } from "./issue_calls.ts";
import { constraintsIn, neutralText, type TextParts, textParts } from "./issue_text.ts";
import { fileFinder, type FindFile, pathsIn } from "./issue_paths.ts";
import type { FoundFailure } from "../oracle/find_failures.ts";
import { chooseSignals, type ChosenSignals, type Statement } from "./issue_signals.ts";
import { refCandidates, versionsIn } from "./issue_versions.ts";
import type { FailureSignal, IssueSpec } from "./ports.ts";

export interface IssueSpecOptions {
  /** Paths of the repository, relative to its top. */
  readonly files: readonly string[];
  /** Whether the repository has such a commit or tag; asked for a few. */
  hasRef(ref: string): Promise<boolean>;
  /** Of `oracle/`. */
  findFailures(text: string): readonly FoundFailure[];
}

const MAX_TITLE = 300;
/** Of characters. */
const MAX_BODY = 200_000;
const MAX_COMMENT = 50_000;
const MAX_COMMENTS = 200;
const MAX_LABELS = 50;
const MAX_REFS = 10;
const MAX_PATHS = 50;

/** Hostile text in, bounded and harmless text out; it never throws for what the issue says. */
export async function issueSpec(document: IssueDocument, options: IssueSpecOptions): Promise<IssueSpec> {
  const { files, hasRef, findFailures } = options;
  const notes = [...document.notes, ...(document.state === "closed" ? ["The issue is closed"] : [])];
  const shown = (text: string, length: number, name: string) => {
    const neutral = neutralText(text);
    if (neutral.length <= length) return neutral;
    notes.push(`Of ${name} only the first ${length} of ${neutral.length} characters were read`);
    return `${neutral.slice(0, length)}\n…`;
  };
  const title = shown(document.title, MAX_TITLE, "the title").replaceAll(/\s+/g, " ").trim();
  const body = shown(document.body, MAX_BODY, "the text").trim();
  if (document.comments.length > MAX_COMMENTS) notes.push(`Only the last ${MAX_COMMENTS} comments were read`);
  const comments = document.comments.slice(-MAX_COMMENTS).map(({ author, createdAt, body, isMaintainer = false }) => ({
    author: author === null ? null : neutralText(author),
    createdAt,
    isMaintainer,
    body: shown(body, MAX_COMMENT, "a comment").trim(),
  }));
  const labels = document.labels.slice(0, MAX_LABELS).map((label) => neutralText(label).slice(0, 100));
  const slug = document.slug === null ? null : neutralText(document.slug);
  const project = slug?.split("/").at(-1) ?? null;

  const statements: Statement[] = [
    { by: "reporter", text: body, failures: findFailures(body) },
    { by: "reporter", text: title, failures: findFailures(title) },
    ...comments.map(({ author, isMaintainer, body }): Statement => ({
      by: author !== null && author === document.author ? "reporter" : isMaintainer ? "maintainer" : "other",
      text: body,
      failures: findFailures(body),
    })),
  ];
  const chosen = chooseSignals(statements);
  const whole = textParts(body);
  const parts = [whole, ...comments.map(({ body }) => textParts(body))];
  const text = [title, body, ...comments.map(({ body }) => body)].join("\n");
  const versions = versionsIn([title, ...text.split("\n")], project);
  const find = fileFinder(files, project);
  const refs: string[] = [];
  for (const ref of refCandidates(text, versions, project)) {
    if (refs.length < MAX_REFS && await hasRef(ref)) refs.push(ref);
  }
  const kind = kindOf(title, labels);
  const reason = reasonFor({ kind, chosen, body, parts });
  return {
    issue_url: document.url,
    repo_slug: slug,
    issue_number: document.number,
    title,
    body,
    labels,
    expected_failure_signals: chosen.signals.map((signal) =>
      isBareType(signal.expected)
        ? { ...signal, expected: { ...signal.expected, calls: callsIn(text, files) } }
        : signal
    ),
    constraints: [...new Set(parts.flatMap(({ prose }) => constraintsIn(prose)))].slice(0, 30),
    target_paths: targetPaths(chosen.signals, text, find),
    status: reason === null ? "ok" : "needs-human",
    needs_human_reason: reason,
    missing: missingIn({
      chosen,
      parts,
      body,
      project,
      hasVersion: project === null ? versions.length > 0 : versions.some(({ name }) => name === project),
    }),
    code_blocks: parts.flatMap(({ codeBlocks }) => codeBlocks).slice(0, 60),
    versions,
    refs,
    comments: comments.map(({ author, createdAt, body }) => ({ author, created_at: createdAt, body })),
    updated_at: document.updatedAt,
    fingerprint: fingerprintOf(document),
    notes: [...new Set([...notes, ...chosen.notes])],
  };
}

/** Changes when title, body or comments do, and with nothing else. */
export function fingerprintOf({ title, body, comments }: IssueDocument): string {
  const text = JSON.stringify([title, body, comments.map(({ author, body }) => [author, body])]);
  return createHash("sha256").update(text).digest("hex");
}

/** First the frames of tracebacks, innermost first, then what the text names. */
function targetPaths(signals: readonly FailureSignal[], text: string, find: FindFile): string[] {
  const frames = signals.flatMap(({ expected }) => expected.frames).flatMap(({ file }) => file ?? []);
  const found = frames.flatMap((file) => find(file) ?? []);
  return [...new Set([...found, ...pathsIn(text, find)])].slice(0, MAX_PATHS);
}

type Kind = "bug" | "feature" | "question" | "other";

const FEATURE_LABEL =
  /^(?:(?:type|kind|t)[:/ -]*)?(?:enhancement|feature(?:[ -]request)?|proposal|rfc|documentation|docs)$/i;
const QUESTION_LABEL = /^(?:(?:type|kind|t)[:/ -]*)?(?:question|support|discussion|usage)$/i;
const BUG_LABEL = /\b(?:bug|regression|crash|defect|segfault|panic)\b/i;
const FEATURE_TITLE =
  /^\W*(?:enh\b|feat(?:ure)?\b|feature request|request:|proposal\b|rfc\b|rfe\b|docs?\b\W|documentation\b|add support\b|please add\b|allow\b|support for\b|it would be (?:nice|great)\b)/i;
const QUESTION_TITLE =
  /^\W*(?:question\b|q:|how (?:do|can|to|should|would)\b|is it possible\b|is there (?:a|any)\b|what is\b|can (?:i|we|you)\b|help\b)/i;

function kindOf(title: string, labels: readonly string[]): Kind {
  if (labels.some((label) => BUG_LABEL.test(label))) return "bug";
  if (labels.some((label) => FEATURE_LABEL.test(label.trim())) || FEATURE_TITLE.test(title)) return "feature";
  if (labels.some((label) => QUESTION_LABEL.test(label.trim())) || QUESTION_TITLE.test(title)) return "question";
  return "other";
}

interface Findings {
  readonly chosen: ChosenSignals;
  readonly body: string;
  readonly parts: readonly TextParts[];
}

/** Null: there is something to test. */
function reasonFor({ kind, chosen, body, parts }: Findings & { readonly kind: Kind }): string | null {
  const { signals, wanted } = chosen;
  const isExact = signals.some(({ strength }) => strength !== "prose");
  if (signals.length > 0 && (isExact || kind === "bug" || kind === "other")) return null;
  if (kind === "feature") return "The issue asks for something new and names no failure that a program could show";
  if (kind === "question") return "The issue asks a question and names no failure that a program could show";
  if (body === "") return "The issue has a title alone: nothing in it says how the failure shows";
  if (wanted.length > 0) return "The issue says what should happen, but not what happens instead";
  if (hasPicture(parts)) return "The failure stands in a picture, which cannot be compared with what a program prints";
  return "The issue names no failure that a program could show: no error, no exit code, no wrong result";
}

/** Specific to what is not there: a person is to add exactly that. */
function missingIn(
  { chosen, parts, body, project, hasVersion }: Findings & {
    readonly project: string | null;
    readonly hasVersion: boolean;
  },
): string[] {
  const missing: string[] = [];
  const { signals, wanted } = chosen;
  if (signals.length === 0) {
    missing.push(
      wanted.length > 0
        ? "What happens instead of what should: the value that comes back, or the error"
        : hasPicture(parts)
        ? "The error as text instead of a picture"
        : body.length > 0 && parts.some(({ codeBlocks }) => codeBlocks.length > 0)
        ? "What the code prints, the whole error text included, and what it should print"
        : "The whole error text or traceback; or the result that comes, and the one that should",
    );
  } else if (signals.every(({ strength, expected }) => strength === "prose" && expected.shows === "failure")) {
    missing.push("The whole error text, with the traceback");
  }
  if (!parts.some(({ codeBlocks }) => codeBlocks.some(({ text }) => isProgram(text)))) {
    missing.push("A short program or command that shows it");
  }
  if (!hasVersion) missing.push(`The version of ${project ?? "the project"} in which it happens`);
  return missing;
}

function hasPicture(parts: readonly TextParts[]): boolean {
  return parts.some(({ prose }) => prose.some((line) => /!\[[^\]]{0,200}\]\(|<img\s/i.test(line)));
}

const OUTPUT_LINE =
  /^\s*(?:Traceback \(most recent|File "|at \S+ ?\(|\S*(?:Error|Exception)\b|goroutine \d|panic:|thread '|==\d+==|#\d+ 0x|\^+$|~+\^)/;

/** Whether there is more in it than what a program prints when it fails. */
function isProgram(text: string): boolean {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.length > 0 && !lines.some((line) => OUTPUT_LINE.test(line)) ||
    lines.some((line) =>
      /^\s*(?:>>> |\$ |import |from \S+ import|const |let |#include|package |fn |def |func |use )/.test(line)
    );
}
