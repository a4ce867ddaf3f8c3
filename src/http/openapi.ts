/** Describes the routes of the application as an OpenAPI 3.1 document. */
import * as z from "zod/mini";
import { noQuery, type Route, type Schema } from "./route.ts";
import * as schemas from "./schemas.ts";
import * as sessionSchemas from "./session_schemas.ts";

type Json = Record<string, unknown>;

export function describeRoutes(routes: readonly Route[], { version, needsToken }: {
  readonly version: string;
  readonly needsToken: boolean;
}): Json {
  const components = componentsOf(routes);
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = describeRoute(route, components.refs);
  }
  return {
    openapi: "3.1.0",
    info: { title: "gocore", version },
    paths,
    components: {
      schemas: components.schemas,
      ...(needsToken && { securitySchemes: { token: { type: "http", scheme: "bearer" } } }),
    },
    ...(needsToken && { security: [{ token: [] }] }),
  };
}

/** The schemas that answers and bodies are made of, each once, under the names that they have in the program. */
function componentsOf(routes: readonly Route[]): { schemas: Json; refs: ReadonlyMap<unknown, Json> } {
  const queries = new Set<unknown>(routes.map(({ query }) => query));
  const registry = z.registry<{ id: string }>();
  const refs = new Map<unknown, Json>();
  for (const [id, schema] of Object.entries({ ...schemas, ...sessionSchemas })) {
    if (!isSchema(schema) || queries.has(schema)) continue;
    registry.add(schema, { id });
    refs.set(schema, { $ref: refOf(id) });
  }
  const { schemas: described } = z.toJSONSchema(registry, { uri: refOf, io: "input" });
  return { schemas: Object.fromEntries(Object.entries(described).map(([id, schema]) => [id, bare(schema)])), refs };
}

/** By what all of them have: the bundler leaves the class itself out where nothing makes one by its name. */
function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && "_zod" in value;
}

function refOf(id: string): string {
  return `#/components/schemas/${id}`;
}

/** Names of its own, which would lead elsewhere, left out. */
function bare({ $schema: _, $id: _id, ...schema }: Json): Json {
  return schema;
}

function describeRoute(route: Route, refs: ReadonlyMap<unknown, Json>): Json {
  const { method, path, summary, query = noQuery, body, answer } = route;
  const content = (media: readonly string[], schema: Json) => ({
    content: Object.fromEntries(media.map((type) => [type, { schema }])),
  });
  const json = (schema: Schema) => content(["application/json"], refs.get(schema) ?? bare(z.toJSONSchema(schema)));
  return {
    operationId: [method.toLowerCase(), ...path.match(/\w+/g)!].join("_"),
    summary,
    parameters: [
      ...path.matchAll(/\{(\w+)\}/g).map(([, name]) => ({
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
        ...(name === "path" && { description: "Slashes included" }),
      })),
      ...describeQuery(query),
    ],
    ...(body !== undefined && { requestBody: { required: true, ...json(body) } }),
    responses: {
      ..."schema" in answer
        ? { [answer.status]: { description: "As asked", ...json(answer.schema) } }
        : { 200: { description: answer.description, ...content(answer.media, { type: "string" }) } },
      default: { description: "Refused, and why", ...json(schemas.failure) },
    },
    ...(path === "/health" && { security: [] }),
  };
}

function describeQuery(query: Schema): Json[] {
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}
