/** Finds the files of the repository that an issue names. */

const MAX_PATHS = 50;
const MAX_TOKENS = 100_000;
const MAX_TOKEN = 400;
/** Names that many projects have several of say nothing without their folder. */
const MIN_SHARED_PARTS = 2;

/** Looks up how a file is called in this repository; undefined: it has none of that name, or several. */
export type FindFile = (name: string) => string | undefined;

/**
 * @param files all paths of the repository, relative to its top
 * @param project the name of the repository, as packages of it are called; null: unknown
 */
export function fileFinder(files: readonly string[], project: string | null): FindFile {
  const known = new Set(files);
  const byName = Map.groupBy(files, (file) => file.slice(file.lastIndexOf("/") + 1));
  return (name) => {
    const parts = partsOf(name, project);
    if (parts === undefined) return undefined;
    for (const prefix of [[], ["src"], ["lib"]]) {
      const path = [...prefix, ...parts.parts].join("/");
      if (known.has(path)) return path;
    }
    const candidates = byName.get(parts.parts.at(-1)!) ?? [];
    // A mere name is clear when the repository has one file that is called so.
    if (parts.parts.length === 1) return candidates.length === 1 && !parts.isForeign ? candidates[0] : undefined;
    const shared = candidates.map((file) => sharedEnd(file.split("/"), parts.parts));
    const most = Math.max(0, ...shared);
    const least = parts.isForeign ? parts.parts.length : MIN_SHARED_PARTS;
    const best = candidates.filter((_, index) => shared[index] === most);
    return most >= least && best.length === 1 ? best[0] : undefined;
  };
}

/** Where package managers keep what they install: the name of the package, where it is a folder of its own, and the rest. */
const INSTALLED = [
  /^.*\/(?:site-packages|dist-packages)\/()(.+)$/,
  /^.*\/node_modules\/(?:@[^/]+\/)?([^/]+)\/(.+)$/,
  /^.*\/pkg\/mod\/(?:[^/@]+\/)*([^/@]+)@[^/]+\/(.+)$/,
  /^.*\/registry\/src\/[^/]+\/([^/]+)-\d[^/]*\/(.+)$/,
];
/** The languages' own libraries. */
const OWN_LIBRARY = /\/lib\/python\d|^node:|\/usr\/(?:lib|include|local\/go)\/|\/rustc\//;

/**
 * `isForeign`: below the folder of a package manager, where other projects' files are, too; only what is whole the same
 * counts. Undefined: nothing of a repository is called so.
 */
function partsOf(
  name: string,
  project: string | null,
): { readonly parts: readonly string[]; readonly isForeign: boolean } | undefined {
  const path = name.slice(0, MAX_TOKEN).replaceAll("\\", "/");
  const [, owner, inPackage] = INSTALLED.map((pattern) => pattern.exec(path)).find((match) => match !== null) ?? [];
  const isOther = owner !== undefined && owner !== "" && owner.toLowerCase() !== project?.toLowerCase();
  if (isOther || inPackage === undefined && OWN_LIBRARY.test(path)) return undefined;
  const rest = inPackage ?? path.replace(/^[A-Za-z]:/, "");
  const parts = rest.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0 || parts.length > 40 || parts.includes("..")) return undefined;
  return { parts, isForeign: inPackage !== undefined };
}

function sharedEnd(a: readonly string[], b: readonly string[]): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length++;
  return length;
}

/** Those that are there, in the order in which they are named first; each as the repository has it. */
export function pathsIn(text: string, find: FindFile): string[] {
  const found = new Set<string>();
  const seen = new Set<string>();
  for (const token of text.split(/[\s"'`()[\]{}<>|,;*=]+/, MAX_TOKENS)) {
    if (token.length < 3 || token.length > MAX_TOKEN || !token.includes(".") || seen.has(token)) continue;
    seen.add(token);
    const path = find(withoutPlace(token));
    if (path !== undefined) found.add(path);
    if (found.size === MAX_PATHS) break;
  }
  return [...found];
}

/** Without `:12:3`, `#L10`, a full stop, and the address of GitHub's view of a file. */
function withoutPlace(token: string): string {
  const [, , viewed] = /^https?:\/\/[^/]+\/[^/]+\/[^/]+\/(blob|tree)\/[^/]+\/(.+)$/.exec(token) ?? [];
  return (viewed ?? token).replace(/[?#].*$/, "").replace(/[.:]+$/, "").replace(/(?::\d{1,9}){1,2}$/, "")
    .replace(/^(?:file:\/\/|[ab]\/(?=.*\/))/, "");
}
