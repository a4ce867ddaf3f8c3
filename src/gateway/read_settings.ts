/** Makes a gateway's settings: built-in defaults < a TOML file < the environment < flags. */
import { resolve } from "node:path";
import { type Problem, problemsFailure } from "../config/checked_toml.ts";
import { amount, given, path, port, text } from "../config/setting_types.ts";
import type { TomlPath } from "../config/toml_source.ts";
import { closestName, Failure } from "../failure.ts";
import { readTokenPrices } from "../models/price.ts";
import { readSecret, readSecretFile } from "./read_secret.ts";
import { withoutBrackets } from "./loopback.ts";
import { type PlacedUpstream, readUpstreams, refuseCircle } from "./read_upstreams.ts";
import { type AnswerSource, DEFAULT_SETTINGS, type GatewaySettings } from "./settings.ts";
import { bothNamed, checked, host, type LoadedFile, loadSettingsFile, runName } from "./settings_file.ts";

/** What the command line says; a missing flag leaves the word to the environment and the file. */
export interface GatewayFlags {
  readonly config?: string;
  readonly host?: string;
  readonly port?: number;
  readonly ledger?: string;
  readonly run?: string;
  /** USD, as all caps. */
  readonly capRun?: number;
  readonly capWorker?: number;
  readonly capKey?: number;
  readonly capDay?: number;
  /** A folder for recordings of what upstreams answer. */
  readonly record?: string;
  /** A folder of recordings that answer instead of upstreams. */
  readonly replay?: string;
  /** A file with replies that answer instead of upstreams. */
  readonly script?: string;
  readonly requireKey?: boolean;
  readonly tokenFile?: string;
  /** `name=url`: another base URL for the upstream of this name. */
  readonly upstream?: readonly string[];
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads the file that `--config` or GOCORE_GATEWAY_CONFIG names; a file that merely lies in the current folder is never
 * read, because whoever wrote that folder could send the keys elsewhere. All paths are relative to `cwd`. Throws a usage
 * `Failure` that names the file with line and key, the variable, or the flag; never a key or a token.
 */
export async function readGatewaySettings(
  { env, cwd, flags }: { readonly env: Env; readonly cwd: string; readonly flags: GatewayFlags },
): Promise<GatewaySettings> {
  const file = await loadSettingsFile(filePath(flags, env), cwd);
  const { config } = file;
  const source = readSource(flags, cwd);
  const address = {
    host: withoutBrackets(checked(host, flags.host, "--host") ?? config.host ?? DEFAULT_SETTINGS.host),
    port: checked(port, flags.port, "--port") ?? config.port ?? DEFAULT_SETTINGS.port,
  };
  const upstreams = await readUpstreams(flags.upstream ?? [], { file, env, cwd });
  const token = await readToken({ file, env, cwd, flags });
  if (source.kind === "upstreams") {
    // Recordings and scripts answer without asking anybody.
    for (const one of upstreams) refuseCircle(one, address);
  }
  checkNames(file, upstreams);
  const { caps = {}, limits = {} } = config;
  return {
    ...address,
    ledger: ledgerPath({ file, env, cwd, flags }),
    run: checked(runName, flags.run, "--run") ?? config.run ?? DEFAULT_SETTINGS.run,
    source,
    upstreams: upstreams.map(({ settings }) => settings),
    caps: withoutGaps({
      run: checked(amount, flags.capRun, "--cap-run") ?? caps.run_usd,
      worker: checked(amount, flags.capWorker, "--cap-worker") ?? caps.worker_usd,
      key: checked(amount, flags.capKey, "--cap-key") ?? caps.key_usd,
      day: checked(amount, flags.capDay, "--cap-day") ?? caps.day_usd,
    }),
    rates: (config.rate ?? []).map(({ requests_per_minute, tokens_per_minute, ...rule }) =>
      withoutGaps({ ...rule, requestsPerMinute: requests_per_minute, tokensPerMinute: tokens_per_minute })
    ),
    fallbacks: config.fallback ?? [],
    attempts: config.attempts ?? DEFAULT_SETTINGS.attempts,
    prices: Object.entries(config.prices ?? {}).map(([model, entry]) => ({ model, prices: readTokenPrices(entry)! })),
    unknownPrice: config.unknown_price ?? DEFAULT_SETTINGS.unknownPrice,
    uncounted: config.uncounted ?? DEFAULT_SETTINGS.uncounted,
    assumedOutputTokens: config.assumed_output_tokens ?? DEFAULT_SETTINGS.assumedOutputTokens,
    requireKey: flags.requireKey ?? config.require_key ?? DEFAULT_SETTINGS.requireKey,
    token,
    allowedHosts: config.allowed_hosts ?? DEFAULT_SETTINGS.allowedHosts,
    maxBodyBytes: inUnits(limits.body_mb, 1024 * 1024) ?? DEFAULT_SETTINGS.maxBodyBytes,
    maxHeaderBytes: inUnits(limits.header_kb, 1024) ?? DEFAULT_SETTINGS.maxHeaderBytes,
    requestTimeoutMs: inUnits(limits.request_seconds, 1000) ?? DEFAULT_SETTINGS.requestTimeoutMs,
    firstByteTimeoutMs: inUnits(limits.first_byte_seconds, 1000) ?? DEFAULT_SETTINGS.firstByteTimeoutMs,
    idleTimeoutMs: inUnits(limits.idle_seconds, 1000) ?? DEFAULT_SETTINGS.idleTimeoutMs,
    callTimeoutMs: inUnits(limits.call_seconds, 1000) ?? DEFAULT_SETTINGS.callTimeoutMs,
    queueTimeoutMs: inUnits(limits.queue_seconds, 1000) ?? DEFAULT_SETTINGS.queueTimeoutMs,
    drainMs: inUnits(limits.drain_seconds, 1000) ?? DEFAULT_SETTINGS.drainMs,
  };
}

/** Where the ledger is, for commands that need nothing else; `flags.config` is heeded, too. Throws as the above does. */
export async function readLedgerPath(
  { env, cwd, flags }: {
    readonly env: Env;
    readonly cwd: string;
    readonly flags: Pick<GatewayFlags, "config" | "ledger">;
  },
): Promise<string> {
  return ledgerPath({ file: await loadSettingsFile(filePath(flags, env), cwd), env, cwd, flags });
}

function filePath(flags: Pick<GatewayFlags, "config">, env: Env): string | undefined {
  return checked(text, flags.config, "--config") ?? given(env.GOCORE_GATEWAY_CONFIG);
}

function ledgerPath({ file, env, cwd, flags }: Sources): string {
  const named = checked(path, flags.ledger, "--ledger") ??
    checked(path, given(env.GOCORE_LEDGER), "GOCORE_LEDGER") ?? file.config.ledger ?? ".gocore/ledger.db";
  return named === ":memory:" ? named : resolve(cwd, named);
}

interface Sources {
  readonly file: LoadedFile;
  readonly env: Env;
  readonly cwd: string;
  readonly flags: GatewayFlags;
}

/** What only the whole can tell: rules that limit nothing, and rules for upstreams that nobody has. */
function checkNames({ config, placeOf }: LoadedFile, upstreams: readonly PlacedUpstream[]): void {
  const names = upstreams.map(({ settings }) => settings.name);
  const problems: Problem[] = [];
  const check = (named: string | undefined, path: TomlPath) => {
    if (named === undefined || named.includes("*") || names.includes(named)) return;
    const near = closestName(named, names);
    problems.push({
      path,
      finding: `need an upstream, found nobody of the name ${JSON.stringify(named.slice(0, 80))}`,
      hint: near === undefined ? `The upstreams are ${names.join(", ")}` : `Did you mean "${near}"?`,
    });
  };
  for (const [index, rule] of (config.rate ?? []).entries()) {
    check(rule.upstream, ["rate", index, "upstream"]);
    if (rule.concurrency ?? rule.requests_per_minute ?? rule.tokens_per_minute) continue;
    problems.push({
      path: ["rate", index],
      finding: "need a limit, found none of concurrency, requests_per_minute and tokens_per_minute",
    });
  }
  for (const [index, rule] of (config.fallback ?? []).entries()) {
    for (const [at, to] of rule.to.entries()) {
      check(to.upstream, ["fallback", index, "to", at, "upstream"]);
      if (to.upstream !== undefined || to.model !== undefined) continue;
      problems.push({ path: ["fallback", index, "to", at], finding: "need an upstream or a model, found neither" });
    }
  }
  if (problems.length > 0) throw problemsFailure(problems, placeOf);
}

async function readToken({ file, env, cwd, flags }: Sources): Promise<string | undefined> {
  const flagged = checked(text, flags.tokenFile, "--token-file");
  if (flagged !== undefined) return await readSecretFile(resolve(cwd, flagged), "--token-file");
  const { token_env, token_file } = file.config;
  if (token_env !== undefined && token_file !== undefined) throw bothNamed(["token_file"], "token_env", file);
  const usual = readSecret(env.GOCORE_GATEWAY_TOKEN, "GOCORE_GATEWAY_TOKEN");
  if (usual !== undefined) return usual;
  if (token_file !== undefined) return await readSecretFile(resolve(cwd, token_file), file.placeOf(["token_file"]));
  if (token_env === undefined) return undefined;
  const token = readSecret(env[token_env], token_env);
  if (token !== undefined) return token;
  // Going on without the token that somebody asked for would leave the gateway open.
  const hint = `Set it, for example \`export ${token_env}=$(openssl rand -hex 24)\``;
  throw problemsFailure(
    [{ path: ["token_env"], finding: `need a token in ${token_env}, it is empty`, hint }],
    file.placeOf,
  );
}

function readSource(flags: GatewayFlags, cwd: string): AnswerSource {
  const [record, replay, script] = (["record", "replay", "script"] as const)
    .map((flag) => checked(text, flags[flag], `--${flag}`));
  const named = [record && "--record", replay && "--replay", script && "--script"].filter((flag) => flag !== undefined);
  if (named.length > 1) {
    throw new Failure("usage", `Cannot use ${named.join(" and ")} together: need one source of replies`, {
      hints: ["Record what upstreams answer first, then start again with `--replay` and the same folder"],
    });
  }
  if (replay !== undefined) return { kind: "replay", dir: resolve(cwd, replay) };
  if (script !== undefined) return { kind: "script", path: resolve(cwd, script) };
  return { kind: "upstreams", recordDir: record === undefined ? undefined : resolve(cwd, record) };
}

function inUnits(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : Math.ceil(value * unit);
}

function withoutGaps<T extends object>(members: T): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T;
}
