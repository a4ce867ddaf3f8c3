import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runInteractive } from "../../src/process/run_interactive.ts";

const module = fileURLToPath(new URL("../../src/process/run_interactive.ts", import.meta.url));
const env = { PATH: Deno.env.get("PATH")! };

Deno.test("a program has our streams and our session, and its exit code is told", async () => {
  const script = `
    import { runInteractive } from ${JSON.stringify(`file://${module}`)};
    const env = { PATH: Deno.env.get("PATH") };
    const code = await runInteractive(["sh", "-c", 'read line; echo "got $line"; echo oops >&2; exit 3'], { cwd: "/", env });
    Deno.exit(code);
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `data:application/typescript,${encodeURIComponent(script)}`],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("hello\n"));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  deepEqual([code, new TextDecoder().decode(stdout)], [3, "got hello\n"]);
  equal(new TextDecoder().decode(stderr).includes("oops"), true);
});

Deno.test("a program that is not there is a failure that names it", async () => {
  await rejects(runInteractive(["no-such-program"], { cwd: "/", env }), {
    kind: "environment",
    message: /^Cannot run "no-such-program": /,
  });
});
