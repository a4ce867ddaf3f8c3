import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import * as fc from "fast-check";
import { candidateOf, decodeText, encodeText, readSubject } from "../../../src/commands/minimize/subject.ts";
import { Failure } from "../../../src/failure.ts";
import { inTempDir } from "../../support/temp_dir.ts";

Deno.test("any bytes come back from decodeText() and encodeText()", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
    const { text, encoding } = decodeText(bytes);
    deepEqual(encodeText(text, encoding), new Uint8Array(bytes));
  }));
  for (const text of ["", "\ufeffbom", "a\r\nb\0", "ü€😀"]) {
    deepEqual(decodeText(new TextEncoder().encode(text)), { text, encoding: "utf-8" });
  }
  deepEqual(decodeText(Uint8Array.of(0x80, 0xff)), { text: "\x80\xff", encoding: "latin-1" });
});

Deno.test("readSubject() reads files, variables and arguments, and candidateOf() gives them back", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/run me.sh`, "echo\n", { mode: 0o755 });
    await Deno.chmod(`${dir}/run me.sh`, 0o755);
    await Deno.writeFile(`${dir}/data.bin`, Uint8Array.of(1, 0xff), { mode: 0o640 });
    await Deno.chmod(`${dir}/data.bin`, 0o640);
    const io = { cwd: dir, env: { PATH: "/bin", KEY: "secret=1", _: "x" } };
    const also = ["data.bin", "arg:-x", "env:A=b=c", "env:KEY", "arg:", "env:KEY=mine"];
    const subject = await readSubject("run me.sh", also, io);
    deepEqual(subject, {
      parts: [
        { kind: "text", name: "run me.sh", text: "echo\n" },
        { kind: "text", name: "data.bin", text: "\x01\xff" },
        { kind: "list", name: "environment", elements: ["A=b=c", "KEY=mine"] },
        { kind: "list", name: "arguments", elements: ["-x", ""] },
      ],
      files: [
        { path: "run me.sh", name: "run me.sh", encoding: "utf-8", mode: 0o755 },
        { path: "data.bin", name: "data.bin", encoding: "latin-1", mode: 0o640 },
      ],
      hasArguments: true,
      variables: new Set(["A", "KEY"]),
      inherited: new Set(),
    });
    deepEqual(candidateOf(subject.parts, subject), {
      files: [
        { name: "run me.sh", mode: 0o755, bytes: new TextEncoder().encode("echo\n") },
        { name: "data.bin", mode: 0o640, bytes: Uint8Array.of(1, 0xff) },
      ],
      variables: [["A", "b=c"], ["KEY", "mine"]],
      arguments: ["-x", ""],
    });
    const all = await readSubject("data.bin", ["env"], io);
    deepEqual(all.parts[1], { kind: "list", name: "environment", elements: ["KEY=secret=1", "PATH=/bin"] });
    deepEqual(all.inherited, new Set(["KEY", "PATH"]));
  }));

Deno.test("readSubject() says what it cannot take", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/sub`);
    await Deno.writeTextFile(`${dir}/a.c`, "");
    await Deno.writeTextFile(`${dir}/sub/a.c`, "");
    const message = async (file: string, ...also: string[]) => {
      let found = "";
      await rejects(readSubject(file, also, { cwd: dir, env: {} }), (error) => {
        found = error instanceof Failure && error.kind === "usage" && error.hints.length > 0 ? error.message : "?";
        return true;
      });
      return found;
    };
    equal(await message("-"), "Cannot minimize what comes on stdin: the result has to stand beside a file");
    equal(await message("sub"), 'Cannot read "sub": it is a folder');
    equal(await message("/dev/null"), 'Cannot read "/dev/null": it is no regular file');
    equal(await message("none.c"), 'Cannot read "none.c": no such file or directory');
    equal(
      await message("a.c", "sub/a.c"),
      'Cannot put two files of the name "a.c" into one folder, as the oracle gets them',
    );
    equal(await message("a.c", "env:NONE"), 'Cannot use "--also env:NONE": the environment has no such variable');
    equal(await message("a.c", "env:=secret"), 'Cannot use "--also env:": it names no variable');
  }));
