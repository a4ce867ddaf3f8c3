/** The prompts of `gocore mini` that hold when the configuration names none: one set for each protocol. */
import observation from "./prompts/observation.jinja" with { type: "text" };
import textFormatError from "./prompts/text_format_error.jinja" with { type: "text" };
import textInstance from "./prompts/text_instance.jinja" with { type: "text" };
import textSystem from "./prompts/text_system.jinja" with { type: "text" };
import toolcallFormatError from "./prompts/toolcall_format_error.jinja" with { type: "text" };
import toolcallInstance from "./prompts/toolcall_instance.jinja" with { type: "text" };
import toolcallSystem from "./prompts/toolcall_system.jinja" with { type: "text" };

export interface PromptSet {
  readonly system: string;
  readonly instance: string;
  readonly observation: string;
  readonly formatError: string;
}

/** Jinja2 templates over the variables that mini-swe-agent gives to its own. */
export const DEFAULT_PROMPTS: Record<"toolcall" | "text", PromptSet> = {
  toolcall: { system: toolcallSystem, instance: toolcallInstance, observation, formatError: toolcallFormatError },
  text: { system: textSystem, instance: textInstance, observation, formatError: textFormatError },
};

/** Finds the command of a reply in the text protocol: Python syntax, to be matched with DOTALL, as mini-swe-agent v1. */
export const DEFAULT_ACTION_REGEX = "```bash\\s*\\n(.*?)\\n```";
