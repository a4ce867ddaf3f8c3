/** A tree of processes for one test. */
import { expectChild, forgetChild, killDescendants, killUntilGone } from "../../src/process/orphans.ts";
import { type FamilyTraits, findFamily, type ProcessEntry } from "../../src/process/process_tree.ts";

export interface Tree {
  readonly pid: number;
  members(): ProcessEntry[];
  /** Resolves with the next line that it writes. */
  line(): Promise<string>;
  tell(text: string): Promise<void>;
}

/** Runs a shell script for the time of `work`; its stdin is also its descriptor 3. Ends whatever is left of it. */
export async function withTree(script: string, work: (tree: Tree) => Promise<void>): Promise<void> {
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", `exec 3<&0; ${script}`],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  expectChild(child.pid);
  const traits: FamilyTraits = { roots: new Set([child.pid]), isMark: () => false, adopts: () => false };
  const members = () => findFamily(traits);
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const writer = child.stdin.getWriter();
  try {
    await work({
      pid: child.pid,
      members,
      line: async () => (await lines.read()).value?.trim() ?? "",
      tell: (text) => writer.write(new TextEncoder().encode(`${text}\n`)),
    });
  } finally {
    await killUntilGone(() => killDescendants(members));
    await writer.abort().catch(() => {});
    await lines.cancel();
    await child.status;
    forgetChild(child.pid);
  }
}

export async function waitFor(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 10));
}
