import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { posix, win32 } from "node:path";
import fc from "fast-check";
import { page } from "../../src/http/page.ts";
import { requireBelow } from "../../src/http/relative_path.ts";
import { sampleApp } from "./sample_app.ts";

const json = { "content-type": "application/json" };

Deno.test("a body that is wrong is refused, with the reason, before anything is done", async () => {
  using app = await sampleApp();
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const noJson = "The body has to be JSON, with `Content-Type: application/json`";
  const errors: [status: number, error: string, body: BodyInit, headers: Record<string, string>][] = [
    [400, "The body is no JSON", "{", json],
    [400, "The body is no JSON", '{"by": "a"} {"by": "b"}', json],
    [400, "The body is no JSON", "[".repeat(60_000), json],
    [400, "The body has to be a JSON object", "[]", json],
    [400, "The body has to be a JSON object", "null", json],
    [400, "The body has to be a JSON object", '"text"', json],
    [400, "The body is no UTF-8 text", new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), json],
    [400, "The body is no UTF-8 text", new Uint8Array([0x7b, 0xed, 0xa0, 0x80, 0x7d]), json],
    [413, "The body is larger than 65536 bytes", JSON.stringify({ text: "x".repeat(64 * 1024) }), json],
    [415, noJson, "by=x", form],
    [415, noJson, "{}", { "content-type": "text/plain" }],
    [415, noJson, "{}", { "content-type": "application/jsonp" }],
    [415, noJson, new Uint8Array([0x7b, 0x7d]), {}],
  ];
  for (const path of ["/api/control/pause", "/api/runs", "/api/runs/run-1/stop", "/api/mini/mini-1/stop"]) {
    for (const [status, error, body, headers] of errors) {
      const response = await app.fetch(path, { method: "POST", body, headers });
      deepEqual([response.status, await response.json()], [status, { error }], `${path}: ${error}`);
    }
  }
  deepEqual([app.asked, app.controls, app.errors], [[], [], []]);
});

Deno.test("a body that does not tell its length is refused when it grows too large", async () => {
  using app = await sampleApp();
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1024;
      controller.enqueue(new Uint8Array(1024));
    },
  });
  const response = await app.fetch("/api/control/answer", { method: "POST", body, headers: json });
  deepEqual([response.status, await response.json()], [413, { error: "The body is larger than 65536 bytes" }]);
  ok(sent < 80 * 1024, `${sent} bytes were read`);
});

Deno.test("a method that a path does not know is refused, and those that it knows are named", async () => {
  using app = await sampleApp();
  const methods: [method: string, path: string, allow: string][] = [
    ["POST", "/api/session", "GET, HEAD"],
    ["DELETE", "/", "GET, HEAD"],
    ["OPTIONS", "/api/summary", "GET, HEAD"],
    ["GET", "/api/control/stop", "POST"],
    ["HEAD", "/api/runs/run-1/stop", "POST"],
    ["PUT", "/api/runs", "GET, HEAD, POST"],
    ["DELETE", "/api/runs/run-1", "GET, HEAD"],
    ["PATCH", "/api/runs/run-1/files/a/b", "GET, HEAD"],
    ["POST", "/health", "GET, HEAD"],
  ];
  for (const [method, path, allow] of methods) {
    const response = await app.fetch(path, { method });
    const body = method === "HEAD" ? "" : JSON.stringify({ error: `${method} is not possible here; use ${allow}` });
    deepEqual([response.status, response.headers.get("allow"), await response.text()], [405, allow, body]);
  }
  equal((await app.get("/api/nothing")).status, 404);
});

Deno.test("HEAD answers as GET does, without the body", async () => {
  using app = await sampleApp();
  for (
    const path of ["/", "/health", "/api/runs", "/api/session", "/api/history", "/api/openapi.json", "/api/runs/no"]
  ) {
    const [head, get] = [await app.fetch(path, { method: "HEAD" }), await app.fetch(path)];
    deepEqual([head.status, [...head.headers], await head.text()], [get.status, [...get.headers], ""]);
    await get.body?.cancel();
  }
});

Deno.test("a name that does not belong to this machine is refused", async () => {
  using app = await sampleApp();
  for (const host of ["127.0.0.1:8088", "localhost", "LOCALHOST:1", "[::1]:8088", "127.9.9.9"]) {
    equal((await app.get("/api/runs", { host })).status, 200, host);
  }
  for (
    const host of [
      "",
      "evil.example",
      "127.0.0.1.evil.example:8088",
      "localhost@evil.example",
      "10.0.0.1",
      "[::2]",
      "0.0.0.0",
    ]
  ) {
    deepEqual(await app.get("/health", { host }), {
      status: 421,
      body: { error: "The Host header names no address of this machine; use 127.0.0.1" },
    }, host);
  }
});

Deno.test("pages of other origins may neither read nor write", async () => {
  using app = await sampleApp();
  for (const origin of ["http://evil.example", "http://127.0.0.1:9000", "null", "http://127.0.0.1:8088.evil.example"]) {
    const refused = { status: 403, body: { error: "Pages of other origins may not use this server" } };
    deepEqual(await app.post("/api/control/stop", {}, { origin }), refused);
    deepEqual(await app.post("/api/runs", { issue_url: "u" }, { origin }), refused);
    deepEqual(await app.get("/api/summary", { origin }), refused);
  }
  for (const site of ["cross-site", "same-site"]) {
    const refused = { status: 403, body: { error: "Pages of other sites may only link to this server" } };
    const link = { "sec-fetch-site": site, "sec-fetch-mode": "navigate" };
    deepEqual(await app.post("/api/control/stop", {}, { "sec-fetch-site": site }), refused);
    deepEqual(await app.post("/api/control/stop", {}, link), refused);
    deepEqual(await app.get("/api/diff", { "sec-fetch-site": site, "sec-fetch-mode": "no-cors" }), refused);
    equal((await app.fetch("/", { headers: link })).status, 200);
  }
  deepEqual([app.controls, app.asked], [[], []]);
  const own = { origin: "http://127.0.0.1:8088", "sec-fetch-site": "same-origin" };
  equal((await app.post("/api/control/stop", {}, own)).status, 202);
});

Deno.test("with a token, only those who have it are answered", async () => {
  const token = "s3cret-token";
  using app = await sampleApp({ token });
  const refused = { error: "A token is needed: send `Authorization: Bearer TOKEN`, or open /?token=TOKEN" };
  const strangers: Record<string, string>[] = [
    {},
    { authorization: "Bearer s3cret-toke" },
    { authorization: "Basic s3cret-token" },
    { cookie: "gocore_00000000=1" },
    { authorization: "Bearer wrong", host: "box.example" },
  ];
  const paths = ["/", "/app.js", "/welcome.js", "/metrics", "/api/openapi.json", "/api/history/stream", "/api/nothing"];
  for (const headers of strangers) {
    for (const path of [...paths, "/?token=wrong", `/api/session?token=${token}`, `/health/?token=${token}`]) {
      const response = await app.fetch(path, { headers });
      deepEqual([response.status, response.headers.get("www-authenticate"), await response.json()], [
        401,
        "Bearer",
        refused,
      ], path);
    }
  }
  equal((await app.fetch("/health")).status, 200);
  const allowed = { authorization: `Bearer ${token}`, host: "box.example:8088" };
  equal((await app.get("/api/summary", allowed)).status, 200);
});

Deno.test("a link with the token lets a browser in, to any page, and again when it is opened again", async () => {
  const token = "s3cret-token";
  using app = await sampleApp({ token });
  const welcome = async (path: string, headers: Record<string, string> = {}) => {
    const response = await app.fetch(`${path}?token=${token}`, { headers });
    const html = await response.text();
    equal(response.status, 200);
    ok(!html.includes(token) && !/<script(?![^>]* src=)|\son\w+=/.test(html), html);
    return { cookie: response.headers.get("set-cookie")!, script: /<script src="([^"]+)"/.exec(html)![1]! };
  };
  const { cookie: set, script } = await welcome("/");
  const [cookie = "", ...attributes] = set.split("; ");
  deepEqual(attributes, ["Path=/", "HttpOnly", "SameSite=Strict"]);
  ok(!cookie.includes(token));
  for (const path of page.keys()) deepEqual(await welcome(path), { cookie: set, script });
  deepEqual(await welcome("/", { cookie }), { cookie: set, script });
  const known = { cookie: `other=1; ${cookie}` };
  equal((await app.get("/api/summary", known)).status, 200);
  equal((await app.get("/api/summary", { cookie: `${cookie}0` })).status, 401);
  const code = await (await app.fetch(script, { headers: known })).text();
  const place = { pathname: "/", hash: "#/runs/run-1", search: `?token=${token}`, replaced: "" };
  new Function("location", code)({ ...place, replace: (address: string) => place.replaced = address });
  equal(place.replaced, "/#/runs/run-1");
});

Deno.test("every answer forbids what the page never does", async () => {
  using app = await sampleApp();
  const requests: [path: string, init: RequestInit][] = [
    ["/", {}],
    ["/api/session", {}],
    ["/api/runs/run-1/files/a.html", {}],
    ["/api/events/stream", {}],
    ["/nothing", {}],
    ["/", { method: "PUT" }],
    ["/", { headers: { host: "evil.example" } }],
  ];
  for (const [path, init] of requests) {
    const response = await app.fetch(path, init);
    const names = [
      "content-security-policy",
      "x-content-type-options",
      "cache-control",
      "referrer-policy",
      "cross-origin-resource-policy",
      "cross-origin-opener-policy",
    ];
    deepEqual(names.map((name) => response.headers.get(name)), [
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
      "form-action 'none'; frame-ancestors 'none'",
      "nosniff",
      "no-store",
      "no-referrer",
      "same-origin",
      "same-origin",
    ], path);
    await response.body?.cancel();
  }
});

Deno.test("the dashboard is served as it is in the program, and nothing else is", async () => {
  using app = await sampleApp();
  for (const [path, { type, content }] of page) {
    const response = await app.fetch(path);
    deepEqual([response.status, response.headers.get("content-type"), await response.text()], [200, type, content]);
  }
  for (const path of ["/../deno.json", "/%2e%2e/deno.json", "/index.html", "//etc/passwd", "/static/app.js"]) {
    equal((await app.fetch(path)).status, 404, path);
  }
});

Deno.test("what goes wrong inside is told to the log, not to the client", async () => {
  const error = new Error("the secret of the house");
  using app = await sampleApp({ library: { run: () => Promise.reject(error) } });
  deepEqual(await app.get("/api/runs/run-1"), {
    status: 500,
    body: { error: "Something went wrong here; gocore's own messages tell what" },
  });
  deepEqual(app.errors, [error]);
});

const HOSTILE_IDS = [
  ".",
  "..",
  "-rf",
  "~",
  "a b",
  "a/b",
  "..%2f..%2fx",
  "%2e%2e",
  "%2e",
  "a%00b",
  "a%0ab",
  "é",
  "a".repeat(129),
];

/** The answer to a request line as it is: clients of the platform tidy paths up. */
async function rawAnswer(port: number, target: string): Promise<{ status: number; body: string }> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const request = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  return { status: Number(answer.slice(9, 12)), body: answer.slice(answer.indexOf("\r\n\r\n") + 4) };
}

Deno.test("no path that leads elsewhere comes to a run, however it is written", async () => {
  using app = await sampleApp({
    library: {
      session: (id) => id === undefined ? Promise.resolve(app.session) : Promise.reject(new Error(id)),
      run: (id) => id === "run-1" ? Promise.resolve(app.run) : Promise.reject(new Error(id)),
      mini: (id) => Promise.reject(new Error(id)),
    },
  });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request, { remoteAddr: client }) => app.app.fetch(request, { client }),
  );
  const { port } = server.addr;
  for (const id of HOSTILE_IDS) {
    for (
      const path of [`/api/runs/${id}/status`, `/api/sessions/${id}/summary`, `/api/mini/${id}`, `/api/runs/${id}`]
    ) {
      // As bytes of UTF-8, which is how a hostile client would send it.
      const { status, body } = await rawAnswer(port, path.replaceAll(" ", "%20"));
      ok(status === 404 || status === 400, `${path}: ${status} ${body}`);
    }
  }
  const files = [
    "..",
    "../..//etc/passwd",
    "/etc/passwd",
    "a/../b",
    "a//b",
    "a/./b",
    "./a",
    "a/",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc",
    "%2e%2e/etc",
    "%252e%252e%252fetc",
    "..%5c..%5cetc",
    "a\\..\\b",
    "a%5cb",
    "a%00b",
    "a%2500b",
    "%2fetc%2fpasswd",
  ];
  for (const file of files) {
    for (const target of [`/api/runs/run-1/files/${file}`, `/api/runs/run-1/source?file=${file}`]) {
      const { status, body } = await rawAnswer(port, target);
      ok(status === 404 || status === 400, `${target}: ${status} ${body}`);
      ok(!body.includes("onerror"), target);
    }
  }
  deepEqual([app.asked, app.errors], [[], []]);
  equal((await rawAnswer(port, "/api/runs/run-1/files/a/b..c/...d")).status, 200);
  deepEqual(app.asked, [["file", "a/b..c/...d"]]);
  await server.shutdown();
});

Deno.test("a path that is let through stays below its folder, whatever it is made of", () => {
  const segment = fc.oneof(fc.constantFrom("..", ".", "", "a", "%2e%2e", "%2E.", "\\", "\0", "..."), fc.string());
  fc.assert(fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
    const path = segments.join("/");
    try {
      requireBelow(path);
    } catch {
      return;
    }
    for (const way of [path, tryDecode(path)]) {
      ok(posix.join("/root/folder", way).startsWith("/root/folder/"), path);
      ok(win32.join("C:\\root\\folder", way).startsWith("C:\\root\\folder\\"), path);
      ok(!way.includes("\0"), path);
    }
  }));
});

function tryDecode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
