import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { dirname, join } from "node:path";
import { builtFiles, isSameContent, touchedFiles } from "../../../../src/commands/manager/places/project_files.ts";
import { runCommand } from "../../../../src/process/spawn.ts";
import { inTempDir } from "../../../support/temp_dir.ts";

const never = new AbortController().signal;

async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeTextFile(join(folder, path), text);
  }
}

Deno.test("touchedFiles() finds what was changed, also where it was put back, but for what tools change", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "project");
    const names = ["pkg/a.py", "pkg/b.py", "pkg/ü ñ.py", "pkg/link.py", "go.sum", "node_modules/x/y.js", "kept.c"];
    await write(folder, Object.fromEntries(names.map((name) => [name, "old"])));
    const since = join(dir, "since");
    await Deno.writeTextFile(since, "");
    const found = async () =>
      (await touchedFiles(folder, new Set(names), { since, run: runCommand, signal: never })).sort();
    deepEqual(await found(), []);
    // The kernel dates changes by a clock of its own.
    const startMs = (await Deno.stat(since)).mtime!.getTime();
    do await write(dir, { probe: "" }); while ((await Deno.stat(join(dir, "probe"))).mtime!.getTime() < startMs + 20);
    await write(folder, { "pkg/a.py": "new", "go.sum": "new", "node_modules/x/y.js": "new", "pkg/new.py": "new" });
    await Deno.writeTextFile(join(folder, "pkg/a.py"), "old");
    await Deno.utime(join(folder, "pkg/a.py"), new Date(0), new Date(0));
    await Deno.chmod(join(folder, "pkg/ü ñ.py"), 0o600);
    await Deno.remove(join(folder, "pkg/link.py"));
    await Deno.symlink("b.py", join(folder, "pkg/link.py"));
    deepEqual(await found(), ["pkg/a.py", "pkg/link.py", "pkg/ü ñ.py"]);
    equal(isSameContent(join(folder, "pkg/a.py"), join(folder, "pkg/b.py")), true);
    equal(isSameContent(join(folder, "pkg/link.py"), join(folder, "pkg/b.py")), false);
    equal(isSameContent(join(folder, "gone.py"), join(folder, "gone.py")), false);
  }));

Deno.test("builtFiles() finds what a build has made of sources that Node cannot read", () =>
  inTempDir(async (dir) => {
    await write(dir, {
      "dist/a/b.js": "",
      "dist/a.css": "",
      "src/own.js": "",
      "node_modules/x/dist/c.js": "",
      "lib/d.mjs": "",
    });
    deepEqual(builtFiles(dir, new Set(["src/a.ts"])).sort(), ["dist/a/b.js", "lib/d.mjs"]);
    deepEqual(builtFiles(dir, new Set(["src/own.js", "types.d.ts"])), []);
  }));
