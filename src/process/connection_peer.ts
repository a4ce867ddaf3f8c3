/** Tells who has the other end of a connection to us, as far as the system shows it. */
import { readProcess, readProcessTable, withDescendants } from "./process_tree.ts";

export type Peer =
  /** A process that descends from us. */
  | { readonly kind: "descendant"; readonly pid: number }
  /** Processes that do not, and no other. */
  | { readonly kind: "strangers"; readonly pids: readonly number[] }
  /** Somebody who is neither us nor who we are for the system. */
  | { readonly kind: "other_user" }
  /** It is closed already, or no process shows that it has it. */
  | { readonly kind: "nobody" };

type Address = Pick<Deno.NetAddr, "hostname" | "port">;

interface Socket {
  readonly local: Address;
  readonly remote: Address;
  readonly isListening: boolean;
  readonly uid: number;
  /** Zero when no process has it any more. */
  readonly inode: number;
}

const LISTEN = "0A";
/** The kernel lists sockets and processes piece by piece, and may miss one when others come and go. */
const MAX_LOOKS = 3;
const MAX_STEPS = 1000;

/**
 * Whether this system shows who connects to an address that we listen at. To be asked before anybody can: later on it may
 * show nothing because a program has used up our file descriptors.
 */
export function showsPeers(listening: Address): boolean {
  return listSockets(listening.port).some(({ isListening, local }) =>
    isListening && local.port === listening.port && isSameHost(local, listening)
  );
}

/**
 * Looks for the end that `client` names of a connection to our listening address. Who hands a connection on to a process
 * that does not descend from us is not found by this.
 *
 * "nobody" is no harmless answer: a program that does not want to be found may have closed its end after the request, left
 * it in the queue of a Unix socket, or made itself unreadable.
 */
export function findPeer(client: Address, listening: Address): Peer {
  let peer: Peer = { kind: "nobody" };
  for (let look = 0; look < MAX_LOOKS && peer.kind === "nobody"; look++) peer = lookForPeer(client, listening);
  return peer;
}

function lookForPeer(client: Address, listening: Address): Peer {
  const isAny = /^(?:0\.0\.0\.0|::)$/.test(listening.hostname);
  const [end, another] = listSockets(listening.port).filter(({ local, remote, inode }) =>
    inode !== 0 && local.port === client.port && remote.port === listening.port &&
    isSameHost(local, client) && (isAny || isSameHost(remote, listening))
  );
  if (end === undefined || another !== undefined) return { kind: "nobody" };

  const link = `socket:[${end.inode}]`;
  const table = readProcessTable();
  const descendants = withDescendants(table.childrenOf.get(Deno.pid) ?? [], table);
  const shown = new Map(descendants.map(({ pid }) => [pid, hasOpen(pid, link)]));
  // Before the others, so that those who try it all the time cost little.
  for (const [pid, isOpen] of shown) if (isOpen) return { kind: "descendant", pid };
  const holders = [...table.processes.keys()].filter((pid) => !shown.has(pid) && hasOpen(pid, link));
  for (const pid of holders) {
    const isOurs = descendsFromUs(pid);
    if (isOurs === undefined) return { kind: "nobody" };
    if (isOurs) return { kind: "descendant", pid };
  }
  if (holders.length > 0) return { kind: "strangers", pids: holders };
  const ownUid = Deno.uid();
  // Root can give a socket to any user, and what its descendants hide can be any socket.
  const isOther = ownUid !== 0 && end.uid !== ownUid && ![...shown.values()].includes(undefined);
  return { kind: isOther ? "other_user" : "nobody" };
}

/**
 * Step by step: the table is no picture of one moment, and has no parent for whose parent ended while it was read.
 * Undefined when it cannot be told: it has ended.
 */
function descendsFromUs(pid: number): boolean | undefined {
  if (pid === Deno.pid) return false;
  let at = pid;
  for (let step = 0; step < MAX_STEPS; step++) {
    const parent = readProcess(at)?.parent;
    if (parent === Deno.pid) return true;
    if (parent === 0) return false;
    if (parent === undefined) {
      if (at === pid) return undefined;
      at = pid;
    } else if (readProcess(parent) !== undefined) at = parent;
    // Still there, and not to be seen: it is somebody else's.
    else if (readProcess(at)?.parent === parent) return false;
  }
  return undefined;
}

/** Undefined when the process does not show it. */
function hasOpen(pid: number, link: string): boolean | undefined {
  const folder = `/proc/${pid}/fd`;
  try {
    for (const { name } of Deno.readDirSync(folder)) if (targetOf(`${folder}/${name}`) === link) return true;
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? false : undefined;
  }
}

function targetOf(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    // Closed in the meantime.
    return undefined;
  }
}

/** Of all sockets of our network namespace those that have to do with this port. */
function listSockets(port: number): Socket[] {
  return ["tcp", "tcp6"].flatMap((name) => readSockets(name, port));
}

function readSockets(name: string, port: number): Socket[] {
  let lines: string[];
  try {
    lines = Deno.readTextFileSync(`/proc/net/${name}`).split("\n").slice(1);
  } catch {
    return [];
  }
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  return lines.filter((line) => line.includes(suffix)).map((line) => {
    const [, local, remote, state, , , , uid, , inode] = line.trim().split(/ +/);
    return {
      local: readAddress(local!),
      remote: readAddress(remote!),
      isListening: state === LISTEN,
      uid: Number(uid),
      inode: Number(inode),
    };
  });
}

/** `0100007F:1F40`: words of 32 bits, each with its bytes in the order of the machine, which is the reverse. */
function readAddress(text: string): Address {
  const [words, port] = text.split(":");
  const bytes = words!.match(/.{8}/g)!.flatMap((word) => word.match(/../g)!.reverse());
  const hostname = bytes.length === 4
    ? bytes.map((byte) => Number.parseInt(byte, 16)).join(".")
    : bytes.join("").match(/.{4}/g)!.join(":");
  return { hostname, port: Number.parseInt(port!, 16) };
}

function isSameHost(left: Address, right: Address): boolean {
  return canonicalHost(left.hostname) === canonicalHost(right.hostname);
}

/** One spelling for all of an address, IPv4 as IPv6 has it: a socket of either kind can be at either end. */
function canonicalHost(hostname: string): string {
  const [host] = hostname.split("%");
  return new URL(`http://[${host!.includes(":") ? host : `::ffff:${host}`}]`).hostname;
}
