/** A value that a person has given, by its schema. */

/** As schemas of zod are. */
export interface ValueType<T> {
  safeParse(value: unknown): { success: true; data: T } | {
    success: false;
    error: { issues: readonly { message: string }[] };
  };
}

/** @param refuse makes what is thrown for a value that the schema refuses, of what is needed and what was found */
export function checkedValue<T>(type: ValueType<T>, value: unknown, refuse: (finding: string) => Error): T {
  const result = type.safeParse(value);
  if (result.success) return result.data;
  const found = typeof value === "number" ? String(value) : value === "" ? "an empty text" : "another text";
  throw refuse(`need ${result.error.issues[0]!.message}, found ${found}`);
}
