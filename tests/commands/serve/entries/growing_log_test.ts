import { deepStrictEqual as deepEqual, rejects } from "node:assert/strict";
import { GrowingLog } from "../../../../src/commands/serve/entries/growing_log.ts";
import { inTempDir } from "../../../support/temp_dir.ts";

const numbersIn = (path: string) =>
  new GrowingLog<unknown[]>(path, { empty: () => [], add: (numbers, value) => void numbers.push(value) });

Deno.test("each line is added once, when it is whole; what is no JSON is passed over", async () => {
  await inTempDir(async (dir) => {
    const path = `${dir}/log`;
    const log = numbersIn(path);
    const append = (text: string) => Deno.writeTextFile(path, text, { append: true });
    await append("1\ngarbage\n\n2\n3");
    deepEqual(await log.read(), [1, 2]);
    deepEqual(await log.read(), [1, 2]);
    await append("4\n5\n");
    deepEqual(await log.read(), [1, 2, 34, 5]);
  });
});

Deno.test("what was read already is not read again", async () => {
  await inTempDir(async (dir) => {
    const path = `${dir}/log`;
    const log = numbersIn(path);
    await Deno.writeTextFile(path, "1\n2\n");
    deepEqual(await log.read(), [1, 2]);
    const file = await Deno.open(path, { write: true });
    await file.write(new TextEncoder().encode("8\n9\n3\n"));
    file.close();
    deepEqual(await log.read(), [1, 2, 3]);
  });
});

Deno.test("a log that was cut, replaced or let go is read anew", async () => {
  await inTempDir(async (dir) => {
    const path = `${dir}/log`;
    const log = numbersIn(path);
    await Deno.writeTextFile(path, "1\n2\n3");
    deepEqual(await log.read(), [1, 2]);
    await Deno.writeTextFile(path, "7\n");
    deepEqual(await log.read(), [7]);
    await Deno.writeTextFile(`${path}.new`, "8\n9\n10\n");
    await Deno.rename(`${path}.new`, path);
    deepEqual(await log.read(), [8, 9, 10]);
    log.letGo();
    deepEqual(await log.read(), [8, 9, 10]);
  });
});

Deno.test("what is no file is not opened", async () => {
  await inTempDir(async (dir) => {
    await rejects(numbersIn(`${dir}/nothing`).read(), Deno.errors.NotFound);
    await Deno.writeTextFile(`${dir}/log`, "1\n");
    await Deno.symlink(`${dir}/log`, `${dir}/link`);
    for (const name of ["link", ""]) await rejects(numbersIn(`${dir}/${name}`).read(), Deno.errors.NotFound);
  });
});
