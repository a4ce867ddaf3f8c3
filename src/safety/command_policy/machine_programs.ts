/** Judges programs that change more than files: processes, disks, packages, containers. */
import { isKnown, shown } from "./marks.ts";
import { addTo, Arguments, type ProgramCall, type ProgramJudges } from "./program_call.ts";
import { leadingWords } from "./rules.ts";

export const machineJudges: ProgramJudges = new Map();
const on = addTo(machineJudges);

on("fdisk", (call) => {
  if (!new Arguments(call.args).has("l", "list")) {
    call.report("block", "disk", "Changes disks or file systems: `fdisk`");
  }
});
on("init", (call) => {
  if (/^[06s]$/i.test(call.args[0] ?? "")) call.report("block", "power", "Stops the machine: `init`");
});
on("ip", (call) => {
  if (call.args.some((word) => /^(?:add|del|delete|set|flush|replace|change)$/.test(word))) {
    call.report("confirm", "machine", "Changes the machine's settings: `ip`");
  }
});
on("kill", (call) => {
  const isSignal = (word: string, i: number) => i === 0 && /^-(?:[A-Za-z]|\d)/.test(word);
  if (call.args[0] === "-0" || call.args[0] === "-l") return;
  const words = call.args.filter((word, i) => !isSignal(word, i) && !/^-[sn]$/.test(call.args[i - 1] ?? ""));
  const targets = words.filter((word) => word !== "--");
  // `kill -1` alone is a signal without a process.
  if (targets.some((word) => word === "-1" || word === "1")) {
    return call.report("block", "processes", "Ends every process that it may");
  }
  if (targets.some((word) => !isKnown(word))) {
    call.report("confirm", "processes", "Ends a process, and which one is not known");
  }
});
on("npm pnpm", judgePackages);
on("docker podman nerdctl", (call) => {
  const [verb] = leadingWords(call.name, call.args).slice(1);
  if (verb !== "run" && verb !== "create") return;
  for (const [i, word] of call.args.entries()) {
    const volume = /^(?:-v|--volume|--mount)$/.test(word)
      ? call.args[i + 1] ?? ""
      : /^(?:-v|--volume=|--mount=)(.+)$/.exec(word)?.[1];
    if (/^--(?:privileged|pid=host|userns=host|cap-add=(?:ALL|SYS_ADMIN))$/i.test(word)) {
      call.report("block", "container", `Gives a container the whole machine: \`${word}\``);
    }
    if (volume === undefined) continue;
    const source = /(?:^|,)(?:source|src)=([^,]*)/.exec(volume)?.[1] ?? volume.split(":")[0]!;
    if (!/[/.~]/.test(source) && isKnown(source)) continue;
    const { kind, holdsRoot, path } = call.place(source);
    if (holdsRoot && kind !== "inside" || kind === "system" || kind === "home" || /docker\.sock$/.test(path)) {
      call.report("block", "container", `Gives a container ${shown(source)}`);
    } else if (kind !== "inside") call.report("confirm", "container", `Gives a container ${shown(source)}`);
  }
});

/** Packages for the whole machine, by npm and what is like it. */
export function judgePackages(call: ProgramCall): void {
  const args = new Arguments(call.args);
  if (
    args.has("g", "global") && /^(?:i|in|install|add|uninstall|remove|rm|un|update|link)$/.test(args.operands[0] ?? "")
  ) {
    call.report("confirm", "install", `Installs packages for the whole machine: \`${call.name} -g\``);
  }
}
