/** The endpoints of mini runs. */
import { answerEvents, eventsQuery } from "./event_answer.ts";
import { type AppOptions, type MiniView, Refused } from "./ports.ts";
import { rawRoute, readRoute, type Route, writeRoute } from "./route.ts";
import { miniRecord, noBody, runIds, stoppedRun } from "./schemas.ts";

export function miniRoutes({ library }: AppOptions): Route[] {
  /** Throws `Refused`. */
  const find = async (id: string): Promise<MiniView> => {
    const view = await library.mini(id);
    if (view === undefined) throw new Refused(404, `There is no mini run ${JSON.stringify(id)}`);
    return view;
  };
  return [
    readRoute({ path: "/api/mini", summary: "The ids of all mini runs, the oldest first", answer: runIds }, () => {
      const runs = library.ids("mini");
      return { runs, count: runs.length };
    }),
    readRoute(
      { path: "/api/mini/{id}", summary: "A mini run, whole", answer: miniRecord },
      async ({ id }) => await (await find(id)).record(),
    ),
    rawRoute({
      path: "/api/mini/{id}/trajectory",
      summary: "The trajectory of a mini run as it is on disk, secrets masked",
      answer: { media: ["application/json"], description: "In the format mini-swe-agent-1.1" },
    }, async ({ id, c }) => {
      const bytes = await (await find(id)).trajectory();
      return c.body(bytes, 200, { "content-type": "application/json" });
    }),
    rawRoute({
      path: "/api/mini/{id}/events/stream",
      summary: "The events of a mini run",
      query: eventsQuery,
      answer: {
        media: ["text/event-stream"],
        description: "First a `snapshot`, which is the whole run, then each event of the log, named by its type",
      },
    }, async ({ id, query, c }) => {
      const view = await find(id);
      if (view.streams === undefined) throw new Refused(404, "No events of this run were kept");
      const snapshot = await view.record();
      return answerEvents(c, { streams: view.streams, snapshot, latest: snapshot.seq, query });
    }),
    writeRoute({
      path: "/api/mini/{id}/stop",
      summary: "Ends a mini run, which saves its trajectory",
      body: noBody,
      act: "stop",
      answer: stoppedRun,
    }, async ({ id }) => {
      await (await find(id)).stop();
      return { run_id: id, status: "stopped" } as const;
    }),
  ];
}
