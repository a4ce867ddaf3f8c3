/** Claims the locks `0` to `rounds - 1` in a folder, each at its time, tells on stdout which it holds, and waits for the end of stdin. */
import { claimLock } from "../../src/store/owner_lock.ts";

const [folder, rounds, periodMs] = [Deno.args[0]!, Number(Deno.args[1]), Number(Deno.args[2])];
await Deno.stdout.write(new TextEncoder().encode("ready\n"));
const piece = new Uint8Array(64);
const startMs = Number(new TextDecoder().decode(piece.subarray(0, (await Deno.stdin.read(piece)) ?? 0)));
const held: number[] = [];
for (let round = 0; round < rounds; round++) {
  // All at the same time, as well as they can.
  while (Date.now() < startMs + round * periodMs);
  if (claimLock(`${folder}/${round}`).kind === "held") held.push(round);
}
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(held) + "\n"));
while (await Deno.stdin.read(piece) !== null);
