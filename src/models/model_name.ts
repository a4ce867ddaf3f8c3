/** Reads `provider/model` names, with litellm's habits where a name leaves something open. */
import { closestName, Failure } from "../failure.ts";
import { findProvider, type ProviderId, providerNames } from "./provider_table.ts";

export interface ModelName {
  readonly provider: ProviderId | "scripted";
  /** What goes over the wire; for `scripted` the path of the script. */
  readonly model: string;
  /** The name itself asks for OpenAI's responses format: `openai/responses/gpt-5`. */
  readonly api?: "responses";
}

export interface NameContext {
  /** A base URL is configured, so a name that nobody knows can still be asked of that address. */
  readonly hasBase?: boolean;
  /** A provider named elsewhere (a model class, `custom_llm_provider`); the name is then the model alone. */
  readonly provider?: string;
}

/** Names that say whose they are, whatever address they are asked of. */
const OWNERS: readonly (readonly [RegExp, ProviderId])[] = [
  [/^(claude|sonnet|opus|haiku)/i, "anthropic"],
  [/^(gpt-\d|o[134](-|$)|chatgpt|codex)/i, "openai"],
  [/^gemini/i, "gemini"],
];

/** Open models are served by many: these only when no other address is configured. */
const USUAL_OWNERS: readonly (readonly [RegExp, ProviderId])[] = [
  [/^deepseek/i, "deepseek"],
  [/^grok/i, "xai"],
  [/^(mistral|devstral|codestral|magistral)/i, "mistral"],
];

const EXAMPLE = "--model anthropic/claude-sonnet-4-20250514";

/**
 * Only the first slash splits, so `openrouter/anthropic/claude-sonnet-4` is the model `anthropic/claude-sonnet-4`.
 * Throws a usage `Failure` when the provider cannot be told.
 */
export function parseModelName(name: string, context: NameContext = {}): ModelName {
  const trimmed = name.trim();
  if (trimmed === "") {
    throw new Failure("usage", "Cannot choose a model: none is named", {
      hints: [`Name one, for example \`${EXAMPLE}\``],
    });
  }
  if (context.provider !== undefined) return withNamedProvider(trimmed, context.provider);

  const slash = trimmed.indexOf("/");
  if (slash >= 0) {
    const prefix = trimmed.slice(0, slash);
    const rest = trimmed.slice(slash + 1);
    if (prefix.toLowerCase() === "scripted") return { provider: "scripted", model: needed(rest, name) };
    const provider = findProvider(prefix);
    if (provider !== undefined) return withApi(provider, needed(rest, name));
    if (context.hasBase) return { provider: "openai_compatible", model: trimmed };
    throw unknownProvider(prefix, name);
  }

  const candidates = context.hasBase ? OWNERS : [...OWNERS, ...USUAL_OWNERS];
  const owner = candidates.find(([pattern]) => pattern.test(trimmed))?.[1];
  if (owner !== undefined) return { provider: owner, model: trimmed };
  if (context.hasBase) return { provider: "openai_compatible", model: trimmed };
  throw new Failure("usage", `Cannot tell the provider of the model "${name}"`, {
    hints: [
      `Put the provider in front, for example \`${EXAMPLE}\``,
      "Or set MINI_API_BASE to the address that serves it",
    ],
  });
}

function withNamedProvider(name: string, named: string): ModelName {
  const provider = findProvider(named);
  if (provider === undefined) throw unknownProvider(named, name);
  const slash = name.indexOf("/");
  const repeats = slash >= 0 && findProvider(name.slice(0, slash)) === provider;
  return withApi(provider, needed(repeats ? name.slice(slash + 1) : name, name));
}

function withApi(provider: ProviderId, model: string): ModelName {
  const speaksResponses = provider === "openai" || provider === "azure";
  if (!speaksResponses || !model.startsWith("responses/")) return { provider, model };
  return { provider, model: needed(model.slice("responses/".length), model), api: "responses" };
}

function needed(model: string, name: string): string {
  if (model !== "") return model;
  throw new Failure("usage", `Cannot choose a model: "${name}" ends after the slash`, {
    hints: [`Name one, for example \`${EXAMPLE}\``],
  });
}

function unknownProvider(prefix: string, name: string): Failure {
  const near = closestName(prefix.toLowerCase().replaceAll("-", "_"), providerNames);
  return new Failure("usage", `Cannot tell the provider of the model "${name}": nobody is called "${prefix}"`, {
    hints: [
      ...(near === undefined ? [] : [`Did you mean \`${near}/${name.slice(name.indexOf("/") + 1)}\`?`]),
      "Set MINI_API_BASE when an OpenAI-compatible server offers the model under this name",
    ],
  });
}
