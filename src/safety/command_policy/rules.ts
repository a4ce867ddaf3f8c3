/** The configured rules of the command policy: what they look like, and which command each of them means. */
import * as z from "zod/mini";

export const verdicts = ["allow", "confirm", "block"] as const;
export type PolicyVerdict = typeof verdicts[number];

/**
 * `match` is a program and its leading words (`git push`, `npm run deploy*`), where `*` and `?` stand for any text in a
 * word; further words of the command do not matter. `@name` means the built-in rule of this name. The first rule that
 * matches a command decides, and what the command runs in turn (`sudo`, `bash -c`) is still judged by itself.
 */
export const commandRule = z.object({
  match: z.string("a program with its leading words").check(
    z.refine((text) => text.trim() !== "", "a program with its leading words"),
  ),
  verdict: z.enum(verdicts, `one of ${verdicts.join(", ")}`),
  reason: z.optional(z.nullable(z.string("a string"))),
}, "a rule with `match` and `verdict`");
export type CommandRule = z.infer<typeof commandRule>;

/** Options with a value that stand between a program and its subcommand. */
const GLOBAL_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  git: ["-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--super-prefix", "--config-env"],
  npm: ["--prefix", "-C", "-w", "--workspace", "--registry", "--cache", "--userconfig"],
  pnpm: ["--dir", "-C", "-F", "--filter"],
  yarn: ["--cwd"],
  docker: ["-H", "--host", "-c", "--context", "--config", "-l", "--log-level"],
  podman: ["--root", "--runroot", "--log-level"],
  kubectl: ["-n", "--namespace", "--context", "--kubeconfig", "-s", "--server", "--cluster"],
  helm: ["-n", "--namespace", "--kube-context", "--kubeconfig"],
  pip: ["--python", "--proxy", "--log", "--cache-dir", "--timeout", "--retries", "--cert"],
  uv: ["--directory", "--project", "--cache-dir", "--config-file", "--color"],
  cargo: ["--config", "-C", "-Z", "--color", "--manifest-path"],
  "apt-get": ["-o", "-c", "-t"],
  apt: ["-o", "-c", "-t"],
  systemctl: ["-H", "--host", "-M", "--machine", "-t", "--type"],
  gh: ["-R", "--repo"],
  terraform: ["-chdir"],
  aws: ["--profile", "--region", "--output", "--endpoint-url"],
  gcloud: ["--project", "--account"],
};

/** A command without its options: the program and the words that say what it is to do. */
export function leadingWords(name: string, args: readonly string[]): string[] {
  const valued = Object.hasOwn(GLOBAL_OPTIONS, name) ? GLOBAL_OPTIONS[name]! : [];
  const words = [name];
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (words.length === 1 && valued.includes(word)) i++;
    else if (!word.startsWith("-") && !(name === "cargo" && word.startsWith("+"))) words.push(word);
  }
  return words;
}

/** Whether the words begin as the pattern says. */
export function matchesWords(pattern: string, words: readonly string[]): boolean {
  const wanted = pattern.trim().split(/\s+/);
  if (wanted.at(-1) === "*") wanted.pop();
  return wanted.length <= words.length && wanted.every((glob, i) => matchesGlob(glob, words[i]!));
}

/** `*` any text, `?` one character; never slower than the product of both lengths. */
export function matchesGlob(glob: string, text: string): boolean {
  let g = 0, t = 0, star = -1, from = 0;
  while (t < text.length) {
    if (glob[g] === "*") {
      star = g++;
      from = t;
    } else if (g < glob.length && (glob[g] === "?" || glob[g] === text[t])) {
      g++;
      t++;
    } else if (star >= 0) {
      g = star + 1;
      t = ++from;
    } else return false;
  }
  while (glob[g] === "*") g++;
  return g === glob.length;
}

/** The first configured rule that means the command. */
export function ruleFor(rules: readonly CommandRule[], name: string, args: readonly string[]): CommandRule | undefined {
  const spellings = [[name, ...args], leadingWords(name, args)];
  return rules.find(({ match }) => spellings.some((words) => matchesWords(match, words)));
}
