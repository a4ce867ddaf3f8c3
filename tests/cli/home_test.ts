/** The `.miniswe` home, the workdir and the configuration, as a user of the command meets them. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { exists, GOCORE_BIN, listing, type MiniRun, Sandbox, submit } from "../support/gocore.ts";

const TASK = ["-t", "x"];

async function untracked(box: Sandbox): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", {
    args: ["status", "--porcelain", "--untracked-files=all"],
    cwd: box.workdir,
    clearEnv: true,
    env: await box.environment({ GIT_CONFIG_NOSYSTEM: "1" }),
  }).output();
  return new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.slice(3)).sort();
}

Deno.test("the first run makes the home, and later runs keep what is in it", async () => {
  await using box = await Sandbox.create();
  const home = `${box.workdir}/.miniswe`;
  const args = [...await box.script([{ commands: ["true"] }, submit()]), ...TASK];
  equal((await box.mini(args)).finish.status, "success");
  const made = (await listing(home)).filter((path) => path !== "data/runs/");
  deepEqual(made, [
    ".gitignore",
    "configs/",
    "configs/live.yaml",
    "data/",
    "data/last_run.traj.json",
    "logs/",
    "logs/debug.log",
  ]);
  await Deno.writeTextFile(`${home}/configs/.env`, "A=b\n");
  deepEqual(await untracked(box), [".miniswe/.gitignore", ".miniswe/configs/live.yaml"]);

  const live = await Deno.readTextFile(`${home}/configs/live.yaml`);
  await Deno.writeTextFile(`${home}/configs/live.yaml`, `${live}\n# mine\n`);
  await Deno.writeTextFile(`${home}/.gitignore`, "mine\n");
  equal((await box.mini(args)).finish.status, "success");
  equal(await Deno.readTextFile(`${home}/configs/live.yaml`), `${live}\n# mine\n`);
  equal(await Deno.readTextFile(`${home}/.gitignore`), "mine\n");
});

Deno.test("configs/.env adds to the environment and never overrides it", async () => {
  await using box = await Sandbox.create();
  await box.file("work/.miniswe/configs/.env", `\ufeffFROM_FILE=file\r\nexport BOTH="file"\r\nEMPTY=file\r\n# no\r\n`);
  const script = await box.script([{ commands: ['echo "$FROM_FILE|$BOTH|$EMPTY"'] }, submit()]);
  const run = await box.mini([...script, ...TASK], { env: { BOTH: "environment", EMPTY: "" } });
  equal(run.steps[0]!.output, "file|environment|\n");
});

Deno.test("configs/.env can hold the workdir-independent switches and the key of a run", async () => {
  await using box = await Sandbox.create();
  await box.file("work/.miniswe/configs/.env", "MSWEA_MODEL_NAME=scripted/../scripts/0.yaml\n");
  await box.script([submit()]);
  await box.file("work/.miniswe/configs/live.yaml", "agent: {}\n");
  const run = await box.mini(TASK);
  equal(run.finish.status, "success");
});

Deno.test("MINI_WORKDIR wins over --workdir, which wins over the current directory", async () => {
  await using box = await Sandbox.create();
  const [variable, flag, cwd] = await Promise.all(["variable", "flag", "cwd"].map((name) => box.repository(name)));
  const args = [...await box.script([{ commands: ["pwd"] }, submit()]), ...TASK];
  const [first, second, third] = await Promise.all([
    box.mini([...args, "--workdir", flag!], { cwd, env: { MINI_WORKDIR: variable! } }),
    box.mini([...args, "--workdir", "../flag"], { cwd }),
    box.mini(args, { cwd }),
  ]);
  for (const [run, expected] of [[first, variable], [second, flag], [third, cwd]] as [MiniRun, string][]) {
    equal(run.start.workdir, expected);
    equal(run.steps[0]!.output, `${expected}\n`);
    equal(run.finish.trajectory_path, `${expected}/.miniswe/data/last_run.traj.json`);
  }
});

Deno.test("--output names the trajectory's file, folders included", async () => {
  await using box = await Sandbox.create();
  const args = [...await box.script([submit()]), ...TASK];
  const run = await box.mini([...args, "--output", "out/deep/run.json"]);
  equal(run.finish.trajectory_path, `${box.workdir}/out/deep/run.json`);
  const unwritable = await box.mini([...args, "-w", await box.repository("other"), "--output", "/proc/no/run.json"]);
  equal(unwritable.finish.trajectory_path, `${box.root}/other/.miniswe/data/last_run.traj.json`);
  ok(unwritable.logs.some(({ level, content }) => level === "error" && content.includes("/proc/no/run.json")));
});

Deno.test("a workdir that cannot be worked in is an error with a hint", async () => {
  await using box = await Sandbox.create();
  const file = await box.file("a-file", "");
  const blocked = await box.repository("blocked");
  await Deno.writeTextFile(`${blocked}/.miniswe`, "a file where the home should be\n");
  const args = [...await box.script([submit()]), ...TASK];
  // Even the superuser cannot make folders below /proc.
  const runs = await Promise.all(
    [`${box.root}/missing`, file, "/proc/self", blocked].map(async (workdir) => ({
      workdir,
      run: await box.mini([...args, "-w", workdir], { noTrajectory: true }),
    })),
  );
  for (const { workdir, run } of runs) {
    equal(run.code, 1, workdir);
    ok(run.error!.error.includes(workdir), run.error!.error);
    ok(run.error!.hints.length > 0, run.error!.error);
  }
  equal(await exists(`${box.root}/missing`), false);
});

Deno.test("a missing profile is a warning and the safe defaults", async () => {
  await using box = await Sandbox.create();
  const run = await box.mini([...await box.script([submit()]), ...TASK, "--profile", "nowhere"]);
  equal(run.finish.status, "success");
  ok(
    run.logs.some(({ level, content }) => level === "warning" && content.includes("nowhere")),
    JSON.stringify(run.logs),
  );
  deepEqual([run.start.limits.steps, run.start.limits.cost_usd], [1000, 5]);
});

Deno.test("a profile is used by its name, and live without one", async () => {
  await using box = await Sandbox.create();
  await box.file("work/.miniswe/configs/live.yaml", "agent: {step_limit: 11}\n");
  await box.file("work/.miniswe/configs/fast.yaml", "agent: {step_limit: 22}\n");
  const args = [...await box.script([submit()]), ...TASK];
  const live = await box.mini(args);
  const fast = await box.mini([...args, "-p", "fast"]);
  deepEqual([live.start.limits.steps, fast.start.limits.steps], [11, 22]);
  ok(fast.start.config.some((source) => source.includes("fast.yaml")), fast.start.config.join(" "));
});

Deno.test("mistakes in configuration files name file, line, column and key", async () => {
  await using box = await Sandbox.create();
  const script = await box.script([submit()]);
  const cases: [name: string, text: string, ...message: RegExp[]][] = [
    ["syntax", "agent:\n  step_limit: [1, 2\nmodel: {}\n", /syntax\.yaml:\d+:\d+/],
    ["tab", "agent:\n\tstep_limit: 1\n", /tab\.yaml:2:\d+/],
    ["top", "- a\n- b\n", /top\.yaml/, /mapping/],
    ["text", "agent:\n  cost_limit: 1\n  step_limit: many\n", /text\.yaml:3:\d+/, /agent\.step_limit/, /many/],
    ["bool", "agent:\n  cost_limit: true\n", /bool\.yaml:2:\d+/, /agent\.cost_limit/],
    ["negative", "agent: {cost_limit: -1}\n", /negative\.yaml:1:\d+/, /agent\.cost_limit/],
    ["section", "agent: 5\n", /section\.yaml:1:\d+/, /agent/],
    ["nested", "model:\n  model_kwargs: [1]\n", /nested\.yaml:2:\d+/, /model\.model_kwargs/],
    ["choice", "model:\n  cost_tracking: maybe\n", /choice\.yaml:2:\d+/, /cost_tracking/, /ignore_errors/],
    ["two", "agent:\n  step_limit: a\n  cost_limit: b\n", /two\.yaml:2:\d+/, /two\.yaml:3:\d+/],
    ["template", "agent:\n  system_template: '{{ nobody }}'\n", /agent\.system_template/, /nobody/],
  ];
  await Promise.all(cases.map(async ([name, text, ...message]) => {
    const cwd = await box.repository(name);
    const config = await box.file(`configs/${name}.yaml`, text);
    const run = await box.mini([...script, ...TASK, "-c", config], { cwd, noTrajectory: name !== "template" });
    equal(run.code, name === "template" ? 1 : 2, `${name}: ${run.error!.error}`);
    for (const pattern of message) match(run.error!.error, pattern);
  }));
});

Deno.test("several -c are merged in order, and values beat files", async () => {
  await using box = await Sandbox.create();
  await box.file("a.yaml", "agent: {step_limit: 7, cost_limit: 7}\nenvironment: {env: {A: a, B: a}, timeout: 99}\n");
  await box.file("b.yaml", "agent: {cost_limit: 8}\nenvironment: {env: {B: b}}\nsurprise: {deep: [1]}\n");
  const run = await box.mini([
    ...await box.script([{ commands: ['echo "$A $B $C"'] }, submit()]),
    ...TASK,
    ...["-c", "../a.yaml", "-c", "../b.yaml", "-c", "environment.env.C=c d", "-c", "agent.step_limit=9"],
  ]);
  equal(run.steps[0]!.output, "a b c d\n");
  deepEqual([run.start.limits.steps, run.start.limits.cost_usd], [9, 8]);
  const { config } = run.trajectory.info;
  equal(config.environment.timeout, 99);
  const log = await Deno.readTextFile(`${box.workdir}/.miniswe/logs/debug.log`);
  match(log, /surprise/, "an unknown key is a line for whoever looks for it");
  equal(run.logs.some(({ level }) => level === "warning" || level === "error"), false, JSON.stringify(run.logs));
});

Deno.test("a -c file that does not exist, and a value without a key, are usage errors", async () => {
  await using box = await Sandbox.create();
  const script = await box.script([submit()]);
  const [missing, nameless] = await Promise.all(
    [["nope.yaml", "a"], ["=3", "b"]].map(async ([spec, name]) =>
      await box.mini([...script, ...TASK, "-c", spec!], { cwd: await box.repository(name!), noTrajectory: true })
    ),
  );
  deepEqual([missing!.code, nameless!.code], [2, 2]);
  match(missing!.error!.error, /nope\.yaml/);
});

Deno.test("an API base that comes from the repository's .env is told, one from the environment is not", async () => {
  await using box = await Sandbox.create();
  const addresses = "MINI_API_BASE=http://127.0.0.1:9\nAZURE_OPENAI_ENDPOINT=http://127.0.0.1:7\n";
  await box.file("work/.miniswe/configs/.env", addresses);
  const args = [...await box.script([submit()]), ...TASK];
  const [told, silent] = [await box.mini(args), await box.mini(args, { env: { MINI_API_BASE: "http://127.0.0.1:8" } })];
  const about = ({ logs }: typeof told) => logs.filter(({ content }) => content.includes("MINI_API_BASE"));
  equal(about(told).length, 1);
  match(about(told)[0]!.content, /configs\/\.env decides where model calls go: http:\/\/127\.0\.0\.1:9$/);
  equal(about(silent).length, 0);
  ok(silent.logs.some(({ content }) => content.startsWith("AZURE_OPENAI_ENDPOINT from ")));
});

Deno.test({
  name: "in a folder whose name is no UTF-8 a run works with --workdir, and fails with words without it",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using box = await Sandbox.create();
    const enter = `folder=$(printf 'odd\\377'); mkdir -p "$folder" && cd "$folder" && exec "$@"`;
    const wrapper = ["sh", "-c", enter, "sh"];
    const args = [...await box.script([submit()]), ...TASK];
    const elsewhere = await box.mini([...args, "-w", box.workdir], { wrapper });
    const here = await box.mini(args, { wrapper, noTrajectory: true });
    deepEqual([elsewhere.code, elsewhere.finish.status, here.code, here.finish.status], [0, "success", 1, "error"]);
    match(here.error!.error, /^Cannot work in .*UTF-8/);
  },
});

Deno.test({
  name: `a limit on the length of files ends a run with its whole stream, not by a signal${
    GOCORE_BIN === undefined ? " (ignored: GOCORE_BIN names no compiled binary)" : ""
  }`,
  // Deno itself writes files when it runs the sources.
  ignore: GOCORE_BIN === undefined || Deno.build.os !== "linux",
  fn: async () => {
    await using box = await Sandbox.create();
    const args = [...await box.script([{ commands: ["seq 1 20000"], repeat: 9 }, submit()]), ...TASK];
    const limited = ["bash", "-c", 'ulimit -f 64; exec "$@"', "bash"];
    const { finish, error } = await box.mini(args, { wrapper: limited, noTrajectory: true });
    deepEqual([finish.status, error?.type], ["error", "EnvironmentError"]);
    match(error!.error, /file too large/i);
  },
});
