/** How a task is divided: the seed's three roles, a plan that a model writes, or one that a person gives. */
import * as z from "zod/mini";
import { jsonObjects } from "../events/json_objects.ts";
import type { TaskAssignment, TaskBreakdown } from "../events/session_events.ts";
import { Failure } from "../failure.ts";
import { fenced, oneLine } from "../templates/fenced.ts";
import { MAX_TASK_BYTES } from "./review.ts";

interface Role {
  readonly id: string;
  readonly title: string;
  readonly role: string;
  /** Who is best at it, first the seed's own choice. */
  readonly preferred: readonly string[];
  readonly load: number;
  readonly writes: boolean;
  readonly dependsOn: readonly string[];
  readonly prompt: string;
}

/** The seed's, with its load shares: two heavy, one minimal. */
const ROLES: readonly Role[] = [
  {
    id: "implementation",
    title: "Implement the task",
    role: "implementer",
    preferred: ["claude", "codex", "gemini", "mini"],
    load: 0.45,
    writes: true,
    dependsOn: ["architecture"],
    prompt:
      "You are the implementer. Carry out the whole task in this repository: code, tests where the repository has " +
      "tests, and the documentation that the change makes untrue. Run what checks the repository has.",
  },
  {
    id: "architecture",
    title: "Design the solution",
    role: "architect",
    preferred: ["gemini", "claude", "codex", "mini"],
    load: 0.45,
    writes: false,
    dependsOn: [],
    prompt:
      "You are the architect. Read what the task touches and design its solution: which files and functions change " +
      "and how, interfaces, edge cases, risks, and how to verify it. Change no file. Your final message is the design; " +
      "the implementer gets it word for word, so make it short, exact and complete.",
  },
  {
    id: "problem_solving",
    title: "Find problems and solve them",
    role: "problem solver and reviewer",
    preferred: ["codex", "claude", "gemini", "mini"],
    load: 0.1,
    writes: true,
    dependsOn: ["implementation"],
    prompt:
      "You are the problem solver and reviewer. The implementer's work is in the current folder. Try it: run the " +
      "tests, look for wrong behaviour, missing cases and broken callers, and mend what is clearly wrong with the " +
      "smallest change. Change nothing that is right. Say what you checked and what you changed.",
  },
];

const WITH_ARCHITECT = "Follow the architect's design where it is sound, and say where you left it.";

export interface PlanOptions {
  /** Who can work, in the order of preference. */
  readonly agents: readonly string[];
  /** By agent; who is not named weighs 1. The heavier gets the role with the heavier load. */
  readonly weights: Readonly<Record<string, number>>;
}

/** Architect, implementer, problem solver; with one agent alone the implementer does it all. */
export function defaultPlan(task: string, { agents, weights }: PlanOptions): TaskBreakdown {
  if (agents.length === 0) throw new RangeError("Cannot plan without agents");
  const free = new Set(agents);
  const taken = new Map<string, string>();
  for (const role of ROLES) {
    const candidates = role.preferred.filter((agent) => free.has(agent));
    const others = agents.filter((agent) => free.has(agent) && !role.preferred.includes(agent));
    // Equal weights leave the seed's choice as it is: sorting is stable.
    const [chosen] = [...candidates, ...others].sort((a, b) => weightOf(b, weights) - weightOf(a, weights));
    if (chosen === undefined) continue;
    taken.set(role.id, chosen);
    free.delete(chosen);
  }
  const assignments = ROLES.filter(({ id }) => taken.has(id)).map((role): TaskAssignment => ({
    id: role.id,
    title: role.title,
    role: role.role,
    agent: taken.get(role.id)!,
    prompt: role.id === "implementation" && taken.has("architecture")
      ? `${role.prompt} ${WITH_ARCHITECT}`
      : role.prompt,
    depends_on: role.dependsOn.filter((id) => taken.has(id)),
    writes: role.writes,
    load: role.load,
  }));
  return { task, source: "default", assignments: inOrder(withShares(assignments)) };
}

const MAX_TASKS = 16;
/** In bytes: with the task and results it has to fit into one argument of a program. */
const MAX_PROMPT = 20_000;

const text = (max: number) => {
  const message = `need a text of 1 to ${max} characters`;
  return z.string(message).check(z.trim(), z.minLength(1, message), z.maxLength(max, message));
};
const id = z.string("need a text").check(
  z.regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/, "need at most 40 letters, digits, `-` and `_`"),
  // The branch of the result, and the refs of reviews, are called so.
  z.refine((value) => !/^(?:result|r\d+)$/i.test(value), "need another name: `result` and `r1` are taken"),
);

const planSchema = z.object({
  assignments: z.array(
    z.object({
      id,
      title: text(200),
      role: z.optional(z.string("need a text").check(z.maxLength(100, "need at most 100 characters"))),
      agent: z.optional(z.nullable(z.string("need the name of an agent, or null"))),
      prompt: text(MAX_PROMPT).check(
        z.refine((value) => new TextEncoder().encode(value).length <= MAX_PROMPT, `need at most ${MAX_PROMPT} bytes`),
      ),
      depends_on: z.optional(z.array(id, "need a list of ids").check(z.maxLength(100, "need fewer"))),
      writes: z.optional(z.boolean("need true or false")),
      load: z.optional(z.number("need a number").check(z.nonnegative("need a number that is not below 0"))),
    }, "need an object"),
    "need a list",
  ).check(
    z.minLength(1, "need at least one assignment"),
    z.maxLength(MAX_TASKS, `need at most ${MAX_TASKS} assignments`),
  ),
}, "need an object");

export type ReadPlan =
  | { readonly kind: "plan"; readonly breakdown: TaskBreakdown }
  | { readonly kind: "wrong"; readonly problem: string };

/** Checks a plan: its shape, that ids are unique, that agents are there and dependencies lead to an order. */
export function readPlan(value: unknown, options: {
  readonly task: string;
  readonly source: "auto" | "file";
  readonly agents: readonly string[];
}): ReadPlan {
  const { task, source, agents } = options;
  const wrong = (problem: string): ReadPlan => ({ kind: "wrong", problem });
  const parsed = planSchema.safeParse(value);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    return wrong(path.length === 0 ? message : `${pathText(path)}: ${message}`);
  }
  const listed = parsed.data.assignments;
  const ids = new Set<string>();
  for (const [index, { id, agent, depends_on = [] }] of listed.entries()) {
    const place = `assignments[${index}]`;
    if (ids.has(id)) return wrong(`${place}.id: "${id}" is there twice`);
    ids.add(id);
    if (agent !== undefined && agent !== null && !agents.includes(agent)) {
      return wrong(`${place}.agent: found "${oneLine(agent).slice(0, 50)}", need one of ${agents.join(", ")}, or null`);
    }
    if (depends_on.includes(id)) return wrong(`${place}.depends_on: "${id}" depends on itself`);
  }
  for (const [index, { depends_on = [] }] of listed.entries()) {
    const missing = depends_on.find((id) => !ids.has(id));
    if (missing !== undefined) return wrong(`assignments[${index}].depends_on: there is no assignment "${missing}"`);
  }
  const assignments = withShares(listed.map((one): TaskAssignment => ({
    id: one.id,
    title: oneLine(one.title) || one.id,
    role: oneLine(one.role ?? "") || "worker",
    agent: one.agent ?? null,
    prompt: one.prompt.replaceAll("\0", " "),
    depends_on: [...new Set(one.depends_on)],
    writes: one.writes ?? true,
    load: one.load ?? 1 / listed.length,
  })));
  const ordered = inOrder(assignments);
  if (ordered.length < assignments.length) {
    const left = assignments.filter((one) => !ordered.includes(one)).map(({ id }) => id);
    return wrong(`assignments: ${left.join(", ")} wait for each other`);
  }
  return { kind: "plan", breakdown: { task, source, assignments: ordered } };
}

/** Throws a usage `Failure` when the text is no plan. */
export function readPlanFile(text: string, path: string, options: {
  readonly task: string;
  readonly agents: readonly string[];
}): TaskBreakdown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Failure("usage", `Cannot read the plan "${path}": need JSON`, { hints: [`Check it: jq . ${path}`] });
  }
  const read = readPlan(value, { ...options, source: "file" });
  if (read.kind === "plan") return read.breakdown;
  throw new Failure("usage", `Cannot read the plan "${path}": ${read.problem}`, { hints: [`A plan: ${EXAMPLE}`] });
}

const EXAMPLE = '{"assignments": [{"id": "api", "title": "…", "agent": "claude", "prompt": "…", "depends_on": []}]}';

const MAX_FILES_BYTES = 20_000;

/** Asks a model to divide the task. */
export function planPrompt(task: string, { agents, files }: {
  readonly agents: readonly string[];
  /** Some of the repository's files, for orientation. */
  readonly files: readonly string[];
}): string {
  return [
    "Divide a software-engineering task among coding agents that work at the same time, each in its own copy of the " +
    "repository; their branches are merged in the end. Few, whole pieces are better than many; pieces that run at the " +
    "same time must not change the same lines. A piece that needs another's result depends on it.",
    fenced("task", task, { maxBytes: MAX_TASK_BYTES }),
    fenced("files of the repository", files.slice(0, 500).map(oneLine).join("\n"), { maxBytes: MAX_FILES_BYTES }),
    `Agents: ${agents.join(", ")}. At most 6 assignments. Each prompt has to say all that its agent needs to know.`,
    "Answer with one JSON object in this shape and nothing else:\n" +
    '{"assignments": [{"id": "letters-and-digits", "title": "…", "role": "…", "agent": "one of the agents, or null for ' +
    'whoever is free", "prompt": "…", "depends_on": ["ids"], "writes": true, "load": 0.4}]}',
  ].join("\n\n");
}

export function repairPlanPrompt(problem: string): string {
  return `This is not a plan that can be used: ${problem}. Answer with one JSON object in the shape that was asked for, ` +
    "and nothing else.";
}

/** The plan in a model's answer. */
export function readPlanAnswer(text: string, options: {
  readonly task: string;
  readonly agents: readonly string[];
}): ReadPlan {
  const object = jsonObjects(text).findLast((candidate) => "assignments" in candidate);
  if (object === undefined) return { kind: "wrong", problem: 'found no JSON object with "assignments"' };
  return readPlan(object, { ...options, source: "auto" });
}

/** Loads become shares of the whole, to the percent. */
function withShares(assignments: readonly TaskAssignment[]): TaskAssignment[] {
  const sum = assignments.reduce((total, { load }) => total + load, 0);
  const shareOf = (load: number) => sum > 0 && sum < Infinity ? load / sum : 1 / assignments.length;
  return assignments.map((one) => ({ ...one, load: Math.round(shareOf(one.load) * 100) / 100 }));
}

/** Each after those that it depends on; who waits in a circle is left out. */
function inOrder(assignments: readonly TaskAssignment[]): TaskAssignment[] {
  const ordered: TaskAssignment[] = [];
  const done = new Set<string>();
  for (let added = true; added;) {
    added = false;
    for (const one of assignments) {
      if (done.has(one.id) || !one.depends_on.every((id) => done.has(id))) continue;
      ordered.push(one);
      done.add(one.id);
      added = true;
    }
  }
  return ordered;
}

function weightOf(agent: string, weights: Readonly<Record<string, number>>): number {
  return Object.hasOwn(weights, agent) ? weights[agent]! : 1;
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => typeof part === "number" ? `${text}[${part}]` : `${text}${text === "" ? "" : "."}${String(part)}`,
    "",
  );
}
