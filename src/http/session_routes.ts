/** The endpoints of orchestration sessions: those of the seed for the newest, and the same for any by its id. */
import type { Control } from "../orchestrate/ports.ts";
import { answerEvents, eventsQuery } from "./event_answer.ts";
import { type AppOptions, Refused, type SessionView } from "./ports.ts";
import { rawRoute, readRoute, type Route, type Schema, writeRoute } from "./route.ts";
import { diff, diffQuery, sessionIds, timeline, usage } from "./schemas.ts";
import {
  decisionRecords,
  planRecord,
  questionRecords,
  recoveryRecords,
  reviewRecords,
  sessionRecord,
  summaryRecord,
  workerRecords,
} from "./session_records.ts";
import {
  controlBodies,
  decisionList,
  plan,
  questionList,
  recoveryList,
  reviewList,
  sessionInfo,
  summary,
  takenControl,
  workerList,
} from "./session_schemas.ts";

const DEFAULT_NAME = "dashboard";
const CONTROLS = {
  pause: "Holds the session: workers stop where they are",
  resume: "Goes on after a pause",
  stop: "Ends the session; what was done is kept",
  review: "Asks for a review of one worker, or of all",
  answer: "Answers a question, or the oldest that is open",
} satisfies Record<Control["command"], string>;

export function sessionRoutes(options: AppOptions): Route[] {
  return [
    readRoute({
      path: "/api/orchestrations",
      summary: "The ids of all sessions, the oldest first",
      answer: sessionIds,
    }, () => {
      const sessions = options.library.ids("session");
      return { sessions, count: sessions.length };
    }),
    ...routesBelow("/api", "the newest session", options),
    ...routesBelow("/api/sessions/{id}", "a session", options),
  ];
}

function routesBelow(prefix: string, whose: string, options: AppOptions): Route[] {
  const { library, now } = options;
  /** Throws `Refused`. */
  const find = async (id: string): Promise<SessionView> => {
    const view = await library.session(id === "" ? undefined : id);
    if (view !== undefined) return view;
    throw new Refused(404, id === "" ? "There is no session yet" : `There is no session ${JSON.stringify(id)}`);
  };
  const summarise = (view: SessionView) => ({
    ...summaryRecord(view.state, now()),
    supervised: view.isSupervised(),
  });
  return [
    readRoute(
      { path: `${prefix}/session`, summary: `How ${whose} stands`, answer: sessionInfo },
      async ({ id }) => sessionRecord((await find(id)).state, now()),
    ),
    readRoute(
      { path: `${prefix}/workers`, summary: `The workers of ${whose}`, answer: workerList },
      async ({ id }) => workerRecords((await find(id)).state),
    ),
    readRoute(
      { path: `${prefix}/reviews`, summary: `The peer reviews of ${whose}`, answer: reviewList },
      async ({ id }) => reviewRecords((await find(id)).state),
    ),
    readRoute(
      { path: `${prefix}/decisions`, summary: `What was decided after reviews in ${whose}`, answer: decisionList },
      async ({ id }) => decisionRecords((await find(id)).state),
    ),
    readRoute(
      { path: `${prefix}/recovery`, summary: `What was done about failures in ${whose}`, answer: recoveryList },
      async ({ id }) => recoveryRecords((await find(id)).state),
    ),
    readRoute(
      { path: `${prefix}/questions`, summary: `What ${whose} asks people`, answer: questionList },
      async ({ id }) => questionRecords((await find(id)).state),
    ),
    readRoute(
      { path: `${prefix}/summary`, summary: `All of the above of ${whose}, with its tasks`, answer: summary },
      async ({ id }) => summarise(await find(id)),
    ),
    readRoute({ path: `${prefix}/plan`, summary: `The plan of ${whose}`, answer: plan }, async ({ id }) => {
      const record = planRecord((await find(id)).state);
      if (record === null) throw new Refused(404, "There is no plan yet");
      return record;
    }),
    readRoute(
      { path: `${prefix}/diff`, summary: `The changes so far in ${whose}`, query: diffQuery, answer: diff },
      async ({ id, query: { worker } }) => {
        const view = await find(id);
        if (worker !== undefined) requireWorker(view, worker);
        return await view.diff(worker);
      },
    ),
    readRoute(
      { path: `${prefix}/usage`, summary: `Cost and tokens of ${whose} over time`, answer: usage },
      async ({ id }) => await (await find(id)).usage(),
    ),
    readRoute(
      { path: `${prefix}/timeline`, summary: `What each worker of ${whose} did when`, answer: timeline },
      async ({ id }) => await (await find(id)).timeline(),
    ),
    rawRoute({
      path: `${prefix}/events/stream`,
      summary: `The events of ${whose}`,
      query: eventsQuery,
      answer: {
        media: ["text/event-stream"],
        description: "First a `snapshot`, which is the summary, then each event of the log, named by its type",
      },
    }, async ({ id, query, c }) => {
      const view = await find(id);
      return answerEvents(c, {
        streams: view.streams,
        snapshot: summarise(view),
        latest: view.state.seq - 1,
        query,
      });
    }),
    ...Object.keys(controlBodies).map((name) => {
      const command = name as Control["command"];
      return writeRoute({
        path: `${prefix}/control/${command}`,
        summary: `${CONTROLS[command]} (${whose})`,
        body: controlBodies[command] as Schema<ControlBody>,
        act: command,
        answer: takenControl,
        status: 202,
      }, async ({ id, body }) => await control(await find(id), command, body, now()));
    }),
  ];
}

interface ControlBody {
  readonly worker?: string | null;
  readonly text?: string | null;
  readonly question?: string | null;
  readonly by?: string | null;
}

async function control(view: SessionView, command: Control["command"], body: ControlBody, nowMs: number) {
  const { state } = view;
  const { worker, question } = body;
  if (state.finish !== null) throw new Refused(409, `The session has ended already: ${state.status}`);
  if (worker != null) requireWorker(view, worker);
  if (command === "answer") requireOpenQuestion(view, question ?? null);
  const id = `${nowMs}-${crypto.randomUUID().slice(0, 8)}`;
  await view.control({
    id,
    command,
    worker: worker ?? null,
    question: question ?? null,
    text: body.text ?? "",
    by: body.by ?? DEFAULT_NAME,
  });
  return { control: id, command };
}

function requireWorker({ state }: SessionView, worker: string): void {
  if (!state.workers.has(worker)) throw new Refused(404, `There is no worker ${JSON.stringify(worker)}`);
}

function requireOpenQuestion({ state }: SessionView, question: string | null): void {
  if (question !== null && !state.questions.has(question)) {
    throw new Refused(404, `There is no question ${JSON.stringify(question)}`);
  }
  const open = [...state.questions.values()].filter(({ answer }) => answer === null);
  if (!open.some(({ id }) => question === null || id === question)) {
    throw new Refused(
      409,
      question === null ? "There is no open question" : "The question has been answered already",
    );
  }
}
