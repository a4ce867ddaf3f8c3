import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { eventData } from "../src/events/event.ts";

const read = (path: string) => Deno.readTextFile(new URL(`../${path}`, import.meta.url));

Deno.test("README shows the help of `gocore mini` as it is", async () => {
  const block = /```\n\$ gocore mini --help\n([\s\S]*?)\n```/.exec(await read("README.md"))?.[1];
  equal(block, (await read("tests/cli/help/mini.txt")).trimEnd());
});

Deno.test("README names only tasks that exist, and one version of Deno, which CI installs", async () => {
  const readme = await read("README.md");
  for (const [, task] of readme.matchAll(/(?:deno|deno@[\d.]+) task ([\w:]+)/g)) ok(task! in config.tasks, task!);
  const versions = new Set(Array.from(readme.matchAll(/deno@([\d.]+\d)/g), (match) => match[1]));
  equal(versions.size, 1);
  ok((await read(".ci/run")).includes(`deno_version=${[...versions][0]}`));
});

Deno.test("README's tables of events have every type with every field", async () => {
  const readme = await read("README.md");
  for (const [type, schema] of Object.entries(eventData)) {
    const rows = readme.split("\n").filter((line) => line.startsWith(`| \`${type}\` |`));
    // A type that two commands have has a row for each.
    const shapes = "shape" in schema ? [schema.shape] : schema.def.options.map(({ shape }) => shape);
    const missing = shapes.map((shape, index) =>
      Object.keys(shape).filter((field) => rows[index]?.includes(`\`${field}\``) !== true)
    );
    deepEqual(missing, shapes.map(() => []), type);
  }
});
