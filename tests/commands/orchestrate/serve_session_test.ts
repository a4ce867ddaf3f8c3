import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { serveSession, type SessionServer } from "../../../src/commands/orchestrate/serve_session.ts";
import { SessionLog } from "../../../src/commands/orchestrate/session_folder.ts";
import { Failure } from "../../../src/failure.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { sampleFacts } from "../../http/sample_session.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const LOOPBACK = { dashboard: true, host: "127.0.0.1", port: 0, token: undefined };

/** A session's log, and how to serve it. */
async function inSession(
  work: (session: {
    log: SessionLog;
    folder: string;
    serve(options?: Partial<Parameters<typeof serveSession>[0]["options"]>): Promise<SessionServer | undefined>;
  }) => Promise<void>,
): Promise<void> {
  await inTempDir(async (folder) => {
    using log = await SessionLog.open(folder, {
      redactor: new Redactor(),
      now: () => Date.now(),
      onFailure: (error) => {
        throw error;
      },
    });
    for (const fact of sampleFacts) await log.publish(fact);
    await work({
      log,
      folder,
      serve: (options = {}) =>
        serveSession({
          options: { ...LOOPBACK, ...options },
          folder,
          log,
          take({ id, command, worker, text, by }) {
            log.publish({ type: "control.received", data: { control: id, command, worker, text, by } });
          },
          io: { now: () => Date.now(), env: {} },
        }),
    });
  });
}

interface Message {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: { seq: number };
}

/** The whole messages of a stream, one at a time; the connection is cut when the caller stops asking. */
async function* messagesOf(url: string, headers: Record<string, string> = {}): AsyncGenerator<Message> {
  const cut = new AbortController();
  const response = await fetch(url, { headers, signal: cut.signal });
  equal(response.status, 200);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return equal(rest, "");
      const parts = (rest + value).split("\n\n");
      rest = parts.pop()!;
      for (const part of parts) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(part)?.[1];
        if (field("event") !== undefined) {
          yield { id: field("id"), event: field("event")!, data: JSON.parse(field("data")!) };
        }
      }
    }
  } finally {
    cut.abort();
    await reader.cancel().catch(() => {});
  }
}

const log = (content: string) => ({ type: "log", data: { level: "info", content } }) as const;
const range = (to: number) => Array.from({ length: to }, (_, i) => i);

Deno.test("a stream begins with the summary, goes on with what comes, and ends with the server", async () => {
  await inSession(async ({ log: sessionLog, serve }) => {
    const server = (await serve())!;
    const seen: [string | undefined, string][] = [];
    let summary: unknown;
    let closed: Promise<void> | undefined;
    for await (const { id, event, data } of messagesOf(`${server.url}/api/events/stream`)) {
      seen.push([id, event]);
      if (event === "snapshot") {
        summary = data;
        await sessionLog.publish(log("first"));
      }
      if (seen.length === 2) {
        // What is published just before the end still arrives.
        sessionLog.publish({ type: "session.status", data: { status: "done", reason: "" } });
        closed = server.close();
      }
    }
    const latest = sampleFacts.length - 1;
    deepEqual(seen, [[`${latest}`, "snapshot"], [`${latest + 1}`, "log"], [`${latest + 2}`, "session.status"]]);
    const { session, ...rest } = summary as { session: { session_id: string; seq: number } };
    deepEqual([session.session_id, session.seq], ["orch_1", latest]);
    deepEqual(Object.keys(rest), [
      "tasks",
      "workers",
      "reviews",
      "verdicts",
      "decisions",
      "recovery",
      "questions",
      "supervised",
    ]);
    await closed;
  });
});

Deno.test("a reader that is cut off again and again gets every event once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(60), { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(3000), { minLength: 1, maxLength: 8 }),
      async (cuts, sizes) => {
        await inSession(async ({ log: sessionLog, serve }) => {
          const total = 800;
          let server = (await serve())!;
          const { port } = new URL(server.url);
          const publish = async () => {
            while (sessionLog.state.seq < total) {
              for (const size of sizes) {
                if (sessionLog.state.seq < total) sessionLog.publish(log("ü".repeat(size)));
              }
              await new Promise((resolve) => setTimeout(resolve, 0));
            }
          };
          const published = publish();
          const seen: number[] = [];
          for (let attempt = 0; seen.length < total; attempt++) {
            // Another process may go on with the session: then the server is new, too.
            if (attempt === 3) {
              await server.close();
              server = (await serve({ port: Number(port) }))!;
            }
            let left = (cuts[attempt % cuts.length]! + 1) * (attempt > 20 ? 20 : 1);
            const headers: Record<string, string> = seen.length === 0 ? {} : { "last-event-id": `${seen.at(-1)}` };
            for await (const { event, data } of messagesOf(`${server.url}/api/events/stream?since=-1`, headers)) {
              if (event !== "snapshot") seen.push(data.seq);
              if (--left <= 0 || seen.length === total) break;
            }
          }
          await published;
          await server.close();
          deepEqual(seen, range(total));
        });
      },
    ),
    { numRuns: 3 },
  );
});

Deno.test("the number of an event that is still to come is that of another session", async () => {
  await inSession(async ({ log: sessionLog, serve }) => {
    const server = (await serve())!;
    const seen: string[] = [];
    for await (const { event, id } of messagesOf(`${server.url}/api/events/stream`, { "last-event-id": "5000" })) {
      seen.push(`${event} ${id}`);
      if (event === "log") break;
      sessionLog.publish(log("next"));
    }
    deepEqual(seen, [`snapshot ${sampleFacts.length - 1}`, `log ${sampleFacts.length}`]);
    await server.close();
  });
});

Deno.test("readers that take nothing hinder neither the others nor the end", async () => {
  await inSession(async ({ log: sessionLog, serve }) => {
    const server = (await serve())!;
    const { port } = new URL(server.url);
    const stuck = await Promise.all(
      range(10).map(async () => {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
        await connection.write(
          new TextEncoder().encode("GET /api/events/stream?since=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        );
        return connection;
      }),
    );
    const total = 2000;
    const reading = (async () => {
      const seen: number[] = [];
      for await (const { event, data } of messagesOf(`${server.url}/api/events/stream?since=-1`)) {
        if (event !== "snapshot") seen.push(data.seq);
        if (seen.length === total) break;
      }
      return seen;
    })();
    while (sessionLog.state.seq < total) {
      for (let i = 0; i < 50 && sessionLog.state.seq < total; i++) sessionLog.publish(log("x".repeat(10_000)));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    deepEqual(await reading, range(total));
    await server.close();
    for (const connection of stuck) connection.close();
    await rejects(fetch(`${server.url}/health`));
  });
});

Deno.test("a control that comes over a socket reaches the session and its log", async () => {
  await inSession(async ({ log: sessionLog, serve }) => {
    const server = (await serve())!;
    const response = await fetch(`${server.url}/api/control/answer`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: "No", by: "ann" }),
    });
    equal(response.status, 202);
    const { control } = await response.json();
    deepEqual([...sessionLog.state.controls], [control]);
    // As curl sends it.
    const bare = await fetch(`${server.url}/api/control/pause`, { method: "POST" });
    equal(bare.status, 202);
    await bare.body?.cancel();
    await server.close();
  });
});

Deno.test("no server without a dashboard, and none for other machines without a token", async () => {
  await inSession(async ({ serve }) => {
    equal(await serve({ dashboard: false }), undefined);
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "box.example"]) {
      await rejects(
        serve({ host }),
        (error) =>
          error instanceof Failure && error.kind === "usage" &&
          error.message === `Cannot serve the session on ${host}: other machines need a token, found none`,
      );
    }
    const server = (await serve({ host: "0.0.0.0", token: "s3cret" }))!;
    const { port } = new URL(server.url);
    const response = await fetch(`http://127.0.0.1:${port}/api/session`, {
      headers: { authorization: "Bearer s3cret" },
    });
    equal((await response.json()).session_id, "orch_1");
    await server.close();
  });
});

Deno.test("a port that was asked for and is taken is a failure", async () => {
  await inSession(async ({ serve, log: sessionLog }) => {
    using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = other.addr as Deno.NetAddr;
    const before = sessionLog.state.seq;
    await rejects(
      serve({ port }),
      (error) =>
        error instanceof Failure && error.kind === "environment" &&
        error.message === `Cannot serve the session on 127.0.0.1:${port}: another program listens there`,
    );
    equal(sessionLog.state.seq, before);
  });
});

Deno.test("the usual port gives way to any free one, with a warning", async () => {
  await inSession(async ({ serve, log: sessionLog, folder }) => {
    let other: Deno.TcpListener | undefined;
    try {
      other = Deno.listen({ hostname: "127.0.0.1", port: 8000 });
    } catch {
      // Somebody has it already, which is as good.
    }
    const server = (await serve({ port: undefined }))!;
    other?.close();
    ok(!server.url.endsWith(":8000"));
    equal((await (await fetch(`${server.url}/health`)).json()).ok, true);
    equal(sessionLog.state.seq, sampleFacts.length + 1);
    const lines = (await Deno.readTextFile(`${folder}/events.jsonl`)).trimEnd().split("\n");
    deepEqual(JSON.parse(lines.at(-1)!).data, {
      level: "warning",
      content: `Port 8000 is taken: the session is shown at ${server.url}`,
    });
    await server.close();
  });
});
