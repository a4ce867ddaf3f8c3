/** A lock file that says who holds it, and that is free again when its owner is dead. */
import { readFailure } from "./append_log.ts";
import { isCertainlyDead, ownIdentity, type ProcessIdentity } from "./process_identity.ts";
import { writeFailure } from "./write_failure.ts";

export type Claim =
  /** `release` may be called again, and when the folder is gone. */
  | { readonly kind: "held"; readonly release: () => void }
  | { readonly kind: "taken"; readonly owner: ProcessIdentity };

const ATTEMPTS = 50;

/** Throws a `Failure` of kind `environment` when the file cannot be written. */
export function claimLock(path: string): Claim {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const own = JSON.stringify(ownIdentity());
    if (create(path, own)) return { kind: "held", release: releaseOf(path, own) };
    const owner = lockOwner(path);
    if (owner !== undefined) return { kind: "taken", owner };
    clear(path);
  }
  throw writeFailure(path, new Error("Others take the lock again and again"));
}

/** Who holds it; undefined: nobody who lives. */
export function lockOwner(path: string): ProcessIdentity | undefined {
  const content = read(path);
  const owner = content === undefined ? undefined : parse(content);
  return owner === undefined || isCertainlyDead(owner) ? undefined : owner;
}

/** With its whole content at once: nobody reads half of it. */
function create(path: string, content: string): boolean {
  const temporary = `${path}.${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
  try {
    Deno.writeTextFileSync(temporary, content, { createNew: true });
    try {
      Deno.linkSync(temporary, path);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return false;
      throw error;
    } finally {
      Deno.removeSync(temporary);
    }
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/**
 * Removes a dead owner's lock. One process at a time has the file system's own lock on it, and looks again: what stands
 * there then may be somebody's who lives.
 */
function clear(path: string): void {
  try {
    using file = Deno.openSync(path, { read: true, write: true });
    file.lockSync(true);
    const [opened, named] = [file.statSync(), Deno.statSync(path)];
    if (opened.ino === named.ino && opened.dev === named.dev && lockOwner(path) === undefined) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw writeFailure(path, error);
  }
}

function releaseOf(path: string, own: string): () => void {
  let isHeld = true;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    try {
      if (read(path) === own) Deno.removeSync(path);
    } catch {
      // The folder is gone.
    }
  };
}

function read(path: string): string | undefined {
  try {
    // Opening a pipe would wait for ever.
    return Deno.lstatSync(path).isFile ? Deno.readTextFileSync(path) : "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw readFailure(path, error);
  }
}

function parse(content: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(content);
    return typeof value === "object" && value !== null && Number.isSafeInteger(value.pid) ? value : undefined;
  } catch {
    return undefined;
  }
}
