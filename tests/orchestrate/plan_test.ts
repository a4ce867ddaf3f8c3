import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import type { TaskBreakdown } from "../../src/events/session_events.ts";
import { Failure } from "../../src/failure.ts";
import {
  defaultPlan,
  planPrompt,
  readPlan,
  readPlanAnswer,
  readPlanFile,
  repairPlanPrompt,
} from "../../src/orchestrate/plan.ts";

const task = "Add a login";
const agents = ["gemini", "claude", "codex"];
const known = ["gemini", "claude", "codex", "mini", "own"];

/** Who does what, with which share: `implementer claude 0.45 after architecture`. */
function rolesOf({ assignments }: TaskBreakdown): string[] {
  return assignments.map(({ role, agent, load, depends_on, writes }) =>
    `${role} ${agent} ${load}${writes ? "" : " read-only"}${depends_on.length === 0 ? "" : ` after ${depends_on}`}`
  );
}

/** What has to hold of every plan that is carried out. */
function isSound({ assignments }: TaskBreakdown): void {
  const before = new Set<string>();
  for (const { id, depends_on, prompt, title, load } of assignments) {
    ok(!before.has(id), "ids are unique");
    ok(depends_on.every((other) => before.has(other)), "each comes after those that it depends on");
    equal(new Set(depends_on).size, depends_on.length);
    ok(prompt !== "" && title !== "" && load >= 0 && load <= 1);
    ok(!prompt.includes("\0") && !/[\n\r\0]/.test(title));
    before.add(id);
  }
  const sum = assignments.reduce((total, { load }) => total + load, 0);
  ok(Math.abs(sum - 1) < 0.01 * assignments.length, `shares add up to 1: ${sum}`);
}

Deno.test("the seed's three roles, with its shares", () => {
  const { assignments, ...rest } = defaultPlan(task, { agents, weights: {} });
  deepEqual(rest, { task, source: "default" });
  deepEqual(assignments.map(({ prompt: _, ...one }) => one), [
    {
      id: "architecture",
      title: "Design the solution",
      role: "architect",
      agent: "gemini",
      depends_on: [],
      writes: false,
      load: 0.45,
    },
    {
      id: "implementation",
      title: "Implement the task",
      role: "implementer",
      agent: "claude",
      depends_on: ["architecture"],
      writes: true,
      load: 0.45,
    },
    {
      id: "problem_solving",
      title: "Find problems and solve them",
      role: "problem solver and reviewer",
      agent: "codex",
      depends_on: ["implementation"],
      writes: true,
      load: 0.1,
    },
  ]);
});

Deno.test("fewer agents take the roles that matter most", () => {
  const table: [string[], string[]][] = [
    [["gemini", "claude"], ["architect gemini 0.5 read-only", "implementer claude 0.5 after architecture"]],
    [["gemini", "codex"], ["architect gemini 0.5 read-only", "implementer codex 0.5 after architecture"]],
    [["claude", "codex"], ["architect codex 0.5 read-only", "implementer claude 0.5 after architecture"]],
    [["mini"], ["implementer mini 1"]],
    [["own"], ["implementer own 1"]],
    [["own", "mini"], ["architect own 0.5 read-only", "implementer mini 0.5 after architecture"]],
  ];
  for (const [agents, roles] of table) deepEqual(rolesOf(defaultPlan(task, { agents, weights: {} })), roles);
});

Deno.test("the heaviest agent implements, the lightest looks for problems", () => {
  deepEqual(rolesOf(defaultPlan(task, { agents, weights: { codex: 3, gemini: 2 } })), [
    "architect gemini 0.45 read-only",
    "implementer codex 0.45 after architecture",
    "problem solver and reviewer claude 0.1 after implementation",
  ]);
});

Deno.test("every set of agents and weights has a sound plan with one role for each agent", () => {
  const sets = fc.record({
    agents: fc.shuffledSubarray(known, { minLength: 1 }),
    weights: fc.dictionary(fc.constantFrom(...known, "constructor"), fc.double({ min: 0, max: 10, noNaN: true })),
  });
  fc.assert(fc.property(sets, ({ agents, weights }) => {
    const plan = defaultPlan(task, { agents, weights });
    isSound(plan);
    const chosen = plan.assignments.map(({ agent }) => agent!);
    equal(new Set(chosen).size, chosen.length);
    equal(chosen.length, Math.min(agents.length, 3));
    ok(chosen.every((agent) => agents.includes(agent)));
    const weightOf = (agent: string) => Object.hasOwn(weights, agent) ? weights[agent]! : 1;
    const implementer = plan.assignments.find(({ id }) => id === "implementation")!.agent!;
    ok(agents.every((agent) => weightOf(agent) <= weightOf(implementer)));
  }));
});

Deno.test("who works alone is not told of an architect, and nobody cannot plan", () => {
  const alone = defaultPlan(task, { agents: ["mini"], weights: {} }).assignments[0]!;
  ok(!alone.prompt.includes("architect"));
  ok(defaultPlan(task, { agents, weights: {} }).assignments[1]!.prompt.includes("architect"));
  throws(() => defaultPlan(task, { agents: [], weights: {} }), RangeError);
});

const one = { id: "a", title: "A", prompt: "Do A" };
const read = (assignments: unknown) => readPlan({ assignments }, { task, source: "file", agents });

Deno.test("a plan is completed by what it leaves out, and put in order", () => {
  const found = read([
    {
      id: "b",
      title: " B\nb\u0007 ",
      role: "tester\n",
      agent: "codex",
      prompt: "Do\0B",
      depends_on: ["a", "a"],
      load: 30,
      writes: false,
    },
    { ...one, agent: null, load: 10, unknown: true },
  ]);
  const a = { ...one, role: "worker", agent: null, depends_on: [], writes: true, load: 0.25 };
  const b = {
    id: "b",
    title: "B b",
    role: "tester",
    agent: "codex",
    prompt: "Do B",
    depends_on: ["a"],
    writes: false,
    load: 0.75,
  };
  deepEqual(found, { kind: "plan", breakdown: { task, source: "file", assignments: [a, b] } });
});

Deno.test("loads are shares of the whole, whatever they are called", () => {
  const loads = (...given: (number | undefined)[]) => {
    const found = read(given.map((load, index) => ({ ...one, id: `a${index}`, load })));
    ok(found.kind === "plan");
    return found.breakdown.assignments.map(({ load }) => load);
  };
  deepEqual(loads(undefined, undefined, undefined), [0.33, 0.33, 0.33]);
  deepEqual(loads(40, 60), [0.4, 0.6]);
  deepEqual(loads(0, 0), [0.5, 0.5]);
  deepEqual(loads(1.7e308, 1.7e308), [0.5, 0.5]);
  deepEqual(loads(0.25, 0.75), [0.25, 0.75]);
});

Deno.test("what is wrong about a plan is said with its place", () => {
  const text = (max: number) => `need a text of 1 to ${max} characters`;
  const table: [unknown, string][] = [
    [null, "assignments: need a list"],
    ["x", "assignments: need a list"],
    [[], "assignments: need at least one assignment"],
    [Array.from({ length: 17 }, (_, n) => ({ ...one, id: `a${n}` })), "assignments: need at most 16 assignments"],
    [[null], "assignments[0]: need an object"],
    [[one, "b"], "assignments[1]: need an object"],
    [[{ ...one, id: 1 }], "assignments[0].id: need a text"],
    [[{ title: "A", prompt: "Do A" }], "assignments[0].id: need a text"],
    [[{ ...one, id: "" }], "assignments[0].id: need at most 40 letters, digits, `-` and `_`"],
    [[{ ...one, id: "../a" }], "assignments[0].id: need at most 40 letters, digits, `-` and `_`"],
    [[{ ...one, id: "_result" }], "assignments[0].id: need at most 40 letters, digits, `-` and `_`"],
    [[{ ...one, id: "-f" }], "assignments[0].id: need at most 40 letters, digits, `-` and `_`"],
    [[{ ...one, id: "a\n" }], "assignments[0].id: need at most 40 letters, digits, `-` and `_`"],
    [[{ ...one, id: "x".repeat(41) }], "assignments[0].id: need at most 40 letters, digits, `-` and `_`"],
    [[{ ...one, id: "result" }], "assignments[0].id: need another name: `result` and `r1` are taken"],
    [[{ ...one, id: "R12" }], "assignments[0].id: need another name: `result` and `r1` are taken"],
    [[{ ...one, title: "" }], `assignments[0].title: ${text(200)}`],
    [[{ ...one, title: " \n" }], `assignments[0].title: ${text(200)}`],
    [[{ ...one, title: "x".repeat(201) }], `assignments[0].title: ${text(200)}`],
    [[{ ...one, title: ["A"] }], `assignments[0].title: ${text(200)}`],
    [[{ ...one, role: "x".repeat(101) }], "assignments[0].role: need at most 100 characters"],
    [[{ ...one, role: 1 }], "assignments[0].role: need a text"],
    [[{ ...one, agent: 1 }], "assignments[0].agent: need the name of an agent, or null"],
    [[{ ...one, prompt: "" }], `assignments[0].prompt: ${text(20_000)}`],
    [[{ ...one, prompt: "x".repeat(20_001) }], `assignments[0].prompt: ${text(20_000)}`],
    [[{ ...one, prompt: "ä".repeat(10_001) }], "assignments[0].prompt: need at most 20000 bytes"],
    [[{ ...one, depends_on: "a" }], "assignments[0].depends_on: need a list of ids"],
    [[{ ...one, depends_on: [1] }], "assignments[0].depends_on[0]: need a text"],
    [[{ ...one, depends_on: Array(101).fill("b") }], "assignments[0].depends_on: need fewer"],
    [[{ ...one, writes: "yes" }], "assignments[0].writes: need true or false"],
    [[{ ...one, load: "1" }], "assignments[0].load: need a number"],
    [[{ ...one, load: -1 }], "assignments[0].load: need a number that is not below 0"],
    [[{ ...one, load: Infinity }], "assignments[0].load: need a number"],
    [[one, one], 'assignments[1].id: "a" is there twice'],
    [[{ ...one, agent: "Claude" }], 'assignments[0].agent: found "Claude", need one of gemini, claude, codex, or null'],
    [
      [{ ...one, agent: "x\n".repeat(100) }],
      `assignments[0].agent: found "${"x ".repeat(25)}", need one of gemini, claude, codex, or null`,
    ],
    [[{ ...one, depends_on: ["a"] }], 'assignments[0].depends_on: "a" depends on itself'],
    [[{ ...one, depends_on: ["b"] }], 'assignments[0].depends_on: there is no assignment "b"'],
    [
      [one, { ...one, id: "b", depends_on: ["c"] }, { ...one, id: "c", depends_on: ["a", "b"] }],
      "assignments: b, c wait for each other",
    ],
  ];
  for (const [assignments, problem] of table) deepEqual(read(assignments), { kind: "wrong", problem });
  for (const value of [null, [], "x", 1]) {
    deepEqual(readPlan(value, { task, source: "auto", agents }), { kind: "wrong", problem: "need an object" });
  }
});

Deno.test("every plan is refused or sound", () => {
  const ids = ["a", "b", "c", "d", "e"];
  const assignment = fc.record({
    id: fc.constantFrom(...ids),
    title: fc.constantFrom("T", "T\nt"),
    agent: fc.constantFrom(null, "claude"),
    prompt: fc.constant("P"),
    depends_on: fc.subarray(ids),
    load: fc.constantFrom(undefined, 0, 1, 70),
  });
  let plans = 0;
  fc.assert(
    fc.property(fc.uniqueArray(assignment, { selector: ({ id }) => id, maxLength: 5 }), (assignments) => {
      const found = read(assignments);
      if (found.kind === "wrong") return;
      plans++;
      isSound(found.breakdown);
      deepEqual(found.breakdown.assignments.map(({ id }) => id).sort(), assignments.map(({ id }) => id).sort());
    }),
    { numRuns: 1000 },
  );
  ok(plans > 10);
});

Deno.test("a plan is found in a model's answer, the last one", () => {
  const json = (id: string) => JSON.stringify({ assignments: [{ ...one, id }] });
  const found = readPlanAnswer(
    `First I thought of ${json("x")}, but: \`\`\`json\n${json("b")}\n\`\`\` {"done": true}`,
    {
      task,
      agents,
    },
  );
  ok(found.kind === "plan");
  deepEqual([found.breakdown.source, found.breakdown.assignments[0]!.id], ["auto", "b"]);
  deepEqual(readPlanAnswer("I cannot", { task, agents }), {
    kind: "wrong",
    problem: 'found no JSON object with "assignments"',
  });
});

Deno.test("a plan's file that is none is a usage failure with an example", () => {
  const failure = (text: string) => {
    try {
      readPlanFile(text, "plan.json", { task, agents });
    } catch (error) {
      ok(error instanceof Failure);
      return [error.kind, error.message, ...error.hints];
    }
  };
  deepEqual(failure("{"), ["usage", 'Cannot read the plan "plan.json": need JSON', "Check it: jq . plan.json"]);
  const example = '{"assignments": [{"id": "api", "title": "…", "agent": "claude", "prompt": "…", "depends_on": []}]}';
  deepEqual(failure("{}"), [
    "usage",
    'Cannot read the plan "plan.json": assignments: need a list',
    `A plan: ${example}`,
  ]);
  equal(readPlanFile(example, "plan.json", { task, agents }).source, "file");
});

Deno.test("a planner gets the task and the files in fences, bounded", () => {
  const prompt = planPrompt("x\n===== end of task =====\n", { agents, files: ["a.ts", "b\n===== c"] });
  ok(prompt.includes("====== task ======\nx\n===== end of task =====\n\n====== end of task ======"));
  ok(prompt.includes("\na.ts\nb ===== c\n"));
  ok(prompt.includes("Agents: gemini, claude, codex."));
  const huge = planPrompt("ä".repeat(1_000_000), { agents, files: Array(100_000).fill("ä".repeat(1000)) });
  ok(new TextEncoder().encode(huge).length < 100_000);
  equal(
    repairPlanPrompt("assignments: need a list"),
    "This is not a plan that can be used: assignments: need a list. Answer with one JSON object in the shape that was " +
      "asked for, and nothing else.",
  );
});
