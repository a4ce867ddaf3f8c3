/** Says in the words of the API what is wrong with a request. */
import { isAbsolute } from "node:path";
import { Failure } from "../../failure.ts";
import { Refused } from "../../http/ports.ts";

/** Flags of commands that have another name in requests. */
const FIELD_OF_FLAG: Readonly<Record<string, string>> = { budget: "budget_usd" };

/** `Cannot use --issue-url: need …` as `issue_url: need …`, and flags elsewhere as fields. */
export function asField(text: string): string {
  const first = text.replace(/^Cannot use --([a-z-]{1,40}): /, (_, flag: string) => `${fieldOf(flag)}: `);
  return first.replaceAll(/--([a-z][a-z-]{0,40})/g, (_, flag: string) => fieldOf(flag));
}

function fieldOf(flag: string): string {
  return FIELD_OF_FLAG[flag] ?? flag.replaceAll("-", "_");
}

/**
 * Throws `Refused` for a `Failure`: 400 for what is wrong with the request, 503 for what is missing here.
 *
 * @param field what it is about; undefined: the failure names that
 */
export async function orRefuse<T>(work: () => T | Promise<T>, field?: string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const text = asField(error.message);
    throw new Refused(error.kind === "usage" ? 400 : 503, field === undefined ? text : `${field}: ${text}`);
  }
}

/** Throws `Refused` (400): such a text can be no argument of a program. */
export function refuseNul(request: Readonly<Record<string, unknown>>): void {
  for (const [field, value] of Object.entries(request)) {
    if ([value].flat().some((text) => typeof text === "string" && text.includes("\0"))) {
      throw new Refused(400, `${field}: has to be text without NUL characters`);
    }
  }
}

/** Throws `Refused` (400) unless it is an absolute path, to a folder; undefined is nothing wrong. */
export async function needFolder(field: string, path: string | undefined): Promise<void> {
  if (path === undefined) return;
  if (!isAbsolute(path)) throw new Refused(400, `${field}: has to be an absolute path`);
  const info = await Deno.stat(path).catch(() => undefined);
  if (info?.isDirectory) return;
  throw new Refused(400, `${field}: has to be a folder, found ${info === undefined ? "nothing" : "a file"} there`);
}
