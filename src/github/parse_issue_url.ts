/** Reads the address of a GitHub issue. */
import { Failure } from "../failure.ts";

export interface IssueAddress {
  /** `github.com`, or the one of an Enterprise server, with its port if it names one. */
  readonly host: string;
  /** `owner/repo`. */
  readonly slug: string;
  readonly number: number;
  /** As GitHub itself writes it: without a query and without what follows the number. */
  readonly url: string;
}

// GitHub's own limits; a name may not be `.` or `..`, which would lead elsewhere in a path.
const OWNER = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/;
const REPO = /^(?!\.{1,2}$)[\w.-]{1,100}$/;
const NUMBER = /^[1-9]\d{0,9}$/;
const MAX_LENGTH = 2000;

/**
 * Reads `https://github.com/owner/repo/issues/123` (of an Enterprise server too; what follows is ignored), the same
 * without `https://`, and `owner/repo#123`. Throws a usage `Failure` for anything else.
 */
export function parseIssueUrl(text: string): IssueAddress {
  const trimmed = text.trim();
  if (trimmed === "") throw wrong(trimmed, "found an empty text");
  if (trimmed.length > MAX_LENGTH) throw wrong(trimmed, `found ${trimmed.length} characters`);
  const short = /^([^/\s#]+)\/([^/\s#]+)#(\d+)$/.exec(trimmed);
  if (short !== null) return addressOf("github.com", short.slice(1), trimmed);
  const url = readUrl(trimmed);
  if (url === undefined) throw wrong(trimmed, "found another text");
  if (url.username !== "" || url.password !== "") {
    throw wrong("", "found one with a user or a password in it", "Leave them out, and set GITHUB_TOKEN instead");
  }
  const host = url.host.replace(/^www\.(?=github\.com$)/, "");
  const [owner = "", repo = "", kind = "", number = ""] = url.pathname.split("/").filter((part) => part !== "");
  if (kind === "pull" || kind === "pulls") {
    throw wrong(trimmed, "found a pull request", "Give the issue that it mends; a pull request has its own test");
  }
  if (kind === "discussions") throw wrong(trimmed, "found a discussion", FILE_HINT);
  if (kind !== "issues") throw wrong(trimmed, "found an address of something else");
  return addressOf(host, [owner, repo, number], trimmed);
}

const FILE_HINT = "Save it as Markdown or JSON, and give it with `--issue-file`";

function readUrl(text: string): URL | undefined {
  const full = /^https?:\/\//i.test(text) ? text : /^[\w.-]+\.[a-z]{2,}\//i.test(text) ? `https://${text}` : undefined;
  return full !== undefined && URL.canParse(full) ? new URL(full) : undefined;
}

function addressOf(host: string, [owner = "", repo = "", number = ""]: readonly string[], text: string): IssueAddress {
  if (!OWNER.test(owner) || !REPO.test(repo)) throw wrong(text, "found no owner and repository in it");
  if (!NUMBER.test(number)) throw wrong(text, "found no number of an issue in it");
  const slug = `${owner}/${repo}`;
  return { host, slug, number: Number(number), url: `https://${host}/${slug}/issues/${number}` };
}

function wrong(text: string, finding: string, hint?: string): Failure {
  const quoted = text === "" ? "" : ` ${JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)}`;
  return new Failure("usage", `Cannot read the issue${quoted}: need the address of an issue, ${finding}`, {
    hints: [hint ?? "Write `https://github.com/OWNER/REPO/issues/NUMBER` or `OWNER/REPO#NUMBER`"],
  });
}
