/** Makes the client of a provider; each package is loaded when it is first needed. */
import type { LanguageModelV4 } from "@ai-sdk/provider";
import { Failure } from "../failure.ts";
import { type Endpoint, requireKey } from "./endpoint.ts";
import { type ProviderId, providerTable } from "./provider_table.ts";

export interface ClientOptions {
  readonly provider: ProviderId;
  readonly model: string;
  readonly api: "chat" | "responses";
  readonly endpoint: Endpoint;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly vertex: { readonly project?: string; readonly location?: string };
}

/** The newest dated version that every Azure resource has. */
const AZURE_VERSION = "2024-10-21";

/**
 * Address, key and headers are always given, so that a client never looks into the environment by itself. Throws a
 * `Failure` when a key, an address or a project is missing.
 */
export async function createClient(options: ClientOptions): Promise<LanguageModelV4> {
  const { provider, model, api, endpoint, env, fetch } = options;
  const row = providerTable[provider];
  const headers = { ...options.headers };
  if (row.client === "vertex") return await createVertexClient(options);
  const apiKey = requireKey(provider, endpoint);
  const baseURL = endpoint.baseUrl ?? missingBase(provider);
  switch (row.client) {
    case "anthropic": {
      const { createAnthropic } = await import("@ai-sdk/anthropic");
      const version: Record<string, string> = endpoint.apiVersion === undefined
        ? {}
        : { "anthropic-version": endpoint.apiVersion };
      return createAnthropic({ baseURL, apiKey, headers: { ...version, ...headers }, fetch })(model);
    }
    case "openai": {
      const { createOpenAI } = await import("@ai-sdk/openai");
      const organization = env.OPENAI_ORGANIZATION ?? env.OPENAI_ORG_ID;
      const project = env.OPENAI_PROJECT;
      const client = createOpenAI({ baseURL, apiKey, headers, fetch, organization, project });
      return api === "responses" ? client.responses(model) : client.chat(model);
    }
    case "gemini": {
      const { createGoogle } = await import("@ai-sdk/google");
      return createGoogle({ baseURL, apiKey, headers, fetch })(model);
    }
    case "azure": {
      const { createAzure } = await import("@ai-sdk/azure");
      const versioned = /\/v1$/.test(baseURL);
      // The responses format exists only below /openai/v1.
      if (api === "responses" || versioned || endpoint.apiVersion === "v1") {
        const base = versioned ? baseURL : `${baseURL}/v1`;
        const client = createAzure({ baseURL: base, apiKey, headers, fetch, apiVersion: endpoint.apiVersion ?? "v1" });
        return api === "responses" ? client.responses(model) : client.chat(model);
      }
      const apiVersion = endpoint.apiVersion ?? AZURE_VERSION;
      return createAzure({ baseURL, apiKey, headers, fetch, apiVersion, useDeploymentBasedUrls: true }).chat(model);
    }
    case "openrouter": {
      const { createOpenRouter } = await import("@openrouter/ai-sdk-provider");
      return createOpenRouter({ baseURL, apiKey, headers, fetch }).chat(model) as unknown as LanguageModelV4;
    }
    case "compatible": {
      const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
      const key = apiKey === "" ? undefined : apiKey;
      return createOpenAICompatible({ name: "openaiCompatible", baseURL, apiKey: key, headers, fetch })(model);
    }
  }
}

async function createVertexClient(
  { provider, model, endpoint, headers, env, fetch, vertex }: ClientOptions,
): Promise<LanguageModelV4> {
  const { baseUrl: baseURL, apiKey } = endpoint;
  const claude = /claude/i.test(model);
  const project = vertex.project ?? env.GOOGLE_VERTEX_PROJECT ?? env.VERTEXAI_PROJECT ?? env.GOOGLE_CLOUD_PROJECT;
  const location = vertex.location ?? env.GOOGLE_VERTEX_LOCATION ?? env.VERTEXAI_LOCATION ??
    env.GOOGLE_CLOUD_LOCATION ?? "us-central1";
  if (apiKey !== undefined && !claude) {
    const { createGoogleVertex } = await import("@ai-sdk/google-vertex/edge");
    return createGoogleVertex({ apiKey, baseURL, headers: { ...headers }, fetch })(model);
  }
  if (project === undefined) {
    throw new Failure("model", `Cannot ask ${provider}: neither an API key nor a Google Cloud project is set`, {
      type: "AuthenticationError",
      hints: claude
        ? [
          "Set GOOGLE_VERTEX_PROJECT and GOOGLE_VERTEX_LOCATION, and log in with `gcloud auth application-default login`",
        ]
        : ["Set GOOGLE_VERTEX_API_KEY, or GOOGLE_VERTEX_PROJECT and `gcloud auth application-default login`"],
    });
  }
  // Credentials of the machine: Google's own library, which is large, knows all the places where they can be.
  const keyFile = env.GOOGLE_APPLICATION_CREDENTIALS;
  const googleAuthOptions = keyFile === undefined ? undefined : { keyFilename: keyFile };
  const common = { project, location, baseURL, headers: { ...headers }, fetch, googleAuthOptions };
  if (claude) {
    const { createVertexAnthropic } = await import("@ai-sdk/google-vertex/anthropic");
    return createVertexAnthropic(common)(model);
  }
  const { createGoogleVertex } = await import("@ai-sdk/google-vertex");
  return createGoogleVertex(common)(model);
}

function missingBase(provider: ProviderId): never {
  const variable = providerTable[provider].baseVariables[0] ?? "MINI_API_BASE";
  throw new Failure("model", `Cannot ask ${provider}: no address is set, MINI_API_BASE and ${variable} are empty`, {
    type: "APIConnectionError",
    hints: [`Set it, for example \`export ${variable}=https://example.com/v1\``],
  });
}
