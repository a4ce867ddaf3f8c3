/** What a session's folders have to allow. */
import { deepStrictEqual as deepEqual, rejects } from "node:assert/strict";
import { join } from "node:path";
import { checkPlaces } from "../../../src/commands/orchestrate/check_places.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const ROOT = Deno.uid() === 0;
const signal = new AbortController().signal;

/** A folder of a `df` that finds so much room, in KiB. */
async function dfWith(dir: string, free: string): Promise<Record<string, string>> {
  const head = "Filesystem 1024-blocks Used Available Capacity Mounted on";
  const script = `#!/bin/sh\nprintf '%s\\n' '${head}' '//a b/c 1000 10 ${free} 1% /mnt/with blank 7 8 9'\n`;
  await Deno.writeTextFile(join(dir, "df"), script, { mode: 0o755 });
  return { PATH: `${dir}:${Deno.env.get("PATH")}` };
}

Deno.test("little room is told before the work begins, and enough room is not", () =>
  inTempDir(async (dir) => {
    const places = { target: dir, commonDir: dir, isShared: false, folder: dir };
    const told = async (free: string) => await checkPlaces(places, { env: await dfWith(dir, free), signal });
    deepEqual(await told(`${1024 * 1024}`), []);
    deepEqual(await told(`${1024 * 1024 - 1}`), [`Only 1023 MB are free where the session is kept, in "${dir}"`]);
    deepEqual(await told("0"), [`Only 0 MB are free where the session is kept, in "${dir}"`]);
    deepEqual(await told("-"), [], "nobody knows");
    deepEqual(await checkPlaces(places, { env: { PATH: "" }, signal }), [], "there is no df");
  }));

Deno.test({
  name: "a folder that cannot be read, or be written where that is needed, stops the session before it begins",
  // Root may do everything.
  ignore: ROOT,
  fn: () =>
    inTempDir(async (dir) => {
      const [closed, fixed] = [join(dir, "closed"), join(dir, "fixed")];
      await Deno.mkdir(closed, { mode: 0o300 });
      await Deno.mkdir(fixed, { mode: 0o500 });
      const env = { PATH: Deno.env.get("PATH")! };
      const check = (places: { target: string; commonDir: string | undefined; isShared: boolean }) =>
        checkPlaces({ ...places, folder: dir }, { env, signal });
      const failure = (path: string, what: string) => ({
        kind: "environment",
        message: `Cannot work on "${path}": need to ${what} it, found no permission to`,
        hints: [`Look at it: \`ls -ld ${path}\``],
      });
      await rejects(check({ target: closed, commonDir: dir, isShared: false }), failure(closed, "read"));
      await rejects(check({ target: fixed, commonDir: undefined, isShared: true }), failure(fixed, "write"));
      await rejects(check({ target: fixed, commonDir: fixed, isShared: false }), failure(fixed, "write"));
      await check({ target: fixed, commonDir: dir, isShared: false });
      // Or nobody could remove it.
      await Deno.chmod(closed, 0o700);
    }),
});

Deno.test("a folder that is not there stops the session before it begins", () =>
  inTempDir(async (dir) => {
    const env = { PATH: Deno.env.get("PATH")! };
    const missing = join(dir, "missing");
    const check = (places: { target: string; commonDir: string; isShared: boolean }) =>
      checkPlaces({ ...places, folder: dir }, { env, signal });
    await rejects(check({ target: missing, commonDir: dir, isShared: true }), /need to read it/);
    await rejects(check({ target: dir, commonDir: missing, isShared: false }), /need to write it/);
    await check({ target: dir, commonDir: missing, isShared: true });
  }));
