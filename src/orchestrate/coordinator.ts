/** A session from its plan to its end: an event loop in which every next step follows from the state. */
import type { EventData } from "../events/event.ts";
import type { TaskBreakdown } from "../events/session_events.ts";
import { Failure, messageOf } from "../failure.ts";
import { finishSession } from "./finish.ts";
import { isHard, objectionTo, reviewQuestion } from "./next_step.ts";
import { defaultPlan, planPrompt, readPlanAnswer, readPlanFile, repairPlanPrompt } from "./plan.ts";
import type { Control, SessionPorts } from "./ports.ts";
import { reviewWork, type Trigger } from "./review_round.ts";
import { Runtime, SessionEnds } from "./runtime.ts";
import type { TaskState } from "./session.ts";
import { carryOut, change, chooseAgent, recover, runMended, waitForAnswer, workerName } from "./task_work.ts";
import { Watch } from "./watch.ts";

export interface Coordinator {
  /** To the session's end, as `session.finished` tells it. Never rejects. */
  run(): Promise<EventData<"session.finished">>;
  /** Carries a control out; one that has been carried out before is passed over. */
  readonly take: (control: Control) => void;
}

const HELD_BY_PERSON = "person";
const PLANNER = "planner";

export function createCoordinator(ports: SessionPorts): Coordinator {
  return new SessionCoordinator(ports);
}

class SessionCoordinator implements Coordinator {
  readonly #runtime: Runtime;
  readonly #watch: Watch;
  /** What goes on at the same time: tasks and reviews. */
  readonly #activities = new Set<Promise<void>>();
  /** Workers whose work is being looked at while they go on. */
  readonly #underReview = new Set<string>();
  /** What else was asked for meanwhile. */
  readonly #waitingReviews = new Map<string, WantedReview>();
  /** All work has ended: there is nothing to be reviewed any more. */
  #isFinishing = false;

  constructor(ports: SessionPorts) {
    this.#runtime = new Runtime(ports);
    this.#watch = new Watch(this.#runtime, {
      review: (worker, trigger, reason) => this.#reviewSoon(worker, trigger, reason),
      recover: (worker, cause, text) => {
        recover(this.#runtime, { worker, cause, text });
        const isMended = this.#runtime.state.recoveries.at(-1)?.outcome === "relaunched";
        this.#runtime.stopWorker(worker.name, "stop", `${isMended ? "it is mended" : "it cannot go on"}: ${text}`);
      },
    });
  }

  async run(): Promise<EventData<"session.finished">> {
    const runtime = this.#runtime;
    const { state } = runtime;
    try {
      this.#watch.start();
      if (state.plan === null) await this.#plan();
      const cutOff = [...state.tasks.values()].filter(({ status }) => status === "running");
      await this.#closeLeftovers();
      if (!runtime.isHeld) runtime.setStatus("running", "");
      for (const task of cutOff) this.#begin(task);
      await runtime.until(() => {
        this.#startWhatIsReady();
        return [...state.tasks.values()].every(isFinal) && this.#activities.size === 0 ? true : undefined;
      });
    } catch (error) {
      this.#fail(error);
    }
    await Promise.allSettled(this.#activities);
    this.#isFinishing = true;
    const finished = await finishSession(runtime, { onWorkerEvent: this.#watch.hear });
    this.#watch.stop();
    return finished;
  }

  readonly take = (control: Control): void => {
    const runtime = this.#runtime;
    const { state } = runtime;
    const { id, command, worker, text, by } = control;
    if (state.controls.has(id)) return;
    // The next supervisor takes it; a stop is what comes anyway, and would end what is resumed.
    if (runtime.ending !== undefined && command !== "stop") return;
    runtime.tell({ type: "control.received", data: { control: id, command, worker, text, by } });
    const because = text === "" ? "" : `: ${text}`;
    switch (command) {
      case "pause":
        return runtime.hold(HELD_BY_PERSON, { status: "paused", reason: `held by ${by}${because}` });
      case "resume":
        return runtime.release(HELD_BY_PERSON);
      case "stop":
        return runtime.end("stopped", `stopped by ${by}${because}`);
      case "review": {
        const names = worker === null
          ? [...state.workers.values()].filter(({ task }) => task !== null).map(({ name }) => name)
          : [worker];
        if (names.length === 0 || this.#isFinishing) {
          const content = `There is no work to be reviewed ${this.#isFinishing ? "any more" : "yet"}`;
          return runtime.tell({ type: "log", data: { level: "warning", content } });
        }
        for (const name of names) this.#reviewSoon(name, "manual", text === "" ? `asked for by ${by}` : text);
        return;
      }
      case "answer": {
        const open = [...state.questions.values()].find((one) =>
          one.answer === null && (control.question === null || one.id === control.question)
        );
        if (open === undefined) {
          const content = `Nobody has asked what "${by}" answered: ${text.slice(0, 200)}`;
          return runtime.tell({ type: "log", data: { level: "warning", content } });
        }
        return runtime.tell({ type: "question.answered", data: { question: open.id, answer: text, by } });
      }
    }
  };

  async #plan(): Promise<void> {
    const runtime = this.#runtime;
    const { settings, state, ports } = runtime;
    runtime.setStatus("planning", "");
    const agents = ports.launcher.ready();
    const { breakdown, note } = await this.#makePlan(agents);
    const shares = breakdown.assignments.map(({ agent, load }) => ({ agent: agent ?? agents[0]!, load }));
    await ports.writeFile("plan.json", JSON.stringify(breakdown, null, 2) + "\n");
    runtime.signal.throwIfAborted();
    runtime.tell({
      type: "plan.made",
      data: {
        breakdown,
        cost_cap_usd: settings.budgetUsd ?? null,
        cost_estimate_usd: await ports.estimateUsd(shares),
        note,
      },
    });
    if (state.tasks.size === 0) throw new Error("A plan without tasks");
  }

  async #makePlan(agents: readonly string[]): Promise<{ breakdown: TaskBreakdown; note: string }> {
    const { settings, ports } = this.#runtime;
    const { task, plan, weights } = settings;
    const byRoles = () => defaultPlan(task, { agents, weights });
    if (plan.kind === "default") return { breakdown: byRoles(), note: "the default roles" };
    if (plan.kind === "file") {
      const text = await ports.readFile(plan.path);
      return { breakdown: readPlanFile(text ?? "", plan.path, { task, agents }), note: `from ${plan.path}` };
    }
    const prompt = planPrompt(task, { agents, files: await ports.listFiles() });
    let problem = "";
    for (let attempt = 1; attempt <= 2; attempt++) {
      const text = problem === "" ? prompt : `${prompt}\n\n${repairPlanPrompt(problem)}`;
      const exit = await this.#askPlanner(agents[0]!, text);
      if (exit.outcome !== "completed") {
        problem = exit.text;
        break;
      }
      const read = readPlanAnswer(exit.text, { task, agents });
      if (read.kind === "plan") return { breakdown: read.breakdown, note: `by ${agents[0]}` };
      problem = read.problem;
    }
    return { breakdown: byRoles(), note: `the default roles, because the planner gave no plan: ${problem}` };
  }

  /** An agent that looks at the repository, and changes nothing. */
  #askPlanner(agent: string, prompt: string): Promise<EventData<"worker.exited">> {
    const runtime = this.#runtime;
    return runMended(runtime, {
      worker: PLANNER,
      agent,
      task: null,
      review: null,
      prompt,
      workdir: runtime.settings.target,
      branch: null,
      readOnly: true,
      resume: null,
      usedBefore: undefined,
    }, () => {});
  }

  /** Ends what a former supervisor had begun besides tasks: their workers are looked for by name, reviews go on. */
  async #closeLeftovers(): Promise<void> {
    const runtime = this.#runtime;
    const { state } = runtime;
    for (const review of state.reviews.values()) {
      const { id, decision, trigger, worker, reason } = review;
      if (trigger === "completion") continue;
      if (decision === null) this.#reviewSoon(worker, trigger, reason, id);
      else if (isHard(decision) && ![...state.questions.values()].some((one) => one.decision === decision.id)) {
        this.#go(this.#obey(worker, decision.id, decision.action === "STOP_AND_ESCALATE"));
      }
    }
    for (const { name, exit, review, task } of state.workers.values()) {
      if (exit === null && review === null && task === null) await runtime.adopt(name, () => {}, { isWanted: false });
    }
    for (const question of state.questions.values()) if (question.answer === null) this.#hold(question);
  }

  #startWhatIsReady(): void {
    const runtime = this.#runtime;
    const { state, settings } = runtime;
    if (runtime.isHeld || runtime.ending !== undefined) return;
    let busy = [...state.tasks.values()].filter(({ status }) => status === "running").length;
    for (const task of state.tasks.values()) {
      if (busy >= settings.concurrency) return;
      if (task.status !== "pending") continue;
      if (!task.assignment.depends_on.every((id) => isFinal(state.tasks.get(id)!))) continue;
      const agent = chooseAgent(runtime, task, new Set());
      if (agent === undefined) {
        change(runtime, task, { status: "failed", reason: "there is no agent for it" });
        continue;
      }
      change(runtime, task, {
        status: "running",
        worker: workerName(runtime, agent),
        agent,
        reason: `given to ${agent}`,
      });
      this.#begin(task);
      busy++;
    }
  }

  #begin(task: TaskState): void {
    const runtime = this.#runtime;
    this.#go(carryOut(runtime, task.assignment.id, {
      reviewCompletion: async (of, worker, review) => {
        const reason = of.assignment.title;
        await reviewWork(runtime, { worker, trigger: "completion", reason, ...(review && { review }) });
      },
      onWorkerEvent: this.#watch.hear,
    }));
  }

  /** A review while its worker goes on; not two of one worker at once. */
  #reviewSoon(name: string, trigger: Trigger, reason: string, id?: string): void {
    const runtime = this.#runtime;
    const worker = runtime.state.workers.get(name);
    if (worker === undefined || worker.task === null) return;
    if (!runtime.settings.reviews.enabled && trigger !== "manual") return;
    if (this.#underReview.has(name)) {
      // Silence is over as soon as somebody looks.
      if (trigger !== "silence") {
        this.#waitingReviews.set(name, moreUrgent(this.#waitingReviews.get(name), { trigger, reason }));
      }
      return;
    }
    this.#underReview.add(name);
    const review = id === undefined ? undefined : runtime.state.reviews.get(id);
    this.#go((async () => {
      try {
        const decision = await reviewWork(runtime, { worker, trigger, reason, ...(review && { review }) });
        if (decision.action === "LOG_WARNING") this.#watch.recheck(name);
        if (isHard(decision)) {
          await this.#obey(name, decision.id, decision.action === "STOP_AND_ESCALATE");
        }
      } finally {
        this.#underReview.delete(name);
        const next = this.#waitingReviews.get(name);
        this.#waitingReviews.delete(name);
        // What has ended meanwhile is reviewed as a whole.
        const isAtWork = worker.exit === null && runtime.ending === undefined;
        if (next !== undefined && isAtWork) this.#reviewSoon(name, next.trigger, next.reason);
      }
    })());
  }

  /** A hard decision on work in progress: everybody is held until the answer, which the author goes on with. */
  async #obey(name: string, decision: string, stops: boolean): Promise<void> {
    const runtime = this.#runtime;
    const { state } = runtime;
    const worker = state.workers.get(name)!;
    const review = [...state.reviews.values()].find((one) => one.decision?.id === decision)!;
    // It has gone on to another attempt, which will be reviewed as well.
    if (review.revision !== worker.launch.attempt) return;
    if (worker.exit?.outcome === "completed") {
      const task = state.tasks.get(worker.task!)!;
      if (task.worker !== name || task.status !== "done" || objectionTo(state, worker) !== review) return;
      change(runtime, task, { status: "running", reason: `${review.id} found that it is not done` });
      return this.#begin(task);
    }
    if (worker.exit !== null && worker.exit.outcome !== "stopped") return;
    const asked = () => [...state.questions.values()].find((one) => one.decision === decision);
    // Its task may have been faster.
    if (asked() === undefined) {
      const question = `q${state.questions.size + 1}`;
      const text = reviewQuestion(review);
      runtime.tell({ type: "question.asked", data: { question, text, worker: name, task: worker.task, decision } });
    }
    await waitForAnswer(runtime, asked()!, { stops });
    // Its task goes on from here with the answer.
    runtime.stopWorker(name, "stop", "it goes on with an answer");
  }

  #hold(
    question: { readonly id: string; readonly text: string; readonly askedAt: string; readonly worker: string | null },
  ) {
    const runtime = this.#runtime;
    this.#go((async () => {
      await waitForAnswer(runtime, question, { stops: false });
      if (question.worker !== null) runtime.stopWorker(question.worker, "stop", "it goes on with an answer");
    })());
  }

  #go(activity: Promise<void>): void {
    const ended = activity.catch((error) => this.#fail(error)).finally(() => {
      this.#activities.delete(ended);
      this.#runtime.notice();
    });
    this.#activities.add(ended);
  }

  #fail(error: unknown): void {
    if (error instanceof SessionEnds || this.#runtime.ending !== undefined) return;
    this.#runtime.tell({
      type: "error",
      data: {
        error: messageOf(error),
        type: error instanceof Error ? error.name : "Error",
        traceback: error instanceof Error ? error.stack ?? "" : "",
        hints: error instanceof Failure ? [...error.hints] : [],
      },
    });
    this.#runtime.end("failed", messageOf(error));
  }
}

function isFinal({ status }: TaskState): boolean {
  return status === "done" || status === "failed" || status === "skipped";
}

interface WantedReview {
  readonly trigger: Trigger;
  readonly reason: string;
}

const URGENCY: readonly Trigger[] = ["blocker", "manual", "request", "milestone", "recheck"];

/** One more review answers all that was asked for while one was under way. */
function moreUrgent(waiting: WantedReview | undefined, wanted: WantedReview): WantedReview {
  if (waiting === undefined) return wanted;
  return URGENCY.indexOf(wanted.trigger) <= URGENCY.indexOf(waiting.trigger) ? wanted : waiting;
}
