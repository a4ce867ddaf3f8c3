/** Which files of a checkout are the project's own, and whether somebody has changed them. */
import { join } from "node:path";
import type { runCommand } from "../../../process/spawn.ts";

/** What tools change by their use, when something is installed. */
const MANIFEST =
  /(?:^|\/)(?:package(?:-lock)?\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|go\.(?:mod|sum|work|work\.sum)|Cargo\.(?:toml|lock)|pyproject\.toml|uv\.lock|poetry\.lock|Pipfile(?:\.lock)?|requirements[^/]*\.txt|composer\.(?:json|lock)|Gemfile(?:\.lock)?|deno\.(?:jsonc?|lock)|\.coverage)$/;
/** Where builds put what they make of sources, and other programs find it. */
const BUILT = /^(?:.*\/)?(?:dist|build|out|lib|esm|cjs)\/.*\.[cm]?js$/;
/** Node cannot read these itself. */
const TYPED = /(?<!\.d)\.[cm]?tsx?$|\.coffee$/;
const FOREIGN_FOLDERS = ["node_modules", ".git"];
const MAX_FILES = 100_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const TIMEOUT_MS = 600_000;

export interface TouchedSearch {
  /** A file that was written to just before; changes of the same tick of the kernel's clock are not found. */
  readonly since: string;
  readonly run: typeof runCommand;
  readonly signal: AbortSignal;
}

/** The project's files that somebody has written to, also where they were put back afterwards; in no order. */
export async function touchedFiles(
  folder: string,
  files: ReadonlySet<string>,
  { since, run, signal }: TouchedSearch,
): Promise<string[]> {
  const prune = FOREIGN_FOLDERS.flatMap((name) => ["-name", name, "-o"]).slice(0, -1);
  // The time of the last change of an inode is one that nobody can choose.
  const find = ["find", ".", "(", "-type", "d", "(", ...prune, ")", ")", "-prune", "-o"] as const;
  const end = await run([...find, "!", "-type", "d", "-cnewer", since, "-print0"], {
    cwd: folder,
    env: {},
    timeoutMs: TIMEOUT_MS,
    maxOutputBytes: MAX_OUTPUT_BYTES,
    stderr: "separate",
    signal,
  });
  signal.throwIfAborted();
  const touched = end.output.split("\0").map((path) => path.replace(/^\.\//, ""));
  return touched.filter((path) => files.has(path) && !MANIFEST.test(path));
}

/**
 * What a build has made of the project's sources for Node to read, relative to `folder`; empty where Node reads the sources
 * themselves.
 */
export function builtFiles(folder: string, sources: ReadonlySet<string>): string[] {
  const found: string[] = [];
  if (!sources.values().some((path) => TYPED.test(path))) return found;
  const open = [""];
  for (let path = open.pop(); path !== undefined && found.length < MAX_FILES; path = open.pop()) {
    for (const { name, isDirectory, isFile } of entriesIn(join(folder, path))) {
      if (isDirectory && !FOREIGN_FOLDERS.includes(name)) open.push(`${path}${name}/`);
      else if (isFile && BUILT.test(`${path}${name}`)) found.push(`${path}${name}`);
    }
  }
  return found;
}

const READABLE = /\.(?:py|[cm]?[jt]sx?)$/;
const MAX_SOURCES = 3000;
const MAX_SOURCE_BYTES = 1_000_000;

/** Which of these names the sources in Python or JavaScript give to functions, as far as a look at their lines tells. */
export function definedFunctions(folder: string, files: ReadonlySet<string>, names: readonly string[]): string[] {
  const wanted = new Set(names);
  const found = new Set<string>();
  const sources = [...files].filter((path) => READABLE.test(path)).slice(0, MAX_SOURCES);
  const definition =
    /\b(?:def|function\*?)[ \t]+([\w$]+)|^[ \t]+(?:async[ \t]+|static[ \t]+)*([\w$]+)[ \t]*\([^)\n]*\)[ \t]*\{|\b([\w$]+)[ \t]*[:=][ \t]*(?:async[ \t]*)?(?:function\b|\([^)\n]*\)[ \t]*=>|[\w$]+[ \t]*=>)/gm;
  for (const path of sources) {
    const text = textOf(join(folder, path));
    for (const [, ...groups] of text.matchAll(definition)) {
      const name = groups.find((group) => group !== undefined)!;
      if (wanted.has(name)) found.add(name);
    }
    if (found.size === wanted.size) break;
  }
  return [...found];
}

function textOf(path: string): string {
  const content = contentOf(path);
  return content === undefined || content.length > MAX_SOURCE_BYTES ? "" : new TextDecoder().decode(content);
}

/** Whether both are files with the same content. */
export function isSameContent(a: string, b: string): boolean {
  const [one, other] = [contentOf(a), contentOf(b)];
  return one !== undefined && other !== undefined && one.length === other.length &&
    one.every((byte, index) => byte === other[index]);
}

function contentOf(path: string): Uint8Array | undefined {
  try {
    return Deno.lstatSync(path).isFile ? Deno.readFileSync(path) : undefined;
  } catch {
    return undefined;
  }
}

function entriesIn(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch {
    return [];
  }
}
