/** Which prompts a run uses, and in which protocol the model is to answer them. */
import { DEFAULT_ACTION_REGEX, DEFAULT_PROMPTS } from "../templates/prompts.ts";
import { type ConfigLayer, layerOf } from "./config_layers.ts";
import type { MiniConfig } from "./mini_schema.ts";
import type { MiniSettings, Protocol } from "./mini_settings.ts";
import { pythonRegex } from "./python_regex.ts";
import type { KeyPath } from "./yaml_source.ts";

type Prompts =
  & Pick<MiniSettings["agent"], "systemTemplate" | "instanceTemplate">
  & Pick<
    MiniSettings["model"],
    "protocol" | "actionRegex" | "observationTemplate" | "formatErrorTemplate" | "timeoutTemplate" | "templateDialect"
  >;

/** The fence of mini-swe-agent v2's text prompts. */
const V2_FENCE = "```mswea_bash_command";
const V2_ACTION_REGEX = "```mswea_bash_command\\s*\\n(.*?)\\n```";

/**
 * Prompts that the configuration does not name are our own for the protocol. The protocol is what the first of these
 * says: `model.protocol` (which the command line sets, too); the model class; a key of v1, whose only protocol was text;
 * an action pattern; a prompt that shows v2's fence. Otherwise it is tool calls. Throws a `Failure` for a pattern that
 * cannot be used.
 */
export function choosePrompts(
  config: MiniConfig,
  layers: readonly ConfigLayer[],
  classProtocol: Protocol | undefined,
): Prompts {
  const agent = config.agent ?? {};
  const model = config.model ?? {};

  // v1 and v2 have these in different sections; when both are there, the later layer meant what it said.
  const rank = (path: KeyPath) => layers.findIndex((layer) => layer === layerOf(layers, path));
  const isV1 = (key: string, v1: unknown, v2: unknown) => {
    if (v1 == null || v2 == null) return v1 != null;
    return rank(["agent", v1Name(key)]) > rank(["model", key]);
  };
  const choose = (key: string, v1: string | null | undefined, v2: string | null | undefined) =>
    (isV1(key, v1, v2) ? v1 : v2) ?? undefined;

  const observation = choose("observation_template", agent.action_observation_template, model.observation_template);
  const formatError = choose("format_error_template", agent.format_error_template, model.format_error_template);
  const pattern = choose("action_regex", agent.action_regex, model.action_regex);
  const hasV1Keys = [agent.action_observation_template, agent.format_error_template, agent.action_regex]
    .concat(agent.timeout_template).some((value) => value != null);
  const showsV2Fence = [agent.system_template, agent.instance_template, observation, formatError]
    .some((template) => template?.includes(V2_FENCE));

  const isText = hasV1Keys || pattern !== undefined || showsV2Fence;
  const protocol = model.protocol ?? classProtocol ?? (isText ? "text" : "toolcall");

  let actionRegex = pythonRegex(showsV2Fence ? V2_ACTION_REGEX : DEFAULT_ACTION_REGEX);
  if (pattern !== undefined) {
    const section = isV1("action_regex", agent.action_regex, model.action_regex) ? "agent" : "model";
    const path: KeyPath = [section, "action_regex"];
    actionRegex = pythonRegex(pattern, `${layerOf(layers, path)!.locate(path)}: ${path.join(".")}`);
  }

  const isV1Observation = isV1(
    "observation_template",
    agent.action_observation_template ?? agent.timeout_template,
    model.observation_template,
  );
  const ours = DEFAULT_PROMPTS[protocol];
  return {
    protocol,
    systemTemplate: agent.system_template ?? ours.system,
    instanceTemplate: agent.instance_template ?? ours.instance,
    observationTemplate: observation ?? ours.observation,
    formatErrorTemplate: formatError ?? ours.formatError,
    timeoutTemplate: agent.timeout_template ?? undefined,
    actionRegex,
    templateDialect: isV1Observation ? "v1" : "v2",
  };
}

function v1Name(key: string): string {
  return key === "observation_template" ? "action_observation_template" : key;
}
