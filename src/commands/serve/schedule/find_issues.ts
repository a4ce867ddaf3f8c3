/** Asks GitHub which issues a search finds. */
import { Failure } from "../../../failure.ts";
import { githubApi, type GithubOptions } from "../../../github/github_api.ts";
import { type IssueAddress, parseIssueUrl } from "../../../github/parse_issue_url.ts";
import type { IssueQuery } from "./issue_query.ts";

export interface FoundIssue {
  /** As GitHub itself writes it. */
  readonly url: string;
  /** As GitHub tells it, ISO 8601; it changes with every comment. */
  readonly updatedAt: string;
}

const PER_PAGE = 100;

/**
 * The first hundred, those that were changed last first; of the query's repository only. Throws a `Failure`: GitHub
 * cannot be reached, refuses, or answers with something else.
 */
export async function findIssues({ slug, text }: IssueQuery, options: GithubOptions): Promise<FoundIssue[]> {
  const { GITHUB_SERVER_URL: server = "" } = options.env;
  const host = URL.canParse(server) ? new URL(server).host : "github.com";
  const action = `Cannot search the issues of "${slug}"`;
  const api = githubApi({ host, slug, number: 0, url: "" }, options);
  const query = new URLSearchParams({ q: text, sort: "updated", order: "desc", per_page: String(PER_PAGE) });
  const { json } = await api.ask(`/search/issues?${query}`, { action });
  const listed = typeof json === "object" && json !== null && "items" in json ? json.items : undefined;
  if (!Array.isArray(listed)) {
    throw new Failure("environment", `${action}: need a list of issues, found another answer`, {
      hints: ["Check GITHUB_API_URL, and whether a proxy answers in GitHub's place"],
    });
  }
  const found = new Map<string, FoundIssue>();
  for (const item of listed.slice(0, PER_PAGE)) {
    const issue = foundIn(item, { host, slug });
    if (issue !== undefined && !found.has(issue.url)) found.set(issue.url, issue);
  }
  return [...found.values()];
}

/** Undefined: it is a pull request, or nothing that was asked for. */
function foundIn(item: unknown, { host, slug }: Pick<IssueAddress, "host" | "slug">): FoundIssue | undefined {
  if (typeof item !== "object" || item === null || "pull_request" in item) return undefined;
  const { html_url, updated_at } = item as { readonly html_url?: unknown; readonly updated_at?: unknown };
  if (typeof html_url !== "string" || typeof updated_at !== "string" || Number.isNaN(Date.parse(updated_at))) {
    return undefined;
  }
  try {
    const address = parseIssueUrl(html_url);
    const isAsked = address.host === host && address.slug.toLowerCase() === slug.toLowerCase();
    return isAsked ? { url: address.url, updatedAt: updated_at.slice(0, 40) } : undefined;
  } catch {
    return undefined;
  }
}
