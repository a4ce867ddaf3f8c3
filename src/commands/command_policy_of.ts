/** The command policy of a run of mini, loaded while the model is asked for the first command. */
import type { MiniSettings } from "../config/mini_settings.ts";
import type { AgentParts } from "../mini/agent.ts";
import type { CommandPolicy } from "../safety/command_policy.ts";

const TEMPORARY_FOLDERS = ["/tmp", "/var/tmp", "/dev/shm"];

/** `env` is what commands inherit. Undefined when the settings switch the policy off. */
export function commandPolicyOf(
  settings: MiniSettings["environment"],
  { env, workdir }: { env: Readonly<Record<string, string>>; workdir: string },
): AgentParts["policy"] {
  if (settings.commandPolicy === "off") return undefined;
  const variables = { ...env, ...settings.env };
  const { HOME = "", TMPDIR = "" } = variables;
  const load = async (): Promise<CommandPolicy> => {
    const { createCommandPolicy } = await import("../safety/command_policy.ts");
    return createCommandPolicy(settings.commandRules, {
      cwd: settings.cwd,
      roots: [settings.cwd, workdir, ...TEMPORARY_FOLDERS, ...(TMPDIR.startsWith("/") ? [TMPDIR] : [])],
      home: HOME.startsWith("/") ? HOME : "/root",
      variables,
      resolveLink: readLink,
    });
  };
  let loading: Promise<CommandPolicy> | undefined;
  return {
    refuses: settings.commandPolicy === "enforce",
    prepare: () => void (loading ??= load()).catch(() => {}),
    judge: async (command) => (await (loading ??= load())).judge(asShellCommand(settings.interpreter, command)),
  };
}

const SHELL = /(?:^|\/)(?:ba|da|k|mk|z|a)?sh$/;

/** What is not run by a shell is judged as what starts it. */
function asShellCommand([program, ...flags]: readonly [string, ...string[]], command: string): string {
  if (SHELL.test(program)) return command;
  return [program, ...flags, command].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

/** Synchronous, for a command has few paths, and each is one call of the system. */
function readLink(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined;
  }
}
