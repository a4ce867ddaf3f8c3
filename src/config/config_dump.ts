/** The settings under the names of a configuration file, each with its value: for prompt templates and the trajectory. */
import type { MiniSettings } from "./mini_settings.ts";

/** As mini-swe-agent's `model_dump()`, plus the keys that nobody knows; `null` for what is not set. */
export function configDump(settings: MiniSettings): Record<keyof MiniSettings["raw"], Record<string, unknown>> {
  const { raw, agent, model, environment } = settings;
  return {
    agent: {
      ...raw.agent,
      system_template: agent.systemTemplate,
      instance_template: agent.instanceTemplate,
      step_limit: agent.stepLimit,
      cost_limit: agent.costLimitUsd,
      wall_time_limit_seconds: agent.wallTimeLimitSeconds,
      max_consecutive_format_errors: agent.maxConsecutiveFormatErrors,
      mode: agent.mode,
      confirm_exit: agent.confirmExit,
      output_path: agent.outputPath ?? null,
    },
    model: {
      ...raw.model,
      model_name: model.name,
      model_kwargs: model.kwargs,
      protocol: model.protocol,
      cost_tracking: model.costTracking,
      set_cache_control: model.setCacheControl ?? null,
      litellm_model_registry: model.priceFile ?? null,
      observation_template: model.observationTemplate,
      format_error_template: model.formatErrorTemplate,
      ...(model.protocol === "text" && { action_regex: model.actionRegex }),
    },
    environment: {
      ...raw.environment,
      cwd: environment.cwd,
      timeout: environment.timeoutSeconds,
      env: environment.env,
    },
  };
}
