/** What is worth knowing when a gateway begins: keys that are missing, caps that are partly spent. */
import type { EventFact } from "../../events/event.ts";
import type { Ledger } from "../../gateway/ledger/ledger.ts";
import type { GatewaySettings } from "../../gateway/settings.ts";

/** At most one: which upstreams cannot be asked. A warning when it is all of them. */
export function upstreamNotes(
  { source, upstreams }: Pick<GatewaySettings, "source" | "upstreams">,
): readonly EventFact[] {
  // Recordings and scripts answer without asking anybody.
  if (source.kind !== "upstreams") return [];
  const idle = upstreams.filter(({ apiKey, keyless }) => apiKey === undefined && !keyless);
  if (idle.length === 0) return [];
  const named = idle.map(({ name, keySource }) => `${name} (${keySource})`).join(", ");
  return idle.length < upstreams.length
    ? [log("info", `No key for: ${named}`)]
    : [log("warning", `Every call will be refused: no key for ${named}`)];
}

/** One for each cap of the gateway's run and of today of which something is spent. A warning when nothing is left. */
export function spentNotes(
  { caps, run }: Pick<GatewaySettings, "caps" | "run">,
  ledger: Pick<Ledger, "spent">,
  nowMs: number,
): readonly EventFact[] {
  const day = new Date(nowMs).toISOString().slice(0, 10);
  const capped = [
    { cap: caps.run, scope: "run", id: run, name: `run ${JSON.stringify(run)}` },
    { cap: caps.day, scope: "day", id: day, name: `the day ${day} (UTC)` },
  ] as const;
  return capped.flatMap(({ cap, scope, id, name }) => {
    if (cap === undefined) return [];
    const { spentUsd } = ledger.spent({ scope, id });
    if (spentUsd === 0) return [];
    return [log(spentUsd < cap ? "info" : "warning", `${name} has spent ${amount(spentUsd)} of ${amount(cap)} USD`)];
  });
}

/** As many digits as are needed, down to millionths: a sum that is close to its cap does not look like it. */
function amount(usd: number): string {
  return usd.toFixed(6).replace(/\.?0+$/, "");
}

function log(level: "info" | "warning", content: string): EventFact {
  return { type: "log", data: { level, content } };
}
