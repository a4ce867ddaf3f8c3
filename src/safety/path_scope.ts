/** Decides whether a path, with its links resolved, lies below one of the allowed roots. */

/** The target of the symbolic link at an absolute path, as it is written in the link; undefined for anything else. */
export type ResolveLink = (path: string) => string | undefined;

export interface PathScope {
  /** The roots, resolved, without those that lie below others. */
  readonly roots: readonly string[];
  /** Whether an absolute path is a root or lies below one; what does not exist yet is where it would come to be. */
  contains(path: string): boolean;
  /** The path without links, `.` and `..`; undefined for one that nobody can resolve: relative, endless, too long. */
  resolve(path: string): string | undefined;
}

/** Linux's own limits. */
const MAX_LINKS = 40;
const MAX_LENGTH = 4096;

/** Paths are compared as they are spelled: where case does not matter, a path in another case counts as outside. */
export function createPathScope(roots: readonly string[], resolveLink: ResolveLink): PathScope {
  const resolve = (path: string) => resolvePath(path, resolveLink);
  const all = [...new Set(roots.flatMap((root) => resolve(root) ?? []))];
  const resolvedRoots = all.filter((root) => !all.some((other) => other !== root && isWithin(root, other)));
  return {
    roots: resolvedRoots,
    resolve,
    contains(path) {
      const resolved = resolve(path);
      return resolved !== undefined && resolvedRoots.some((root) => isWithin(resolved, root));
    },
  };
}

/** Whether a resolved path is the folder, or below it: by whole names, so that `/work` does not hold `/workspace`. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

/** As `PathScope.resolve`. */
export function resolvePath(path: string, resolveLink: ResolveLink): string | undefined {
  if (!path.startsWith("/")) return undefined;
  const waiting = path.split("/").reverse();
  const walked: string[] = [];
  let links = 0, length = path.length;
  while (waiting.length > 0) {
    if (length > MAX_LENGTH) return undefined;
    const name = waiting.pop()!;
    // What a link in /proc stands for depends on who asks.
    const isProc = walked[0] === "proc";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (isProc) return undefined;
      walked.pop();
      continue;
    }
    const here = `/${[...walked, name].join("/")}`;
    const target = isProc ? undefined : resolveLink(here);
    if (target === undefined) {
      walked.push(name);
      continue;
    }
    if (++links > MAX_LINKS) return undefined;
    length += target.length;
    if (target.startsWith("/")) walked.length = 0;
    waiting.push(...target.split("/").reverse());
  }
  return `/${walked.join("/")}`;
}
