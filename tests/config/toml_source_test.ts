/** TOML with lines: the lines of keys, however they are written. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { parseTomlSource, type TomlPath } from "../../src/config/toml_source.ts";
import { Failure } from "../../src/failure.ts";

const TEXT = `# a comment
host = "127.0.0.1"
a.b = 1
note = """
[caps]
port = 1
"""

[caps]   # [limits]
run_usd = 5

[[upstream]]
name = "one"
models = [
  "x",
  "y",
]
[[upstream]]
  "base_url" = "http://127.0.0.1"
[upstream.extra]
deep = true
[prices."my-model-*"]
input_cost_per_token = 1e-6
[[fallback]]
to = [{ model = "x" }, { upstream = "z" }]
[[upstream]]\r
name = "three"
`;

Deno.test("each key has the line where it is written, a missing one that of the nearest table", async () => {
  const { value, lineOf } = await parseTomlSource(TEXT, "x.toml");
  const cases: [TomlPath, number][] = [
    [[], 1],
    [["host"], 2],
    [["a"], 3],
    [["a", "b"], 3],
    [["note"], 4],
    [["caps"], 9],
    [["caps", "run_usd"], 10],
    [["caps", "missing"], 9],
    [["port"], 1],
    [["upstream"], 12],
    [["upstream", 0], 12],
    [["upstream", 0, "name"], 13],
    [["upstream", 0, "models", 1], 14],
    [["upstream", 1, "name"], 18],
    [["upstream", 1, "base_url"], 19],
    [["upstream", 1, "extra", "deep"], 21],
    [["prices", "my-model-*", "input_cost_per_token"], 23],
    [["prices", "my-model-*", "output_cost_per_token"], 22],
    [["fallback", 0, "to", 1, "upstream"], 25],
    [["upstream", 2, "name"], 27],
  ];
  deepEqual(cases.map(([path]) => [path, lineOf(path)]), cases);
  deepEqual(value.caps, Object.assign(Object.create(null), { run_usd: 5 }));
});

Deno.test("a syntax error names file, line and column, and does not quote the text around it", async () => {
  await rejects(parseTomlSource('host = "x"\napi_key = sk-secret-value\n', "dir/x.toml"), (error) => {
    ok(error instanceof Failure);
    equal(error.kind, "usage");
    ok(
      error.message.startsWith("Cannot read the configuration: dir/x.toml:2:11: need TOML, found that "),
      error.message,
    );
    ok(!Deno.inspect(error).includes("secret-value"));
    return true;
  });
});

Deno.test("a key that names an object's own machinery is only a key", async () => {
  const { value } = await parseTomlSource('[__proto__]\npolluted = true\n[constructor]\nname = "x"\n', "x.toml");
  equal(Object.hasOwn(value, "__proto__"), true);
  equal(({} as Record<string, unknown>).polluted, undefined);
});
