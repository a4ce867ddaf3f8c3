/** Starts runs as processes that outlive the server. */
import type { Starter } from "../../http/ports.ts";
import { Redactor, secretsIn } from "../../safety/secrets.ts";
import type { Io } from "../../terminal/io.ts";
import { refuseNul } from "./request_errors.ts";
import type { StartContext, StartPlaces } from "./start_context.ts";
import { ManagerStarts } from "./start_manager_run.ts";
import { startMiniRun } from "./start_mini_run.ts";
import { startSession } from "./start_session.ts";

/** The server's own secrets, which are no business of what it starts. */
const OWN_VARIABLES = /^GOCORE_(?:SERVE|NOTIFY)_/;

/** What a request says becomes the value of a flag, or a file: never a flag itself, and never a part of a command. */
export function createStarter(places: StartPlaces, io: Io): Starter {
  const env = Object.fromEntries(Object.entries(io.env).filter(([name]) => !OWN_VARIABLES.test(name)));
  const context: StartContext = { places, io: { ...io, env }, redactor: new Redactor(secretsIn(io.env)) };
  const managers = new ManagerStarts(context);
  return {
    async run(request) {
      refuseNul(request);
      return await managers.start(request);
    },
    async orchestration(request) {
      refuseNul(request);
      return await startSession(request, context);
    },
    async mini(request) {
      refuseNul(request);
      return await startMiniRun(request, context);
    },
  };
}
