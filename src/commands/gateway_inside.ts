/** The gateway that a run has for its workers: where a former process of the run had it, with none of its stray keys. */
import type { EventFact } from "../events/event.ts";
import { messageOf } from "../failure.ts";
import { type Gateway, startGateway } from "../gateway/gateway.ts";
import type { GatewaySettings } from "../gateway/settings.ts";
import type { Io } from "../terminal/io.ts";

/** On the address of a former process, if it can be had: workers that are still running ask there. */
export async function startGatewayInside(settings: GatewaySettings, { formerUrl, publish, io }: {
  readonly formerUrl: string | null;
  publish(fact: EventFact): Promise<void>;
  readonly io: Pick<Io, "env" | "now" | "monotonicMs">;
}): Promise<Gateway> {
  const options = {
    env: io.env,
    publish: (fact: EventFact) => void publish(fact),
    now: io.now,
    monotonicMs: io.monotonicMs,
  };
  const port = Number(new URL(formerUrl ?? "http://127.0.0.1:0").port);
  if (port > 0) {
    try {
      return await startGateway({ ...settings, port }, options);
    } catch (error) {
      const content = `The gateway has another address than before: ${messageOf(error)}`;
      await publish({ type: "log", data: { level: "warning", content } });
    }
  }
  return await startGateway(settings, options);
}

/** Of workers that a former process had: only those that may still be running can spend. */
export function endStrayKeys({ ledger }: Pick<Gateway, "ledger">, { run, workers }: {
  readonly run: string;
  readonly workers: Iterable<{
    readonly exit: unknown;
    readonly launch: { readonly key_id: string | null } | null;
  }>;
}): void {
  const kept = new Set([...workers].filter(({ exit }) => exit === null).map(({ launch }) => launch?.key_id));
  for (const key of ledger.keys({ run })) if (key.state === "valid" && !kept.has(key.id)) ledger.endKey(key.id);
}
