import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { openRunIndex, type RunIndex, type RunPosition, type RunRow } from "../../src/store/run_index.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

const NOW_MS = Date.UTC(2026, 0, 10);

interface Value {
  readonly at: RunPosition;
}

const rowOf = (id: string, more: Partial<RunRow<Value>> = {}): RunRow<Value> => {
  const row = {
    kind: "manager",
    id,
    alias: null,
    stamp: "1",
    started: "2026-01-01T00:00:00.000Z",
    status: "ok",
    running: false,
    source: null,
    ledger: null,
    well: false,
    flag: "none" as const,
    flagUntilMs: Infinity,
    text: "",
    ...more,
  };
  return { ...row, value: { at: [row.started, row.kind, row.id] } };
};

async function withIndex(
  rows: readonly RunRow<Value>[],
  work: (index: RunIndex<Value>) => void | Promise<void>,
): Promise<void> {
  using index = await openRunIndex<Value>(undefined, { version: "1", onProblem: (problem) => ok(false, problem) });
  for (const row of rows) index.put(row);
  await work(index);
}

const idsOf = (found: readonly { value: Value }[]) => found.map(({ value: { at: [, , id] } }) => id);
const search = (index: RunIndex<Value>, words: string) => {
  const { found, total } = index.page({ words, limit: 100, nowMs: NOW_MS });
  equal(found.length, total);
  return idsOf(found);
};

Deno.test("a page has the newest runs that fit, and how many fit in all", async () => {
  const day = (number: number) => `2026-01-0${number}T00:00:00.000Z`;
  await withIndex([
    rowOf("a", { started: day(1), status: "failed" }),
    rowOf("b", { started: day(2), kind: "mini", status: "thinking", running: true }),
    rowOf("c", { started: day(3), status: "running", running: true }),
    rowOf("d", { started: "" }),
  ], (index) => {
    const page = (query: Partial<Parameters<typeof index.page>[0]>) => {
      const { found, total } = index.page({ limit: 2, nowMs: NOW_MS, ...query });
      return [idsOf(found), total];
    };
    deepEqual(page({}), [["c", "b"], 4]);
    deepEqual(page({ after: [day(2), "mini", "b"] }), [["a", "d"], 4]);
    deepEqual(page({ kind: "manager" }), [["c", "a"], 3]);
    deepEqual(page({ status: "failed" }), [["a"], 1]);
    deepEqual(page({ status: "running" }), [["c", "b"], 2]);
    deepEqual(page({ status: "thinking", kind: "manager" }), [[], 0]);
    deepEqual(index.ids("manager"), ["d", "a", "c"]);
    equal(index.newest("manager"), "c");
    equal(index.newest("session"), undefined);
  });
});

Deno.test("the newest run of a kind is one that goes on, before newer ones that have ended", async () => {
  await withIndex([
    rowOf("old", { running: true }),
    rowOf("new", { started: "2026-01-02T00:00:00.000Z" }),
  ], (index) => equal(index.newest("manager"), "old"));
});

Deno.test("pages have every run once, in order, also when newer runs come in between", async () => {
  const started = fc.constantFrom("", "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z");
  const run = fc.record({ started, kind: fc.constantFrom("mini", "session"), id: fc.stringMatching(/^[a-z]{1,3}$/) });
  const runs = fc.uniqueArray(run, { selector: ({ kind, id }) => `${kind}/${id}`, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(runs, fc.integer({ min: 1, max: 7 }), async (runs, limit) => {
      await withIndex(runs.map(({ id, ...more }) => rowOf(id, more)), (index) => {
        const seen: RunPosition[] = [];
        for (let number = 0;; number++) {
          const { found } = index.page({ after: seen.at(-1), limit, nowMs: NOW_MS });
          if (found.length === 0) break;
          seen.push(...found.map(({ value }) => value.at));
          index.put(rowOf(`new-${number}`, { started: "2026-02-01T00:00:00.000Z" }));
        }
        const wanted = runs.map(({ started, kind, id }): RunPosition => [started, kind, id]);
        const order = (a: RunPosition, b: RunPosition) => a.join(" ") < b.join(" ") ? 1 : -1;
        deepEqual(seen, wanted.sort(order));
      });
    }),
    { numRuns: 50 },
  );
});

Deno.test("all words of a search have to be there, or to begin a word; accents and case do not matter", async () => {
  await withIndex([
    rowOf("a", { text: "The parser of foo_bar fails with a TypeError in Zürich" }),
    rowOf("b", { text: "The parser works; version 1.2.3" }),
  ], (index) => {
    deepEqual(search(index, "parser").sort(), ["a", "b"]);
    deepEqual(search(index, "pars THE").sort(), ["a", "b"]);
    deepEqual(search(index, "parser typeerr"), ["a"]);
    deepEqual(search(index, "parser nothing"), []);
    deepEqual(search(index, "arser"), []);
    deepEqual(search(index, "zurich"), ["a"]);
    deepEqual(search(index, "foo_b"), ["a"]);
    deepEqual(search(index, "1.2.3"), ["b"]);
    deepEqual(search(index, "2.1"), []);
    deepEqual(search(index, " \n ").sort(), ["a", "b"]);
  });
});

Deno.test("the syntax of queries, quotes, zeros and wildcards are just words", async () => {
  const hostile = [
    '"',
    '" OR "',
    "parser OR nothing",
    "NOT nothing",
    "text:nothing",
    "NEAR(parser nothing)",
    "nothing*",
    "%",
    "_",
    "* %",
    "^nothing",
    "{text}: nothing",
    "-",
    "'; DROP TABLE run; --",
    "parser\0nothing",
  ];
  await withIndex([rowOf("a", { text: "The parser fails" })], (index) => {
    for (const words of hostile) deepEqual(search(index, words), [], words);
    deepEqual(search(index, 'the "parser"'), ["a"]);
    deepEqual(search(index, "parser %"), ["a"]);
    deepEqual(search(index, "parser\0fails"), ["a"]);
  });
});

Deno.test("no search fails, and a run is found by each of its words", async () => {
  await withIndex([], (index) => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.stringMatching(/^[a-zA-Z0-9]{1,12}$/), (text, word) => {
        index.put(rowOf("a", { text: `${text} ${word}` }));
        search(index, text);
        deepEqual(search(index, word), ["a"]);
      }),
    );
  });
});

Deno.test("what is replaced or removed is not found any more", async () => {
  await withIndex([rowOf("a", { text: "first", alias: "x" })], (index) => {
    index.put(rowOf("a", { text: "second", status: "failed", alias: "y" }));
    deepEqual([search(index, "first"), search(index, "second")], [[], ["a"]]);
    deepEqual([index.idOfAlias("manager", "x"), index.idOfAlias("manager", "y")], [undefined, "a"]);
    // Of the same text nothing is written again.
    index.put(rowOf("a", { text: "second" }));
    deepEqual(search(index, "second"), ["a"]);
    index.remove("manager", "a");
    deepEqual([search(index, "second"), index.get("manager", "a", { nowMs: NOW_MS })], [[], undefined]);
    index.remove("manager", "a");
  });
});

Deno.test("a passing flag is over when a newer run of its kind and source went well, or its time is up", async () => {
  const at = (day: number) => `2026-01-0${day}T00:00:00.000Z`;
  const flagged = { flag: "passing", source: "s" } as const;
  await withIndex([
    rowOf("passing", { ...flagged, started: at(2) }),
    rowOf("lasting", { ...flagged, flag: "lasting", started: at(2) }),
    rowOf("late", { ...flagged, started: at(2), source: "t", flagUntilMs: NOW_MS + 1 }),
    rowOf("nowhere", { ...flagged, started: at(2), source: null }),
  ], (index) => {
    const names = (nowMs = NOW_MS) => {
      const found = idsOf(index.flagged(nowMs));
      deepEqual(index.flaggedNames(nowMs).map(({ id }) => id).sort(), [...found].sort());
      return found.sort();
    };
    const all = ["lasting", "late", "nowhere", "passing"];
    deepEqual(names(), all);
    deepEqual(names(NOW_MS + 1), ["lasting", "nowhere", "passing"]);
    index.put(rowOf("earlier", { source: "s", well: true, started: at(1) }));
    index.put(rowOf("another kind", { source: "s", well: true, started: at(3), kind: "mini" }));
    index.put(rowOf("failed again", { source: "s", started: at(3) }));
    index.put(rowOf("without source", { well: true, started: at(3) }));
    deepEqual(names(), all);
    index.put(rowOf("better", { source: "s", well: true, started: at(3) }));
    deepEqual(names(), ["lasting", "late", "nowhere"]);
    deepEqual(index.get("manager", "passing", { nowMs: NOW_MS })?.isOver, true);
    deepEqual(index.get("manager", "lasting", { nowMs: NOW_MS })?.isOver, false);
    index.remove("manager", "better");
    deepEqual(names(), all);
  });
});

Deno.test("a transaction writes all or nothing", async () => {
  await withIndex([], (index) => {
    let thrown: unknown;
    try {
      index.transaction(() => {
        index.put(rowOf("a"));
        throw new Error("no");
      });
    } catch (error) {
      thrown = error;
    }
    equal((thrown as Error).message, "no");
    deepEqual(index.ids("manager"), []);
    index.transaction(() => index.put(rowOf("b", { ledger: "/l.db" })));
    deepEqual(index.ids("manager"), ["b"]);
    deepEqual(index.ledgers(), ["/l.db"]);
    deepEqual(index.stamps(), [{ kind: "manager", id: "b", alias: null, stamp: "1", running: false }]);
    deepEqual([...index.values("manager")], [rowOf("b").value]);
  });
});

const quiet = { version: "1", onProblem: (problem: string) => ok(false, problem) };

Deno.test("the index outlives its process, for its owner alone; that of another version is made anew", async () => {
  await inTempDir(async (dir) => {
    const path = `${dir}/index.db`;
    const open = (version: string) => openRunIndex<Value>(path, { ...quiet, version });
    {
      using index = await open("1");
      index.put(rowOf("a"));
      equal(Deno.statSync(path).mode! & 0o777, 0o600);
    }
    {
      using index = await open("1");
      deepEqual(index.ids("manager"), ["a"]);
    }
    using index = await open("2");
    deepEqual(index.ids("manager"), []);
  });
});

for (
  const [what, spoil] of [
    ["no database", (path: string) => Deno.writeTextFileSync(path, "x".repeat(5000))],
    ["an empty file", (path: string) => Deno.writeTextFileSync(path, "")],
    ["cut off", (path: string) => Deno.truncateSync(path, 8192)],
    ["overwritten in its middle", (path: string) => {
      using file = Deno.openSync(path, { write: true });
      file.seekSync(4096, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array(Deno.statSync(path).size - 4096).fill(7));
    }],
    ["a link to something else", (path: string) => {
      Deno.renameSync(path, `${path}.precious`);
      Deno.symlinkSync(`${path}.precious`, path);
    }],
  ] as const
) {
  Deno.test(`an index that is ${what} is made anew in its place`, async () => {
    await inTempDir(async (dir) => {
      const path = `${dir}/index.db`;
      (await openRunIndex<Value>(path, quiet))[Symbol.dispose]();
      spoil(path);
      {
        using index = await openRunIndex<Value>(path, quiet);
        deepEqual(index.ids("manager"), []);
        index.put(rowOf("b"));
      }
      ok(Deno.lstatSync(path).isFile);
      using index = await openRunIndex<Value>(path, quiet);
      deepEqual(index.ids("manager"), ["b"]);
    });
  });
}

Deno.test("an index that cannot be written is in memory, which is told once", async () => {
  await inTempDir(async (dir) => {
    Deno.writeTextFileSync(`${dir}/file`, "");
    Deno.mkdirSync(`${dir}/index.db/below`, { recursive: true });
    for (const path of [`${dir}/file/index.db`, `${dir}/nowhere/index.db`, `${dir}/index.db`]) {
      const problems: string[] = [];
      using index = await openRunIndex<Value>(path, { version: "1", onProblem: (problem) => problems.push(problem) });
      index.put(rowOf("a"));
      deepEqual(index.ids("manager"), ["a"]);
      equal(problems.length, 1);
      const start = `The index "${path}" cannot be used, so that it is made anew in memory: `;
      equal(problems[0]!.slice(0, start.length), start);
    }
    deepEqual(namesIn(dir), ["file", "index.db"]);
  });
});

Deno.test("of two servers one has the file, and the other is told who", async () => {
  await inTempDir(async (dir) => {
    const path = `${dir}/index.db`;
    const problems: string[] = [];
    {
      using first = await openRunIndex<Value>(path, quiet);
      first.put(rowOf("a"));
      using second = await openRunIndex<Value>(path, { version: "1", onProblem: (problem) => problems.push(problem) });
      deepEqual([first.ids("manager"), second.ids("manager")], [["a"], []]);
    }
    const text = `The index "${path}" cannot be used, so that it is made anew in memory: process ${Deno.pid} keeps it`;
    deepEqual(problems, [text]);
    using third = await openRunIndex<Value>(path, quiet);
    deepEqual(third.ids("manager"), ["a"]);
  });
});
