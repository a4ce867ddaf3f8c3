/** What has been told of which run, as `{runs_root}/.gocore-notified.json` keeps it for the next server. */
import * as z from "zod/mini";
import { readConfigFile } from "../../../config/read_config_file.ts";
import { writeFileAtomic } from "../../../store/atomic_file.ts";

const state = z.object({
  version: z.literal(1),
  /** What runs without a record did before is no news; milliseconds since 1970. */
  since_ms: z.number(),
  runs: z.array(z.object({
    run: z.string(),
    /** When it was heard of last. */
    at_ms: z.number(),
    keys: z.array(z.string()),
  })),
});
export type NotifiedState = z.infer<typeof state>;

/** Undefined: no server has told anything yet. Throws a `Failure` when the file is there and cannot be read. */
export async function readNotified(path: string): Promise<NotifiedState | undefined> {
  const content = await readConfigFile(path);
  const result = content === undefined ? undefined : state.safeParse(parsed(content));
  return result?.success ? result.data : undefined;
}

/** Throws a `Failure` when it cannot be written. */
export async function writeNotified(path: string, state: NotifiedState): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(state) + "\n", { mode: 0o600 });
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}
