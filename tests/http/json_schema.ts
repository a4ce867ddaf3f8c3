/** Compares values with what an OpenAPI document says of them. */
import { ok } from "node:assert/strict";

// deno-lint-ignore no-explicit-any
type Json = any;

const TYPES: Record<string, (value: Json) => boolean> = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isSafeInteger(value),
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  array: (value) => Array.isArray(value),
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
};
const KNOWN = new Set(
  ("type properties required additionalProperties propertyNames items anyOf enum const $ref minimum maximum default " +
    "pattern maxLength").split(" "),
);

/**
 * What of a value the schema does not say, or says otherwise; empty: nothing. A field that no schema names counts, too,
 * unless the schema allows others expressly.
 */
export function differences(value: Json, schema: Json, document: Json, at = "$"): string[] {
  const unknown = Object.keys(schema).find((key) => !KNOWN.has(key));
  ok(unknown === undefined, `This reads no ${unknown}`);
  if (schema.$ref !== undefined) {
    const target = schema.$ref.split("/").slice(1).reduce((node: Json, name: string) => node?.[name], document);
    ok(target, `${schema.$ref} is nowhere`);
    return differences(value, target, document, at);
  }
  if (schema.anyOf !== undefined) {
    const all = schema.anyOf.map((one: Json) => differences(value, one, document, at));
    return all.some((one: string[]) => one.length === 0) ? [] : all.flat();
  }
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => TYPES[type]!(value))) return [`${at} is no ${types}`];
  const found: string[] = [];
  if (schema.const !== undefined && value !== schema.const) found.push(`${at} is not ${schema.const}`);
  if (schema.enum !== undefined && !schema.enum.includes(value)) found.push(`${at} is none of ${schema.enum}`);
  if (value < schema.minimum || value > schema.maximum) found.push(`${at} is out of its bounds`);
  if (schema.items !== undefined && Array.isArray(value)) {
    value.forEach((item: Json, i: number) => found.push(...differences(item, schema.items, document, `${at}[${i}]`)));
  }
  if (schema.type === "object") {
    const { properties = {}, required = [], additionalProperties } = schema;
    for (const name of required) if (!Object.hasOwn(value, name)) found.push(`${at}.${name} is missing`);
    for (const [name, part] of Object.entries(value)) {
      const known = Object.hasOwn(properties, name) ? properties[name] : additionalProperties || undefined;
      if (known === undefined) found.push(`${at}.${name} is not described`);
      else found.push(...differences(part, known, document, `${at}.${name}`));
    }
  }
  return found;
}
