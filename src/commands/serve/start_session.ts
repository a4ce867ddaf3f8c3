/** Starts `gocore orchestrate` on a task, for a client of the server. */
import { join } from "node:path";
import { Refused, type Starter } from "../../http/ports.ts";
import type { StartOrchestration } from "../../http/schemas.ts";
import type { Io } from "../../terminal/io.ts";
import { DemoProject } from "../demo/demo_project.ts";
import { writeDemoSession } from "../demo/demo_session.ts";
import { readOptions } from "../orchestrate/read_options.ts";
import { type OrchestrateFlags, saveOptions } from "../orchestrate/saved_options.ts";
import { LOG_NAME, newSessionFolder } from "../orchestrate/session_folder.ts";
import { needFolder, orRefuse } from "./request_errors.ts";
import type { StartContext } from "./start_context.ts";
import { hasContent, refusalFrom, startProcess, untilBegun } from "./started_process.ts";

type Answer = Awaited<ReturnType<Starter["orchestration"]>>;

const FILES = { stdout: "orchestrate.log", stderr: "orchestrate.err", exit: "orchestrate.exit" };
/** In the workspace; no session has such a name. */
const DEMOS = ".demos";

/**
 * Answers when somebody supervises the session and its log has begun. It is made here and gone on with there, so that the
 * task is in no command line. Throws `Refused`: 400, or 503 with what the process said.
 */
export async function startSession(request: StartOrchestration, context: StartContext): Promise<Answer> {
  const { places: { workspace }, redactor } = context;
  await needFolder("target", request.target);
  const { io, flags } = request.demo ? await demoOf(request, context) : { io: context.io, flags: flagsOf(request) };
  const { given } = await orRefuse(() =>
    readOptions({ env: io.env, cwd: io.cwd, flags: { ...flags, workspace, dashboard: false } })
  );
  const { id, folder } = await orRefuse(() => newSessionFolder(workspace, io.now()));
  const log = join(folder, LOG_NAME);
  try {
    await orRefuse(() => saveOptions(folder, given, { redactor }));
    await Deno.writeTextFile(log, "", { createNew: true });
    const args = ["orchestrate", `--resume=${id}`, `--workspace=${workspace}`, "--no-dashboard"];
    const started = await startProcess(args, { folder, files: FILES, io });
    if (await untilBegun(started, () => hasContent(log))) return { session_id: id, folder };
    throw await refusalFrom(started, redactor);
  } finally {
    if (!await hasContent(log)) await Deno.remove(folder, { recursive: true });
  }
}

function flagsOf({ task, target, agents, budget_usd: budget, verify }: StartOrchestration): OrchestrateFlags {
  return { task, target, agents: agents?.join(","), budget, verify };
}

/** It has agents, a check and a project of its own, which stays: the session leads to it. */
async function demoOf(
  request: StartOrchestration,
  { places: { workspace }, io }: StartContext,
): Promise<{ io: Io; flags: OrchestrateFlags }> {
  const own = (["target", "agents", "verify", "budget_usd"] as const).find((field) => request[field] !== undefined);
  if (own !== undefined) throw new Refused(400, `${own}: the demo has its own`);
  const demos = join(workspace, DEMOS);
  await Deno.mkdir(demos, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: demos, prefix: "demo-" });
  const project = await DemoProject.create(join(folder, "versions"), io);
  if (!project.hasGit) {
    await Deno.remove(folder, { recursive: true });
    throw new Refused(503, "The demo needs git, which is not installed or does not work here");
  }
  return { io: { ...io, env: project.env }, flags: await writeDemoSession(folder, project) };
}
