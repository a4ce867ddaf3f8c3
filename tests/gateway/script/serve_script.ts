/** Puts an answerer behind a loopback server, for real clients: without metering, budgets, or anything else of a gateway. */
import type { Answerer, Asked } from "../../../src/gateway/answerer.ts";
import type { Dialect, DialectId } from "../../../src/gateway/dialect.ts";

export interface ScriptServer {
  /** `http://127.0.0.1:PORT/w/WORKER` for the worker's own base. */
  readonly url: string;
  readonly asked: readonly Asked[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** A request as the gateway hands it on; `path` has its query. */
export function askedOf(
  path: string,
  json: Asked["json"] = {},
  { method = "POST", worker = "w1", dialect = dialectOf(path) }: {
    method?: string;
    worker?: string;
    dialect?: DialectId;
  } = {},
): Asked {
  const { pathname, search } = new URL(path, "http://127.0.0.1");
  const isGemini = dialect === "gemini";
  return {
    // Scripts look at nothing but the dialect's name.
    dialect: { id: dialect } as Dialect,
    method,
    path: pathname,
    search,
    headers: new Headers(),
    body: new TextEncoder().encode(JSON.stringify(json)),
    json,
    model: isGemini ? /models\/([^:]+)/.exec(pathname)?.[1] ?? "" : String(json.model ?? ""),
    streamed: isGemini ? pathname.endsWith(":streamGenerateContent") : json.stream === true,
    run: "run",
    worker,
  };
}

function dialectOf(path: string): DialectId {
  if (path.includes("/messages")) return "anthropic";
  if (path.includes("/responses")) return "openai_responses";
  return path.includes("v1beta") ? "gemini" : "openai_chat";
}

export function serveScript(answer: Answerer): ScriptServer {
  const asked: Asked[] = [];
  const closing = new AbortController();
  const { signal } = closing;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, signal, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const [, worker = "w1", path] = /^\/w\/([^/]+)(\/.*)$/.exec(pathname) ?? [, undefined, pathname];
    const text = await request.text();
    const call = askedOf(path! + search, text === "" ? {} : JSON.parse(text), { method: request.method, worker });
    asked.push(call);
    return await answer(call, request.signal);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    asked,
    async [Symbol.asyncDispose]() {
      // A graceful end would wait for the connections that clients keep.
      closing.abort();
      await server.finished;
    },
  };
}
