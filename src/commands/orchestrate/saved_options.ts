/** The flags of a session, kept in its folder, so that they hold when it is resumed. */
import { join } from "node:path";
import * as z from "zod/mini";
import { readConfigFile } from "../../config/read_config_file.ts";
import { Failure } from "../../failure.ts";
import type { Redactor } from "../../safety/secrets.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { BACKENDS, SANDBOX_MODES } from "./settings_file.ts";

const text = z.optional(z.string());
const texts = z.optional(z.array(z.string()));
const number = z.optional(z.number());
const flag = z.optional(z.boolean());

const flags = z.strictObject({
  task: text,
  target: text,
  workspace: text,
  config: text,
  agents: text,
  /** `AGENT=MODEL`; of two for the same agent the later one counts. */
  model: texts,
  plan: text,
  /** USD. */
  budget: number,
  /** `AGENT=USD`. */
  agentBudget: texts,
  verify: text,
  shared: flag,
  apply: flag,
  reviews: flag,
  reviewers: number,
  revisions: number,
  workerCpuPercent: number,
  workerMemoryMb: number,
  workerTimeoutSec: number,
  sandbox: z.optional(z.enum(SANDBOX_MODES)),
  backend: z.optional(z.enum(BACKENDS)),
  answerTimeoutSec: number,
  dashboard: flag,
  host: text,
  port: number,
  gatewayConfig: text,
  ledger: text,
  script: text,
  record: text,
  replay: text,
});
export type SavedFlags = z.infer<typeof flags>;

/** What the command line says; a missing flag leaves the word to the environment, the file and the defaults. */
export interface OrchestrateFlags extends SavedFlags {
  /** How this process shows the session: not kept. */
  readonly verbose?: boolean;
  readonly json?: boolean;
}

const NAME = "options.json";
const saved = z.strictObject({ flags, withheld: z.array(z.string()) });

/** With absolute paths. What has a secret in it is not written, only that it was there. */
export async function saveOptions(
  folder: string,
  given: SavedFlags,
  { redactor }: { readonly redactor: Redactor },
): Promise<void> {
  const { task, ...others } = given;
  const isPlain = (value: unknown) => redactor.redactDeep([value])[0] === value;
  const kept = Object.entries(others).filter(([, value]) => isPlain(value));
  const withheld = Object.entries(others).filter(([, value]) => !isPlain(value)).map(([name]) => name);
  const flags = { ...(task !== undefined && { task: redactor.redact(task) }), ...Object.fromEntries(kept) };
  await writeFileAtomic(join(folder, NAME), JSON.stringify({ flags, withheld }, null, 2) + "\n", { mode: 0o600 });
}

/**
 * The flags that the session has had, and those of `now` over them. Throws a `Failure` when they were not kept, or
 * cannot be read, or one with a secret in it has to be given again.
 */
export async function withSavedOptions(folder: string, now: OrchestrateFlags): Promise<OrchestrateFlags> {
  const path = join(folder, NAME);
  const result = saved.safeParse(parse(await readConfigFile(path)));
  if (!result.success) {
    throw new Failure("environment", `Cannot go on with "${folder}": need its options in "${path}", found none`, {
      hints: ["Start a new session; the branches and the report of the old one are kept"],
    });
  }
  const { flags: former, withheld } = result.data;
  const missing = withheld.find((name) => now[name as keyof OrchestrateFlags] === undefined);
  if (missing !== undefined) {
    const flag = flagOf(missing);
    throw new Failure("usage", `Cannot go on: ${flag} had a secret in it, which is not kept`, {
      hints: [`Give ${flag} again`],
    });
  }
  const changesSource = [now.script, now.record, now.replay].some((source) => source !== undefined);
  return {
    ...former,
    ...(changesSource && { script: undefined, record: undefined, replay: undefined }),
    ...Object.fromEntries(Object.entries(now).filter(([, value]) => value !== undefined)),
    model: [...former.model ?? [], ...now.model ?? []],
    agentBudget: [...former.agentBudget ?? [], ...now.agentBudget ?? []],
  };
}

/** `workerCpuPercent` is `--worker-cpu-percent`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function parse(content: string | undefined): unknown {
  try {
    return JSON.parse(content ?? "");
  } catch {
    return undefined;
  }
}
