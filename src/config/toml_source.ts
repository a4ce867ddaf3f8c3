/** TOML, together with the line of each key in the text. */
import { Failure, messageOf } from "../failure.ts";

export type TomlTable = Record<string, unknown>;
/** Keys, and the indexes of lists. */
export type TomlPath = readonly (string | number)[];

export interface TomlSource {
  readonly value: TomlTable;
  /** The line of this key, counted from 1; of the nearest one around it when it is not in the text. */
  lineOf(path: TomlPath): number;
}

/** Longer statements are not taken apart to tell a line. */
const MAX_STATEMENT_LINES = 200;

/** Throws a usage `Failure` with file, line and column when the text is not TOML. */
export async function parseTomlSource(text: string, file: string): Promise<TomlSource> {
  const { parse, TomlError } = await import("smol-toml");
  let value: TomlTable;
  try {
    value = parse(text);
  } catch (error) {
    // Neither the message's later lines nor the exception as a cause: they quote the text, which may hold secrets.
    const finding = messageOf(error).split("\n", 1)[0]!.replace("Invalid TOML document: ", "");
    const place = error instanceof TomlError ? `${file}:${error.line}:${error.column}` : file;
    throw new Failure("usage", `Cannot read the configuration: ${place}: need TOML, found that ${finding}`, {
      hints: ['Write `key = value` lines, `[table]` headers, and texts in quotes: `host = "127.0.0.1"`'],
    });
  }
  let statements: readonly Statement[] | undefined;
  return {
    value,
    lineOf(path) {
      statements ??= findStatements(text, parse);
      let best: Statement = { line: 1, path: [] };
      for (const statement of statements) {
        if (sharedLength(statement.path, path) > sharedLength(best.path, path)) best = statement;
      }
      return best.line;
    },
  };
}

interface Statement {
  readonly line: number;
  readonly path: TomlPath;
}

/** Each header and each `key = value`, as the parser itself sees them: one at a time. `text` is known to be TOML. */
function findStatements(text: string, parse: (text: string) => TomlTable): Statement[] {
  const lines = text.split(/\r?\n/);
  const statements: Statement[] = [];
  const lastIndexes = new Map<string, number>();
  let header: TomlPath = [];
  for (let first = 0; first < lines.length;) {
    let end = first + 1;
    let parsed = attempt(lines[first]!, parse);
    while (parsed === undefined && end < lines.length && end - first < MAX_STATEMENT_LINES) {
      end++;
      parsed = attempt(lines.slice(first, end).join("\n"), parse);
    }
    if (parsed === undefined) return statements;
    const isHeader = lines[first]!.trimStart().startsWith("[");
    const { keys, isList } = keysOf(parsed);
    if (isHeader) header = withIndexes(keys, isList, lastIndexes);
    if (keys.length > 0) statements.push({ line: first + 1, path: isHeader ? header : [...header, ...keys] });
    first = end;
  }
  return statements;
}

function attempt(text: string, parse: (text: string) => TomlTable): TomlTable | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** The keys of a statement that was parsed alone; `[[a.b]]` ends in a list. */
function keysOf(parsed: TomlTable): { keys: string[]; isList: boolean } {
  const keys: string[] = [];
  let value: unknown = parsed;
  while (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 1) {
    const [key, next] = Object.entries(value)[0]!;
    keys.push(key);
    value = next;
  }
  return { keys, isList: Array.isArray(value) };
}

/** A header names the last table of a list by the name of the list. */
function withIndexes(keys: readonly string[], isList: boolean, lastIndexes: Map<string, number>): TomlPath {
  const path: (string | number)[] = [];
  for (const [at, key] of keys.entries()) {
    path.push(key);
    const id = JSON.stringify(path);
    if (isList && at === keys.length - 1) lastIndexes.set(id, (lastIndexes.get(id) ?? -1) + 1);
    const index = lastIndexes.get(id);
    if (index !== undefined) path.push(index);
  }
  return path;
}

function sharedLength(a: TomlPath, b: TomlPath): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
