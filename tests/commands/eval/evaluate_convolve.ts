/** Runs `gocore eval numpy-convolve` on a small project, and reads what it leaves. */
import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { git } from "../../support/fake_agents.ts";
import type { GocoreEnd, Sandbox } from "../../support/gocore.ts";
import { namesIn } from "../../support/temp_dir.ts";
import type { FakeNumpy } from "./fake_numpy.ts";

// deno-lint-ignore no-explicit-any -- artifacts of many shapes
type Json = any;

export interface Evaluated extends GocoreEnd {
  readonly folder: string;
  readonly summary: Json;
  read(name: string): Promise<Json>;
}

export async function evaluate(sandbox: Sandbox, numpy: FakeNumpy, args: readonly string[]): Promise<Evaluated> {
  const runs = join(sandbox.root, "runs");
  const commits = ["--bug-commit", numpy.bug, "--reference-fix-commit", numpy.fix];
  const place = ["--numpy-repo-path", numpy.path, "--runs-root", runs];
  // Without any key no agent is ready, also those that ask no model.
  const env: Record<string, string> = args.includes("--agent")
    ? { OPENAI_API_KEY: "sk-nobody-is-asked-with-this" }
    : {};
  const end = await sandbox.run(["eval", "numpy-convolve", ...place, ...commits, ...args], { env });
  const folder = join(runs, namesIn(runs).at(-1)!);
  const read = async (name: string) => JSON.parse(await Deno.readTextFile(join(folder, name)));
  await sandbox.noProcessLeft();
  deepEqual(await git(numpy.path, "status", "--porcelain"), "");
  equal(await git(numpy.path, "for-each-ref", "--format=%(refname)"), "refs/heads/master");
  return { ...end, folder, read, summary: await read("summary.json").catch(() => undefined) };
}
