/** Which configuration a run uses: the files and `key=value` options in the order in which later ones win. */
import { basename, extname, isAbsolute, join, resolve } from "node:path";
import { closestName, Failure } from "../failure.ts";
import { type AgentHome, LIVE_PROFILE, liveProfilePath } from "./agent_home.ts";
import { readConfigFile } from "./read_config_file.ts";
import {
  formatPosition,
  isMapping,
  type KeyPath,
  type Mapping,
  parseYamlSource,
  parseYamlValue,
} from "./yaml_source.ts";

/** One origin of settings. */
export interface ConfigLayer {
  /** For people: the file's path, or the option with its key but without its value, which may be a secret. */
  readonly label: string;
  readonly value: Mapping;
  /** `path:line:column` of this key in a file, or the label. */
  locate(path: KeyPath): string;
  /** The scalar as it was written, before YAML made a number of it. */
  textAt(path: KeyPath): string | undefined;
  /** Written on the command line, where every value is text to begin with. */
  readonly isOption: boolean;
}

const DEFAULT_PROFILE = "live";

/** What is looked for when a name comes without an extension. */
const EXTENSIONS = [".yaml", ".yml"];

/** A dotted path before the first `=`; with a `/` before it, the argument is a file's path. */
const KEY_VALUE = /^([^=/\\\s]*)=(.*)$/s;

/**
 * The layers, first to last, and warnings about what was not found. A `-c` file replaces the default profile (but not
 * one that was asked for), `-c key=value` alone refines it. A profile that does not exist is replaced by the built-in
 * defaults, with a warning; a `-c` file that does not exist is a `Failure`.
 */
export async function loadConfigLayers(
  options: { home: AgentHome; cwd: string; configSpecs: readonly string[]; profile?: string | undefined },
): Promise<{ layers: ConfigLayer[]; warnings: string[] }> {
  const { home, cwd, configSpecs } = options;
  const warnings: string[] = [];
  const explicit: ConfigLayer[] = [];
  let hasFile = false;
  for (const spec of configSpecs) {
    const option = KEY_VALUE.exec(spec);
    if (option) {
      explicit.push(optionLayer(option[1]!, option[2]!));
    } else {
      hasFile = true;
      explicit.push(await configFileLayer(spec, home, cwd));
    }
  }
  const needsProfile = options.profile !== undefined || !hasFile;
  const base = needsProfile ? [await profileLayer(options.profile ?? DEFAULT_PROFILE, home, warnings)] : [];
  return { layers: [...base, ...explicit], warnings };
}

/** Mappings merge key by key, anything else (lists too) is replaced. The result shares nothing with the layers' mappings. */
export function mergeLayers(layers: readonly ConfigLayer[]): Mapping {
  return layers.reduce<Mapping>((merged, { value }) => {
    // A section with nothing below it (`agent:` and only comments) says nothing about what other layers have there.
    const sections = Object.fromEntries(Object.entries(value).filter(([, section]) => section !== null));
    return mergeMappings(merged, sections);
  }, {});
}

/** The layer that decided the value of this key, or undefined when none mentions it. */
export function layerOf(layers: readonly ConfigLayer[], path: KeyPath): ConfigLayer | undefined {
  return layers.findLast((layer) => {
    let value: unknown = layer.value;
    for (const [depth, key] of path.entries()) {
      // A list or a scalar has replaced what earlier layers have below it; an empty section has not (`mergeLayers`).
      if (!isMapping(value)) return !(depth === 1 && value === null);
      if (!Object.hasOwn(value, key)) return false;
      value = value[key];
    }
    return true;
  });
}

function mergeMappings(under: Mapping, over: Mapping): Mapping {
  const merged: Mapping = { ...under };
  for (const [key, value] of Object.entries(over)) {
    // No setting has this name, and as a key of plain objects it would change what they inherit.
    if (key === "__proto__") continue;
    const before = Object.hasOwn(merged, key) ? merged[key] : undefined;
    merged[key] = isMapping(value) ? mergeMappings(isMapping(before) ? before : {}, value) : value;
  }
  return merged;
}

function optionLayer(key: string, text: string): ConfigLayer {
  const path = key.split(".");
  if (path.includes("")) {
    throw new Failure(
      "usage",
      `Cannot use "-c ${key}=…": need a key such as agent.step_limit before "="`,
      {
        hints: ["Write `-c agent.step_limit=100`, or `-c ./name=with-equals.yaml` for a file of that name"],
      },
    );
  }
  const label = `-c ${key}`;
  const value = path.reduceRight<unknown>((inner, name) => Object.fromEntries([[name, inner]]), parseYamlValue(text));
  return {
    label,
    value: value as Mapping,
    locate: () => label,
    textAt: (asked) => asked.length === path.length ? text : undefined,
    isOption: true,
  };
}

function fileLayer(path: string, text: string, label = path): ConfigLayer {
  const source = parseYamlSource(text, path);
  return {
    label,
    value: source.value,
    locate: (key) => formatPosition(path, source.locate(key)),
    textAt: (key) => source.textAt(key),
    isOption: false,
  };
}

async function configFileLayer(spec: string, home: AgentHome, cwd: string): Promise<ConfigLayer> {
  const names = withExtensions(spec);
  const folders = isAbsolute(spec) ? [""] : [cwd, home.configsDir];
  for (const path of folders.flatMap((folder) => names.map((name) => resolve(folder, name)))) {
    // A folder of this name is not what is meant, `mini` besides `mini.yaml` for example.
    if ((await Deno.stat(path).catch(() => undefined))?.isDirectory) continue;
    const text = await readConfigFile(path);
    if (text !== undefined) return fileLayer(path, text);
  }
  const available = await profilesIn(home);
  throw new Failure(
    "usage",
    `Cannot read the configuration: need a file for "-c ${spec}", found none in ${
      isAbsolute(spec) ? "that place" : `${JSON.stringify(cwd)} or ${JSON.stringify(home.configsDir)}`
    }`,
    { hints: [suggestion(spec, available, "-c")] },
  );
}

async function profileLayer(profile: string, home: AgentHome, warnings: string[]): Promise<ConfigLayer> {
  if (profile === "" || profile !== basename(profile) || profile === "." || profile === "..") {
    throw new Failure("usage", `Cannot use the profile "${profile}": need the name of a file in ${home.configsDir}`, {
      hints: [`For a file anywhere else write \`--config ${profile || "FILE"}\``],
    });
  }
  for (const name of withExtensions(profile)) {
    const path = join(home.configsDir, name);
    const text = await readConfigFile(path);
    if (text !== undefined) return fileLayer(path, text);
  }
  warnings.push(
    `Profile "${profile}" is not in ${home.configsDir}: using the built-in defaults. ` +
      suggestion(profile, await profilesIn(home), "--profile"),
  );
  return fileLayer(liveProfilePath(home), LIVE_PROFILE, "built-in defaults");
}

/** The names to try, likeliest first: without an extension, `mini` means `mini.yaml`, and only then a file `mini`. */
function withExtensions(name: string): string[] {
  if ([...EXTENSIONS, ".json"].includes(extname(name))) return [name];
  return [...EXTENSIONS.map((extension) => name + extension), name];
}

async function profilesIn(home: AgentHome): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(home.configsDir)) {
      const extension = extname(entry.name);
      if (EXTENSIONS.includes(extension)) names.push(basename(entry.name, extension));
    }
  } catch {
    // Without a list the message is still right.
  }
  return names.sort();
}

function suggestion(wanted: string, available: readonly string[], flag: string): string {
  if (/^\S+\s+=/.test(wanted)) {
    return `For a single key write \`${flag} ${wanted.replace(/\s+=.*$/s, "")}=…\`, without spaces`;
  }
  const name = basename(wanted, extname(wanted));
  const closest = closestName(name, available);
  if (closest !== undefined) return `Did you mean \`${flag} ${closest}\`?`;
  return available.length > 0 ? `Available: ${available.join(", ")}` : "There are no profiles yet";
}
