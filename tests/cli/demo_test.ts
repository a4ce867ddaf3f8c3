/** `gocore demo` as a newcomer sees it, and what is left of it: nothing. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { quoted, Sandbox } from "../support/gocore.ts";

async function leftIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).filter((n) =>
    n.startsWith("gocore-demo")
  );
}

Deno.test("the demo repairs its project, shows the change, and leaves nothing", async () => {
  await using box = await Sandbox.create();
  const { code, stdout, stderr } = await box.run(["demo"]);
  deepEqual([code, stderr], [0, ""]);
  match(
    stdout,
    /FAILED[^]*\nsuccess after 4 steps[^]*\n-.*LC_ALL=C sort[^]*\n\+.*sort -t \.[^]*run once more: passes\n$/,
  );
  deepEqual(await leftIn(box.tmp), []);
});

Deno.test("demo --json shows a run's events on stdout and the rest on stderr", async () => {
  await using box = await Sandbox.create();
  const { code, events, stdout, stderr } = await box.run(["demo", "--json"]);
  equal(code, 0);
  deepEqual(stdout.trim().split("\n").length, events.length);
  deepEqual([events[0]!.type, ...events.slice(-2).map(({ type }) => type)], ["start", "finish", "cost"]);
  match(stderr, /run once more: passes\n$/);
});

Deno.test("the demo needs no git", async () => {
  await using box = await Sandbox.create();
  const programs = await box.file("bin/.keep", "");
  const bin = programs.slice(0, -"/.keep".length);
  const path = (Deno.env.get("PATH") ?? "").split(":");
  for (const name of ["bash", "cat", "diff", "head", "ls", "sh", "sort"]) {
    for (const folder of path) {
      const program = `${folder}/${name}`;
      if (!await Deno.stat(program).then(({ isFile }) => isFile, () => false)) continue;
      await Deno.symlink(program, `${bin}/${name}`);
      break;
    }
  }
  const line = ["sh", "-c", `PATH=${quoted(bin)} exec "$0" "$@"`];
  const { code, stdout, stderr } = await box.run(["demo"], { wrapper: line });
  deepEqual([code, stderr], [0, "Note: git is not installed or does not work here; the demo goes on without it\n"]);
  match(stdout, /\n--- a\/versions\.sh\n\+\+\+ b\/versions\.sh\n[^]*run once more: passes\n$/);
});

Deno.test("a demo that is interrupted, or whose reader leaves, is gone without a word", async () => {
  await using box = await Sandbox.create();
  const interrupted = await box.run(["demo", "--json"], {
    signalAfter: { event: ({ type }) => type === "thought", signal: "SIGINT" },
  });
  ok([130, 0].includes(interrupted.code), String(interrupted.code));
  const gone = `"$@" | { read line; exec <&-; }; echo "code \${PIPESTATUS[0]}" >&2`;
  const { stderr } = await box.run(["demo"], { wrapper: ["bash", "-c", gone, "bash"] });
  match(stderr, /^code [01]\n$/);
  await box.noProcessLeft();
  deepEqual(await leftIn(box.tmp), []);
});

Deno.test("a demo without a place for its project says which place it tried", async () => {
  await using box = await Sandbox.create();
  const { code, stderr } = await box.run(["demo"], { env: { TMPDIR: "/nonexistent" } });
  equal(code, 1);
  match(stderr, /^Error: Cannot make a temporary folder in "\/nonexistent": .*\nHint: .*TMPDIR=/);
});
