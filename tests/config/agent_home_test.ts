import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { initializeAgentHome, resolveWorkdir } from "../../src/config/agent_home.ts";
import { Failure } from "../../src/failure.ts";

async function inTempDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function namesIn(dir: string): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(dir)) {
    names.push(entry.name);
    if (entry.isDirectory) {
      names.push(...(await namesIn(`${dir}/${entry.name}`)).map((name) => `${entry.name}/${name}`));
    }
  }
  return names.sort();
}

const COMPLETE = [".gitignore", "configs", "configs/live.yaml", "data", "logs"];

Deno.test("resolveWorkdir() prefers MINI_WORKDIR to the flag to the current directory, and makes them absolute", () => {
  const env = { HOME: "/home/u" };
  const cases: [Parameters<typeof resolveWorkdir>[0], string][] = [
    [{ env: { ...env, MINI_WORKDIR: "/variable" }, flag: "/flag", cwd: "/cwd" }, "/variable"],
    [{ env: { ...env, MINI_WORKDIR: "" }, flag: "/flag/", cwd: "/cwd" }, "/flag"],
    [{ env, flag: "../flag/./x", cwd: "/cwd" }, "/flag/x"],
    [{ env, flag: "", cwd: "/cwd" }, "/cwd"],
    [{ env, cwd: "/cwd" }, "/cwd"],
    [{ env, flag: "~/p", cwd: "/cwd" }, "/home/u/p"],
    [{ env, flag: "~", cwd: "/cwd" }, "/home/u"],
    [{ env, flag: "~other/p", cwd: "/cwd" }, "/cwd/~other/p"],
    [{ env: {}, flag: "~/p", cwd: "/cwd" }, "/cwd/~/p"],
  ];
  for (const [options, expected] of cases) equal(resolveWorkdir(options), expected);
});

Deno.test("initializeAgentHome() makes the home once and then changes nothing", () =>
  inTempDir(async (dir) => {
    const first = await initializeAgentHome(dir);
    deepEqual(first.created.map((path) => path.slice(`${dir}/.miniswe`.length)), [
      "",
      "/configs",
      "/data",
      "/logs",
      "/.gitignore",
      "/configs/live.yaml",
    ]);
    deepEqual(await namesIn(first.dir), COMPLETE);
    equal(first.trajectoryPath, `${dir}/.miniswe/data/last_run.traj.json`);
    equal(first.envFilePath, `${dir}/.miniswe/configs/.env`);
    const ignored = (await Deno.readTextFile(`${first.dir}/.gitignore`)).split("\n");
    for (const line of ["data/", "logs/", "configs/.env"]) ok(ignored.includes(line), line);

    await Deno.writeTextFile(`${first.configsDir}/live.yaml`, "mine: 1\n");
    await Deno.remove(first.logsDir);
    const second = await initializeAgentHome(dir);
    deepEqual(second.created, [first.logsDir]);
    equal(await Deno.readTextFile(`${first.configsDir}/live.yaml`), "mine: 1\n");
  }));

Deno.test("initializeAgentHome() may happen many times at once: each path is made by one of them, complete", () =>
  inTempDir(async (dir) => {
    const homes = await Promise.all(Array.from({ length: 16 }, () => initializeAgentHome(dir)));
    const created = homes.flatMap((home) => home.created);
    equal(created.length, 6);
    equal(new Set(created).size, 6);
    // No draft stays behind.
    deepEqual(await namesIn(`${dir}/.miniswe`), COMPLETE);
    match(await Deno.readTextFile(`${dir}/.miniswe/configs/live.yaml`), /model_name[^]*max_output_length: 10000\n$/);
  }));

Deno.test("initializeAgentHome() fails with a hint where it cannot work, and leaves nothing behind", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/file`, "");
    await Deno.mkdir(`${dir}/blocked`);
    await Deno.writeTextFile(`${dir}/blocked/.miniswe`, "");
    await Deno.mkdir(`${dir}/dangling`);
    await Deno.symlink("nowhere", `${dir}/dangling/.miniswe`);
    const cases: [string, RegExp][] = [
      [`${dir}/missing`, /need an existing directory, found nothing/],
      [`${dir}/file`, /need an existing directory, found a file/],
      [`${dir}/file/below`, /need an existing directory, found nothing/],
      [`${dir}/blocked`, /need a directory, found a file/],
      [`${dir}/dangling`, /need a directory, found a broken link/],
      // Even the superuser cannot make folders here.
      ["/proc/self", /can be written to/],
    ];
    for (const [workdir, message] of cases) {
      await rejects(initializeAgentHome(workdir), (error: unknown) => {
        ok(error instanceof Failure, String(error));
        equal(error.kind, "environment");
        match(error.message, message);
        ok(error.message.includes(workdir), error.message);
        ok(error.hints.length > 0);
        return true;
      });
    }
    deepEqual(await namesIn(dir), ["blocked", "blocked/.miniswe", "dangling", "dangling/.miniswe", "file"]);
  }));

Deno.test("initializeAgentHome() follows no link out of the workdir, and takes one inside it", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/elsewhere`);
    await Deno.mkdir(`${dir}/elsewhere-too`);
    await Deno.mkdir(`${dir}/project/.miniswe`, { recursive: true });
    await Deno.symlink(`${dir}/elsewhere`, `${dir}/project/.miniswe/data`);
    await rejects(initializeAgentHome(`${dir}/project`), /need a directory inside the workdir, found a link/);
    // A sibling whose name begins like the workdir's is outside, too.
    await Deno.mkdir(`${dir}/else`);
    await Deno.symlink(`${dir}/elsewhere-too`, `${dir}/else/.miniswe`);
    await rejects(initializeAgentHome(`${dir}/else`), /found a link/);
    deepEqual([await namesIn(`${dir}/elsewhere`), await namesIn(`${dir}/elsewhere-too`)], [[], []]);

    await Deno.mkdir(`${dir}/inside/kept`, { recursive: true });
    await Deno.symlink("kept", `${dir}/inside/.miniswe`);
    await initializeAgentHome(`${dir}/inside`);
    deepEqual(await namesIn(`${dir}/inside/kept`), COMPLETE);
  }));
