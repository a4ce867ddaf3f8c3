/** A run of scripted workers from the outside: started, watched in a terminal, told, interrupted, taken up again. */
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { findProgram } from "../../src/process/find_program.ts";
import {
  exists,
  gocoreCommand,
  type GocoreEnd,
  listing,
  quoted,
  type Reply,
  type StreamEvent,
  until,
} from "../support/gocore.ts";
import { builder, ManagedIssue, TRIAGERS } from "../support/managed_issue.ts";

const SCRIPT = "import pkg\nnumbers = [1, 2]\nprint(pkg.mean(numbers))\npkg.mean(numbers[2:])\n";
const QUICK = ["--rounds", "1", "--repro-validation-runs", "3", "--no-semantic-cut", "--parallel", "2"];
const WORKERS = { w1: builder(SCRIPT), w2: builder("import pkg\npkg.mean([1])\n"), ...TRIAGERS };
const hasTmux = findProgram("tmux", Deno.env.get("PATH")!, "/") !== undefined;

/** tmux with a server of its own. */
class Tmux implements AsyncDisposable {
  readonly env: Record<string, string>;

  constructor(private readonly issue: ManagedIssue) {
    this.env = { TMUX_TMPDIR: join(issue.box.root, "tmux"), TERM: "xterm-256color" };
  }

  async run(...args: string[]): Promise<string> {
    const { stdout } = await new Deno.Command("tmux", {
      args,
      env: await this.issue.box.environment(this.env),
      clearEnv: true,
    }).output();
    return new TextDecoder().decode(stdout);
  }

  async sessions(): Promise<string[]> {
    return (await this.run("list-sessions", "-F", "#{session_name}")).split("\n").filter((name) => name !== "").sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run("kill-server");
  }
}

async function nothingLeft(issue: ManagedIssue): Promise<void> {
  deepEqual(await listing(issue.box.tmp), []);
  equal((await issue.git("worktree", "list")).split("\n").length, 1);
  equal(await issue.git("status", "--porcelain"), "");
  await issue.box.noProcessLeft();
}

Deno.test({
  name: "a detached run is watched in a terminal, told something, and ends ok",
  ignore: !hasTmux,
  fn: async () => {
    await using issue = await ManagedIssue.create();
    await using tmux = new Tmux(issue);
    await Deno.mkdir(tmux.env.TMUX_TMPDIR!);
    const waits: Reply = { commands: ["echo it has begun; until [ -e .gocore-task/go ]; do sleep 0.1; done"] };
    const about = ["--run-id", "r1", "--runs-root", issue.runs];
    const run = async (command: string, ...args: string[]): Promise<GocoreEnd> =>
      await issue.box.run([command, ...about, ...args], { env: tmux.env });
    const status = async () => JSON.parse((await run("status", "--json")).stdout);

    const flags = await issue.flags({ ...WORKERS, w1: [waits, ...WORKERS.w1], w2: [waits, ...WORKERS.w2] });
    const begun = await run("run", "--detach", "--issue-file", join(issue.box.root, "issue.md"), ...flags, ...[
      ...[...QUICK, "--backend", "tmux"],
    ]);
    deepEqual([begun.code, begun.stdout, begun.stderr], [
      0,
      `run_id=r1\nmanager_session=codorch-r1-manager\nrun_done=${issue.runs}/r1/run_done.json\n`,
      "",
    ]);
    await until("both workers have sessions", async () => (await tmux.sessions()).length === 3);
    deepEqual(await tmux.sessions(), ["codorch-r1-manager", "codorch-r1-w1", "codorch-r1-w2"]);

    // A person's terminal.
    const attach = [...gocoreCommand(), "attach", ...about, "--worker", "w1"].map(quoted).join(" ");
    await tmux.run("new-session", "-d", "-s", "person", "-x", "200", "-y", "50", `${attach}; echo ended $?; exec cat`);
    const screen = () => tmux.run("capture-pane", "-p", "-t", "=person:");
    // The status line of its session, which has ten columns for the name.
    await until("its session is shown", async () => (await screen()).includes("[codorch-r"));
    await tmux.run("send-keys", "-t", "=person:", "C-b", "d");
    await until("it is detached", async () => (await screen()).includes("ended 0"));
    await tmux.run("kill-session", "-t", "=person");
    equal((await status()).workers[0].session_exists, true, "who looks on can leave");

    const said = await run("status");
    match(said.stdout, /^r1: running, reproduce \(process \d+\)$/m);
    match(said.stdout, /^w1 +REPRO_BUILDER +mini +running +codorch-r1-w1/m);
    const kept = await run("send", "--worker", "w1", "--text", "Look at empty lists");
    match(kept.stderr, /^w1 \(mini\) cannot be told anything while it works: it is told when it is started again\n$/);
    const nobody = await run("send", "--worker", "w9", "--text", "x");
    deepEqual([nobody.code, nobody.stderr.split("\n")[0]], [2, 'Error: Cannot find the worker "w9"']);

    for (const name of ["w1", "w2"]) {
      await Deno.writeTextFile(join(issue.box.tmp, `mminions-r1-${name}`, ".gocore-task/go"), "");
    }
    await until("it has ended", async () => (await status()).run_done.status !== undefined);
    await until("its sessions are gone", async () => (await tmux.sessions()).length === 0);
    const end = await status();
    equal(end.run_state, "ok", JSON.stringify(end.decision));
    deepEqual(Object.keys(end), ["run_id", "run_state", "manager", "workers", "summary", "decision", "run_done"]);
    deepEqual(end.summary, { total: 4, active: 0, finished: 4, failed: 0, timeout: 0, unknown: 0, stopped: 0 });
    deepEqual(
      JSON.parse(await issue.read("sessions.json")),
      {
        manager: {
          session_name: "codorch-r1-manager",
          run_id: "r1",
          issue_url: join(issue.box.root, "issue.md"),
        },
        workers: Object.fromEntries(["w1", "w2", "w3", "w4"].map((name) => {
          const [role, place, script, answer] = name < "w3"
            ? ["REPRO_BUILDER", "repro", "repro", "repro/candidates"]
            : ["TRIAGER", "triage", "triage", "triage"];
          const folder = join(issue.runs, "r1");
          return [name, {
            session_name: `codorch-r1-${name}`,
            role,
            worktree_path: join(issue.box.tmp, `mminions-r1-${name}`),
            output_path: join(folder, answer, `${name}.json`),
            script_path: join(folder, "scripts", `${script}-${name}.sh`),
            telemetry_path: join(folder, "telemetry", `worker-${place}-${name}.jsonl`),
            status: "finished",
          }];
        })),
      },
    );
    const gone = await run("attach", "--worker", "manager");
    equal(gone.code, 1);
    match(gone.stderr, /there is no session "codorch-r1-manager" any more\nHint: [^\n]*manager\.log/);
    const sent = await run("send", "--worker", "manager", "--text", "status");
    deepEqual([sent.code, sent.stderr], [1, "r1 has ended already: ok\n"]);
    await nothingLeft(issue);
  },
});

const MOMENTS: readonly (readonly [name: string, signal: "SIGINT" | "SIGTERM", (event: StreamEvent) => boolean])[] = [
  ["a candidate is tried", "SIGTERM", ({ type }) => type === "candidate.run"],
  ["it is made smaller", "SIGINT", ({ type, data }) => type === "minimize.progress" && data.calls > 0],
];

for (const [name, signal, isMoment] of MOMENTS) {
  Deno.test(`${signal} while ${name} ends the run at once, and the next one goes on with it`, async () => {
    await using issue = await ManagedIssue.create();
    const run = await issue.start(WORKERS, [
      ...["--issue-file", join(issue.box.root, "issue.md"), "--run-id", "r1", "--json"],
      ...QUICK,
    ]);
    await run.event(name, isMoment);
    run.kill(signal);
    const { code, stderr } = await run.end;
    equal(code, signal === "SIGINT" ? 130 : 143, stderr);
    const { status, rationale } = await issue.decision();
    equal(status, "stopped");
    match(rationale, new RegExp(signal));
    equal(JSON.parse(await issue.read("run_done.json")).status, "stopped");
    match(await issue.read("final.md"), /^\*\*Stopped\*\*/);
    await nothingLeft(issue);

    const again = await issue.run(WORKERS, ["--resume", "r1"]);
    equal(again.code, 0, again.stdout + again.stderr);
    equal(JSON.parse(await issue.read("run_done.json")).status, "ok");
    await nothingLeft(issue);
  });
}

Deno.test("the second signal ends it at once; what that leaves, stop takes away", async () => {
  await using issue = await ManagedIssue.create();
  // Nobody who is asked to end does so.
  const deaf: Reply[] = [{ commands: ["trap '' TERM INT HUP; while :; do sleep 1; done"] }];
  const run = await issue.start({ w1: deaf, w2: deaf }, [
    ...["--issue-file", join(issue.box.root, "issue.md"), "--run-id", "r1", "--json"],
    ...QUICK,
  ]);
  await run.event("both workers", () => run.events.filter(({ type }) => type === "worker.event").length >= 2);
  run.kill("SIGINT");
  run.kill("SIGINT");
  equal((await run.end).code, 130);
  await issue.box.noProcessLeft();
  const about = ["--run-id", "r1", "--runs-root", issue.runs];
  const stopped = await issue.box.run(["stop", ...about]);
  equal(stopped.code, 0, stopped.stderr);
  equal(JSON.parse(await issue.read("run_done.json")).status, "stopped");
  await nothingLeft(issue);
});

Deno.test("a run goes on when whoever waits for it is killed, and is started once only", async () => {
  await using issue = await ManagedIssue.create();
  const about = ["--run-id", "r1", "--runs-root", issue.runs];
  const waits: Reply = { commands: ["until [ -e .gocore-task/go ]; do sleep 0.1; done"] };
  const flags = await issue.flags({ ...WORKERS, w1: [waits, ...WORKERS.w1] });
  const args = ["run", ...about, "--issue-file", join(issue.box.root, "issue.md"), ...flags, ...QUICK];
  const run = await issue.box.start(args);
  const task = join(issue.box.tmp, "mminions-r1-w1/.gocore-task");
  await until("its worker is there", () => exists(task));
  run.kill("SIGKILL");
  await run.end;
  const again = await issue.box.run(args);
  equal(again.code, 2);
  match(again.stderr, /^Error: Cannot start "r1": process \d+ carries it out\n/);
  await Deno.writeTextFile(join(task, "go"), "");
  await until("it has ended", () => exists(join(issue.runs, "r1/run_done.json")));
  equal((await issue.decision()).status, "ok");
  await issue.box.noProcessLeft();
  await nothingLeft(issue);
});
