import { deepStrictEqual as deepEqual } from "node:assert/strict";
import fc from "fast-check";
import { StartedReader, WorkdirReader } from "../../../../src/commands/serve/entries/mini_entry.ts";
import { encodeJsonLine } from "../../../../src/events/json_lines.ts";
import { entry as entrySchema } from "../../../../src/http/schemas.ts";
import { inTempDir } from "../../../support/temp_dir.ts";
import { writeTrajectory } from "../run_files.ts";

const NOW_MS = Date.UTC(2026, 5, 1);

Deno.test("a mini run's end is told in our words, whoever wrote its trajectory", async () => {
  await inTempDir(async (dir) => {
    const of = async (exitStatus: string, result: string) => {
      const path = `${dir}/m1.traj.json`;
      await writeTrajectory(path, { runId: "m1", exitStatus, result }, dir);
      const { entry } = await new WorkdirReader({ runId: "m1", workdir: dir, trajectory: path, log: undefined }).read(
        NOW_MS,
      );
      return [entrySchema.parse(entry).status, entry.attention.map(({ kind }) => kind)];
    };
    deepEqual(await of("Submitted", "done"), ["success", []]);
    deepEqual(await of("LimitsExceeded", "The cost limit of 1 USD is reached"), ["cost_limit", ["failed"]]);
    deepEqual(await of("LimitsExceeded", "The limit of 3 steps is reached"), ["step_limit", ["failed"]]);
    deepEqual(await of("TimeExceeded", "late"), ["time_limit", ["failed"]]);
    deepEqual(await of("RepeatedFormatError", ""), ["format_error", ["failed"]]);
    deepEqual(await of("Interrupted", ""), ["interrupted", []]);
    deepEqual(await of("Killed", ""), ["cut_off", ["cut_off"]]);
    deepEqual(await of("RuntimeError", "no such model"), ["error", ["failed"]]);
  });
});

Deno.test("nothing that a stream, a log or a trajectory says breaks an entry", async () => {
  await inTempDir(async (dir) => {
    const folder = `${dir}/mini-1`;
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/process.json`, JSON.stringify({ pid: 2 ** 22 + 1, start_ticks: 1 }));
    const names =
      ("type data kind info message end owner pid role content extra timestamp cost step cost_so_far calls " +
        "known_total unpriced_calls input_tokens output_tokens status result run_id task workdir response usage __proto__ " +
        "exit_status model_stats instance_cost api_calls").split(" ");
    const words = [
      "start",
      "step",
      "cost",
      "finish",
      "run",
      "message",
      "end",
      "assistant",
      "exit",
      "2026-01-01T00:00:00Z",
    ];
    const leaf = fc.oneof(
      fc.constantFrom(...words),
      fc.double(),
      fc.integer({ min: -3, max: 9 }),
      fc.maxSafeInteger(),
      fc.constant(null),
      fc.string(),
    );
    const members = (value: fc.Arbitrary<unknown>) => fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 9 });
    const word = fc.constantFrom(...words);
    const message = fc.record({ role: word, content: leaf, extra: members(fc.oneof(leaf, members(members(leaf)))) });
    const value = fc.oneof(
      leaf,
      message,
      members(members(leaf)),
      fc.record({ type: word, data: members(leaf), timestamp: leaf }),
      fc.record({ kind: word, info: members(members(leaf)), message, end: members(leaf), owner: members(leaf) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(value, { maxLength: 5 }), async (values) => {
        const lines = values.map((value) => encodeJsonLine(value)).join("");
        await Deno.writeTextFile(`${folder}/stream.jsonl`, lines);
        await Deno.writeTextFile(`${dir}/m1.jsonl`, lines);
        await Deno.writeTextFile(`${dir}/m1.traj.json`, JSON.stringify({ info: values[0], messages: values }));
        const place = { runId: "m1", workdir: dir };
        entrySchema.parse((await new StartedReader(folder).read(NOW_MS))!.entry);
        entrySchema.parse(
          (await new WorkdirReader({ ...place, trajectory: undefined, log: `${dir}/m1.jsonl` }).read(NOW_MS)).entry,
        );
        entrySchema.parse(
          (await new WorkdirReader({ ...place, trajectory: `${dir}/m1.traj.json`, log: undefined }).read(NOW_MS)).entry,
        );
      }),
      { numRuns: 1000 },
    );
  });
});
