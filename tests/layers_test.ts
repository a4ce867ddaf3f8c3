/** The architecture of design.md as tests: who may import whom, and which powers stay in one place. */
import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { relative } from "node:path";

/** Lowest first. A file may import its own folder and anything below it; names on one row may not meet. */
const LAYERS = [
  ["failure.ts"],
  ["events", "templates", "safety", "oracle", "reduce"],
  ["config", "process", "models", "git", "github", "store"],
  ["workers", "gateway"],
  ["mini", "orchestrate", "manager"],
  ["terminal"],
  ["http"],
  ["commands"],
  ["app.ts"],
  ["main.ts"],
];
const CORE = ["mini", "orchestrate", "manager", "http"];
const ADAPTERS = ["process", "models", "git", "github", "store", "workers", "gateway"];

const root = new URL("../", import.meta.url);
const src = new URL("src/", root).href;
const rank = new Map(LAYERS.flatMap((row, i) => row.map((name) => [name, i] as const)));
const inSrc = (specifier: string) => specifier.slice(src.length);
const folder = (specifier: string) => inSrc(specifier).split("/")[0]!;

interface ModuleInfo {
  specifier: string;
  dependencies?: { code?: { specifier: string }; type?: { specifier: string } }[];
}
interface Edge {
  from: string;
  to: string;
  typeOnly: boolean;
}

let graph: Promise<Edge[]> | undefined;

/** Every import between files of src/ that main.ts reaches, dynamic and type imports included. */
function edges(): Promise<Edge[]> {
  graph ??= (async () => {
    const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", src + "main.ts"], cwd: root });
    const { stdout } = await command.output();
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: ModuleInfo[] };
    return modules.flatMap(({ specifier, dependencies = [] }) =>
      dependencies.map(({ code, type }) => ({
        from: specifier,
        to: (code ?? type)?.specifier ?? "",
        typeOnly: code === undefined,
      }))
    ).filter(({ from, to }) => from.startsWith(src) && to.startsWith(src));
  })();
  return graph;
}

const arrow = ({ from, to }: Edge) => `${inSrc(from)} -> ${inSrc(to)}`;

async function* typescriptFiles(directory: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    if (isDirectory) yield* typescriptFiles(new URL(name + "/", directory));
    else if (name.endsWith(".ts")) yield new URL(name, directory);
  }
}

/** Comments may name what code may not use. Strings are kept: a template string can hold code. */
function withoutComments(text: string): string {
  const tokens = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`/g;
  return text.replace(tokens, (token) => token.startsWith("/*") || token.startsWith("//") ? "" : token);
}

/** The files of src/, relative to it, whose code matches. */
async function filesWith(pattern: RegExp): Promise<string[]> {
  const found: string[] = [];
  for await (const file of typescriptFiles(new URL(src))) {
    if (pattern.test(withoutComments(await Deno.readTextFile(file)))) found.push(inSrc(file.href));
  }
  return found.sort();
}

Deno.test("imports in src/ only point down the layers", async () => {
  const upward = (await edges()).filter(({ from, to }) =>
    folder(from) !== folder(to) && !((rank.get(folder(to)) ?? Infinity) < (rank.get(folder(from)) ?? -1))
  );
  deepEqual(upward.map(arrow), []);
});

Deno.test("imports in src/ have no cycle", async () => {
  const next = Map.groupBy(await edges(), ({ from }) => from);
  const seen = new Map<string, "open" | "done">();
  const cycleFrom = (node: string, path: string[]): string[] => {
    if (seen.get(node) === "open") return [...path.slice(path.indexOf(node)), node];
    if (seen.get(node) === "done") return [];
    seen.set(node, "open");
    for (const { to } of next.get(node) ?? []) {
      const cycle = cycleFrom(to, [...path, node]);
      if (cycle.length > 0) return cycle;
    }
    seen.set(node, "done");
    return [];
  };
  deepEqual(cycleFrom(src + "main.ts", []).map(inSrc), []);
});

Deno.test("every file in src/ is reachable from main.ts", async () => {
  const reached = new Set([src + "main.ts", ...(await edges()).map(({ to }) => to)]);
  const unreached: string[] = [];
  for await (const { href } of typescriptFiles(new URL(src))) if (!reached.has(href)) unreached.push(inSrc(href));
  deepEqual(unreached, []);
});

Deno.test("core and http name adapters only as types", async () => {
  const byValue = (await edges()).filter(({ from, to, typeOnly }) =>
    CORE.includes(folder(from)) && ADAPTERS.includes(folder(to)) && !typeOnly
  );
  deepEqual(byValue.map(arrow), []);
});

Deno.test("processes are started in src/process/ only", async () => {
  const starters = await filesWith(/\bDeno\s*\.\s*Command\b|["'](?:node:)?child_process["']/);
  deepEqual(starters.filter((file) => !file.startsWith("process/")), []);
});

Deno.test("only main.ts ends the process", async () => {
  const enders = await filesWith(/\b(?:Deno|process)\s*\.\s*exit\b/);
  deepEqual(enders.filter((file) => file !== "main.ts"), []);
});

Deno.test("nothing in src/ writes to the console", async () => {
  deepEqual(await filesWith(/\bconsole\s*[.[]/), []);
});

// Under the name `equal`, some Deno versions export the loose comparison from node:assert/strict as well.
Deno.test("tests import strict asserts under the names of strict asserts", async () => {
  const loose: string[] = [];
  const tests = new URL("tests/", root);
  for await (const file of typescriptFiles(tests)) {
    const text = withoutComments(await Deno.readTextFile(file));
    for (
      const [, clause = "", from = ""] of text.matchAll(/import\s+([^;"']*?)\s+from\s+["'](node:assert[^"']*)["']/g)
    ) {
      const imported = clause.split(/[{},]/).map((name) => name.trim());
      const bad = from !== "node:assert/strict" || !clause.startsWith("{") ||
        imported.some((name) => /^(?:equal|deepEqual|notEqual|notDeepEqual)\b/.test(name));
      if (bad) loose.push(`${relative(tests.pathname, file.pathname)}: import ${clause.replaceAll(/\s+/g, " ")}`);
    }
  }
  deepEqual(loose, []);
});
