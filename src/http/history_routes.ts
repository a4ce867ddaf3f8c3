/** The endpoints over runs of all kinds: the list, what needs somebody, and what it all costs. */
import { sendEvents } from "./event_answer.ts";
import { openHistory } from "./history_stream.ts";
import type { AppOptions } from "./ports.ts";
import { rawRoute, readRoute, type Route } from "./route.ts";
import { about, attention, costs, costsQuery, historyPage, historyQuery, scheduleList } from "./schemas.ts";

export function historyRoutes(options: AppOptions): Route[] {
  const { library, schedule } = options;
  return [
    readRoute(
      { path: "/api/about", summary: "What this server shows, and what it can start", answer: about },
      () => library.about,
    ),
    readRoute({
      path: "/api/history",
      summary: "Runs of all kinds, the newest first, a page at a time",
      query: historyQuery,
      answer: historyPage,
    }, ({ query }) => library.history(query)),
    rawRoute({
      path: "/api/history/stream",
      summary: "What changes in the list of runs",
      answer: {
        media: ["text/event-stream"],
        description: "First a `snapshot` with the entries that go on or need somebody, then each `entry` that is new " +
          "or has changed, and `removed` with the kind and the id of one that has gone",
      },
    }, ({ c }) => sendEvents(c, openHistory(library, options))),
    readRoute(
      { path: "/api/attention", summary: "Runs that somebody should look at, the newest first", answer: attention },
      () => ({ entries: library.attention() }),
    ),
    readRoute({
      path: "/api/costs",
      summary: "What was spent, as the ledgers of the gateway have it",
      query: costsQuery,
      answer: costs,
    }, ({ query }) => library.costs(query)),
    readRoute(
      { path: "/api/schedule", summary: "What is run when", answer: scheduleList },
      () => schedule?.list() ?? { entries: [] },
    ),
  ];
}
