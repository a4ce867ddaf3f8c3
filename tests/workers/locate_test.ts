/** Finding an agent's program: PATH, native binaries, and programs that do not do what they should. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { runCommand } from "../../src/process/spawn.ts";
import type { AgentAdapter } from "../../src/workers/adapter.ts";
import { claude } from "../../src/workers/adapters/claude.ts";
import { locate, type LocateOptions } from "../../src/workers/locate.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

const adapter: AgentAdapter = { ...claude, programs: ["agent"], nativePaths: ["../native/agent"] };
const SYSTEM = "/usr/local/bin:/usr/bin:/bin";

const options = (path: string, more: Partial<LocateOptions> = {}): LocateOptions => {
  return { env: { PATH: path }, run: runCommand, signal: new AbortController().signal, ...more };
};

async function program(file: string, body: string): Promise<string> {
  await Deno.mkdir(join(file, ".."), { recursive: true });
  await Deno.writeTextFile(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
}

Deno.test("a program is found on PATH, and asked for its version", () =>
  inTempDir(async (dir) => {
    await program(join(dir, "one", "other"), "echo 9.9.9");
    const path = await program(join(dir, "two", "agent"), "echo 'agent-cli 1.20.3 (build 7)'");
    await program(join(dir, "three", "agent"), "echo 3.0.0");
    deepEqual(await locate(adapter, options(`${dir}/one:relative::${dir}/two:${dir}/three:${SYSTEM}`)), {
      kind: "found",
      program: [path],
      version: "1.20.3",
    });
  }));

Deno.test("the native program beside the real launcher comes first, and the launcher when that does not start", () =>
  inTempDir(async (dir) => {
    const launcher = await program(join(dir, "package", "bin", "agent.js"), "echo 1.0.0");
    const native = await program(join(dir, "package", "native", "agent"), "echo 2.0.0-beta.1");
    await Deno.mkdir(join(dir, "bin"));
    const link = join(dir, "bin", "agent");
    await Deno.symlink(launcher, link);
    const path = `${dir}/bin:${SYSTEM}`;
    deepEqual(await locate(adapter, options(path)), { kind: "found", program: [native], version: "2.0.0-beta.1" });
    await program(native, "echo wrong machine >&2; exit 126");
    deepEqual(await locate(adapter, options(path)), { kind: "found", program: [link], version: "1.0.0" });
  }));

Deno.test("what is not there, or cannot be run, is missing", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "agent"), "not a program", { mode: 0o644 });
    await Deno.mkdir(join(dir, "sub", "agent"), { recursive: true });
    await Deno.symlink("nowhere", join(dir, "sub", "dangling"));
    const missing = { kind: "missing", reason: 'no "agent" on PATH' };
    deepEqual(await locate(adapter, options(`${dir}:${dir}/sub:${dir}/none`)), missing);
    deepEqual(await locate(adapter, options("")), missing);
    const absolute = { ...adapter, programs: [join(dir, "sub", "dangling")] };
    equal((await locate(absolute, options(SYSTEM))).kind, "missing");
  }));

Deno.test("a program that fails, says no version or says too much is broken, with what it said", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "agent");
    const told = async (body: string) => {
      await program(path, body);
      const location = await locate(adapter, options(`${dir}:${SYSTEM}`));
      return location.kind === "broken" && location.path === path ? location.reason : location;
    };
    equal(
      await told("printf '\\033[31mnative binary\\033[0m\\nnot installed' >&2; exit 1"),
      'it answered `--version` with exit code 1, and said "native binary not installed"',
    );
    equal(await told("exit 0"), "it answered `--version` without a version: it said nothing");
    equal(await told("echo hello"), 'it answered `--version` without a version: it said "hello"');
    equal(await told("kill -9 $$"), "it answered `--version` with SIGKILL, and said nothing");
    const flood = await told("head -c 1000000 /dev/zero | tr '\\0' x");
    ok(typeof flood === "string" && flood.length < 300 && flood.includes("without a version"), String(flood));
    await Deno.writeTextFile(path, "#!/no/such/interpreter\n", { mode: 0o755 });
    equal((await locate(adapter, options(`${dir}:${SYSTEM}`))).kind, "broken");
  }));

Deno.test("a program that hangs is ended, and is broken", () =>
  inTempDir(async (dir) => {
    const path = await program(join(dir, "agent"), "exec sleep 1000");
    deepEqual(await locate(adapter, options(`${dir}:${SYSTEM}`, { timeoutMs: 200 })), {
      kind: "broken",
      path,
      reason: "it did not answer `--version` within 0.2 s",
    });
  }));

Deno.test("what it writes goes into a home that is taken away, and warnings before the version do not count", () =>
  inTempDir(async (dir) => {
    const body = 'echo x > "$HOME/state"; echo y > "$TMPDIR/more"; echo z > here\n' +
      `echo "$HOME" > ${dir}/home; echo "WARNING: use 127.0.0.1 instead" >&2; echo 4.5.6`;
    await program(join(dir, "bin", "agent"), body);
    const person = join(dir, "person");
    await Deno.mkdir(person);
    const env = { PATH: `${dir}/bin:${SYSTEM}`, HOME: person, TMPDIR: person };
    const location = await locate(adapter, options("", { env }));
    equal(location.kind === "found" && location.version, "4.5.6");
    deepEqual([namesIn(dir), namesIn(person)], [["bin", "home", "person"], []]);
    const home = (await Deno.readTextFile(join(dir, "home"))).trim();
    ok(home.startsWith("/") && home !== person, home);
    await rejects(Deno.stat(home), Deno.errors.NotFound);
  }));

Deno.test("an agent without arguments for its version is not started", () =>
  inTempDir(async (dir) => {
    const path = await program(join(dir, "agent"), `touch ${dir}/started; echo 1.2.3`);
    deepEqual(await locate({ ...adapter, versionArguments: [] }, options(`${dir}:${SYSTEM}`)), {
      kind: "found",
      program: [path],
      version: "unknown",
    });
    deepEqual(namesIn(dir), ["agent"]);
    const asked = await locate({ ...adapter, versionArguments: ["-V"] }, options(`${dir}:${SYSTEM}`));
    equal(asked.kind === "found" && asked.version, "1.2.3");
  }));

Deno.test("an abort ends the search", () =>
  inTempDir(async (dir) => {
    await program(join(dir, "agent"), "exec sleep 1000");
    await rejects(locate(adapter, options(`${dir}:${SYSTEM}`, { signal: AbortSignal.abort(new Error("enough")) })), {
      message: "enough",
    });
  }));
