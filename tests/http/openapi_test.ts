import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { page } from "../../src/http/page.ts";
import { differences } from "./json_schema.ts";
import { sampleApp } from "./sample_app.ts";

Deno.test("the description has every route of the application, and no other", async () => {
  using app = await sampleApp();
  const described = Object.entries<object>(app.description.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const routed = app.app.routes
    .filter(({ method, path }) => method !== "ALL" && !page.has(path) && path !== "/welcome.js")
    .map(({ method, path }) => `${method} ${path.replace("{.+}", "").replaceAll(/:(\w+)/g, "{$1}")}`);
  deepEqual(described.sort(), [...new Set(routed)].sort());
  ok(described.length > 50);
});

Deno.test("the description leads nowhere that is not in it, and names each operation once", async () => {
  using app = await sampleApp({ token: "t" });
  const { description } = app;
  const refs: string[] = [];
  JSON.stringify(description, (key, value) => {
    if (key === "$ref") refs.push(value);
    ok(!["$schema", "$id", "$defs"].includes(key), key);
    return value;
  });
  ok(refs.length > 50);
  for (const ref of refs) ok(Object.hasOwn(description.components.schemas, ref.split("/").at(-1)!), ref);
  // deno-lint-ignore no-explicit-any
  const operations = Object.entries<any>(description.paths).flatMap(([path, methods]) =>
    // deno-lint-ignore no-explicit-any
    Object.values<any>(methods).map((operation) => ({ path, ...operation }))
  );
  deepEqual(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
  for (const { path, parameters, summary } of operations) {
    const inPath = parameters.filter((one: { in: string }) => one.in === "path").map((one: { name: string }) =>
      one.name
    );
    deepEqual(inPath, [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    ok(summary.length > 10, path);
  }
  deepEqual([description.openapi, description.info, description.security], [
    "3.1.0",
    { title: "gocore", version: "0.1.0" },
    [{ token: [] }],
  ]);
  deepEqual(description.paths["/health"].get.security, []);
});

Deno.test("a query's parameters are described as they are checked", async () => {
  using app = await sampleApp();
  deepEqual(app.description.paths["/api/runs/{id}/status"].get.parameters, [
    { name: "id", in: "path", required: true, schema: { type: "string" } },
    {
      name: "lines",
      in: "query",
      required: false,
      schema: { default: 120, type: "integer", minimum: 1, maximum: 5000 },
    },
  ]);
  const { parameters } = app.description.paths["/api/runs/{id}/source"].get;
  deepEqual(parameters.map(({ name, required }: { name: string; required: boolean }) => [name, required]), [
    ["id", true],
    ["file", true],
    ["line", false],
    ["context", false],
  ]);
});

Deno.test("the seeds' requests are among those that are described", async () => {
  using app = await sampleApp();
  const { schema } = app.description.paths["/api/runs"].post.requestBody.content["application/json"];
  const request = {
    issue_url: "https://github.com/<owner>/<repo>/issues/<number>",
    repo_path: "/absolute/path/to/repo",
    workers: 2,
    timeout_sec: 300,
  };
  deepEqual(differences(request, schema, app.description), []);
  deepEqual(differences({ ...request, runs_root: "/" }, schema, app.description), ["$.runs_root is not described"]);
  deepEqual(differences({ ...request, workers: 17 }, schema, app.description), ["$.workers is out of its bounds"]);
});
