/** The agents that gocore knows, in the order in which they are offered work. */
import type { AgentAdapter } from "./adapter.ts";
import { claude } from "./adapters/claude.ts";
import { codex } from "./adapters/codex.ts";
import { gemini } from "./adapters/gemini.ts";
import { mini } from "./adapters/mini.ts";

export const adapterTable: readonly AgentAdapter[] = [
  gemini,
  claude,
  codex,
  mini,
];

/** @param declared what the person has declared, see `readDeclaredAgents` */
export function adapterOf(name: string, declared: readonly AgentAdapter[] = []): AgentAdapter | undefined {
  return [...adapterTable, ...declared].find((adapter) => adapter.name === name);
}
