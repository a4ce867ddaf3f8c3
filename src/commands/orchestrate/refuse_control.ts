/** Keeps agents from controlling their own session: they share the loopback with the people on this machine. */
import type { SessionState } from "../../orchestrate/session.ts";
import { findPeer, type Peer } from "../../process/connection_peer.ts";
import { workerMarkOf } from "../../process/worker_process.ts";

export interface Refusal {
  /** For the log, as the subject of a sentence. */
  readonly who: string;
  /** For the client. */
  readonly reason: string;
}

/**
 * Refuses what a worker sends, or anything else that we have started, such as the check: that runs what agents wrote. Who
 * cannot be told from an agent needs the token, which agents do not get.
 */
export function refuseControl(client: Deno.NetAddr, { listening, token, state }: {
  readonly listening: Deno.NetAddr;
  readonly token: string | undefined;
  readonly state: Pick<SessionState, "workers">;
}): Refusal | undefined {
  const peer = findPeer(client, listening);
  const mark = pidsOf(peer).map(workerMarkOf).find((mark) => mark !== undefined);
  if (mark !== undefined || peer.kind === "descendant") {
    const worker = [...state.workers.values()].find(({ launch }) => launch.mark === mark);
    return {
      who: worker?.name ?? "A program that the session has started",
      reason: "What a session has started may not control it",
    };
  }
  if (peer.kind !== "nobody" || token !== undefined) return undefined;
  return {
    who: "A program that cannot be told from an agent",
    reason:
      "No process can be seen at the other end of this connection, and an agent may not control its session. Use " +
      "the commands (`gocore orchestrate --help`), or set GOCORE_ORCHESTRATE_TOKEN for the session and send it",
  };
}

function pidsOf(peer: Peer): readonly number[] {
  if (peer.kind === "descendant") return [peer.pid];
  return peer.kind === "strangers" ? peer.pids : [];
}
