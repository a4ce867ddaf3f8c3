/** Clean places of a scratch repository, for one test. */
import { rejects } from "node:assert/strict";
import { join } from "node:path";
import { type CleanPlacesOptions, createCleanPlaces } from "../../../../src/commands/manager/places/clean_places.ts";
import type { Candidate, CleanPlaces, PreparedPlace, ScriptRun } from "../../../../src/manager/ports.ts";
import { runCommand } from "../../../../src/process/spawn.ts";
import { type Scratch, withScratch } from "../../../git/scratch_repository.ts";

export const never = new AbortController().signal;

export interface PlacesScratch extends Scratch {
  readonly places: CleanPlaces;
  readonly folder: string;
  /** Throws when it is not ready. */
  ready(candidate: Partial<Candidate>, commit?: string): Promise<PreparedPlace>;
}

type Candidates = Parameters<CleanPlaces["prepare"]>[0];

export function candidate(parts: Partial<Candidate>): Candidates {
  return {
    candidate_id: "c1",
    setup_commands: [],
    oracle_command: "sh {repro_file}",
    file_extension: "sh",
    ...parts,
  };
}

/** The repository has these files in its only commit. Afterwards nothing may be left of the places. */
export async function withPlaces(
  files: Readonly<Record<string, string>>,
  options: Partial<Omit<CleanPlacesOptions, "settings">> & {
    readonly settings?: Partial<CleanPlacesOptions["settings"]>;
  },
  work: (scratch: PlacesScratch) => Promise<void>,
): Promise<void> {
  await withScratch(async (scratch) => {
    await scratch.write(files);
    await scratch.git("add", "-A");
    await scratch.git("commit", "--quiet", "--allow-empty", "-m", "Files");
    const folder = options.folder ?? join(scratch.dir, "places");
    const { root, commonDir } = scratch.repository;
    const places = await createCleanPlaces({
      repository: { root, commonDir },
      folder,
      hidden: [],
      env: { PATH: scratch.env.PATH!, HOME: Deno.env.get("HOME")! },
      sandbox: "prefer",
      run: runCommand,
      signal: never,
      ...options,
      settings: {
        pythonVersion: "3",
        oracleTimeoutMs: 60_000,
        setupTimeoutMs: 120_000,
        allowNetwork: false,
        parallel: 4,
        ...options.settings,
      },
    });
    try {
      await work({
        ...scratch,
        places,
        folder,
        async ready(parts, commit = "HEAD") {
          const preparation = await places.prepare(candidate(parts), { commit, signal: never });
          if (preparation.kind !== "ready") throw new Error(`${preparation.reason}\n${preparation.output}`);
          return preparation.place;
        },
      });
    } finally {
      await places.close();
    }
    await rejects(Deno.stat(folder), Deno.errors.NotFound);
  });
}

/** What a run did, without what differs from run to run. */
export function seen({ end }: ScriptRun) {
  const { exitCode, signal, timedOut, stdout, stderr } = end;
  return { exitCode, signal, timedOut, stdout, stderr };
}

export const endedWell = { exitCode: 0, signal: null, timedOut: false, stdout: "", stderr: "" };
