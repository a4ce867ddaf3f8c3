/** `gocore serve` over hundreds of runs: it answers while it reads them, and whatever becomes of its index. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { makeRuns } from "../../bench/serve/make_runs.ts";
import { INDEX_NAME } from "../../src/commands/serve/library.ts";
import { Sandbox, until } from "../support/gocore.ts";
import { Served } from "./served.ts";

const COUNT = 300;

async function withMany(): Promise<{ served: Served; index: string }> {
  const box = await Sandbox.create();
  const made = await makeRuns(box.root, COUNT);
  const args = ["--workspace", made.workspace, "--mini-workdir", made.workdir];
  const served = await Served.start({ box, args });
  return { served, index: `${made.runsRoot}/${INDEX_NAME}` };
}

interface Page {
  total: number;
  next: string | null;
  entries: { kind: string; id: string }[];
}

async function allRead(served: Served): Promise<void> {
  await until("all is read", async () => (await served.get("/api/history")).json.indexing === null);
}

/** Every entry, page by page. */
async function everyEntry(served: Served): Promise<string[]> {
  const found: string[] = [];
  let next: string | null = "";
  while (next !== null) {
    const { json }: { json: Page } = await served.get(`/api/history?limit=70${next === "" ? "" : `&cursor=${next}`}`);
    equal(json.total, COUNT);
    found.push(...json.entries.map(({ kind, id }) => `${kind} ${id}`));
    next = json.next;
  }
  return found;
}

Deno.test("hundreds of runs are listed while they are read, whole afterwards, and at once the next time", async () => {
  const { served } = await withMany();
  await using _ = served;
  let progress = 0;
  await until("all is read", async () => {
    const { status, json } = await served.get("/api/history?limit=1");
    equal(status, 200);
    equal((await served.get("/health")).status, 200);
    if (json.indexing === null) return true;
    ok(json.indexing.done >= progress && json.indexing.total <= COUNT, JSON.stringify(json.indexing));
    progress = json.indexing.done;
    return false;
  });
  const entries = await everyEntry(served);
  deepEqual([entries.length, new Set(entries).size], [COUNT, COUNT]);
  const { json: found } = await served.get("/api/history?q=parser&limit=500");
  ok(found.total > 0 && found.total < COUNT);
  await served.killAndStartAgain();
  // Without a reading: the index was there.
  equal((await served.get("/api/history")).json.total, COUNT);
  deepEqual(await everyEntry(served), entries);
  await allRead(served);
  equal(await served.end(), "");
});

const HARM: Record<string, (index: string) => Promise<void>> = {
  deleted: async (index) => {
    for (const end of ["", "-wal", "-shm"]) await Deno.remove(index + end).catch(ignoreMissing);
  },
  "overwritten with garbage": async (index) => {
    using file = await Deno.open(index, { write: true, create: true });
    for (let i = 0; i < 200; i++) await file.write(crypto.getRandomValues(new Uint8Array(4096)));
  },
  emptied: (index) => Deno.truncate(index).catch(ignoreMissing),
  "read-only": (index) => Deno.chmod(index, 0o400).catch(ignoreMissing),
};

/** The server may have gone on without the file. */
function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

for (const [what, harm] of Object.entries(HARM)) {
  Deno.test(`an index that is ${what} while the server runs, or between two runs of it, loses nothing`, async () => {
    const { served, index } = await withMany();
    await using _ = served;
    await allRead(served);
    const entries = await everyEntry(served);
    await harm(index);
    // A new run has to be written into it.
    await served.box.file(
      "runs/run-new/events.jsonl",
      await Deno.readTextFile(`${served.runsRoot}/${someRun(entries)}/events.jsonl`),
    );
    await until("the new run is listed", async () => {
      const { status, json } = await served.get("/api/history?kind=manager&limit=500");
      ok(status === 200 || status === 503, `${status}`);
      return status === 200 && json.indexing === null &&
        json.entries.some(({ id }: { id: string }) => id === "run-new") && json.total === COUNT / 3 + 1;
    });
    await Deno.remove(`${served.runsRoot}/run-new`, { recursive: true });
    await until("it is gone", async () => (await served.get("/api/history")).json.total === COUNT);
    await served.killAndStartAgain(() => harm(index));
    await until("all is there again", async () => {
      const { status, json } = await served.get("/api/history");
      return status === 200 && json.indexing === null && json.total === COUNT;
    });
    deepEqual(await everyEntry(served), entries);
  });
}

function someRun(entries: readonly string[]): string {
  return entries.find((entry) => entry.startsWith("manager "))!.slice("manager ".length);
}

Deno.test("an index of another version is made anew", async () => {
  const { served, index } = await withMany();
  await using _ = served;
  await allRead(served);
  const { DatabaseSync } = await import("node:sqlite");
  await served.killAndStartAgain(async () => {
    const database = new DatabaseSync(index);
    database.exec("UPDATE made SET version = '999 other'; DELETE FROM run WHERE kind = 'mini'");
    database.close();
  });
  await allRead(served);
  equal((await everyEntry(served)).length, COUNT);
  equal(await served.end(), "");
});
