/** Everything that a run keeps is in `{workdir}/.miniswe`; nothing else is written, and the user's home is not read. */
import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { resolve } from "node:path";
import { GOCORE_BIN, listing, MARKER, Sandbox, submit } from "../support/gocore.ts";
import { startFakeProvider } from "../support/fake_provider.ts";

Deno.test("a run makes nothing outside its .miniswe", async () => {
  await using box = await Sandbox.create();
  const before = (await listing(box.root)).filter((path) => !path.startsWith("work/.git/"));
  const script = await box.script([{ commands: ["true"], content: "x".repeat(100_000) }, submit()]);
  await box.mini([...script, "-t", "x"]);
  const now = (await listing(box.root)).filter((path) =>
    !path.startsWith("work/.git/") && !path.startsWith("scripts/") && !path.startsWith("work/.miniswe/")
  );
  deepEqual(now, before);
});

const untraceable = GOCORE_BIN === undefined
  ? " (ignored: GOCORE_BIN names no compiled binary)"
  : await canTrace()
  ? undefined
  : " (ignored: no strace that may trace)";

Deno.test({
  name: `under strace a run writes below its .miniswe only and never looks into the home${untraceable ?? ""}`,
  ignore: untraceable !== undefined,
  fn: async () => {
    await using box = await Sandbox.create();
    await using provider = startFakeProvider([{
      toolCalls: [{ id: "call_1", arguments: { command: `echo ${MARKER}` } }],
    }]);
    const trace = `${box.root}/trace`;
    await box.mini(["-t", "x", "--model", "anthropic/claude-sonnet-4-20250514"], {
      env: { MINI_API_BASE: provider.url, ANTHROPIC_API_KEY: "sk-dummy" },
      wrapper: ["strace", "-f", "-y", "-qq", "-s", "4096", "-e", "trace=%file", "-o", trace],
    });
    const calls = fileCalls(await Deno.readTextFile(trace));
    ok(calls.some(({ writes, path }) => writes && path.includes("/.miniswe/")), "the trace shows writes");
    const allowed = (path: string) => path.startsWith(`${box.workdir}/.miniswe`) || /^\/(?:dev|proc)\//.test(path);
    deepEqual(calls.filter(({ writes, path }) => writes && !allowed(path)), []);
    const home = (path: string) =>
      [".config", ".local", ".cache"].some((name) => path.startsWith(`${box.home}/${name}`));
    deepEqual(calls.filter(({ path }) => home(path)), []);
  },
});

interface FileCall {
  call: string;
  path: string;
  writes: boolean;
}

/** The calls that name files, from `strace -f -y -e trace=%file`, with absolute paths; both paths of a rename. */
function fileCalls(trace: string): FileCall[] {
  const MUTATING =
    /^(?:creat|mkdir|mknod|rename|link|symlink|unlink|rmdir|truncate|chmod|fchmod|chown|lchown|fchown|utime)/;
  const calls: FileCall[] = [];
  for (const line of trace.split("\n")) {
    const [, call, rest] = /^\d+\s+(\w+)\((.*)$/.exec(line) ?? [];
    if (call === undefined || rest === undefined || call.startsWith("exec")) continue;
    const directory = /^(?:AT_FDCWD|\d+)<([^>]*)>/.exec(rest)?.[1] ?? "/";
    const writes = MUTATING.test(call) || (call.startsWith("open") && /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(rest));
    for (const [, path = ""] of rest.matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
      calls.push({ call, path: resolve(directory, path), writes });
    }
  }
  return calls;
}

async function canTrace(): Promise<boolean> {
  const output = await Deno.makeTempFile();
  try {
    const traced = await new Deno.Command("strace", { args: ["-f", "-o", output, "true"], stderr: "null" }).output();
    return traced.success;
  } catch {
    return false;
  } finally {
    await Deno.remove(output);
  }
}
