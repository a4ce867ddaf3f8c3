/** `gocore serve` from its flags to its exit code: shows and starts runs until a signal comes. */
import { EXIT_SUCCESS, Interrupt, messageOf } from "../../failure.ts";
import type { Starter } from "../../http/ports.ts";
import type { HistoryPage, RunKind } from "../../http/schemas.ts";
import { createApp } from "../../http/app.ts";
import { showsPeers } from "../../process/connection_peer.ts";
import { escapeTerminal } from "../../safety/escape_terminal.ts";
import { Redactor, secretsIn } from "../../safety/secrets.ts";
import { removeTemporaries } from "../../store/atomic_file.ts";
import type { Io } from "../../terminal/io.ts";
import { keepLoopbackDirect } from "../keep_loopback_direct.ts";
import { Listener } from "../listener.ts";
import { type DiskLibrary, openLibrary } from "./library.ts";
import { createMetrics } from "./metrics.ts";
import { createNotifier } from "./notify/notifier.ts";
import { refuseAgents } from "./refuse_agents.ts";
import { createSchedule } from "./schedule/schedule.ts";
import { readServeOptions, type ServeFlags, type ServeOptions } from "./serve_options.ts";
import { createStarter } from "./starter.ts";

const KINDS: readonly RunKind[] = ["mini", "session", "manager"];
/** Different ones, of what clients can bring about. */
const MOST_NOTES = 200;
const PROGRESS_MS = 2000;

/** Throws a `Failure` when the server cannot start, and whatever else than a signal has ended it. */
export async function runServe(flags: ServeFlags, io: Io): Promise<number> {
  const { env, now, monotonicMs, signal } = io;
  const options = await readServeOptions(flags, io);
  const { runsRoot, workspace, miniWorkdirs, token } = options;
  keepLoopbackDirect(env);
  io.onHardExit(removeTemporaries);
  const note = noteWriter(io);
  const ready = Promise.withResolvers<(request: Request, client: Deno.NetAddr) => Response | Promise<Response>>();
  // Before anything is opened: a port that is taken is told at once.
  const listener = new Listener(options.host, {
    answer: async (request, client) => (await ready.promise)(request, client),
    onFailure: (error) => note.once(`No connection is taken for the moment: ${messageOf(error)}`),
  });
  listener.listen(options.port, { what: "the runs", orAnyPort: false });
  const canTell = showsPeers(listener.address);
  const ending = new AbortController();
  try {
    // Closed first: its streams get their last words.
    await using library = await openLibrary({
      roots: { runsRoot, workspace, miniWorkdirs },
      canStart: KINDS,
      env,
      now,
      rebuilds: options.rebuildsIndex,
      onProblem: note.once,
      onProgress: progressWriter(io),
    });
    const starter = shownStarter(createStarter({ ...options, workdir: miniWorkdirs[0] }, io), library);
    const shared = { library, runsRoot, env, now, tell: note.each };
    await using schedule = await createSchedule({ ...shared, ...options.schedule, starter, signal: ending.signal });
    await using notifier = options.notify.places.length === 0 ? undefined : createNotifier({
      ...shared,
      settings: options.notify,
      dashboardUrl: linkOf(listener.url),
    });
    const figures = { schedule: schedule.figures, notifier: notifier?.figures };
    using metrics = await createMetrics({ library, ...figures, monotonicMs });
    const app = createApp({
      library,
      starter,
      schedule,
      metrics: metrics.render,
      measure: metrics.measure,
      token,
      refusalOf(client, what) {
        const refusal = canTell ? refuseAgents(client, { listening: listener.address, token }) : undefined;
        if (refusal !== undefined) note.once(`${refusal.who} tried to ${what}, and was refused`);
        return refusal?.reason;
      },
      now,
      ending: ending.signal,
      onError: (error) => note.once(`A request failed: ${messageOf(error)}`),
    });
    ready.resolve((request, client) => app.fetch(request, { client }));
    await tell(options, { url: listener.url, io });
    await aborted(signal);
    ending.abort();
  } finally {
    await listener.close({ isIdle: true });
  }
  if (signal.reason instanceof Interrupt) return EXIT_SUCCESS;
  throw signal.reason;
}

/** Answers when the library has what was started: whoever asks for it next finds it, and so do lists. */
function shownStarter(starter: Starter, library: Pick<DiskLibrary, "run" | "session" | "mini">): Starter {
  return {
    async run(request) {
      const answer = await starter.run(request);
      await library.run(answer.run_id);
      return answer;
    },
    async orchestration(request) {
      const answer = await starter.orchestration(request);
      await library.session(answer.session_id);
      return answer;
    },
    async mini(request) {
      const answer = await starter.mini(request);
      await library.mini(answer.run_id);
      return answer;
    },
  };
}

/** Sentences for whoever runs the server, without secrets. */
function noteWriter({ env, stderr }: Pick<Io, "env" | "stderr">) {
  const redactor = new Redactor(secretsIn(env));
  const told = new Set<string>();
  const each = (text: string): void => {
    stderr.write(escapeTerminal(`${redactor.redact(text)}\n`)).catch(() => {});
  };
  /** What clients bring about fills no disk. */
  const once = (text: string): void => {
    if (told.has(text) || told.size >= MOST_NOTES) return;
    told.add(text);
    each(text);
  };
  return { each, once };
}

/** How far the first reading of the runs is, where that takes longer. */
function progressWriter({ stderr, monotonicMs }: Io): (progress: HistoryPage["indexing"]) => void {
  let lastMs = monotonicMs();
  let isTold = false;
  return (progress) => {
    if (progress !== null && monotonicMs() - lastMs < PROGRESS_MS || progress === null && !isTold) return;
    lastMs = monotonicMs();
    isTold = true;
    const text = progress === null ? "All runs are read" : `${progress.done} of ${progress.total} runs are read`;
    stderr.write(`${text}\n`).catch(() => {});
  };
}

/** For a person on stderr, for a program one line of JSON on stdout. */
async function tell(options: ServeOptions, { url, io }: { readonly url: string; readonly io: Io }): Promise<void> {
  const { runsRoot, workspace, miniWorkdirs, token, json } = options;
  if (json) {
    const ready = {
      url,
      pid: Deno.pid,
      runs_root: runsRoot,
      workspace,
      mini_workdirs: miniWorkdirs,
      needs_token: token !== undefined,
    };
    return await io.stdout.write(`${JSON.stringify(ready)}\n`);
  }
  const link = linkOf(url);
  // What is no terminal may be a log, where a token has no business.
  const shown = token === undefined
    ? link
    : `${link}?token=${Deno.stderr.isTerminal() ? encodeURIComponent(token) : "$GOCORE_SERVE_TOKEN"}`;
  await io.stderr.write(escapeTerminal(
    `gocore serve listens on ${url}\n` +
      `Manager runs: ${runsRoot}\n` +
      `Sessions: ${workspace}\n` +
      `Mini runs: ${miniWorkdirs.join(", ")}\n` +
      `Open ${shown}\n`,
  ));
}

/** An address that stands for all of the machine's leads a browser nowhere. */
function linkOf(url: string): string {
  return `${url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")}/`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
