/** The clean places of a run: where they are, and what must not be seen from them. */
import { join } from "node:path";
import { Failure } from "../../failure.ts";
import type { Repository } from "../../git/repository.ts";
import type { CleanPlaces } from "../../manager/ports.ts";
import { runCommand } from "../../process/spawn.ts";
import { createCleanPlaces } from "./places/clean_places.ts";
import type { ManagerOptions } from "./read_settings.ts";

/** Beside the workers' checkouts: in the run's folder, which may be in the repository, they would find its modules. */
export function placesFolder(runId: string, env: Readonly<Record<string, string>>): string {
  return join(temporaryFolder(env), `mminions-${runId}-places`);
}

/** Throws a `Failure` when somebody else has their folder, or the sandbox that was asked for cannot be had. */
export async function createPlaces({ settings, sandbox }: ManagerOptions, { repository, env, signal }: {
  readonly repository: Repository;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}): Promise<CleanPlaces> {
  const { runId, folder: runFolder, rounds, workers } = settings;
  const folder = placesFolder(runId, env);
  const found = await Deno.lstat(folder).catch(() => undefined);
  if (found !== undefined && (!found.isDirectory || found.uid !== Deno.uid())) {
    throw new Failure("environment", `Cannot make "${folder}": there is something of that name that is not ours`, {
      hints: ["Start with another --run-id"],
    });
  }
  const checkouts = Array.from(
    { length: (rounds + 1) * workers },
    (_, index) => join(temporaryFolder(env), `mminions-${runId}-w${index + 1}`),
  );
  return await createCleanPlaces({
    repository,
    settings,
    folder,
    hidden: [runFolder, ...checkouts],
    env,
    sandbox,
    run: runCommand,
    signal,
  });
}

function temporaryFolder({ TMPDIR }: Readonly<Record<string, string>>): string {
  return TMPDIR || "/tmp";
}
