/** `gocore gateway` from its flags to its exit code: listens until a signal comes. */
import type { EventFact } from "../../events/event.ts";
import { encodeJsonLine } from "../../events/json_lines.ts";
import { exitCodeOf, Interrupt } from "../../failure.ts";
import { startGateway } from "../../gateway/gateway.ts";
import { type GatewayFlags, readGatewaySettings } from "../../gateway/read_settings.ts";
import type { GatewaySettings } from "../../gateway/settings.ts";
import { Redactor, secretsIn } from "../../safety/secrets.ts";
import { removeTemporaries } from "../../store/atomic_file.ts";
import type { Io } from "../../terminal/io.ts";
import { renderEvent } from "../../terminal/render_event.ts";
import { keepLoopbackDirect } from "../keep_loopback_direct.ts";
import { EventOutput } from "./event_output.ts";
import { greeting } from "./greeting.ts";
import { spentNotes, upstreamNotes } from "./start_notes.ts";

/** Throws a `Failure` when the gateway cannot start, and whatever else than a signal has ended it. */
export async function runGateway(flags: GatewayFlags & { readonly json?: boolean }, io: Io): Promise<number> {
  const { env, cwd, now, monotonicMs } = io;
  const settings = await readGatewaySettings({ env, cwd, flags });
  const output = new EventOutput(io, eventFormat(settings, { json: flags.json ?? false, io }));
  io.onHardExit(removeTemporaries);
  keepLoopbackDirect(env);
  const gateway = await startGateway(settings, { env, publish: output.publish, now, monotonicMs });
  try {
    for (const fact of [...upstreamNotes(settings), ...spentNotes(settings, gateway.ledger, now())]) {
      output.publish(fact);
    }
    io.stderr.write(greeting(gateway.url, Deno.stderr.isTerminal())).catch(() => {});
    await aborted(io.signal);
  } finally {
    await gateway.close();
    output.close();
  }
  const { reason } = io.signal;
  if (reason instanceof Interrupt) return exitCodeOf(reason);
  throw reason;
}

function eventFormat(settings: GatewaySettings, { json, io }: { json: boolean; io: Io }): (fact: EventFact) => string {
  const keys = [settings.token, ...settings.upstreams.map(({ apiKey }) => apiKey)];
  const redactor = new Redactor([...secretsIn(io.env), ...keys.filter((key) => key !== undefined)]);
  if (!json && Deno.stdout.isTerminal()) {
    const colour = (io.env.NO_COLOR ?? "") === "";
    return (fact) => renderEvent(redactor.redactDeep(fact), { colour });
  }
  return ({ type, data }) => {
    const timestamp = new Date(io.now()).toISOString();
    return encodeJsonLine({ type, data: redactor.redactDeep(data), timestamp });
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
