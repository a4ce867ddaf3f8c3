/** Finds the parts of an issue in the JSON of GitHub, `gh`, GitLab, Jira or Bugzilla. */
import type { IssueComment, IssueDocument } from "./issue_document.ts";

/** The first line of a comment that gocore has posted: it is found by it again, and is no news about the issue. */
export const COMMENT_MARKER = "<!-- gocore-manager -->";

/** Keys, and the indexes of lists. */
export type FieldPath = readonly (string | number)[];

/** What is wrong with a field; whoever knows where the JSON came from makes a `Failure` of it. */
export class FieldProblem extends Error {
  constructor(readonly path: FieldPath, readonly finding: string) {
    super(finding);
  }
}

export type IssueFields = Omit<IssueDocument, "source" | "slug" | "comments">;

type Fields = Readonly<Record<string, unknown>>;

const MAX_TITLE = 1000;
/** Of characters. GitHub's own limit for a text is 65 536. */
const MAX_TEXT = 256 * 1024;
const MAX_ALL_COMMENTS = 4 * 1024 * 1024;
export const MAX_COMMENTS = 1000;
const MAX_LABELS = 100;

/** Everything but the comments. Throws a `FieldProblem`. */
export function issueFields(value: unknown, path: FieldPath = []): IssueFields {
  const whole = fieldsOf(value, path);
  // Jira has everything but the key in `fields`.
  const [issue, at] = isFields(whole.fields) ? [whole.fields, [...path, "fields"]] : [whole, path];
  const notes: string[] = [];
  const title = textIn(issue, ["title", "summary", "subject"], at);
  if (title === undefined || title.text.trim() === "") {
    throw new FieldProblem(title?.path ?? [...at, "title"], `need a text, found ${title ? "an empty one" : "nothing"}`);
  }
  const body = textIn(issue, ["body", "description", "text"], at)?.text ?? "";
  if (body.length > MAX_TEXT) {
    notes.push(`Of the text only the first ${MAX_TEXT} of ${body.length} characters were read`);
  }
  const url = first(issue, ["html_url", "web_url", "url"])?.value;
  const number = first(issue, ["number", "iid", "id"])?.value;
  return {
    url: typeof url === "string" && isWebAddress(url) ? url : null,
    number: Number.isSafeInteger(Number(number)) && Number(number) > 0 ? Number(number) : null,
    title: cut(title.text.trim(), MAX_TITLE),
    body: cut(body, MAX_TEXT),
    labels: labelsIn(issue, at),
    state: stateOf(first(issue, ["state", "status"])?.value),
    author: nameOf(first(issue, ["user", "author", "reporter", "creator"])?.value),
    createdAt: timeOf(first(issue, ["created_at", "createdAt", "created", "creation_time"])?.value),
    updatedAt: timeOf(first(issue, ["updated_at", "updatedAt", "updated", "last_change_time"])?.value),
    notes,
  };
}

/** The comments that stand within an issue, and where; undefined: there are none. */
export function commentsWithin(value: unknown, path: FieldPath): { value: unknown; path: FieldPath } | undefined {
  if (!isFields(value)) return undefined;
  if (isFields(value.fields)) return commentsWithin(value.fields, [...path, "fields"]);
  if (isFields(value.comment)) return commentsWithin(value.comment, [...path, "comment"]);
  const found = first(value, ["comments", "notes"]);
  // GitHub's REST API tells only how many there are.
  return found === undefined || typeof found.value === "number" || found.value === null
    ? undefined
    : { value: found.value, path: [...path, found.key] };
}

/**
 * Those that people wrote: without events of the tracker, and without gocore's own. What is beyond the bounds is left out,
 * and said in `notes`. Throws a `FieldProblem`.
 */
export function issueComments(value: unknown, path: FieldPath = []): { comments: IssueComment[]; notes: string[] } {
  if (!Array.isArray(value)) throw new FieldProblem(path, `need a list of comments, found ${wordFor(value)}`);
  const comments: IssueComment[] = [];
  let length = 0;
  for (const [index, entry] of value.entries()) {
    const at = [...path, index];
    const comment = typeof entry === "string" ? { body: entry } : fieldsOf(entry, at);
    if (comment.system === true) continue;
    const body = textIn(comment, ["body", "text", "description", "raw_text"], at)?.text ?? "";
    if (body.startsWith(COMMENT_MARKER)) continue;
    if (comments.length === MAX_COMMENTS || length > MAX_ALL_COMMENTS) {
      return { comments, notes: [`Only the first ${comments.length} comments were read`] };
    }
    const { value: association } = first(comment, ["author_association", "authorAssociation"]) ?? {};
    length += Math.min(body.length, MAX_TEXT);
    comments.push({
      author: nameOf(first(comment, ["user", "author", "creator"])?.value),
      ...(typeof association === "string" && { isMaintainer: /^(?:OWNER|MEMBER|COLLABORATOR)$/.test(association) }),
      createdAt: timeOf(first(comment, ["created_at", "createdAt", "created", "creation_time", "time"])?.value),
      body: cut(body, MAX_TEXT),
    });
  }
  return { comments, notes: [] };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `https://…`, and not what a viewer would run. */
function isWebAddress(text: string): boolean {
  return text.length <= 2000 && /^https?:\/\/[!#-;=?-~]+$/i.test(text) && URL.canParse(text);
}

function stateOf(value: unknown): "open" | "closed" | null {
  const word = (typeof value === "string" ? value : nameOf(value) ?? "").toLowerCase();
  if (["open", "opened", "reopened", "new"].includes(word)) return "open";
  return ["closed", "done", "resolved", "verified"].includes(word) ? "closed" : null;
}

/** ISO 8601; null: it is no time. */
function timeOf(value: unknown): string | null {
  const ms = typeof value === "string" && value.length <= 40 ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

function wordFor(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : typeof value === "string" ? "a text" : `a ${typeof value}`;
}

function fieldsOf(value: unknown, path: FieldPath): Fields {
  if (isFields(value)) return value;
  throw new FieldProblem(path, `need an object, found ${wordFor(value)}`);
}

/** The first of these keys that is there and is not null. */
function first(fields: Fields, keys: readonly string[]): { key: string; value: unknown } | undefined {
  const key = keys.find((key) => Object.hasOwn(fields, key) && fields[key] !== null);
  return key === undefined ? undefined : { key, value: fields[key] };
}

function textIn(
  fields: Fields,
  keys: readonly string[],
  path: FieldPath,
): { text: string; path: FieldPath } | undefined {
  const found = first(fields, keys);
  if (found === undefined) return undefined;
  const at = [...path, found.key];
  if (typeof found.value === "string") return { text: found.value, path: at };
  if (isFields(found.value) && found.value.type === "doc") return { text: documentText(found.value), path: at };
  throw new FieldProblem(at, `need a text, found ${wordFor(found.value)}`);
}

const BLOCKS = ["paragraph", "heading", "listItem", "blockquote", "codeBlock", "rule", "hardBreak"];
const MAX_NODES = 100_000;

/** Of Jira's document format: its texts, a line for each block, code in fences. */
function documentText(root: Fields): string {
  const pieces: string[] = [];
  const waiting: unknown[] = [root];
  for (let nodes = 0; waiting.length > 0 && nodes < MAX_NODES; nodes++) {
    const node = waiting.pop();
    if (typeof node === "string") pieces.push(node);
    if (!isFields(node)) continue;
    if (typeof node.text === "string") pieces.push(node.text);
    const content = Array.isArray(node.content) ? node.content : [];
    const isCode = node.type === "codeBlock";
    const end = isCode ? "\n```\n" : BLOCKS.includes(String(node.type)) ? "\n" : "";
    if (isCode) pieces.push("```\n");
    waiting.push(end);
    for (const child of content.toReversed()) waiting.push(child);
  }
  return pieces.join("");
}

function labelsIn(fields: Fields, path: FieldPath): string[] {
  const found = first(fields, ["labels", "keywords", "tags"]);
  if (found === undefined) return [];
  if (!Array.isArray(found.value)) {
    throw new FieldProblem([...path, found.key], `need a list of labels, found ${wordFor(found.value)}`);
  }
  return found.value.slice(0, MAX_LABELS).flatMap((label) => nameOf(label) ?? []);
}

/** A name, or an object that has one. */
function nameOf(value: unknown): string | null {
  const found = isFields(value)
    ? first(value, ["login", "username", "name", "displayName", "real_name", "email"])?.value
    : value;
  return typeof found === "string" && found !== "" ? cut(found, 200) : null;
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}
