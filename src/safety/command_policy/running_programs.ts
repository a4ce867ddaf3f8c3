/** Judges programs that run other code: shells, interpreters, `find -exec`, `xargs`. */
import { judgeForeignCode } from "./foreign_code.ts";
import { judgeDelete, judgeWrite } from "./judge_files.ts";
import { judgePackages } from "./machine_programs.ts";
import { isKnown, NAME, shown, UNKNOWN } from "./marks.ts";
import { foundIn } from "./printing_programs.ts";
import { addTo, Arguments, type ProgramCall, type ProgramJudges } from "./program_call.ts";

export const runningJudges: ProgramJudges = new Map();
const on = addTo(runningJudges);

const FIND_FILTERS =
  /^-(?:i?name|i?path|i?regex|i?wholename|newer\w*|[acm]min|[acm]time|size|user|empty|samefile|inum|perm|i?lname)$/;
on("find", (call) => {
  const { args } = call;
  const paths: string[] = [];
  for (let i = 0; i < args.length && !/^(?:-[^LHPDO]|[(!])/.test(args[i]!); i++) {
    if (args[i] === "-D") i++;
    else if (!args[i]!.startsWith("-")) paths.push(args[i]!);
  }
  const starts = paths.length === 0 ? ["."] : paths;
  const filter = args.findIndex((word, i) =>
    FIND_FILTERS.test(word) && args[i + 1] !== "*" && args[i - 1] !== "!" && args[i - 1] !== "-not"
  );
  // Without a filter it is everything, the starting point included.
  const found = starts.map((start) => filter < 0 ? `${start}/${NAME}` : `${start.replace(/\/+$/, "")}/${NAME}-found`);
  const remove = () => {
    for (const each of found) judgeDelete(call, each);
  };
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (word === "-delete") remove();
    else if (/^-(?:fprint0?|fls|fprintf)$/.test(word)) judgeWrite(call, args[i + 1] ?? UNKNOWN);
    else if (/^-(?:exec|execdir|ok|okdir)$/.test(word)) {
      const end = args.findIndex((each, j) => j > i && (each === ";" || (each === "+" && args[j - 1] === "{}")));
      const command = args.slice(i + 1, end < 0 ? undefined : end);
      for (const each of found) call.runCommand(command.map((part) => part.replaceAll("{}", each)));
      i = end < 0 ? args.length : end;
    }
  }
  return found.join("\n");
});
on("fd fdfind", (call) => {
  const at = call.args.findIndex((word) => /^(?:-x|-X|--exec|--exec-batch)$/.test(word));
  const found = foundIn(call.args.slice(0, at < 0 ? undefined : at).filter((word) => !word.startsWith("-")).slice(1));
  if (at >= 0) {
    const command = call.args.slice(at + 1);
    const isPlaced = command.some((word) => word.includes("{"));
    call.runCommand([...command.map((word) => word.replace(/\{[./]*\}/g, found)), ...(isPlaced ? [] : [found])]);
  }
  return found;
});
on("xargs gxargs parallel", (call) => {
  const valued = "aEdIiLlnPsSR";
  let at = 0, placeholder: string | undefined;
  for (; at < call.args.length && call.args[at]!.startsWith("-"); at++) {
    const word = call.args[at]!;
    if (word === "--") {
      at++;
      break;
    }
    const long = /^--(replace|arg-file|delimiter|max-args|max-lines|max-procs|max-chars|eof|jobs)(?:=(.*))?$/.exec(
      word,
    );
    if (long !== null) {
      if (long[1] === "replace") placeholder = long[2] ?? "{}";
      else if (long[2] === undefined) at++;
      continue;
    }
    const letter = [...word.slice(1)].findIndex((each) => valued.includes(each));
    if (letter < 0 || word.startsWith("--")) continue;
    const attached = word.slice(letter + 2);
    const takesNext = attached === "" && !/[il]/.test(word[letter + 1]!);
    const value = takesNext ? call.args[++at] : attached;
    if (/[IiJ]/.test(word[letter + 1]!)) placeholder = value || "{}";
  }
  const command = call.args.slice(at);
  if (call.name === "parallel") placeholder ??= command.some((word) => word.includes("{}")) ? "{}" : undefined;
  const input = (call.stdin ?? UNKNOWN).split(/[\s\0]+/).length > 64 ? UNKNOWN : call.stdin ?? UNKNOWN;
  const inputs = (input === UNKNOWN ? [UNKNOWN] : input.split(/\s+/)).filter((word) => word !== "");
  if (command.length === 0) return inputs.join(" ");
  if (call.name === "parallel" && command.length === 1) return call.runCode(command[0]!.replaceAll("{}", UNKNOWN));
  if (placeholder === undefined) return call.runCommand([...command, ...inputs]);
  return inputs.map((each) => call.runCommand(command.map((word) => word.replaceAll(placeholder, each)))).join("");
});
on("npx", (call) => {
  for (const code of new Arguments(call.args, { short: "cp", long: ["call", "package"] }).values("c", "call")) {
    call.runCode(code);
  }
});
on("sh bash dash zsh ksh ash mksh rbash", judgeShell);
on("fish pwsh powershell csh tcsh nu xonsh", (call) => {
  if (
    call.args.some((word) => /^(?:-\w*c|-Command|--command|-e|-EncodedCommand)$/i.test(word)) ||
    call.stdin !== undefined
  ) {
    call.report("confirm", "unknown-code", `Runs code for \`${call.name}\`, which is not understood`);
  }
});
on("su runuser script", (call) => {
  for (const code of new Arguments(call.args, { short: "csgGEIOBTmot", long: ["command"] }).values("c", "command")) {
    call.runCode(code);
  }
});
on("watch entr", (call) => {
  const args = call.args.slice(
    call.args.findIndex((word, i) => !word.startsWith("-") && !/^-n$|^--interval$/.test(call.args[i - 1] ?? "")),
  );
  call.runCode(args.join(" "));
});
on("flock", (call) => {
  const args = new Arguments(call.args, { short: "cwE", long: ["command", "timeout", "wait"] });
  for (const code of args.values("c", "command")) call.runCode(code);
  if (args.operands.length > 1) call.runCommand(args.operands.slice(1));
});
on("make gmake just", (call) => {
  for (const word of call.args) {
    const [, name, value] = /^(\w+)[:+?]?=([^]*)$/.exec(word) ?? [];
    if (name === "SHELL" && value !== undefined) call.runCode(value);
    if (/^--eval(?:=|$)/.test(word)) call.report("confirm", "foreign-code", "Gives `make` rules that are not judged");
  }
});
on("python pypy", (call) => {
  const at = call.args.findIndex((word, i) => !word.startsWith("-") || word === "-" || isValue(call.args, i));
  const code = optionCode(call.args, /^-[A-Za-z]*c$/, /^-[A-Za-z]*c(.+)$/);
  const module = call.args.findIndex((word) => /^-[A-Za-z]*m$/.test(word));
  if (code !== undefined) judgeForeignCode(call, "python", code);
  else if (module >= 0) {
    const [name = "", ...rest] = call.args.slice(module + 1);
    // Modules that are programs.
    if (/^(?:pip|twine|pipx|uv|build|poetry|ensurepip)$/.test(name)) call.runCommand([name, ...rest]);
  } else judgeScript(call, "python", call.args[at]);
});
const isValue = (args: readonly string[], i: number) => /^-[WX]$/.test(args[i - 1] ?? "");
on("node deno bun nodejs tsx ts-node", (call) => {
  if (call.name === "bun" || call.name === "deno") judgePackages(call);
  const isEval = call.args[0] === "eval";
  const code = isEval
    ? call.args.slice(1).find((word) => !word.startsWith("-"))
    : optionCode(call.args, /^(?:-e|-p|-pe|--eval|--print)$/, /^--(?:eval|print)=([^]*)$/);
  if (code !== undefined) return judgeForeignCode(call, "javascript", code);
  if (call.name === "node" || call.name === "nodejs") {
    judgeScript(
      call,
      "javascript",
      call.args.find((word) => !word.startsWith("-") || word === "-"),
    );
  }
});
on("perl ruby php lua luajit Rscript osascript tclsh", (call) => {
  const code = optionCode(call.args, /^-[A-Za-z\d]*[eEr]$/, undefined);
  if (code !== undefined) {
    judgeForeignCode(call, "other", code);
    if (call.args.some((word) => /^-[a-z]*i/.test(word))) {
      for (const file of call.args.slice(call.args.indexOf(code) + 1)) {
        if (!file.startsWith("-")) judgeWrite(call, file, "Edits");
      }
    }
  } else judgeScript(call, "other", call.args.find((word) => !word.startsWith("-")));
});
on("awk gawk mawk nawk", (call) => {
  const args = new Arguments(call.args, { short: "Fvfi", long: ["field-separator", "assign", "file", "include"] });
  const isFile = args.has("f", "file");
  const [code] = isFile ? [] : args.operands;
  if (code === undefined) return;
  judgeForeignCode(call, "awk", code);
  for (const [, file] of code.matchAll(/(?:print|printf)\b[^\n;}>]{0,400}>{1,2}\s*"([^"\n]+)"/g)) {
    judgeWrite(call, file!);
  }
});
on("vim vi nvim ex ed emacs gdb", (call) => {
  const text = call.args.join("\n");
  if (/(?:^|\n)(?:-c|\+|-ex|--cmd|--eval|-batch)/.test(text) && /!|\bsystem\b|\bshell\b|shell-command/.test(text)) {
    call.report("confirm", "foreign-code", `Lets \`${call.name}\` run commands`);
  }
});

/** The code after an option, or in the same word. */
function optionCode(args: readonly string[], option: RegExp, attached: RegExp | undefined): string | undefined {
  for (const [i, word] of args.entries()) {
    if (option.test(word)) return args[i + 1] ?? "";
    const inside = attached?.exec(word)?.[1];
    if (inside !== undefined) return inside;
    // From the script on the words are its own.
    if (!word.startsWith("-")) return undefined;
  }
  return undefined;
}

/** An interpreter with a file, or with its code on stdin. */
function judgeScript(call: ProgramCall, language: "python" | "javascript" | "other", file: string | undefined): void {
  const isStdin = file === undefined || file === "-" || file === "/dev/stdin";
  const code = isStdin ? call.stdin : call.written(file);
  if (code === undefined) {
    if (!isStdin && !isKnown(file)) {
      call.report("confirm", "unknown-code", `Runs ${shown(file)}, and what that is, is not known`);
    }
    return;
  }
  if (isKnown(code)) judgeForeignCode(call, language, code);
  else call.report("confirm", "pipe-to-shell", `Runs in \`${call.name}\` what comes out of another program`);
}

function judgeShell(call: ProgramCall): string | void {
  const { args } = call;
  let i = 0, takesCode = false, takesStdin = false;
  for (; i < args.length; i++) {
    const word = args[i]!;
    if (word === "--" || word === "-") {
      i++;
      break;
    }
    if (/^(?:--rcfile|--init-file)$/.test(word)) i++;
    else if (word.startsWith("--")) continue;
    else if (/^[-+]/.test(word)) {
      takesCode ||= word.startsWith("-") && word.includes("c");
      takesStdin ||= word.startsWith("-") && word.includes("s");
      // One value for each `o` and `O`.
      i += word.replace(/[^oO]/g, "").length;
    } else break;
  }
  const [first, ...rest] = args.slice(i);
  if (takesCode) return call.runCode(first ?? "", rest);
  const isStdin = first === undefined || takesStdin || first === "/dev/stdin";
  const code = isStdin ? call.stdin : call.written(first);
  if (code !== undefined && isKnown(code)) {
    return call.runCode(code, isStdin ? [call.name, ...args.slice(i)] : [first, ...rest]);
  }
  if (code !== undefined) {
    call.report("confirm", "pipe-to-shell", `Runs in \`${call.name}\` what comes out of another program`);
    call.runCode(code);
  } else if (!isStdin && !isKnown(first)) {
    call.report("confirm", "unknown-code", `Runs ${shown(first)}, and what that is, is not known`);
  }
}
