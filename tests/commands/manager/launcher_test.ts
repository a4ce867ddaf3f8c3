/** Workers of a run as they are really started: worktrees, files, sandbox, sessions, and what is left of them. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { findProgram } from "../../../src/process/find_program.ts";
import { NUDGE } from "../../../src/manager/supervise.ts";
import { namesIn } from "../../support/temp_dir.ts";
import { testsInOwnProcess } from "../../process/own_process.ts";
import { CODEX, withWorkers, type Workers } from "./workers.ts";

const ignore = Deno.build.os !== "linux";
const hasTmux = findProgram("tmux", Deno.env.get("PATH")!, "/") !== undefined;
const hasSandbox = findProgram("bwrap", Deno.env.get("PATH")!, "/") !== undefined;
const register = testsInOwnProcess(import.meta.url);
const test = (name: string, fn: () => Promise<void>, more: { ignore?: boolean } = {}) =>
  register({ name, fn, ignore: ignore || more.ignore });

/** Waits for a fact. */
async function until(claim: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${claim}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const launches = ({ log }: Workers) => log.flatMap((fact) => fact.type === "worker.launched" ? [fact.data] : []);

test("a worker answers by its file, and nothing of it is left but its record", () =>
  withWorkers(async (workers) => {
    const { folder, tmp, supervisor, git, ledger } = workers;
    // Some agents do not read what git ignores.
    const prompt = `cat .gocore-task/issue.md >.gocore-task/note; ignored=$(git check-ignore .gocore-task/issue.md); ` +
      `printf '{"script": "%s", "ignored": "%s"}' "$(pwd)" "$ignored" >.gocore-task/answer.json; ` +
      `say '{"script": "said"}'`;
    const [answer] = await supervisor.run([workers.order("w1", prompt)]);
    deepEqual(answer, {
      worker: "w1",
      role: "REPRO_BUILDER",
      status: "finished",
      reason: "",
      objects: [{ script: join(tmp, "mminions-r1-w1"), ignored: "" }],
    });
    deepEqual(namesIn(tmp), [], "its worktree is gone");
    equal((await git("worktree", "list")).split("\n").length, 1);
    equal(await git("for-each-ref", "refs/gocore"), "", "it has changed nothing, its task is no change");
    deepEqual(ledger.keys().map(({ state, worker }) => [state, worker]), [["ended", "w1"]]);
    deepEqual(namesIn(folder), ["agents", "answers", "prompts", "scripts", "telemetry"]);
    equal(await Deno.readTextFile(`${folder}/answers/w1.txt`), `{"script": "${tmp}/mminions-r1-w1", "ignored": ""}`);
    equal(await Deno.readTextFile(`${folder}/prompts/repro-w1.txt`), `${prompt}\n`);
    match(await Deno.readTextFile(`${folder}/telemetry/worker-repro-w1.jsonl`), /^{"type":"thread.started"/);
    deepEqual(namesIn(`${folder}/agents/w1`), ["exit-1", "home", "stderr-1.log"]);
  }));

test("what a worker has changed is kept under a ref before its worktree goes", () =>
  withWorkers(async (workers) => {
    const { supervisor, git, log } = workers;
    await supervisor.run([workers.order("w1", "echo new >new.txt; echo 9 >>a.txt; say '{}'")]);
    const saved = log.flatMap((fact) => fact.type === "work.saved" ? [fact.data] : []);
    deepEqual(saved.map(({ worker, ref, files }) => [worker, ref, files]), [["w1", "refs/gocore/saved/r1/w1", 2]]);
    equal(await git("show", "refs/gocore/saved/r1/w1:new.txt"), "new");
    equal(await git("ls-tree", "--name-only", "refs/gocore/saved/r1/w1"), ".gitignore\na.txt\nbin\nnew.txt");
  }));

test("the record starts the same again, from the prompt's file, without the key", () =>
  withWorkers(async (workers) => {
    const { folder, supervisor, ledger } = workers;
    const prompt = `echo '$HOME "x"' >.gocore-task/it\\'s; say '{}'\nIt's "quoted" $(touch evil) \`touch evil\``;
    await supervisor.run([workers.order("w1", prompt)]);
    const script = await Deno.readTextFile(`${folder}/scripts/repro-w1.sh`);
    const worktree = join(workers.tmp, "mminions-r1-w1");
    deepEqual(script.split("\n"), [
      "#!/bin/sh",
      "# w1 (REPRO_BUILDER, attempt 1) of r1, as it was started; then it was in a sandbox, with limits.",
      `cd ${worktree} || exit`,
      `export HOME=${folder}/agents/w1/home`,
      `export TMPDIR=${folder}/agents/w1/tmp`,
      `export CODEX_HOME=${folder}/agents/w1/home/.codex`,
      ': "${GOCORE_KEY:?is the key of a gateway}" && export GOCORE_KEY',
      "export NO_COLOR=1",
      `prompt=$(cat ${folder}/prompts/repro-w1.txt) || exit`,
      `exec ${CODEX} exec --json --dangerously-bypass-approvals-and-sandbox -C ${worktree} -- "$prompt"`,
      "",
    ]);
    equal((await Deno.stat(`${folder}/scripts/repro-w1.sh`)).mode! & 0o777, 0o700);
    await Deno.mkdir(join(worktree, ".gocore-task"), { recursive: true });
    const run = (env: Record<string, string>) =>
      new Deno.Command("sh", {
        args: [`${folder}/scripts/repro-w1.sh`],
        clearEnv: true,
        env: { ...workers.env, ...env },
      })
        .output();
    equal((await run({})).success, false, "it needs a key");
    const { success, stdout } = await run({ GOCORE_KEY: "k" });
    ok(success);
    match(new TextDecoder().decode(stdout), /"type":"turn.completed"/);
    deepEqual(namesIn(join(worktree, ".gocore-task")), ["it's"]);
    equal(ledger.keys().length, 1);
  }));

test(
  "a TRIAGER writes nothing but its answer, and a builder nothing beyond its worktree",
  () =>
    withWorkers(async (workers) => {
      const { supervisor, git, folder } = workers;
      const attempt = (path: string) => ` (echo x >>${path}) 2>/dev/null && echo ${path}`;
      const common = `${workers.repository.commonDir}/config`;
      const tries = ["a.txt", ".git", common, `${workers.repository.root}/a.txt`].map(attempt);
      const prompt = `wrote=$(${tries.join("; ")}); printf '{"wrote": "%s"}' "$wrote" >.gocore-task/answer.json`;
      const [builder, triager] = await supervisor.run([
        workers.order("w1", prompt),
        workers.order("w2", prompt, { role: "TRIAGER", outputPath: "triage/w2.json" }),
      ]);
      deepEqual(builder!.objects, [{ wrote: "a.txt" }]);
      deepEqual(triager!.objects, [{ wrote: "" }]);
      deepEqual(namesIn(`${folder}/scripts`), ["repro-w1.sh", "triage-w2.sh"]);
      equal(await git("status", "--porcelain"), "");
      ok(launches(workers).find(({ worker }) => worker === "w2")!.argv.includes("read-only"));
    }),
  { ignore: !hasSandbox },
);

test("links that a worker or a repository has put there are not followed", () =>
  withWorkers(async (workers) => {
    const { dir, supervisor, git } = workers;
    const secret = join(dir, "secret.json");
    await Deno.writeTextFile(secret, '{"secret": 1}');
    await Deno.mkdir(join(dir, "elsewhere"));
    await Deno.symlink(join(dir, "elsewhere"), join(workers.repository.root, ".gocore-task"));
    await git("add", "-A");
    await git("commit", "-q", "-m", "A link");
    const { commit } = await workers.repository.head();
    const [first, second] = await supervisor.run([
      workers.order("w1", `ln -s ${secret} .gocore-task/answer.json; say '{"own": 1}'`, { commit }),
      workers.order("w2", `rm -r .gocore-task; ln -s ${dir} .gocore-task; say '{"own": 2}'`, { commit }),
    ]);
    deepEqual([first!.objects, second!.objects], [[{ own: 1 }], [{ own: 2 }]]);
    deepEqual(namesIn(join(dir, "elsewhere")), []);
  }));

test("workers have no secret of the person, and a key that ends with them", () =>
  withWorkers(async (workers) => {
    const [answer] = await workers.supervisor.run([
      workers.order(
        "w1",
        `env >.gocore-task/env; printf '{"key": "%s", "openai": "%s"}' "$GOCORE_KEY" ` +
          `"$(grep -c sk-not .gocore-task/env)" >.gocore-task/answer.json`,
      ),
    ]);
    const { key, openai } = answer!.objects[0]!;
    match(String(key), /^gck_/);
    equal(openai, "0");
    for (
      const text of [JSON.stringify(workers.log), await Deno.readTextFile(`${workers.folder}/scripts/repro-w1.sh`)]
    ) {
      ok(!text.includes(String(key)), "it stands nowhere");
    }
  }));

test("a prompt that is too long for an argument is cut, and stands as a whole in a file", () =>
  withWorkers(async (workers) => {
    const prompt = `say "{\\"bytes\\": $(wc -c <.gocore-task/prompt.md)}"\n${"é".repeat(200_000)}`;
    const [answer] = await workers.supervisor.run([workers.order("w1", prompt)]);
    deepEqual(answer!.objects, [{ bytes: new TextEncoder().encode(prompt).length }]);
    const told = launches(workers)[0]!.prompt as string;
    ok(new TextEncoder().encode(told).length <= 120 * 1024);
    match(told, /é\n\n\[The rest of this prompt is too long: read all of it in .gocore-task\/prompt.md]$/);
  }));

test("a stalled worker goes on in its session, in the worktree as it left it", () =>
  withWorkers(async (workers) => {
    const { supervisor } = workers;
    // What it is told as a nudge is no command, and its answer says what it has found.
    const prompt = `status() { :; }; echo half >half.txt; sleep 7200.5 & wait`;
    const run = supervisor.run([workers.order("w1", prompt)]);
    await until("it was nudged", () => launches(workers).length === 2);
    const [first, second] = launches(workers);
    equal(second!.prompt, NUDGE);
    match(second!.resumes!, /^thread-\d+$/);
    ok(second!.argv.join(" ").includes(`resume -- ${second!.resumes}`));
    equal(first!.workdir, second!.workdir);
    equal((await run)[0]!.status, "failed", "a nudge is no command that it knows");
  }, { stallMs: 400 }));

test("what runs too long ends with all that it has started", () =>
  withWorkers(async (workers) => {
    const [answer] = await workers.supervisor.run([workers.order("w1", "sleep 7201.5 & setsid sleep 7201.5 & wait")]);
    deepEqual([answer!.status, answer!.reason], ["timeout", "it took more than 1 s"]);
    const left = [...Deno.readDirSync("/proc")].filter(({ name }) => {
      try {
        return Deno.readTextFileSync(`/proc/${name}/cmdline`) === "sleep\x007201.5\0";
      } catch {
        return false;
      }
    });
    deepEqual(left, []);
    deepEqual(namesIn(workers.tmp), []);
  }, { timeoutMs: 1000 }));

test("a place that somebody else has taken is a failure of the worker, and is left alone", () =>
  withWorkers(async (workers) => {
    const path = join(workers.tmp, "mminions-r1-w1");
    await Deno.mkdir(path);
    await Deno.writeTextFile(join(path, "mine"), "");
    const [answer] = await workers.supervisor.run([workers.order("w1", "say '{}'")]);
    equal(answer!.status, "failed");
    match(answer!.reason, /^Cannot make the worktree ".*-w1": there is something of that name; Look at it/);
    deepEqual(namesIn(path), ["mine"]);
  }));

async function tmux({ env }: Workers, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("tmux", {
    args,
    clearEnv: true,
    env: { PATH: env.PATH!, TMUX_TMPDIR: env.TMUX_TMPDIR! },
  })
    .output();
  return new TextDecoder().decode(stdout);
}

test("a session of the person's own tmux shows the worker, and ends with it", () =>
  withWorkers(async (workers) => {
    const { supervisor, dir } = workers;
    const go = join(workers.tmp, "mminions-r1-w1", "go");
    const run = supervisor.run([workers.order("w1", "until [ -e go ]; do sleep 0.05; done; say '{}'")]);
    await until("the session shows what it does", async () =>
      (await tmux(workers, "capture-pane", "-p", "-t", "=codorch-r1-w1:")).includes("starts   codex, attempt 1"));
    equal(await tmux(workers, "list-sessions", "-F", "#{session_name}"), "codorch-r1-w1\n");
    // Nobody's session is ended but ours.
    await tmux(workers, "new-session", "-d", "-s", "own", "cat");
    await Deno.writeTextFile(go, "");
    equal((await run)[0]!.status, "finished");
    equal(await tmux(workers, "list-sessions", "-F", "#{session_name}"), "own\n");
    deepEqual(workers.problems, []);
    await tmux(workers, "kill-session", "-t", "=own");
    await until("the server is gone", async () =>
      await tmux(workers, "list-sessions") === "");
    ok(
      namesIn(dir).some((name) =>
        name.startsWith("tmux-")
      ),
    );
  }, { tmux: true }), { ignore: !hasTmux });

test("closing the session does not end the worker", () =>
  withWorkers(async (workers) => {
    const go = join(workers.tmp, "mminions-r1-w1", "go");
    const run = workers.supervisor.run([workers.order("w1", "until [ -e go ]; do sleep 0.05; done; say '{}'")]);
    await until("there is a session", async () => (await tmux(workers, "list-sessions")).includes("codorch-r1-w1"));
    await tmux(workers, "kill-session", "-t", "=codorch-r1-w1");
    await Deno.writeTextFile(go, "");
    equal((await run)[0]!.status, "finished");
  }, { tmux: true }), { ignore: !hasTmux });

test("without tmux workers run all the same, and it is told once", () =>
  withWorkers(async (workers) => {
    // Where tmux wants a folder for its sockets.
    await Deno.writeTextFile(join(workers.dir, `tmux-${Deno.uid()}`), "");
    const answers = await workers.supervisor.run(["w1", "w2"].map((name) => workers.order(name, "say '{}'")));
    deepEqual(answers.map(({ status }) => status), ["finished", "finished"]);
    equal(workers.problems.length, 1);
    match(workers.problems[0]!, /^Cannot show "codorch-r1-w[12]" in tmux: /);
  }, { tmux: true }), { ignore: !hasTmux });
