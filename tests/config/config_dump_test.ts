import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { configDump } from "../../src/config/config_dump.ts";
import { Project } from "./project.ts";

Deno.test("templates and the trajectory see every key with its value, set or not, and the unknown ones", async () => {
  await using project = await Project.create();
  const file = await project.file("config.yaml", "agent: {mode: null, mine: 1}\nmodel: {observation_template: seen}\n");
  const { settings } = await project.load([file, "environment.timeout=7"], { overrides: { model: "openai/gpt-5" } });
  const { system_template, instance_template, ...agent } = configDump(settings).agent;
  deepEqual([system_template, instance_template], [settings.agent.systemTemplate, settings.agent.instanceTemplate]);
  deepEqual(agent, {
    step_limit: 0,
    cost_limit: 3,
    wall_time_limit_seconds: 0,
    max_consecutive_format_errors: 3,
    mode: "confirm",
    confirm_exit: true,
    output_path: null,
    mine: 1,
  });
  const { format_error_template, ...model } = configDump(settings).model;
  deepEqual(format_error_template, settings.model.formatErrorTemplate);
  deepEqual(model, {
    model_name: "openai/gpt-5",
    model_kwargs: {},
    protocol: "toolcall",
    cost_tracking: "default",
    set_cache_control: null,
    litellm_model_registry: null,
    observation_template: "seen",
  });
  deepEqual(configDump(settings).environment, { cwd: project.workdir, timeout: 7, env: {} });
});
