/** Whose code a stack frame is: the reproducer's, the project's, the runtime's or somebody else's. */
import type { RunPlace } from "./expected.ts";
import type { Frame, ObservedFailure, Runtime } from "./failure.ts";

export type FrameOwner = "reproducer" | "project" | "runtime" | "other";

/** Folders within a checkout that hold what others wrote. */
const FOREIGN_FOLDERS = new Set([
  "node_modules",
  "site-packages",
  "dist-packages",
  ".venv",
  "venv",
  ".tox",
  ".nox",
  ".eggs",
  "__pypackages__",
]);

const RUNTIME_FILES = [
  /^(?:<frozen |<__array_function__|<internal:|node:|ext:|internal\/|deno:|bun:|native$|\[)/,
  /(?:^|\/)(?:lib(?:64|32)?\/python\d?(?:\.\d+t?)?|Python\d+\/Lib|python\d+\.zip)\/(?!(?:.*\/)?(?:site|dist)-packages\/)/,
  /(?:^|\/)rustc\/[\da-f]{8,}\/|(?:^|\/)(?:\.rustup\/toolchains|rustlib\/src\/rust)\/|^library\/(?:std|core|alloc)\/|(?:^|\/rustc-[^/]*\/)src\/lib(?:std|core|alloc)\//,
  /\/go(?:lang)?(?:-?\d[\d.]*(?:\/x64)?)?\/src\/(?![\w-]+\.[\w.-]+\/)|\/golang\.org\/toolchain@/,
  /(?:^|\/)(?:sysdeps|csu|nptl|libsanitizer|compiler-rt)\/|^\/usr\/include\//,
  /^\/?(?:usr\/)?lib\/ruby\//,
];
const RUNTIME_FUNCTIONS: Partial<Record<Runtime, RegExp>> = {
  java:
    /^(?:[\w.]*@?[\w.]*\/)?(?:java|javax|jdk|sun|com\.sun|kotlin|scala|org\.junit|junit|org\.gradle|org\.apache\.maven)\./,
  go: /^(?:runtime|testing|reflect|sync|syscall)[./]|^panic$/,
  rust: /^(?:<?(?:std|core|alloc)(?:\[[\da-f]+\])?::|rust_begin_unwind|__rust|_start$|__libc_start)/,
  sanitizer: /^(?:__interceptor_|__asan|__ubsan|__sanitizer|__libc_|_start$|operator (?:new|delete)|clone3?$)/,
};

/** Without `.` and `..`, with slashes, from a path or a file URL as it is printed. */
export function normalPath(file: string): string {
  let path = file.replaceAll("\\", "/");
  if (path.startsWith("file://")) {
    path = path.slice("file://".length);
    try {
      path = decodeURIComponent(path);
    } catch {
      // Not encoded, then.
    }
  }
  const absolute = path.startsWith("/");
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === ".." && segments.length > 0 && segments.at(-1) !== "..") segments.pop();
    else if (segment !== ".." || !absolute) segments.push(segment);
  }
  return (absolute ? "/" : "") + segments.join("/");
}

/** Whether the frame is the runtime's own or its standard library's, by the look of it. */
export function isRuntimeFrame(frame: Frame, runtime: Runtime | null): boolean {
  if (frame.function !== null && runtime !== null && RUNTIME_FUNCTIONS[runtime]?.test(frame.function)) return true;
  return frame.file !== null && RUNTIME_FILES.some((pattern) => pattern.test(frame.file!.slice(0, 1000)));
}

/** Whether the frame is of code that was made at run time: `<string>`, `eval at …`. Its name says nothing about its author. */
export function isDynamicFrame(frame: Frame): boolean {
  return frame.file !== null && frame.file.includes("<") && !RUNTIME_FILES[0]!.test(frame.file);
}

export function ownerOf(frame: Frame, runtime: Runtime, place: RunPlace): FrameOwner {
  const reproducer = normalPath(place.reproFile);
  if (frame.file === null) return isRuntimeFrame(frame, runtime) ? "runtime" : "other";
  if (isDynamicFrame(frame)) return "other";
  // Java prints no folders.
  if (runtime === "java") {
    if (frame.file === baseName(reproducer)) return "reproducer";
    if (isRuntimeFrame(frame, runtime) || !/^\w+\.\w+$/.test(frame.file)) return "runtime";
    return ownPath(javaPath(frame), place) === null ? "other" : "project";
  }
  const candidates = placesOf(frame.file, place);
  if (candidates.includes(reproducer)) return "reproducer";
  if (isRuntimeFrame({ ...frame, function: null }, runtime) && !isAbsoluteWithin(frame.file, place.project)) {
    return "runtime";
  }
  if (RUNTIME_FUNCTIONS[runtime]?.test(frame.function ?? "")) return "runtime";
  const inside = ownPath(frame.file, place);
  if (inside === null) return "other";
  const folders = inside.split("/").slice(0, -1);
  if (folders.some((folder) => FOREIGN_FOLDERS.has(folder))) return "other";
  return runtime === "go" && folders.includes("vendor") ? "other" : "project";
}

/** The innermost frame within the project; the path is relative to it. Null: there is none. */
export function projectFrame(
  failure: Pick<ObservedFailure, "frames" | "runtime">,
  place: RunPlace,
): { readonly path: string; readonly frame: Frame } | null {
  for (const frame of failure.frames) {
    if (ownerOf(frame, failure.runtime, place) !== "project") continue;
    return { path: pathInProject(frame, failure.runtime, place), frame };
  }
  return null;
}

/** Of a frame within the project. */
function pathInProject(frame: Frame, runtime: Runtime, place: RunPlace): string {
  if (runtime === "java") return javaPath(frame);
  return ownPath(frame.file!, place) ?? normalPath(frame.file!);
}

/** The path of a project's file, relative to its top; null: it is none. */
function ownPath(file: string, place: RunPlace): string | null {
  const inside = placesOf(file, place).flatMap((path) => pathWithin(path, place.project) ?? []);
  const { files } = place;
  if (files === undefined) return inside[0] ?? null;
  const known = inside.find((path) => files.has(path));
  if (known !== undefined) return known;
  // Relative to a folder in which something was built or started.
  const path = normalPath(file).replace(/^(?:\.\.\/)+/, "");
  if (path.startsWith("/")) return null;
  const found = (byName(files).get(baseName(path)) ?? []).filter((one) => `/${one}`.endsWith(`/${path}`));
  return found.length === 1 ? found[0]! : null;
}

const NAMES = new WeakMap<ReadonlySet<string>, ReadonlyMap<string, readonly string[]>>();

function byName(files: ReadonlySet<string>): ReadonlyMap<string, readonly string[]> {
  const known = NAMES.get(files) ?? Map.groupBy(files, baseName);
  NAMES.set(files, known);
  return known;
}

/** `com/acme/Frob.java` of `com.acme.Frob$Inner.run` in `Frob.java`. */
function javaPath({ function: name, file }: Frame): string {
  const packages = (name ?? "").replace(/^.*\//, "").split(".").slice(0, -2).filter((part) => /^[a-z_]/.test(part));
  return [...packages, file].join("/");
}

/**
 * The file as its package knows it: behind `site-packages/`, `node_modules/`, cargo's registry or Go's module cache; null
 * where it is in none of them.
 */
export function packagePath(file: string): string | null {
  const path = normalPath(file);
  const behind = /^.*\/(?:site-packages|dist-packages|node_modules)\/(.+)$/.exec(path)?.[1];
  if (behind !== undefined) return behind;
  const crate = /\/registry\/src\/[^/]+\/([^/]+)-\d[^/]*\/(.+)$/.exec(path);
  if (crate !== null) return `${crate[1]}/${crate[2]}`;
  return /\/pkg\/mod\/(.+)$/.exec(path)?.[1]?.replace(/@[^/]+/, "") ?? null;
}

/** The path of an expected frame, as far as it can be compared with another machine's. */
export function comparablePath(frame: Frame, runtime: Runtime | null): string {
  if (runtime === "java") return javaPath(frame);
  return packagePath(frame.file ?? "") ?? normalPath(frame.file ?? "").replace(/^\//, "");
}

/**
 * Whether two paths name the same file of a project that lies elsewhere: one ends with the other, or the last two names are
 * the same.
 */
export function isSameFile(a: string, b: string): boolean {
  const as = a.split("/").reverse();
  const bs = b.split("/").reverse();
  let common = 0;
  while (common < as.length && common < bs.length && as[common] === bs[common]) common++;
  return common > 0 && (common >= 2 || common === as.length || common === bs.length);
}

/** Whether the names are the same as far as they are known: `Frob.run`, `async Object.run` and `run` are. */
export function isSameFunction(a: string | null, b: string | null): boolean {
  const [one, other] = [bareFunction(a), bareFunction(b)];
  return one === null || other === null || one === other;
}

/** Without class, module, arguments and what compilers add; null for unknown ones. */
export function bareFunction(name: string | null): string | null {
  if (name === null) return null;
  const plain = name
    .replace(/\s*\[as [^\]]*\]$/, "")
    .replace(/::h[\da-f]{16}$/, "")
    .replace(/(?:::\{\{closure\}\})+$/, "")
    .replace(/\(\.\.\.\)$|\(.*\)$(?<!\(\*?\w*\)\.\w+)/s, "")
    .replace(/^(?:async |new |static )+/, "")
    .replace(/\$\d+$|\.func\d+(?:\.\d+)*$|\[\.\.\.\]$/, "");
  const last = plain.split(/::|\.|#/).at(-1)!.trim();
  return last === "" || last === "<anonymous>" || last === "anonymous" || last === "???" ? null : last;
}

/** Where a printed path may be: relative ones are so to the reproducer's folder or to the project. */
function placesOf(file: string, place: RunPlace): string[] {
  const path = normalPath(file);
  if (path.startsWith("/") || /^[A-Za-z]:\//.test(path)) return [path];
  if (place.project === "") return [normalPath(`${dirName(place.reproFile)}/${path}`)];
  return [normalPath(`${place.project}/${path}`), normalPath(`${dirName(place.reproFile)}/${path}`)];
}

function pathWithin(path: string, folder: string): string | null {
  const root = normalPath(folder);
  return folder !== "" && path.startsWith(root + "/") ? path.slice(root.length + 1) : null;
}

function isAbsoluteWithin(file: string, folder: string): boolean {
  return file.includes("/") && pathWithin(normalPath(file), folder) !== null;
}

function dirName(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
