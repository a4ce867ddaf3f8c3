/** What is wrong with a reproducer or its surroundings, rather than with the project. */
import type { Frame, ObservedFailure } from "./failure.ts";

export type Trouble = NonNullable<ObservedFailure["trouble"]>;

/** By the last name of the type, in any of the languages. */
const TYPES: ReadonlyMap<string, Trouble> = new Map<string, Trouble>([
  ...names("syntax", "SyntaxError IndentationError TabError"),
  ...names(
    "import",
    "ImportError ModuleNotFoundError LoadError ClassNotFoundException NoClassDefFoundError UnsupportedClassVersionError",
  ),
  ...names(
    "missing_file",
    "FileNotFoundError FileNotFoundException NoSuchFileException NotADirectoryError IsADirectoryError NotFound",
  ),
  ...names(
    "permission",
    "PermissionError AccessDeniedException PermissionDenied UnauthorizedAccessException NotCapable",
  ),
  ...names(
    "network",
    "gaierror ConnectionError ConnectionRefusedError ConnectionResetError ConnectionAbortedError URLError HTTPError " +
      "UnknownHostException ConnectException NoRouteToHostException ConnectTimeout ReadTimeout ConnectError ProxyError SSLError " +
      "SSLCertVerificationError NewConnectionError MaxRetryError ClientConnectorError ConnectionRefused ConnectionReset SocketTimeoutException",
  ),
  ...names("resources", "MemoryError OutOfMemoryError"),
]);

const NETWORK =
  /\b(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EAI_NODATA|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ECONNRESET)\b|getaddrinfo|[Cc]onnection refused|[Nn]ame or service not known|[Tt]emporary failure in name resolution|[Nn]etwork is unreachable|[Nn]o route to host|[Cc]ould ?n[o']t? resolve (?:host|proxy)|Could not resolve (?:host|proxy)|no such host|Tunnel connection failed|[Pp]roxy (?:error|CONNECT aborted)|dial tcp|fetch failed|Connection timed out/;
const INSTALL =
  /^ERROR: (?:Could not find a version|No matching distribution|Could not install|Failed building wheel)|^npm (?:ERR!|error) (?:code|404|network)|^error: failed to (?:get|download|select a version|load source)|^E: Unable to (?:locate|fetch)|^go: .*: (?:Get|dial|module lookup disabled)/;
const RESOURCES =
  /No space left on device|\bENOSPC\b|[Cc]annot allocate memory|\b(?:ENOMEM|EMFILE)\b|[Tt]oo many open files|heap out of memory|[Oo]ut of memory|can't start new thread|Resource temporarily unavailable|(?:^|: )Killed\b|failed to map segment/;
const PERMISSION = /\b(?:EACCES|EPERM)\b|[Pp]ermission denied|Operation not permitted|Read-only file system|\bEROFS\b/;
const PROGRAM =
  /command not found$|: not found$|\bspawn \S+ ENOENT|error while loading shared libraries|: Exec format error$|env: .*No such file or directory/;
const IMPORT =
  /^(?:.*: )?No module named |Cannot find (?:module|package) |\bERR_MODULE_NOT_FOUND\b|Could not find or load main class|does not provide an export named|^(?:Named export|Module not found )|cannot load such file|^Can't locate .* in @INC|Relative import path .* not prefixed/;
const SYNTAX =
  /^\S+?:\d+(?::\d+)?: (?:fatal )?error: |^error(?:\[E\d+\])?: could not compile|^error\[E\d+\]|\[(?:build|setup) failed\]|^\.?\/?\S+\.go:\d+:\d+: |[Ss]yntax error|Parse error|undefined reference to |\bld returned \d+ exit status|linker command failed|^.*compilation aborted|^error: (?:SyntaxError|The module's source code could not be parsed)|: line \d+: (?:syntax|unexpected)/;
const FILE =
  /[Nn]o such file or directory|\bENOENT\b|can't open file|file or directory not found|Could not open input file/;

/** Of a failure that its type or, where types say little, its message tells. */
export function troubleOf(
  failure: Pick<ObservedFailure, "type" | "message" | "bases" | "frames" | "kind">,
): Trouble | null {
  const { type, message: text, bases, frames, kind } = failure;
  if (kind === "assertion" || kind === "sanitizer" || kind === "timeout") return null;
  if (kind === "signal") {
    return type !== null && ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGXCPU"].includes(type) ? "resources" : null;
  }
  const bare = type === null ? "" : lastName(type);
  // JSON.parse and eval throw it for data: only the loader's is about the file.
  if (bare === "SyntaxError" && isOfData(text, frames)) return null;
  const named = TYPES.get(bare) ??
    bases.map((base) => TYPES.get(lastName(base))).find((trouble) => trouble !== undefined);
  if (named !== undefined) return named;
  const isVague = type === null || kind === "panic" ||
    /^(?:Error|Exception|OSError|IOError|SystemError|TypeError|RuntimeError|FATAL ERROR|ENOENT|Errno)$/.test(bare) ||
    bare.startsWith("Errno");
  return isVague && text !== null
    ? troubleOfText(text.slice(0, 2000).split("\n").slice(0, 5), kind === "panic" || bare === "TypeError")
    : null;
}

/** Of a status without a report: by what was written last. */
export function troubleOfExit(exitCode: number | null, tail: readonly string[]): Trouble | null {
  if (exitCode === 127) return "missing_program";
  if (exitCode === 126) return "permission";
  return troubleOfText(tail, false);
}

function troubleOfText(lines: readonly string[], isCall: boolean): Trouble | null {
  const has = (pattern: RegExp) => lines.some((line) => pattern.test(line.slice(0, 1000)));
  if (has(RESOURCES)) return "resources";
  if (has(INSTALL) || has(NETWORK)) return "network";
  if (has(IMPORT)) return "import";
  if (!isCall && has(SYNTAX)) return "syntax";
  if (has(PROGRAM)) return "missing_program";
  if (has(PERMISSION)) return "permission";
  return has(FILE) ? "missing_file" : null;
}

function isOfData(text: string | null, frames: readonly Frame[]): boolean {
  return /\bJSON\b/.test(text ?? "") ||
    frames.slice(0, 3).some((frame) => /^JSON\.parse$|^(?:new )?RegExp/.test(frame.function ?? "")) ||
    /^Invalid regular expression/.test(text ?? "");
}

function lastName(type: string): string {
  return type.split(/[.$\\]|::/).at(-1)!;
}

function names(trouble: Trouble, list: string): [string, Trouble][] {
  return list.split(" ").map((name) => [name, trouble]);
}
