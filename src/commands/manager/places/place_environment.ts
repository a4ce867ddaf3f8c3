/** The variables of what runs in a clean place: few, the same on every machine, none of them secret. */
import { join } from "node:path";
import { secretsIn, splitSecrets } from "../../../safety/secrets.ts";

/** Where the programs of a language are, when they are not where they look by themselves. */
const TOOLCHAIN =
  /^(?:RUSTUP_(?:HOME|TOOLCHAIN)|PYENV_ROOT|JAVA_HOME|GOROOT|NVM_DIR|VOLTA_HOME|SDKMAN_DIR|ASDF_DATA_DIR|DOTNET_ROOT)$/;
/** How the network is reached, and the registries of packages. */
const NETWORK =
  /^(?:(?:https?|all|ftp|no)_proxy|(?:SSL|REQUESTS|CURL|PIP|NIX_SSL|GIT_SSL)_(?:CERT\w*|CA\w*)|NODE_EXTRA_CA_CERTS|(?:PIP|UV)_(?:EXTRA_|DEFAULT_)?INDEX(?:_URL)?|PIP_(?:FIND_LINKS|TRUSTED_HOST|DEFAULT_TIMEOUT)|npm_config_(?:registry|cafile|strict_ssl)|GOPROXY|GOSUMDB|GONOSUMDB|GOFLAGS|CARGO_(?:HTTP|NET|REGISTRIES)_\w+)$/i;
/** Below the homes of people who installed their languages for themselves. */
const HOME_DEFAULTS: Readonly<Record<string, string>> = { RUSTUP_HOME: ".rustup", PYENV_ROOT: ".pyenv" };

export interface PlaceVariables {
  /** The person's. */
  readonly env: Readonly<Record<string, string>>;
  /** As it is seen from within. */
  readonly place: string;
  readonly hasPython: boolean;
  readonly nodeOptions: string;
}

/** For runs. PYTHONHASHSEED is not among them: what depends on the order of hashes is to be found. */
export function runVariables({ env, place, hasPython, nodeOptions }: PlaceVariables): Record<string, string> {
  const venv = join(place, "venv");
  const path = env.PATH ?? "/usr/local/bin:/usr/bin:/bin";
  const homes = Object.entries(HOME_DEFAULTS).flatMap(([name, folder]) =>
    env.HOME !== undefined && exists(join(env.HOME, folder)) ? [[name, join(env.HOME, folder)]] : []
  );
  return {
    ...Object.fromEntries(homes),
    ...matching(env, TOOLCHAIN),
    PATH: hasPython ? `${join(venv, "bin")}:${path}` : path,
    HOME: join(place, "home"),
    TMPDIR: join(place, "tmp"),
    LANG: "C.UTF-8",
    TZ: "UTC",
    PYTHONDONTWRITEBYTECODE: "1",
    NODE_OPTIONS: nodeOptions,
    ...(hasPython && { VIRTUAL_ENV: venv }),
  };
}

/** For setup commands: what the network needs as well. */
export function setupVariables(variables: PlaceVariables): Record<string, string> {
  return {
    ...matching(variables.env, NETWORK),
    ...runVariables(variables),
    PIP_NO_INPUT: "1",
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
  };
}

function matching(env: Readonly<Record<string, string>>, pattern: RegExp): Record<string, string> {
  const { plain } = splitSecrets(env);
  return Object.fromEntries(
    Object.entries(plain).filter(([name, value]) => pattern.test(name) && secretsIn({ [name]: value }).length === 0),
  );
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
