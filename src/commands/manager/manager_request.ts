/** What a manager run is to do: a new one as the flags say, or one that is there, as it was told then. */
import { join } from "node:path";
import { Failure } from "../../failure.ts";
import type { Io } from "../../terminal/io.ts";
import {
  checkedRunId,
  type ManagerFlags,
  type ManagerOptions,
  readManagerSettings,
  readRunsRoot,
} from "./read_settings.ts";
import { findRunFolder, issueName, readRun, readRunOptions, supervisorOf } from "./run_folder.ts";
import type { ManagerRequest } from "./run_manager.ts";

export interface RequestFlags extends ManagerFlags {
  readonly resume?: string;
  readonly ifChanged?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/**
 * `--resume`, or the id of a run that is there, goes on with that run; the flags of its start hold. A stable id whose run
 * has ended is given to a new run, and the old one is kept under another name.
 */
export async function readManagerRequest(
  { resume, ifChanged = false, quiet = false, json = false, ...flags }: RequestFlags,
  { env, cwd, now }: Pick<Io, "env" | "cwd" | "now">,
): Promise<ManagerRequest> {
  const showing = { quiet, json };
  const request = { flags, env, cwd, now };
  const id = resume ?? flags.runId;
  if (id !== undefined) {
    const runsRoot = await readRunsRoot(request);
    const folder = resume === undefined ? join(runsRoot, checkedRunId(id)) : await findRunFolder(runsRoot, id);
    const options = await readRunOptions(folder);
    if (options !== undefined) {
      await checkIssue(options, { flags, request });
      return { options, showing, ifChanged };
    }
    if (resume !== undefined) {
      throw new Failure("environment", `Cannot go on with "${id}": its options are gone`, {
        hints: ["Start a new run with the issue's flags"],
      });
    }
  }
  const options = await readManagerSettings(request);
  if (flags.stableRunId !== true) return { options, showing, ifChanged };
  const { folder } = options.settings;
  const former = await readRunOptions(folder);
  if (former === undefined) return { options, showing, ifChanged };
  const { state } = await readRun(folder);
  // Whoever carries it out has the issue's lock, too: that is told then.
  if (state.finish === null || supervisorOf(folder) !== undefined) return { options: former, showing, ifChanged };
  return { options, showing, ifChanged, replaces: true };
}

/** A run is about one issue. */
async function checkIssue({ settings }: ManagerOptions, { flags, request }: {
  readonly flags: ManagerFlags;
  readonly request: Parameters<typeof readManagerSettings>[0];
}): Promise<void> {
  if (flags.issueUrl === undefined && flags.issueFile === undefined) return;
  const { settings: { issue } } = await readManagerSettings(request);
  if (issueName(issue) === issueName(settings.issue)) return;
  throw new Failure("usage", `Cannot go on with "${settings.runId}": it is about ${issueName(settings.issue)}`, {
    hints: ["Leave the issue out to go on with it, or name another --run-id for a new run"],
  });
}
