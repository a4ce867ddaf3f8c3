/** Starts `gocore mini` on a task, for a client of the server. */
import { basename, join } from "node:path";
import { type EventData, eventData } from "../../events/event.ts";
import { JsonLinesDecoder } from "../../events/json_lines.ts";
import { Failure, messageOf } from "../../failure.ts";
import { Refused, type Starter } from "../../http/ports.ts";
import type { StartMini } from "../../http/schemas.ts";
import { readProcess } from "../../process/process_tree.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { makeRunsRoot } from "../manager/run_folder.ts";
import { PROCESS_JSON, STREAM_JSONL } from "./entries/mini_entry.ts";
import { asField, needFolder, orRefuse } from "./request_errors.ts";
import type { StartContext } from "./start_context.ts";
import { refusalFrom, startProcess, untilBegun } from "./started_process.ts";

type Answer = Awaited<ReturnType<Starter["mini"]>>;

/** What it says before it works. */
interface Opening {
  readonly start: EventData<"start"> | undefined;
  readonly error: EventData<"error"> | undefined;
}

const TRAJECTORY_JSON = "trajectory.json";
const HEAD_BYTES = 512 * 1024;

/** Answers when the run has read its settings. Throws `Refused`: 400, or 503 with what the run said. */
export async function startMiniRun(request: StartMini, { places, io, redactor }: StartContext): Promise<Answer> {
  await needFolder("workdir", request.workdir);
  const folder = await orRefuse(() => newFolder(places.runsRoot, io.now()));
  const stream = join(folder, STREAM_JSONL);
  const flags = {
    task: request.task,
    workdir: request.workdir ?? places.workdir,
    model: request.model,
    profile: request.profile,
    "cost-limit": request.cost_limit,
    "step-limit": request.step_limit,
    output: join(folder, TRAJECTORY_JSON),
  };
  const args = Object.entries(flags).flatMap(([name, value]) => value === undefined ? [] : [`--${name}=${value}`]);
  // It would outdo the flag.
  const { MINI_WORKDIR: _, ...env } = io.env;
  const startedAt = new Date(io.now()).toISOString();
  let hasBegun = false;
  try {
    const started = await startProcess(["mini", "--headless", ...args], {
      folder,
      files: { stdout: STREAM_JSONL, stderr: "stderr.log", exit: "mini.exit" },
      io: { cwd: io.cwd, env },
    });
    await untilBegun(started, async () => (await readOpening(stream)).start !== undefined);
    const { start } = await readOpening(stream);
    if (start === undefined) throw await refusalFrom(started, redactor);
    // What could not read its settings has no protocol yet, and ends.
    if (start.protocol === null) {
      await started.process.ended;
      const { error } = await readOpening(stream);
      throw new Refused(error?.type === "UsageError" ? 400 : 503, asField(error?.error ?? "It ended before it began"));
    }
    const { pid, workdir, task, model } = start;
    // Of one that has ended already a number that nobody has.
    const start_ticks = readProcess(pid)?.startTicks ?? 0;
    const process = { pid, start_ticks, workdir, task, model, started_at: startedAt };
    await writeFileAtomic(join(folder, PROCESS_JSON), JSON.stringify(process, null, 2) + "\n", { mode: 0o600 });
    hasBegun = true;
    return { run_id: basename(folder), folder };
  } finally {
    if (!hasBegun) await Deno.remove(folder, { recursive: true });
  }
}

/** `mini-20260205123000`, in UTC; with a number behind it when there is one already. */
async function newFolder(runsRoot: string, nowMs: number): Promise<string> {
  const first = join(runsRoot, `mini-${new Date(nowMs).toISOString().replaceAll(/\D/g, "").slice(0, 14)}`);
  for (let number = 2, folder = first;; number++) {
    try {
      await makeRunsRoot(runsRoot);
      await Deno.mkdir(folder, { mode: 0o700 });
      return folder;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        throw new Failure("environment", `Cannot make "${folder}": ${messageOf(error)}`, { cause: error });
      }
      folder = `${first}-${number}`;
    }
  }
}

async function readOpening(path: string): Promise<Opening> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(HEAD_BYTES);
  const length = await file.read(buffer) ?? 0;
  const lines = new JsonLinesDecoder().push(buffer.subarray(0, length));
  const dataOf = <T extends "start" | "error">(type: T) => {
    const line = lines.find((line) =>
      line.kind === "value" && (line.value as { type?: unknown } | null)?.type === type
    );
    const data = line?.kind === "value" ? (line.value as { data?: unknown }).data : undefined;
    return eventData[type].safeParse(data).data as EventData<T> | undefined;
  };
  return { start: dataOf("start"), error: dataOf("error") };
}
