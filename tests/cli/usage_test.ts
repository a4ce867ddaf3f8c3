/** Wrong command lines and the help that prevents them. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { checkMini, exists, Sandbox, submit } from "../support/gocore.ts";

const HELP = new URL("help/", import.meta.url);

Deno.test("--version prints the version of deno.json", async () => {
  await using box = await Sandbox.create();
  const end = await box.run(["--version"]);
  deepEqual([end.code, end.stdout.trim(), end.stderr], [0, `gocore ${config.version}`, ""]);
  equal(await exists(`${box.workdir}/.miniswe`), false, "nothing is made for a question");
});

for (
  const command of [
    "",
    "mini",
    "demo",
    "orchestrate",
    ...["list", "show", "pause", "resume", "stop", "review", "answer"].map((name) => `orchestrate ${name}`),
    ...["run", "status", "attach", "send", "stop"],
    "serve",
    "report",
    "minimize",
    "eval",
    "eval numpy-convolve",
    "gateway",
    "gateway report",
    "gateway key",
    "gateway key issue",
    "gateway key end",
    "gateway key list",
  ]
) {
  const args = command === "" ? [] : command.split(" ");
  const name = args.length === 0 ? "gocore" : args.join("_");
  Deno.test(`${["gocore", ...args].join(" ")} --help prints what help/${name}.txt says`, async () => {
    await using box = await Sandbox.create();
    const [long, short] = await Promise.all([box.run([...args, "--help"]), box.run([...args, "-h"])]);
    deepEqual([long.code, long.stderr], [0, ""]);
    equal(long.stdout, short.stdout);
    const file = new URL(`${name}.txt`, HELP);
    if (Deno.env.get("GOCORE_UPDATE_HELP") === "1") await Deno.writeTextFile(file, long.stdout);
    equal(long.stdout, await Deno.readTextFile(file), "after a wanted change: set GOCORE_UPDATE_HELP=1 once");
    ok(long.stdout.split("\n").every((line) => line.length <= 110), "help fits a terminal");
    equal(await exists(`${box.workdir}/.miniswe`), false);
  });
}

Deno.test("wrong usage of a headless run is an error on the stream and exit code 2", async () => {
  await using box = await Sandbox.create();
  const script = await box.script([submit()]);
  const cases: [args: string[], message: RegExp][] = [
    [[...script], /no task/i],
    [[...script, "--task", "  \n "], /no task/i],
    [[...script, "-t", "x", "--modle", "y"], /unknown option "--modle"/i],
    [[...script, "-t", "x", "-Z"], /unknown option "-Z"/i],
    [[...script, "-t", "x", "--cost-limit", "many"], /cost-limit.*many/i],
    [[...script, "-t", "x", "--cost-limit", "-1"], /cost-limit/i],
    [[...script, "-t", "x", "--cost-limit", "NaN"], /cost-limit.*NaN/i],
    [[...script, "-t", "x", "--step-limit", "1.5"], /step-limit.*1\.5/i],
    [[...script, "-t", "x", "--wall-time-limit", ""], /wall-time-limit/i],
    [[...script, "-t", "x", "--protocol", "smoke"], /protocol.*smoke/i],
    [[...script, "-t", "x", "extra"], /too many arguments|unexpected/i],
    [[...script, "--task"], /task.*missing/i],
    [["--model", "scripted/missing.yaml", "-t", "x"], /missing\.yaml/],
    [["--model", "nonsense", "-t", "x"], /nonsense/],
    [["--model", "antropic/claude-sonnet-4", "-t", "x"], /antropic/],
  ];
  await Promise.all(cases.map(async ([args, message], index) => {
    const cwd = await box.repository(`case-${index}`);
    const end = await box.run(["mini", "--headless", ...args], { cwd });
    const trajectory = end.events.find(({ type }) => type === "finish")?.data as { trajectory_path?: string | null };
    const run = await checkMini(end, { noTrajectory: trajectory?.trajectory_path === null });
    const shown = JSON.stringify(args.slice(script.length));
    match(run.error!.error, message, shown);
    equal(run.code, args[0] === "--model" && args[1]!.startsWith("scripted/missing") ? run.code : 2, shown);
    equal(run.finish.status, "error");
    equal(run.cost.calls, 0);
    ok(run.error!.hints.length > 0 || run.error!.error.length > 20, `there is something to go on: ${shown}`);
  }));
});

Deno.test("a mistyped flag or command is answered with the one that was meant", async () => {
  await using box = await Sandbox.create();
  const [flag, command, headless, provider] = await Promise.all([
    box.run(["mini", "--taks", "x"]),
    box.run(["mni", "--headless"]),
    box.run(["mini", "--headless", "--taks", "x"]),
    box.run(["mini", "--headless", "-t", "x", "-m", "antropic/claude-sonnet-4"]),
  ]);
  deepEqual([flag.code, flag.stdout], [2, ""]);
  match(flag.stderr, /^Error: .*--taks/m);
  match(flag.stderr, /^Hint: .*--task/m);
  deepEqual([command.code, command.stdout], [2, ""]);
  match(command.stderr, /mni/);
  match(command.stderr, /^Hint: .*mini/m);
  const hintsOf = (end: typeof headless) =>
    end.events.flatMap((event) => event.type === "error" ? event.data.hints : []).join("\n");
  match(hintsOf(headless), /--task/);
  match(hintsOf(provider), /anthropic/);
});

Deno.test("no command, and a run that would need a person, are refused with a hint", async () => {
  await using box = await Sandbox.create();
  const [none, interactive] = await Promise.all([box.run([]), box.run(["mini", "--task", "x"])]);
  for (const end of [none, interactive]) {
    deepEqual([end.code, end.stdout], [2, ""]);
    match(end.stderr, /^Error: /);
    match(end.stderr, /^Hint: /m);
  }
});

Deno.test("hostile arguments reach the terminal escaped", async () => {
  await using box = await Sandbox.create();
  const end = await box.run(["mini", "--bad\x1b]0;title\x07\x1b[2J"]);
  equal(end.code, 2);
  ok(!/[\x00-\x08\x0b-\x1f\x7f]/.test(end.stderr), JSON.stringify(end.stderr));
});
