import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { tryToRefute } from "../../src/manager/control_runs.ts";
import { issueSpec } from "../../src/manager/issue_spec.ts";
import type { Candidate, ControlOrder, PreparedPlace, SeenCall } from "../../src/manager/ports.ts";
import { findFailures } from "../../src/oracle/find_failures.ts";
import type { ProgramEnd } from "../../src/oracle/failure.ts";
import type { FailureSignature } from "../../src/oracle/expected.ts";
import { issue } from "./fake_run.ts";

const signal = new AbortController().signal;
const PLACE = { project: "/clean", reproFile: "/clean/repro_candidate.py" };
const spec = await issueSpec(
  { ...issue, title: "half(5) is wrong", body: "`half(5)` returns `3` instead of `2`.\n" },
  { files: [], hasRef: () => Promise.resolve(false), findFailures },
);
const candidate = { script: "from pkg import half\nassert half(5) == 2" } as Candidate;
const signature = { runtime: "python", kind: "assertion" } as FailureSignature;

const failed: ProgramEnd = {
  exitCode: 1,
  signal: null,
  timedOut: false,
  stdout: "",
  stderr: "",
  hasWitness: true,
  script: candidate.script,
  witnessed: [{
    runtime: "python",
    pid: 1,
    type: "AssertionError",
    bases: ["Exception"],
    message: "",
    frames: [{ function: "<module>", file: PLACE.reproFile, line: 2 }],
    causes: [],
    projectCalls: 1,
  }],
};
const well: ProgramEnd = { ...failed, exitCode: 0, witnessed: [] };

/** Of values by their index: 0 is `2`, 1 is `3`. */
const call = (parts: Partial<SeenCall> = {}): SeenCall => ({
  name: "half",
  equals: [1],
  fits: [0],
  isStated: true,
  ...parts,
});

function placeOf(
  calls: readonly SeenCall[] | undefined,
  endOf: (control: ControlOrder | undefined) => ProgramEnd,
  orders: (ControlOrder | undefined)[] = [],
): PreparedPlace {
  return {
    run(_script, { control }) {
      orders.push(control);
      const results = calls && { functions: ["half"], calls };
      return Promise.resolve({ end: endOf(control), place: PLACE, durationMs: 1, executed: null, results });
    },
  } as PreparedPlace;
}

const mends = (replaced: number | "all", value: string) => ({ results }: ControlOrder = {}) => {
  const replace = results?.replace;
  const isIt = replace?.call === replaced && JSON.stringify(replace.value) === `{"number":"${value}"}`;
  return isIt ? well : failed;
};

Deno.test("a reproducer holds when it does not fail where the function gives what the issue wants", async () => {
  const orders: (ControlOrder | undefined)[] = [];
  deepEqual(await tryToRefute(candidate, placeOf([call()], mends(1, "2"), orders), { spec, signature, signal }), {
    kind: "held",
    reason: 'Where "half" gives 2 it does not fail',
  });
  deepEqual(orders.map((order) => order?.results?.replace), [null, { call: 1, value: { number: "2" } }]);
});

Deno.test("of several calls, it is enough that one of them or all give it", async () => {
  for (const replaced of ["all", 1, 2] as const) {
    const place = placeOf([call(), call()], mends(replaced, "2"));
    deepEqual((await tryToRefute(candidate, place, { spec, signature, signal })).kind, "held");
  }
});

Deno.test("a reproducer is refuted that fails all the same, or never calls the function, or calls it for something else", async () => {
  const tried = async (calls: readonly SeenCall[], endOf: () => ProgramEnd) => {
    const control = await tryToRefute(candidate, placeOf(calls, endOf), { spec, signature, signal });
    return control.kind === "refuted" ? control.reason : control.kind;
  };
  deepEqual(
    await tried([call()], () => failed),
    "It fails also where half gives what the issue says that it should",
  );
  deepEqual(await tried([], () => failed), "It does not call what the issue is about: half");
  let runs = 0;
  deepEqual(
    await tried([call({ isStated: false, equals: [] })], () => runs++ === 0 ? failed : well),
    'It calls "half" with other arguments than the issue does, and does not get the result that it tells',
  );
});

Deno.test("nothing is tried where nobody sees results, or they are of another kind than the issue's", async () => {
  for (const calls of [undefined, [call({ fits: [], equals: [] })]]) {
    deepEqual(await tryToRefute(candidate, placeOf(calls, () => failed), { spec, signature, signal }), {
      kind: "untried",
    });
  }
});

const GO = await issueSpec(issue, { files: [], hasRef: () => Promise.resolve(false), findFailures });

Deno.test("a runtime's report changes when it is asked to, and a printed one does not", async () => {
  const panicked = (stderr: string): ProgramEnd => ({
    ...failed,
    exitCode: 2,
    witnessed: [],
    hasWitness: false,
    stderr,
  });
  const report = "panic: x\n\ngoroutine 1 [running]:\nmain.main()\n\tm.go:4\n";
  const orders: (ControlOrder | undefined)[] = [];
  const go = { spec: GO, signature: { ...signature, runtime: "go", kind: "panic" } as FailureSignature, signal };
  const real = (control?: ControlOrder) =>
    panicked(control?.env?.GOTRACEBACK === undefined ? report : `${report}runtime.goexit()\n\tasm.s:5\n`);
  deepEqual((await tryToRefute(candidate, placeOf(undefined, real, orders), go)).kind, "held");
  deepEqual(orders, [undefined, { env: { GOTRACEBACK: { value: "system", isList: false } } }]);
  deepEqual(await tryToRefute(candidate, placeOf(undefined, () => panicked(report)), go), {
    kind: "refuted",
    reason: "The report may have been printed by the reproducer: it does not change with GOTRACEBACK",
  });
});
