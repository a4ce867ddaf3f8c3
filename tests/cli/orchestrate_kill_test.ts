/** 100 times `kill -9` of `gocore orchestrate`, at any moment: nothing is lost, nothing is done or paid twice. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents, type SessionLeft } from "../support/fake_agents.ts";
import { exists, submit } from "../support/gocore.ts";

const KILLS = 100;
/** Sessions at the same time. */
const LANES = 3;
const LONGEST_LIFE_MS = 1500;

const APPENDS = `
part=$(printf '%s\\n' "$PROMPT" | sed -n 's/^Part //p' | head -n 1)
sleep 0.1
echo "$part" >>"$part.txt"
case $part in *-b) ;; *) echo "$part" >>log.txt ;; esac
sleep 0.1
echo "wrote $part"
`;

Deno.test(`a coordinator that is killed ${KILLS} times does each task once, and counts each call`, async () => {
  let kills = 0;
  await Promise.all(Array.from({ length: LANES }, async () => {
    await using agents = await makeAgents();
    for (let session = 1; kills < KILLS; session++) {
      const lives: number[] = [];
      try {
        const end = await survive(agents, await startOf(agents, session), {
          session,
          life: () => kills < KILLS ? Math.random() * LONGEST_LIFE_MS : undefined,
          onKilled: (lifeMs) => {
            lives.push(Math.round(lifeMs));
            kills++;
          },
        });
        checkSession(end, session);
        await checkTarget(agents, session);
      } catch (error) {
        throw new Error(`Session ${session}, killed after ${lives.join(", ")} ms: ${error}`, { cause: error });
      }
    }
  }));
  ok(kills >= KILLS);
});

/** Starts a session, kills it and resumes it, until it comes to an end of its own. */
async function survive(agents: FakeAgents, args: readonly string[], { session, life, onKilled }: {
  readonly session: number;
  /** Milliseconds until it is killed; undefined: it is not. */
  life(): number | undefined;
  onKilled(lifeMs: number): void;
}): Promise<SessionLeft> {
  for (;;) {
    const run = await agents.start(await hasSession(agents, session) ? ["--resume", "last"] : args);
    const lifeMs = life();
    const timer = lifeMs === undefined ? undefined : setTimeout(() => run.kill("SIGKILL"), lifeMs);
    const { signal } = await run.end;
    clearTimeout(timer);
    if (signal === null) return await agents.ended(run);
    equal(signal, "SIGKILL");
    onKilled(lifeMs!);
    // It had all but exited.
    if (await hasSession(agents, session) && (await agents.read()).state.finish?.status === "done") {
      return await agents.left();
    }
  }
}

async function makeAgents(): Promise<FakeAgents> {
  const settings = "max_attempts = 50\n[orchestrate.reviews]\nreviewers = 1\n";
  const agents = await FakeAgents.create(["alpha", "beta"], { settings, others: ["mini"] });
  for (const agent of ["alpha", "beta"]) await agents.behave(agent, "task", APPENDS);
  return agents;
}

async function startOf(agents: FakeAgents, session: number): Promise<string[]> {
  const part = (name: string) => `s${session}-${name}`;
  const plan = await agents.plan([
    { id: "a", agent: "alpha", prompt: `Part ${part("a")}` },
    { id: "b", agent: "beta", prompt: `Part ${part("b")}` },
    { id: "c", agent: "beta", prompt: `Part ${part("c")}`, depends_on: ["a"] },
    { id: "d", agent: "alpha", prompt: `Part ${part("d")}`, depends_on: ["c"] },
    { id: "m", agent: "mini", prompt: "Write a file" },
  ]);
  const usage = { input: 1000, output: 100 };
  const script = await agents.sandbox.file(
    "script.yaml",
    JSON.stringify([
      { commands: [`echo ${session} > mini-${session}.txt`], usage },
      { ...submit(), usage },
    ]),
  );
  return ["Append lines", ...plan, "--script", script, "--model", "mini=openai/gpt-5-mini"];
}

/** Whether the session was begun before its supervisor was killed. */
async function hasSession(agents: FakeAgents, session: number): Promise<boolean> {
  let count = 0;
  if (!await exists(agents.workspace)) return false;
  for await (const { name } of Deno.readDir(agents.workspace)) {
    if (await exists(join(agents.workspace, name, "events.jsonl"))) count++;
  }
  return count === session;
}

function checkSession(end: SessionLeft, session: number): void {
  const { state, finished, log } = end;
  deepEqual([finished.status, finished.open], ["done", []]);
  deepEqual([...state.tasks.values()].map(({ status }) => status), ["done", "done", "done", "done", "done"]);
  deepEqual(
    [...state.tasks.values()].map(({ assignment, files }) => [assignment.id, [...files].sort()]),
    [
      ["a", ["log.txt", `s${session}-a.txt`]],
      ["b", [`s${session}-b.txt`]],
      ["c", ["log.txt", `s${session}-c.txt`]],
      ["d", ["log.txt", `s${session}-d.txt`]],
      ["m", [`mini-${session}.txt`]],
    ],
  );
  // What the ledger has of a worker, each time that it was read.
  const spent = new Map<string, number>();
  for (const { worker, known_usd } of dataOf(log, "spending.counted")) {
    ok(known_usd >= (spent.get(worker) ?? 0), `the spending of ${worker} fell to ${known_usd}`);
    spent.set(worker, known_usd);
  }
  ok(spent.get("mini")! > 0);
  equal(finished.cost_usd, [...spent.values()].reduce((sum, usd) => sum + usd, 0));
  const decided = dataOf(log, "decision.made").map(({ task }) => task).sort();
  deepEqual(decided, ["a", "b", "c", "d", "m"], "one decision for each task");
}

async function checkTarget(agents: FakeAgents, session: number): Promise<void> {
  const read = (name: string) => Deno.readTextFile(join(agents.target, name));
  for (const name of ["a", "b", "c", "d"]) equal(await read(`s${session}-${name}.txt`), `s${session}-${name}\n`);
  const lines = Array.from({ length: session }, (_, index) => ["a", "c", "d"].map((name) => `s${index + 1}-${name}\n`));
  equal(await read("log.txt"), lines.flat().join(""));
  equal(await read(`mini-${session}.txt`), `${session}\n`);
  equal(await agents.git("status", "--porcelain"), "");
}
