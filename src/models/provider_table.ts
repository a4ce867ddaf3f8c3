/** What gocore knows about each provider: its wire format, where it listens, which variables configure it. */

/** - `compatible`: OpenAI's chat/completions as everybody else speaks it */
export type ClientKind = "anthropic" | "openai" | "gemini" | "vertex" | "azure" | "openrouter" | "compatible";

export interface ProviderRow {
  readonly client: ClientKind;
  /** Undefined: the user has to name one (or, for Vertex AI, a project). */
  readonly baseUrl?: string;
  /** Read in this order, after MINI_API_KEY. */
  readonly keyVariables: readonly string[];
  /** Read in this order, after MINI_API_BASE. */
  readonly baseVariables: readonly string[];
  /** The path that a base URL gets when it names a host alone. */
  readonly usualPath: string;
  /** Answers without a key. */
  readonly keyless?: true;
  /** The name in the public price list; undefined: it is not listed there. */
  readonly priceId?: string;
  /** Wants the reasoning text of a reply with tool calls back. */
  readonly echoesReasoning?: true;
}

const compatible = (
  baseUrl: string | undefined,
  keyVariables: readonly string[],
  rest: Partial<ProviderRow> = {},
): ProviderRow => ({ client: "compatible", baseUrl, keyVariables, baseVariables: [], usualPath: "/v1", ...rest });

const rows = {
  anthropic: {
    client: "anthropic",
    baseUrl: "https://api.anthropic.com/v1",
    keyVariables: ["ANTHROPIC_API_KEY"],
    baseVariables: ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"],
    usualPath: "/v1",
    priceId: "anthropic",
  },
  openai: {
    client: "openai",
    baseUrl: "https://api.openai.com/v1",
    keyVariables: ["OPENAI_API_KEY"],
    baseVariables: ["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    usualPath: "/v1",
    priceId: "openai",
  },
  gemini: {
    client: "gemini",
    baseUrl: "https://generativelanguage.googleapis.com/v1beta",
    keyVariables: ["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
    baseVariables: ["GEMINI_API_BASE", "GOOGLE_GEMINI_BASE_URL"],
    usualPath: "/v1beta",
    priceId: "google",
  },
  vertex_ai: {
    client: "vertex",
    keyVariables: ["GOOGLE_VERTEX_API_KEY", "VERTEX_API_KEY", "VERTEXAI_API_KEY"],
    baseVariables: ["VERTEX_API_BASE", "VERTEXAI_API_BASE", "GOOGLE_VERTEX_BASE_URL"],
    usualPath: "/v1/publishers/google",
    priceId: "google",
  },
  azure: {
    client: "azure",
    keyVariables: ["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
    baseVariables: ["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"],
    usualPath: "/openai",
    priceId: "azure",
  },
  openrouter: {
    client: "openrouter",
    baseUrl: "https://openrouter.ai/api/v1",
    keyVariables: ["OPENROUTER_API_KEY", "OR_API_KEY"],
    baseVariables: ["OPENROUTER_API_BASE", "OPENROUTER_BASE_URL"],
    usualPath: "/api/v1",
    priceId: "openrouter",
  },
  ollama: compatible("http://127.0.0.1:11434/v1", ["OLLAMA_API_KEY"], {
    baseVariables: ["OLLAMA_API_BASE", "OLLAMA_HOST"],
    keyless: true,
  }),
  openai_compatible: compatible(undefined, ["OPENAI_API_KEY"], {
    baseVariables: ["OPENAI_API_BASE", "OPENAI_BASE_URL"],
  }),
  azure_ai: compatible(undefined, ["AZURE_AI_API_KEY"], { baseVariables: ["AZURE_AI_API_BASE"], priceId: "azure" }),
  cerebras: compatible("https://api.cerebras.ai/v1", ["CEREBRAS_API_KEY"], { priceId: "cerebras" }),
  dashscope: compatible("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", ["DASHSCOPE_API_KEY"], {
    baseVariables: ["DASHSCOPE_API_BASE"],
  }),
  deepinfra: compatible("https://api.deepinfra.com/v1/openai", ["DEEPINFRA_API_KEY"]),
  deepseek: compatible("https://api.deepseek.com/v1", ["DEEPSEEK_API_KEY"], {
    baseVariables: ["DEEPSEEK_API_BASE"],
    priceId: "deepseek",
    echoesReasoning: true,
  }),
  fireworks_ai: compatible("https://api.fireworks.ai/inference/v1", ["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"], {
    priceId: "fireworks",
  }),
  groq: compatible("https://api.groq.com/openai/v1", ["GROQ_API_KEY"], { priceId: "groq" }),
  hosted_vllm: compatible("http://127.0.0.1:8000/v1", ["HOSTED_VLLM_API_KEY"], {
    baseVariables: ["HOSTED_VLLM_API_BASE"],
    keyless: true,
  }),
  huggingface: compatible("https://router.huggingface.co/v1", ["HF_TOKEN", "HUGGINGFACE_API_KEY"]),
  litellm_proxy: compatible("http://127.0.0.1:4000/v1", ["LITELLM_PROXY_API_KEY"], {
    baseVariables: ["LITELLM_PROXY_API_BASE"],
  }),
  lm_studio: compatible("http://127.0.0.1:1234/v1", ["LM_STUDIO_API_KEY"], {
    baseVariables: ["LM_STUDIO_API_BASE"],
    keyless: true,
  }),
  mistral: compatible("https://api.mistral.ai/v1", ["MISTRAL_API_KEY"], {
    baseVariables: ["MISTRAL_API_BASE"],
    priceId: "mistral",
  }),
  moonshot: compatible("https://api.moonshot.ai/v1", ["MOONSHOT_API_KEY"], {
    baseVariables: ["MOONSHOT_API_BASE"],
    priceId: "moonshotai",
    echoesReasoning: true,
  }),
  nvidia_nim: compatible("https://integrate.api.nvidia.com/v1", ["NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY"], {
    baseVariables: ["NVIDIA_NIM_API_BASE"],
  }),
  perplexity: compatible("https://api.perplexity.ai", ["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"], {
    usualPath: "",
    priceId: "perplexity",
  }),
  together_ai: compatible("https://api.together.xyz/v1", ["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"], {
    priceId: "together",
  }),
  xai: compatible("https://api.x.ai/v1", ["XAI_API_KEY"], { baseVariables: ["XAI_API_BASE"], priceId: "x-ai" }),
  zai: compatible("https://api.z.ai/api/paas/v4", ["ZAI_API_KEY"], { priceId: "zai" }),
} as const satisfies Record<string, ProviderRow>;

export type ProviderId = keyof typeof rows;

export const providerTable: Readonly<Record<ProviderId, ProviderRow>> = rows;

/** Other spellings that people bring from elsewhere; compared in lower case with `-` read as `_`. */
const ALIASES: Readonly<Record<string, ProviderId>> = {
  google: "gemini",
  google_ai_studio: "gemini",
  vertex: "vertex_ai",
  vertexai: "vertex_ai",
  vertex_ai_beta: "vertex_ai",
  google_vertex: "vertex_ai",
  azure_openai: "azure",
  ollama_chat: "ollama",
  custom_openai: "openai_compatible",
  openai_like: "openai_compatible",
  fireworks: "fireworks_ai",
  lmstudio: "lm_studio",
  moonshotai: "moonshot",
  nvidia: "nvidia_nim",
  together: "together_ai",
  togetherai: "together_ai",
  vllm: "hosted_vllm",
  x_ai: "xai",
};

/** The provider behind a prefix such as `anthropic`, `google` or `together-ai`; undefined when nobody has that name. */
export function findProvider(prefix: string): ProviderId | undefined {
  const key = prefix.trim().toLowerCase().replaceAll("-", "_");
  if (Object.hasOwn(rows, key)) return key as ProviderId;
  return Object.hasOwn(ALIASES, key) ? ALIASES[key] : undefined;
}

export const providerNames: readonly string[] = [...Object.keys(rows), ...Object.keys(ALIASES)];
