/** Says in one grammar why a file of ours could not be written. */
import { Failure, messageOf } from "../failure.ts";

/** The failure of the operating system (or of `finding`) as a `Failure` of kind `environment` that names the path. */
export function writeFailure(path: string, cause: unknown): Failure {
  if (cause instanceof Failure) return cause;
  const finding = cause instanceof Deno.errors.BrokenPipe
    ? "Nobody reads it"
    : messageOf(cause).split(" (os error", 1)[0]!;
  return new Failure("environment", `Cannot write "${path}": ${finding.charAt(0).toLowerCase()}${finding.slice(1)}`, {
    hints: [hintFor(finding)],
    cause,
  });
}

function hintFor(finding: string): string {
  if (/no space|quota/i.test(finding)) {
    return "Free some space on the disk, which `df -h` shows, or name another folder";
  }
  if (/is a directory/i.test(finding)) return "Name a file, not a folder";
  if (/file exists|not a directory/i.test(finding)) return "Name another file: something else has that name";
  if (/nobody reads|its reader/i.test(finding)) return "Start the reader of the pipe first, or name a regular file";
  return "Name a file in a folder that exists and that you may write to";
}
