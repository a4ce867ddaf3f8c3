/** The JSON of the API, declared once: validation, types and the OpenAPI document come from these schemas. */
import * as z from "zod/mini";

const count = z.int().check(z.nonnegative());
/** UTC, ISO 8601. */
const time = z.string();
const maybeTime = z.nullable(time);
/** USD; null: nobody knows. */
const usd = z.nullable(z.number());

export const runKinds = ["mini", "session", "manager"] as const;
export type RunKind = typeof runKinds[number];

/** Why somebody should look; `failed` and `cut_off` until something newer of the same kind and source went well. */
export const attentionKinds = ["needs_answer", "blocked", "stalled", "failed", "cut_off"] as const;

const spending = {
  /** Null as soon as a call's price is unknown. */
  cost_usd: usd,
  /** Of the calls whose price is known. */
  known_cost_usd: z.number(),
  calls: count,
} as const;

/** One run of any kind, as a list shows it. */
export const entry = z.object({
  kind: z.enum(runKinds),
  id: z.string(),
  /** The task, or the issue's title; its first line, at most 300 characters. */
  title: z.string(),
  /** The kind's own word, or `cut_off` (no end in its log, and nobody carries it out), or `unreadable`. */
  status: z.string(),
  running: z.boolean(),
  attention: z.array(
    z.object({ kind: z.enum(attentionKinds), text: z.string(), worker: z.nullable(z.string()), since: maybeTime }),
  ),
  agents: z.array(z.string()),
  models: z.array(z.string()),
  /** The issue's address or file, or the folder that is worked on. */
  source: z.nullable(z.string()),
  folder: z.string(),
  started_at: maybeTime,
  ended_at: maybeTime,
  last_event_at: maybeTime,
  /** Seconds, up to now for one that goes on. */
  elapsed_seconds: z.number(),
  ...spending,
  /** 0 to 100; null: it cannot be told. */
  progress: z.nullable(z.number()),
  /** What came of it, or why it failed, in a sentence. */
  summary: z.nullable(z.string()),
});
export type Entry = z.infer<typeof entry>;

/** Query of `GET /api/history`: newest first. */
export const historyQuery = z.strictObject({
  kind: z.optional(z.enum(runKinds)),
  /** Exactly this status; `running` also means all that go on. */
  status: z.optional(z.string()),
  /** Words, all of which have to be in the task, the errors or the results. */
  q: z.optional(z.string()),
  /** Of `next` of the page before. */
  cursor: z.optional(z.string()),
  limit: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(500)), 50),
});
export type HistoryQuery = z.infer<typeof historyQuery>;

export const historyPage = z.object({
  entries: z.array(entry),
  next: z.nullable(z.string()),
  /** Of all pages. */
  total: count,
  /** While the index is being made: how many of how many folders have been read. */
  indexing: z.nullable(z.object({ done: count, total: count })),
});
export type HistoryPage = z.infer<typeof historyPage>;

/** What `GET /api/about` says: what this server shows, and what it can start. */
export const about = z.object({
  version: z.string(),
  /** `session`: that of one orchestration, which this process carries out. */
  mode: z.enum(["all", "session"]),
  session_id: z.nullable(z.string()),
  runs_root: z.nullable(z.string()),
  workspace: z.nullable(z.string()),
  mini_workdirs: z.array(z.string()),
  can_start: z.array(z.enum(runKinds)),
});
export type About = z.infer<typeof about>;

export const costFields = ["day", "model", "agent", "run"] as const;
export const costsQuery = z.strictObject({
  by: z._default(z.enum(costFields), "day"),
  /** Days, UTC, `2026-11-21`. */
  since: z.optional(z.string().check(z.regex(/^\d{4}-\d{2}-\d{2}$/, "has to be a day such as 2026-11-21"))),
  until: z.optional(z.string().check(z.regex(/^\d{4}-\d{2}-\d{2}$/, "has to be a day such as 2026-11-21"))),
  /** Only what this model has cost, or this agent, named as in the rows of `by`. */
  model: z.optional(z.string()),
  agent: z.optional(z.string()),
});
export type CostsQuery = z.infer<typeof costsQuery>;
export const costs = z.object({
  by: z.enum(costFields),
  rows: z.array(z.object({ key: z.string(), ...spending, input_tokens: count, output_tokens: count })),
  /** The ledgers that were read. */
  sources: z.array(z.string()),
  /** Those that could not be, and why. */
  problems: z.array(z.string()),
});
export type Costs = z.infer<typeof costs>;

const signature = z.nullable(z.record(z.string(), z.unknown()));

/** A manager run, whole: what its events and its files say. */
export const runRecord = z.object({
  run_id: z.string(),
  status: z.string(),
  running: z.boolean(),
  folder: z.string(),
  repo_path: z.nullable(z.string()),
  commit: z.nullable(z.string()),
  agent: z.nullable(z.string()),
  issue: z.object({
    title: z.string(),
    /** Only http and https; null for a file's. */
    url: z.nullable(z.string()),
    source: z.string(),
    number: z.nullable(z.int()),
  }),
  started_at: maybeTime,
  ended_at: maybeTime,
  elapsed_seconds: z.number(),
  ...spending,
  rationale: z.nullable(z.string()),
  verdict: z.nullable(z.string()),
  phases: z.array(
    z.object({
      phase: z.string(),
      status: z.string(),
      detail: z.string(),
      started_at: maybeTime,
      ended_at: maybeTime,
    }),
  ),
  workers: z.array(z.object({
    worker: z.string(),
    role: z.string(),
    agent: z.nullable(z.string()),
    status: z.string(),
    reason: z.string(),
    started_at: maybeTime,
    ended_at: maybeTime,
    ...spending,
    /** Its last words. */
    last_text: z.string(),
  })),
  environment: z.nullable(z.object({ tools: z.array(z.string()), sandbox: z.string(), notes: z.array(z.string()) })),
  candidates: z.array(z.object({
    candidate: z.string(),
    worker: z.string(),
    problem: z.nullable(z.string()),
    oracle_command: z.nullable(z.string()),
    script_bytes: count,
    chosen: z.boolean(),
    runs: z.array(z.object({
      stage: z.string(),
      commit: z.string(),
      run: count,
      outcome: z.string(),
      reason: z.string(),
      signature,
      duration_ms: z.number(),
    })),
    verdicts: z.array(z.object({
      stage: z.string(),
      verdict: z.string(),
      matches: count,
      runs: count,
      interval: z.array(z.number()),
      reason: z.string(),
      score: z.nullable(z.number()),
    })),
  })),
  minimization: z.nullable(z.object({
    candidate: z.string(),
    points: z.array(z.object({ calls: count, size: count, pass: z.string() })),
    /** Null while it goes on. */
    ended: z.nullable(z.object({
      start_size: count,
      size: count,
      calls: count,
      minimal_by: z.string(),
      removed_by_model: count,
      duration_ms: z.number(),
    })),
  })),
  hypotheses: z.array(z.object({
    hypothesis_id: z.string(),
    rank: count,
    score: z.nullable(z.number()),
    confidence: z.nullable(z.number()),
    mechanism: z.string(),
    evidence: z.array(z.object({ file: z.string(), line: z.nullable(z.int()), snippet: z.string() })),
    disconfirming_checks: z.array(z.string()),
    checks: z.array(
      z.object({ check: z.string(), speaks: z.nullable(z.enum(["for", "against"])), detail: z.string() }),
    ),
  })),
  /** What was proved, of the chosen candidate; null: nothing. */
  proof: z.nullable(z.object({
    verdict: z.string(),
    matches: count,
    runs: count,
    signature,
    /** Paths below `folder`. */
    reproducer: z.nullable(z.string()),
    verify: z.nullable(z.string()),
    text: z.nullable(z.string()),
  })),
  /** `final.md`; null: not yet. */
  final: z.nullable(z.string()),
  decision: z.record(z.string(), z.unknown()),
  run_done: z.record(z.string(), z.unknown()),
  /** The number of the last event that this takes account of; -1: none. */
  seq: z.int(),
});
export type RunRecord = z.infer<typeof runRecord>;

/** The seed's status of a manager run. */
export const runStatus = z.object({
  run_id: z.string(),
  run_state: z.string(),
  manager: z.object({
    session_name: z.string(),
    session_exists: z.boolean(),
    pane_tail: z.string(),
    issue_url: z.string(),
    pid: z.nullable(z.int()),
    phase: z.nullable(z.string()),
  }),
  workers: z.array(z.object({
    worker_id: z.string(),
    role: z.string(),
    status: z.string(),
    session_name: z.string(),
    session_exists: z.boolean(),
    worktree_path: z.string(),
    output_path: z.string(),
    script_path: z.string(),
    pane_tail: z.string(),
    reason: z.string(),
    agent: z.nullable(z.string()),
  })),
  summary: z.object({
    total: count,
    active: count,
    finished: count,
    failed: count,
    timeout: count,
    unknown: count,
    stopped: count,
  }),
  decision: z.record(z.string(), z.unknown()),
  run_done: z.record(z.string(), z.unknown()),
});

export type RunStatus = z.infer<typeof runStatus>;

export const statusQuery = z.strictObject({
  /** Of the end of each stream. */
  lines: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(5000)), 120),
});

/** A mini run, whole. */
export const miniRecord = z.object({
  run_id: z.string(),
  status: z.string(),
  running: z.boolean(),
  task: z.string(),
  model: z.nullable(z.string()),
  workdir: z.string(),
  started_at: maybeTime,
  ended_at: maybeTime,
  elapsed_seconds: z.number(),
  ...spending,
  steps: count,
  result: z.nullable(z.string()),
  exit_status: z.nullable(z.string()),
  /** Of the trajectory, or as far as the run has come; secrets masked. Tool calls and their results as the file has them. */
  messages: z.array(z.object({
    role: z.string(),
    content: z.string(),
    /** Commands that the message gives, and for a result which exit code they had. */
    commands: z.array(z.string()),
    exit_code: z.nullable(z.int()),
    time: maybeTime,
    cost_usd: usd,
  })),
  trajectory_path: z.nullable(z.string()),
  /** Whether `…/events/stream` has events of it. */
  has_events: z.boolean(),
  /** The number, which is its place in the log, of the last event that this takes account of; -1: none. */
  seq: z.int(),
});
export type MiniRecord = z.infer<typeof miniRecord>;

export const sourceQuery = z.strictObject({
  /** Relative to the repository. */
  file: z.string(),
  line: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(100_000_000)), 1),
  /** How many lines before and behind it. */
  context: z._default(z.coerce.number().check(z.int(), z.minimum(0), z.maximum(99)), 6),
});

export const sourceLines = z.object({
  file: z.string(),
  commit: z.nullable(z.string()),
  first_line: count,
  lines: z.array(z.string()),
});
export type SourceLines = z.infer<typeof sourceLines>;

export const fileList = z.object({
  files: z.array(z.object({ path: z.string(), size: count, modified_at: time })),
});
export type FileList = z.infer<typeof fileList>;

export const diff = z.object({
  /** From the session's base to what the workers have now; a worker's own worktree where one was asked for. */
  base: z.nullable(z.string()),
  workers: z.array(z.object({
    worker: z.string(),
    task: z.nullable(z.string()),
    files: z.array(z.object({ path: z.string(), added: z.nullable(count), removed: z.nullable(count) })),
    patch: z.string(),
    truncated: z.boolean(),
    problem: z.nullable(z.string()),
  })),
});
export type Diff = z.infer<typeof diff>;

export const diffQuery = z.strictObject({
  /** Left out: all. */
  worker: z.optional(z.string()),
});

export const usage = z.object({
  /** After each call; sums of the run so far per worker, in order of time. */
  points: z.array(z.object({
    time,
    worker: z.string(),
    model: z.nullable(z.string()),
    cost_usd: z.number(),
    unpriced_calls: count,
    input_tokens: count,
    output_tokens: count,
  })),
});
export type Usage = z.infer<typeof usage>;

export const timeline = z.object({
  spans: z.array(z.object({ worker: z.string(), state: z.string(), from: time, to: maybeTime, detail: z.string() })),
});
export type Timeline = z.infer<typeof timeline>;

export const scheduleList = z.object({
  entries: z.array(z.object({
    name: z.string(),
    cron: z.string(),
    timezone: z.nullable(z.string()),
    /** What it runs, as a person would write it. */
    target: z.string(),
    next_at: maybeTime,
    last_at: maybeTime,
    last_result: z.nullable(z.string()),
    running: z.boolean(),
    problem: z.nullable(z.string()),
  })),
});
export type ScheduleList = z.infer<typeof scheduleList>;

const text = z.string({ error: "has to be text" });
const needed = "has to be text that is not empty";
const filled = z.string({ error: needed }).check(z.regex(/\S/, needed));
const whole = (least: number, most: number) =>
  z.int({ error: "has to be a whole number" }).check(
    z.minimum(least, `has to be at least ${least}`),
    z.maximum(most, `has to be at most ${most}`),
  );
const amount = z.number({ error: "has to be a number" }).check(z.nonnegative("may not be less than 0"));

/** `POST /api/runs`: of the seed, and the flags of `gocore manager` that are no paths of programs. */
export const startRun = z.strictObject({
  /** This or `issue_file`. */
  issue_url: z.optional(filled),
  /** Absolute, on this machine. */
  issue_file: z.optional(filled),
  repo_path: z.optional(filled),
  workers: z.optional(whole(1, 16)),
  timeout_sec: z.optional(whole(1, 86_400)),
  agent: z.optional(filled),
  worker_model: z.optional(filled),
  manager_model: z.optional(filled),
  repro_validation_runs: z.optional(whole(1, 100)),
  if_changed: z.optional(z.boolean()),
});
export type StartRun = z.infer<typeof startRun>;
export const startedRun = z.object({ run_id: z.string(), run_done: z.string(), manager_session: z.string() });

export const startOrchestration = z.strictObject({
  /** May be left out for the demo. */
  task: z.optional(filled),
  target: z.optional(filled),
  agents: z.optional(z.array(filled)),
  budget_usd: z.optional(amount),
  verify: z.optional(filled),
  /** The built-in demo, which has a task of its own and needs no model. */
  demo: z.optional(z.boolean()),
}).check(z.refine(({ task, demo }) => task !== undefined || demo === true, { path: ["task"], error: needed }));
export type StartOrchestration = z.infer<typeof startOrchestration>;
export const startedSession = z.object({ session_id: z.string(), folder: z.string() });

export const startMini = z.strictObject({
  task: filled,
  workdir: z.optional(filled),
  model: z.optional(filled),
  profile: z.optional(filled),
  cost_limit: z.optional(amount),
  step_limit: z.optional(whole(0, 100_000)),
});
export type StartMini = z.infer<typeof startMini>;
export const startedMini = z.object({ run_id: z.string(), folder: z.string() });

const by = z.nullish(
  text.check(z.regex(/^[^\x00-\x1f\x7f]{1,100}$/, "has to be a name of 1 to 100 characters")),
);
export const noBody = z.strictObject({});
export const sendText = z.strictObject({
  /** `manager`: the run itself. */
  worker: filled.check(z.maxLength(200, "has to be at most 200 characters")),
  text: filled.check(z.maxLength(16_384, "has to be at most 16384 characters")),
  by,
});
export const sentText = z.object({ run_id: z.string(), worker: z.string(), sent: z.literal(true) });
export const stopBody = z.strictObject({
  /** Why. */
  text: z.nullish(text.check(z.maxLength(1000, "has to be at most 1000 characters"))),
  by,
});
export const stoppedRun = z.object({ run_id: z.string(), status: z.literal("stopped") });

export const runIds = z.object({ runs: z.array(z.string()), count });
export const sessionIds = z.object({ sessions: z.array(z.string()), count });
export const attention = z.object({ entries: z.array(entry) });
export const health = z.object({ ok: z.literal(true) });
export const openapi = z.record(z.string(), z.unknown());
export const failure = z.object({ error: z.string() });
