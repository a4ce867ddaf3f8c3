/** The keys of a configuration file of `gocore mini`, of mini-swe-agent v1 and v2, and of Mini-SWE-GOCore. */
import * as z from "zod/mini";
import { commandRule } from "../safety/command_policy/rules.ts";
import { isMapping, type KeyPath, type Mapping } from "./yaml_source.ts";

// The message of each type is what was expected; `checkSettings` adds what was found.
const text = z.string("a string");
const flag = z.boolean("true or false");
const mapping = z.record(z.string(), z.unknown(), "a mapping");
const NUMBER = "a number of 0 or more";
const number = z.number(NUMBER).check(z.minimum(0, NUMBER));
const INTEGER = "an integer of 0 or more";
const integer = z.number(INTEGER).check(z.minimum(0, INTEGER), z.refine(Number.isSafeInteger, INTEGER));
const POSITIVE = "a number above 0";
const positive = z.number(POSITIVE).check(z.positive(POSITIVE));
const texts = z.array(text, "a list of strings");
const oneOf = <const T extends readonly string[]>(...names: T) => z.enum(names, `one of ${names.join(", ")}`);

/** A key that is `null` is a key that is not set. */
const set = <T extends z.core.$ZodType>(type: T) => z.optional(z.nullable(type));

export const COST_TRACKING = oneOf("default", "strict", "ignore_errors", "disabled");

const agent = {
  system_template: set(text),
  instance_template: set(text),
  /** 0: no limit, for each of the limits. */
  step_limit: set(integer),
  /** USD. */
  cost_limit: set(number),
  wall_time_limit_seconds: set(number),
  max_consecutive_format_errors: set(integer),
  mode: set(oneOf("yolo", "confirm", "human")),
  confirm_exit: set(flag),
  output_path: set(text),
  agent_class: set(text),
  // v1 has the templates of observations here.
  action_observation_template: set(text),
  format_error_template: set(text),
  timeout_template: set(text),
  action_regex: set(text),
};

const model = {
  model_name: set(text),
  model_class: set(text),
  model_kwargs: set(mapping),
  protocol: set(oneOf("toolcall", "text")),
  set_cache_control: set(oneOf("default_end")),
  cost_tracking: set(COST_TRACKING),
  litellm_model_registry: set(text),
  observation_template: set(text),
  format_error_template: set(text),
  action_regex: set(text),
  multimodal_regex: set(text),
};

const COMMAND_POLICIES = ["enforce", "warn", "off"] as const;
const ENV_VALUE = "a string or a number (in quotes, if this text is meant)";

const environment = {
  environment_class: set(text),
  cwd: set(text),
  env: set(z.record(z.string(), set(z.union([z.string(), z.number()], ENV_VALUE)), "a mapping")),
  /** Seconds. */
  timeout: set(positive),
  interpreter: set(texts.check(z.minLength(1, "a list with a program"))),
  shell: set(text),
  forward_env: set(texts),
  // YAML takes a bare `off` for false.
  command_policy: set(z.union([z.enum(COMMAND_POLICIES), z.literal(false)], `one of ${COMMAND_POLICIES.join(", ")}`)),
  command_rules: set(z.array(commandRule, "a list of rules")),
  image: set(text),
  run_args: set(texts),
};

const headless = {
  include_timestamps: set(flag),
  max_output_length: set(integer),
};

const run = { task: set(text) };

const shapes = { agent, model, environment, headless, run };

export const SECTIONS = Object.keys(shapes) as readonly (keyof typeof shapes)[];

const miniSchema = z.object({
  agent: set(z.object(agent, "a mapping")),
  model: set(z.object(model, "a mapping")),
  environment: set(z.object(environment, "a mapping")),
  headless: set(z.object(headless, "a mapping")),
  run: set(z.object(run, "a mapping")),
});

export type MiniConfig = z.infer<typeof miniSchema>;

export interface WrongSetting {
  readonly path: KeyPath;
  readonly expected: string;
  readonly found: unknown;
}

/** The known keys of a merged configuration, or everything that is wrong with them. */
export function checkSettings(merged: Mapping): { config: MiniConfig } | { wrong: WrongSetting[] } {
  const result = miniSchema.safeParse(merged);
  if (result.success) return { config: result.data };
  const wrong = new Map<string, WrongSetting>();
  for (const issue of result.error.issues) {
    const path = issue.path.map(String);
    const key = path.join(".");
    if (!wrong.has(key)) wrong.set(key, { path, expected: issue.message, found: valueAt(merged, path) });
  }
  return { wrong: [...wrong.values()] };
}

export interface UnknownKey {
  readonly path: KeyPath;
  /** The known names beside it. */
  readonly known: readonly string[];
  /** Where a key of this name belongs: `agent.step_limit` for a `step_limit` outside of every section. */
  readonly elsewhere?: string;
}

/** Keys nobody reads. */
export function unknownKeys(merged: Mapping): UnknownKey[] {
  const unknown: UnknownKey[] = [];
  for (const [section, value] of Object.entries(merged)) {
    if (!Object.hasOwn(shapes, section)) {
      const owner = SECTIONS.find((name) => Object.hasOwn(shapes[name], section));
      unknown.push({ path: [section], known: SECTIONS, ...(owner && { elsewhere: `${owner}.${section}` }) });
      continue;
    }
    const known = Object.keys(shapes[section as keyof typeof shapes]);
    if (!isMapping(value)) continue;
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) unknown.push({ path: [section, key], known });
    }
  }
  return unknown;
}

function valueAt(root: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined | null)?.[key], root);
}
