/** Chooses who works in a run: those that were asked for, else codex, else our own agent. */
import type { EventData } from "../../events/event.ts";
import type { GatewaySettings } from "../../gateway/settings.ts";
import type { ReadyAgent } from "../orchestrate/launcher.ts";
import { checkAgents, chooseModels } from "../orchestrate/preflight.ts";
import type { ManagerOptions } from "./read_settings.ts";

const DEFAULT_AGENTS = ["codex", "mini"];

export interface ChosenAgents {
  /** Workers are these in turn; not empty. */
  readonly agents: readonly ReadyAgent[];
  /** By agent; who is not in it has its own default. */
  readonly models: Readonly<Record<string, string>>;
  readonly checked: EventData<"preflight.checked">;
}

/** Throws a `Failure` when none of them is ready. */
export async function chooseAgents(options: Pick<ManagerOptions, "agents" | "models" | "settings">, world: {
  readonly gateway: GatewaySettings;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}): Promise<ChosenAgents> {
  const { agents = DEFAULT_AGENTS, settings: { workerModel } } = options;
  const named = workerModel === undefined
    ? options.models
    : { ...Object.fromEntries(agents.map((name) => [name, workerModel])), ...options.models };
  const models = chooseModels(named, world.gateway);
  const { ready, checked } = await checkAgents({ declaredAgents: [], chosenAgents: agents, models }, world);
  // Those that nobody has named stand in for each other.
  return { agents: options.agents === undefined ? ready.slice(0, 1) : ready, models, checked };
}
