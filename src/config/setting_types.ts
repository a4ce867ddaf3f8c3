/** The types of settings that several commands have; the message of each is what was needed. */
import * as z from "zod/mini";

const TEXT = "a text";
export const text = z.string(TEXT).check(z.minLength(1, TEXT));
export const texts = z.array(text, "a list of texts");
const PATH = 'a path that is written out ("~" is not read here)';
export const path = z.string(PATH).check(z.minLength(1, PATH), z.refine((text) => !/^~/.test(text), PATH));
export const flag = z.boolean("true or false");
const AMOUNT = "a number of 0 or more";
export const amount = z.number(AMOUNT).check(z.minimum(0, AMOUNT));
const POSITIVE = "a number above 0";
export const positive = z.number(POSITIVE).check(z.positive(POSITIVE));
const COUNT = "a whole number of 1 or more";
export const count = z.number(COUNT).check(z.minimum(1, COUNT), z.refine(Number.isSafeInteger, COUNT));
const WHOLE = "a whole number of 0 or more";
export const whole = z.number(WHOLE).check(z.minimum(0, WHOLE), z.refine(Number.isSafeInteger, WHOLE));
// setTimeout fires at once beyond 2^31 ms.
const MAX_SECONDS = 2_147_483;
const WAIT = `a number of seconds from 0 to ${MAX_SECONDS}`;
export const wait = z.number(WAIT).check(z.minimum(0, WAIT), z.maximum(MAX_SECONDS, WAIT));
const DEADLINE = `a number of seconds above 0, at most ${MAX_SECONDS}`;
export const deadline = z.number(DEADLINE).check(z.positive(DEADLINE), z.maximum(MAX_SECONDS, DEADLINE));
const PORT = "a whole number from 0 to 65535";
export const port = z.number(PORT).check(z.minimum(0, PORT), z.maximum(65_535, PORT), z.refine(Number.isInteger, PORT));
export const TABLE = "a table";
export const TABLES = "a list of tables";

export function oneOf<const T extends readonly string[]>(words: T) {
  return z.enum(words, `one of ${words.join(", ")}`);
}

/** An empty variable is one that is not set. */
export function given(value: string | undefined): string | undefined {
  return value?.trim() || undefined;
}
