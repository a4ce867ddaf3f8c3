/** What gocore knows of one coding agent's command line: how it is started, and what its stream says. */
import type { AgentEvent, FailureCause } from "../events/session_events.ts";
import type { Usage } from "../models/usage.ts";

/** What recovery changes about a launch. */
export interface Adjustments {
  /** codex: `--skip-git-repo-check`; gemini: `--skip-trust`. */
  readonly trustDirectory?: boolean;
  /** Root is told that it is in a sandbox (`IS_SANDBOX=1`). */
  readonly allowRoot?: boolean;
  /** The CLI's own sandbox is switched off, because it cannot work here. */
  readonly withoutOwnSandbox?: boolean;
  /** Further folders for `--include-directories` or `--add-dir`. */
  readonly includeDirectories?: readonly string[];
}

export interface LaunchRequest {
  /** As `locate` found it. */
  readonly program: readonly [string, ...string[]];
  readonly prompt: string;
  /** Where it works, absolute. */
  readonly workdir: string;
  /** For all its state; exists, and is kept for the next attempt. */
  readonly home: string;
  readonly tmp: string;
  /** Further folders that it may use, absolute: workspace, target. */
  readonly includeDirectories: readonly string[];
  /** `http://127.0.0.1:8045/w/claude`, without a slash at its end. */
  readonly gatewayUrl: string;
  readonly key: string;
  /** Undefined: the CLI's own default. */
  readonly model: string | undefined;
  /** It may look, and run commands that change nothing, but has nothing to write (a reviewer). */
  readonly readOnly: boolean;
  /** The CLI's session to go on with; only for adapters that can. */
  readonly resume: string | undefined;
  /** The most that its model calls may cost, for CLIs that can be told; the gateway enforces it anyway. */
  readonly costLimitUsd: number | undefined;
  readonly timeLimitSeconds: number | undefined;
  /** Arguments of the person, after ours and before the prompt. */
  readonly extraArguments: readonly string[];
  readonly adjustments: Adjustments;
}

export interface Launch {
  readonly argv: readonly [string, ...string[]];
  /** Added to PATH, HOME, TMPDIR, LANG and what the caller passes on. */
  readonly env: Readonly<Record<string, string>>;
  /** Texts to write before the start, by path relative to `home`; never links are followed. */
  readonly files: Readonly<Record<string, string>>;
}

export interface StreamResult {
  /** `completed`: the agent says itself that it did what it was asked. */
  readonly outcome: "completed" | "failed";
  readonly cause: FailureCause | null;
  /** The final message, or what failed, in one or a few sentences. */
  readonly text: string;
  readonly session: string | null;
  /** Of this run alone, also where the CLI tells sums of the whole session. */
  readonly usage: Usage | null;
  readonly reportedCostUsd: number | null;
  readonly model: string | null;
  /** What the agent was not allowed to do, or could not; also what never shows as an error. */
  readonly denials: readonly string[];
}

export interface ProcessExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The end of stderr, at most 64 KiB. */
  readonly stderr: string;
}

/** Reads one run's stream. Holds little: no list of all events. */
export interface StreamReader {
  /** One line of stdout without its end. Never throws: what cannot be read is an event of type `unreadable`. */
  read(line: string): AgentEvent[];
  /** Lines of stderr that are facts (a rejected patch, a retry). */
  readStderr?(line: string): AgentEvent[];
  /** After the last line. */
  result(exit: ProcessExit): StreamResult;
}

export interface Located {
  readonly program: readonly [string, ...string[]];
  /** As the CLI says it, `0.169.0`. */
  readonly version: string;
}

/** One CLI; in a file of its own, and one line in `adapter_table.ts`. */
export interface AgentAdapter {
  readonly name: string;
  /** What is installed when it is missing, as a hint that can be pasted. */
  readonly install: string;
  /** Whose models it asks, as the gateway's upstreams are called; undefined: any. */
  readonly provider: "openai" | "anthropic" | "gemini" | undefined;
  /** The program's name, and native binaries below the package that are better than its launcher (relative to the folder that the launcher really is in). */
  readonly programs: readonly string[];
  readonly nativePaths: readonly string[];
  /** What it is asked for its version with; default `--version`. Empty: it is not asked, and has none. */
  readonly versionArguments?: readonly string[];
  readonly canResume: boolean;
  /** What to send first to have it end cleanly. */
  readonly stopSignal: "SIGINT" | "SIGTERM";
  launch(request: LaunchRequest): Launch;
  openStream(options: {
    readonly agent: string;
    now(): number;
    readonly resumed: boolean;
    /** What the session had used before this run, for CLIs that tell sums; undefined: not known, and so is `usage`. */
    readonly usedBefore?: Usage;
  }): StreamReader;
}
