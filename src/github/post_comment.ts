/** Posts a run's report under an issue, or edits the one that was posted before. */
import { Failure } from "../failure.ts";
import { commentPages } from "./fetch_issue.ts";
import { type GithubApi, githubApi, type GithubOptions, GithubRefusal, type GithubRequest } from "./github_api.ts";
import { COMMENT_MARKER, isFields } from "./issue_fields.ts";
import { parseIssueUrl } from "./parse_issue_url.ts";

export interface PostedComment {
  readonly url: string;
  readonly edited: boolean;
}

/** GitHub takes 65 536 characters. */
const MAX_LENGTH = 65_000;
const MAX_PAGES = 100;

/**
 * One comment for each issue and author: the former one is known by a hidden first line. Throws a `Failure`; a comment
 * that GitHub may have taken although no answer came is not posted again.
 */
export async function postComment(url: string, markdown: string, options: GithubOptions): Promise<PostedComment> {
  const address = parseIssueUrl(url);
  const api = githubApi(address, options);
  const request = { action: `Cannot comment on the issue "${address.slug}#${address.number}"` };
  if (!api.hasToken) {
    throw new Failure("environment", `${request.action}: need a token, found none`, {
      hints: ["Set GITHUB_TOKEN, for example `export GITHUB_TOKEN=$(gh auth token)`"],
    });
  }
  const isOwn = await ownerTest(api, request);
  // The issue itself first: it may have moved.
  const issue = await api.ask(`/repos/${address.slug}/issues/${address.number}`, request);
  const first = commentPages(issue);
  const body = { body: `${COMMENT_MARKER}\n${shortened(markdown)}` };
  const former = await findFormer(api, first, { request, isOwn });
  if (former === undefined) {
    const answer = await api.ask(new URL(first.pathname, first), { ...request, method: "POST", body });
    return { url: addressIn(answer.json) ?? address.url, edited: false };
  }
  // `…/repos/owner/repo/issues/comments/5`, whether the issue was found by name or by numbers.
  const place = new URL(first);
  place.pathname = first.pathname.replace(/\d+\/comments$/, `comments/${former}`);
  place.search = "";
  const answer = await api.ask(place, { ...request, method: "PATCH", body });
  return { url: addressIn(answer.json) ?? address.url, edited: true };
}

/** Whether an author is the one whose token this is. */
async function ownerTest(api: GithubApi, request: GithubRequest): Promise<(author: unknown) => boolean> {
  try {
    const { json } = await api.ask("/user", request);
    const id = isFields(json) ? json.id : undefined;
    return (author) => isFields(author) && typeof id === "number" && author.id === id;
  } catch (error) {
    // The tokens of GitHub's apps, that of Actions among them, may not ask who they are; their comments are a bot's.
    if (!(error instanceof GithubRefusal) || error.status !== 403) throw error;
    return (author) => isFields(author) && author.type === "Bot";
  }
}

async function findFormer(
  api: GithubApi,
  first: URL,
  { request, isOwn }: { readonly request: GithubRequest; readonly isOwn: (author: unknown) => boolean },
): Promise<number | undefined> {
  let page: URL | undefined = first;
  for (let pages = 0; page !== undefined && pages < MAX_PAGES; pages++) {
    const { json, next } = await api.ask(page, request);
    for (const comment of Array.isArray(json) ? json : []) {
      if (!isFields(comment) || typeof comment.body !== "string" || !Number.isSafeInteger(comment.id)) continue;
      if (comment.body.startsWith(COMMENT_MARKER) && isOwn(comment.user)) return Number(comment.id);
    }
    page = next;
  }
  return undefined;
}

function addressIn(json: unknown): string | undefined {
  return isFields(json) && typeof json.html_url === "string" ? json.html_url : undefined;
}

/** Ends at the end of a line, with the fence closed that was open there. */
function shortened(markdown: string): string {
  if (markdown.length <= MAX_LENGTH) return markdown;
  const lines = markdown.slice(0, MAX_LENGTH).split("\n").slice(0, -1);
  let fence = "";
  for (const line of lines) {
    const [, mark = "", info = ""] = /^ {0,3}(`{3,}|~{3,})([^\n]*)$/.exec(line) ?? [];
    if (fence === "") fence = mark;
    else if (mark.startsWith(fence) && info.trim() === "") fence = "";
  }
  return [...lines, ...(fence === "" ? [] : [fence]), "", "The rest is in `final.md` of the run."].join("\n");
}
