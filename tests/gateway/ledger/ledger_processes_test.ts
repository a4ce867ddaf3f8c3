import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { amountOf, CALLERS, CAP_USD, costOf } from "./calls.ts";

/** A process with callers, and what it has told so far. */
class Callers {
  readonly admitted = new Set<string>();
  readonly settled = new Set<string>();
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #heard = () => {};

  constructor(path: string, name: string, mode: "end" | "hold") {
    const script = new URL("ledger_callers.ts", import.meta.url).pathname;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, path, name, mode],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) (line.startsWith("+") ? this.admitted : this.settled).add(line.slice(2));
      this.#heard();
    }
    this.#heard();
  }

  /** Once so many calls were admitted, or the process has ended. */
  async untilAdmitted(count: number): Promise<void> {
    const ended = this.#reading.then(() => true);
    while (this.admitted.size < count) {
      const heard = new Promise<false>((resolve) => this.#heard = () => resolve(false));
      if (await Promise.race([heard, ended])) return;
    }
  }

  /** Ends with everything that it printed read. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended();
  }

  async ended(): Promise<Deno.CommandStatus> {
    await this.#reading;
    return await this.#process.status;
  }
}

Deno.test("64 callers in four processes on one file, two of them killed: no cap is passed, no call is lost or counted twice", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    // Nobody can finish before the holder is dead: it holds back some of the cap.
    const holder = new Callers(path, "holder", "hold");
    await holder.untilAdmitted(CALLERS);
    const [first, second, victim] = ["first", "second", "victim"].map((name) => new Callers(path, name, "end"));
    await victim!.untilAdmitted(50 + Math.floor(Math.random() * 200));
    await victim!.kill();
    await first!.untilAdmitted(victim!.admitted.size);
    await holder.kill();
    for (const survivor of [first!, second!]) equal((await survivor.ended()).code, 0);

    using ledger = openLedger(path, { now: Date.now, caps: { run: CAP_USD } });
    deepEqual(ledger.check(), []);
    const { spentUsd, ...standing } = ledger.spent({ scope: "run", id: "r" });
    deepEqual(standing, { capUsd: CAP_USD, reservedUsd: 0, openCalls: 0, unknownCalls: 0 });
    // A call costs no more than it reserves, so a sum above the cap would have been above it at an admission.
    ok(spentUsd <= CAP_USD, `${spentUsd} USD`);
    ok(spentUsd > CAP_USD * 0.99, `${spentUsd} USD: calls were refused that had room`);

    const rows = new Map(callsIn(path).map(({ id, ...row }) => [id, row]));
    const [groups, dead] = [[holder, first!, second!, victim!], [holder, victim!]];
    for (const group of groups) {
      for (const id of group.settled) deepEqual(rows.get(id), { outcome: "answered", cost: costOf(id) }, id);
      for (const id of group.admitted) ok(rows.has(id), id);
    }
    for (const survivor of [first!, second!]) {
      for (const id of survivor.admitted) equal(rows.get(id)!.outcome, "answered", id);
    }
    for (const [id, { outcome, cost }] of rows) {
      equal(cost, outcome === "answered" ? costOf(id) : amountOf(id), id);
      if (outcome === "answered") continue;
      equal(outcome, "lost");
      ok(id.startsWith("holder") || id.startsWith("victim"), id);
    }
    equal([...rows.values()].filter(({ outcome }) => outcome === "lost").length >= holder.admitted.size, true);
    // A killed process may have written one call more than it could tell, for each of its callers.
    const told = groups.reduce((sum, { admitted }) => sum + admitted.size, 0);
    ok(rows.size >= told && rows.size <= told + dead.length * CALLERS, `${rows.size} calls, ${told} told`);
  }));

Deno.test("a key that another process ends stops at once", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    using ledger = openLedger(path, { now: Date.now });
    const { id, key } = ledger.issueKey({ run: "r", worker: "w" });
    equal(ledger.findKey(key).kind, "valid");
    const code = `
      import { openLedger } from ${
      JSON.stringify(new URL("../../../src/gateway/ledger/ledger.ts", import.meta.url).href)
    };
      const ledger = openLedger(${JSON.stringify(path)}, { now: Date.now, mustExist: true });
      ledger.endKey(${JSON.stringify(id)});
      ledger.close();`;
    const script = `${dir}/end_key.ts`;
    Deno.writeTextFileSync(script, code);
    const config = new URL("../../../deno.json", import.meta.url).pathname;
    const args = ["run", "-A", "--no-check", "--config", config, script];
    equal((await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).output()).code, 0);
    equal(ledger.findKey(key).kind, "ended");
  }));

Deno.test("on a full disk nothing is admitted, and what was admitted before is found again", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/ledger.db`;
    // Linux ends a program that passes its largest file size, or, when it ignores that, refuses to write.
    const script = new URL("ledger_callers.ts", import.meta.url).pathname;
    const limited = `trap '' XFSZ; ulimit -f 2000; exec "$@"`;
    const args = ["-c", limited, "sh", Deno.execPath(), "run", "-A", "--no-check", script, path, "full", "end"];
    const command = new Deno.Command("sh", { args, stdin: "null", stdout: "piped", stderr: "piped" });
    const { code, stdout, stderr } = await command.output();
    const [told, problem] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    ok(code !== 0 && problem!.includes("no call is made without a record of it"), `${code} ${problem}`);
    const idsAfter = (sign: string) =>
      told!.split("\n").filter((line) => line[0] === sign).map((line) => line.slice(2));
    using ledger = openLedger(path, { now: Date.now });
    deepEqual(ledger.check(), []);
    equal(ledger.spent({ scope: "run", id: "r" }).openCalls, 0);
    const rows = new Map(callsIn(path).map(({ id, ...row }) => [id, row]));
    deepEqual([...rows.keys()].sort(), idsAfter("+").sort());
    const settled = idsAfter("-");
    for (const [id, row] of rows) {
      const ended = { outcome: "answered", cost: costOf(id) };
      const lost = { outcome: "lost", cost: amountOf(id) };
      deepEqual(row, settled.includes(id) || row.outcome === "answered" ? ended : lost, id);
    }
  }));

function callsIn(path: string): { id: string; outcome: string | null; cost: number | null }[] {
  const database = new DatabaseSync(path);
  try {
    const rows = database.prepare("SELECT id, outcome, cost FROM call").all();
    return rows.map(({ id, outcome, cost }) => ({
      id: id as string,
      outcome: outcome as string | null,
      cost: cost as number | null,
    }));
  } finally {
    database.close();
  }
}
