/** A run of hundreds of steps is as complete as a short one. */
import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { Sandbox, submit } from "../support/gocore.ts";

const STEPS = 300;

Deno.test(`${STEPS} steps are all told, counted, paid and kept`, async () => {
  await using box = await Sandbox.create();
  const replies = [
    ...Array.from({ length: STEPS }, (_, n) => ({
      content: `Thought ${n + 1}`,
      commands: [`echo step ${n + 1}`],
      cost: 0.001,
      usage: { input: 100 + n, output: 10, cache_read: 50, cache_write: 5 },
    })),
    submit(),
  ];
  const run = await box.mini([...await box.script(replies), "-t", "x", "--cost-limit", "0", "--step-limit", "0"]);
  equal(run.finish.status, "success");
  equal(run.finish.steps, STEPS + 1);
  const numbers = Array.from({ length: STEPS }, (_, n) => n + 1);
  deepEqual(run.steps.slice(0, -1).map(({ output }) => output), numbers.map((n) => `step ${n}\n`));
  deepEqual(run.thoughts.map(({ content }) => content), numbers.map((n) => `Thought ${n}`));
  equal(run.cost.total?.toFixed(3), (STEPS * 0.001).toFixed(3));
  deepEqual(
    [run.cost.input_tokens, run.cost.output_tokens, run.cost.cache_read_tokens, run.cost.cache_write_tokens],
    [STEPS * 100 + STEPS * (STEPS - 1) / 2, STEPS * 10, STEPS * 50, STEPS * 5],
  );
  const { messages } = run.trajectory;
  equal(messages.length, 2 + 2 * (STEPS + 1) + 1);
  deepEqual(
    messages.filter(({ role }: { role: string }) => role === "tool").slice(0, STEPS)
      .map(({ extra }: { extra: { raw_output: string } }) => extra.raw_output),
    numbers.map((n) => `step ${n}\n`),
  );
});
