import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { type ConfigLayer, layerOf, loadConfigLayers, mergeLayers } from "../../src/config/config_layers.ts";
import { Failure } from "../../src/failure.ts";
import { Project } from "./project.ts";

async function layersOf(
  project: Project,
  configSpecs: string[],
  profile?: string,
): Promise<{ layers: ConfigLayer[]; warnings: string[]; labels: string[] }> {
  const loaded = await loadConfigLayers({ home: project.home, cwd: project.workdir, configSpecs, profile });
  return { ...loaded, labels: loaded.layers.map(({ label }) => label.replace(project.workdir, "")) };
}

const LIVE = "/.miniswe/configs/live.yaml";

Deno.test("a -c file replaces the default profile, a -c value refines it, and a profile that is asked for stays", async () => {
  await using project = await Project.create();
  const file = await project.file("a.yaml", "a: 1\n");
  await project.file(".miniswe/configs/dev.yml", "b: 1\n");
  const dev = "/.miniswe/configs/dev.yml";
  deepEqual((await layersOf(project, [])).labels, [LIVE]);
  deepEqual((await layersOf(project, ["agent.x=1"])).labels, [LIVE, "-c agent.x"]);
  deepEqual((await layersOf(project, ["agent.x=1", file])).labels, ["-c agent.x", "/a.yaml"]);
  deepEqual((await layersOf(project, [], "dev")).labels, [dev]);
  deepEqual((await layersOf(project, ["a.yaml"], "dev")).labels, [dev, "/a.yaml"]);
  deepEqual((await layersOf(project, ["a.yaml"], "live")).labels, [LIVE, "/a.yaml"]);
});

Deno.test("a -c file is found from the current directory, and by its name in configs/", async () => {
  await using project = await Project.create();
  await project.file("sub/deep.yaml", "");
  await project.file("both.yaml", "");
  await project.file(".miniswe/configs/both.yaml", "");
  await project.file(".miniswe/configs/named.yaml", "");
  await project.file(".miniswe/configs/other.yml", "");
  await project.file("settings.json", '{"agent": {"step_limit": 3}}');
  // Neither a folder nor a program of the same name is the configuration.
  await Deno.mkdir(`${project.workdir}/named`);
  await project.file("other", "#!/bin/sh\n");
  await project.file("a=b.yaml", "");
  const configs = "/.miniswe/configs";
  const cases = {
    "sub/deep": "/sub/deep.yaml",
    "./sub/deep.yaml": "/sub/deep.yaml",
    both: "/both.yaml",
    named: `${configs}/named.yaml`,
    "named.yaml": `${configs}/named.yaml`,
    other: `${configs}/other.yml`,
    "settings.json": "/settings.json",
    "./a=b.yaml": "/a=b.yaml",
  };
  for (const [spec, expected] of Object.entries(cases)) {
    const { labels, layers } = await layersOf(project, [spec]);
    // `other` is a file in the current directory, too, and the nearer one.
    deepEqual(labels, [spec === "other" ? "/other" : expected], spec);
    if (spec === "settings.json") deepEqual(layers[0]!.value, { agent: { step_limit: 3 } });
  }
});

Deno.test("a -c file that is not there is a usage failure that knows what is", async () => {
  await using project = await Project.create();
  await project.file(".miniswe/configs/orchestrated.yaml", "");
  const cases: [string, RegExp, RegExp][] = [
    ["orchestratd", /need a file for "-c orchestratd"/, /^Did you mean `-c orchestrated`\?$/],
    ["/nowhere/x.yaml", /found none in that place/, /^Available: live, orchestrated$/],
    ["agent.step_limit =5", /need a file for/, /^For a single key write `-c agent\.step_limit=…`, without spaces$/],
    ["=5", /need a key such as agent\.step_limit before "="/, /-c agent\.step_limit=100/],
    ["agent..x=5", /need a key/, /-c/],
  ];
  for (const [spec, message, hint] of cases) {
    await rejects(layersOf(project, [spec]), (error: unknown) => {
      ok(error instanceof Failure && error.kind === "usage", String(error));
      match(error.message, message);
      match(error.hints.join("\n"), hint);
      return true;
    });
  }
});

Deno.test("a profile that is not there means the built-in defaults and a warning; a path is no profile", async () => {
  await using project = await Project.create();
  const { layers, labels, warnings } = await layersOf(project, ["agent.step_limit=5"], "lief");
  deepEqual(labels, ["built-in defaults", "-c agent.step_limit"]);
  equal(warnings.length, 1);
  match(warnings[0]!, /^Profile "lief" is not in .*using the built-in defaults/);
  deepEqual(layers[0]!.value, (await layersOf(project, [])).layers[0]!.value);
  for (const profile of ["../live", "/etc/passwd", "a/b", "..", ""]) {
    await rejects(layersOf(project, [], profile), /need the name of a file in/, profile);
  }
});

Deno.test("a value on the command line is never shown with its origin", async () => {
  await using project = await Project.create();
  const { labels } = await layersOf(project, ["model.model_kwargs.api_key=sk-secret"]);
  deepEqual(labels, [LIVE, "-c model.model_kwargs.api_key"]);
});

Deno.test("later layers win key by key, lists are replaced, and each key knows who decided it", async () => {
  await using project = await Project.create();
  await project.file("1.yaml", "agent: {a: 1, b: 1}\nmodel: {list: [1, 2], map: {x: 1}}\nother: {x: 1}\n");
  await project.file("2.yaml", "agent:\n  # nothing here\nmodel: {list: [3], map: {y: 2}}\nother: text\n");
  const { layers } = await layersOf(project, ["1", "2", "agent.b=2", "agent.a=null", "__proto__.x=1"]);
  const merged = mergeLayers(layers);
  deepEqual(merged, {
    agent: { a: null, b: 2 },
    model: { list: [3], map: { x: 1, y: 2 } },
    other: "text",
  });
  equal(({} as Record<string, unknown>).x, undefined);
  const placeOf = (path: string) => {
    const keys = path.split(".");
    return layerOf(layers, keys)?.locate(keys).replace(project.workdir, "");
  };
  deepEqual(["agent.a", "agent.b", "model.list.0", "model.map.x", "model.map.y", "other.x", "none"].map(placeOf), [
    "-c agent.a",
    "-c agent.b",
    "/2.yaml:3:16",
    "/1.yaml:2:32",
    "/2.yaml:3:29",
    "/2.yaml:4:8",
    undefined,
  ]);
});
