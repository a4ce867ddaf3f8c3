/** `gocore serve` for a browser: over the runs of a sandbox, on a port that stays when it is started again. */
import { deepStrictEqual as deepEqual } from "node:assert/strict";
import type { GocoreOptions, GocoreRun, Sandbox } from "../support/gocore.ts";

export interface ServedPagesOptions extends GocoreOptions {
  /** Instead of those in the sandbox. */
  workspace?: string;
  runsRoot?: string;
  port?: number;
}

export class ServedPages implements AsyncDisposable {
  /** @param url without a path */
  private constructor(readonly run: GocoreRun, readonly url: string) {}

  static async start(box: Sandbox, options: ServedPagesOptions = {}): Promise<ServedPages> {
    const { workspace = `${box.root}/sessions`, runsRoot = `${box.root}/runs`, port = 0, ...rest } = options;
    const places = ["--runs-root", runsRoot, "--workspace", workspace, "--mini-workdir", box.workdir];
    const run = await box.start(["serve", "--port", `${port}`, "--json", ...places], rest);
    const told = await run.event("it listens", (event) => "url" in event) as unknown as { url: string };
    return new ServedPages(run, told.url);
  }

  /** Ends it, and asserts that it had nothing to complain of. Whoever looks at it has to be gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.run.kill("SIGTERM");
    const { code, stderr } = await this.run.end;
    deepEqual([code, stderr], [0, ""], "How the server ended");
  }
}

/** The numbers of all events in a log, from 0. */
export async function loggedEvents(folder: string): Promise<number[]> {
  const lines = (await Deno.readTextFile(`${folder}/events.jsonl`)).trimEnd().split("\n");
  return lines.map((line) => (JSON.parse(line) as { seq: number }).seq);
}
