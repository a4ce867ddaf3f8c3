/** Finds out which of the tools that matter to a candidate are here, and their versions. */
import { findProgram } from "../../../process/find_program.ts";
import type { runCommand } from "../../../process/spawn.ts";

interface Tool {
  readonly program: string;
  readonly flags: readonly string[];
  /** Files of a project that ask for it, and extensions of a reproducer. */
  readonly files: readonly string[];
  readonly extensions: readonly string[];
}

const tool = (program: string, extensions: string, files = "", flag = "--version"): Tool => ({
  program,
  flags: [flag],
  files: words(files),
  extensions: words(extensions),
});
const words = (list: string) => list.split(" ").filter((word) => word !== "");

const C = "c h cc cpp cxx hpp C";
const TOOLS: readonly Tool[] = [
  tool("python", "py pyw pyi", "pyproject.toml setup.py setup.cfg requirements.txt tox.ini Pipfile"),
  tool("uv", "", "uv.lock"),
  tool("node", "js mjs cjs ts mts cts jsx tsx", "package.json"),
  tool("npm", "", "package-lock.json"),
  tool("deno", "", "deno.json deno.jsonc"),
  tool("bun", "", "bun.lock bun.lockb"),
  tool("go", "go", "go.mod", "version"),
  tool("rustc", "rs", "Cargo.toml"),
  tool("cargo", "", "Cargo.toml"),
  tool("java", "java", "pom.xml build.gradle build.gradle.kts", "-version"),
  tool("javac", "java"),
  tool("mvn", "", "pom.xml"),
  tool("gcc", C, "configure.ac CMakeLists.txt meson.build"),
  tool("g++", "cc cpp cxx hpp C"),
  tool("clang", ""),
  tool("clang++", ""),
  tool("make", "", "Makefile GNUmakefile"),
  tool("cmake", "", "CMakeLists.txt"),
  tool("meson", "", "meson.build"),
  tool("ruby", "rb", "Gemfile"),
  tool("php", "php", "composer.json"),
  tool("perl", "pl", "Makefile.PL"),
  tool("dotnet", "cs"),
  tool("bash", "bash"),
];
/** Further names of the same. */
const ALIASES: Readonly<Record<string, string>> = { python3: "python", cc: "gcc", "c++": "g++", npx: "npm" };
const TIMEOUT_MS = 20_000;
/** Its first number with a dot in it. */
const VERSION = /\d{1,9}(?:\.[0-9A-Za-z_+-]{1,40}){1,6}/;

export interface ToolNeeds {
  /** At the top of the project. */
  readonly files: readonly string[];
  readonly extensions: readonly string[];
  /** Shell commands: a tool that is named in one matters. */
  readonly commands: readonly string[];
}

/** Whether a project or a reproducer asks for Python. */
export function needsPython({ files, extensions, commands }: ToolNeeds): boolean {
  return files.some((name) => name.endsWith(".py")) || toolsFor({ files, extensions, commands }).has("python");
}

export interface ToolSearch {
  readonly env: Readonly<Record<string, string>>;
  readonly run: typeof runCommand;
  readonly signal: AbortSignal;
}

/** The tools of a machine; each is asked for its version once. */
export class ToolVersions {
  readonly #found = new Map<string, Promise<string | undefined>>();

  constructor(private readonly search: ToolSearch) {}

  /** `node 22.1.0`, `gcc 14.2.0`: those that are needed and there, but for `python`, of which places have their own. */
  async needed(needs: ToolNeeds): Promise<string[]> {
    const needed = toolsFor(needs);
    const found = TOOLS.filter(({ program }) => needed.has(program) && program !== "python").map((tool) => {
      const known = this.#found.get(tool.program) ?? versionOf(tool, this.search);
      this.#found.set(tool.program, known);
      return known;
    });
    return (await Promise.all(found)).filter((line) => line !== undefined);
  }
}

async function versionOf({ program, flags }: Tool, search: ToolSearch): Promise<string | undefined> {
  const path = findProgram(program, search.env.PATH ?? "", "/");
  if (path === undefined) return undefined;
  const end = await search.run([path, ...flags], { ...search, cwd: "/", timeoutMs: TIMEOUT_MS });
  return end.exitCode === 0 ? `${program} ${VERSION.exec(end.output)?.[0] ?? "?"}` : undefined;
}

function toolsFor({ files, extensions, commands }: ToolNeeds): ReadonlySet<string> {
  const named = new Set(
    commands.flatMap((command) => command.split(/[^A-Za-z0-9_+.-]+/))
      .map((word) => Object.hasOwn(ALIASES, word) ? ALIASES[word]! : word),
  );
  return new Set(
    TOOLS.filter((tool) =>
      named.has(tool.program) || tool.files.some((name) => files.includes(name)) ||
      tool.extensions.some((extension) => extensions.includes(extension))
    ).map(({ program }) => program),
  );
}
