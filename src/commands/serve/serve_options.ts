/** Makes the options of `gocore serve`: flags, then the environment, then the files that other commands read. */
import { resolve } from "node:path";
import { resolveWorkdir } from "../../config/agent_home.ts";
import { given } from "../../config/setting_types.ts";
import { Failure } from "../../failure.ts";
import { isLoopback, withoutBrackets } from "../../gateway/loopback.ts";
import type { Io } from "../../terminal/io.ts";
import { readRunsRoot } from "../manager/read_settings.ts";
import { loadSettingsFile } from "../manager/settings_file.ts";
import { readWorkspace } from "../orchestrate/read_options.ts";
import { type NotifySettings, readNotifySettings } from "./notify/read_places.ts";
import { readScheduleEntries, type ScheduleSettings } from "./schedule/read_entries.ts";

export interface ServeFlags {
  readonly runsRoot?: string;
  readonly workspace?: string;
  readonly miniWorkdir?: readonly string[];
  readonly host?: string;
  readonly port?: number;
  /** `mminions.toml`. */
  readonly config?: string;
  readonly schedule: boolean;
  readonly rebuildIndex?: boolean;
  readonly json?: boolean;
}

/** Paths are absolute. */
export interface ServeOptions {
  readonly runsRoot: string;
  readonly workspace: string;
  /** At least one; mini runs that name none are started in the first. */
  readonly miniWorkdirs: readonly [string, ...string[]];
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Undefined: everybody on this machine may. */
  readonly token: string | undefined;
  /** As it was named; undefined: it was not. */
  readonly configPath: string | undefined;
  /** Without entries when nothing is to start by itself. */
  readonly schedule: ScheduleSettings;
  readonly notify: NotifySettings;
  readonly rebuildsIndex: boolean;
  readonly json: boolean;
}

/** The seed's. */
const DEFAULT_PORT = 8088;
/** What a header and an address can have. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Throws a usage `Failure` that names the flag, the variable, or the file with line and key. */
export async function readServeOptions(
  flags: ServeFlags,
  { env, cwd, now }: Pick<Io, "env" | "cwd" | "now">,
): Promise<ServeOptions> {
  const { config, miniWorkdir = [] } = flags;
  const [first, ...others] = miniWorkdir.map((path) => resolve(cwd, path));
  const host = withoutBrackets(flags.host ?? "127.0.0.1");
  const token = given(env.GOCORE_SERVE_TOKEN);
  if (token !== undefined && !TOKEN.test(token)) {
    throw new Failure("usage", "Cannot use GOCORE_SERVE_TOKEN: need visible ASCII characters, found others", {
      hints: ["Make one: `export GOCORE_SERVE_TOKEN=$(openssl rand -hex 24)`"],
    });
  }
  if (token === undefined && !isLoopback(host)) {
    throw new Failure("usage", `Cannot serve on ${host}: other machines need a token, found none`, {
      hints: ["Set a token: `export GOCORE_SERVE_TOKEN=$(openssl rand -hex 24)`", "Or leave --host out"],
    });
  }
  const settings = await loadSettingsFile(config ?? given(env.MMINIONS_CONFIG), cwd);
  return {
    runsRoot: await readRunsRoot({ env, cwd, flags: { runsRoot: flags.runsRoot, config } }),
    workspace: await readWorkspace({ env, cwd, flags: { workspace: flags.workspace } }),
    miniWorkdirs: [first ?? resolveWorkdir({ env, cwd }), ...others],
    host,
    port: flags.port ?? DEFAULT_PORT,
    token,
    configPath: config === undefined ? undefined : resolve(cwd, config),
    schedule: await readScheduleEntries(flags.schedule ? settings : { ...settings, schedule: [] }, now()),
    notify: readNotifySettings(settings, env),
    rebuildsIndex: flags.rebuildIndex ?? false,
    json: flags.json ?? false,
  };
}
