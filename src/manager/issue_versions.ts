/** Finds the versions and the commits that an issue names. */
import type { IssueSpec } from "./ports.ts";

type Version = IssueSpec["versions"][number];

/** What people run things with; the project's own name comes to it. */
const NAMES = new Map([
  ...[
    "Python",
    "CPython",
    "PyPy",
    "Node",
    "Deno",
    "Bun",
    "npm",
    "pip",
    "Go",
    "Rust",
    "Java",
    "OpenJDK",
    "Ruby",
    "PHP",
    "GCC",
    "Clang",
    "LLVM",
    "CMake",
    "NumPy",
    "SciPy",
    "pandas",
    "PyTorch",
    "TensorFlow",
    "Django",
    "Flask",
    "TypeScript",
    "React",
    "Ubuntu",
    "Debian",
    "Fedora",
    "Alpine",
    "macOS",
    "Windows",
    "Android",
    "iOS",
    "Chrome",
    "Firefox",
    "glibc",
    "OpenSSL",
  ].map((name) => [name.toLowerCase(), name] as const),
  ["python3", "Python"],
  ["nodejs", "Node"],
  ["node.js", "Node"],
  ["golang", "Go"],
  ["rustc", "Rust"],
  ["torch", "PyTorch"],
]);

const MAX_VERSIONS = 40;
const MAX_LINE = 2000;
const VERSION = String
  .raw`v?(\d{1,6}(?:\.\d{1,6}){0,3}(?:[+-]?[A-Za-z][\w.+-]{0,30}|\.(?:dev|post|rc|alpha|beta|candidate|final)\w{0,10}(?:\.\d{1,3})?)?)`;
/** `numpy==1.26.4`, `left-pad@1.3.0`. */
const PINNED = new RegExp(
  String.raw`(?<![\w.-])([A-Za-z][\w.-]{0,50})(?:==|@(?=v?\d{1,6}\.\d))${VERSION}(?![\w])`,
  "g",
);
/** `Python 3.12`, `node v22`, `go version go1.22.1`. */
const WORD_VERSION = new RegExp(
  String.raw`(?<![\w.-])([A-Za-z][\w.-]{0,50})(?: version)?[ :=]{1,3}(?:go)?${VERSION}(?![\w/])`,
  "g",
);
/** `go1.22.3`, as Go calls its own. */
const GO_VERSION = /(?<![\w./-])go(\d{1,3}\.\d{1,4}(?:\.\d{1,4})?(?:(?:rc|beta)\d{1,3})?)(?![\w/])/g;
/** `- OS: Ubuntu 22.04`, `**Version**: 1.2.3`, `| numpy | 1.26 |`. */
const LABELLED = /^[\s>*+|-]*([A-Za-z][\w .()-]{0,50}?)[*_]{0,3}\s{0,3}[:|][*_\s]{0,6}(\S[^|]{0,100})/;

/** Below a heading that asks for it. */
const ALONE = new RegExp(`^[\\s\`]*${VERSION}[\\s\`]*$`);

/**
 * @param project the name of the repository; null: unknown
 */
export function versionsIn(lines: readonly string[], project: string | null): Version[] {
  const found = new Map<string, Version>();
  const add = (name: string, version: string) => {
    const plain = asAsked(name, version.replace(/[.,+-]+$/, ""));
    const key = `${name.toLowerCase()} ${plain}`;
    if (plain !== "" && found.size < MAX_VERSIONS && !found.has(key)) found.set(key, { name, version: plain });
  };
  let isAsked = false;
  for (const whole of lines) {
    const line = whole.slice(0, MAX_LINE);
    if (/^\s*(?:#{1,6}\s|\*\*)/.test(line)) isAsked = /\bversions?\b/i.test(line);
    // `sys.version`, as templates ask for it.
    const [, python] = /^\s*(\d\.\d{1,3}\.\d{1,3})\+? (?:\(|\|)[^[]{0,200}\[(?:GCC|Clang|MSC)/.exec(line) ?? [];
    const [, alone] = isAsked ? ALONE.exec(line) ?? [] : [];
    if (python !== undefined) add("Python", python);
    else if (alone !== undefined) add(project ?? "version", alone);
    for (const [, name, version] of line.matchAll(PINNED)) add(name!, version!);
    for (const [, name, version] of line.matchAll(WORD_VERSION)) {
      const known = name!.toLowerCase() === project?.toLowerCase() ? project : NAMES.get(name!.toLowerCase());
      if (known != null) add(known, version!);
    }
    for (const [, version] of line.matchAll(GO_VERSION)) add("Go", version!);
    const [, label = "", value = ""] = LABELLED.exec(line) ?? [];
    const name = nameOf(label.trim(), project);
    if (name === undefined) continue;
    const [, version] = new RegExp(`^[*_\`\\s]*${VERSION}(?![\\w])`).exec(value) ?? [];
    if (version !== undefined) add(name, version);
    else if (/^(?:OS|Platform)$/.test(name) && /\S/.test(value)) add(name, value.replaceAll(/[*`]/g, "").trim());
  }
  return [...found.values()];
}

const PYTHON_LEVELS = new Map([["alpha", "a"], ["beta", "b"], ["candidate", "rc"]]);

/** As tools take it: what `sys.version_info` says, `3.12.4.final.0` or `3.13.0.candidate.1`, is no version for them. */
function asAsked(name: string, version: string): string {
  const final = /^([\d.]+)\.final(?:\.\d+)?$/.exec(version);
  if (final !== null) return final[1]!;
  const early = /^([\d.]+)\.(alpha|beta|candidate)\.(\d+)$/.exec(version);
  if (early === null || !/Py/.test(name)) return version;
  return `${early[1]}${PYTHON_LEVELS.get(early[2]!)}${early[3]}`;
}

/** What a label of a template stands for; undefined: not for a version. */
function nameOf(label: string, project: string | null): string | undefined {
  const plain = label.toLowerCase().replace(/\s*\(.*$/, "").replace(/\s*version$/, "");
  if (/^(?:os|operating system|platform)$/.test(plain)) return plain === "platform" ? "Platform" : "OS";
  if (["", "package", "library", project?.toLowerCase()].includes(plain)) return project ?? "version";
  return NAMES.get(plain);
}

const MAX_CANDIDATES = 20;

/** Commits and tags that the text may name, commits first; whether there are such is for git to say. */
export function refCandidates(text: string, versions: readonly Version[], project: string | null): string[] {
  const found = new Set<string>();
  for (const [hash] of text.matchAll(/(?<![\w-])[0-9a-f]{7,40}(?![\w-])/g)) {
    // Not a number, and not a word such as "defaced".
    if (/\d/.test(hash) && /[a-f]/.test(hash)) found.add(hash);
  }
  const others = new Set(
    versions.filter(({ name }) => name !== project && name !== "version").map(({ version }) => version),
  );
  for (
    const [tag, version] of text.matchAll(
      /(?<![\w./-])v(\d{1,6}(?:\.\d{1,6}){1,3}(?:-?(?:rc|alpha|beta|a|b)\.?\d{1,4})?)(?![\w])/g,
    )
  ) {
    if (!others.has(version!)) found.add(tag);
  }
  for (const { name, version } of versions) {
    if (name !== project && name !== "version") continue;
    found.add(`v${version}`).add(version);
    if (project !== null) found.add(`${project}-${version}`);
  }
  return [...found].slice(0, MAX_CANDIDATES);
}
