/** Where the commands of a configuration run: on this machine, or not at all. */
import { resolve } from "node:path";
import { expandHome } from "./agent_home.ts";
import type { MiniConfig } from "./mini_schema.ts";
import type { MiniSettings } from "./mini_settings.ts";
import type { KeyPath } from "./yaml_source.ts";

export interface Problem {
  readonly path: KeyPath;
  /** `expected …, found …` */
  readonly finding: string;
  readonly hint?: string;
}

const CONTAINERS = new Set([
  "docker",
  "podman",
  "singularity",
  "swerex_docker",
  "swerex_modal",
  "contree",
  "DockerEnvironment",
  "SingularityEnvironment",
  "SwerexDockerEnvironment",
  "SwerexModalEnvironment",
  "ContreeEnvironment",
]);
const LOCAL = new Set(["local", "LocalEnvironment"]);
const DEFAULT_TIMEOUT_SECONDS = 30;
const RUN_HERE =
  "To run the commands on this machine, without a container, add `-c environment.environment_class=local`";

/**
 * The environment's settings, with what is wrong and what should be known about them. A container that the configuration
 * describes (`image`, `run_args`) is refused, for its user counts on the isolation. Without them it is a benchmark's
 * file, whose container belongs to the benchmark: its commands run here, in the workdir if there is no such directory.
 */
export async function chooseEnvironment(
  config: MiniConfig["environment"],
  options: { workdir: string; env: Readonly<Record<string, string>> },
): Promise<{ environment: MiniSettings["environment"]; problems: Problem[]; warnings: string[] }> {
  const { environment_class: name, image, run_args: runArgs, timeout, interpreter, shell } = config ?? {};
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const className = name?.slice(name.lastIndexOf(".") + 1) ?? "";
  const isContainer = CONTAINERS.has(className);
  const describedBy = image ? "image" : runArgs?.length ? "run_args" : undefined;

  if (isContainer && describedBy !== undefined) {
    problems.push({
      path: ["environment", "environment_class"],
      finding: `expected local, found ${JSON.stringify(name)} with \`${describedBy}\``,
      hint: RUN_HERE,
    });
  } else if (isContainer) {
    warnings.push(
      `There are no containers here: the commands of environment class ${JSON.stringify(name)} run on this machine`,
    );
  } else if (className.startsWith("bubblewrap") || className === "BubblewrapEnvironment") {
    problems.push({
      path: ["environment", "environment_class"],
      finding: `expected local, found ${JSON.stringify(name)}, which is not available in this version`,
      hint: RUN_HERE,
    });
  } else if (className !== "" && !LOCAL.has(className)) {
    problems.push({
      path: ["environment", "environment_class"],
      finding: `expected local, found ${JSON.stringify(name)}`,
      hint: RUN_HERE,
    });
  } else if (className === "" && describedBy !== undefined) {
    warnings.push(
      `There are no containers here: environment.${describedBy} is ignored, and commands run on this machine`,
    );
  }

  // Also when the user has overruled only the class: the rest of the file still speaks of the container.
  const isFromElsewhere = isContainer || describedBy !== undefined;
  const cwd = resolve(options.workdir, expandHome(config?.cwd ?? "", options.env));
  const hasCwd = await isDirectory(cwd);
  if (!hasCwd && isFromElsewhere) {
    warnings.push(`environment.cwd ${JSON.stringify(cwd)} is not on this machine: commands run in the workdir`);
  } else if (!hasCwd && problems.length === 0) {
    problems.push({
      path: ["environment", "cwd"],
      finding: `expected an existing directory, found ${JSON.stringify(cwd)}`,
      hint: "For the workdir add `-c environment.cwd=.`",
    });
  }

  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(config?.env ?? {})) {
    // The start file of the container's shell is not this machine's.
    if (value === null || value === undefined || (isFromElsewhere && key === "BASH_ENV")) continue;
    if (key === "" || /[=\0]/.test(key) || String(value).includes("\0")) {
      problems.push({
        path: ["environment", "env", key],
        finding: `expected a name without "=" and a value without NUL, found ${JSON.stringify(key)}`,
      });
    }
    env[key] = String(value);
  }

  const defaultShell = await isOnPath("bash", options.env) ? "bash" : "sh";
  if (!interpreter && !shell && defaultShell === "sh") {
    warnings.push("There is no bash on this machine: commands run in sh");
  }
  const [program, ...programArguments] = interpreter ?? [shell || defaultShell, "-c"];
  return {
    environment: {
      cwd: hasCwd ? cwd : options.workdir,
      env,
      forwardEnv: config?.forward_env ?? [],
      timeoutSeconds: timeout ?? DEFAULT_TIMEOUT_SECONDS,
      interpreter: [program!, ...programArguments],
      commandPolicy: config?.command_policy === false ? "off" : config?.command_policy ?? "enforce",
      commandRules: config?.command_rules ?? [],
    },
    problems,
    warnings,
  };
}

async function isOnPath(program: string, env: Readonly<Record<string, string>>): Promise<boolean> {
  for (const folder of (env.PATH ?? "/usr/bin:/bin").split(":")) {
    if (await Deno.stat(`${folder || "."}/${program}`).then((info) => info.isFile, () => false)) return true;
  }
  return false;
}

function isDirectory(path: string): Promise<boolean> {
  return Deno.stat(path).then((info) => info.isDirectory, () => false);
}
