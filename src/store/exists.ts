/** Tells whether there is something of a name. */

/** Also true for a link that leads nowhere. Never throws: what may not be looked at is not there. */
export function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, () => false);
}
