/** The HTTP application: every endpoint of the API and the dashboard, over whatever runs a library has. */
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { guard, secureHeaders, welcomeScript } from "./guard.ts";
import { historyRoutes } from "./history_routes.ts";
import { readBody, readQuery } from "./input.ts";
import { miniRoutes } from "./mini_routes.ts";
import { page } from "./page.ts";
import { type AppOptions, Refused } from "./ports.ts";
import { type AppContext, type Connection, noQuery, rawRoute, readRoute, type Route } from "./route.ts";
import { runRoutes } from "./run_routes.ts";
import { health, openapi } from "./schemas.ts";
import { sessionRoutes } from "./session_routes.ts";
import { startRoutes } from "./start_routes.ts";

const ID = /^[A-Za-z0-9_.][A-Za-z0-9._-]{0,127}$/;

export function createApp(options: AppOptions): Hono<{ Bindings: Connection }> {
  const app = new Hono<{ Bindings: Connection }>();
  if (options.measure !== undefined) app.use(options.measure);
  app.use(secureHeaders);
  app.use(guard(options.token, page));
  app.onError((error, c) => {
    if (error instanceof HTTPException || error instanceof Refused) {
      return c.json({ error: error.message }, error.status);
    }
    options.onError(error);
    return c.json({ error: "Something went wrong here; gocore's own messages tell what" }, 500);
  });
  app.notFound((c) => c.json({ error: "There is no such path" }, 404));

  const routes: Route[] = [
    ...serverRoutes(options, () => routes),
    ...historyRoutes(options),
    ...sessionRoutes(options),
    ...runRoutes(options),
    ...miniRoutes(options),
    ...startRoutes(options),
  ];
  const allowed = new Map<string, string[]>();
  for (const route of routes) {
    const path = route.path.replace("{path}", ":path{.+}").replaceAll(/\{(\w+)\}/g, ":$1");
    app.on(route.method, path, (c) => respond(c, route, options));
    allowed.set(path, [...allowed.get(path) ?? [], ...(route.method === "GET" ? ["GET", "HEAD"] : [route.method])]);
  }
  for (const [path, { type, content }] of [...page, [welcomeScript.path, welcomeScript] as const]) {
    app.get(path, (c) => c.body(content, 200, { "content-type": type }));
    allowed.set(path, ["GET", "HEAD"]);
  }
  for (const [path, methods] of allowed) {
    const allow = methods.join(", ");
    app.all(path, (c) => {
      c.header("allow", allow);
      return c.json({ error: `${c.req.method} is not possible here; use ${allow}` }, 405);
    });
  }
  return app;
}

async function respond(c: AppContext, route: Route, { refusalOf }: AppOptions): Promise<Response> {
  const { query = noQuery, body, act } = route;
  const id = c.req.param("id") ?? "";
  if (c.req.param("id") !== undefined && !isId(id)) throw new Refused(404, "There is no such path");
  const refusal = act === undefined ? undefined : refusalOf(c.env.client, act);
  if (refusal !== undefined) throw new Refused(403, refusal);
  return await route.respond({
    id,
    path: c.req.param("path") ?? "",
    query: readQuery(query, c.req.url),
    body: body && await readBody(body, c.req.raw),
    c,
  });
}

/** Whether it can be the name of a run: such names lead nowhere else. */
function isId(id: string): boolean {
  return ID.test(id) && id !== "." && id !== "..";
}

function serverRoutes({ library, token, metrics }: AppOptions, routes: () => readonly Route[]): Route[] {
  let document: Promise<Record<string, unknown>> | undefined;
  const describe = async () => {
    const { describeRoutes } = await import("./openapi.ts");
    return describeRoutes(routes(), { version: library.about.version, needsToken: token !== undefined });
  };
  return [
    readRoute(
      { path: "/health", summary: "Whether the server answers; needs no token", answer: health },
      () => ({ ok: true } as const),
    ),
    readRoute(
      { path: "/api/openapi.json", summary: "This description, as OpenAPI 3.1 has it", answer: openapi },
      () => document ??= describe(),
    ),
    ...metrics === undefined ? [] : [
      rawRoute({
        path: "/metrics",
        summary: "Figures for Prometheus",
        answer: { media: ["text/plain"], description: "Prometheus' text format" },
      }, async ({ c }) => c.body(await metrics(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" })),
    ],
  ];
}
