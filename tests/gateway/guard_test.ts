import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { checkHead, parseBody, readBody } from "../../src/gateway/guard.ts";
import { isLoopback } from "../../src/gateway/loopback.ts";
import { Refusal } from "../../src/gateway/refusal.ts";

const LOCAL = { host: "127.0.0.1", allowedHosts: [] as string[], maxHeaderBytes: 1000 };

/** The kind of the refusal, or "passes". */
function head(headers: Record<string, string>, settings: Partial<typeof LOCAL> = {}): string {
  try {
    checkHead(new Headers(headers), { ...LOCAL, ...settings });
    return "passes";
  } catch (error) {
    ok(error instanceof Refusal);
    return error.kind;
  }
}

Deno.test("only names and addresses of this machine are loopback", () => {
  const ours = ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "[::1]"];
  const others = [
    "",
    "0.0.0.0",
    "127.0.0.1.evil.example",
    "127.evil",
    "localhost.evil",
    "10.0.0.1",
    "::2",
    "128.0.0.1",
  ];
  deepEqual(ours.filter((host) => !isLoopback(host)), []);
  deepEqual(others.filter(isLoopback), []);
});

Deno.test("a gateway on the loopback answers to names of the loopback, whatever a name server says of others", () => {
  const passing = ["127.0.0.1", "127.0.0.1:8045", "localhost:8045", "LocalHost", "[::1]:8045", "127.8.8.8:1"];
  const strange = [
    "",
    "evil.example",
    "evil.example:8045",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8045",
    "127.0.0.1:8045:evil",
    "user@127.0.0.1",
    "192.168.1.7",
    "0.0.0.0",
    "[::2]",
    "[::1",
    "local host",
    "127.0.0.1:123456",
  ];
  deepEqual(passing.map((host) => head({ host })), passing.map(() => "passes"));
  deepEqual(strange.map((host) => head({ host })), strange.map(() => "misdirected"));
  equal(head({}), "misdirected");
  equal(head({ host: "Box.Lan:80" }, { allowedHosts: ["box.lan"] }), "passes");
  equal(head({ host: "box.lan.evil" }, { allowedHosts: ["box.lan"] }), "misdirected");
});

Deno.test("a gateway beyond the loopback answers to any address, and to no name that it does not have", () => {
  for (const bound of ["0.0.0.0", "192.168.1.7", "box.lan"]) {
    deepEqual(
      ["192.168.1.7:8045", "[fe80::1]:8045", "localhost", bound, "evil.example"].map((host) =>
        head({ host }, { host: bound })
      ),
      ["passes", "passes", "passes", "passes", "misdirected"],
    );
  }
});

Deno.test("no page of another origin may ask", () => {
  const host = "127.0.0.1:8045";
  equal(head({ host, origin: `http://${host}` }), "passes");
  const strangers = [
    "null",
    "",
    "https://evil.example",
    "http://127.0.0.1:8046",
    "http://127.0.0.1",
    "file://",
    `x${host}`,
  ];
  deepEqual(strangers.map((origin) => head({ host, origin })), strangers.map(() => "forbidden"));
});

Deno.test("headers are counted with their names, and may have no more bytes than allowed", () => {
  const host = "localhost";
  const size = "host".length + host.length + 4 + "x-a".length + 4;
  equal(head({ host, "x-a": "x".repeat(1000 - size) }), "passes");
  equal(head({ host, "x-a": "x".repeat(1001 - size) }), "headers_too_large");
});

Deno.test("no Host header whatever leads to anything but an answer", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."127.0:[]localhst@/%\\ -_") }), (host) => {
      const found = head({ host });
      if (found === "misdirected") return;
      ok(isLoopback(new URL(`http://${host}`).hostname), host);
    }),
    { numRuns: 300 },
  );
});

// --- bodies

const LIMITS = { maxBytes: 1000, timeoutMs: 60_000 };

function request(body: BodyInit | null, headers: Record<string, string> = {}): Request {
  return new Request("http://127.0.0.1/", { method: "POST", body, headers });
}

const compressed = (bytes: Uint8Array<ArrayBuffer>, format: "gzip" | "deflate") =>
  new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream(format))).arrayBuffer();

const refusing = (kind: string) => (error: unknown) => error instanceof Refusal && error.kind === kind;

Deno.test("a body is read whole, in whatever pieces it comes, plain or compressed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }), async (given) => {
      const pieces = given.map((piece) => new Uint8Array(piece));
      const whole = new Uint8Array(pieces.flatMap((piece) => [...piece]));
      deepEqual(await readBody(request(ReadableStream.from(pieces)), LIMITS), whole);
      for (const encoding of ["gzip", "deflate"] as const) {
        const body = await compressed(whole, encoding);
        deepEqual(await readBody(request(body, { "content-encoding": encoding }), LIMITS), whole);
      }
    }),
    { numRuns: 20 },
  );
  deepEqual(await readBody(request(null), LIMITS), new Uint8Array());
});

Deno.test("a body may have as many bytes as allowed, and not one more", async () => {
  equal((await readBody(request("x".repeat(1000)), LIMITS)).length, 1000);
  await rejects(readBody(request("x".repeat(1001)), LIMITS), refusing("too_large"));
  await rejects(readBody(request("x", { "content-length": "1001" }), LIMITS), refusing("too_large"));
  const bomb = await compressed(new Uint8Array(50_000_000), "gzip");
  ok(bomb.byteLength < 100_000);
  await rejects(readBody(request(bomb, { "content-encoding": "gzip" }), LIMITS), refusing("too_large"));
});

Deno.test("a body without an end is given up, and told to stop", async () => {
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const endless = new ReadableStream<Uint8Array>({
    // Not faster than the event loop: other requests go on meanwhile.
    pull: (controller) =>
      new Promise<void>((resolve) => {
        timer = setTimeout(() => {
          controller.enqueue(new Uint8Array(10_000));
          resolve();
        }, 5);
      }),
    cancel: () => {
      stopped = true;
      clearTimeout(timer);
    },
  });
  await rejects(readBody(request(endless), LIMITS), refusing("too_large"));
  equal(stopped, true);
});

Deno.test("a body that does not come is given up", async () => {
  let stopped = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array([0x7b])),
    cancel: () => {
      stopped = true;
    },
  });
  await rejects(readBody(request(body), { ...LIMITS, timeoutMs: 20 }), refusing("request_timeout"));
  equal(stopped, true);
});

Deno.test("a body that breaks off, or is not what it says, is a bad request", async () => {
  const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("reset")) });
  await rejects(readBody(request(broken), LIMITS), refusing("bad_request"));
  await rejects(readBody(request("plain", { "content-encoding": "gzip" }), LIMITS), refusing("bad_request"));
  const half = (await compressed(new Uint8Array(500), "gzip")).slice(0, 15);
  await rejects(readBody(request(half, { "content-encoding": "gzip" }), LIMITS), refusing("bad_request"));
  await rejects(readBody(request("x", { "content-encoding": "br" }), LIMITS), refusing("unsupported_encoding"));
  await rejects(readBody(request("x", { "content-encoding": "gzip, gzip" }), LIMITS), refusing("unsupported_encoding"));
});

Deno.test("a body is a JSON object in UTF-8, or a bad request", () => {
  const parse = (text: string) => parseBody(new TextEncoder().encode(text));
  deepEqual(parse(' {"a": [1, null]}\n'), { a: [1, null] });
  for (const text of ["", " ", "null", "[]", "7", '"{}"', "{", "{} {}", "{a:1}", "\0"]) {
    throws(() => parse(text), refusing("bad_request"));
  }
  throws(() => parseBody(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), refusing("bad_request"));
  const polluted = parse('{"__proto__": {"model": "x"}}');
  equal(polluted.model, undefined);
});
