/** Gives the terminal to another program until it ends. */
import { Failure } from "../failure.ts";
import { expectChild, forgetChild } from "./orphans.ts";
import { explainSpawnError } from "./spawn.ts";

/**
 * In our own session and process group, because the terminal belongs to it, with our streams. It gets the terminal's
 * signals itself; what ends us is its business only where the terminal sends it. Returns its exit code.
 *
 * @throws Failure (`environment`) when it cannot be started
 */
export async function runInteractive(
  argv: readonly [string, ...string[]],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<number> {
  const [program, ...args] = argv;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args, cwd, clearEnv: true, env: { ...env } }).spawn();
  } catch (error) {
    throw new Failure("environment", explainSpawnError(error, argv, { cwd }), { cause: error });
  }
  expectChild(child.pid);
  try {
    return (await child.status).code;
  } finally {
    forgetChild(child.pid);
  }
}
