/** What is to be made smaller: files, arguments and environment variables, read into the parts of a reduction. */
import { basename, resolve } from "node:path";
import { Failure, messageOf } from "../../failure.ts";
import type { Part } from "../../reduce/contract.ts";
import type { Io } from "../../terminal/io.ts";

export interface SubjectFile {
  /** As it was named. */
  readonly path: string;
  /** Its last part: what the candidate is called, too. */
  readonly name: string;
  readonly encoding: "utf-8" | "latin-1";
  /** Permissions. */
  readonly mode: number;
}

export interface Subject {
  /** The text of each of `files`, in their order; then the list of variables and that of arguments, where there are any. */
  readonly parts: readonly Part[];
  readonly files: readonly [SubjectFile, ...SubjectFile[]];
  readonly hasArguments: boolean;
  /** Names of the variables that are being reduced. */
  readonly variables: ReadonlySet<string>;
  /** Those whose values came from our own environment: their values are written nowhere. */
  readonly inherited: ReadonlySet<string>;
}

/** A candidate, ready to be tried. */
export interface Candidate {
  readonly files: readonly { readonly name: string; readonly bytes: Uint8Array; readonly mode: number }[];
  readonly variables: readonly (readonly [name: string, value: string])[];
  readonly arguments: readonly string[];
}

const MAX_BYTES = 128 * 1024 * 1024;
/** The shell sets these itself, or we do. */
const NOT_REDUCED = new Set(["_", "PWD", "OLDPWD", "SHLVL", "TMPDIR"]);

/**
 * @param also `env`, `env:NAME`, `env:NAME=VALUE`, `arg:TEXT`, or a file
 * @throws Failure of kind `usage` for what cannot be read or is named twice
 */
export async function readSubject(
  file: string,
  also: readonly string[],
  io: Pick<Io, "cwd" | "env">,
): Promise<Subject> {
  const variables = new Map<string, string>();
  const inherited = new Set<string>();
  const argumentTexts: string[] = [];
  const paths = [file];
  const inherit = (name: string, value: string) => {
    if (variables.has(name)) return;
    variables.set(name, value);
    inherited.add(name);
  };
  for (const word of also) {
    if (word === "env") {
      const names = Object.keys(io.env).filter((name) => !NOT_REDUCED.has(name)).sort();
      for (const name of names) inherit(name, io.env[name]!);
    } else if (word.startsWith("env:")) {
      const [, name, value] = /^env:([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
      if (name === undefined) throw wrongAlso(word, "it names no variable");
      if (value !== undefined) {
        variables.set(name, value);
        inherited.delete(name);
      } else if (Object.hasOwn(io.env, name)) inherit(name, io.env[name]!);
      else throw wrongAlso(word, "the environment has no such variable");
    } else if (word.startsWith("arg:")) argumentTexts.push(word.slice("arg:".length));
    else paths.push(word);
  }

  const read = await Promise.all(paths.map((path) => readFile(path, io.cwd)));
  const names = read.map(({ file: { name } }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new Failure("usage", `Cannot put two files of the name "${twice}" into one folder, as the oracle gets them`, {
      hints: ["Rename one of them"],
    });
  }
  const lists: Part[] = [];
  if (variables.size > 0) {
    const elements = [...variables].map(([name, value]) => `${name}=${value}`);
    lists.push({ kind: "list", name: "environment", elements });
  }
  if (argumentTexts.length > 0) lists.push({ kind: "list", name: "arguments", elements: argumentTexts });
  const [first, ...others] = read.map(({ file }) => file);
  return {
    parts: [...read.map(({ part }) => part), ...lists],
    files: [first!, ...others],
    hasArguments: argumentTexts.length > 0,
    variables: new Set(variables.keys()),
    inherited,
  };
}

export function candidateOf(parts: readonly Part[], subject: Subject): Candidate {
  const files = subject.files.map(({ name, mode, encoding }, at) => {
    const part = parts[at];
    return { name, mode, bytes: encodeText(part?.kind === "text" ? part.text : "", encoding) };
  });
  const lists = parts.slice(files.length).map((part) => part.kind === "list" ? part.elements : []);
  const variables = subject.variables.size > 0 ? lists[0] ?? [] : [];
  return {
    files,
    variables: variables.map((entry) => {
      const [name = ""] = entry.split("=", 1);
      return [name, entry.slice(name.length + 1)];
    }),
    arguments: subject.hasArguments ? lists.at(-1) ?? [] : [],
  };
}

/** Characters of texts and of elements. */
export function sizeOf(parts: readonly Part[]): number {
  const lengthOf = (part: Part) =>
    part.kind === "text" ? part.text.length : part.elements.reduce((sum, element) => sum + element.length, 0);
  return parts.reduce((sum, part) => sum + lengthOf(part), 0);
}

async function readFile(path: string, cwd: string): Promise<{ file: SubjectFile; part: Part }> {
  if (path === "-") {
    throw new Failure("usage", "Cannot minimize what comes on stdin: the result has to stand beside a file", {
      hints: ["Write it to a file first: `cat > case.txt`"],
    });
  }
  const full = resolve(cwd, path);
  let bytes: Uint8Array;
  let mode: number;
  try {
    const info = await Deno.stat(full);
    if (!info.isFile) throw new Error(info.isDirectory ? "It is a folder" : "It is no regular file");
    if (info.size > MAX_BYTES) throw new Error(`It has ${info.size} bytes, more than ${MAX_BYTES}`);
    mode = (info.mode ?? 0o644) & 0o777;
    bytes = await Deno.readFile(full);
  } catch (cause) {
    const finding = messageOf(cause).split(" (os error", 1)[0]!;
    throw new Failure("usage", `Cannot read "${path}": ${finding.charAt(0).toLowerCase()}${finding.slice(1)}`, {
      hints: ["Name a file that exists and that you may read"],
      cause,
    });
  }
  const name = basename(full);
  const { text, encoding } = decodeText(bytes);
  return { file: { path, name, encoding, mode }, part: { kind: "text", name, text } };
}

/** What is no UTF-8 becomes one character for each byte, and the same bytes again in `encodeText`. */
export function decodeText(bytes: Uint8Array): { text: string; encoding: SubjectFile["encoding"] } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), encoding: "utf-8" };
  } catch {
    const pieces: string[] = [];
    // Not TextDecoder: its "latin1" is another encoding.
    for (let at = 0; at < bytes.length; at += 8192) {
      pieces.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
    }
    return { text: pieces.join(""), encoding: "latin-1" };
  }
}

export function encodeText(text: string, encoding: SubjectFile["encoding"]): Uint8Array<ArrayBuffer> {
  if (encoding === "utf-8") return new TextEncoder().encode(text);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function wrongAlso(word: string, finding: string): Failure {
  return new Failure("usage", `Cannot use "--also ${word.split("=", 1)[0]}": ${finding}`, {
    hints: ["Give `--also FILE`, `--also arg:TEXT`, `--also env:NAME=VALUE`, `--also env:NAME` or `--also env`"],
  });
}
