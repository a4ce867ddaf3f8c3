/** Serves a session over HTTP while it goes on. */
import { join } from "node:path";
import { Failure, messageOf } from "../../failure.ts";
import { isLoopback, withoutBrackets } from "../../gateway/loopback.ts";
import type { LogFile } from "../../http/event_file.ts";
import type { Control } from "../../orchestrate/ports.ts";
import { showsPeers } from "../../process/connection_peer.ts";
import type { Io } from "../../terminal/io.ts";
import { LAST_WORDS_MS, Listener, withDeadline } from "../listener.ts";
import { refuseControl } from "./refuse_control.ts";
import type { OrchestrateOptions } from "./options.ts";
import { LOG_NAME, type SessionLog } from "./session_folder.ts";

export interface SessionServer {
  readonly url: string;
  /** Resolves when no connection is left; those who read get what is in the log first. */
  close(): Promise<void>;
}

/** The seed's. */
const DEFAULT_PORT = 8000;

/**
 * Undefined when no dashboard is wanted. Throws a `Failure` when the address cannot be had, or other machines could come
 * in without a token.
 */
export async function serveSession({ options, folder, log, take, io }: {
  readonly options: Pick<OrchestrateOptions, "dashboard" | "host" | "port" | "token">;
  readonly folder: string;
  readonly log: Pick<SessionLog, "state" | "bus" | "publish">;
  take(control: Control): void;
  readonly io: Pick<Io, "now" | "env">;
}): Promise<SessionServer | undefined> {
  const { dashboard, host, token } = options;
  if (!dashboard) return undefined;
  if (token === undefined && !isLoopback(host)) {
    throw new Failure("usage", `Cannot serve the session on ${host}: other machines need a token, found none`, {
      hints: ["Set a token: `export GOCORE_ORCHESTRATE_TOKEN=$(openssl rand -hex 24)`", "Or leave --host out"],
    });
  }
  const tell = (level: "warning" | "error", content: string) => log.publish({ type: "log", data: { level, content } });
  const [{ createApp }, { EventStreams }, { openOneSession }] = await Promise.all([
    import("../../http/app.ts"),
    import("../../http/event_streams.ts"),
    import("../serve/one_session.ts"),
  ]);
  const file = openLogFile(join(folder, LOG_NAME));
  const streams = new EventStreams(file);
  const library = await openOneSession({ folder, log, streams, take, env: io.env, now: io.now });
  const ending = new AbortController();
  const told = new Set<string>();
  let isShown = true;
  const app = createApp({
    library,
    starter: undefined,
    schedule: undefined,
    token,
    refusalOf(client, command) {
      if (!isShown) return undefined;
      const refusal = refuseControl(client, { listening: listener.address, token, state: log.state });
      if (refusal === undefined) return undefined;
      const content = `${refusal.who} tried to control the session over HTTP (${command}), and was refused`;
      // Once: an agent could fill the log otherwise.
      if (!told.has(content)) tell("warning", content);
      told.add(content);
      return refusal.reason;
    },
    now: io.now,
    ending: ending.signal,
    onError: (error) => void tell("error", `The dashboard failed: ${messageOf(error)}`),
  });
  const listener = new Listener(withoutBrackets(host), {
    answer: (request, client) => app.fetch(request, { client }),
    onFailure: (error) => void tell("error", `The dashboard takes no connection for the moment: ${messageOf(error)}`),
  });
  try {
    const wanted = options.port ?? DEFAULT_PORT;
    listener.listen(wanted, { what: "the session", orAnyPort: options.port === undefined });
    isShown = showsPeers(listener.address);
    if (wanted !== 0 && listener.address.port !== wanted) {
      await tell("warning", `Port ${wanted} is taken: the session is shown at ${listener.url}`);
    }
  } catch (error) {
    await library[Symbol.asyncDispose]();
    await streams.end();
    file.close();
    throw error;
  }
  const unsubscribe = log.bus.subscribe(() => streams.notice());
  return {
    url: listener.url,
    async close() {
      unsubscribe();
      ending.abort();
      await library[Symbol.asyncDispose]();
      const isIdle = await withDeadline(streams.end(), LAST_WORDS_MS);
      await listener.close({ isIdle });
      file.close();
    },
  };
}

/** Synchronous: reads of several readers do not mix, and nobody waits for what is there already. */
function openLogFile(path: string): LogFile & { close(): void } {
  const file = Deno.openSync(path);
  return {
    read(offset, into) {
      file.seekSync(offset, Deno.SeekMode.Start);
      let length = 0;
      while (length < into.length) {
        const more = file.readSync(into.subarray(length));
        if (more === null) break;
        length += more;
      }
      return length;
    },
    size: () => file.statSync().size,
    close: () => file.close(),
  };
}
