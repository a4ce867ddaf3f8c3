/** Programs that run the command in their own arguments: where that command begins. */

interface Wrapper {
  /** Short options that take a value. */
  readonly valued?: string;
  readonly longValued?: readonly string[];
  /** Operands before the command, such as the time of `timeout`. */
  readonly operands?: number;
  /** `NAME=value` words may stand before the command. */
  readonly assignments?: boolean;
}

const WRAPPERS: Readonly<Record<string, Wrapper>> = {
  nohup: {},
  setsid: {},
  builtin: {},
  busybox: {},
  toybox: {},
  unbuffer: {},
  caffeinate: {},
  chronic: {},
  linux32: {},
  linux64: {},
  command: {},
  exec: { valued: "a" },
  time: { valued: "fo" },
  nice: { valued: "n", longValued: ["adjustment"] },
  ionice: { valued: "cnpPu" },
  chrt: { valued: "TPD", operands: 1 },
  taskset: { valued: "", operands: 1 },
  timeout: { valued: "ks", longValued: ["kill-after", "signal"], operands: 1 },
  gtimeout: { valued: "ks", longValued: ["kill-after", "signal"], operands: 1 },
  stdbuf: { valued: "ioe", longValued: ["input", "output", "error"] },
  setarch: { operands: 1 },
  faketime: { valued: "f", operands: 1 },
  strace: { valued: "eopsuEIPaOSXb" },
  ltrace: { valued: "eopsualn" },
  valgrind: {},
  "xvfb-run": { valued: "sefnpw" },
  "dbus-run-session": {},
  "systemd-run": { valued: "pEMHCut", longValued: ["property", "unit", "slice", "uid", "gid", "setenv"] },
  chroot: { operands: 1 },
  nsenter: { valued: "tSG" },
  unshare: { valued: "SGRw" },
  sudo: {
    valued: "ugpCrtThDRU",
    longValued: ["user", "group", "prompt", "chdir", "chroot", "host", "role", "type", "other-user"],
    assignments: true,
  },
  doas: { valued: "uC" },
  pkexec: { longValued: ["user"] },
  env: { valued: "uC", longValued: ["unset", "chdir"], assignments: true },
  npx: { valued: "p", longValued: ["package"] },
  bunx: {},
  pnpx: {},
  rtk: {},
};

/** Subcommands that run a command: `uv run`, `npm exec`. */
const RUNNERS: Readonly<Record<string, readonly string[]>> = {
  uv: ["run"],
  poetry: ["run"],
  pipenv: ["run"],
  pdm: ["run"],
  hatch: ["run"],
  rye: ["run"],
  npm: ["exec", "x"],
  pnpm: ["exec", "dlx"],
  yarn: ["exec", "dlx"],
  bundle: ["exec"],
  rbenv: ["exec"],
  pyenv: ["exec"],
  conda: ["run"],
  mamba: ["run"],
  direnv: ["exec"],
  mise: ["exec", "x"],
  nix: ["run"],
};
const RUNNER_VALUED = ["--with", "--python", "-p", "--package", "-n", "--name", "--extra", "--group", "--project"];

export interface Unwrapped {
  readonly argv: readonly string[];
  /** `NAME=value` that hold for the command. */
  readonly variables: readonly string[];
  /** Where the wrapper lets it run, if it says so. */
  readonly chdir?: string;
}

/** The command inside, empty when there is none; undefined for a program that is no wrapper. */
export function unwrap(name: string, args: readonly string[]): Unwrapped | undefined {
  if (Object.hasOwn(RUNNERS, name)) {
    const at = args.findIndex((word) => !word.startsWith("-"));
    if (at < 0 || !RUNNERS[name]!.includes(args[at]!)) return undefined;
    let start = at + 1;
    while (start < args.length && args[start]!.startsWith("-")) {
      if (args[start] === "--") {
        start++;
        break;
      }
      start += RUNNER_VALUED.includes(args[start]!) ? 2 : 1;
    }
    if (name === "direnv") start++;
    return { argv: args.slice(start), variables: [] };
  }
  if (!Object.hasOwn(WRAPPERS, name)) return undefined;
  const { valued = "", longValued = [], operands = 0, assignments = false } = WRAPPERS[name]!;
  const variables: string[] = [];
  let chdir: string | undefined;
  let i = 0;
  for (; i < args.length; i++) {
    const word = args[i]!;
    if (word === "--") {
      i++;
      break;
    }
    if (assignments && /^[A-Za-z_]\w*=/.test(word)) variables.push(word);
    else if (!word.startsWith("-")) break;
    else if (word.startsWith("--")) {
      const [long = ""] = word.slice(2).split("=");
      const value = word.includes("=") ? word.slice(word.indexOf("=") + 1) : args[i + 1];
      if (long === "chdir") chdir = value;
      if (longValued.includes(long) && !word.includes("=")) i++;
    } else {
      const at = [...word.slice(1)].findIndex((letter) => valued.includes(letter));
      const value = at < 0 ? undefined : word.slice(at + 2) || args[i + 1];
      if (at >= 0 && (name === "env" && word[at + 1] === "C" || name === "sudo" && word[at + 1] === "D")) chdir = value;
      if (at >= 0 && at === word.length - 2) i++;
    }
  }
  while (assignments && /^[A-Za-z_]\w*=/.test(args[i] ?? "")) variables.push(args[i++]!);
  return { argv: args.slice(i + operands), variables, chdir };
}
