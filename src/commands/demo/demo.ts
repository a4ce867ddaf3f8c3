/** What each kind of demo is given, and what it gives back. */
import type { Io } from "../../terminal/io.ts";
import type { DemoProject } from "./demo_project.ts";

export interface Demo {
  /** Has nothing of the caller's settings: the demo is the same for everyone. */
  readonly io: Io;
  readonly json: boolean;
  /** The temporary folder, with the project in it. */
  readonly folder: string;
  readonly project: DemoProject;
  /** For the person who looks: beside the events, where these are JSON. */
  say(text: string): Promise<void>;
}

export interface DemoEnd {
  readonly exitCode: number;
  /** Where to look, when the folder is kept. */
  readonly kept: string;
}
