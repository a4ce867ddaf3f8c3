/** `gocore run`, `status`, `attach`, `send` and `stop` on a run with workers in real tmux. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import type { RunStatusReport } from "../../src/commands/manager/run_status.ts";
import { findProgram } from "../../src/process/find_program.ts";
import { git } from "../support/fake_agents.ts";
import { exists, type GocoreEnd, type GocoreRun, listing, Sandbox, until } from "../support/gocore.ts";

const ignore = Deno.build.os !== "linux" || findProgram("tmux", Deno.env.get("PATH")!, "/") === undefined;

/** Says what it was told, waits for the file `go`, and gives an answer that fails nowhere. */
const CODEX = `#!/bin/sh
[ "$1" = --version ] && { echo "codex-cli 0.0.1"; exit; }
for prompt; do :; done
event() { printf '{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"%s"}}\\n' "$1"; }
printf '{"type":"thread.started","thread_id":"t-1"}\\n{"type":"turn.started"}\\n'
case $prompt in *REPRO_BUILDER*) event "began" ;; *) event "was told: $prompt" ;; esac
echo note >>note.txt
until [ -e "$(dirname "$0")/go" ]; do sleep 0.1; done
printf '%s' '{"candidate_id":"c","script":"x","setup_commands":[],"oracle_command":"true {repro_file}",' >.gocore-task/a
printf '%s' '"claimed_failure_signature":"exit 1","file_extension":"sh"}' >>.gocore-task/a
mv .gocore-task/a .gocore-task/answer.json
event "done"
printf '{"type":"turn.completed","usage":{"input_tokens":3,"output_tokens":4}}\\n'
`;

const ISSUE = `# It divides by zero

\`\`\`
Traceback (most recent call last):
  File "x.py", line 2, in <module>
    mean([])
ZeroDivisionError: division by zero
\`\`\`
`;

class Place implements AsyncDisposable {
  private constructor(readonly box: Sandbox, readonly env: Record<string, string>) {}

  static async create(): Promise<Place> {
    const box = await Sandbox.create();
    const program = await box.file("agents/codex", CODEX);
    await Deno.chmod(program, 0o755);
    await box.file("issue.md", ISSUE);
    await Deno.mkdir(join(box.root, "tmux"));
    return new Place(box, {
      PATH: `${join(box.root, "agents")}:${Deno.env.get("PATH")}`,
      OPENAI_API_KEY: "sk-nobody-is-asked-with-this",
      TMUX_TMPDIR: join(box.root, "tmux"),
      USER: "ivg",
    });
  }

  get folder(): string {
    return join(this.box.root, "runs", "r.1");
  }

  start(command: string, ...args: string[]): Promise<GocoreRun> {
    const place = ["--run-id", "r.1", "--runs-root", join(this.box.root, "runs")];
    const issue = command === "run" || command === "manager"
      ? [
        ...["--issue-file", join(this.box.root, "issue.md"), "--rounds", "1", "--repro-validation-runs", "1"],
        ...["--poll-interval-sec", "0.2", "--no-bisect"],
      ]
      : [];
    return this.box.start([command, ...place, ...issue, ...args], { env: this.env });
  }

  async run(command: string, ...args: string[]): Promise<GocoreEnd> {
    return await (await this.start(command, ...args)).end;
  }

  async status(): Promise<RunStatusReport> {
    return JSON.parse((await this.run("status", "--json")).stdout);
  }

  async tmux(...args: string[]): Promise<string> {
    const { stdout } = await new Deno.Command("tmux", { args, env: { TMUX_TMPDIR: this.env.TMUX_TMPDIR! } }).output();
    return new TextDecoder().decode(stdout);
  }

  async log(type: string): Promise<Record<string, unknown>[]> {
    const text = await Deno.readTextFile(join(this.folder, "events.jsonl")).catch(() => "");
    return text.split("\n").filter((line) => line.includes(`"type":"${type}"`)).flatMap((line) => {
      try {
        return [JSON.parse(line).data];
      } catch {
        return [];
      }
    });
  }

  /** Waits until both workers are at work. */
  async working(): Promise<void> {
    await until("both workers have begun", async () => {
      const events = await this.log("worker.event");
      return new Set(events.map(({ worker }) => worker)).size === 2;
    });
  }

  async go(): Promise<void> {
    await this.box.file("agents/go", "");
  }

  /** That nothing is left of the run but its folder and what was saved. */
  async nothingLeft(): Promise<void> {
    await until("the tmux server has ended", async () => await this.tmux("list-sessions") === "");
    await this.box.noProcessLeft();
    deepEqual(await listing(this.box.tmp), []);
    equal((await git(this.box.workdir, "worktree", "list")).split("\n").length, 1);
    deepEqual(agentsLeft(this.box.root), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A test that has failed would leave it, and workers have no mark by which they could be found.
    await this.go();
    await this.run("stop");
    await this.tmux("kill-server");
    await this.box[Symbol.asyncDispose]();
  }
}

function agentsLeft(root: string): string[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    try {
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      return command.includes(join(root, "agents", "codex")) ? [command] : [];
    } catch {
      return [];
    }
  });
}

Deno.test({
  name: "a detached run is watched, told something and stopped, and nothing is left of it",
  ignore,
  fn: async () => {
    await using place = await Place.create();
    const { box, folder } = place;
    const begun = await place.run("run", "--detach");
    deepEqual([begun.code, begun.stdout.split("\n"), begun.stderr], [0, [
      "run_id=r.1",
      "manager_session=codorch-r_1-manager",
      `run_done=${folder}/run_done.json`,
      "",
    ], ""]);
    await place.working();

    const status = await place.status();
    deepEqual([status.run_state, status.summary.active, status.manager.session_exists], ["running", 2, true]);
    deepEqual(
      status.workers.map(({ worker_id, role, agent, status, session_name, session_exists, worktree_path }) => ({
        ...{ worker_id, role, agent, status, session_name, session_exists, worktree_path },
      })),
      ["w1", "w2"].map((worker) => ({
        worker_id: worker,
        role: "REPRO_BUILDER",
        agent: "codex",
        status: "running",
        session_name: `codorch-r_1-${worker}`,
        session_exists: true,
        worktree_path: join(box.tmp, `mminions-r.1-${worker}`),
      })),
    );
    match(status.workers[0]!.pane_tail, /"text":"began"/);
    match(status.manager.pane_tail, /w2 REPRO_BUILDER running/);

    const attach = await place.run("attach", "--worker", "w1");
    deepEqual([attach.code, attach.stdout], [0, "tmux attach-session -t =codorch-r_1-w1\n"]);
    await until(
      "its session shows what it does",
      async () => /^2\S+Z says +began$/m.test(await place.tmux("capture-pane", "-p", "-t", "=codorch-r_1-w1:")),
    );
    const shown = await place.run("status", "--lines", "9");
    match(shown.stdout, /^== w1\n2\S+Z starts +codex, attempt 1\n2\S+Z status +Session started\n2\S+Z says +began$/m);

    const sent = await place.run("send", "--worker", "w1", "--text", "Try 3.13");
    deepEqual([sent.code, sent.stdout, sent.stderr], [0, "", "w1 (codex) is told, and goes on with it\n"]);
    await until(
      "it says so",
      async () =>
        (await place.log("worker.event")).some(({ event }) => JSON.stringify(event).includes("was told: Try 3.13")),
    );
    const launches = (await place.log("worker.launched")).map((one) => `${one.worker} ${one.attempt} ${one.resumes}`);
    deepEqual(launches.sort(), ["w1 1 null", "w1 2 t-1", "w2 1 null"]);
    const asked = await place.run("send", "--worker", "manager", "--text", "status");
    deepEqual([asked.code, asked.stderr], [0, "running, reproduce; w1 running; w2 running\n"]);

    const stopped = await place.run("stop", "--reason", "enough");
    deepEqual([stopped.code, stopped.stdout, stopped.stderr], [0, "", "r.1 is stopped\n"]);
    const done = JSON.parse(await Deno.readTextFile(join(folder, "run_done.json")));
    deepEqual([done.run_id, done.status], ["r.1", "stopped"]);
    const after = await place.status();
    deepEqual([after.run_state, after.summary.stopped, after.decision.status], ["stopped", 2, "stopped"]);
    equal(await git(box.workdir, "show", "refs/gocore/saved/r_1/w1:note.txt"), "note\nnote");
    const again = await place.run("stop");
    deepEqual([again.code, again.stderr], [0, "r.1 has ended already: stopped\n"]);
    await place.nothingLeft();
  },
});

Deno.test({
  name: "workers go on when their manager is killed, and the next one takes them over",
  ignore,
  fn: async () => {
    await using place = await Place.create();
    const manager = await place.start("manager");
    await place.working();
    manager.kill("SIGKILL");
    await manager.end;
    const status = await place.status();
    deepEqual([status.run_state, status.manager.pid, status.summary.active], ["cut_off", null, 2]);
    match((await place.run("send", "--worker", "w1", "--text", "x")).stderr, /Nobody carries out r\.1 now/);
    const next = await place.start("manager");
    await until("they are taken over", async () => (await place.log("worker.started")).length === 4);
    await place.go();
    const { code, stdout } = await next.end;
    equal(code, 1, "its answer reproduces nothing");
    match(stdout, /w1 REPRO_BUILDER .*finished/);
    deepEqual((await place.log("worker.launched")).map(({ worker }) => worker).sort(), ["w1", "w2"]);
    deepEqual((await place.log("worker.started")).map(({ adopted }) => adopted), [false, false, true, true]);
    deepEqual((await place.log("worker.exited")).map(({ outcome }) => outcome), ["completed", "completed"]);
    await place.nothingLeft();
  },
});

Deno.test({
  name: "stop ends what a killed manager has left running",
  ignore,
  fn: async () => {
    await using place = await Place.create();
    const manager = await place.start("manager");
    await place.working();
    manager.kill("SIGKILL");
    await manager.end;
    const stopped = await place.run("stop");
    deepEqual([stopped.code, stopped.stderr], [0, "r.1 is stopped\n"]);
    const { run_state, summary, run_done } = await place.status();
    deepEqual([run_state, summary.stopped, run_done.status], ["stopped", 2, "stopped"]);
    await place.nothingLeft();
  },
});

Deno.test({
  name: "Ctrl-C ends a run that is waited for, with its manager and its workers",
  ignore,
  fn: async () => {
    await using place = await Place.create();
    const run = await place.start("run");
    await place.working();
    run.kill("SIGINT");
    const { code, stdout } = await run.end;
    equal(code, 130);
    match(stdout, /w1 REPRO_BUILDER running/);
    equal(JSON.parse(await Deno.readTextFile(join(place.folder, "run_done.json"))).status, "stopped");
    await place.nothingLeft();
  },
});

Deno.test({
  name: "a run that cannot begin says why, also when nobody waits for it",
  ignore,
  fn: async () => {
    await using place = await Place.create();
    await Deno.rename(join(place.box.workdir, ".git"), join(place.box.root, "git"));
    const { code, stderr } = await place.run("run", "--detach");
    equal(code, 2);
    match(stderr, /need a git repository, found none/);
    await Deno.rename(join(place.box.root, "git"), join(place.box.workdir, ".git"));
    ok(!await exists(join(place.folder, "run_done.json")));
    await place.nothingLeft();
  },
});
