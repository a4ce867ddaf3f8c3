/** What a schedule has done so far, as `{runs_root}/.gocore-schedule.json` keeps it for the next server. */
import * as z from "zod/mini";
import { readConfigFile } from "../../../config/read_config_file.ts";
import { writeFileAtomic } from "../../../store/atomic_file.ts";

/** Of one time. */
export const MOST_RUNS = 20;
const MOST_SEEN = 1000;

const time = z.number().check(z.minimum(0), z.maximum(8.64e15));
const entry = z.object({
  name: z.string(),
  cron: z.string(),
  timezone: z.nullable(z.string()),
  /** All that was to be started up to this time has been; milliseconds since 1970. */
  handled_ms: time,
  last: z.nullable(z.object({
    at_ms: time,
    /** Ids of those that were started, and of those that had said all there is to say. */
    runs: z.array(z.string().check(z.regex(/^[A-Za-z0-9_.][A-Za-z0-9._-]{0,127}$/))),
    notes: z.array(z.string()),
  })),
  /** Issues of a query, and when they had been changed as a run was started. */
  seen: z.array(z.object({ url: z.string(), updated_at: z.string() })),
});
export type EntryState = z.infer<typeof entry>;

const file = z.object({ version: z.literal(1), entries: z.array(entry) });

/** By name. Throws a `Failure` when the file is there and cannot be used. */
export async function readScheduleState(path: string): Promise<Map<string, EntryState>> {
  const content = await readConfigFile(path);
  const result = content === undefined ? undefined : file.safeParse(parsed(content));
  return new Map(result?.success ? result.data.entries.map((entry) => [entry.name, entry]) : []);
}

/** Throws a `Failure` when it cannot be written. */
export async function writeScheduleState(path: string, entries: readonly EntryState[]): Promise<void> {
  const kept = entries.map(({ seen, ...entry }) => ({ ...entry, seen: seen.slice(-MOST_SEEN) }));
  await writeFileAtomic(path, JSON.stringify({ version: 1, entries: kept }, null, 2) + "\n", { mode: 0o600 });
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}
