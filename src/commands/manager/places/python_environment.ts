/** Makes a virtual environment of the Python that was asked for, or of the nearest one that there is. */
import { join } from "node:path";
import { findProgram } from "../../../process/find_program.ts";
import type { runCommand } from "../../../process/spawn.ts";

export interface PythonEnvironment {
  /** `3.12.4` */
  readonly version: string;
  /** `uv`, `venv` */
  readonly tool: string;
  /** Folders that it needs to read. */
  readonly bases: readonly string[];
  /** Below the environment. */
  readonly sitePackages: string;
  readonly notes: readonly string[];
}

export interface PythonRequest {
  readonly version: string;
  readonly env: Readonly<Record<string, string>>;
  readonly run: typeof runCommand;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const DESCRIBE = `
import json, platform, sys, sysconfig
print(json.dumps([platform.python_version(), sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("purelib")]))
`;

/** Makes it at `path`; undefined when there is no Python that can do it, and nothing is left then. */
export async function createPythonEnvironment(
  path: string,
  request: PythonRequest,
): Promise<PythonEnvironment | undefined> {
  const { env, version } = request;
  const cwd = "/";
  const notes: string[] = [];
  const attempt = async (argv: readonly [string, ...string[]], tool: string) => {
    request.signal.throwIfAborted();
    const end = await request.run(argv, { ...request, cwd });
    const made = end.exitCode === 0 ? await describe(path, request) : undefined;
    if (made !== undefined) return { ...made, tool, notes };
    await Deno.remove(path, { recursive: true }).catch(() => {});
    return undefined;
  };

  const pythons = await findPythons(request);
  const wanted = pythons.filter((python) => isVersion(python.version, version));
  const uv = findProgram("uv", env.PATH ?? "", cwd);
  if (uv !== undefined) {
    // What is here needs no download.
    const python = wanted[0]?.program ?? version;
    const made = await attempt([uv, "venv", "--quiet", "--no-project", "--seed", "--python", python, path], "uv");
    if (made !== undefined) return made;
    notes.push(`uv could not make an environment with Python ${version}`);
  }
  if (wanted.length === 0 && pythons[0] !== undefined) {
    notes.push(`Python ${version} is not on this machine: ${pythons[0].version} stands in for it`);
  }
  for (const { program } of [...wanted, ...pythons].slice(0, 3)) {
    const made = await attempt([program, "-m", "venv", path], "venv");
    if (made !== undefined) return made;
  }
  for (const { program } of [...wanted, ...pythons].slice(0, 1)) {
    const made = await attempt([program, "-m", "venv", "--without-pip", path], "venv");
    if (made !== undefined) return { ...made, notes: [...notes, "there is no pip: ensurepip is missing"] };
  }
  return undefined;
}

const isVersion = (found: string, wanted: string) => found === wanted || found.startsWith(`${wanted}.`);

/** Those that answer, the one that is asked for by its name first. */
async function findPythons(
  request: PythonRequest,
): Promise<readonly { readonly program: string; readonly version: string }[]> {
  const { env, version } = request;
  const minor = version.split(".").slice(0, 2).join(".");
  const pyenv = join(env.PYENV_ROOT ?? join(env.HOME ?? "/", ".pyenv"), "versions");
  const installed = (await Array.fromAsync(Deno.readDir(pyenv)).catch(() => []))
    .map(({ name }) => name).filter((name) => isVersion(name, version));
  const names = [`python${minor}`, ...installed.map((name) => join(pyenv, name, "bin/python")), "python3", "python"];
  const found: { program: string; version: string }[] = [];
  for (const name of names) {
    const program = findProgram(name, env.PATH ?? "", "/");
    if (program === undefined) continue;
    const end = await request.run([program, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], {
      ...request,
      cwd: "/",
      stderr: "separate",
    });
    if (end.exitCode === 0) found.push({ program, version: end.output.trim() });
  }
  return found;
}

async function describe(
  path: string,
  request: PythonRequest,
): Promise<Omit<PythonEnvironment, "tool" | "notes"> | undefined> {
  const end = await request.run([join(path, "bin/python"), "-I", "-c", DESCRIBE], {
    ...request,
    cwd: "/",
    stderr: "separate",
  });
  if (end.exitCode !== 0) return undefined;
  const [version, prefix, execPrefix, purelib] = JSON.parse(end.output) as [string, string, string, string];
  if (!purelib.startsWith(`${path}/`)) return undefined;
  return { version, bases: [...new Set([prefix, execPrefix])], sitePackages: purelib.slice(path.length + 1) };
}
