/**
 * Makes dist/gocore: bundles src/main.ts, then compiles the bundle into one executable. `deno task build` runs it.
 *
 * Environment: COMPILE_DENO is the Deno that compiles (default: this one); DENORT_BIN, which it reads itself, is the
 * runtime it embeds where that cannot be downloaded (see `.ci/denort`).
 */
import { fileURLToPath } from "node:url";

/** What zod/mini exports as types alone. */
const TYPE_NAMES = new Set(["core", "infer", "input", "output"]);
const root = fileURLToPath(new URL("../", import.meta.url));
const bundle = `${root}dist/bundle`;

/** Shows what the program says only when it fails. */
async function run(program: string, args: string[], cwd: string): Promise<void> {
  const { code } = await new Deno.Command(program, { args, cwd, stdin: "null" }).output().then((output) => {
    if (!output.success) Deno.stderr.writeSync(output.stderr);
    return output;
  });
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with exit code ${code}`);
}

await Deno.remove(`${root}dist`, { recursive: true }).catch(() => {});
await Deno.mkdir(bundle, { recursive: true });

// The wasm of minijinja stays a file of its own: inlined as text it would cost 80 ms and 50 MB at each start. So does
// zod/mini: the bundler would put what we use of it into one chunk with the whole zod of the providers, 400 KB that
// every start would load.
const external = ["minijinja", "zod/mini"].flatMap((name) => ["--external", name]);
const bundleArgs = ["--code-splitting", "--minify", ...external, "--outdir", bundle, "src/main.ts"];
await run(Deno.execPath(), ["bundle", "--quiet", ...bundleArgs], root);

const zodNames = await usedZodNames(`${root}src`);
await Deno.writeTextFile(`${bundle}/zod_names.ts`, `export { ${zodNames.join(", ")} } from "zod/mini";\n`);
const zodArgs = ["--minify", "--config", `${root}deno.json`, "--output", "zod_mini.js", "zod_names.ts"];
await run(Deno.execPath(), ["bundle", "--quiet", ...zodArgs], bundle);
await Deno.remove(`${bundle}/zod_names.ts`);

const minijinja = fileURLToPath(new URL(".", import.meta.resolve("minijinja")));
await Deno.mkdir(`${bundle}/minijinja`);
for await (const { name, isFile } of Deno.readDir(minijinja)) {
  if (isFile && /\.(js|wasm)$/.test(name)) await Deno.copyFile(minijinja + name, `${bundle}/minijinja/${name}`);
}
// A configuration of its own, because compile embeds every package that the project's lock file names.
await Deno.writeTextFile(
  `${bundle}/deno.json`,
  JSON.stringify({ imports: { "minijinja": "./minijinja/minijinja_js.js", "zod/mini": "./zod_mini.js" } }),
);

const compiler = Deno.env.get("COMPILE_DENO") ?? Deno.execPath();
// The only wasm renders short templates: compiling it a second time, optimised, takes 14 MB and wins nothing. A heap that
// may grow before it is swept spares the gateway a third of its work, and a short run uses none of it. What is new is
// swept often, in little time, and without waiting for other threads on a busy machine.
const v8Flags = "--v8-flags=--liftoff-only,--initial-heap-size=128,--max-semi-space-size=8,--no-parallel-scavenge";
const compileArgs = [
  "--no-check",
  "--no-code-cache",
  "--unstable-no-legacy-abort",
  v8Flags,
  "-A",
  "--output",
  `${root}dist/gocore`,
  "main.js",
];
await run(compiler, ["compile", "--quiet", ...compileArgs], bundle);

/** The values that src/ takes from zod/mini, which it imports as `z` everywhere. */
async function usedZodNames(folder: string): Promise<string[]> {
  const names = new Set<string>();
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) { for (const used of await usedZodNames(path)) names.add(used); }
    if (!name.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(path);
    if (!text.includes('import * as z from "zod/mini"')) continue;
    for (const [, used] of text.matchAll(/\bz\.([a-z_]\w*)/g)) if (!TYPE_NAMES.has(used!)) names.add(used!);
  }
  return [...names].sort();
}
