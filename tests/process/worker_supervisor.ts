/** A supervisor to be killed: starts the worker of its first argument (a spec as JSON), prints its handle and waits. */
import { startWorkerProcess } from "../../src/process/worker_process.ts";

const worker = await startWorkerProcess(JSON.parse(Deno.args[0]!));
const pause = Deno.args[1] === "pause";
if (pause) worker.pause();
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(worker.handle) + "\n"));
await worker.ended;
