/** Judges a program by its name and its arguments. */
import { judgeWords } from "./command_words.ts";
import { fileJudges } from "./file_programs.ts";
import { judgeGit } from "./git_program.ts";
import { judgeRead } from "./judge_files.ts";
import { machineJudges } from "./machine_programs.ts";
import { filesOfGrep, printingJudges } from "./printing_programs.ts";
import type { ProgramCall, ProgramJudges } from "./program_call.ts";
import { runningJudges } from "./running_programs.ts";

const judges: ProgramJudges = new Map([
  ...fileJudges,
  ...machineJudges,
  ...printingJudges,
  ...runningJudges,
  ["git", judgeGit],
]);

/** `python3.12`, `pip3`. */
const VERSIONED = /^(python|ruby|perl|php|lua|node|pip)[\d.]+$/;

/** What speaks against the call goes to its `report`; what it prints, if that is known. */
export function judgeProgram(call: ProgramCall): string | void {
  const plain = call.name.replace(/\.exe$/, "");
  const name = VERSIONED.exec(plain)?.[1] ?? plain;
  const found = judgeWords(name, call.args);
  if (found !== undefined) call.report(found.verdict, found.rule, found.reason);
  return judges.get(name)?.(call);
}

/** Programs that send what they are given to other machines. */
export const SENDERS = new Set([
  "curl",
  "wget",
  "nc",
  "ncat",
  "netcat",
  "socat",
  "scp",
  "sftp",
  "ssh",
  "rsync",
  "ftp",
  "telnet",
  "http",
  "https",
  "xh",
]);

/** Programs that only show or name their words, or look at names: no word of theirs is read as a file. */
const NAMES_ONLY = new Set([
  "echo",
  "printf",
  "ls",
  "stat",
  "test",
  "[",
  "mkdir",
  "touch",
  "chmod",
  "chown",
  "git",
  "export",
  "cd",
  "rm",
  "which",
  "basename",
  "dirname",
  "file",
  "ssh-keygen",
  "du",
  "true",
  ":",
]);

/** Whether a word names a file with credentials that the program reads. */
export function judgeReads(call: ProgramCall): boolean {
  const words = /^(?:[ef]?grep|rg|ag)$/.test(call.name)
    ? filesOfGrep(call.args)
    : NAMES_ONLY.has(call.name)
    ? []
    : call.args;
  return words.slice(0, 500).map((word) => judgeRead(call, word)).some((isRead) => isRead);
}
