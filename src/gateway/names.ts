/** What runs and workers may be called: their names become names of folders, and parts of paths and keys. */

// Not "." and "..", which lead elsewhere.
const RUN_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;
const WORKER_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/;

/** 1 to 128 letters, digits, `.`, `_` and `-`. */
export function isRunName(name: string): boolean {
  return RUN_NAME.test(name);
}

/** 1 to 64 letters, digits, `.`, `_` and `-`. */
export function isWorkerName(name: string): boolean {
  return WORKER_NAME.test(name);
}
