/** Chooses the implementation behind a model's name. */
import type { MiniSettings } from "../config/mini_settings.ts";
import type { ChatModel } from "../models/chat_model.ts";
import { keepLoopbackDirect } from "./keep_loopback_direct.ts";

const SCRIPTED = "scripted/";

/** `scripted/FILE` answers from a file, any other name is asked of its provider. Neither is contacted yet. */
export async function createModel(
  settings: MiniSettings["model"],
  options: { env: Readonly<Record<string, string>>; cwd: string },
): Promise<ChatModel> {
  if (settings.name.startsWith(SCRIPTED)) {
    const [{ loadScriptedModel }, { resolve }] = await Promise.all([
      import("../models/scripted_model.ts"),
      import("node:path"),
    ]);
    const path = resolve(options.cwd, settings.name.slice(SCRIPTED.length));
    const { name, protocol, actionRegex } = settings;
    return await loadScriptedModel(path, { name, protocol, wrap: (command) => wrapCommand(command, actionRegex) });
  }
  keepLoopbackDirect(options.env);
  const { createProviderModel } = await import("../models/provider_model.ts");
  return createProviderModel({ ...settings, env: options.env });
}

/** A model that is asked for text alone: no commands, no templates. */
export async function createTextModel(
  name: string,
  options: { readonly env: Readonly<Record<string, string>>; readonly cwd: string },
): Promise<ChatModel> {
  return await createModel({
    name,
    protocol: "text",
    api: "chat",
    provider: undefined,
    kwargs: {},
    setCacheControl: undefined,
    costTracking: "ignore_errors",
    priceFile: undefined,
    actionRegex: "",
    observationTemplate: "",
    formatErrorTemplate: "",
    timeoutTemplate: undefined,
    templateDialect: "v2",
  }, options);
}

/**
 * A command as a model would write it for this pattern, so that one script works with every configuration: the pattern's
 * own text with the command in place of its group. A pattern that is more than that gets a fenced block.
 */
export function wrapCommand(command: string, actionRegex: string): string {
  const [before, after] = actionRegex.split(/\((?:\?<\w+>)?\.[*+]\??\)/).map((part) =>
    part.replaceAll("\\s*", "").replaceAll("\\n", "\n").replace(/\\([^\w\s])/g, "$1")
  );
  const wrapped = `${before}${command}${after}`;
  const found = [...wrapped.matchAll(new RegExp(actionRegex, "gsu"))];
  return after !== undefined && found.length === 1 ? wrapped : `\`\`\`bash\n${command}\n\`\`\``;
}
