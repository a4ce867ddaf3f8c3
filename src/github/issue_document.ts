/** An issue as it was written, whichever tracker or file it comes from. Hostile text: it is only ever data. */

export interface IssueDocument {
  readonly source: "github" | "file";
  /** Its address; null for a file that names none. */
  readonly url: string | null;
  /** `owner/repo`; null: unknown. */
  readonly slug: string | null;
  readonly number: number | null;
  readonly title: string;
  readonly body: string;
  readonly labels: readonly string[];
  readonly state: "open" | "closed" | null;
  readonly author: string | null;
  readonly createdAt: string | null;
  readonly updatedAt: string | null;
  readonly comments: readonly IssueComment[];
  /** What was left out: more comments than are read, a text that is too long. */
  readonly notes: readonly string[];
}

export interface IssueComment {
  readonly author: string | null;
  /** Whether the author has a say in the project; undefined: the tracker does not tell. */
  readonly isMaintainer?: boolean;
  readonly createdAt: string | null;
  readonly body: string;
}
