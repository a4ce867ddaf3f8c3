/** Chooses the implementation behind a model's name. */
import type { MiniSettings } from "../config/mini_settings.ts";
import type { ChatModel } from "../models/chat_model.ts";

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
    return await loadScriptedModel(path, { name: settings.name, protocol: settings.protocol });
  }
  const { createProviderModel } = await import("../models/provider_model.ts");
  return createProviderModel({ ...settings, env: options.env });
}
