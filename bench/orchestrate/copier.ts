/** The least that could be done, as a program: lines of workers' pipes are copied into a log and to those who watch. */
import { join } from "node:path";
import { linesOf } from "../child.ts";
import { answer, LAST_TEXT, readOrder } from "./order.ts";

const { folder, workers } = readOrder();
const encoder = new TextEncoder();
const log = Deno.openSync(join(folder, "log.jsonl"), { append: true, create: true });
const readers = new Set<ReadableStreamDefaultController<Uint8Array>>();
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
  let own: ReadableStreamDefaultController<Uint8Array>;
  return new Response(
    new ReadableStream<Uint8Array>({
      start(controller) {
        readers.add(own = controller);
        controller.enqueue(encoder.encode("event: snapshot\ndata: {}\n\n"));
      },
      cancel: () => void readers.delete(own),
    }),
  );
});
const startedMs = performance.now();
let running = workers.length;
let logged = 0;
const children = workers.map(({ paths }) =>
  new Deno.Command("cat", { args: [...paths], stdin: "null", stdout: "piped" }).spawn()
);
Deno.addSignalListener("SIGTERM", () => {
  for (const child of children) child.kill();
  Deno.exit();
});
for (const child of children) copy(child);
answer({ url: `http://127.0.0.1:${server.addr.port}` });

async function copy({ stdout }: Deno.ChildProcess): Promise<void> {
  let isTold = false;
  for await (const line of linesOf(stdout)) {
    const bytes = encoder.encode(`${line}\n`);
    for (let at = 0; at < bytes.length;) at += log.writeSync(bytes.subarray(at));
    logged++;
    if (readers.size > 0) {
      const event = encoder.encode(`data: ${line}\n\n`);
      for (const reader of readers) reader.enqueue(event);
    }
    if (!line.includes(LAST_TEXT)) continue;
    isTold = true;
    if (--running === 0) answer({ seconds: (performance.now() - startedMs) / 1000, logged });
  }
  // Or the benchmark would wait for what does not come.
  if (!isTold) Deno.exit(1);
}
