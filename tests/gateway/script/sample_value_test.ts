import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { sampleValue } from "../../../src/gateway/script/sample_value.ts";

Deno.test("a schema gets its smallest value", () => {
  const cases: [unknown, unknown][] = [
    [{ type: "string" }, ""],
    [{ type: "STRING", minLength: "3" }, "xxx"],
    [{ type: "integer" }, 1],
    [{ type: "integer", minimum: 5 }, 5],
    [{ type: "integer", exclusiveMinimum: 5 }, 6],
    [{ type: "integer", maximum: -2 }, -2],
    [{ type: "integer", exclusiveMaximum: -2 }, -3],
    [{ type: "NUMBER", minimum: 0, maximum: 0.5 }, 0.5],
    [{ type: ["boolean", "null"] }, false],
    [{ type: "null" }, null],
    [{ const: { a: 1 } }, { a: 1 }],
    [{ type: "string", enum: ["p", "q"] }, "p"],
    [{ type: "string", default: "d" }, "d"],
    [{ anyOf: [{ type: "boolean" }, { type: "string" }] }, false],
    [{ oneOf: [{ type: "string" }] }, ""],
    [{ type: "array", items: { type: "string" } }, []],
    [{ items: { type: "boolean" }, minItems: 2 }, [false, false]],
    [{ properties: { a: { type: "string" }, b: {} }, required: ["a"] }, { a: "" }],
    [{ allOf: [{ properties: { a: { type: "string" } }, required: ["a"] }, { type: "object", required: ["b"] }] }, {
      a: "",
      b: null,
    }],
    [
      {
        $defs: { "a/b": { type: "integer" } },
        type: "object",
        properties: { x: { $ref: "#/$defs/a~1b" } },
        required: ["x"],
      },
      { x: 1 },
    ],
    [{ $ref: "#" }, null],
    [{ $ref: "https://example.com/schema" }, null],
    [{}, null],
    ["nonsense", null],
    // What gemini's router asks.
    [{
      type: "OBJECT",
      properties: { complexity_reasoning: { type: "STRING" }, complexity_score: { type: "INTEGER" } },
      required: ["complexity_reasoning", "complexity_score"],
    }, { complexity_reasoning: "", complexity_score: 1 }],
  ];
  deepEqual(cases.map(([schema]) => sampleValue(schema)), cases.map(([, value]) => value));
});

Deno.test("a property named __proto__ is a property, and changes no prototype", () => {
  const sample = sampleValue({ type: "object", required: ["__proto__"], properties: {} }) as object;
  deepEqual(Object.keys(sample), ["__proto__"]);
  ok(Object.getPrototypeOf(sample) === Object.prototype);
});

Deno.test("any schema gets a value that is not huge", () => {
  const keys = [
    "type",
    "$ref",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "items",
    "minItems",
    "minLength",
    "required",
    "properties",
  ];
  const { schema } = fc.letrec((tie) => ({
    schema: fc.dictionary(
      fc.constantFrom(...keys),
      fc.oneof({ maxDepth: 3 }, tie("leaf"), tie("list"), tie("schema")),
      { maxKeys: 4 },
    ),
    list: fc.array(tie("schema"), { maxLength: 3 }),
    leaf: fc.oneof(
      fc.constantFrom("object", "array", "string", "integer", "#", "#/properties/type"),
      fc.integer(),
      fc.jsonValue(),
    ),
  }));
  fc.assert(fc.property(schema, (given) => {
    ok((JSON.stringify(sampleValue(given)) ?? "").length < 3_000_000);
  }));
});

Deno.test("lists of lists of lists end", () => {
  let schema: unknown = { type: "string", minLength: 1e9 };
  for (let depth = 0; depth < 20; depth++) schema = { type: "array", minItems: 1e9, items: schema };
  ok(JSON.stringify(sampleValue(schema)).length < 3_000_000);
});
