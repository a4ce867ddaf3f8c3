/** The smallest value that satisfies a JSON schema, as far as its common keywords go. */
import { isObject, type Json } from "../../models/json.ts";

/** Schemas come from strangers: one that is deeper, or asks for more, is answered as far as this. */
const MAX_DEPTH = 32;
const MAX_VALUES = 1000;
const MAX_LENGTH = 1000;

interface Walk {
  readonly root: unknown;
  values: number;
}

/**
 * First of `const`, `enum`, `default`; the first alternative; required properties alone; texts and lists as short as
 * allowed, numbers as near to 1: many scores begin there, without the schema saying so. Types may be in upper case
 * (Gemini). What it does not understand becomes null.
 */
export function sampleValue(schema: unknown): unknown {
  return sample(schema, { root: schema, values: 0 }, 0);
}

function sample(schema: unknown, walk: Walk, depth: number): unknown {
  if (!isObject(schema) || depth > MAX_DEPTH || ++walk.values > MAX_VALUES) return null;
  if (typeof schema.$ref === "string") return sample(resolve(schema.$ref, walk.root), walk, depth + 1);
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum[0];
  if ("default" in schema) return schema.default;
  for (const alternatives of [schema.anyOf, schema.oneOf]) {
    if (Array.isArray(alternatives) && alternatives.length > 0) return sample(alternatives[0], walk, depth + 1);
  }
  if (Array.isArray(schema.allOf) && schema.type === undefined) return sample(merged(schema.allOf), walk, depth + 1);
  switch (typeOf(schema)) {
    case "object":
      return sampleObject(schema, walk, depth);
    case "array":
      return Array.from({ length: atLeast(schema.minItems) }, () => sample(schema.items, walk, depth + 1));
    case "string":
      return "x".repeat(atLeast(schema.minLength));
    case "integer":
      return sampleNumber(schema, 1);
    case "number":
      return sampleNumber(schema, 0.5);
    case "boolean":
      return false;
    default:
      return null;
  }
}

function typeOf(schema: Json): string {
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (typeof type === "string") return type.toLowerCase();
  if (isObject(schema.properties)) return "object";
  return schema.items === undefined ? "" : "array";
}

function sampleObject({ properties, required }: Json, walk: Walk, depth: number): Json {
  const names = Array.isArray(required) ? required.slice(0, MAX_VALUES) : [];
  const schemaOf = (name: string) => isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : null;
  // Names are the schema's own: `fromEntries` also makes a plain property of `__proto__`.
  return Object.fromEntries(
    names.filter((name) => typeof name === "string").map((name) => [name, sample(schemaOf(name), walk, depth + 1)]),
  );
}

function sampleNumber(schema: Json, above: number): number {
  const least = Math.max(finite(schema.minimum, -Infinity), finite(schema.exclusiveMinimum, -Infinity) + above);
  const most = Math.min(finite(schema.maximum, Infinity), finite(schema.exclusiveMaximum, Infinity) - above);
  return Math.min(Math.max(1, least), most);
}

function finite(value: unknown, otherwise: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}

function atLeast(minimum: unknown): number {
  // Gemini writes 64-bit integers as texts.
  const number = typeof minimum === "string" ? Number(minimum) : minimum;
  return Number.isInteger(number) ? Math.min(Math.max(0, number as number), MAX_LENGTH) : 0;
}

/** All of the parts at once; where two say something else, the later one counts. */
function merged(parts: readonly unknown[]): Json {
  const schemas = parts.filter(isObject);
  return {
    ...union(schemas),
    properties: union(schemas.map(({ properties }) => properties).filter(isObject)),
    required: schemas.flatMap(({ required }) => Array.isArray(required) ? required : []),
  };
}

function union(objects: readonly Json[]): Json {
  return Object.fromEntries(objects.flatMap((one) => Object.entries(one)));
}

/** A reference into the same document, `#/$defs/Name`. */
function resolve(reference: string, root: unknown): unknown {
  if (!reference.startsWith("#")) return undefined;
  let found = root;
  for (const part of reference.slice(1).split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (!isObject(found) || !Object.hasOwn(found, name)) return undefined;
    found = found[name];
  }
  return found;
}
