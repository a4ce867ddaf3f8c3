/** Finds the functions of a project that an issue calls: where it names a type of failure only, they say which one is meant. */
import type { ExpectedFailure } from "../oracle/expected.ts";

const MAX_LINES = 5000;
const MAX_LINE = 1000;
const MAX_NAMES = 30;
/** Of the language; whoever calls them calls nothing of the project. */
const BUILTINS = new Set(
  "print len str int float list dict set tuple range repr type sum open isinstance sorted bool enumerate zip map filter min max abs round super iter next format"
    .split(" "),
);

/** Whether it has a type and nothing else that could be compared. */
export function isBareType(
  { type, message, pattern, exitCode, signal, frames, shows }: ExpectedFailure,
): boolean {
  return type !== null && type !== "timeout" && shows === "failure" && message === null && pattern === null &&
    exitCode === null && signal === null && frames.length === 0;
}

/** Names of what is called on lines that name the project's packages, or what is imported from them; only for Python. */
export function callsIn(text: string, files: readonly string[]): string[] {
  const roots = new Set(
    files.flatMap((file) => /^(?:(?:src|lib|python)\/)?(\w+)\/__init__\.py$/.exec(file)?.[1] ?? []),
  );
  const own = new Set(roots);
  const lines = text.split("\n").slice(0, MAX_LINES).map((line) => line.slice(0, MAX_LINE));
  for (const line of lines) {
    const [, root, names, alias] =
      /\b(?:from\s+(\w+)[\w.]*\s+import\s+([\w, ]+)|import\s+\w[\w.]*\s+as\s+(\w+))/.exec(line) ??
        [];
    if (root !== undefined && roots.has(root)) { for (const name of names!.match(/\w+/g) ?? []) own.add(name); }
    if (alias !== undefined && roots.has(/import\s+(\w+)/.exec(line)![1]!)) own.add(alias);
  }
  const found = new Set<string>();
  for (const line of lines) {
    const isOfProject = [...line.matchAll(/\b(\w+)\s?[.(]/g)].some(([, name]) => own.has(name!));
    if (!isOfProject) continue;
    for (const [, name] of line.matchAll(/\b([A-Za-z_]\w*)\(/g)) if (!BUILTINS.has(name!)) found.add(name!);
  }
  return [...found].slice(0, MAX_NAMES);
}
