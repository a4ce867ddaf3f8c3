import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { listFiles, readBelow } from "../../../../src/commands/serve/views/folder_files.ts";
import { Refused } from "../../../../src/http/ports.ts";
import { fileList } from "../../../../src/http/schemas.ts";
import { inTempDir } from "../../../support/temp_dir.ts";

const SECRET = "not for everybody";

/** A folder `run` with files, and a file beside it that nobody may see. */
async function inRun(work: (folder: string, dir: string) => Promise<void>): Promise<void> {
  await inTempDir(async (dir) => {
    const folder = join(dir, "run");
    const files = { "a.txt": "a", "b/c/d.txt": "dd", "b/.hidden": "h", ".gitignore": "*", "b/.git/config": "g" };
    for (const [path, content] of Object.entries({ ...files, "../secret": SECRET, "../other/x": SECRET })) {
      await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
      await Deno.writeTextFile(join(folder, path), content);
    }
    await work(folder, dir);
  });
}

const read = async (folder: string, path: string, maxBytes = 100) =>
  new TextDecoder().decode(await readBelow(folder, path, { maxBytes }));
const isRefused = (status: number) => (error: unknown) => error instanceof Refused && error.status === status;

Deno.test("plain files are listed with their sizes, sorted, and what git keeps and links are not", async () => {
  await inRun(async (folder, dir) => {
    await Deno.symlink(join(dir, "secret"), join(folder, "link"));
    await Deno.symlink(join(dir, "other"), join(folder, "b/folder"));
    await Deno.symlink("..", join(folder, "b/loop"));
    await new Deno.Command("mkfifo", { args: [join(folder, "pipe")] }).output();
    const { files } = fileList.parse(await listFiles(folder));
    deepEqual(files.map(({ path, size }) => [path, size]), [["a.txt", 1], ["b/.hidden", 1], ["b/c/d.txt", 2]]);
    equal(files[0]!.modified_at, (await Deno.stat(join(folder, "a.txt"))).mtime!.toISOString());
    deepEqual(await listFiles(join(folder, "nothing")), { files: [] });
  });
});

Deno.test("of very many files those that are not deep are listed", async () => {
  await inTempDir(async (dir) => {
    await Deno.mkdir(join(dir, "0/many"), { recursive: true });
    for (let i = 0; i < 5100; i++) Deno.writeTextFileSync(join(dir, "0/many", String(i)), "");
    Deno.writeTextFileSync(join(dir, "z.txt"), "");
    const { files } = await listFiles(dir);
    deepEqual([files.length, files.at(-1)!.path], [5000, "z.txt"]);
  });
});

Deno.test("a file is read whole", async () => {
  await inRun(async (folder) => {
    equal(await read(folder, "a.txt"), "a");
    equal(await read(folder, "b/c/d.txt"), "dd");
  });
});

Deno.test("no path leads out of the folder, to a link, to what git keeps, or to what is no file", async () => {
  await inRun(async (folder, dir) => {
    await Deno.symlink(join(dir, "secret"), join(folder, "link"));
    await Deno.symlink(join(dir, "other"), join(folder, "b/folder"));
    await new Deno.Command("mkfifo", { args: [join(folder, "pipe")] }).output();
    const paths = [
      ...["", ".", "..", "/", "../secret", "b/../../secret", "b/c/../../../secret", `${dir}/secret`, "//a.txt"],
      ...["a.txt/", "./a.txt", "b//c/d.txt", "b\\c\\d.txt", "a.txt\0", "link", "b/folder/x", "pipe", "b", "none"],
      ...[".gitignore", "b/.git/config", "a.txt/x", "x".repeat(5000), `${"x/".repeat(3000)}y`],
    ];
    for (const path of paths) await rejects(readBelow(folder, path, { maxBytes: 100 }), isRefused(404), path);
  });
});

Deno.test("whatever path is asked for, what is beside the folder is not read", async () => {
  await inRun(async (folder, dir) => {
    await Deno.symlink(join(dir, "secret"), join(folder, "link"));
    await Deno.symlink(dir, join(folder, "up"));
    const part = fc.constantFrom(
      "..",
      ".",
      "",
      "a.txt",
      "b",
      "c",
      "link",
      "up",
      "secret",
      "other",
      "x",
      "run",
      "d.txt",
    );
    await fc.assert(fc.asyncProperty(fc.array(part, { maxLength: 6 }), async (parts) => {
      const text = await read(folder, parts.join("/")).catch((error) => {
        if (!(error instanceof Refused)) throw error;
        return "";
      });
      equal(text.includes(SECRET), false);
    }));
  });
});

Deno.test("a file that is too large is refused, and not read", async () => {
  await inRun(async (folder) => {
    await Deno.writeTextFile(join(folder, "large"), "x".repeat(101));
    await rejects(readBelow(folder, "large", { maxBytes: 100 }), isRefused(413));
    equal((await read(folder, "large", 101)).length, 101);
  });
});

Deno.test("an agent that puts links in the place of folders, again and again, shows nothing of what is beside them", async () => {
  await inRun(async (folder) => {
    await Deno.mkdir(join(folder, "real"));
    await Deno.writeTextFile(join(folder, "real/x"), "mine");
    const program = `
      Deno.chdir(${JSON.stringify(folder)});
      for (;;) {
        Deno.symlinkSync("../other", "swap");
        Deno.removeSync("swap");
        Deno.renameSync("real", "swap");
        Deno.renameSync("swap", "real");
      }`;
    const agent = new Deno.Command(Deno.execPath(), { args: ["eval", program] }).spawn();
    try {
      const seen = new Set<string>();
      for (let i = 0; i < 5000; i++) seen.add(await read(folder, "swap/x").catch(() => ""));
      equal(seen.has(SECRET), false);
    } finally {
      agent.kill("SIGKILL");
      await agent.status;
    }
  });
});

Deno.test("a file that is replaced by its next version again and again is always one of them", async () => {
  await inRun(async (folder) => {
    const path = join(folder, "decision.json");
    await Deno.writeTextFile(path, "0");
    let stop = false;
    const writing = (async () => {
      for (let i = 1; !stop; i++) {
        await Deno.writeTextFile(`${path}.tmp`, String(i));
        await Deno.rename(`${path}.tmp`, path);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    try {
      for (let i = 0; i < 1000; i++) equal(/^\d+$/.test(await read(folder, "decision.json")), true);
    } finally {
      stop = true;
      await writing;
    }
  });
});
