/** Makes folders of runs as if they had been run: `deno run -A bench/serve/make_runs.ts FOLDER [COUNT]`. */
import { join } from "node:path";
import { encodeJsonLine } from "../../src/events/json_lines.ts";
import type { EventFact } from "../../src/events/event.ts";

/** Where the runs are, as `gocore serve` takes them. */
export interface MadeRuns {
  readonly runsRoot: string;
  readonly workspace: string;
  readonly workdir: string;
}

const WORDS = ("parser cache index timeout socket matrix convolve gradient login session cookie widget theme locale " +
  "upload retry queue worker thread mutex buffer stream header footer pixel canvas shader vertex normal sample").split(
    " ",
  );
const ISSUES = 400;
const WORKER_EVENTS = 60;

/** A third each of manager runs, sessions and mini runs; all have ended. */
export async function makeRuns(folder: string, count: number): Promise<MadeRuns> {
  const made = {
    runsRoot: join(folder, "runs"),
    workspace: join(folder, "workspace"),
    workdir: join(folder, "project"),
  };
  const minis = join(made.workdir, ".miniswe", "data", "runs");
  for (const path of [made.runsRoot, made.workspace, minis]) await Deno.mkdir(path, { recursive: true });
  const startMs = Date.now() - count * 60_000;
  for (let number = 0; number < count; number++) {
    const ms = startMs + number * 60_000;
    const stamp = new Date(ms).toISOString().replaceAll(/[-:]|\.\d+Z/g, "").replace("T", "_");
    if (number % 3 === 0) await makeManagerRun(join(made.runsRoot, `run-${stamp}`), { number, ms });
    else if (number % 3 === 1) await makeSession(join(made.workspace, `orch_${stamp}`), { number, ms });
    else await makeMini(join(minis, `${stamp}-${number}-0000.traj.json`), { number, ms, workdir: made.workdir });
  }
  return made;
}

interface Made {
  readonly number: number;
  readonly ms: number;
}

async function makeManagerRun(folder: string, { number, ms }: Made): Promise<void> {
  const issue = `https://github.com/o/r/issues/${number % ISSUES}`;
  const status = (["ok", "ok", "needs-human", "failed", "already-fixed"] as const)[number % 5]!;
  const facts: EventFact[] = [
    {
      type: "run.started",
      data: {
        run_id: "r",
        issue,
        repo_path: "/project",
        folder,
        version: "0.1.0",
        pid: 1,
        commit: "c0ffee",
        agent: "codex",
        workers: 2,
      },
    },
    {
      type: "issue.read",
      data: {
        title: `${sentence(number)} fails`,
        repo_slug: "o/r",
        issue_number: number % ISSUES,
        fingerprint: String(number),
        signals: 3,
        status: "ok",
        needs_human_reason: null,
      },
    },
    { type: "run.phase", data: { phase: "reproduce", status: "started", detail: "" } },
    launched("w1", "codex"),
    ...Array.from({ length: WORKER_EVENTS }, (_, at) => said("w1", "codex", number + at)),
    ...Array.from({ length: 10 }, (_, at) => answered("w1", number * 10 + at)),
    { type: "run.phase", data: { phase: "reproduce", status: "finished", detail: "" } },
    {
      type: "run.finished",
      data: {
        status,
        exit_code: status === "ok" ? 0 : 1,
        rationale: `${sentence(number + 7)} was ${status}`,
        candidate: null,
        verdict: null,
        duration_seconds: 50,
      },
    },
  ];
  await Deno.mkdir(folder);
  await writeLog(folder, facts, ms);
  await Deno.writeTextFile(join(folder, "final.md"), report(number));
  await Deno.writeTextFile(join(folder, "run_done.json"), "{}\n");
}

async function makeSession(folder: string, { number, ms }: Made): Promise<void> {
  const status = (["done", "done", "done", "failed", "escalated", "stopped"] as const)[number % 6]!;
  const facts: EventFact[] = [
    {
      type: "session.started",
      data: {
        session_id: "s",
        task: `Make ${sentence(number)} work\nwith tests`,
        target: `/projects/${number % ISSUES}`,
        folder,
        version: "0.1.0",
        pid: 1,
        base_commit: "c0ffee",
        branch: "main",
        shared: false,
        budget_usd: null,
      },
    },
    launched("claude", "claude"),
    ...Array.from({ length: WORKER_EVENTS }, (_, at) => said("claude", "claude", number + at)),
    ...Array.from({ length: 10 }, (_, at) => answered("claude", number * 10 + at)),
    {
      type: "session.finished",
      data: {
        status,
        exit_code: status === "done" ? 0 : 1,
        summary: `${sentence(number + 3)} is ${status}`,
        result_branch: null,
        result_commit: null,
        applied: false,
        report: "final.md",
        cost_usd: 0.1,
        duration_seconds: 60,
        open: [],
      },
    },
  ];
  await Deno.mkdir(folder);
  await writeLog(folder, facts, ms);
  await Deno.writeTextFile(join(folder, "final.md"), report(number));
}

async function makeMini(path: string, { number, ms, workdir }: Made & { readonly workdir: string }): Promise<void> {
  const exitStatus = number % 4 === 0 ? "LimitsExceeded" : "Submitted";
  const timestamp = (at: number) => (ms + at * 1000) / 1000;
  const messages = [
    { role: "system", content: "You are an engineer.", extra: { timestamp: timestamp(0) } },
    { role: "user", content: sentence(number), extra: { timestamp: timestamp(0) } },
    ...Array.from({ length: 30 }, (_, at) => [
      {
        role: "assistant",
        content: `I look at ${sentence(number + at)}`,
        extra: { cost: 0.001, timestamp: timestamp(at) },
      },
      { role: "tool", content: `${report(number + at)}`, extra: { returncode: 0, timestamp: timestamp(at) } },
    ]).flat(),
    {
      role: "exit",
      content: sentence(number + 5),
      extra: { exit_status: exitStatus, submission: "", timestamp: timestamp(31) },
    },
  ];
  const info = {
    run_id: path.split("/").at(-1)!.replace(".traj.json", ""),
    task: `Fix ${sentence(number)}`,
    workdir,
    config: { model: { model_name: "anthropic/claude-sonnet-4-5" } },
    model_stats: { instance_cost: 0.03, api_calls: 30 },
    exit_status: exitStatus,
    submission: "",
  };
  const document = { info, messages, trajectory_format: "mini-swe-agent-1.1" };
  await Deno.writeTextFile(path, JSON.stringify(document, null, 2) + "\n");
}

async function writeLog(folder: string, facts: readonly EventFact[], ms: number): Promise<void> {
  const lines = facts.map(({ type, data }, seq) =>
    encodeJsonLine({ seq, time: new Date(ms + seq * 500).toISOString(), type, data })
  );
  await Deno.writeTextFile(join(folder, "events.jsonl"), lines.join(""));
}

function launched(worker: string, agent: string): EventFact {
  return {
    type: "worker.launched",
    data: {
      worker,
      agent,
      task: null,
      review: null,
      attempt: 1,
      backend: "process",
      argv: [agent],
      workdir: "/w",
      cwd: "/w",
      branch: null,
      stream: "/s",
      stream_offset: 0,
      key_id: null,
      resumes: null,
      mark: "mark",
    },
  };
}

function said(worker: string, agent: string, number: number): EventFact {
  const payload = { text: `${sentence(number)} and then ${sentence(number + 1)}`, data: { output: report(number) } };
  const event = { type: "command" as const, agent, timestamp: "2026-01-01T00:00:00.000Z", payload };
  return { type: "worker.event", data: { worker, offset: number, event } };
}

function answered(worker: string, number: number): EventFact {
  return {
    type: "model.answered",
    data: {
      call: `call_${number}`,
      run: "r",
      worker,
      key: null,
      upstream: "u",
      dialect: "anthropic",
      streamed: true,
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "anthropic",
      "gen_ai.request.model": number % 20 < 10 ? "claude-sonnet-4-5" : "gpt-5",
      outcome: "answered",
      status: 200,
      attempts: 1,
      cost_usd: 0.01,
      cost_source: "list",
      usage_source: "provider",
      duration_ms: 1000,
      first_byte_ms: 100,
      overhead_ms: 1,
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.usage.input_tokens": 1000,
      "gen_ai.usage.output_tokens": 100,
      "gen_ai.usage.cache_read.input_tokens": 0,
      "gen_ai.usage.cache_creation.input_tokens": 0,
      "gen_ai.usage.reasoning.output_tokens": 0,
    },
  };
}

function sentence(number: number): string {
  const word = (at: number) => WORDS[(number * 7 + at * 13) % WORDS.length]!;
  return `the ${word(0)} of the ${word(1)} in ${word(2)}${number}`;
}

function report(number: number): string {
  return Array.from({ length: 8 }, (_, at) => `${sentence(number + at)}.`).join("\n") + "\n";
}

if (import.meta.main) {
  const [folder, count = "10000"] = Deno.args;
  if (folder === undefined) throw new Error("Name the folder");
  const { runsRoot, workspace, workdir } = await makeRuns(folder, Number(count));
  console.log(`gocore serve --runs-root ${runsRoot} --workspace ${workspace} --mini-workdir ${workdir}`);
}
