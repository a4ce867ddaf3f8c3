import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import * as fc from "fast-check";
import { Failure } from "../../src/failure.ts";
import { OracleJournal } from "../../src/store/oracle_journal.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

const HEAD = '{"journal":"gocore-oracle","version":1,"identity":"task"}\n';

Deno.test("an OracleJournal has each answer and note on disk when put() and note() return", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/answers.jsonl`;
    const journal = await OracleJournal.open(path, "task");
    equal(await Deno.readTextFile(path), HEAD);
    journal.put("a", true);
    journal.put("b", false);
    journal.put("a", true);
    journal.note("start", { runs: 3 });
    equal(
      await Deno.readTextFile(path),
      `${HEAD}{"key":"a","yes":true}\n{"key":"b","yes":false}\n{"note":"start","value":{"runs":3}}\n`,
    );
    deepEqual([journal.get("a"), journal.get("b"), journal.get("c"), journal.noted("start"), journal.noted("end")], [
      true,
      false,
      undefined,
      { runs: 3 },
      undefined,
    ]);
    await journal.close();
  }));

Deno.test("an OracleJournal goes on from any byte at which its writer died", () =>
  inTempDir(async (dir) => {
    const whole = `${HEAD}{"key":"a","yes":true}\n{"note":"n","value":[1]}\n{"key":"ü","yes":false}\n`;
    const bytes = new TextEncoder().encode(whole);
    for (let length = HEAD.length; length <= bytes.length; length++) {
      const path = `${dir}/${length}`;
      await Deno.writeFile(path, bytes.subarray(0, length));
      const kept = new TextDecoder().decode(bytes.subarray(0, length)).split("\n").slice(1, -1);
      const journal = await OracleJournal.open(path, "task");
      deepEqual([journal.get("a"), journal.noted("n"), journal.get("ü"), journal.known, journal.putAside], [
        kept.length > 0 ? true : undefined,
        kept.length > 1 ? [1] : undefined,
        kept.length > 2 ? false : undefined,
        kept.filter((line) => line.includes("key")).length,
        undefined,
      ]);
      journal.put("later", true);
      await journal.close();
      const again = await OracleJournal.open(path, "task");
      deepEqual([again.get("later"), again.known], [true, journal.known + 1]);
      await again.close();
    }
  }));

Deno.test("an OracleJournal reads past lines that are not its own", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/answers.jsonl`;
    await Deno.writeTextFile(path, `${HEAD}garbage\n{"key":1,"yes":true}\n{"key":"__proto__","yes":true}\n\n[]\n`);
    const journal = await OracleJournal.open(path, "task");
    deepEqual([journal.known, journal.get("__proto__"), journal.get("constructor")], [1, true, undefined]);
    await journal.close();
  }));

Deno.test("an OracleJournal puts the answers of another task aside", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/answers.jsonl`;
    for (const [name, text] of [["other", HEAD.replace("task", "other")], ["none", "not a journal\n"], ["empty", ""]]) {
      await Deno.writeTextFile(path, text!);
      const journal = await OracleJournal.open(path, "task");
      deepEqual([journal.known, journal.putAside], [0, `${path}.old`], name!);
      await journal.close();
      equal(await Deno.readTextFile(`${path}.old`), text!);
      equal(await Deno.readTextFile(path), HEAD);
    }
    deepEqual(namesIn(dir), ["answers.jsonl", "answers.jsonl.old"]);
  }));

Deno.test("an OracleJournal does not write through a link, nor where it may not", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/precious`, HEAD);
    await Deno.symlink(`${dir}/precious`, `${dir}/link`);
    for (const path of [`${dir}/link`, dir, `${dir}/precious/below`]) {
      await rejects(
        OracleJournal.open(path, "task"),
        (error) => error instanceof Failure && error.kind === "environment" && error.message.includes(`"${path}"`),
      );
    }
    equal(await Deno.readTextFile(`${dir}/precious`), HEAD);
  }));

Deno.test("an OracleJournal gives back what was put, whatever the keys and notes are", () =>
  inTempDir(async (dir) => {
    let files = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.boolean())),
        fc.jsonValue(),
        async (answers, note) => {
          const path = `${dir}/${++files}`;
          const first = await OracleJournal.open(path, "task");
          for (const [key, yes] of answers) first.put(key, yes);
          first.note("x", note);
          await first.close();
          const second = await OracleJournal.open(path, "task");
          for (const [key] of answers) equal(second.get(key), first.get(key));
          deepEqual(second.noted("x"), JSON.parse(JSON.stringify(note)));
          await second.close();
        },
      ),
      { numRuns: 50 },
    );
  }));
