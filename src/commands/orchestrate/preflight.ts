/** Before a session: which agents are there, in which versions, and whether their models can be asked. */
import type { EventData } from "../../events/event.ts";
import { Failure } from "../../failure.ts";
import type { GatewaySettings } from "../../gateway/settings.ts";
import { tierOf } from "../../orchestrate/tiers.ts";
import { runCommand } from "../../process/spawn.ts";
import { splitSecrets } from "../../safety/secrets.ts";
import type { AgentAdapter } from "../../workers/adapter.ts";
import { adapterTable } from "../../workers/adapter_table.ts";
import { locate } from "../../workers/locate.ts";
import type { ReadyAgent } from "./launcher.ts";
import type { OrchestrateOptions } from "./options.ts";
import { selfProgram } from "./self_program.ts";

export interface Preflight {
  /** First the most wanted. */
  readonly ready: readonly ReadyAgent[];
  readonly checked: EventData<"preflight.checked">;
}

type Row = EventData<"preflight.checked">["agents"][number];

type AgentOptions = Pick<OrchestrateOptions, "declaredAgents" | "chosenAgents" | "models">;

/** Throws a `Failure` when nobody is ready, or an agent that was asked for by name is not known. */
export async function checkAgents(options: AgentOptions, { gateway, env, signal }: {
  readonly gateway: GatewaySettings;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}): Promise<Preflight> {
  const known: readonly AgentAdapter[] = [...adapterTable, ...options.declaredAgents];
  const { chosenAgents } = options;
  const unknown = chosenAgents?.find((name) => !known.some((adapter) => adapter.name === name));
  if (unknown !== undefined) {
    throw new Failure("usage", `Cannot use the agent "${unknown}": it is not known`, {
      hints: [
        `There are ${known.map(({ name }) => name).join(", ")}`,
        "Others can be declared in the file of --config, as [orchestrate.agents.NAME]",
      ],
    });
  }
  const checks = known.map(async (adapter): Promise<{ row: Row; ready?: ReadyAgent }> => {
    const row = (status: Row["status"], reason: string, more: Partial<Row> = {}): Row => ({
      agent: adapter.name,
      status,
      program: null,
      version: null,
      reason,
      hint: null,
      ...more,
    });
    if (chosenAgents !== undefined && !chosenAgents.includes(adapter.name)) {
      return { row: row("not_chosen", "not among --agents") };
    }
    const location = adapter.name === "mini"
      ? { kind: "found" as const, ...selfProgram() }
      : await locate(adapter, { env: splitSecrets(env).plain, run: runCommand, signal });
    if (location.kind === "missing") return { row: row("missing", location.reason, { hint: adapter.install }) };
    if (location.kind === "broken") return { row: row("broken", location.reason, { program: location.path }) };
    const { program, version } = location;
    const found = { program: program[0], version };
    const noKey = missingKey(adapter, options, gateway);
    if (noKey !== undefined) return { row: row("no_key", noKey.reason, { ...found, hint: noKey.hint }) };
    return { row: row("ready", "", found), ready: { adapter, located: { program, version } } };
  });
  const results = await Promise.all(checks);
  const wanted = (name: string) => chosenAgents?.indexOf(name) ?? 0;
  const ready = results.flatMap((result) => result.ready === undefined ? [] : [result.ready])
    .sort((a, b) => wanted(a.adapter.name) - wanted(b.adapter.name));
  const rows = results.map(({ row }) => row);
  if (ready.length === 0) {
    throw new Failure("environment", "Cannot start: no agent is ready", {
      hints: rows.filter(({ status }) => status !== "not_chosen")
        .map(({ agent, reason, hint }) => `${agent}: ${reason}${hint === null ? "" : `; ${hint}`}`),
    });
  }
  const names = ready.map(({ adapter }) => adapter.name);
  const { tier, name, description } = tierOf(names);
  const absent = rows.filter(({ status }) => status !== "ready" && status !== "not_chosen")
    .map(({ agent, reason }) => `${agent}: ${reason}`);
  const reason = [description, ...absent].join("; ");
  return { ready, checked: { agents: rows, tier, tier_name: name, reason } };
}

/** What our own agent asks when nobody has named a model: of the first provider that has a key. */
const MINI_MODELS: readonly (readonly [provider: string, model: string])[] = [
  ["anthropic", "anthropic/claude-sonnet-4-20250514"],
  ["openai", "openai/gpt-5"],
  ["gemini", "gemini/gemini-2.5-pro"],
];

/** The models of the agents, with one for mini where that is possible. */
export function chooseModels(
  named: Readonly<Record<string, string>>,
  { source, upstreams }: GatewaySettings,
): Record<string, string> {
  if (named.mini !== undefined) return { ...named };
  const found = MINI_MODELS.find(([provider]) =>
    source.kind !== "upstreams" ||
    upstreams.some((upstream) => upstream.provider === provider && upstream.apiKey !== undefined)
  );
  return { ...named, ...(found && { mini: found[1] }) };
}

/** Whether the gateway can ask the models of this agent; it holds the keys, the agents never do. */
function missingKey(
  { name, provider }: AgentAdapter,
  { models }: AgentOptions,
  { source, upstreams }: GatewaySettings,
): { readonly reason: string; readonly hint: string } | undefined {
  if (name === "mini" && models[name] === undefined) {
    return {
      reason: "no model for it, because no provider has a key",
      hint: "set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, or name one: --model mini=PROVIDER/MODEL",
    };
  }
  if (source.kind !== "upstreams") return undefined;
  const wanted = provider ?? models[name]?.split("/")[0];
  const candidates = upstreams.filter((upstream) => upstream.provider === wanted || upstream.name === wanted);
  if (candidates.some(({ apiKey, keyless }) => apiKey !== undefined || keyless)) return undefined;
  // A proxy that serves every provider.
  if (provider === undefined && upstreams.some(({ apiKey }) => apiKey !== undefined) && candidates.length === 0) {
    return undefined;
  }
  const variable = candidates[0]?.keySource ?? "the provider's key";
  return { reason: `no key for ${wanted ?? "its models"}`, hint: `set ${variable}` };
}
