/** Calls as the gateway gives them to a recorder or a replay. */
import type { Answerer, Asked } from "../../../src/gateway/answerer.ts";
import type { Dialect } from "../../../src/gateway/dialect.ts";
import type { Recorder } from "../../../src/gateway/cassette/recorder.ts";

export const utf8 = new TextEncoder();

/** A cassette looks at no more of a dialect than its name. */
const dialect = { id: "anthropic" } as Dialect;

export function asked(body: Record<string, unknown>, parts: Partial<Asked> = {}): Asked {
  return {
    dialect,
    method: "POST",
    path: "/v1/messages",
    search: "",
    headers: new Headers({ "content-type": "application/json", "user-agent": "agent/1" }),
    body: utf8.encode(JSON.stringify(body)),
    json: body,
    model: "m",
    streamed: true,
    run: "r1",
    worker: "w1",
    ...parts,
  };
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly chunks: readonly (string | Uint8Array)[];
  readonly complete?: boolean;
}

/** Records one whole call. */
export function record(recorder: Recorder, call: Asked, reply: Reply): void {
  const recording = recorder.start(call);
  recording.head(reply.status ?? 200, new Headers(reply.headers ?? { "content-type": "text/event-stream" }));
  for (const chunk of reply.chunks) recording.chunk(typeof chunk === "string" ? utf8.encode(chunk) : chunk);
  recording.end({ complete: reply.complete ?? true });
}

export const never = new AbortController().signal;

export const textOf = async (answer: Answerer, call: Asked): Promise<string> =>
  await (await answer(call, never)).text();

/** The pieces of a body, and what it broke off with. */
export async function piecesOf(response: Response): Promise<{ pieces: Uint8Array[]; error?: unknown }> {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of response.body ?? []) pieces.push(piece);
    return { pieces };
  } catch (error) {
    return { pieces, error };
  }
}
