/** The person's command with the candidate in it: what the shell gets. */
import { resolve } from "node:path";
import { shellWord } from "../../templates/shell_word.ts";

export interface CandidatePlace {
  /** Absolute. */
  readonly file: string;
  /** Its folder. */
  readonly dir: string;
}

/** What the shell needs besides the text: the candidate's arguments are its `"$@"`. */
export interface OracleCommand {
  readonly text: string;
  readonly env: Readonly<Record<string, string>>;
}

/** `${file}` is a variable of the person's own. */
const PLACEHOLDER = /(?<!\$)\{(file|dir|args)\}/g;
/** Means the same to a shell inside of any quotes and outside. */
const PLAIN_PATH = /^[\w./+@%=:,-]+$/;

/**
 * Puts the candidate into a command. A path is pasted as it is when no shell could read it in another way; any other is
 * given as a variable, so that no name of a file ever becomes a part of the program.
 */
export function oracleCommand(command: string, place: CandidatePlace, options: { hasArgs: boolean }): OracleCommand {
  const env: Record<string, string> = {};
  const pathText = (name: "file" | "dir", at: number) => {
    if (PLAIN_PATH.test(place[name])) return place[name];
    const variable = `GOCORE_${name.toUpperCase()}`;
    env[variable] = place[name];
    // Within single quotes it is for an inner shell, which needs the double quotes as well.
    return quoteAt(whole, at) === '"' ? `\${${variable}}` : `"\${${variable}}"`;
  };
  const has = (name: string) => [...command.matchAll(PLACEHOLDER)].some((match) => match[1] === name);
  const whole = command + (options.hasArgs && !has("args") ? " {args}" : "") +
    (has("file") || has("dir") ? "" : " {file}");
  const text = whole.replaceAll(
    PLACEHOLDER,
    (_, name: "file" | "dir" | "args", at: number) => name === "args" ? '"$@"' : pathText(name, at),
  );
  return { text, env };
}

/** The quote that the character at this place stands in, as far as a look from the start tells; "" for none. */
function quoteAt(text: string, end: number): string {
  let quote = "";
  for (let at = 0; at < end; at++) {
    const character = text[at]!;
    if (character === "\\" && quote !== "'") at++;
    else if (quote === "" && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = "";
  }
  return quote;
}

/** `./check.sh {file}` is the script in the folder where it was typed, wherever it is run. */
export function withAbsoluteProgram(command: string, cwd: string): string {
  const program = /^(?!\/)[\w.+@%-]*\/[\w./+@%-]*/.exec(command.trimStart())?.[0];
  if (program === undefined) return command;
  const path = resolve(cwd, program);
  try {
    if (!Deno.statSync(path).isFile) return command;
  } catch {
    return command;
  }
  return `${shellWord(path)}${command.trimStart().slice(program.length)}`;
}
