/** The upstreams of a gateway: those of its file, then the built-in ones, with their addresses and keys. */
import { resolve } from "node:path";
import { problemsFailure } from "../config/checked_toml.ts";
import { given } from "../config/setting_types.ts";
import type { TomlPath } from "../config/toml_source.ts";
import { closestName, Failure } from "../failure.ts";
import {
  type ClientKind,
  findProvider,
  type ProviderId,
  providerNames,
  providerTable,
} from "../models/provider_table.ts";
import type { DialectId } from "./dialect.ts";
import { isLoopback, withoutBrackets } from "./loopback.ts";
import { readSecret, readSecretFile } from "./read_secret.ts";
import type { UpstreamSettings } from "./settings.ts";
import { bothNamed, type LoadedFile, type UpstreamEntry } from "./settings_file.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** An upstream, and where its base URL comes from. */
export interface PlacedUpstream {
  readonly settings: UpstreamSettings;
  readonly basePlace: string;
}

const DIALECTS: Readonly<Record<ClientKind, readonly DialectId[]>> = {
  anthropic: ["anthropic"],
  openai: ["openai_chat", "openai_responses"],
  azure: ["openai_chat", "openai_responses"],
  gemini: ["gemini"],
  vertex: ["gemini"],
  openrouter: ["openai_chat"],
  compatible: ["openai_chat"],
};

/** In the order in which they are asked. OpenRouter's models have a slash in their names, OpenAI's have none. */
const BUILT_IN: readonly UpstreamEntry[] = [
  { name: "anthropic" },
  { name: "openrouter", models: ["*/*"] },
  { name: "openai" },
  { name: "gemini" },
];

/** In the order in which they are asked. `flagged`: `name=url` each, another base URL for the upstream of that name. */
export async function readUpstreams(
  flagged: readonly string[],
  { file, env, cwd }: { readonly file: LoadedFile; readonly env: Env; readonly cwd: string },
): Promise<PlacedUpstream[]> {
  const bases = new Map(flagged.map(readUpstreamFlag));
  const entries = file.config.upstream ?? [];
  const upstreams = new Map<string, PlacedUpstream>();
  for (const [index, entry] of entries.entries()) {
    const path: TomlPath = ["upstream", index];
    if (upstreams.has(entry.name)) {
      const problem = { path: [...path, "name"], finding: `need another name, "${entry.name}" is taken` };
      throw problemsFailure([problem], file.placeOf);
    }
    upstreams.set(entry.name, await readUpstream(entry, { bases, env, cwd, file, path }));
  }
  for (const entry of BUILT_IN) {
    if (upstreams.has(entry.name)) continue;
    // Without a key it would only take calls away from OpenAI's upstream.
    const isIdle = entry.name === "openrouter" && !bases.has(entry.name) &&
      providerTable.openrouter.keyVariables.every((variable) => given(env[variable]) === undefined);
    if (!isIdle) upstreams.set(entry.name, await readUpstream(entry, { bases, env, cwd, file, path: [] }));
  }
  for (const name of bases.keys()) {
    if (upstreams.has(name)) continue;
    const near = closestName(name, upstreams.keys());
    throw new Failure(
      "usage",
      `Cannot use --upstream: nobody of the name ${JSON.stringify(name.slice(0, 80))} is set up`,
      {
        hints: [
          near === undefined ? `The upstreams are ${[...upstreams.keys()].join(", ")}` : `Did you mean "${near}"?`,
        ],
      },
    );
  }
  return [...upstreams.values()];
}

function readUpstreamFlag(value: string): readonly [string, string] {
  const at = value.indexOf("=");
  if (at > 0) return [value.slice(0, at), value.slice(at + 1)];
  throw new Failure("usage", "Cannot use --upstream: need a name, an equals sign and a URL", {
    hints: ["Write for example `--upstream anthropic=http://127.0.0.1:9000`"],
  });
}

interface UpstreamContext {
  /** Of flags, by the upstream's name. */
  readonly bases: ReadonlyMap<string, string>;
  readonly env: Env;
  readonly cwd: string;
  readonly file: LoadedFile;
  /** Of the upstream in the file; empty for one that is built in. */
  readonly path: TomlPath;
}

async function readUpstream(entry: UpstreamEntry, context: UpstreamContext): Promise<PlacedUpstream> {
  const provider = readProvider(entry, context);
  const row = providerTable[provider];
  const base = readBase(entry, provider, context);
  // A server of this machine may need none, and can say so itself.
  const keyless = entry.keyless ?? (row.keyless === true || isLoopback(new URL(base.baseUrl).hostname));
  const { apiKey, source } = await readKey(entry, provider, { ...context, keyless, isForeign: base.isOfFile });
  return {
    basePlace: base.place,
    settings: {
      name: entry.name,
      provider,
      baseUrl: base.baseUrl,
      apiKey,
      keyless,
      keySource: source,
      dialects: entry.dialects ?? DIALECTS[row.client],
      models: entry.models ?? [],
    },
  };
}

function readProvider(entry: UpstreamEntry, { file, path }: UpstreamContext): ProviderId {
  const named = entry.provider ?? entry.name;
  const provider = findProvider(named);
  if (provider !== undefined) return provider;
  if (entry.provider === undefined) {
    const hint = 'Say whose format and prices it has, for example `provider = "openai_compatible"`';
    throw problemsFailure([{ path, finding: "need a provider, found none", hint }], file.placeOf);
  }
  const near = closestName(named.toLowerCase().replaceAll("-", "_"), providerNames);
  throw problemsFailure([{
    path: [...path, "provider"],
    finding: `need a provider, found nobody of the name ${JSON.stringify(named.slice(0, 80))}`,
    hint: near === undefined ? `Providers are ${Object.keys(providerTable).join(", ")}` : `Did you mean "${near}"?`,
  }], file.placeOf);
}

function readBase(
  entry: UpstreamEntry,
  provider: ProviderId,
  { bases, env, file, path }: UpstreamContext,
): { baseUrl: string; place: string; isOfFile: boolean } {
  const row = providerTable[provider];
  const flag = bases.get(entry.name);
  const isOfFile = flag === undefined && entry.base_url !== undefined;
  const variable = row.baseVariables.find((name) => given(env[name]) !== undefined);
  const [place, address] = flag !== undefined
    ? [`--upstream ${entry.name}`, flag]
    : entry.base_url !== undefined
    ? [file.placeOf([...path, "base_url"]), entry.base_url]
    : variable !== undefined
    ? [variable, env[variable]!]
    : [entry.name, undefined];
  if (address !== undefined) return { baseUrl: readBaseUrl(address.trim(), place), place, isOfFile };
  if (row.baseUrl === undefined) {
    const hint = 'Add it, for example `base_url = "https://models.example.com/v1"`';
    throw problemsFailure([{ path, finding: `need a base_url, ${provider} has no usual one`, hint }], file.placeOf);
  }
  // Clients of these three name a version of their own, and not always the same.
  const hasOwnClients = row.client === "anthropic" || row.client === "openai" || row.client === "gemini";
  return { baseUrl: hasOwnClients ? row.baseUrl.replace(/\/v\d\w*$/, "") : row.baseUrl, place, isOfFile };
}

function readBaseUrl(address: string, place: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const finding = url === undefined
    ? "it is not a URL"
    : url.protocol !== "http:" && url.protocol !== "https:"
    ? "it starts with neither http:// nor https://"
    : url.username !== "" || url.password !== ""
    ? "it has a user name or a password in it"
    : /[?#]/.test(address)
    ? 'it goes on after "?" or "#"'
    : undefined;
  if (url === undefined || finding !== undefined) {
    // The value is not repeated: a wrong address often has a secret in it.
    throw new Failure("usage", `Cannot use ${place}: need the address of an API, ${finding}`, {
      hints: ["Write one such as `https://models.example.com` or `http://127.0.0.1:9000/v1`"],
    });
  }
  // "Any address" is one to listen on, nobody can connect to it.
  if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = "127.0.0.1";
  return url.origin + url.pathname.replace(/\/+$/, "");
}

async function readKey(
  entry: UpstreamEntry,
  provider: ProviderId,
  { env, cwd, file, path, keyless, isForeign }: UpstreamContext & {
    readonly keyless: boolean;
    /** The file has an address of its own for it: the provider's usual key is for the provider. */
    readonly isForeign: boolean;
  },
): Promise<{ apiKey: string | undefined; source: string }> {
  const { key_env, key_file } = entry;
  const named = key_file !== undefined ? "key_file" : key_env !== undefined ? "key_env" : undefined;
  if (entry.keyless === true && named !== undefined) {
    const finding = `need a key or none, found \`${named}\` beside it`;
    throw problemsFailure([{ path: [...path, "keyless"], finding, hint: "Remove one of the two" }], file.placeOf);
  }
  if (named === undefined && isForeign && !keyless) {
    const finding = "need a key for this address, found neither key_env nor key_file";
    const hint = 'Name the variable that has it, such as `key_env = "LAB_API_KEY"`, or write `keyless = true`';
    throw problemsFailure([{ path: [...path, "base_url"], finding, hint }], file.placeOf);
  }
  if (key_file !== undefined) {
    if (key_env !== undefined) throw bothNamed([...path, "key_file"], "key_env", file);
    const place = file.placeOf([...path, "key_file"]);
    return { apiKey: await readSecretFile(resolve(cwd, key_file), place), source: key_file };
  }
  const variables = key_env === undefined ? providerTable[provider].keyVariables : [key_env];
  const source = variables.find((name) => given(env[name]) !== undefined) ?? variables[0]!;
  const hasNone = entry.keyless === true || (named === undefined && isForeign);
  return { apiKey: hasNone ? undefined : readSecret(env[source], source), source };
}

/** A base URL that leads back to the gateway would send every call round in circles. */
export function refuseCircle(
  { settings, basePlace }: PlacedUpstream,
  gateway: { readonly host: string; readonly port: number },
): void {
  const url = new URL(settings.baseUrl);
  const urlPort = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  const isSameHost = isLoopback(url.hostname) || withoutBrackets(url.hostname) === gateway.host.toLowerCase();
  if (gateway.port === 0 || urlPort !== gateway.port || !isSameHost) return;
  throw new Failure(
    "usage",
    `Cannot use ${basePlace}: need the address of a provider, it is the gateway's own (port ${gateway.port})`,
    {
      hints: [
        /^[A-Z_]+$/.test(basePlace)
          ? `Start the gateway without it: \`env -u ${basePlace} gocore gateway\`; it is for clients`
          : "Write the provider's address, or choose another `--port`",
      ],
    },
  );
}
