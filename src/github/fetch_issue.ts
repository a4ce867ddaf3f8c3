/** Reads an issue with its comments from GitHub. */
import { Failure } from "../failure.ts";
import { type GithubAnswer, githubApi, type GithubOptions } from "./github_api.ts";
import type { IssueDocument } from "./issue_document.ts";
import { FieldProblem, isFields, issueComments, issueFields, MAX_COMMENTS } from "./issue_fields.ts";
import { type IssueAddress, parseIssueUrl } from "./parse_issue_url.ts";

const PER_PAGE = 100;

/**
 * A moved issue is read where it is now. Throws a `Failure`: the address is none, the issue is a pull request, GitHub
 * cannot be reached, refuses, or asks to wait for long.
 */
export async function fetchIssue(url: string, options: GithubOptions): Promise<IssueDocument> {
  const asked = parseIssueUrl(url);
  const api = githubApi(asked, options);
  const request = { action: `Cannot read the issue "${asked.slug}#${asked.number}"` };
  const answer = await api.ask(`/repos/${asked.slug}/issues/${asked.number}`, request);
  if (isFields(answer.json) && isFields(answer.json.pull_request)) {
    throw new Failure("usage", `${request.action}: need an issue, found a pull request`, {
      hints: ["Give the issue that it mends"],
    });
  }
  const fields = checked(() => issueFields(answer.json), request.action);
  const address = addressNow(fields.url, asked);
  const listed: unknown[] = [];
  const notes: string[] = [];
  let page: URL | undefined = commentPages(answer);
  while (page !== undefined) {
    const { json, next } = await api.ask(page, request);
    if (!Array.isArray(json)) throw unexpected(request.action, "need a list of comments, found another answer");
    for (const comment of json) listed.push(comment);
    if (next !== undefined && listed.length >= MAX_COMMENTS) {
      notes.push(`Only the first ${listed.length} comments were read`);
      break;
    }
    page = next;
  }
  const { comments, notes: omissions } = checked(() => issueComments(listed), request.action);
  if (address.url !== asked.url) notes.push(`The issue has moved here from ${asked.url}`);
  return {
    ...fields,
    source: "github",
    url: address.url,
    slug: address.slug,
    number: address.number,
    comments,
    notes: [...new Set([...fields.notes, ...notes, ...omissions])],
  };
}

/** The comments' first page, below where the issue was found. */
export function commentPages({ url }: GithubAnswer): URL {
  const pages = new URL(url);
  pages.pathname += "/comments";
  pages.search = `?per_page=${PER_PAGE}`;
  return pages;
}

/** As the issue itself says; another server's word does not count. */
function addressNow(url: string | null, asked: IssueAddress): IssueAddress {
  try {
    const told = parseIssueUrl(url ?? "");
    return told.host === asked.host ? told : asked;
  } catch {
    return asked;
  }
}

function checked<T>(read: () => T, action: string): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error;
    throw unexpected(action, [...(error.path.length === 0 ? [] : [error.path.join(".")]), error.finding].join(": "));
  }
}

function unexpected(action: string, finding: string): Failure {
  return new Failure("environment", `${action}: cannot use GitHub's answer: ${finding}`, {
    hints: ["Check GITHUB_API_URL, and whether a proxy answers in GitHub's place"],
  });
}
