import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { CLIENT, runEvents, sampleApp, sampleMini, sampleRun, sampleStatus } from "./sample_app.ts";
import { HOSTILE } from "./sample_session.ts";

Deno.test("each endpoint of a manager run answers with what its view has", async () => {
  using app = await sampleApp();
  const expected: Record<string, unknown> = {
    "/api/runs": { runs: ["run-1", "run-2"], count: 2 },
    "/api/runs/run-1": sampleRun,
    "/api/runs/run-1/status": sampleStatus,
    "/api/runs/run-1/status?lines=7": sampleStatus,
    "/api/runs/run-1/files": { files: [{ path: "issue.json", size: 2, modified_at: "2026-01-01T00:00:00.000Z" }] },
    "/api/runs/run-1/source?file=src/a.py": { file: "src/a.py", commit: "abc", first_line: 1, lines: ["a", HOSTILE] },
    "/api/runs/run-1/source?file=a.py&line=40&context=3": {
      file: "a.py",
      commit: "abc",
      first_line: 1,
      lines: ["a", HOSTILE],
    },
  };
  for (const [path, body] of Object.entries(expected)) deepEqual(await app.get(path), { status: 200, body }, path);
  deepEqual(app.asked, [
    ["record"],
    ["status", 120],
    ["status", 7],
    ["files"],
    ["source", "src/a.py", { line: 1, context: 6 }],
    ["source", "a.py", { line: 40, context: 3 }],
  ]);
});

Deno.test("a run's file is text or bytes, and never more than that to a browser", async () => {
  using app = await sampleApp();
  const read = async (path: string, method = "GET") => {
    const response = await app.fetch(`/api/runs/run-1/files/${path}`, { method });
    const headers = ["content-type", "x-content-type-options", "content-disposition"].map((name) =>
      response.headers.get(name)
    );
    return [response.status, ...headers, await response.text()];
  };
  const text = "text/plain; charset=utf-8";
  deepEqual(await read("repro/candidates/w1.json"), [200, text, "nosniff", null, HOSTILE]);
  deepEqual(await read("a%20b.html"), [200, text, "nosniff", null, HOSTILE]);
  deepEqual(await read("core.bin"), [200, "application/octet-stream", "nosniff", "attachment", HOSTILE]);
  deepEqual(await read("final.md", "HEAD"), [200, text, "nosniff", null, ""]);
  deepEqual(app.asked.map(([, path]) => path), ["repro/candidates/w1.json", "a b.html", "core.bin", "final.md"]);
  deepEqual(await app.get("/api/runs/run-1/files/gone"), { status: 404, body: { error: "There is no such file" } });
});

Deno.test("a run is stopped and told something in the seed's words", async () => {
  using app = await sampleApp();
  const stopped = { status: 200, body: { run_id: "run-1", status: "stopped" } };
  const sent = { status: 200, body: { run_id: "run-1", worker: "w1", sent: true } };
  deepEqual(await app.post("/api/runs/run-1/stop"), stopped);
  deepEqual(await app.post("/api/runs/run-1/stop", { by: "cron", text: "too dear" }), stopped);
  deepEqual(await app.post("/api/runs/run-1/send", { worker: "w1", text: "status" }), sent);
  deepEqual(await app.post("/api/runs/run-1/send", { worker: "w1", text: HOSTILE, by: "ann" }), sent);
  deepEqual(await app.post("/api/runs/run-1/send", { worker: "w9", text: "status" }), {
    status: 404,
    body: { error: 'There is no worker "w9"' },
  });
  deepEqual(app.asked, [
    ["stop", "dashboard", ""],
    ["stop", "cron", "too dear"],
    ["send", "w1", "status", "dashboard"],
    ["send", "w1", HOSTILE, "ann"],
  ]);
  deepEqual(app.judged, [...Array(2).fill([CLIENT, "stop"]), ...Array(3).fill([CLIENT, "send"])]);
});

Deno.test("each endpoint of a mini run answers with what its view has", async () => {
  using app = await sampleApp();
  deepEqual(await app.get("/api/mini"), { status: 200, body: { runs: ["mini-1"], count: 1 } });
  deepEqual(await app.get("/api/mini/mini-1"), { status: 200, body: sampleMini });
  const trajectory = await app.fetch("/api/mini/mini-1/trajectory");
  deepEqual([trajectory.headers.get("content-type"), await trajectory.json()], ["application/json", { messages: [] }]);
  deepEqual(await app.post("/api/mini/mini-1/stop"), {
    status: 200,
    body: { run_id: "mini-1", status: "stopped" },
  });
  deepEqual(app.asked, [["record"], ["trajectory"], ["stop"]]);
});

Deno.test("a run that is not there is not found, whatever is asked of it", async () => {
  using app = await sampleApp();
  const missing: [kind: string, base: string, reads: string[], writes: string[]][] = [
    ["run", "/api/runs/run-9", ["", "/status", "/files", "/files/a", "/source?file=a", "/events/stream"], ["/stop"]],
    ["mini run", "/api/mini/run-9", ["", "/trajectory", "/events/stream"], ["/stop"]],
  ];
  for (const [kind, base, reads, writes] of missing) {
    const refused = { status: 404, body: { error: `There is no ${kind} "run-9"` } };
    for (const path of reads) deepEqual(await app.get(base + path), refused, path);
    for (const path of writes) deepEqual(await app.post(base + path), refused, path);
  }
});

/** What a stream sends until the application ends: the snapshot, and the ids and types of the events. */
async function streamed(path: string, headers: Record<string, string> = {}) {
  let text: Promise<string>;
  {
    using app = await sampleApp();
    const response = await app.fetch(path, { headers });
    text = response.text();
  }
  const [head = "", ...messages] = (await text).trimEnd().split("\n\n");
  const [, id, json] = /^retry: 2000\n(?:id: (\d+)\n)?event: snapshot\ndata: (.+)$/.exec(head)!;
  const events = messages.map((message) => /^id: (\d+)\nevent: (.+)\n/.exec(message)!.slice(1, 3));
  return { id, snapshot: JSON.parse(json!), events };
}

Deno.test("a run's stream begins with how it stands, and goes on after that or after what the client has", async () => {
  const path = "/api/runs/run-1/events/stream";
  const exited = ["1", "worker.exited"];
  const [first, last] = [["0", "log"], ["2", "log"]];
  const snapshot = sampleRun;
  // The snapshot takes account of the events up to 1.
  deepEqual(await streamed(path), { id: "1", snapshot, events: [last] });
  deepEqual(await streamed(path, { "last-event-id": "0" }), { id: undefined, snapshot, events: [exited, last] });
  deepEqual(await streamed(`${path}?since=-1`), { id: undefined, snapshot, events: [first, exited, last] });
  deepEqual(await streamed(`${path}?since=-1`, { "last-event-id": "1" }), { id: "1", snapshot, events: [last] });
  deepEqual(await streamed(`${path}?since=-1&types=log`), { id: undefined, snapshot, events: [first, last] });
  deepEqual(await streamed(`${path}?since=-1&types=`), { id: undefined, snapshot, events: [] });
  // The client is ahead of the snapshot: it has read the log, too.
  deepEqual(await streamed(path, { "last-event-id": "2" }), { id: undefined, snapshot, events: [] });
  // Of another run under the same id.
  deepEqual(await streamed(path, { "last-event-id": "3" }), { id: "1", snapshot, events: [last] });
  deepEqual(await streamed(path, { "last-event-id": "999999999999999" }), { id: "1", snapshot, events: [last] });
  deepEqual(await streamed(path, { "last-event-id": "none" }), { id: "1", snapshot, events: [last] });
});

Deno.test("the events of a mini run are numbered by their places in its log", async () => {
  const offsets = runEvents.map((_, i) =>
    runEvents.slice(0, i).reduce((sum, event) => sum + new TextEncoder().encode(JSON.stringify(event)).length + 1, 0)
  );
  const { id, events } = await streamed("/api/mini/mini-1/events/stream");
  deepEqual([id, events], ["0", [[`${offsets[1]}`, "worker.exited"], [`${offsets[2]}`, "log"]]]);
});

Deno.test("a mini run whose events nobody kept has no stream", async () => {
  using app = await sampleApp();
  Object.assign(app.mini, { streams: undefined });
  deepEqual(await app.get("/api/mini/mini-1/events/stream"), {
    status: 404,
    body: { error: "No events of this run were kept" },
  });
});

Deno.test("a stream that is asked for in a wrong way is refused", async () => {
  using app = await sampleApp();
  for (const base of ["/api", "/api/sessions/orch_1", "/api/runs/run-1", "/api/mini/mini-1"]) {
    const stream = `${base}/events/stream`;
    for (const type of ["nothing", "__proto__", "toString"]) {
      deepEqual(await app.get(`${stream}?types=log,${type}`), {
        status: 400,
        body: { error: `types: there are no events of type "${type}"` },
      });
    }
    for (const since of ["x", "-2", "1.5", "9".repeat(16), ""]) {
      deepEqual(await app.get(`${stream}?since=${since}`), {
        status: 400,
        body: { error: "since: has to be the number of an event, or -1 for all of them" },
      });
    }
  }
});

Deno.test("HEAD of a stream leaves nothing behind", async () => {
  using app = await sampleApp();
  for (const path of ["/api/events/stream", "/api/runs/run-1/events/stream", "/api/history/stream"]) {
    const response = await app.fetch(path, { method: "HEAD" });
    deepEqual([response.status, response.body], [200, null]);
    equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  }
  equal(app.listeners.size, 0);
  await Promise.all([app.session.streams.end(), app.run.streams.end()]);
});
