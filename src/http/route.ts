/** One endpoint: where it is, what it takes and what it answers, from which routing, checks and documentation come. */
import type { Context } from "hono";
import * as z from "zod/mini";

/** What comes with a request besides itself. */
export interface Connection {
  readonly client: Deno.NetAddr;
}

export type AppContext = Context<{ Bindings: Connection }>;
export type Schema<T = unknown> = z.ZodMiniType<T>;

/** A request that may be answered: its parts are checked. */
export interface Ask<Query, Body> {
  /** The address' `{id}`; empty where it has none. */
  readonly id: string;
  /** The address' `{path}`, which is relative and leads nowhere else; empty where it has none. */
  readonly path: string;
  readonly query: Query;
  readonly body: Body;
  readonly c: AppContext;
}

interface Place<Query extends Schema> {
  /** As OpenAPI writes it: `/api/runs/{id}`. `{path}` is the rest of the address, slashes included. */
  readonly path: string;
  readonly summary: string;
  /** Left out: there are no parameters. */
  readonly query?: Query;
}

interface Write<Body extends Schema> {
  readonly body: Body;
  /** What it does, in a word, for whoever may not. */
  readonly act: string;
  /** Left out: 200. */
  readonly status?: 200 | 201 | 202;
}

export interface Route extends Place<Schema> {
  readonly method: "GET" | "POST";
  readonly body?: Schema;
  readonly act?: string;
  readonly answer:
    | { readonly schema: Schema; readonly status: 200 | 201 | 202 }
    | { readonly media: readonly string[]; readonly description: string };
  // Whoever makes a route sees to it that its parts belong together.
  // deno-lint-ignore no-explicit-any
  respond(ask: Ask<any, any>): Response | Promise<Response>;
}

/** What has this shape, and is not changed by whoever gets it. */
export type Answer<T> = T extends readonly (infer Item)[] ? readonly Answer<Item>[]
  : T extends object ? { readonly [Key in keyof T]: Answer<T[Key]> }
  : T;

type Answering<A extends Schema, Query, Body> = (
  ask: Ask<Query, Body>,
) => Answer<z.output<A>> | Promise<Answer<z.output<A>>>;

export const noQuery = z.strictObject({});
type NoQuery = typeof noQuery;

export function readRoute<A extends Schema, Query extends Schema = NoQuery>(
  place: Place<Query> & { readonly answer: A },
  read: Answering<A, z.output<Query>, undefined>,
): Route {
  return {
    ...place,
    method: "GET",
    answer: { schema: place.answer, status: 200 },
    respond: async (ask) => ask.c.json(await read(ask)),
  };
}

export function writeRoute<A extends Schema, Body extends Schema>(
  place: Place<NoQuery> & Write<Body> & { readonly answer: A },
  write: Answering<A, unknown, z.output<Body>>,
): Route {
  const { status = 200 } = place;
  return {
    ...place,
    method: "POST",
    answer: { schema: place.answer, status },
    respond: async (ask) => ask.c.json(await write(ask), status),
  };
}

/** One that answers with something else than JSON. */
export function rawRoute<Query extends Schema = NoQuery>(
  place: Place<Query> & { readonly answer: { readonly media: readonly string[]; readonly description: string } },
  respond: (ask: Ask<z.output<Query>, undefined>) => Response | Promise<Response>,
): Route {
  return { ...place, method: "GET", respond };
}
