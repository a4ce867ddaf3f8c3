import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { readServeOptions, type ServeFlags } from "../../../src/commands/serve/serve_options.ts";
import { Failure } from "../../../src/failure.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const read = (flags: Partial<ServeFlags>, { cwd = "/nowhere", env = {} }: {
  cwd?: string;
  env?: Record<string, string>;
} = {}) => readServeOptions({ schedule: true, ...flags }, { cwd, env, now: () => 0 });

Deno.test("without flags it looks where other commands keep what they do", async () => {
  const { notify: _, ...options } = await read({});
  deepEqual(options, {
    runsRoot: "/nowhere/runs",
    workspace: "/nowhere/.gocore/workspace",
    miniWorkdirs: ["/nowhere"],
    host: "127.0.0.1",
    port: 8088,
    token: undefined,
    configPath: undefined,
    schedule: { entries: [], maxRunning: 2 },
    rebuildsIndex: false,
    json: false,
  });
});

Deno.test("flags come before variables, and paths begin in the current folder", async () => {
  const env = { ORCHESTRATOR_WORKSPACE: "w", MINI_WORKDIR: "m", GOCORE_SERVE_TOKEN: "s3cret" };
  const variables = await read({}, { env });
  deepEqual([variables.workspace, variables.miniWorkdirs, variables.token], ["/nowhere/w", ["/nowhere/m"], "s3cret"]);
  const flags = await read({
    runsRoot: "r",
    workspace: "/elsewhere",
    miniWorkdir: ["a", "/b"],
    host: "[::1]",
    port: 0,
    rebuildIndex: true,
    json: true,
  }, { env });
  deepEqual([flags.runsRoot, flags.workspace, flags.miniWorkdirs, flags.host, flags.port], [
    "/nowhere/r",
    "/elsewhere",
    ["/nowhere/a", "/b"],
    "::1",
    0,
  ]);
});

Deno.test("a file that was named says what runs when; one that merely lies there does not", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(
      `${cwd}/mminions.toml`,
      '[manager]\nruns_root = "of-file"\n[[schedule]]\ncron = "0 3 * * *"\nissue = "a/b#1"\n',
    );
    const { runsRoot, configPath, schedule } = await read({ config: "mminions.toml" }, { cwd });
    deepEqual([runsRoot, configPath], [`${cwd}/of-file`, `${cwd}/mminions.toml`]);
    deepEqual(schedule.entries.map(({ name, cron }) => [name, cron]), [["a/b#1", "0 3 * * *"]]);
    const env = { MMINIONS_CONFIG: "mminions.toml" };
    equal((await read({}, { cwd, env })).schedule.entries.length, 1);
    deepEqual((await read({ config: "mminions.toml", schedule: false }, { cwd })).schedule.entries, []);
    await rejects(read({}, { cwd }), /need a file that was named, found one that merely lies in the current folder/);
    equal((await read({ schedule: false }, { cwd })).runsRoot, `${cwd}/of-file`);
  });
});

Deno.test("what other machines could reach without a token, and a token that no header can have, are refused", async () => {
  const refused = (message: string) => (error: unknown) =>
    error instanceof Failure && error.kind === "usage" && error.message === message;
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "box.example"]) {
    await rejects(read({ host }), refused(`Cannot serve on ${host}: other machines need a token, found none`));
    equal((await read({ host }, { env: { GOCORE_SERVE_TOKEN: "s3cret" } })).host, host);
  }
  for (const host of ["127.0.0.1", "localhost", "::1", "[::1]"]) equal((await read({ host })).token, undefined);
  for (const token of ["two words", "a\nb", "naïve"]) {
    await rejects(
      read({}, { env: { GOCORE_SERVE_TOKEN: token } }),
      refused("Cannot use GOCORE_SERVE_TOKEN: need visible ASCII characters, found others"),
    );
  }
});
