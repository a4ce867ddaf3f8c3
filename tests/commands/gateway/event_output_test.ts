import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { EventOutput } from "../../../src/commands/gateway/event_output.ts";
import type { EventFact } from "../../../src/events/event.ts";
import { OutputPipe } from "../../../src/terminal/io.ts";

const say = (content: string): EventFact => ({ type: "log", data: { level: "info", content } });
const format = ({ data }: EventFact) => `${(data as { content: string }).content}\n`;

/** A pipe whose reader takes nothing until it is told to. */
function heldPipe() {
  let text = "";
  const asked = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  const pipe = new OutputPipe("stdout", {
    async write(bytes) {
      asked.resolve();
      await open.promise;
      text += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  });
  return {
    pipe,
    /** Resolves when the first event is on its way. */
    asked: asked.promise,
    /** All that has come when nothing comes any more. */
    async readAll(): Promise<string> {
      open.resolve();
      for (let before = -1; before < text.length;) {
        before = text.length;
        await pipe.flush(10_000);
        await new Promise((resolve) => setTimeout(resolve));
      }
      return text;
    },
  };
}

function collectingPipe() {
  let text = "";
  const pipe = new OutputPipe("stderr", {
    write: (bytes) => {
      text += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  });
  return { pipe, read: async () => (await pipe.flush(10_000), text) };
}

Deno.test("EventOutput shows every event in order to a reader that is late", async () => {
  const stdout = heldPipe();
  const stderr = collectingPipe();
  const output = new EventOutput({ stdout: stdout.pipe, stderr: stderr.pipe }, format);
  for (let i = 0; i < 1000; i++) output.publish(say(`event ${i}`));
  await stdout.readAll();
  output.publish(say("one more"));
  deepEqual((await stdout.readAll()).split("\n"), [
    ...Array.from({ length: 1000 }, (_, i) => `event ${i}`),
    "one more",
    "",
  ]);
  equal(await stderr.read(), "");
});

/** Events get their words in the turn after that in which they were published. */
const nextTurn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("EventOutput keeps a bounded amount for a stuck reader, and tells how many events are missing where", async () => {
  const stdout = heldPipe();
  const output = new EventOutput({ stdout: stdout.pipe, stderr: collectingPipe().pipe }, format);
  const long = "x".repeat(1024 * 1024 - 1);
  output.publish(say("first"));
  await stdout.asked;
  for (let i = 0; i < 104; i++) {
    output.publish(say(long));
    await nextTurn();
  }
  await stdout.readAll();
  output.publish(say("after"));
  const lines = (await stdout.readAll()).trimEnd().split("\n").map((line) => line.startsWith("xxx") ? "x" : line);
  deepEqual(lines, [
    "first",
    ...Array<string>(4).fill("x"),
    "100 events are left out here, because stdout was not read fast enough; the ledger has every call",
    "after",
  ]);
});

Deno.test("EventOutput.close() hands over what waits, with what is missing", async () => {
  const stdout = heldPipe();
  const output = new EventOutput({ stdout: stdout.pipe, stderr: collectingPipe().pipe }, format);
  output.publish(say("first"));
  await stdout.asked;
  output.publish(say("x".repeat(4 * 1024 * 1024)));
  await nextTurn();
  output.publish(say("left out"));
  output.close();
  const lines = (await stdout.readAll()).trimEnd().split("\n");
  deepEqual(lines.map((line) => line.slice(0, 16)), ["first", "xxxxxxxxxxxxxxxx", "1 event is left "]);
});

Deno.test("EventOutput tells once that nobody reads any more, and goes on without", async () => {
  let writes = 0;
  const stdout = new OutputPipe("stdout", {
    write() {
      writes += 1;
      return Promise.reject(new Deno.errors.BrokenPipe("gone"));
    },
  });
  const stderr = collectingPipe();
  let formatted = 0;
  const output = new EventOutput({ stdout, stderr: stderr.pipe }, (fact) => (formatted += 1, format(fact)));
  output.publish(say("first"));
  output.publish(say("second"));
  while (stdout.failure === undefined) await new Promise((resolve) => setTimeout(resolve));
  await new Promise((resolve) => setTimeout(resolve));
  for (let i = 0; i < 1000; i++) output.publish(say("dropped"));
  output.close();
  equal(await stderr.read(), "Note: Nobody reads stdout any more; the gateway goes on, and shows no more events\n");
  deepEqual([writes, formatted], [1, 2]);
});

Deno.test("EventOutput tells why stdout cannot be written to", async () => {
  const stdout = new OutputPipe("stdout", { write: () => Promise.reject(new Error("No space left \x1b[2J")) });
  const stderr = collectingPipe();
  const output = new EventOutput({ stdout, stderr: stderr.pipe }, format);
  output.publish(say("first"));
  while (stdout.failure === undefined) await new Promise((resolve) => setTimeout(resolve));
  match(await stderr.read(), /^Note: Cannot write to stdout: No space left .*the gateway goes on/);
  ok(!(await stderr.read()).includes("\x1b"));
});
