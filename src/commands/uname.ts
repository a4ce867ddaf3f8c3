/** What machine this is, in the words of Python's `platform.uname()`, which mini-swe-agent's prompts use. */
import type { Uname } from "../mini/local_environment.ts";

export async function uname(): Promise<Uname> {
  const { os, arch } = Deno.build;
  const machine = arch === "aarch64" && os === "darwin" ? "arm64" : arch;
  if (os === "linux") {
    try {
      const read = (name: string) => Deno.readTextFileSync(`/proc/sys/kernel/${name}`).trim();
      return { system: "Linux", node: Deno.hostname(), release: read("osrelease"), version: read("version"), machine };
    } catch {
      // A sandbox without /proc: the slower way below knows too.
    }
  }
  const { release, type, version } = await import("node:os");
  return {
    node: Deno.hostname(),
    system: type().replace(/^Windows.*/, "Windows"),
    release: release(),
    version: version(),
    machine,
  };
}
