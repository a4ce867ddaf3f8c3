/** Judges git by its subcommand. */
import { judgeDelete, judgeWrite } from "./judge_files.ts";
import { isKnown, NAME, UNKNOWN } from "./marks.ts";
import { Arguments, type ProgramCall } from "./program_call.ts";
import { leadingWords } from "./rules.ts";

/** Settings of git whose value is a command, or decides which one runs. */
const RUNNING_SETTINGS =
  /^(?:core\.(?:hookspath|fsmonitor|sshcommand|pager|editor|askpass|gitproxy)|alias\..*|credential\..*helper|credential\.helper|filter\..*|diff\..*(?:command|textconv|external)|merge\..*\.driver|include(?:if\..*)?\.path|url\..*|sequence\.editor|gpg\..*program|pager\..*|difftool\..*|mergetool\..*|uploadpack\..*|remote\..*\.(?:uploadpack|receivepack|proxy))$/i;

export function judgeGit(outer: ProgramCall): string | void {
  const folder = outer.args.indexOf("-C") + 1;
  const from = folder > 0 ? `${outer.args[folder]}/` : "";
  const call: ProgramCall = {
    ...outer,
    place: (field, options) => outer.place(field.startsWith("/") ? field : from + field, options),
  };
  const [verb = "", ...operands] = leadingWords("git", call.args).slice(1);
  const rest = call.args.slice(call.args.indexOf(verb) + 1);
  const has = (...names: string[]) => new Arguments(rest).has(...names);
  for (const [i, word] of call.args.entries()) {
    if (call.args[i - 1] !== "-c" || call.args.indexOf(verb) < i) continue;
    judgeSetting(call, word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1));
  }
  const after = (option: RegExp) => rest.flatMap((word, i) => option.test(word) ? rest[i + 1] ?? [] : []);
  switch (verb) {
    case "push": {
      const isForced = has("f", "force", "mirror", "d", "delete", "prune") &&
          !/^--force-(?:with-lease|if-includes)/.test(rest.join("\n")) ||
        operands.some((word) => /^[+:]/.test(word));
      if (isForced) call.report("block", "force-push", "Overwrites or removes what others have: `git push`");
      return call.report("confirm", "push", "Publishes commits: `git push`");
    }
    case "clean":
      if (has("n", "dry-run") || !has("f", "force")) return;
      for (const path of operands.length === 0 ? [] : operands) judgeDelete(call, path);
      if (call.place(".").kind !== "inside") {
        call.report("confirm", "delete-outside", "Deletes files outside the allowed folders: `git clean`");
      }
      // What is ignored is in no commit: keys, databases, settings.
      if (has("x", "X")) {
        call.report("confirm", "delete-ignored", "Deletes files that git does not keep: `git clean -x`");
      }
      return;
    case "config": {
      if (
        has("get", "l", "list", "get-all", "get-regexp", "unset", "unset-all") || operands[0] === "get" ||
        operands[0] === "list"
      ) return;
      const [key = "", value] = operands[0] === "set" ? operands.slice(1) : operands;
      if (has("system")) call.report("block", "write-system", "Changes git's settings for the whole machine");
      if (value === undefined && !has("add", "replace-all", "e", "edit")) return;
      if (has("global")) call.report("confirm", "write-home", "Changes git's settings of the user");
      return judgeSetting(call, key, value ?? UNKNOWN);
    }
    case "filter-branch":
    case "filter-repo":
      call.report("confirm", "delete-history", `Rewrites all of the history: \`git ${verb}\``);
      for (const code of after(/^--(?:tree|index|msg|env|commit|parent|tag-name)-filter$/)) call.runCode(code);
      return;
    case "reflog":
      if (/^(?:expire|delete)$/.test(operands[0] ?? "")) {
        call.report("confirm", "delete-history", "Removes what could bring commits back");
      }
      return;
    case "gc":
    case "prune":
      if (/--prune=(?:now|all)/.test(rest.join(" ")) || verb === "prune") {
        call.report("confirm", "delete-history", "Removes what could bring commits back");
      }
      return;
    case "submodule":
      if (operands[0] === "foreach") call.runCode(operands.slice(1).join(" "));
      return;
    case "bisect":
      if (operands[0] === "run") call.runCommand(rest.slice(rest.indexOf("run") + 1));
      return;
    case "rebase":
      for (const code of after(/^(?:-x|--exec)$/)) call.runCode(code);
      return;
    case "difftool":
      for (const code of after(/^(?:-x|--extcmd)$/)) call.runCode(code);
      return;
    case "clone":
    case "init":
      if (operands.length > (verb === "init" ? 0 : 1)) judgeWrite(call, operands.at(-1)!, "Makes");
      return;
    case "worktree":
      if (operands[0] === "add" && operands[1] !== undefined && isKnown(operands[1])) {
        judgeWrite(call, operands[1], "Makes");
      }
      return;
    case "ls-files":
    case "diff":
    case "ls-tree":
      return verb === "ls-files" || has("name-only") ? `./${NAME}-found` : UNKNOWN;
  }
}

function judgeSetting(call: ProgramCall, key: string, value: string): void {
  if (!isKnown(key)) return call.report("confirm", "git-config", "Changes a setting of git that is not known");
  if (/^alias\./i.test(key) && value.startsWith("!")) {
    call.runCode(value.slice(1));
  } else if (/^alias\./i.test(key) && isKnown(value)) {
    call.runCommand(["git", ...value.split(/\s+/)]);
    return;
  } else if (/^core\.(?:pager|editor)$/i.test(key) && /^(?:cat|less|true|:|vim?|nano|)$/.test(value)) return;
  if (RUNNING_SETTINGS.test(key)) call.report("confirm", "git-config", `Changes what git runs by itself: \`${key}\``);
}
