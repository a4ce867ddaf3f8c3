import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { loadEnvFile } from "../../src/config/env_file.ts";
import { VERSION } from "../../src/config/version.ts";
import config from "../../deno.json" with { type: "json" };
import { Project } from "./project.ts";

const EXAMPLE = new URL("../../.miniswe.example/", import.meta.url);

Deno.test("every profile of .miniswe.example loads without a remark", async () => {
  await using project = await Project.create();
  const loaded: Record<string, unknown[]> = {};
  for await (const { name } of Deno.readDir(new URL("configs/", EXAMPLE))) {
    const text = await Deno.readTextFile(new URL(`configs/${name}`, EXAMPLE));
    if (!name.endsWith(".yaml")) continue;
    await project.file(`.miniswe/configs/${name}`, text);
    const { settings, warnings, notices } = await project.load([], { profile: name.replace(".yaml", "") });
    deepEqual([warnings, notices], [[], []], name);
    const { agent, model, headless } = settings;
    loaded[name] = [model.protocol, agent.mode, agent.stepLimit, agent.costLimitUsd, headless.maxOutputLength];
  }
  deepEqual(loaded, {
    "live.yaml": ["toolcall", "confirm", 1000, 5, 10000],
    "dev.yaml": ["text", "confirm", 20, 0.5, 10000],
    "orchestrated.yaml": ["toolcall", "yolo", 100, 10, 50000],
  });
});

Deno.test("the values that live.yaml shows in comments are the ones that hold without them", async () => {
  await using project = await Project.create();
  const live = await Deno.readTextFile(new URL("configs/live.yaml", EXAMPLE));
  const withoutExamples = live.replace(/^.*(?:\.\.\.|prices\.json|run\.traj\.json|GITHUB_TOKEN|action_regex).*$/gm, "");
  const uncommented = withoutExamples.replace(
    /^( *)# (\w+: \S.*)$/gm,
    (line, indent: string, entry: string) =>
      /^(?:protocol|cost_tracking|set_cache_control|model_class|cwd|interpreter):/.test(entry) ? indent + entry : line,
  );
  await project.file(".miniswe/configs/shown.yaml", uncommented);
  const [shown, actual] = await Promise.all([project.load([], { profile: "shown" }), project.load()]);
  equal(Object.keys(shown.settings.raw.model).length, 6);
  deepEqual({ ...shown.settings, raw: null }, { ...actual.settings, raw: null });
});

Deno.test("env.example is a .env file in which nothing is switched on", async () => {
  deepEqual({ ...await loadEnvFile(fileURLToPath(new URL("configs/env.example", EXAMPLE))) }, {});
});

Deno.test("the version is the one in deno.json", () => equal(VERSION, config.version));
