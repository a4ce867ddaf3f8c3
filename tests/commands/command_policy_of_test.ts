import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { commandPolicyOf } from "../../src/commands/command_policy_of.ts";
import type { MiniSettings } from "../../src/config/mini_settings.ts";
import { inTempDir } from "../support/temp_dir.ts";

type Settings = MiniSettings["environment"];

const settingsIn = (cwd: string, own: Partial<Settings> = {}): Settings => ({
  cwd,
  env: {},
  forwardEnv: [],
  timeoutSeconds: 30,
  interpreter: ["bash", "-c"],
  commandPolicy: "enforce",
  commandRules: [],
  ...own,
});

async function verdictsOf(settings: Settings, workdir: string, commands: readonly string[]): Promise<string[]> {
  const policy = commandPolicyOf(settings, { env: { HOME: "/home/ada", OUT: "/home/ada/out" }, workdir })!;
  return await Promise.all(commands.map(async (command) => (await policy.judge(command)).verdict));
}

Deno.test("commandPolicyOf() opens the workdir and the temporary folders, links of the disk resolved", async () => {
  await inTempDir(async (made) => {
    const dir = await Deno.realPath(made);
    const own = { env: { TMPDIR: "/nowhere/tmp", TARGET: "/etc" } };
    await Deno.symlink("/etc", `${dir}/link`);
    const verdicts = await verdictsOf(settingsIn(`${dir}`, own), dir, [
      "rm -rf build",
      "rm -rf /var/tmp/x $TMPDIR/x",
      "rm -rf link/x",
      'rm -rf "$TARGET"',
      'rm -rf "$OUT"',
    ]);
    deepEqual(verdicts, ["allow", "allow", "block", "block", "block"]);
  });
});

Deno.test("commandPolicyOf() judges what no shell runs as the interpreter's own code", async () => {
  const settings = settingsIn("/work", { interpreter: ["python3", "-c"] });
  const commands = ["import os; os.system('rm -rf /')", "print('rm -rf /')", "x = '''it's fine'''"];
  deepEqual(await verdictsOf(settings, "/work", commands), ["block", "allow", "allow"]);
});

Deno.test("commandPolicyOf() refuses by default, warns or keeps out of the way on request", () => {
  const at = { env: {}, workdir: "/work" };
  equal(commandPolicyOf(settingsIn("/work"), at)?.refuses, true);
  equal(commandPolicyOf(settingsIn("/work", { commandPolicy: "warn" }), at)?.refuses, false);
  equal(commandPolicyOf(settingsIn("/work", { commandPolicy: "off" }), at), undefined);
});
