/** A search for issues of one repository, as a person writes it on GitHub. */

export interface IssueQuery {
  /** `owner/repo`. */
  readonly slug: string;
  /** What GitHub is asked: for issues, never for pull requests. */
  readonly text: string;
  /** As it was written. */
  readonly written: string;
}

/** GitHub's own limit. */
const MAX_LENGTH = 256;
const REPO = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}\/(?!\.{1,2}$)[\w.-]{1,100}$/;

/** Throws an `Error` that says what is needed and what was found. */
export function parseIssueQuery(written: string): IssueQuery {
  if (written.length > MAX_LENGTH) throw wrong(`found ${written.length} characters, more than ${MAX_LENGTH}`);
  // Quoted text is no condition.
  const terms = written.replaceAll(/"[^"]*"/g, '""').split(/[\s()]+/).filter((term) => term !== "");
  const valuesOf = (name: string) =>
    terms.flatMap((term) => term.toLowerCase().startsWith(`${name}:`) ? [term.slice(name.length + 1)] : []);
  const [slug, ...others] = valuesOf("repo");
  if (slug === undefined || others.length > 0) {
    throw wrong(`found ${slug === undefined ? "none" : "several"} of them`);
  }
  if (!REPO.test(slug)) throw wrong("found something else behind `repo:`");
  const kinds = [...valuesOf("is"), ...valuesOf("type")].map((value) => value.toLowerCase());
  if (kinds.some((kind) => ["pr", "pull-request", "pullrequest"].includes(kind))) {
    throw new Error("need a search for issues, found one for pull requests");
  }
  return { slug, text: kinds.includes("issue") ? written : `is:issue ${written}`, written };
}

function wrong(finding: string): Error {
  return new Error(`need a search with one \`repo:OWNER/NAME\`, ${finding}`);
}
