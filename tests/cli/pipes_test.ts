/** Readers of stdout that go away, do not read, or cannot take what is written. */
import { deepStrictEqual as deepEqual, match, notStrictEqual, strictEqual as equal } from "node:assert/strict";
import {
  findPython,
  gocoreCommand,
  listing,
  quoted,
  readTrajectory,
  Sandbox,
  submit,
  until,
} from "../support/gocore.ts";

const SAVED = ".miniswe/data/last_run.traj.json";

Deno.test("a reader that leaves after the first line ends the run quietly, after saving", async () => {
  await using box = await Sandbox.create();
  const gone = `${box.root}/gone`;
  const replies = [{ commands: [`until [ -e ${quoted(gone)} ]; do sleep 0.05; done`] }, {
    commands: ["true"],
    repeat: 1000,
  }];
  const pipeline = `"$@" | { head -n 1; exec <&-; touch ${quoted(gone)}; }; echo "code \${PIPESTATUS[0]}" >&2`;
  const end = await box.run(["mini", "--headless", ...await box.script(replies), "-t", "x"], {
    wrapper: ["bash", "-c", pipeline, "bash"],
  });
  deepEqual(end.events.map(({ type }) => type), ["start"]);
  equal(end.stderr, "code 1\n");
  const trajectory = await readTrajectory(`${box.workdir}/${SAVED}`);
  notStrictEqual(trajectory.info.exit_status, "Submitted");
  equal(trajectory.messages.at(-1).role, "exit");
  equal(trajectory.info.model_stats.api_calls < 1000, true);
  await box.noProcessLeft();
});

Deno.test("a reader that leaves while the model thinks is noticed without a write", async () => {
  await using box = await Sandbox.create();
  const script = await box.script([{ commands: ["true"], delay_ms: 100_000_000 }]);
  // `read` takes the start event; then nobody has the pipe any more.
  const pipeline = `{ "$@"; echo $? > code; } | { read -r line; printf '%s\\n' "$line"; exec <&-; sleep 0; }`;
  const end = await box.run(["mini", "--headless", ...script, "-t", "x"], { wrapper: ["sh", "-c", pipeline, "sh"] });
  equal(end.events[0]!.type, "start");
  equal(await Deno.readTextFile(`${box.workdir}/code`), "1\n");
  const trajectory = await readTrajectory(`${box.workdir}/${SAVED}`);
  equal(trajectory.info.exit_status, "OutputClosed");
});

Deno.test("a reader that leaves before the first line, and --help for one, end quietly", async () => {
  await using box = await Sandbox.create();
  const late = `"$@" | true; echo "code \${PIPESTATUS[0]}" >&2`;
  // The reader is gone before anything is written: gocore starts when the pipe's other end is closed.
  const gone = quoted(`${box.root}/gone`);
  const closed = `exec 3>&1; { until [ -e ${gone} ]; do sleep 0.02; done; "$@"; echo "code $?" >&2; } | ` +
    `{ exec <&-; touch ${gone}; }`;
  const args = ["mini", "--headless", ...await box.script([submit()]), "-t", "x"];
  const [run, help] = await Promise.all([
    box.run(args, { wrapper: ["bash", "-c", closed, "bash"] }),
    box.run(["--help"], { wrapper: ["bash", "-c", late, "bash"] }),
  ]);
  deepEqual([run.stdout, run.stderr], ["", "code 1\n"]);
  match(help.stderr, /^code [01]\n$/);
});

async function endWithoutReader(flags: string[], signal?: Deno.Signal): Promise<{ code: number; exitStatus: string }> {
  await using box = await Sandbox.create();
  const replies = [{ commands: ["head -c 400000 /dev/zero | tr '\\0' x"], repeat: 1000 }];
  const [program, ...args] = gocoreCommand();
  const child = new Deno.Command(program!, {
    args: [
      ...args,
      ...["mini", "--headless", "-t", "x", "-c", "headless.max_output_length=0", "-l", "0", ...flags],
      ...await box.script(replies),
    ],
    cwd: box.workdir,
    clearEnv: true,
    env: await box.environment(),
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const deadline = setTimeout(() => child.kill("SIGKILL"), 300_000);
  try {
    if (signal !== undefined) {
      await until("a step is to be told that no pipe can hold", async () => {
        const logs = (await listing(box.workdir)).filter((path) => path.endsWith(".jsonl"));
        const texts = await Promise.all(logs.map((path) => Deno.readTextFile(`${box.workdir}/${path}`)));
        return texts.some((text) => text.includes('"role":"tool"'));
      });
      child.kill(signal);
    }
    const end = await child.status;
    equal(end.signal, null);
    await box.noProcessLeft();
    const trajectory = await readTrajectory(`${box.workdir}/${SAVED}`);
    return { code: end.code, exitStatus: trajectory.info.exit_status };
  } finally {
    clearTimeout(deadline);
    await child.stdout.cancel();
  }
}

Deno.test("a reader that never reads does not keep a run from ending at SIGTERM", async () => {
  deepEqual(await endWithoutReader([], "SIGTERM"), { code: 143, exitStatus: "Interrupted" });
});

Deno.test("a reader that never reads does not keep a run from ending at its wall time limit", async () => {
  deepEqual(await endWithoutReader(["--wall-time-limit", "3"]), { code: 1, exitStatus: "TimeExceeded" });
});

Deno.test("a full disk behind stdout is told on stderr", async () => {
  await using box = await Sandbox.create();
  const replies = [{ commands: ["true"], repeat: 1000 }];
  const end = await box.run(["mini", "--headless", ...await box.script(replies), "-t", "x"], {
    stdoutFile: "/dev/full",
  });
  equal(end.code, 1);
  match(end.stderr, /^Error: .*stdout/m);
  match(end.stderr, /space/i);
});

Deno.test("a closed stdin and a closed stderr disturb nothing", async () => {
  await using box = await Sandbox.create();
  const run = await box.mini([...await box.script([{ commands: ["cat; echo >&2 said"] }, submit()]), "-t", "x"], {
    wrapper: ["sh", "-c", 'exec "$@" <&- 2>&-', "sh"],
  });
  equal(run.finish.status, "success");
  equal(run.steps[0]!.output, "said\n");
});

const python = await findPython();

Deno.test({
  name: `a stdout that does not block, as some parents leave it, gets every line${
    python ? "" : " (ignored: no python3)"
  }`,
  ignore: python === undefined,
  fn: async () => {
    await using box = await Sandbox.create();
    const program =
      "import fcntl, os, sys; fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_NONBLOCK);" +
      "os.execv(sys.argv[1], sys.argv[1:])";
    // Far more than a pipe holds at once.
    const replies = [{ commands: ["head -c 400000 /dev/zero | tr '\\0' x"], repeat: 3 }, submit()];
    const run = await box.mini([
      ...await box.script(replies),
      ...["-t", "x", "-c", "headless.max_output_length=0"],
    ], { wrapper: [python!, "-c", program] });
    equal(run.finish.status, "success");
    deepEqual(run.steps.slice(0, 3).map(({ output }) => output.length), [400_000, 400_000, 400_000]);
  },
});
