import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { oracleCommand, withAbsoluteProgram } from "../../../src/commands/minimize/oracle_command.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const PLAIN = { file: "/tmp/x-1/a_b.c", dir: "/tmp/x-1" };

Deno.test("oracleCommand() pastes a path that means the same in any quotes", () => {
  const at = (command: string, hasArgs = false) => oracleCommand(command, PLAIN, { hasArgs });
  deepEqual(at("gcc {file}"), { text: "gcc /tmp/x-1/a_b.c", env: {} });
  deepEqual(at(`python3 -c 'open("{file}")' "{dir}"`), {
    text: `python3 -c 'open("/tmp/x-1/a_b.c")' "/tmp/x-1"`,
    env: {},
  });
  equal(at("./check").text, "./check /tmp/x-1/a_b.c");
  equal(at("cd {dir} && ./check").text, "cd /tmp/x-1 && ./check");
  equal(
    at('x=${file} f {args} "${dir}"', true).text,
    'x=${file} f "$@" "${dir}" /tmp/x-1/a_b.c',
    "shell variables stay",
  );
  equal(at("node {file}", true).text, 'node /tmp/x-1/a_b.c "$@"');
  equal(at("node", true).text, 'node "$@" /tmp/x-1/a_b.c');
});

Deno.test("no name of a file becomes a part of the program, whatever quotes it stands in", () =>
  inTempDir(async (dir) => {
    const names = [
      "a b.c",
      "$(touch made)",
      "`touch made`",
      "it's",
      'say "x"',
      "a;touch made",
      "-rf",
      "*",
      "\n",
      "\\",
      "ü",
    ];
    const commands: [command: string, runs: boolean][] = [
      ["cat {file}", true],
      ['cat "{file}"', true],
      ["sh -c 'cat {file}'", true],
      ['echo "$(cat {file})"', false],
      ['echo "$(cat "{file}")"', false],
      ["cat <<X\n{file}\nX\ncat {file}", false],
    ];
    for (const name of names) {
      const folder = `${dir}/${crypto.randomUUID()}`;
      await Deno.mkdir(folder);
      const file = `${folder}/${name}`;
      await Deno.writeTextFile(file, "content\n");
      for (const [command, mustRun] of commands) {
        const { text, env } = oracleCommand(command, { file, dir: folder }, { hasArgs: false });
        const { code, stdout } = await new Deno.Command("sh", { args: ["-c", text], env, cwd: folder, stderr: "null" })
          .output();
        if (mustRun) deepEqual([code, new TextDecoder().decode(stdout)], [0, "content\n"], `${name} in ${command}`);
      }
      deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), [name], name);
    }
  }));

Deno.test("withAbsoluteProgram() finds a program that was named from the folder where the person stands", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/check.sh`, "");
    await Deno.mkdir(`${dir}/it's/sub`, { recursive: true });
    await Deno.writeTextFile(`${dir}/it's/sub/x`, "");
    equal(withAbsoluteProgram(" ./check.sh {file}", dir), `${dir}/check.sh {file}`);
    equal(withAbsoluteProgram("sub/x; true", `${dir}/it's`), `'${dir}/it'\\''s/sub/x'; true`);
    for (const command of ["check.sh {file}", "sh ./check.sh", "/bin/true", "./none", "./sub", ""]) {
      equal(withAbsoluteProgram(command, dir), command);
    }
  }));
