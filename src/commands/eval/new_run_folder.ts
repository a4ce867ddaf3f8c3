/** Makes the folder of an evaluation's artifacts. */
import { join } from "node:path";
import { Failure, messageOf } from "../../failure.ts";

/** `{root}/{prefix}-YYYYMMDDHHMMSS` in UTC, with a number behind it when there is one of that name. */
export async function newRunFolder(
  root: string,
  { prefix, now }: { readonly prefix: string; readonly now: number },
): Promise<string> {
  const stamp = new Date(now).toISOString().replaceAll(/\D/g, "").slice(0, 14);
  try {
    await Deno.mkdir(root, { recursive: true });
    for (let n = 1;; n++) {
      const path = join(root, `${prefix}-${stamp}${n === 1 ? "" : `-${n}`}`);
      try {
        await Deno.mkdir(path);
        return await Deno.realPath(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
    }
  } catch (error) {
    throw new Failure("environment", `Cannot make a folder for the run in "${root}": ${messageOf(error)}`, {
      hints: ["Name another one with --runs-root"],
      cause: error,
    });
  }
}
