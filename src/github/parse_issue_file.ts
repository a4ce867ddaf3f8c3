/** Reads an issue from a file: JSON of a tracker, or Markdown that a person wrote. */
import { Failure } from "../failure.ts";
import type { IssueComment, IssueDocument } from "./issue_document.ts";
import {
  commentsWithin,
  type FieldPath,
  FieldProblem,
  isFields,
  issueComments,
  type IssueFields,
  issueFields,
} from "./issue_fields.ts";
import { fieldLine } from "./field_line.ts";

/**
 * `.json` is JSON: an issue as GitHub's REST API, `gh issue view --json …`, GitLab, Jira or Bugzilla have it, alone, in a
 * list with its comments behind it, or as `{issue, comments}`. Anything else is Markdown: front matter if there is some,
 * the first heading as the title, and comments below headings `## Comment by NAME` that stand below a line `---`.
 * Throws a usage `Failure` that names the file, the line and the field.
 *
 * @param file as the person named it
 */
export function parseIssueFile(text: string, file: string): IssueDocument {
  const isJson = /\.json$/i.test(file) || !/\.(?:md|markdown|txt)$/i.test(file) && /^\s*[{[]/.test(text);
  const { fields, comments, notes } = isJson ? readJson(text, file) : readMarkdown(text, file);
  return {
    ...fields,
    source: "file",
    slug: slugOf(fields.url),
    comments,
    notes: [...fields.notes, ...notes],
  };
}

interface Parts {
  readonly fields: IssueFields;
  readonly comments: readonly IssueComment[];
  readonly notes: readonly string[];
}

function readJson(text: string, file: string): Parts {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const [, line] = / \(line (\d+) column \d+\)/.exec(error instanceof Error ? error.message : "") ?? [];
    // The message itself quotes the text around.
    const finding = text.trim() === "" ? "an empty file" : "something else";
    throw wrong(`${file}${line === undefined ? "" : `:${line}`}`, `need JSON, found ${finding}`);
  }
  try {
    const { issue, path, comments } = locate(value);
    const fields = issueFields(issue, path);
    const listed = comments ?? commentsWithin(issue, path);
    const read = listed === undefined ? { comments: [], notes: [] } : issueComments(listed.value, listed.path);
    return { fields, ...read };
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error;
    const name = error.path.map((key) => typeof key === "number" ? `[${key}]` : `.${key}`).join("").replace(/^\./, "");
    throw wrong(`${file}:${fieldLine(text, error.path)}${name === "" ? "" : `: ${name}`}`, error.finding);
  }
}

interface Located {
  readonly issue: unknown;
  readonly path: FieldPath;
  readonly comments?: { readonly value: unknown; readonly path: FieldPath };
}

function locate(value: unknown): Located {
  if (Array.isArray(value)) {
    const titled = value.filter((entry) =>
      isFields(entry) && ["title", "summary", "fields"].some((key) => key in entry)
    );
    if (titled.length > 1) throw new FieldProblem([], `need one issue, found ${titled.length}`);
    const comments = { value: value.slice(1), path: [] };
    return { issue: value[0], path: [0], ...(value.length > 1 && { comments }) };
  }
  if (isFields(value) && isFields(value.issue)) {
    const { comments } = value;
    return {
      issue: value.issue,
      path: ["issue"],
      ...(comments != null && { comments: { value: comments, path: ["comments"] } }),
    };
  }
  if (isFields(value) && Array.isArray(value.bugs)) {
    if (value.bugs.length !== 1) throw new FieldProblem(["bugs"], `need one issue, found ${value.bugs.length}`);
    const { comments } = value;
    return {
      issue: value.bugs[0],
      path: ["bugs", 0],
      ...(Array.isArray(comments) && { comments: { value: comments, path: ["comments"] } }),
    };
  }
  return { issue: value, path: [] };
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}#{1,6}[ \t]+(\S.*)$/;
const COMMENT_HEADING =
  /^ {0,3}#{1,6}[ \t]+Comment(?:[ \t]+(?:by|from)[ \t]+@?([\w.-]{1,100}))?(?:[ \t]*[(,:—-].{0,200})?$/i;

function readMarkdown(text: string, file: string): Parts {
  const lines = text.split(/\r?\n/);
  const { values, next } = readFrontMatter(lines, file);
  const isCode = codeLines(lines);
  const isText = (index: number) => index >= next && !isCode[index];
  const commentStarts = lines.flatMap((line, index) =>
    isText(index) && COMMENT_HEADING.test(line) && followsRule(lines, index) ? [index] : []
  );
  const bodyEnd = commentStarts[0] === undefined ? lines.length : ruleBefore(lines, commentStarts[0]);
  let titleLine = values.title === undefined
    ? lines.findIndex((line, index) => index < bodyEnd && isText(index) && HEADING.test(line))
    : -1;
  if (values.title === undefined && titleLine === -1) {
    titleLine = lines.findIndex((line, index) => index >= next && index < bodyEnd && line.trim() !== "");
  }
  const heading = lines[titleLine] ?? "";
  const title = values.title ?? HEADING.exec(heading)?.[1]?.replace(/[ \t]#+[ \t]*$/, "") ?? heading;
  const body = lines.slice(next, bodyEnd).toSpliced(Math.max(titleLine - next, 0), titleLine === -1 ? 0 : 1);
  const comments = commentStarts.map((start, at) => {
    const following = commentStarts[at + 1];
    const end = following === undefined ? lines.length : ruleBefore(lines, following);
    const [, author] = COMMENT_HEADING.exec(lines[start]!) ?? [];
    return { author, body: trimmed(lines.slice(start + 1, end)) };
  });
  try {
    const fields = issueFields({ ...values, title, body: trimmed(body) });
    return { fields, ...issueComments(comments) };
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error;
    const [field] = error.path;
    const line = field === "title" && values.title === undefined ? next + 1 : frontMatterLine(lines, String(field));
    throw wrong(`${file}:${line}: ${field}`, error.finding);
  }
}

const KEYS = ["title", "url", "number", "labels", "state", "author", "created_at", "updated_at"];

/** `key: value` lines between two `---`: texts, with or without quotes, and lists. Keys of other tools are left alone. */
function readFrontMatter(
  lines: readonly string[],
  file: string,
): { readonly values: Record<string, unknown> & { title?: string }; readonly next: number } {
  if (lines[0]?.trimEnd() !== "---") return { values: {}, next: 0 };
  const end = lines.findIndex((line, index) => index > 0 && line.trimEnd() === "---");
  if (end === -1) throw wrong(`${file}:1`, "need a second line `---` below the front matter, found none");
  const values: Record<string, unknown> & { title?: string } = {};
  for (let index = 1; index < end; index++) {
    const [, key = "", rest = ""] = /^([\w-]+):(?:[ \t]+(.*))?$/.exec(lines[index]!) ?? [];
    if (!KEYS.includes(key)) continue;
    const value = rest.trim();
    if (/^[|>][-+\d]*$/.test(value)) {
      throw wrong(`${file}:${index + 1}: ${key}`, "need a text on one line, found one of several lines");
    }
    const listed: string[] = [];
    while (value === "" && /^\s*-\s/.test(lines[index + 1]!)) {
      listed.push(unquoted(lines[++index]!.replace(/^\s*-/, "")));
    }
    const inBrackets = /^\[.*\]$/.test(value)
      ? value.slice(1, -1).split(",").map(unquoted).filter((one) => one !== "")
      : undefined;
    if (key === "labels") {
      values.labels = inBrackets ?? (listed.length > 0 || value === "" ? listed : [unquoted(value)]);
    } else if (value !== "") values[key] = unquoted(value);
  }
  return { values, next: end + 1 };
}

function unquoted(text: string): string {
  const value = text.trim();
  if (/^'.*'$/.test(value) && value.length > 1) return value.slice(1, -1).replaceAll("''", "'");
  if (!/^".*"$/.test(value)) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}

function frontMatterLine(lines: readonly string[], field: string): number {
  return Math.max(lines.findIndex((line) => line.startsWith(`${field}:`)), 0) + 1;
}

/** Whether a line lies in a code fence, or is one. */
function codeLines(lines: readonly string[]): boolean[] {
  let fence = "";
  return lines.map((line) => {
    const [, mark = ""] = FENCE.exec(line) ?? [];
    const wasOpen = fence !== "";
    if (!wasOpen) fence = mark;
    else if (mark.startsWith(fence) && line.trim() === mark) fence = "";
    return wasOpen || mark !== "";
  });
}

const RULE = /^ {0,3}-{3,}[ \t]*$/;

function followsRule(lines: readonly string[], index: number): boolean {
  return RULE.test(lines[ruleBefore(lines, index)] ?? "");
}

/** The nearest line above that is not empty. */
function ruleBefore(lines: readonly string[], index: number): number {
  let at = index - 1;
  while (at > 0 && lines[at]!.trim() === "") at--;
  return at;
}

function trimmed(lines: readonly string[]): string {
  return lines.join("\n").replace(/^(?:[ \t]*\n)+/, "").trimEnd();
}

/** `owner/repo` in `https://github.com/owner/repo/issues/1`, and in GitLab's `…/group/project/-/issues/1`. */
function slugOf(url: string | null): string | null {
  const parts = url === null ? [] : new URL(url).pathname.split("/").filter((part) => part !== "");
  const at = parts.lastIndexOf("issues");
  const names = parts.slice(0, at === -1 ? 0 : parts[at - 1] === "-" ? at - 1 : at);
  return names.length >= 2 && names.every((name) => /^[\w.-]{1,100}$/.test(name)) ? names.join("/") : null;
}

function wrong(place: string, finding: string): Failure {
  return new Failure("usage", `Cannot read the issue: ${place}: ${finding}`, {
    hints: [
      "Save one with `gh issue view NUMBER --json title,body,url,number,labels,state,author,comments > issue.json`",
    ],
  });
}
