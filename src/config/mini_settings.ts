/** The settings of one `gocore mini` run, resolved: every key has its value. */
import type { CommandRule } from "../safety/command_policy/rules.ts";

export type Protocol = "toolcall" | "text";
export type CostTracking = "default" | "strict" | "ignore_errors" | "disabled";

export interface MiniSettings {
  readonly agent: {
    readonly systemTemplate: string;
    readonly instanceTemplate: string;
    /** 0: no limit, for each of the limits. */
    readonly stepLimit: number;
    readonly costLimitUsd: number;
    readonly wallTimeLimitSeconds: number;
    readonly maxConsecutiveFormatErrors: number;
    readonly mode: "yolo" | "confirm" | "human";
    readonly confirmExit: boolean;
    /** Absolute; undefined: `.miniswe/data/last_run.traj.json`. */
    readonly outputPath: string | undefined;
  };
  readonly model: {
    /** `provider/model`, or a bare model name. Empty when nobody named one. */
    readonly name: string;
    readonly protocol: Protocol;
    /** OpenAI's wire format, when a model class named it. */
    readonly api: "chat" | "responses";
    /** A provider that the model class names (`openrouter`), or undefined. */
    readonly provider: string | undefined;
    readonly kwargs: Readonly<Record<string, unknown>>;
    readonly setCacheControl: "default_end" | undefined;
    readonly costTracking: CostTracking;
    /** Absolute path of a JSON price file in litellm's registry format, or undefined. */
    readonly priceFile: string | undefined;
    /** Used for `protocol: "text"`. JavaScript source of the Python pattern; always matched with the flags `gsu`. */
    readonly actionRegex: string;
    readonly observationTemplate: string;
    readonly formatErrorTemplate: string;
    /** v1's template for a command that timed out; undefined: `observationTemplate` tells it by `exception_info`. */
    readonly timeoutTemplate: string | undefined;
    /** Which variables templates get for an observation: v1 adds `action` to `output`. */
    readonly templateDialect: "v1" | "v2";
  };
  readonly environment: {
    /** Absolute. */
    readonly cwd: string;
    readonly env: Readonly<Record<string, string>>;
    /** Names of variables of our own environment that commands get although they look like secrets. */
    readonly forwardEnv: readonly string[];
    readonly timeoutSeconds: number;
    /** The program and arguments before the command text, `["bash", "-c"]`. */
    readonly interpreter: readonly [string, ...string[]];
    /** What becomes of a command that the policy blocks: it is not run, it is run with a warning, nobody asks. */
    readonly commandPolicy: "enforce" | "warn" | "off";
    readonly commandRules: readonly CommandRule[];
  };
  readonly headless: {
    readonly includeTimestamps: boolean;
    /** Characters of `step.output`; 0: no limit. */
    readonly maxOutputLength: number;
  };
  /** The merged file contents of `agent`, `model` and `environment`, unknown keys included: the base of `configDump`. */
  readonly raw: { readonly [section in "agent" | "model" | "environment"]: Readonly<Record<string, unknown>> };
}
