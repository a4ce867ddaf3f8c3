/** Requests made from what the server says of itself: each is answered, as described, and none with 500. */
import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { until } from "../support/gocore.ts";
import { differences } from "../http/json_schema.ts";
import { CLOSE, rawRequest } from "./raw_request.ts";
import { Served } from "./served.ts";
import { managerLog, sessionLog } from "./small_logs.ts";

// deno-lint-ignore no-explicit-any -- as the document has it
type Json = any;

/** Of a server without agents, what starts nothing. */
const STARTS = new Set(["/api/runs", "/api/mini", "/api/orchestrations"]);

/** Values that the schema allows, and others. */
function valuesOf(schema: Json, document: Json): fc.Arbitrary<unknown> {
  const { $ref, anyOf, type, properties = {}, items, minimum, maximum } = schema;
  const any = fc.jsonValue({ maxDepth: 3 });
  if ($ref !== undefined) return valuesOf(document.components.schemas[$ref.split("/").at(-1)], document);
  if (anyOf !== undefined) return fc.oneof(...anyOf.map((one: Json) => valuesOf(one, document)));
  if (schema.enum !== undefined) return fc.oneof(fc.constantFrom(...schema.enum), any);
  const right: Record<string, () => fc.Arbitrary<unknown>> = {
    string: () =>
      fc.oneof(fc.constantFrom("w1", "run-1", "", "\0", "../x", "-x", "constructor"), fc.string({ unit: "binary" })),
    integer: () => fc.integer({ min: (minimum ?? -1e9) - 1, max: Math.min(maximum ?? 1e9, 1e9) + 1 }),
    number: () => fc.double({ noNaN: true }),
    boolean: () => fc.boolean(),
    null: () => fc.constant(null),
    array: () => fc.array(valuesOf(items, document), { maxLength: 4 }),
    object: () =>
      fc.record(
        Object.fromEntries(
          Object.entries<Json>(properties).map(([name, part]) => [name, valuesOf(part, document)]),
        ),
        { requiredKeys: [] },
      ),
  };
  const known = right[type]?.();
  return known === undefined ? any : fc.oneof({ weight: 6, arbitrary: known }, { weight: 1, arbitrary: any });
}

const id = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("run-1", "orch_1", "mini-1") },
  {
    weight: 1,
    arbitrary: fc.string({ unit: "binary", minLength: 1 }).map((text) => encodeURIComponent(text.toWellFormed())),
  },
);

function requestsOf(path: string, method: string, operation: Json, document: Json) {
  const query = Object.fromEntries(
    operation.parameters.filter((one: Json) => one.in === "query").map((one: Json) => [
      one.name,
      fc.option(valuesOf(one.schema, document), { nil: undefined, freq: 2 }),
    ]),
  );
  const body = operation.requestBody?.content["application/json"].schema;
  return fc.record({
    path: fc.constant(path),
    method: fc.constant(method),
    id,
    file: fc.oneof(fc.constantFrom("events.jsonl", "a/b"), fc.string().map(encodeURIComponent)),
    query: fc.record(query),
    body: body === undefined ? fc.constant(undefined) : valuesOf(body, document),
  });
}

Deno.test("requests made from the description are answered as it says, and none fails", async () => {
  await using served = await Served.start({
    files: {
      "runs/run-1/events.jsonl": managerLog("/project"),
      "sessions/orch_1/events.jsonl": sessionLog("/project"),
      "runs/mini-1/process.json": JSON.stringify({ pid: 1, start_ticks: 0, task: "x", workdir: "/", model: "m" }),
      "runs/mini-1/stream.jsonl": "",
    },
  });
  const { json: document } = await served.get("/api/openapi.json");
  await until("the runs are read", async () => (await served.get("/api/history")).json.indexing === null);
  const operations = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation }))
  ).filter(({ path, method }) => method === "GET" || !STARTS.has(path));
  const all = operations.map(({ path, method, operation }) => requestsOf(path, method, operation, document));
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(...all), async (asked) => {
      const { path, method, query, body } = asked;
      const search = new URLSearchParams();
      for (const [name, value] of Object.entries(query)) {
        if (value !== undefined) {
          search.set(name, typeof value === "string" ? value.toWellFormed() : JSON.stringify(value));
        }
      }
      const target = path.replace("{id}", asked.id).replace("{path}", asked.file || "x");
      const text = body === undefined ? "" : JSON.stringify(body);
      const head = [
        `${method} ${target}?${search} HTTP/1.1`,
        `Host: 127.0.0.1:${served.port}`,
        `Content-Length: ${new TextEncoder().encode(text).length}`,
        ...(body === undefined ? [] : ["Content-Type: application/json"]),
        CLOSE,
      ].join("\n");
      const isStream = path.endsWith("/stream");
      const answer = await rawRequest(served.port, head, {
        body: [text],
        enough: (text) => isStream && text.includes("event: snapshot"),
      });
      const { status } = answer;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      ok(status >= 200 && status < 500, `${status}: ${answer.text}`);
      const { responses } = document.paths[path][method.toLowerCase()];
      const { content } = responses[status] ?? responses.default;
      const media = /^content-type: ([^;\r]+)/im.exec(answer.text)![1]!;
      ok(Object.hasOwn(content, media), `${target} ${status}: ${media}`);
      if (media !== "application/json" || path.endsWith("/trajectory") && status === 200) return;
      const json = JSON.parse(bodyOf(answer.text));
      deepEqual(differences(json, content[media].schema, document), [], target);
    }),
    { numRuns: 800 },
  );
  ok(
    statuses.get(200)! > 100 && (statuses.get(400) ?? 0) > 20 && (statuses.get(404) ?? 0) > 20,
    [...statuses].join(" "),
  );
  deepEqual(await served.end(), "");
});

/** Also of one that comes in chunks. */
function bodyOf(text: string): string {
  const [head, ...rest] = text.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  return /^transfer-encoding: chunked/im.test(head!) ? body.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/gi, "") : body;
}
