/** Verdicts on what a command deletes, writes and reads. */
import { isKnown, shown, UNKNOWN } from "./marks.ts";
import { knownFolder, type Place } from "./places.ts";
import type { ProgramCall } from "./program_call.ts";

/** The file operations need no more of a call than this. */
export type FileCall = Pick<ProgramCall, "report" | "place" | "home">;

export function judgeDelete(call: FileCall, field: string, { recursive = true } = {}): void {
  // A link is deleted, not what it leads to.
  const place = call.place(field, { isEntry: true });
  const { path, kind } = place;
  const what = `${recursive ? "Deletes" : "Removes"} ${shown(field)}`;
  if (kind === "unknown") {
    // What an empty variable makes of it: `"$X/"` is `/`, and `~/$X` the whole home.
    const isHazard = recursive && (/^\u0000+\/+[*.\u0001]?$/.test(field) || isProtectedFolder(call, field));
    return isHazard
      ? call.report("block", "delete-unknown", `${what}, which is too much if the variable is empty`)
      : call.report("confirm", "delete-unknown", `${what}, and where that is, is not known`);
  }
  if (kind === "sink" || kind === "device") return call.report("block", "device", `${what}, which is a device`);
  // Without its contents nothing can be lost.
  if (place.holdsRoot && !recursive && kind === "inside") return;
  if (place.holdsRoot) return call.report("block", "delete-root", `${what}, which holds all of the allowed folder`);
  if (place.isAllOfRoot) return call.report("confirm", "delete-all", `${what}: everything in the allowed folder`);
  if (kind === "inside") {
    if (recursive && /\/\.git$/.test(path) && call.place(path.slice(0, -"/.git".length)).holdsRoot) {
      call.report("confirm", "delete-history", `${what}, the repository's history`);
    }
    return;
  }
  if (kind === "system") return call.report("block", "delete-outside", `${what}, which belongs to the system`);
  if (kind === "cache") return call.report("confirm", "delete-outside", `${what}, a cache outside the allowed folders`);
  call.report(recursive ? "block" : "confirm", "delete-outside", `${what}, which is outside the allowed folders`);
}

/** Whether what is certain of the path is a folder of the system or the user, all of which may be meant. */
function isProtectedFolder(call: FileCall, field: string): boolean {
  const folder = knownFolder(field);
  if (!folder.startsWith("/") || folder === "/" && field.length > 2) return false;
  const { kind, holdsRoot } = call.place(folder);
  return kind === "system" || kind === "home" || (holdsRoot && kind !== "inside");
}

export function judgeWrite(call: FileCall, field: string, how = "Writes", { isEntry = false } = {}): void {
  const { kind, path } = call.place(field, { isEntry });
  const what = `${how} ${shown(field)}`;
  switch (kind) {
    case "sink":
    case "cache":
      return;
    case "inside":
      if (/\/\.git\/(?:hooks|config|info\/attributes)(?:\/|$)/.test(path)) {
        call.report("confirm", "git-hooks", `${what}: what git runs by itself`);
      }
      return;
    case "unknown":
      return call.report("confirm", "write-unknown", `${what}, and where that is, is not known`);
    case "device":
      return call.report("block", "device", `${what}, which is a device`);
    case "system":
      return call.report("block", "write-system", `${what}, which belongs to the system`);
    case "network":
      return call.report("confirm", "network", `${what}: a connection to another machine`);
    case "home":
      return isSecretPlace(path, call.home)
        ? call.report("block", "write-credentials", `${what}, among the user's credentials`)
        : call.report("confirm", "write-home", `${what}, which is the user's own`);
    case "elsewhere":
      return call.report("confirm", "write-outside", `${what}, which is outside the allowed folders`);
  }
}

const SECRET_IN_HOME = [
  ".ssh",
  ".gnupg",
  ".aws",
  ".azure",
  ".kube",
  ".config/gcloud",
  ".config/gh",
  ".config/op",
  ".docker/config.json",
  ".netrc",
  ".git-credentials",
  ".config/git/credentials",
  ".npmrc",
  ".pypirc",
  ".cargo/credentials",
  ".cargo/credentials.toml",
  ".gem/credentials",
  ".password-store",
  ".local/share/keyrings",
  ".claude/.credentials.json",
  ".claude.json",
  ".codex/auth.json",
  ".gemini/oauth_creds.json",
  ".mozilla",
  ".config/google-chrome",
];

function isSecretPlace(path: string, home: string): boolean {
  return SECRET_IN_HOME.some((name) => path === `${home}/${name}` || path.startsWith(`${home}/${name}/`));
}

/** Whether reading the file tells a secret that is none of the project's. */
export function isCredentials({ path, kind }: Place, home: string): boolean {
  if (kind === "unknown") return false;
  return isSecretPlace(path, home) && !/\/\.ssh\/(?:known_hosts|config|.*\.pub)$/.test(path) ||
    /^\/etc\/(?:g?shadow|sudoers|ssh\/.*_key)(?:\/|$|-)/.test(path) || /^\/etc\/(?:g?shadow|sudoers)$/.test(path) ||
    /^\/proc\/[^/]+\/(?:environ|mem)$/.test(path) || /\/\.miniswe\/configs\/\.env$/.test(path);
}

/** Says so when a word of a command names a file with credentials, also as `@file`, `key=file` and `key=@file`. */
export function judgeRead(call: FileCall, field: string): boolean {
  const spellings = new Set([field, field.replace(/^@/, ""), field.slice(field.indexOf("=") + 1).replace(/^@/, "")]);
  for (const spelling of spellings) {
    if (spelling === "" || spelling.startsWith("-") || !/[/.~]/.test(spelling)) continue;
    // Many programs expand the tilde that the shell has left.
    const path = spelling !== field && spelling.startsWith("~/") ? call.home + spelling.slice(1) : spelling;
    if (!isKnown(path) || path === UNKNOWN || path.length > 4096 || path.includes("\n")) continue;
    if (!isCredentials(call.place(path), call.home)) continue;
    call.report("confirm", "credentials", `Reads ${shown(spelling)}, which holds credentials`);
    return true;
  }
  return false;
}
