/** Makes dist/gocore: bundles src/main.ts, then compiles the bundle into one executable. `deno task build` runs it. */

const root = new URL("../", import.meta.url).pathname;
const bundle = `${root}dist/bundle`;

/**
 * Environment: COMPILE_DENO is the Deno that compiles (default: this one); DENORT_BIN, which it reads itself, is the
 * runtime it embeds where that cannot be downloaded (see `.ci/denort`).
 */
async function run(program: string, args: string[], cwd: string): Promise<void> {
  const { code } = await new Deno.Command(program, { args, cwd, stdin: "null" }).output().then((output) => {
    if (!output.success) Deno.stderr.writeSync(output.stderr);
    return output;
  });
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with exit code ${code}`);
}

await Deno.remove(`${root}dist`, { recursive: true }).catch(() => {});
await Deno.mkdir(bundle, { recursive: true });

// The wasm of minijinja stays a file of its own: inlined as text it would cost 80 ms and 50 MB at each start.
const bundleArgs = ["--code-splitting", "--minify", "--external", "minijinja", "--outdir", bundle, "src/main.ts"];
await run(Deno.execPath(), ["bundle", "--quiet", ...bundleArgs], root);

const minijinja = new URL(".", import.meta.resolve("minijinja")).pathname;
await Deno.mkdir(`${bundle}/minijinja`);
for await (const { name, isFile } of Deno.readDir(minijinja)) {
  if (isFile && /\.(js|wasm)$/.test(name)) await Deno.copyFile(minijinja + name, `${bundle}/minijinja/${name}`);
}
// A configuration of its own, because compile embeds every package that the project's lock file names.
await Deno.writeTextFile(
  `${bundle}/deno.json`,
  JSON.stringify({ imports: { minijinja: "./minijinja/minijinja_js.js" } }),
);

const compiler = Deno.env.get("COMPILE_DENO") ?? Deno.execPath();
const compileArgs = ["--no-check", "--no-code-cache", "-A", "--output", `${root}dist/gocore`, "main.js"];
await run(compiler, ["compile", "--quiet", ...compileArgs], bundle);
