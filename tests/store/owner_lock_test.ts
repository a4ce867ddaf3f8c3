import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import { claimLock, lockOwner } from "../../src/store/owner_lock.ts";
import { ownIdentity } from "../../src/store/process_identity.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

/** No process has this number: Linux gives none above 2^22. */
const DEAD = JSON.stringify({ pid: 2 ** 22 + 1 });

Deno.test("a lock says who holds it, is refused to everybody else, and is free again when it is released", () =>
  inTempDir((dir) => {
    const path = `${dir}/lock`;
    equal(lockOwner(path), undefined);
    const claim = claimLock(path);
    ok(claim.kind === "held");
    deepEqual(JSON.parse(Deno.readTextFileSync(path)), JSON.parse(JSON.stringify(ownIdentity())));
    deepEqual(lockOwner(path), JSON.parse(JSON.stringify(ownIdentity())));
    deepEqual(claimLock(path), { kind: "taken", owner: lockOwner(path) });
    deepEqual(namesIn(dir), ["lock"]);
    claim.release();
    deepEqual(namesIn(dir), []);
    ok(claimLock(path).kind === "held");
  }));

Deno.test("a release that comes twice does not free what was claimed in between", () =>
  inTempDir((dir) => {
    const path = `${dir}/lock`;
    const first = claimLock(path);
    ok(first.kind === "held");
    first.release();
    const second = claimLock(path);
    ok(second.kind === "held");
    first.release();
    equal(claimLock(path).kind, "taken");
  }));

Deno.test("a release leaves the lock of somebody else alone, and does not mind that the folder is gone", () =>
  inTempDir((dir) => {
    Deno.mkdirSync(`${dir}/folder`);
    const [path, other] = [`${dir}/folder/lock`, `${dir}/lock`];
    const claims = [claimLock(path), claimLock(other)];
    Deno.writeTextFileSync(other, DEAD);
    Deno.removeSync(`${dir}/folder`, { recursive: true });
    for (const claim of claims) if (claim.kind === "held") claim.release();
    equal(Deno.readTextFileSync(other), DEAD);
  }));

Deno.test("a lock whose owner is dead, or that names none, is taken over, and nothing else is left", async (t) => {
  for (const content of [DEAD, "", "{", "null", "[]", '{"pid":"1"}', '{"pid":1.5}', "x".repeat(100_000)]) {
    await t.step(content.slice(0, 20) || "empty", () =>
      inTempDir((dir) => {
        const path = `${dir}/lock`;
        Deno.writeTextFileSync(path, content);
        equal(lockOwner(path), undefined);
        const claim = claimLock(path);
        ok(claim.kind === "held");
        deepEqual(lockOwner(path)?.pid, Deno.pid);
        deepEqual(namesIn(dir), ["lock"]);
        claim.release();
        deepEqual(namesIn(dir), []);
      }));
  }
});

Deno.test("a number that has a new owner since is a dead owner", () =>
  inTempDir((dir) => {
    const { start_ticks } = ownIdentity();
    if (start_ticks === undefined) return;
    Deno.writeTextFileSync(`${dir}/lock`, JSON.stringify({ ...ownIdentity(), start_ticks: start_ticks - 1 }));
    equal(claimLock(`${dir}/lock`).kind, "held");
  }));

Deno.test("a lock that cannot be written is a Failure, and not a lock that is taken", () =>
  inTempDir((dir) => {
    throws(
      () => claimLock(`${dir}/missing/lock`),
      (error) => error instanceof Failure && error.kind === "environment",
    );
  }));

/** Starts as many processes, has all of them claim at once, and gives what each holds; they end when `then` has ended. */
async function claimAtOnce(
  dir: string,
  { processes, rounds }: { processes: number; rounds: number },
  then: (held: number[][], claimers: readonly Deno.ChildProcess[]) => void | Promise<void>,
): Promise<void> {
  const script = new URL("claim_locks.ts", import.meta.url).pathname;
  const claimers = Array.from(
    { length: processes },
    () =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", script, dir, String(rounds), "3"],
        stdin: "piped",
        stdout: "piped",
      }).spawn(),
  );
  const lines = claimers.map(({ stdout }) => stdout.pipeThrough(new TextDecoderStream()).getReader());
  const inputs = claimers.map(({ stdin }) => stdin.getWriter());
  try {
    for (const line of lines) equal((await line.read()).value, "ready\n");
    const start = new TextEncoder().encode(String(Date.now() + 50));
    await Promise.all(inputs.map((input) => input.write(start)));
    const held: number[][] = [];
    for (const line of lines) held.push(JSON.parse((await line.read()).value!));
    await then(held, claimers);
  } finally {
    await Promise.all(inputs.map((input) => input.close().catch(() => {})));
    for (const line of lines) await line.cancel();
    for (const claimer of claimers) await claimer.status;
  }
}

const ROUNDS = 60;

Deno.test("of many processes that claim at once exactly one holds, whether the lock was free or its owner dead", () =>
  inTempDir(async (dir) => {
    for (let round = 0; round < ROUNDS; round++) if (round % 4 !== 0) Deno.writeTextFileSync(`${dir}/${round}`, DEAD);
    await claimAtOnce(dir, { processes: 6, rounds: ROUNDS }, (held, claimers) => {
      deepEqual(held.flat().sort((a, b) => a - b), Array.from({ length: ROUNDS }, (_, round) => round));
      for (const [index, rounds] of held.entries()) {
        for (const round of rounds) equal(lockOwner(`${dir}/${round}`)?.pid, claimers[index]!.pid);
      }
      equal(namesIn(dir).length, ROUNDS);
    });
  }));

Deno.test("the locks of a process that was killed are taken over", () =>
  inTempDir(async (dir) => {
    await claimAtOnce(dir, { processes: 1, rounds: 2 }, async (held, [claimer]) => {
      deepEqual(held, [[0, 1]]);
      equal(claimLock(`${dir}/0`).kind, "taken");
      claimer!.kill("SIGKILL");
      await claimer!.status;
      equal(lockOwner(`${dir}/0`), undefined);
      equal(claimLock(`${dir}/0`).kind, "held");
    });
  }));

Deno.test("a pipe in a lock's place is nobody's, and keeps nobody waiting", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/x.lock`;
    const { success } = await new Deno.Command("mkfifo", { args: [path] }).output();
    ok(success);
    equal(lockOwner(path), undefined);
    const claim = claimLock(path);
    equal(claim.kind, "held");
    if (claim.kind === "held") claim.release();
    deepEqual(namesIn(dir), []);
  }));
