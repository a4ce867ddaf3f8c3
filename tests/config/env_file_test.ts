import { deepStrictEqual as deepEqual, match, rejects } from "node:assert/strict";
import { loadEnvFile, mergeEnv } from "../../src/config/env_file.ts";
import { Failure } from "../../src/failure.ts";
import { Project } from "./project.ts";

Deno.test("loadEnvFile() reads what people write in .env files", async () => {
  await using project = await Project.create();
  const path = await project.file(
    ".env",
    `\ufeffFIRST=1\r\nexport KEY="sk-a b"\r\n# no\r\n\r\nEMPTY=\r\nSINGLE='a#b $HOME'\r\nTAIL=x # y\nLINES="a\\nb"\nnot a line\n`,
  );
  deepEqual({ ...await loadEnvFile(path) }, {
    FIRST: "1",
    KEY: "sk-a b",
    EMPTY: "",
    SINGLE: "a#b $HOME",
    TAIL: "x",
    LINES: "a\nb",
  });
});

Deno.test("a missing .env file is an empty one; one that cannot be read is a failure", async () => {
  await using project = await Project.create();
  deepEqual(await loadEnvFile(`${project.workdir}/none`), {});
  deepEqual(await loadEnvFile(`${await project.file("file", "")}/.env`), {});
  const latin1 = `${project.workdir}/latin1`;
  await Deno.writeFile(latin1, new Uint8Array([0x41, 0x3d, 0xe9, 0x0a]));
  const endless = "/dev/zero";
  for (const path of [project.workdir, latin1, endless]) {
    await rejects(loadEnvFile(path), (error: unknown) => {
      match(String(error), /need a text file in UTF-8, found/);
      return error instanceof Failure && error.kind === "usage";
    });
  }
});

Deno.test("a .env file with a NUL, which no variable can hold, is a failure that names the line", async () => {
  await using project = await Project.create();
  const path = await project.file(".env", "A=1\r\nB=a\0b\n");
  await rejects(loadEnvFile(path), /found a NUL in line 2$/);
});

Deno.test("mergeEnv() never overrides the environment, not even an empty value", () => {
  deepEqual(mergeEnv({ A: "env", B: "" }, { A: "file", B: "file", C: "file" }), { A: "env", B: "", C: "file" });
});
