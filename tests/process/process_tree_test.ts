import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import {
  type FamilyTraits,
  findFamily,
  killFamily,
  MARK_VARIABLE,
  readMark,
  readName,
  readProcess,
  signalProcess,
} from "../../src/process/process_tree.ts";

const ignore = Deno.build.os !== "linux";
const nobody: FamilyTraits = { roots: new Set(), isMark: () => false, adopts: () => false };

/** A program with a pipe as stdin: it ends by itself when the test does. */
function startChild(script: string, env: Record<string, string> = {}) {
  return new Deno.Command("/bin/sh", { args: ["-c", script], env, stdin: "piped", stdout: "piped", stderr: "null" })
    .spawn();
}

async function stop(child: Deno.ChildProcess) {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
  await child.stdin.close().catch(() => {});
  await child.stdout.cancel();
  await child.status;
}

Deno.test({
  name: "readProcess() is not confused by a program's name",
  ignore,
  fn: async () => {
    const name = "a) Z 1 (b";
    const child = startChild(`printf '%s' '${name}' > /proc/$$/comm; cat /proc/$$/comm; cat; :`);
    try {
      equal(await readLine(child), name);
      const entry = readProcess(child.pid);
      equal(entry?.pid, child.pid);
      equal(entry?.parent, Deno.pid);
      equal(entry?.isZombie, false);
      ok(entry!.startTicks >= readProcess("self")!.startTicks);
    } finally {
      await stop(child);
    }
  },
});

Deno.test({
  name: "findFamily() finds descendants and marked processes, and nobody else",
  ignore,
  fn: async () => {
    const token = crypto.randomUUID();
    const tree = startChild("sh -c 'echo $$; cat; :'; :");
    const marked = startChild("echo ready; cat", { GOCORE_COMMAND: `outer/${token}` });
    const stranger = startChild("echo ready; cat");
    try {
      const inner = Number(await readLine(tree));
      await readLine(marked);
      await readLine(stranger);
      const pids = (traits: Partial<FamilyTraits>) => findFamily({ ...nobody, ...traits }).map(({ pid }) => pid);
      deepEqual(pids({}), []);
      const ofTree = pids({ roots: new Set([tree.pid]) });
      deepEqual(ofTree.slice(0, 2), [tree.pid, inner]);
      ok(!ofTree.includes(stranger.pid) && !ofTree.includes(marked.pid));
      const ofMark = pids({ isMark: (value) => value === `outer/${token}` });
      equal(ofMark[0], marked.pid);
      ok(!ofMark.includes(stranger.pid) && !ofMark.includes(tree.pid));
      // Even one who claims everybody: neither us nor a child in our own session.
      deepEqual(pids({ isMark: () => false, adopts: () => true }).filter((pid) => pid === Deno.pid), []);
      ok(!pids({ adopts: () => true }).includes(stranger.pid));
    } finally {
      await Promise.all([stop(tree), stop(marked), stop(stranger)]);
    }
  },
});

Deno.test({
  name: "readMark() never takes a marked process for an unmarked one, also while it becomes another program",
  ignore,
  fn: async () => {
    const script = 'n=$1; [ $n -gt 0 ] || exit 0; exec /bin/sh -c "$0" "$0" $((n - 1))';
    const command = new Deno.Command("/bin/sh", {
      args: ["-c", script, script, "300"],
      env: { [MARK_VARIABLE]: "mine" },
      stdin: "null",
    });
    const child = command.spawn();
    const found = new Set<string | undefined | null>();
    while (readProcess(child.pid)?.isZombie === false) found.add(readMark(child.pid));
    equal((await child.status).code, 0);
    // It was about to end, or the machine so busy that an exec took longer than anybody waits.
    for (const unknown of [null, undefined]) found.delete(unknown);
    deepEqual([...found], ["mine"]);
  },
});

Deno.test({
  name: "readMark() tells that a process has no mark, with and without an environment",
  ignore,
  fn: async () => {
    for (const script of ["echo ready; exec env -i cat", "echo ready; exec env -i A=b cat"]) {
      const child = startChild(script);
      try {
        await readLine(child);
        while (readName(child.pid) !== "cat") await new Promise((resolve) => setTimeout(resolve, 5));
        equal(readMark(child.pid), "");
      } finally {
        await stop(child);
      }
    }
    equal(readMark(2 ** 22 + 1), null);
  },
});

Deno.test({
  name: "signalProcess() leaves a process alone that only has the pid of another",
  ignore,
  fn: async () => {
    const child = startChild("echo ready; cat");
    try {
      await readLine(child);
      const entry = readProcess(child.pid)!;
      equal(signalProcess({ ...entry, startTicks: entry.startTicks - 1 }, "SIGKILL"), false);
      equal(readProcess(child.pid)?.isZombie, false);
      equal(signalProcess(entry, "SIGKILL"), true);
      equal((await child.status).signal, "SIGKILL");
      equal(signalProcess(entry, "SIGKILL"), false);
    } finally {
      await stop(child);
    }
  },
});

Deno.test({
  name: "killFamily() kills a family that starts new processes all the time",
  ignore,
  fn: async () => {
    const child = startChild("echo ready; i=0; while [ $((i += 1)) -lt 3000 ]; do sleep 0.01 & done; cat");
    try {
      await readLine(child);
      const find = () => findFamily({ ...nobody, roots: new Set([child.pid]) });
      const killed = killFamily(find);
      ok(killed.some(({ pid }) => pid === child.pid));
      equal((await child.status).signal, "SIGKILL");
    } finally {
      await stop(child);
    }
  },
});

async function readLine(child: Deno.ChildProcess): Promise<string> {
  const reader = child.stdout.getReader({ mode: "byob" });
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read(new Uint8Array(100));
    if (done) throw new Error(`The child ended before its first line: ${text}`);
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return text.trim();
}
