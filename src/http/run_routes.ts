/** The endpoints of manager runs: the seed's, and what its page shows. */
import { answerEvents, eventsQuery } from "./event_answer.ts";
import { type AppOptions, Refused, type RunView } from "./ports.ts";
import { requireBelow } from "./relative_path.ts";
import { type Answer, rawRoute, readRoute, type Route, writeRoute } from "./route.ts";
import {
  fileList,
  runIds,
  runRecord,
  type RunStatus,
  runStatus,
  sendText,
  sentText,
  sourceLines,
  sourceQuery,
  statusQuery,
  stopBody,
  stoppedRun,
} from "./schemas.ts";

const DEFAULT_NAME = "dashboard";

export function runRoutes({ library }: AppOptions): Route[] {
  /** Throws `Refused`. */
  const find = async (id: string): Promise<RunView> => {
    const view = await library.run(id);
    if (view === undefined) throw new Refused(404, `There is no run ${JSON.stringify(id)}`);
    return view;
  };
  return [
    readRoute({ path: "/api/runs", summary: "The ids of all manager runs, the oldest first", answer: runIds }, () => {
      const runs = library.ids("manager");
      return { runs, count: runs.length };
    }),
    readRoute(
      { path: "/api/runs/{id}", summary: "A manager run, whole", answer: runRecord },
      async ({ id }) => await (await find(id)).record(),
    ),
    readRoute({
      path: "/api/runs/{id}/status",
      summary: "How a manager run and its workers stand, with the ends of their streams",
      query: statusQuery,
      answer: runStatus,
    }, async ({ id, query: { lines } }) => await (await find(id)).status(lines) as Answer<RunStatus>),
    rawRoute({
      path: "/api/runs/{id}/events/stream",
      summary: "The events of a manager run",
      query: eventsQuery,
      answer: {
        media: ["text/event-stream"],
        description: "First a `snapshot`, which is the whole run, then each event of the log, named by its type",
      },
    }, async ({ id, query, c }) => {
      const view = await find(id);
      const snapshot = await view.record();
      return answerEvents(c, { streams: view.streams, snapshot, latest: snapshot.seq, query });
    }),
    readRoute(
      { path: "/api/runs/{id}/files", summary: "The files in a manager run's folder", answer: fileList },
      async ({ id }) => await (await find(id)).files(),
    ),
    rawRoute({
      path: "/api/runs/{id}/files/{path}",
      summary: "One of these files, secrets masked",
      answer: { media: ["text/plain", "application/octet-stream"], description: "The file, as text where it is text" },
    }, async ({ id, path, c }) => {
      requireBelow(path);
      const { bytes, isText } = await (await find(id)).file(path);
      return c.body(bytes, 200, {
        "content-type": isText ? "text/plain; charset=utf-8" : "application/octet-stream",
        ...(!isText && { "content-disposition": "attachment" }),
      });
    }),
    readRoute({
      path: "/api/runs/{id}/source",
      summary: "Lines of the repository as the run has it",
      query: sourceQuery,
      answer: sourceLines,
    }, async ({ id, query: { file, line, context } }) => {
      requireBelow(file);
      return await (await find(id)).source(file, { line, context });
    }),
    writeRoute({
      path: "/api/runs/{id}/stop",
      summary: "Ends a manager run; what was found is kept",
      body: stopBody,
      act: "stop",
      answer: stoppedRun,
    }, async ({ id, body: { by, text } }) => {
      await (await find(id)).stop(by ?? DEFAULT_NAME, text ?? "");
      return { run_id: id, status: "stopped" } as const;
    }),
    writeRoute({
      path: "/api/runs/{id}/send",
      summary: "Says something to a worker, or to the manager",
      body: sendText,
      act: "send",
      answer: sentText,
    }, async ({ id, body: { worker, text, by } }) => {
      await (await find(id)).send(worker, text, by ?? DEFAULT_NAME);
      return { run_id: id, worker, sent: true } as const;
    }),
  ];
}
