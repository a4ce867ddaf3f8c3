/** How this program starts itself, for workers of its own. */
import { fileURLToPath } from "node:url";
import { VERSION } from "../../config/version.ts";
import type { Located } from "../../workers/adapter.ts";

export function selfProgram(): Located {
  const own = Deno.execPath();
  if (Deno.build.standalone) return { program: [own], version: VERSION };
  // From sources: two folders above this one is src/; from the bundle everything lies in one folder.
  const main = Deno.mainModule.startsWith("file:") ? fileURLToPath(Deno.mainModule) : "";
  return { program: [own, "run", "-A", "--unstable-no-legacy-abort", main], version: VERSION };
}
