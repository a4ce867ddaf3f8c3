/** Where the agent's commands run. */

export interface CommandResult {
  /** stdout and stderr in the order they were written, decoded as UTF-8 (U+FFFD for what is not); the middle may be cut. */
  readonly output: string;
  /** Bytes that were cut out of the middle of `output`. */
  readonly elidedBytes: number;
  /** The exit code, 128 + n when signal n killed the shell, -1 when it was killed by us or never ran. */
  readonly exitCode: number;
  /** Empty, or why there is no exit code. */
  readonly exceptionInfo: string;
  readonly timedOut: boolean;
  readonly durationMs: number;
}

/**
 * Runs one command at a time in a fresh shell. A command that fails, times out or cannot be started is a result, not an
 * error. When the signal aborts, everything the command started is killed and the signal's reason is thrown.
 */
export interface Environment {
  execute(command: string, options: { signal: AbortSignal }): Promise<CommandResult>;
  /** Variables that prompt templates may use: the settings, `system release version machine`, allowed environment variables. */
  templateVariables(): Record<string, unknown>;
}
