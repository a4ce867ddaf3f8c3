import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { openLedger } from "../../../src/gateway/ledger/ledger.ts";
import { formatReport, type Report, type ReportSums } from "../../../src/gateway/ledger/report.ts";
import { call, end, USD } from "./calls.ts";

const NOTHING: ReportSums = {
  calls: 0,
  answered: 0,
  failed: 0,
  open: 0,
  input_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  output_tokens: 0,
  reasoning_tokens: 0,
  cost_usd: 0,
  cost_source: null,
  estimated_usd: 0,
  reserved_usd: 0,
  held_usd: 0,
  unknown_calls: 0,
};

const usage = { input: 100, cacheRead: 20, cacheWrite: 3, output: 40, reasoning: 5 };

/** Two days, two runs, three models. */
function filled() {
  let now = Date.UTC(2026, 10, 20, 23);
  const ledger = openLedger(":memory:", { now: () => now });
  const add = (id: string, part: Parameters<typeof call>[1], ending?: ReturnType<typeof end>) => {
    ledger.reserve(call(id, part), 2 * USD);
    if (ending !== undefined) ledger.settle(id, ending);
  };
  add("1", { run: "a", worker: "x", model: "claude" }, end(0.5 * USD, { usage }));
  add(
    "2",
    { run: "a", worker: "x", model: "claude" },
    end(0.25 * USD, { usage, costSource: "estimated", outcome: "cut", mayHaveCostMore: true }),
  );
  now += 2 * 60 * 60 * 1000;
  add("3", { run: "a", worker: "y", model: "gpt" }, end(1.5 * USD, { usage, costSource: "provider" }));
  add("4", { run: "a", worker: "y", model: "local", upstream: "box" }, end(null, { usage: undefined }));
  add("5", { run: "b", worker: "x", model: "claude" });
  return ledger;
}

Deno.test("calls are added up by what was asked for, the dearest first", () => {
  using ledger = filled();
  const report = ledger.report({ by: ["model", "run"] });
  deepEqual(report, {
    by: ["run", "model"],
    rows: [
      {
        run: "a",
        model: "gpt",
        ...NOTHING,
        calls: 1,
        answered: 1,
        input_tokens: 100,
        cache_read_tokens: 20,
        cache_write_tokens: 3,
        output_tokens: 40,
        reasoning_tokens: 5,
        cost_usd: 1.5,
        cost_source: "provider",
      },
      {
        run: "a",
        model: "claude",
        ...NOTHING,
        calls: 2,
        answered: 1,
        failed: 1,
        input_tokens: 200,
        cache_read_tokens: 40,
        cache_write_tokens: 6,
        output_tokens: 80,
        reasoning_tokens: 10,
        cost_usd: 0.75,
        cost_source: "estimated",
        estimated_usd: 0.25,
        held_usd: 1.75,
      },
      {
        run: "a",
        model: "local",
        ...NOTHING,
        calls: 1,
        answered: 1,
        cost_usd: null,
        cost_source: "unknown",
        held_usd: 2,
        unknown_calls: 1,
      },
      { run: "b", model: "claude", ...NOTHING, calls: 1, open: 1, reserved_usd: 2 },
    ],
    totals: {
      ...NOTHING,
      calls: 5,
      answered: 3,
      failed: 1,
      open: 1,
      input_tokens: 300,
      cache_read_tokens: 60,
      cache_write_tokens: 9,
      output_tokens: 120,
      reasoning_tokens: 15,
      cost_usd: 2.25,
      cost_source: "unknown",
      estimated_usd: 0.25,
      reserved_usd: 2,
      held_usd: 3.75,
      unknown_calls: 1,
    },
  });
});

Deno.test("days come in their order, upstreams apart, and without a group there are totals alone", () => {
  using ledger = filled();
  const rows = ledger.report({ by: ["day", "upstream"] }).rows;
  deepEqual(rows.map(({ day, upstream, calls }) => [day, upstream, calls]), [
    ["2026-11-20", "anthropic", 2],
    ["2026-11-21", "anthropic", 2],
    ["2026-11-21", "box", 1],
  ]);
  deepEqual(ledger.report({ by: [] }).rows, []);
  equal(ledger.report({ by: [] }).totals.calls, 5);
});

Deno.test("filters choose calls by name and by the time of their beginning", () => {
  using ledger = filled();
  const count = (filters: Parameters<typeof ledger.report>[0]["filters"]) =>
    ledger.report({ by: [], filters }).totals.calls;
  equal(count({}), 5);
  equal(count({ run: "a" }), 4);
  equal(count({ run: "a", worker: "x" }), 2);
  equal(count({ model: "claude" }), 3);
  equal(count({ model: "cla%" }), 0);
  equal(count({ run: "a' OR 1=1 --" }), 0);
  equal(count({ since: new Date(Date.UTC(2026, 10, 21, 1)) }), 3);
  equal(count({ until: new Date(Date.UTC(2026, 10, 21, 1)) }), 2);
  deepEqual(ledger.report({ by: ["run"], filters: { run: "nobody" } }), {
    by: ["run"],
    rows: [],
    totals: NOTHING,
  });
});

Deno.test("the table has aligned columns, totals, six decimals, and a question mark for what nobody knows", () => {
  using ledger = filled();
  equal(
    formatReport(ledger.report({ by: ["run", "model"] }), "table"),
    `\
run    model   calls  ok  failed  open  input  cached  stored  output  reasoning    cost_usd  source     estimated  reserved      held  unknown
a      gpt         1   1       0     0    100      20       3      40          5    1.500000  provider    0.000000  0.000000  0.000000        0
a      claude      2   1       1     0    200      40       6      80         10    0.750000  estimated   0.250000  0.000000  1.750000        0
a      local       1   1       0     0      0       0       0       0          0           ?  unknown     0.000000  0.000000  2.000000        1
b      claude      1   0       0     1      0       0       0       0          0    0.000000              0.000000  2.000000  0.000000        0
-----  ------  -----  --  ------  ----  -----  ------  ------  ------  ---------  ----------  ---------  ---------  --------  --------  -------
total              5   3       1     1    300      60       9     120         15  2.250000+?  unknown     0.250000  2.000000  3.750000        1
`,
  );
});

const hostile = (model: string): Report => ({ by: ["model"], rows: [{ model, ...NOTHING }], totals: NOTHING });

Deno.test("names cannot break the table or reach the terminal", () => {
  const [, row] = formatReport(hostile("\x1b[2Ja\nb\tc\u202e\u2028"), "table").split("\n");
  equal(row!.split("  ")[0], "\\x1b[2Ja\\nb\\tc\\u202e\\u2028");
});

Deno.test("the table shows the ends of a long name, and data have all of it", () => {
  const name = (length: number) => "👋" + "m".repeat(length - 2) + "👋";
  const nameIn = (model: string) => formatReport(hostile(model), "table").split("\n")[1]!.split("  ")[0];
  equal(nameIn(name(48)), name(48));
  equal(nameIn(name(49)), `👋${"m".repeat(23)}…${"m".repeat(22)}👋`);
  equal(nameIn("\n".repeat(200)), `${"\\n".repeat(12)}…n${"\\n".repeat(11)}`);
  for (const format of ["csv", "json"] as const) {
    equal(formatReport(hostile(name(200)), format).includes(name(200)), true);
  }
});

Deno.test("CSV quotes as RFC 4180 says and has no cell that a spreadsheet would run", () => {
  const cellOf = (model: string) => {
    const csv = formatReport(hostile(model), "csv");
    const header = "model,calls,answered,failed,open,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens," +
      "reasoning_tokens,cost_usd,cost_source,estimated_usd,reserved_usd,held_usd,unknown_calls\r\n";
    const rest = ",0,0,0,0,0,0,0,0,0,0,,0,0,0,0\r\n";
    equal(csv.slice(0, header.length), header);
    equal(csv.slice(-rest.length), rest);
    return csv.slice(header.length, -rest.length);
  };
  equal(cellOf("plain"), "plain");
  equal(cellOf('a,"b"'), '"a,""b"""');
  for (const first of ["=", "+", "-", "@"]) equal(cellOf(`${first}1+1`), `'${first}1+1`);
  equal(cellOf('=HYPERLINK("x","y")'), `"'=HYPERLINK(""x"",""y"")"`);
  // As in the table, and so none of these is at the beginning or breaks the line.
  equal(
    cellOf("\t=1\r\n\x85\x9b\u061c\u200f\u2028\u2029\u202e\u2066"),
    "\\t=1\\x0d\\n\\x85\\x9b\\u061c\\u200f\\u2028\\u2029\\u202e\\u2066",
  );
});

Deno.test("JSON has the report as it is, with every picodollar, and null for what nobody knows", () => {
  using ledger = openLedger(":memory:", { now: Date.now });
  ledger.reserve(call("a"), 3 * USD);
  ledger.settle("a", end(1_234_567_890_123));
  ledger.reserve(call("b", { run: "s" }), 3 * USD);
  ledger.settle("b", end(null));
  const report = ledger.report({ by: ["run"] });
  const parsed = JSON.parse(formatReport(report, "json"));
  deepEqual(parsed, report);
  deepEqual(parsed.rows.map((row: ReportSums) => row.cost_usd), [1.234567890123, null]);
});
