/** Reads a small message of another process by its schema. */
import type * as z from "zod/mini";

/** Throws an `Error` that names the first key that is wrong. */
export function parseOrThrow<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new Error(`${path.join(".") || "all of it"}: ${message}`);
}
