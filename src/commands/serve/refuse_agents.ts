/**
 * Keeps agents from starting and controlling runs: they share the loopback with the people on this machine.
 *
 * Told as agents are: what this server has started, and all that descends from it; what has the mark that gocore puts into
 * the environment of workers and commands, or descends from that; and what descends from another gocore process, as an
 * orphan without its environment does, whom its supervisor adopts. So it holds for runs of other processes, too, in a
 * sandbox or not. Not told is an agent that has also left its supervisor: one that is left of a killed supervisor, has
 * put on another environment and was adopted by the system; one that has found a program that is none of gocore's to ask
 * for it; and what runs in another container. Where the system shows nobody at the other end, or another user, the token
 * decides.
 */
import { basename, resolve } from "node:path";
import { findPeer } from "../../process/connection_peer.ts";
import { type ProcessTable, readMark, readProcessTable } from "../../process/process_tree.ts";
import { selfProgram } from "../orchestrate/self_program.ts";

export interface AgentRefusal {
  /** For people here, as the subject of a sentence. */
  readonly who: string;
  /** For the client. */
  readonly reason: string;
}

/** What gocore marks workers and commands with; sessions of tmux that people look at have other marks. */
const AGENT_MARK = /^(?:worker\.[0-9a-f-]{36}|\d+\..+)$/;
const MAX_DEPTH = 1000;
const PROGRAM = "gocore";

/** Why the program at the other end may neither start nor control anything; undefined: it may. */
export function refuseAgents(client: Deno.NetAddr, { listening, token }: {
  readonly listening: Deno.NetAddr;
  readonly token: string | undefined;
}): AgentRefusal | undefined {
  const peer = findPeer(client, listening);
  if (peer.kind === "descendant") {
    return {
      who: `Process ${peer.pid}, which belongs to a run that was started here,`,
      reason: "What belongs to a run may not control runs",
    };
  }
  const agent = peer.kind === "strangers" ? findAgent(peer.pids) : undefined;
  if (agent !== undefined) {
    return { who: `Process ${agent}, which belongs to an agent,`, reason: "An agent may not control runs" };
  }
  if (peer.kind === "strangers" || token !== undefined) return undefined;
  const who = peer.kind === "other_user" ? "Another user" : "A program that cannot be told from an agent";
  return {
    who,
    reason: `${who} may not control runs without a token: set GOCORE_SERVE_TOKEN for the server, and send it`,
  };
}

/** One of them that belongs to an agent. */
function findAgent(pids: readonly number[]): number | undefined {
  const table = readProcessTable();
  // What we have as well says nothing about who is an agent to us.
  const own = marksOf(Deno.pid);
  const elders = new Set(lineOf(Deno.pid, table));
  return pids.find((pid) =>
    lineOf(pid, table).some((at) =>
      !elders.has(at) && (marksOf(at).some((mark) => !own.includes(mark)) || at !== pid && isGocore(at))
    )
  );
}

/** The process itself, its parent, and so on. */
function lineOf(pid: number, { processes }: ProcessTable): number[] {
  const line: number[] = [];
  for (let at = processes.get(pid); at !== undefined && line.length < MAX_DEPTH; at = processes.get(at.parent)) {
    line.push(at.pid);
  }
  return line;
}

/** Of a process that may not be looked at, none. */
function marksOf(pid: number): string[] {
  return (readMark(pid) ?? "").split("/").filter((mark) => AGENT_MARK.test(mark));
}

/** Whether it runs this program, in whatever version as long as it has its name. */
function isGocore(pid: number): boolean {
  try {
    const exe = (of: number | "self") => Deno.readLinkSync(`/proc/${of}/exe`).replace(/ \(deleted\)$/, "");
    if (basename(exe(pid)) === PROGRAM) return true;
    if (exe(pid) !== exe("self")) return false;
    if (Deno.build.standalone) return true;
    const main = selfProgram().program.at(-1);
    const cwd = Deno.readLinkSync(`/proc/${pid}/cwd`);
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").some((word) => resolve(cwd, word) === main);
  } catch {
    // It has ended, or is somebody else's.
    return false;
  }
}
