/** What the workers of a session have changed so far, as their worktrees or else their branches have it. */
import { messageOf } from "../../../failure.ts";
import { openRepository } from "../../../git/open_repository.ts";
import type { Changes, Repository } from "../../../git/repository.ts";
import type { Diff } from "../../../http/schemas.ts";
import type { SessionState, WorkerState } from "../../../orchestrate/session.ts";
import { runCommand } from "../../../process/spawn.ts";
import type { Redactor } from "../../../safety/secrets.ts";

type WorkerDiff = Diff["workers"][number];

/** Of each worker. */
const MAX_PATCH_BYTES = 200 * 1024;
const MAX_FILES = 2000;
const MAX_WORKERS = 100;
/** The target itself, where all work in it. */
const EVERYBODY = "all workers";

export class SessionDiffs {
  readonly #options: SessionDiffsOptions;
  #repository: { readonly target: string; readonly opened: Promise<Repository | undefined> } | undefined;
  /** By the folder that is looked at: who asks meanwhile gets the same answer. */
  readonly #asked = new Map<string, Promise<WorkerDiff>>();
  /** One look at a time: each keeps git busy, and the disk. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SessionDiffsOptions) {
    this.#options = options;
  }

  /** From the session's base. Untracked files count, ignored ones do not; nothing of the repository has a say in it. */
  async of({ start, workers }: SessionState, worker: string | undefined): Promise<Diff> {
    const base = start?.base_commit ?? null;
    if (start === null || base === null) return { base, workers: [] };
    const found = start.shared
      ? [{ name: worker ?? EVERYBODY, task: null, workdir: start.target, branch: null }]
      : placesOf(workers.values(), worker);
    const { target } = start;
    return { base, workers: await Promise.all(found.map((place) => this.#share(place, { target, base }))) };
  }

  #share(place: WorkerPlace, from: From): Promise<WorkerDiff> {
    const { name, task, workdir } = place;
    let asked = this.#asked.get(workdir);
    if (asked === undefined) {
      asked = this.#last.then(() => this.#read(place, from)).finally(() => this.#asked.delete(workdir));
      this.#asked.set(workdir, asked);
      this.#last = asked.catch(() => {});
    }
    return asked.then((diff) => ({ ...diff, worker: name, task }));
  }

  async #read({ name, task, workdir, branch }: WorkerPlace, { target, base }: From): Promise<WorkerDiff> {
    const { redactor, signal } = this.#options;
    const about = { worker: name, task };
    try {
      const repository = await this.#open(target);
      if (repository === undefined) throw new Error(`"${target}" is in no git repository any more`);
      const { files, diff, isCut } = await changesOf(repository, { workdir, branch, base });
      return {
        ...about,
        files: files.slice(0, MAX_FILES).map(({ path, added, deleted }) => ({
          path: redactor.redact(path),
          added,
          removed: deleted,
        })),
        patch: redactor.redact(diff),
        truncated: isCut || files.length > MAX_FILES,
        problem: null,
      };
    } catch (error) {
      signal.throwIfAborted();
      const problem = redactor.redact(messageOf(error));
      return { ...about, files: [], patch: "", truncated: false, problem };
    }
  }

  async #open(target: string): Promise<Repository | undefined> {
    const { env, signal } = this.#options;
    if (this.#repository?.target !== target) {
      this.#repository = { target, opened: openRepository(target, { env, run: runCommand, signal }) };
    }
    try {
      return await this.#repository.opened;
    } catch (error) {
      // The next one tries it again.
      this.#repository = undefined;
      throw error;
    }
  }
}

export interface SessionDiffsOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly redactor: Redactor;
  /** Ends what git does. */
  readonly signal: AbortSignal;
}

interface From {
  readonly target: string;
  readonly base: string;
}

interface WorkerPlace {
  readonly name: string;
  readonly task: string | null;
  readonly workdir: string;
  readonly branch: string | null;
}

/** Those with a worktree to change; of several that had the same one, the last. */
function placesOf(workers: Iterable<WorkerState>, wanted: string | undefined): WorkerPlace[] {
  const places = new Map<string, WorkerPlace>();
  for (const { name, task, launch: { workdir, branch } } of workers) {
    if (branch === null || (wanted !== undefined && name !== wanted)) continue;
    places.delete(workdir);
    places.set(workdir, { name, task, workdir, branch });
  }
  return [...places.values()].slice(-MAX_WORKERS);
}

async function changesOf(repository: Repository, { workdir, branch, base }: {
  readonly workdir: string;
  readonly branch: string | null;
  readonly base: string;
}): Promise<Changes> {
  const range = { since: base, maxBytes: MAX_PATCH_BYTES };
  if (branch === null) return await repository.changes({ path: repository.root, branch: "", base }, range);
  const worktree = await repository.findWorktree(workdir);
  return worktree === undefined
    ? await repository.changesBetween(base, branch, { maxBytes: MAX_PATCH_BYTES })
    : await repository.changes(worktree, range);
}
