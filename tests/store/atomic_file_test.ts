import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import {
  removeAbandonedTemporaries,
  removeTemporaries,
  removeUnfinished,
  writeFileAtomic,
} from "../../src/store/atomic_file.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

const failure = (text: string) => (error: unknown) =>
  error instanceof Failure && error.kind === "environment" && error.message === text && error.hints.length === 1;

Deno.test("writeFileAtomic() writes text, replaces a file and makes missing folders", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/new/folder/file.json`;
    await writeFileAtomic(path, "first, and longer");
    await writeFileAtomic(path, "secönd");
    equal(await Deno.readTextFile(path), "secönd");
    await writeFileAtomic(path, "");
    equal(await Deno.readTextFile(path), "");
    deepEqual(namesIn(`${dir}/new/folder`), ["file.json"]);
  }));

Deno.test("writeFileAtomic() joins pieces, also when a surrogate pair comes in two of them", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/file`;
    const pieces = ["a".repeat(64 * 1024 - 1), "\ud83d", "\ude00", "b".repeat(200_000), "", "\ud83d", "\ude00"];
    await writeFileAtomic(path, pieces);
    equal(await Deno.readTextFile(path), pieces.join(""));
    await writeFileAtomic(path, pieces.join(""));
    equal(await Deno.readTextFile(path), pieces.join(""));
  }));

Deno.test("writeFileAtomic() writes a long iteration while it runs, and readers see the old content until it is done", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/file`;
    await Deno.writeTextFile(path, "old");
    const total = 64 * 1024 * 1024;
    const piece = "x".repeat(64 * 1024);
    let smallestLag = Infinity;
    async function* pieces() {
      for (let given = 0; given < total; given += piece.length) {
        if (given === total / 2) {
          equal(await Deno.readTextFile(path), "old");
          const [temporary] = namesIn(dir).filter((name) => name.endsWith(".tmp"));
          smallestLag = given - (await Deno.stat(`${dir}/${temporary}`)).size;
        }
        yield piece;
      }
    }
    await writeFileAtomic(path, pieces());
    equal((await Deno.stat(path)).size, total);
    ok(smallestLag <= 1024 * 1024);
  }));

Deno.test("a failing iteration leaves the old file, no temporary one, and its own error", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/file`;
    await Deno.writeTextFile(path, "old");
    const broken = new Error("the source broke");
    function* pieces() {
      yield "x".repeat(1_000_000);
      throw broken;
    }
    await rejects(writeFileAtomic(path, pieces()), (error) => error === broken);
    equal(await Deno.readTextFile(path), "old");
    deepEqual(namesIn(dir), ["file"]);
  }));

Deno.test("what cannot be written is a Failure that names the path, and the iteration is not begun", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/file`, "old");
    await Deno.mkdir(`${dir}/folder`);
    const pieces = (): Iterable<string> => ({
      [Symbol.iterator]() {
        throw new Error("read too early");
      },
    });
    await rejects(writeFileAtomic(`${dir}/folder`, pieces()), failure(`Cannot write "${dir}/folder": is a directory`));
    await rejects(
      writeFileAtomic(`${dir}/file/below`, pieces()),
      failure(`Cannot write "${dir}/file/below": not a directory`),
    );
    const long = `${dir}/${"n".repeat(300)}`;
    await rejects(writeFileAtomic(long, pieces()), failure(`Cannot write "${long}": file name too long`));
    deepEqual(namesIn(dir), ["file", "folder"]);
  }));

Deno.test("a name of the greatest length can be written", () =>
  inTempDir(async (dir) => {
    await writeFileAtomic(`${dir}/${"é".repeat(127)}`, "x");
    deepEqual(namesIn(dir), ["é".repeat(127)]);
  }));

Deno.test("a file that was there keeps its mode", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/file`;
    await Deno.writeTextFile(path, "x");
    await Deno.chmod(path, 0o640);
    await writeFileAtomic(path, "y");
    equal((await Deno.stat(path)).mode! & 0o777, 0o640);
  }));

Deno.test("a symbolic link is replaced and what it leads to is left alone", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/outside`, "outside");
    for (const target of ["outside", "missing", "."]) {
      await Deno.symlink(target, `${dir}/link`);
      await writeFileAtomic(`${dir}/link`, "mine");
      ok((await Deno.lstat(`${dir}/link`)).isFile);
      await Deno.remove(`${dir}/link`);
    }
    equal(await Deno.readTextFile(`${dir}/outside`), "outside");
    deepEqual(namesIn(dir), ["outside"]);
  }));

Deno.test("many writers at once leave one whole content and no temporary file", () =>
  inTempDir(async (dir) => {
    const contents = Array.from({ length: 20 }, (_, i) => String(i % 10).repeat(100_000));
    await Promise.all(contents.map((content) => writeFileAtomic(`${dir}/file`, content)));
    ok(contents.includes(await Deno.readTextFile(`${dir}/file`)));
    deepEqual(namesIn(dir), ["file"]);
  }));

Deno.test("removeTemporaries() takes away what unfinished writes have left, and nothing else", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/file`, "old");
    await Deno.writeTextFile(`${dir}/.other.1-01234567.tmp`, "of another process");
    let inTheMiddle: string[] = [];
    function* pieces() {
      yield "x".repeat(1_000_000);
      inTheMiddle = namesIn(dir);
      removeTemporaries();
    }
    await rejects(writeFileAtomic(`${dir}/file`, pieces()));
    equal(inTheMiddle.length, 3);
    deepEqual(namesIn(dir), [".other.1-01234567.tmp", "file"]);
    equal(await Deno.readTextFile(`${dir}/file`), "old");
  }));

Deno.test("removeAbandonedTemporaries() takes away old temporary files whose process has ended", () =>
  inTempDir(async (dir) => {
    const { pid, status } = new Deno.Command("true").spawn();
    await status;
    const old = [`.a.${pid}-01234567.tmp`, `.a b\n.traj.json.${pid}-89abcdef.tmp`];
    const kept = [`.a.${Deno.pid}-01234567.tmp`, `.a.${pid}-0123.tmp`, `a.${pid}-01234567.tmp`, "last_run.traj.json"];
    const now = Date.now() / 1000;
    for (const name of [...old, ...kept]) {
      await Deno.writeTextFile(`${dir}/${name}`, "");
      // Ours was touched after we started.
      if (!name.includes(`${Deno.pid}-`)) await Deno.utime(`${dir}/${name}`, now - 100, now - 100);
    }
    const recent = `.b.${pid}-01234567.tmp`;
    await Deno.writeTextFile(`${dir}/${recent}`, "");
    await removeAbandonedTemporaries(dir);
    deepEqual(namesIn(dir), [...kept, recent].sort());
    await removeAbandonedTemporaries(`${dir}/missing`);
  }));

Deno.test("devices are written directly and stay devices", async () => {
  await writeFileAtomic("/dev/null", ["x"]);
  ok((await Deno.lstat("/dev/null")).isCharDevice);
});

Deno.test("a pipe is written directly; without a reader that is a failure, not a wait", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/pipe`;
    ok((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
    await rejects(writeFileAtomic(path, "x"), failure(`Cannot write "${path}": nobody reads it`));
    const content = "x".repeat(1_000_000);
    // Opened for reading and writing, a pipe has a reader at once.
    using reader = await Deno.open(path, { read: true, write: true });
    const writing = writeFileAtomic(path, [content]);
    let read = "";
    const chunk = new Uint8Array(64 * 1024);
    while (read.length < content.length) {
      read += new TextDecoder().decode(chunk.subarray(0, await reader.read(chunk) ?? 0));
    }
    await writing;
    equal(read, content);
    ok((await Deno.lstat(path)).isFifo);
  }));

Deno.test("writeFileAtomic() writes bytes as they are", () =>
  inTempDir(async (dir) => {
    for (const bytes of [new Uint8Array(0), Uint8Array.from({ length: 300_000 }, (_, at) => at % 256)]) {
      await writeFileAtomic(`${dir}/file`, bytes);
      deepEqual(await Deno.readFile(`${dir}/file`), bytes);
    }
  }));

Deno.test("removeUnfinished() takes away what one process has left of one file", () =>
  inTempDir(async (dir) => {
    const name = "x".repeat(50);
    const left = [".a.min.123-0123abcd.tmp", `.${"x".repeat(40)}.123-0123abcd.tmp`];
    const others = [".a.min.1234-0123abcd.tmp", ".a.min.123-0123abc.tmp", ".b.123-0123abcd.tmp", "a.min", name];
    for (const file of [...left, ...others]) await Deno.writeTextFile(`${dir}/${file}`, "");
    await removeUnfinished(`${dir}/a.min`, { pid: 123 });
    await removeUnfinished(`${dir}/${name}`, { pid: 123 });
    await removeUnfinished(`${dir}/no/such`, { pid: 123 });
    deepEqual(namesIn(dir), others.sort());
  }));
