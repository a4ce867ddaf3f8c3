/** GitHub's API on a loopback socket: answers by a table, and keeps what was asked. */
import "../support/direct_loopback.ts";

export interface Asked {
  readonly line: string;
  readonly token: string | null;
  readonly body: unknown;
}

export type Answer = (request: Request, times: number) => Response | Promise<Response>;

export interface FakeGithub extends AsyncDisposable {
  /** For GITHUB_API_URL. */
  readonly url: string;
  readonly asked: Asked[];
}

/** `answers` by `GET /path?query`; `times` counts from 1 how often that was asked. */
export function startFakeGithub(answers: Readonly<Record<string, unknown>>): FakeGithub {
  const asked: Asked[] = [];
  const times = new Map<string, number>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const line = `${request.method} ${pathname}${search}`;
    const text = await request.text();
    asked.push({ line, token: request.headers.get("authorization"), body: text === "" ? null : JSON.parse(text) });
    times.set(line, (times.get(line) ?? 0) + 1);
    const answer = answers[line];
    if (answer === undefined) return Response.json({ message: "Not Found" }, { status: 404 });
    return typeof answer === "function" ? await (answer as Answer)(request, times.get(line)!) : Response.json(answer);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
