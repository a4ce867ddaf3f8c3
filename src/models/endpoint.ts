/** Where a provider is asked, with which key, and for how long. */
import { Failure } from "../failure.ts";
import { type ProviderId, type ProviderRow, providerTable } from "./provider_table.ts";

export interface Endpoint {
  /** Without a trailing slash; undefined when the provider has no address of its own and nobody named one. */
  readonly baseUrl: string | undefined;
  /** Undefined when none is set; `requireKey` says whether that is a failure. */
  readonly apiKey: string | undefined;
  /** The user named the address. */
  readonly custom: boolean;
  /** Azure's `api-version`, or the `anthropic-version` header. */
  readonly apiVersion: string | undefined;
  /** For one attempt, its body included. */
  readonly timeoutMs: number;
}

/** What a configuration file says; the environment's MINI_ variables come before it, the provider's own after it. */
export interface EndpointSettings {
  readonly apiBase?: string;
  readonly apiKey?: string;
  readonly apiVersion?: string;
  readonly timeoutSeconds?: number;
}

type Env = Readonly<Record<string, string | undefined>>;

const DEFAULT_TIMEOUT_SECONDS = 600;
// setTimeout fires at once beyond 2^31 ms.
const MAX_TIMEOUT_SECONDS = 2_147_483;

/** Throws a usage `Failure` that names the variable when a value cannot be used. A missing key is not one: see `requireKey`. */
export function resolveEndpoint(provider: ProviderId, env: Env, settings: EndpointSettings = {}): Endpoint {
  const row = providerTable[provider];
  const base = firstSet([
    ["MINI_API_BASE", env.MINI_API_BASE],
    ["model_kwargs.api_base", settings.apiBase],
    ...row.baseVariables.map((name) => [name, env[name]] as const),
  ]);
  const key = firstSet([
    ["MINI_API_KEY", env.MINI_API_KEY],
    ["model_kwargs.api_key", settings.apiKey],
    ...row.keyVariables.map((name) => [name, env[name]] as const),
  ]);
  const version = firstSet([
    ["MINI_API_VERSION", env.MINI_API_VERSION],
    ["model_kwargs.api_version", settings.apiVersion],
    ...(provider === "azure"
      ? (["AZURE_API_VERSION", "OPENAI_API_VERSION"] as const).map((name) => [name, env[name]] as const)
      : []),
  ]);
  if (key !== undefined && /[^\x21-\x7e]/.test(key.value)) {
    throw new Failure("usage", `Cannot use ${key.name}: it has characters that no key has`, {
      hints: [`Set ${key.name} again, without spaces and line breaks`],
    });
  }
  if (version !== undefined && !/^[\w.-]+$/.test(version.value)) {
    throw new Failure("usage", `Cannot use ${version.name}: "${version.value}" is not a version`, {
      hints: ["Use a version such as `2024-10-21`"],
    });
  }
  return {
    baseUrl: base === undefined ? row.baseUrl : readBase(base, provider, row),
    apiKey: key?.value,
    custom: base !== undefined,
    apiVersion: version?.value,
    timeoutMs: readTimeout(env, settings) * 1000,
  };
}

/**
 * The key, or an empty text for a provider that asks for none. Throws a `Failure` of type `AuthenticationError` when one
 * is needed: called when the model is first asked, because a run without a key must still be able to save itself.
 */
export function requireKey(provider: ProviderId, endpoint: Endpoint): string {
  const row = providerTable[provider];
  if (endpoint.apiKey !== undefined) return endpoint.apiKey;
  if (row.keyless) return "";
  const variable = row.keyVariables[0]!;
  throw new Failure("model", `Cannot ask ${provider}: no API key is set, ${variable} and MINI_API_KEY are empty`, {
    type: "AuthenticationError",
    hints: endpoint.custom
      ? [`Set a key, a dummy is enough when the server checks none: \`export ${variable}=dummy\``]
      : [`Set it, for example \`export ${variable}=…\``],
  });
}

interface Named {
  readonly name: string;
  readonly value: string;
}

function firstSet(candidates: readonly (readonly [string, string | undefined])[]): Named | undefined {
  for (const [name, value] of candidates) {
    const trimmed = value?.trim();
    if (trimmed !== undefined && trimmed !== "") return { name, value: trimmed };
  }
  return undefined;
}

function readTimeout(env: Env, settings: EndpointSettings): number {
  const text = env.MINI_API_TIMEOUT?.trim();
  const given = text === undefined || text === "" ? settings.timeoutSeconds : Number(text);
  if (given === undefined) return DEFAULT_TIMEOUT_SECONDS;
  if (!(given > 0) || !Number.isFinite(given)) {
    const [name, value] = text ? ["MINI_API_TIMEOUT", text] : ["model_kwargs.timeout", String(given)];
    throw new Failure("usage", `Cannot use ${name}: need a number of seconds above 0, found "${value}"`, {
      hints: ["Set seconds, for example `export MINI_API_TIMEOUT=600`"],
    });
  }
  return Math.min(given, MAX_TIMEOUT_SECONDS);
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\])$/i;
/** An address that was copied with the call it belongs to. */
const COMPLETE_CALL = /\/(messages|chat\/completions|responses|models\/[^/]+:(stream)?generateContent)$/i;

function readBase({ name, value }: Named, provider: ProviderId, row: ProviderRow): string {
  let text = value;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    // OLLAMA_HOST may be a port alone.
    if (/^:\d+(\/|$)/.test(text)) text = `127.0.0.1${text}`;
    const host = /^(\[[^\]]*\]|[^:/]*)/.exec(text)![0];
    text = `${LOOPBACK.test(host) ? "http" : "https"}://${text}`;
    if (name === "OLLAMA_HOST" && !/^https?:\/\/(\[[^\]]*\]|[^:/]*):\d/.test(text)) {
      text = text.replace(/^https?:\/\/(\[[^\]]*\]|[^:/]*)/, "http://$1:11434");
    }
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const finding = url === undefined
    ? "it is not a URL"
    : url.protocol !== "http:" && url.protocol !== "https:"
    ? `"${url.protocol}" is neither http nor https`
    : url.username !== "" || url.password !== ""
    ? "it has a user name or a password in it"
    : url.search !== "" || url.hash !== ""
    ? 'it goes on after "?" or "#"'
    : undefined;
  if (url === undefined || finding !== undefined) {
    // The value is not repeated: a wrong address often has a secret in it.
    throw new Failure("usage", `Cannot use ${name}: need the address of an API, ${finding}`, {
      hints: [`Set an address, for example \`export MINI_API_BASE=http://127.0.0.1:8045\``],
    });
  }
  // "Any address" is one to listen on, nobody can connect to it.
  if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = "127.0.0.1";
  const path = url.pathname.replace(/\/+$/, "");
  if (path === "") return url.origin + row.usualPath;
  if (COMPLETE_CALL.test(path)) {
    return url.origin + path.replace(COMPLETE_CALL, "").replace(/\/deployments\/[^/]+$/, "");
  }
  // Anthropic's own clients add /v1/messages to these two variables, whatever path they have.
  if (provider === "anthropic" && name.startsWith("ANTHROPIC_") && !/\/v\d+$/.test(path)) {
    return `${url.origin}${path}/v1`;
  }
  return url.origin + path;
}
