/** Reads the issue of a run, from GitHub or from a file. */
import { readConfigFile } from "../../config/read_config_file.ts";
import { Failure } from "../../failure.ts";
import { fetchIssue } from "../../github/fetch_issue.ts";
import type { GithubOptions } from "../../github/github_api.ts";
import type { IssueDocument } from "../../github/issue_document.ts";
import { parseIssueFile } from "../../github/parse_issue_file.ts";
import type { ManagerSettings } from "../../manager/settings.ts";

/** Throws a `Failure` that says what is wrong with the address, GitHub's answer, or the file. */
export async function readIssue(issue: ManagerSettings["issue"], options: GithubOptions): Promise<IssueDocument> {
  if (issue.kind === "url") return await fetchIssue(issue.url, options);
  const text = await readConfigFile(issue.path);
  if (text !== undefined) return parseIssueFile(text, issue.path);
  throw new Failure("usage", `Cannot read the issue: need a file at "${issue.path}", found nothing there`, {
    hints: ["Correct `--issue-file`"],
  });
}
