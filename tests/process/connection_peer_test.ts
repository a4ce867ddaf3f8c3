import { deepStrictEqual as deepEqual, notStrictEqual as notEqual, strictEqual as equal } from "node:assert/strict";
import { findPeer, showsPeers } from "../../src/process/connection_peer.ts";

const isLinux = Deno.build.os === "linux";
const hasIpv6 = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
})();

const LISTENING_AT: readonly [listening: string, reachedAt: string][] = [
  ["127.0.0.1", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.1"],
  ...(hasIpv6
    ? [["::1", "::1"], ["::", "::1"], ["::", "127.0.0.1"], ["::", "::ffff:127.0.0.1"]] satisfies [string, string][]
    : []),
];

for (const [hostname, reachedAt] of LISTENING_AT) {
  Deno.test(`findPeer() finds who connects to ${hostname} by ${reachedAt}`, { ignore: !isLinux }, async () => {
    using listener = Deno.listen({ hostname, port: 0 });
    const listening = listener.addr as Deno.NetAddr;
    using mine = await Deno.connect({ hostname: reachedAt, port: listening.port });
    using _accepted = await listener.accept();
    deepEqual(findPeer(mine.localAddr as Deno.NetAddr, listening), { kind: "strangers", pids: [Deno.pid] });
  });
}

/** A program that opens a connection to the listener, and then goes on with `script`, which has it as descriptor 3. */
async function connected(
  listener: Deno.TcpListener,
  script: string,
): Promise<{ child: Deno.ChildProcess; connection: Deno.TcpConn; client: Deno.NetAddr; end(): Promise<void> }> {
  const { port } = listener.addr;
  const child = new Deno.Command("bash", {
    args: ["-c", `exec 3<>/dev/tcp/127.0.0.1/${port}\n${script}`],
    stdin: "piped",
    stdout: "null",
  }).spawn();
  const connection = await listener.accept();
  return {
    child,
    connection,
    client: connection.remoteAddr,
    async end() {
      await child.stdin.close();
      await child.status;
      connection.close();
    },
  };
}

async function lineOf(connection: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(100);
  return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
}

const isOpenIn = (pid: number) => Deno.lstat(`/proc/${pid}/fd/3`).then(() => true, () => false);

const untilClosed = async (connection: Deno.TcpConn) => {
  while (await connection.read(new Uint8Array(100)) !== null);
};

Deno.test("findPeer() tells our descendants from others", { ignore: !isLinux }, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { child, client, end } = await connected(listener, "read line");
  deepEqual(findPeer(client, listener.addr), { kind: "descendant", pid: child.pid });
  await end();
});

Deno.test("findPeer() finds a connection that only a daemon of a descendant has", { ignore: !isLinux }, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { child, connection, client, end } = await connected(
    listener,
    'setsid sh -c "echo \\$\\$ >&3; read line" <&0 & exec 3>&-; wait',
  );
  const pid = Number(await lineOf(connection));
  notEqual(pid, child.pid);
  while (await isOpenIn(child.pid)) await new Promise((resolve) => setTimeout(resolve, 5));
  deepEqual(findPeer(client, listener.addr), { kind: "descendant", pid });
  await end();
});

Deno.test("findPeer() takes whoever has closed the connection for nobody", { ignore: !isLinux }, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { connection, client, end } = await connected(listener, "echo request >&3; exec 3>&-; read line");
  await untilClosed(connection);
  deepEqual(findPeer(client, listener.addr), { kind: "nobody" });
  await end();
});

Deno.test("showsPeers() knows an address that somebody listens at from others", { ignore: !isLinux }, () => {
  for (const [hostname] of LISTENING_AT) {
    const listener = Deno.listen({ hostname, port: 0 });
    const addr = listener.addr as Deno.NetAddr;
    equal(showsPeers(addr), true, hostname);
    equal(showsPeers({ hostname: "127.0.0.9", port: addr.port }), false, hostname);
    listener.close();
    equal(showsPeers(addr), false, hostname);
  }
});
