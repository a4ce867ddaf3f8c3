/** Looks for what code of other languages on a command line runs or deletes: `python -c`, `node -e`, `awk`. */
import { isKnown, shown } from "./marks.ts";
import type { ProgramCall } from "./program_call.ts";
import { judgeDelete, judgeWrite } from "./judge_files.ts";

const RUNS: Readonly<Record<string, RegExp>> = {
  python:
    /\bos\.(?:system|popen|exec|spawn|posix_spawn)|\bsubprocess\b|\bpty\.spawn|(?<![.\w])(?:exec|eval|__import__)\s*\(/,
  javascript: /child_process|\b(?:execSync|spawnSync|execFile)\b|\b(?:Deno\.Command|Bun\.spawn|eval\s*\()/,
  awk: /\bsystem\s*\(|\|&?\s*"|"\s*\|\s*getline/,
  other: /\b(?:system|exec|popen|spawn|shell_exec|passthru|proc_open|qx|eval)\b|`|\bOpen3\b|do shell script/,
};
const DELETES =
  /\b(?:rmtree|rmdirSync|rmSync|unlinkSync|removeSync|rimraf|os\.remove|os\.unlink|os\.rmdir|\.unlink\(|\.rmdir\(|fs\.rm|fs\.unlink|rm_rf|rm_r|FileUtils\.rm|remove_tree|unlink|Deno\.remove)/;
const WRITES =
  /\b(?:open\(\s*["']([^"'\n]{1,300})["']\s*,\s*["'][wax>+]|(?:writeFile|appendFile|writeTextFile|File\.write)\w{0,8}\(\s*["']([^"'\n]{1,300})["'])/g;
const HIDES = /\b(?:b64decode|fromhex|__import__|getattr|codecs|atob|unpack|marshal|zlib|chr)\b/;
const MAX_LITERALS = 200;

/** The code is not parsed: text that names a way to run or to delete is taken at its literals. */
export function judgeForeignCode(call: ProgramCall, language: keyof typeof RUNS, code: string): void {
  if (!isKnown(code)) call.report("confirm", "unknown-code", `Runs code for \`${call.name}\` that is not known`);
  for (const [, opened, written] of code.matchAll(WRITES)) {
    judgeWrite(call, expandHome(opened ?? written!, call.home));
  }
  const runs = RUNS[language]!.test(code), deletes = DELETES.test(code);
  if (!runs && !deletes) return;
  if (HIDES.test(code)) call.report("confirm", "hidden-code", `Runs code for \`${call.name}\` that hides what it does`);
  const literals = stringLiterals(code);
  if (literals === undefined || literals.length === 0) {
    return call.report("confirm", "foreign-code", `Runs ${shown(code)}, and what that starts or deletes is not known`);
  }
  if (deletes) {
    for (const literal of literals) {
      if (/^[~./\w][^\s]*$/.test(literal)) judgeDelete(call, expandHome(literal, call.home));
    }
  }
  if (!runs) return;
  for (const literal of literals) if (/\s/.test(literal) || literal.includes("/")) call.runCode(literal);
  // Arguments in a list make one command.
  call.runCommand(literals.filter((literal) => literal !== ""));
  if (/(?:system|popen|exec\w*|spawn\w*|run|call|check_\w+|Popen)\s*\(\s*[A-Za-z_$]/.test(code)) {
    call.report("confirm", "foreign-code", `Runs a command that ${shown(code)} puts together`);
  }
}

const expandHome = (path: string, home: string) => path === "~" || path.startsWith("~/") ? home + path.slice(1) : path;

/** The contents of quoted strings, in their order; undefined for too many. */
function stringLiterals(code: string): string[] | undefined {
  const found: string[] = [];
  for (let i = 0; i < code.length; i++) {
    const quote = code[i]!;
    if (quote === "\\") i++;
    if (quote !== '"' && quote !== "'" && quote !== "`") continue;
    let text = "", end = i + 1;
    for (; end < code.length && code[end] !== quote; end++) {
      if (code[end] === "\\") end++;
      text += code[end] ?? "";
    }
    found.push(text);
    i = end;
    if (found.length > MAX_LITERALS) return undefined;
  }
  return found;
}
