/** What the model classes of mini-swe-agent mean for the wire. */
import type { MiniSettings, Protocol } from "./mini_settings.ts";

export interface ModelClass {
  readonly protocol?: Protocol;
  readonly api?: MiniSettings["model"]["api"];
  readonly provider?: string;
  /** What a user of this class has to know. */
  readonly warning?: string;
}

const RESPONSES = { api: "responses" } as const;
const TEXT = { protocol: "text" } as const;
const OPENROUTER = { provider: "openrouter" } as const;
const PORTKEY = {
  warning: "There is no portkey client here: the provider in the model's name is asked, or MINI_API_BASE",
};
const REQUESTY = {
  warning: "There is no requesty client here: the provider in the model's name is asked, or MINI_API_BASE",
};
const DETERMINISTIC = {
  warning:
    "The replies of a deterministic model class are not read from the configuration: use `--model scripted/FILE`",
};

const CLASSES: Readonly<Record<string, ModelClass>> = {
  litellm: {},
  litellm_textbased: TEXT,
  litellm_response: RESPONSES,
  anthropic: { provider: "anthropic" },
  openrouter: OPENROUTER,
  openrouter_textbased: { ...OPENROUTER, ...TEXT },
  openrouter_response: { ...OPENROUTER, ...RESPONSES },
  portkey: PORTKEY,
  portkey_response: { ...PORTKEY, ...RESPONSES },
  requesty: REQUESTY,
  deterministic: DETERMINISTIC,
};

/** The last part of the Python import paths, of both major versions. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  LitellmModel: "litellm",
  LitellmTextbasedModel: "litellm_textbased",
  LitellmResponseModel: "litellm_response",
  LitellmResponseAPIModel: "litellm_response",
  AnthropicModel: "anthropic",
  OpenRouterModel: "openrouter",
  OpenRouterTextbasedModel: "openrouter_textbased",
  OpenRouterResponseModel: "openrouter_response",
  OpenRouterResponseAPIModel: "openrouter_response",
  PortkeyModel: "portkey",
  PortkeyResponseModel: "portkey_response",
  PortkeyResponseAPIModel: "portkey_response",
  RequestyModel: "requesty",
  DeterministicModel: "deterministic",
  DeterministicToolcallModel: "deterministic",
  DeterministicResponseAPIToolcallModel: "deterministic",
};

/** By short name or Python import path; undefined for a class that nobody knows. */
export function modelClassOf(name: string): ModelClass | undefined {
  const last = name.slice(name.lastIndexOf(".") + 1);
  const short = Object.hasOwn(SHORT_NAMES, last) ? SHORT_NAMES[last]! : name;
  return Object.hasOwn(CLASSES, short) ? CLASSES[short] : undefined;
}
