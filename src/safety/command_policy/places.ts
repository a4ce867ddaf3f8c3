/** Says what kind of place a path is: inside the roots, the system's, the user's own, a device. */
import { createPathScope, isWithin, type PathScope, type ResolveLink, resolvePath } from "../path_scope.ts";
import { isKnown, NAME, UNKNOWN } from "./marks.ts";
import { matchesGlob } from "./rules.ts";

export interface Place {
  /** `sink`: a device that keeps nothing, such as /dev/null. `cache`: what programs fill again. */
  readonly kind: "inside" | "sink" | "device" | "network" | "system" | "cache" | "home" | "elsewhere" | "unknown";
  /** As far as it is known, absolute, links resolved. */
  readonly path: string;
  /** A root, the folder where commands start, or one that holds one of them. */
  readonly holdsRoot: boolean;
  /** Everything in a root. */
  readonly isAllOfRoot: boolean;
}

export interface Places {
  readonly scope: PathScope;
  readonly home: string;
  /** `links`: what a script has made itself, resolved path → target. `isEntry`: a link at the end is meant itself. */
  locate(
    field: string,
    cwd: string,
    options: { links: ReadonlyMap<string, string>; isEntry?: boolean },
  ): Place;
}

const SYSTEM = new Set(
  ("bin boot dev etc lib lib32 lib64 libx32 opt proc root run sbin sys usr var nix snap system library applications " +
    "private windows cores").split(" "),
);
const SINKS = /^\/dev\/(?:null|zero|full|tty|stdin|stdout|stderr|random|urandom|fd\/.*|pts\/.*|ptmx)$/;
const CACHES = [".cache", ".npm", ".cargo/registry", ".gradle/caches", ".m2/repository", ".pnpm-store", ".yarn/cache"];

export function createPlaces(
  options: { cwd: string; roots: readonly string[]; home: string; resolveLink: ResolveLink },
): Places {
  const { home, resolveLink } = options;
  const scope = createPathScope(options.roots, resolveLink);
  const kept = [...scope.roots, scope.resolve(options.cwd) ?? options.cwd];
  const realHome = scope.resolve(home) ?? home;
  const unknown = (path: string): Place => ({ kind: "unknown", path, holdsRoot: false, isAllOfRoot: false });
  return {
    scope,
    home: realHome,
    locate(field, cwd, { links, isEntry = false }) {
      const written = field.startsWith("/") ? field : `${cwd}/${field}`;
      if (!isKnown(written)) return unknown(written);
      const plain = lexical(written);
      if (/^\/dev\/(?:tcp|udp)\//.test(plain)) {
        return { kind: "network", path: plain, holdsRoot: false, isAllOfRoot: false };
      }
      // Before links: /dev/stdout is one, to whatever our own is.
      if (SINKS.test(plain)) return { kind: "sink", path: plain, holdsRoot: false, isAllOfRoot: false };
      // A name nobody knows may be a link: where its parent is, nobody knows either.
      if (/\u0001[^/]*\/+(?:\.?\/+)*\.\.(?:\/|$)/.test(written)) return unknown(written);
      const follow = (path: string) => resolvePath(path, (link) => links.get(link) ?? resolveLink(link));
      const entry = isEntry ? /^(.*\/)([^/]+)$/.exec(written) : null;
      const path = entry === null || /^\.\.?$/.test(entry[2]!)
        ? follow(written)
        : childOf(follow(entry[1]!), entry[2]!);
      if (path === undefined) return unknown(written);
      const parent = path.slice(0, path.lastIndexOf("/")) || "/";
      const isAllOfRoot = kept.includes(parent) && /^\.?\u0001+$/.test(path.slice(path.lastIndexOf("/") + 1));
      const holdsRoot = kept.some((root) => isWithin(root, path) || mayHold(path, root));
      return { kind: kindOf(path), path, holdsRoot, isAllOfRoot };
    },
  };

  function kindOf(path: string): Place["kind"] {
    if (scope.roots.some((root) => isWithin(path, root))) return "inside";
    if (SINKS.test(path)) return "sink";
    if (realHome !== "/" && isWithin(path, realHome)) {
      return CACHES.some((cache) => isWithin(path, `${realHome}/${cache}`)) ? "cache" : "home";
    }
    const [, first = ""] = path.split("/");
    if (first === "dev") return "device";
    const isSystem = path === "/" || SYSTEM.has(first.toLowerCase()) ||
      (first.includes(NAME) && [...SYSTEM].some((name) => matchesGlob(first.replaceAll(NAME, "*"), name)));
    return isSystem ? "system" : "elsewhere";
  }
}

const childOf = (folder: string | undefined, name: string) =>
  folder === undefined ? undefined : `${folder === "/" ? "" : folder}/${name}`;

/** Whether a path with names nobody knows may be a root, or a folder that holds one. */
function mayHold(path: string, root: string): boolean {
  if (!path.includes(NAME)) return false;
  const names = path.split("/"), rootNames = root.split("/");
  return names.length <= rootNames.length &&
    names.every((name, i) => matchesGlob(name.replaceAll(NAME, "*"), rootNames[i]!));
}

export function lexical(path: string): string {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return `/${names.join("/")}`;
}

/** The folder that is certain in a path whose rest is not: empty when nothing is. */
export function knownFolder(path: string): string {
  const known = path.slice(0, path.indexOf(UNKNOWN));
  return known.slice(0, known.lastIndexOf("/") + 1);
}
