/** The endpoints that start runs. */
import type { AppOptions } from "./ports.ts";
import { type Route, writeRoute } from "./route.ts";
import { startedMini, startedRun, startedSession, startMini, startOrchestration, startRun } from "./schemas.ts";

/** None where nothing can be started. */
export function startRoutes({ starter }: AppOptions): Route[] {
  if (starter === undefined) return [];
  return [
    writeRoute({
      path: "/api/runs",
      summary: "Starts a manager run, which goes on when this server ends",
      body: startRun,
      act: "start a manager run",
      answer: startedRun,
      status: 201,
    }, ({ body }) => starter.run(body)),
    writeRoute({
      path: "/api/orchestrations",
      summary: "Starts a session, which goes on when this server ends",
      body: startOrchestration,
      act: "start a session",
      answer: startedSession,
      status: 201,
    }, ({ body }) => starter.orchestration(body)),
    writeRoute({
      path: "/api/mini",
      summary: "Starts a mini run, which goes on when this server ends",
      body: startMini,
      act: "start a mini run",
      answer: startedMini,
      status: 201,
    }, ({ body }) => starter.mini(body)),
  ];
}
