/** What clients and agents may try on a real `gocore serve`: it refuses, leaks nothing, and goes on answering. */
import { deepStrictEqual as deepEqual, doesNotMatch, match, ok, strictEqual as equal } from "node:assert/strict";
import { encodeJsonLine } from "../../src/events/json_lines.ts";
import { until } from "../support/gocore.ts";
import { CLOSE, rawGet, rawRequest } from "./raw_request.ts";
import { Served } from "./served.ts";
import { logEvent, managerLog, sessionLog } from "./small_logs.ts";

const OUTSIDE = "root-of-all-evil";

async function withRuns(options: Parameters<typeof Served.start>[0] = {}): Promise<Served> {
  const { files, ...rest } = options;
  const served = await Served.start({
    ...rest,
    files: {
      "runs/run-1/events.jsonl": managerLog("/project"),
      "runs/run-1/final.md": "# It is well\n",
      "sessions/orch_1/events.jsonl": sessionLog("/project"),
      "outside.txt": OUTSIDE,
      "outside/inner.txt": OUTSIDE,
      ...files,
    },
  });
  await until("the runs are read", async () => (await served.get("/api/history")).json.indexing === null);
  return served;
}

Deno.test("no path leads out of a run's folder, however it is written", async () => {
  await using served = await withRuns();
  const { port, runsRoot, box: { root } } = served;
  const folder = `${runsRoot}/run-1`;
  await Deno.symlink(`${root}/outside.txt`, `${folder}/link.txt`);
  await Deno.symlink(`${root}/outside`, `${folder}/linked`);
  await Deno.symlink(`${root}/outside/inner.txt`, `${folder}/proof.json`);
  await Deno.mkdir(`${folder}/repro`);
  await Deno.symlink(`${root}/outside.txt`, `${folder}/repro/minimal_repro.py`);
  await Deno.symlink(`${root}/outside`, `${runsRoot}/run-linked`);
  await Deno.mkdir(`${root}/outside/run`);
  await Deno.rename(`${root}/outside/inner.txt`, `${root}/outside/run/events.jsonl`);
  await Deno.symlink(`${root}/outside/run`, `${runsRoot}/run-2`);
  await Deno.mkdir(`${runsRoot}/run-3`);
  await Deno.symlink(`${root}/outside/run/events.jsonl`, `${runsRoot}/run-3/events.jsonl`);

  const ups = ["../../outside.txt", "..%2f..%2foutside.txt", "%2e%2e/%2e%2e/outside.txt", "..%252f..%252foutside.txt"];
  const odd = [
    "..\\..\\outside.txt",
    "%2e%2e%5c%2e%2e%5coutside.txt",
    "x%00",
    "%00",
    "final.md%00.txt",
    "%c0%ae%c0%ae/x",
  ];
  const absolute = [
    `${root}/outside.txt`,
    `/${root}/outside.txt`,
    encodeURIComponent(`${root}/outside.txt`),
    "/etc/passwd",
  ];
  const links = ["link.txt", "linked/inner.txt", "linked", "proof.json", "repro/minimal_repro.py", ".", "..", "", "%"];
  const inside = await rawGet(port, "/api/runs/run-1/files/final.md");
  equal(inside.status, 200);
  match(inside.text, /# It is well\n$/);
  const paths = [...ups, ...odd, ...absolute, ...links];
  const ids = [
    ...ups,
    ...odd,
    "run-2",
    "run-3",
    "run-linked",
    "..",
    ".",
    ".issues",
    "%2e%2e",
    "a/b",
    "a%2fb",
    "~",
    "%",
  ];
  const asked = [
    ...paths.flatMap((path) => [`/api/runs/run-1/files/${path}`, `/api/runs/run-1/source?file=${path}`]),
    ...ids.flatMap((id) => [
      ...["", "/status", "/files", "/files/events.jsonl", "/source?file=x", "/events/stream"]
        .map((rest) => `/api/runs/${id}${rest}`),
      ...["session", "workers", "summary", "events/stream", "diff", "usage", "timeline"]
        .map((rest) => `/api/sessions/${id}/${rest}`),
      ...["", "/trajectory", "/events/stream"].map((rest) => `/api/mini/${id}${rest}`),
    ]),
    ...["/../../outside.txt", "/..%2f..%2foutside.txt", "/static/../../../etc/passwd", "/pages/..%2f..%2fapp.js"],
    ...["/api/sessions/orch_1/diff?worker=../../x", "/api/history?kind=../x", "/api/history?cursor=../../x"],
  ];
  const wrong: unknown[] = [];
  for (const path of asked) {
    const { status, text } = await rawGet(port, path);
    // A path whose dots the server's own HTTP has resolved may name something that may be seen, such as the list.
    const isList = status === 200 && /\r\n\r\n\{"(?:runs|files)":/.test(text);
    if (!(status >= 400 && status < 500 || isList) || text.includes(OUTSIDE) || text.includes("root:x")) {
      wrong.push([path, status, text.slice(-200)]);
    }
  }
  deepEqual(wrong, []);
  const { json } = await served.get("/api/runs/run-1");
  deepEqual(json.proof?.reproducer ?? null, null);
  const { json: { files } } = await served.get("/api/runs/run-1/files");
  deepEqual(files.map(({ path }: { path: string }) => path), ["events.jsonl", "final.md"]);
});

Deno.test("requests that are not for this server, or from pages of others, are refused before anything else", async () => {
  await using served = await withRuns();
  const { port } = served;
  const own = `127.0.0.1:${port}`;
  const cases: [headers: string[], status: number][] = [
    [[`Host: ${own}`], 200],
    [["Host: localhost"], 200],
    [[`Host: ${own}`, `Origin: http://${own}`, "Sec-Fetch-Site: same-origin"], 200],
    [["Host: evil.example"], 421],
    [["Host: 127.0.0.1.evil.example"], 421],
    [["Host: localhost.evil.example:80"], 421],
    [["Host: "], 421],
    [["Host: 10.0.0.1"], 421],
    [[`Host: ${own}`, "Origin: https://evil.example"], 403],
    [[`Host: ${own}`, "Origin: null"], 403],
    [[`Host: ${own}`, `Origin: https://${own}.evil.example`], 403],
    [[`Host: ${own}`, `Origin: http://127.0.0.1:${port + 1}`], 403],
    [[`Host: ${own}`, "Sec-Fetch-Site: cross-site"], 403],
    [[`Host: ${own}`, "Sec-Fetch-Site: same-site"], 403],
    [[`Host: ${own}`, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 403],
    [[`Host: ${own}`, "Sec-Fetch-Site: \u00ff"], 403],
  ];
  for (const [headers, status] of cases) {
    for (const path of ["/api/runs", "/health", "/"]) {
      const answer = await rawRequest(port, [`GET ${path} HTTP/1.1`, ...headers, CLOSE].join("\n"));
      equal(answer.status, status, `${path} ${headers}: ${answer.text}`);
    }
  }
  // No page of another site can change anything, with or without a header that says where it is from.
  for (const [headers, status] of [[["Content-Type: text/plain"], 415], [["Origin: null"], 403]] as const) {
    const head = ["POST /api/runs/run-1/stop HTTP/1.1", `Host: ${own}`, ...headers, "Content-Length: 2", CLOSE];
    equal((await rawRequest(port, head.join("\n"), { body: ["{}"] })).status, status);
  }
});

Deno.test("bodies that are huge, broken, deep or of another type, and wrong methods, are refused as what they are", async () => {
  await using served = await withRuns();
  const { port } = served;
  const post = (path: string, headers: readonly string[], body: Iterable<string>) => {
    const head = [`POST ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...headers, CLOSE].join("\n");
    return rawRequest(port, head, { body });
  };
  const json = "Content-Type: application/json";
  const whole = (text: string) => post("/api/mini", [json, `Content-Length: ${text.length}`], [text]);
  function* chunks(count: number) {
    for (let i = 0; i < count; i++) yield `10000\r\n${" ".repeat(0x10000)}\r\n`;
    yield "0\r\n\r\n";
  }
  const deep = `{"task":${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
  const cases: [answer: ReturnType<typeof whole>, status: number[], error: RegExp][] = [
    [whole(" ".repeat(70_000)), [413], /larger than 65536 bytes/],
    [post("/api/mini", [json, "Content-Length: 99999999999"], []), [413], /larger/],
    // The connection may be closed before the answer is read: the server takes no more of it.
    [post("/api/mini", [json, "Transfer-Encoding: chunked"], chunks(1000)), [413, 0], /larger|^$/],
    [whole("{"), [400], /The body is no JSON/],
    [whole("[]"), [400], /has to be a JSON object/],
    [whole("null"), [400], /has to be a JSON object/],
    [whole('"task"'), [400], /has to be a JSON object/],
    [whole('{"task":"x"'), [400], /no JSON/],
    [whole(deep), [400], /task: /],
    [whole('{"task":5}'), [400], /task: has to be text/],
    [whole('{"task":""}'), [400], /task: has to be text that is not empty/],
    [whole('{"task":"x","step_limit":"5"}'), [400], /step_limit: has to be a whole number/],
    [whole('{"task":"x","step_limit":1e99}'), [400], /step_limit: /],
    [whole('{"task":"x","__proto__":{"workdir":"/"}}'), [400], /__proto__.* is no field/],
    [whole('{"task":"x","constructor":{}}'), [400], /constructor.* is no field/],
    [whole('{"task":"x","extra":1}'), [400], /extra.* is no field of this request/],
    [post("/api/mini", ["Content-Type: text/plain", "Content-Length: 2"], ["{}"]), [415], /has to be JSON/],
    [post("/api/mini", ["Content-Type: application/jsonx", "Content-Length: 2"], ["{}"]), [415], /has to be JSON/],
    [post("/api/mini", ["Content-Length: 2"], ["{}"]), [415], /has to be JSON/],
    [
      post("/api/runs/run-1/send", [json, "Content-Length: 27"], ['{"worker":"w1","text":"x"} ']),
      [409],
      /run-1|carries/,
    ],
    [post("/api/runs/run-9/send", [json, "Content-Length: 27"], ['{"worker":"w1","text":"x"} ']), [404], /no run/],
  ];
  for (const [answer, statuses, error] of cases) {
    const { status, text } = await answer;
    ok(statuses.includes(status), `${status}: ${text}`);
    match(text.split("\r\n\r\n")[1] ?? "", error);
  }
  const methods: [string, string, number][] = [
    ["DELETE", "/api/runs/run-1", 405],
    ["PUT", "/api/runs", 405],
    ["POST", "/api/history", 405],
    ["GET", "/api/runs/run-1/stop", 405],
    ["TRACE", "/api/runs", 405],
    ["OPTIONS", "/api/mini", 405],
    ["NONSENSE", "/", 405],
    ["HEAD", "/api/runs", 200],
    ["HEAD", "/api/history/stream", 200],
    ["HEAD", "/api/runs/run-1/events/stream", 200],
  ];
  for (const [method, path, status] of methods) {
    const answer = await rawRequest(port, `${method} ${path} HTTP/1.1\nHost: 127.0.0.1:${port}\n${CLOSE}`);
    equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    if (status === 405) match(answer.text, /^allow: (?:GET, HEAD|POST|GET, HEAD, POST)\r$/im);
  }
  equal((await served.get("/api/mini")).json.count, 0);
});

Deno.test("connections that say nothing, or a byte now and then, keep nobody from being answered", async () => {
  await using served = await withRuns();
  const before = await served.memoryMb();
  const idle: Deno.TcpConn[] = [];
  try {
    const begun = new TextEncoder().encode("GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ");
    for (let i = 0; i < 1000; i++) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: served.port });
      idle.push(connection);
      if (i % 2 === 0) await connection.write(begun);
    }
    for (let round = 0; round < 20; round++) {
      for (const [i, connection] of idle.entries()) {
        // One that the server has closed meanwhile is its own affair.
        if (i % 20 === 0) await connection.write(new TextEncoder().encode("x")).catch(() => {});
      }
      equal((await served.get("/api/runs")).status, 200);
    }
    const now = await served.memoryMb();
    ok(now - before < 100, `${before} MB have become ${now} MB`);
  } finally {
    for (const connection of idle) connection.close();
  }
  equal((await served.get("/health")).status, 200);
  equal(await served.end(), "");
});

async function pipe(path: string): Promise<void> {
  const { success } = await new Deno.Command("mkfifo", { args: [path] }).output();
  ok(success);
}

Deno.test("folders with anything in them are listed, opened and streamed without holding anybody up", async () => {
  const garbage = new TextDecoder("latin1").decode(crypto.getRandomValues(new Uint8Array(60_000)));
  await using served = await Served.start();
  const { box, runsRoot, workspace } = served;
  for (const [root, log] of [[runsRoot, managerLog("/project")], [workspace, sessionLog("/project")]] as const) {
    const folder = async (name: string) => {
      await Deno.mkdir(`${root}/${name}`, { recursive: true });
      return `${root}/${name}`;
    };
    const sparse = await folder("a-sparse");
    await Deno.writeTextFile(`${sparse}/events.jsonl`, log);
    // Of one kind is enough: it is read whole once.
    await Deno.truncate(`${sparse}/events.jsonl`, root === runsRoot ? 1024 ** 3 : 1024 ** 2);
    await Deno.writeTextFile(`${await folder("a-garbage")}/events.jsonl`, garbage);
    await Deno.mkdir(`${await folder("a-folder")}/events.jsonl`);
    await pipe(`${await folder("a-pipe")}/events.jsonl`);
    const unreadable = `${await folder("a-secret")}/events.jsonl`;
    await Deno.writeTextFile(unreadable, log);
    await Deno.chmod(unreadable, 0);
    const pipes = await folder("a-pipes");
    await Deno.writeTextFile(`${pipes}/events.jsonl`, log);
    for (const name of ["run.lock", "session.lock", "decision.json", "run_done.json", "final.md", "manager.log"]) {
      await pipe(`${pipes}/${name}`);
    }
    for (const name of ["control", "repro", "triage"]) await pipe(`${pipes}/${name}`);
    await Deno.writeTextFile(`${await folder("a-torn")}/events.jsonl`, `${log}{"seq":9,"type":"run.`);
    await Deno.writeTextFile(
      `${await folder("a-types")}/events.jsonl`,
      `${log}null\n[]\n5\n"x"\n{}\n{"seq":"x","type":5}\n{"seq":-1,"time":"t","type":"run.finished","data":null}\n` +
        '{"__proto__":{"x":1},"seq":3,"type":"constructor","data":{}}\n',
    );
    await box.file(`${root.split("/").at(-1)}/a-file`, "not a folder");
  }
  const mini = `${runsRoot}/mini-1`;
  await Deno.mkdir(mini);
  await Deno.writeTextFile(`${mini}/process.json`, "{}");
  for (const name of ["stream.jsonl", "trajectory.json"]) await pipe(`${mini}/${name}`);
  await Deno.mkdir(`${runsRoot}/mini-2`);
  await pipe(`${runsRoot}/mini-2/process.json`);
  const data = `${box.workdir}/.miniswe/data/runs`;
  await Deno.mkdir(data, { recursive: true });
  for (const name of ["20260101-1-1.jsonl", "20260101-2-2.traj.json", "../last_run.traj.json"]) {
    await pipe(`${data}/${name}`);
  }
  await Deno.writeTextFile(`${data}/20260101-3-3.traj.json`, "{".repeat(100_000));
  await Deno.writeTextFile(`${data}/20260101-4-4.traj.json`, '{"info":null,"messages":[null,5,{"role":5}]}');

  await until("all is read", async () => {
    const { json } = await served.get("/api/history?limit=100");
    return json.indexing === null && json.entries.some(({ id }: { id: string }) => id === "a-types");
  });
  const { json: { entries } } = await served.get("/api/history?limit=100");
  const { json: { paths } } = await served.get("/api/openapi.json");
  const wrong: unknown[] = [];
  const places = { manager: "/api/runs/{id}", session: "/api/sessions/{id}", mini: "/api/mini/{id}" };
  const names = new Set<string>(entries.map(({ kind, id }: { kind: string; id: string }) => `${kind} ${id}`));
  for (const kind of ["manager", "session"]) {
    for (const id of ["a-folder", "a-pipe", "a-file", "a-secret"]) names.add(`${kind} ${id}`);
  }
  for (const name of names) {
    const [kind, id] = name.split(" ") as [keyof typeof places, string];
    for (const path of Object.keys(paths)) {
      if (!path.startsWith(places[kind]) || paths[path].get === undefined) continue;
      const asked = path.replace("{id}", id).replace("{path}", "events.jsonl");
      const query = path.endsWith("/source") ? "?file=x" : path.endsWith("/stream") ? "?since=-1" : "";
      const head = `GET ${asked}${query} HTTP/1.1\nHost: 127.0.0.1:${served.port}\n${CLOSE}`;
      // Of a stream its beginning is enough.
      const enough = (text: string) => text.includes("event: snapshot");
      const { status, text } = await rawRequest(served.port, head, { enough });
      if (status === 0 || status >= 500) wrong.push([asked, status, text.slice(-200)]);
    }
  }
  deepEqual(wrong, []);
  ok(names.size > 15, [...names].join(", "));
  equal((await served.get("/health")).status, 200);
  doesNotMatch(await served.end(), /A request failed/);
});

Deno.test("secrets of the environment are masked in every answer, wherever agents have put them", async () => {
  const secret = "sk-p10-very-secret-value-0123456789";
  const log = managerLog("/project") + logEvent(9, {
    type: "worker.event",
    data: {
      worker: "w1",
      offset: 1,
      event: {
        type: "command",
        agent: "codex",
        timestamp: "2026-01-01T00:00:00.000Z",
        payload: { text: `export KEY=${secret}`, data: { output: secret } },
      },
    },
  });
  const mini = encodeJsonLine({
    type: "log",
    data: { level: "info", content: secret },
    timestamp: "2026-01-01T00:00:00Z",
  });
  await using served = await withRuns({
    env: { OPENAI_API_KEY: secret },
    files: {
      "runs/run-2/events.jsonl": log,
      "runs/run-2/final.md": `It was ${secret}\n`,
      "runs/run-2/decision.json": JSON.stringify({ status: "ok", note: secret }),
      "runs/run-2/w1.log": `${secret}\n\xff`,
      "sessions/orch_2/events.jsonl": sessionLog(`/${secret}`),
      "runs/mini-1/process.json": JSON.stringify({ pid: 1, start_ticks: 0, task: secret, workdir: "/", model: secret }),
      "runs/mini-1/stream.jsonl": mini,
      "runs/mini-1/trajectory.json": JSON.stringify({ info: { submission: secret }, messages: [] }),
    },
  });
  const { json: { paths } } = await served.get("/api/openapi.json");
  const { json: { files } } = await served.get("/api/runs/run-2/files");
  const asked = Object.keys(paths).filter((path) => paths[path].get !== undefined).flatMap((path) => {
    const id = path.startsWith("/api/runs/") ? "run-2" : path.startsWith("/api/mini/") ? "mini-1" : "orch_2";
    const named = path.replace("{id}", id);
    if (path.endsWith("/{path}")) {
      return files.map((file: { path: string }) => named.replace("{path}", file.path));
    }
    return path.endsWith("/stream") ? [`${named}?since=-1`, named] : [named];
  });
  const leaks: string[] = [];
  let masked = 0;
  for (const path of asked) {
    const query = path.endsWith("/source") ? "?file=x" : path === "/api/history/stream?since=-1" ? "x" : "";
    const head = `GET ${path}${query} HTTP/1.1\nHost: 127.0.0.1:${served.port}\n${CLOSE}`;
    const last = { manager: '"seq":9', mini: "event: log", session: "event: worker.launched", list: "event: snapshot" };
    const kind = path.includes("/runs/") ? "manager" : path.includes("/mini/") ? "mini" : "session";
    const wanted = path.includes("history") ? last.list : path.endsWith("since=-1") ? last[kind] : "event: snapshot";
    const enough = (text: string) => /^content-type: text\/event-stream/im.test(text) && text.includes(wanted);
    const { text } = await rawRequest(served.port, head, { enough });
    if (text.includes(secret)) leaks.push(path);
    masked += Number(text.includes("[redacted]"));
  }
  deepEqual(leaks, []);
  ok(masked > 5, `${masked}`);
});
