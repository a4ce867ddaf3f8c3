/** A session without a coordinator, as a program: workers' streams go through their adapters into the log, which is served. */
import { join } from "node:path";
import { serveSession } from "../../src/commands/orchestrate/serve_session.ts";
import { SessionLog } from "../../src/commands/orchestrate/session_folder.ts";
import { endAllWorkers } from "../../src/process/worker_process.ts";
import { Redactor } from "../../src/safety/secrets.ts";
import { adapterOf } from "../../src/workers/adapter_table.ts";
import { startWorkerRun } from "../../src/workers/worker_run.ts";
import { answer, LAST_TEXT, type Order, readOrder } from "./order.ts";

const { folder, workers } = readOrder();
Deno.addSignalListener("SIGTERM", async () => {
  await endAllWorkers();
  Deno.exit();
});
const log = await SessionLog.open(folder, {
  redactor: new Redactor(["sk-ant-the-key-of-a-provider", "sk-proj-the-key-of-another", "gck_and-the-key-of-a-worker"]),
  now: Date.now,
  onFailure: (error) => {
    throw error;
  },
});
const server = await serveSession({
  options: { dashboard: true, host: "127.0.0.1", port: 0, token: undefined },
  folder,
  log,
  take: () => {},
  io: { now: Date.now, env: {} },
});
const startedMs = performance.now();
let running = workers.length;
await Promise.all(workers.map((worker, i) => start(worker, `${worker.agent}-${i}`)));
answer({ url: `${server!.url}/api/events/stream` });

async function start({ agent, paths }: Order["workers"][number], worker: string): Promise<void> {
  const own = await Deno.makeTempDir({ dir: folder });
  let isTold = false;
  const { ended } = await startWorkerRun({
    adapter: { ...adapterOf(agent)!, launch: () => ({ argv: ["cat", ...paths], env: {}, files: {} }) },
    launch: {
      program: ["cat"],
      prompt: "",
      workdir: own,
      home: own,
      tmp: own,
      includeDirectories: [],
      gatewayUrl: "http://127.0.0.1:1",
      key: "",
      model: undefined,
      readOnly: false,
      resume: undefined,
      costLimitUsd: undefined,
      timeLimitSeconds: undefined,
      extraArguments: [],
      adjustments: {},
    },
    env: { PATH: Deno.env.get("PATH") ?? "" },
    process: {
      stdoutPath: join(own, "stdout.jsonl"),
      stderrPath: join(own, "stderr.log"),
      exitPath: join(own, "exit"),
      sandbox: { mode: "off", writable: [], readable: [], protected: [], network: true, hideHome: undefined },
      limits: { cpuPercent: 50, memoryMb: 2048, timeSeconds: 3600 },
      backend: "process",
    },
    usedBefore: undefined,
    streamOffset: 0,
    toldUntil: 0,
    maxOutputBytes: 0,
  }, {
    now: Date.now,
    async onEvent(event, offset) {
      await log.publish({ type: "worker.event", data: { worker, offset, event } });
      if (event.payload.text !== LAST_TEXT) return;
      isTold = true;
      if (--running === 0) answer({ seconds: (performance.now() - startedMs) / 1000, logged: log.state.seq });
    },
  });
  // Or the benchmark would wait for what does not come.
  ended.then(() => isTold || Deno.exit(1));
}
