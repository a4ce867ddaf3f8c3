/** Which paths from clients may be looked for below a folder. */
import { Refused } from "./ports.ts";

/** Throws `Refused` for one that leads elsewhere, or would if it were decoded once more. */
export function requireBelow(path: string): void {
  const isPlain = path.split("/").every((segment) => !/^\.{0,2}$/.test(segment));
  if (!isPlain || /[\\\0]|%(?:2e|2f|5c|00)/i.test(path)) throw new Refused(404, "There is no such file");
}
