/** Confines a program with bubblewrap: what it may write, what it may see, whether it has a network. */
import { dirname } from "node:path";
import { Failure } from "../failure.ts";
import { DEFAULT_PATH, findProgram } from "./find_program.ts";
import { runCommand } from "./spawn.ts";

/** What bubblewrap is to enforce. */
export interface SandboxRequest {
  readonly mode: "require" | "prefer" | "off";
  /** Absolute; everything else of the machine is read-only or hidden. */
  readonly writable: readonly string[];
  /** Absolute; stay readable although they lie in what is hidden (the home). */
  readonly readable: readonly string[];
  /** Absolute paths below `writable` that are read-only all the same (`.git/hooks`, `.git/config`). */
  readonly protected: readonly string[];
  readonly network: boolean;
  /** The person's home, which is hidden; undefined: nothing is. */
  readonly hideHome: string | undefined;
  /** Absolute; hidden like the home, as far as they are there. */
  readonly hidden?: readonly string[];
  /** By the path of a folder in another list, absolute and without links: the folder to be shown there instead. */
  readonly sources?: ReadonlyMap<string, string>;
}

const PROBE_TIMEOUT_MS = 10_000;
const MAX_REASON_CHARACTERS = 300;
const NAMESPACES = ["--unshare-pid", "--unshare-ipc", "--die-with-parent"];
/**
 * Root inside is root outside: with all its capabilities it could mount the file system writable again. These only help
 * with files that may be written anyway, and to become somebody else.
 */
const ROOT_CAPABILITIES = [
  "--cap-drop",
  "ALL",
  ...["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"].flatMap((name) => [
    "--cap-add",
    `CAP_${name}`,
  ]),
];
/** What of the kernel its owner may change in a fresh /proc: `core_pattern` alone would run a program outside. */
const ROOT_COVERS = ["acpi", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger"].flatMap((name) => [
  "--ro-bind-try",
  `/proc/${name}`,
  `/proc/${name}`,
]);
/** Fresh and empty. /run has the sockets of services (containers, the session bus) that would do anything for anybody. */
const SCRATCH = ["/tmp", "/run"];
/** What programs need of /run: name servers; the programs themselves on NixOS. */
const NEEDED = ["/etc/resolv.conf", "/run/current-system"];

export interface SandboxPlan {
  /** What to put before the program's argv. */
  readonly arguments: readonly string[];
  /** What was asked for and cannot be done, in words. */
  readonly notes: readonly string[];
  /** The empty folder that a path without links lies in, as the program sees it. */
  hiddenBy(path: string): string | undefined;
}

export interface SandboxPlace {
  readonly cwd: string;
  readonly isRoot: boolean;
  /** Absolute, without links; undefined for what does not exist. */
  realPath(path: string): string | undefined;
}

type MountKind = "scratch" | "pin" | "read" | "write" | "protect";

interface Mount {
  readonly path: string;
  readonly kind: MountKind;
}

const FLAG: Record<Exclude<MountKind, "scratch">, string> = {
  pin: "--bind",
  read: "--ro-bind",
  write: "--bind",
  protect: "--ro-bind",
};

/**
 * The arguments of bubblewrap for a request. The whole file system is there, read-only; what is asked for lies on top,
 * the deeper path above the other, and of the same path what protects above what permits. Links are resolved, so that
 * they do not lead out of what was meant. `cwd` is at least readable.
 *
 * A folder between something writable and something protected in it cannot be renamed, or else the protected thing
 * could be moved away and another put in its place.
 */
export function planSandbox(request: SandboxRequest, place: SandboxPlace): SandboxPlan {
  const notes: string[] = [];
  const mounts: Mount[] = [];
  const add = (kind: MountKind, path: string, missing?: string) => {
    const real = place.realPath(path);
    if (real !== undefined) mounts.push({ kind, path: real });
    else if (missing !== undefined) notes.push(`${missing}: ${path}`);
    return real;
  };

  for (const path of SCRATCH) add("scratch", path);
  if (request.hideHome !== undefined) {
    const home = place.realPath(request.hideHome);
    if (home === "/") notes.push("cannot be hidden: /");
    else add("scratch", request.hideHome, "no home to hide");
  }
  for (const path of request.hidden ?? []) if (place.realPath(path) !== "/") add("scratch", path);

  const cwd = place.realPath(place.cwd) ?? place.cwd;
  for (const path of [...NEEDED, cwd]) add("read", path);
  for (const path of request.readable) add("read", path, "not found");
  for (const path of request.writable) add("write", path, "not found");
  for (const path of request.protected) {
    const real = add("protect", path, "not there to be protected");
    if (real !== undefined && !isLinkless(path, real, place)) {
      notes.push(`protected only where its link leads: ${path}`);
    }
  }

  const around = (path: string, among: readonly Mount[]) => among.filter((mount) => isWithin(path, mount.path));
  // What nobody could write needs no protection, and is then no more visible than anything else.
  const needed = mounts.filter(({ kind, path }) =>
    kind !== "protect" || around(path, mounts).some((mount) => mount.kind === "write")
  );
  // What lies in nothing hidden is readable anyway, or even writable.
  const useful = needed.filter(({ kind, path }) =>
    kind !== "read" ||
    around(path, needed).filter((mount) => mount.kind !== "read").sort(byDepth).at(-1)?.kind === "scratch"
  );
  const sorted = [...useful, ...pins(useful)]
    .filter((mount, at, all) => at === all.findIndex(({ kind, path }) => kind === mount.kind && path === mount.path))
    .sort(byDepth);
  return {
    arguments: [
      ...NAMESPACES,
      ...(request.network ? [] : ["--unshare-net"]),
      ...(place.isRoot ? ROOT_CAPABILITIES : []),
      ...["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"],
      ...(place.isRoot ? ROOT_COVERS : []),
      ...sorted.flatMap(({ kind, path }) =>
        kind === "scratch" ? ["--tmpfs", path] : [FLAG[kind], request.sources?.get(path) ?? path, path]
      ),
      ...["--chdir", cwd, "--"],
    ],
    notes,
    hiddenBy(path) {
      const deepest = sorted.findLast((mount) => isWithin(path, mount.path));
      return deepest?.kind === "scratch" ? deepest.path : undefined;
    },
  };
}

/** Folders between something protected and the writable folder that it lies in. */
function pins(mounts: readonly Mount[]): Mount[] {
  const found: Mount[] = [];
  for (const { kind, path } of mounts) {
    if (kind !== "protect") continue;
    const between: Mount[] = [];
    for (let folder = dirname(path); folder !== "/"; folder = dirname(folder)) {
      const above = mounts.filter((mount) => mount.path === folder);
      if (above.some((mount) => mount.kind === "write")) found.push(...between);
      if (above.length > 0) break;
      between.push({ kind: "pin", path: folder });
    }
  }
  return found;
}

const ORDER: readonly MountKind[] = ["scratch", "pin", "read", "write", "protect"];
const depth = (path: string) => path === "/" ? 0 : path.split("/").length;
const byDepth = (a: Mount, b: Mount) => depth(a.path) - depth(b.path) || ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind);
const isWithin = (path: string, folder: string) => folder === "/" || path === folder || path.startsWith(`${folder}/`);

/** Whether the last part of a path is no link itself. */
function isLinkless(path: string, real: string, place: SandboxPlace): boolean {
  const parent = place.realPath(dirname(path));
  return parent !== undefined && dirname(real) === parent;
}

export interface OpenSandbox {
  readonly enforced: boolean;
  /** What is enforced and what could not be, or why nothing is. */
  readonly detail: string;
  wrap(argv: readonly [string, ...string[]]): [string, ...string[]];
}

/**
 * Gets bubblewrap ready for a program that runs in `cwd` with this `PATH`, which tells where bubblewrap is as well.
 *
 * @throws Failure (`environment`) when `require` cannot be met, or the program would be hidden from itself
 */
export async function openSandbox(
  request: SandboxRequest,
  options: { readonly cwd: string; readonly path: string | undefined; readonly program: string },
): Promise<OpenSandbox> {
  const without = (detail: string): OpenSandbox => ({ enforced: false, detail, wrap: (argv) => [...argv] });
  if (request.mode === "off") return without("switched off");

  const path = options.path ?? DEFAULT_PATH;
  const bwrap = findProgram("bwrap", path, options.cwd);
  const probe: Probe = bwrap === undefined ? { reason: "bubblewrap is not installed" } : await probeOnce(bwrap);
  if (bwrap === undefined || "reason" in probe) {
    const reason = "reason" in probe ? probe.reason : "";
    if (request.mode === "prefer") return without(reason);
    throw new Failure("environment", `Cannot confine the worker: it needs bubblewrap, and ${reason}`, {
      hints: [
        bwrap === undefined ? "Install it: `apt-get install bubblewrap`" : "Allow user namespaces for bubblewrap",
        "Or ask for the sandbox only where it is possible: mode `prefer`",
      ],
    });
  }

  const plan = planSandbox(request, { cwd: options.cwd, isRoot: Deno.uid() === 0, realPath: realPathOf });
  refuseHiddenProgram(options.program, plan);
  const detail = [
    `bubblewrap: writes only below ${request.writable.join(", ") || "/tmp"}`,
    `network ${request.network ? "on" : "off"}`,
    ...(request.hideHome === undefined ? [] : ["home hidden"]),
    ...plan.notes,
  ].join("; ");
  return { enforced: true, detail, wrap: (argv) => [bwrap, ...probe.extra, ...plan.arguments, ...argv] };
}

function realPathOf(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined;
  }
}

/** A program that is installed in the home is found before the start and would be missing after it. */
function refuseHiddenProgram(program: string, plan: SandboxPlan): void {
  for (const file of [program, realPathOf(program) ?? program]) {
    const hidden = plan.hiddenBy(file);
    if (hidden === undefined) continue;
    throw new Failure("environment", `Cannot start "${file}" in the sandbox: it lies in "${hidden}", which is hidden`, {
      hints: [`Make its folder readable for the worker: ${dirname(file)}`],
    });
  }
}

type Probe = { readonly extra: readonly string[] } | { readonly reason: string };

const probes = new Map<string, Promise<Probe>>();

function probeOnce(bwrap: string): Promise<Probe> {
  let probe = probes.get(bwrap);
  if (probe === undefined) probes.set(bwrap, probe = probeBwrap(bwrap));
  return probe;
}

/** Bubblewrap may be there and not be allowed to work: only trying tells. */
async function probeBwrap(bwrap: string): Promise<Probe> {
  let reason = "";
  // Root of a container often may not make namespaces but as an ordinary user.
  for (const extra of Deno.uid() === 0 ? [[], ["--unshare-user"]] : [[]]) {
    const request: SandboxRequest = {
      mode: "require",
      writable: [],
      readable: [],
      protected: [],
      network: false,
      hideHome: undefined,
    };
    const plan = planSandbox(request, { cwd: "/", isRoot: Deno.uid() === 0, realPath: realPathOf });
    const { exitCode, output, failure } = await runCommand([bwrap, ...extra, ...plan.arguments, "/bin/sh", "-c", ":"], {
      cwd: "/",
      env: {},
      timeoutMs: PROBE_TIMEOUT_MS,
      signal: new AbortController().signal,
    });
    if (exitCode === 0) return { extra };
    reason ||= (failure ?? output.split("\n", 1)[0] ?? "").slice(0, MAX_REASON_CHARACTERS) || "it does not answer";
  }
  return { reason: `bubblewrap does not work here (${reason})` };
}
