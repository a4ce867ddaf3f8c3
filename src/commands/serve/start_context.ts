/** What every start of a run needs to know. */
import type { Redactor } from "../../safety/secrets.ts";
import type { Io } from "../../terminal/io.ts";

/** Absolute paths. */
export interface StartPlaces {
  readonly runsRoot: string;
  readonly workspace: string;
  /** Of mini runs that name none. */
  readonly workdir: string;
  /** `mminions.toml`; undefined: as `gocore manager` finds it. */
  readonly configPath: string | undefined;
}

export interface StartContext {
  readonly places: StartPlaces;
  /** With the environment of what is started. */
  readonly io: Io;
  readonly redactor: Redactor;
}
