/** What `gocore orchestrate` was told: flags > environment > the file of `--config` > defaults. */
import type { ResourceLimits } from "../../process/resource_limits.ts";
import type { SessionSettings } from "../../orchestrate/settings.ts";
import type { AgentAdapter } from "../../workers/adapter.ts";
import type { CommandRule } from "../../safety/command_policy/rules.ts";

export interface OrchestrateOptions {
  /** Everything of a session but its id, its folder and its agents, which are known later. */
  readonly session: Omit<SessionSettings, "sessionId" | "folder" | "agents">;
  /** `{workspace}/{session_id}` is made in it; absolute. */
  readonly workspace: string;
  /** As `--agents` names them, first the most wanted; undefined: all that are there. */
  readonly chosenAgents: readonly string[] | undefined;
  readonly declaredAgents: readonly AgentAdapter[];
  /** By agent; undefined: the agent's own default. */
  readonly models: Readonly<Record<string, string>>;
  /** Further arguments, by agent. */
  readonly agentArguments: Readonly<Record<string, readonly string[]>>;
  readonly limits: ResourceLimits;
  /** Of what a worker writes in one attempt; 0: no limit. */
  readonly maxOutputMb: number;
  readonly sandbox: {
    readonly mode: "require" | "prefer" | "off";
    readonly hideHome: boolean;
    /** Absolute. */
    readonly writable: readonly string[];
    readonly readable: readonly string[];
  };
  readonly backend: "process" | "tmux";
  readonly commandRules: readonly CommandRule[];
  readonly dashboard: boolean;
  readonly host: string;
  /** Undefined: 8000, or any free one when that is taken. 0: any free one. */
  readonly port: number | undefined;
  /** For addresses beyond this machine. */
  readonly token: string | undefined;
  readonly logLevel: "debug" | "info" | "warning" | "error";
  /** Names of variables that workers inherit although they look like secrets. */
  readonly forwardEnv: readonly string[];
  /** What the gateway inside is told. */
  readonly gateway: {
    readonly config?: string;
    readonly ledger?: string;
    readonly script?: string;
    readonly replay?: string;
    readonly record?: string;
  };
  /** JSON Lines of all events on stdout instead of progress. */
  readonly json: boolean;
}
