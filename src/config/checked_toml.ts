/** Reads a TOML file by a schema, and tells what is wrong in it with file, line and key. */
import { resolve } from "node:path";
import type * as z from "zod/mini";
import { Failure } from "../failure.ts";
import { readConfigFile } from "./read_config_file.ts";
import { parseTomlSource, type TomlPath, type TomlTable } from "./toml_source.ts";

export interface CheckedToml<T> {
  readonly value: T;
  /** `gateway.toml:12: upstream.base_url`. */
  placeOf(path: TomlPath): string;
}

export interface Problem {
  readonly path: TomlPath;
  readonly finding: string;
  readonly hint?: string;
}

export interface TomlFile<T> {
  /** The message of each type is what was needed; what was found is added here. */
  readonly schema: z.ZodMiniType<T>;
  readonly cwd: string;
  /** A hint about a key that the schema does not have. */
  unknownKey(path: TomlPath, root: TomlTable): string;
  /** How it is written, where TOML's own forms were mixed up. */
  spellingOf(path: TomlPath, issue: z.core.$ZodIssue, root: TomlTable): string | undefined;
}

/** Undefined: there is none. Throws a usage `Failure` that names the file, the line and the key. */
export async function loadCheckedToml<T>(name: string, file: TomlFile<T>): Promise<CheckedToml<T> | undefined> {
  const content = await readConfigFile(resolve(file.cwd, name));
  if (content === undefined) return undefined;
  const toml = await parseTomlSource(content, name);
  const placeOf = (path: TomlPath) => {
    const keys = namesIn(path).join(".");
    return `${name}:${toml.lineOf(path)}${keys === "" ? "" : `: ${keys}`}`;
  };
  const result = file.schema.safeParse(toml.value);
  if (result.success) return { value: result.data, placeOf };
  throw problemsFailure(result.error.issues.flatMap((issue) => problemsOf(issue, toml.value, file)), placeOf);
}

function problemsOf<T>(issue: z.core.$ZodIssue, root: TomlTable, file: TomlFile<T>): Problem[] {
  const path = issue.path.filter((key) => typeof key !== "symbol");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const whole = [...path, key];
      return { path: whole, finding: "nobody reads this key", hint: file.unknownKey(whole, root) };
    });
  }
  const found = valueAt(root, path);
  const isWord = ["invalid_value", "invalid_union"].includes(issue.code);
  const finding = issue.code === "invalid_type" && typeof found === "string" ? "a text" : describe(found, isWord);
  return [{ path, finding: `need ${issue.message}, found ${finding}`, hint: file.spellingOf(path, issue, root) }];
}

export function missingFile(name: string, variable: string): Failure {
  return new Failure("usage", `Cannot read the configuration: need a file for "${name}", found nothing there`, {
    hints: [`Correct \`--config\` or ${variable}, whichever names it`],
  });
}

const MAX_PROBLEMS = 8;

export function problemsFailure(problems: readonly Problem[], placeOf: (path: TomlPath) => string): Failure {
  const lines = problems.slice(0, MAX_PROBLEMS).map(({ path, finding }) => `${placeOf(path)}: ${finding}`);
  if (problems.length > lines.length) lines.push(`and ${problems.length - lines.length} more`);
  const hints = [...new Set(problems.slice(0, MAX_PROBLEMS).flatMap(({ hint }) => hint ?? []))];
  return new Failure(
    "usage",
    `Cannot use the configuration:${lines.length === 1 ? ` ${lines[0]}` : ["", ...lines].join("\n  ")}`,
    { hints: hints.length > 0 ? hints : ["README shows a file with every key"] },
  );
}

/** Without the indexes of lists: the line says which table it is. */
export function namesIn(path: TomlPath): string[] {
  return path.filter((key) => typeof key === "string");
}

export function valueAt(root: unknown, path: TomlPath): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string | number, unknown>)[key]
        : undefined,
    root,
  );
}

/** Texts are told only where one of a few words was needed: anywhere else one may be a secret. */
export function describe(value: unknown, isWord: boolean): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object") return "a table";
  if (typeof value !== "string") return String(value);
  return value === "" ? "an empty text" : isWord && value.length <= 32 ? JSON.stringify(value) : "another text";
}
