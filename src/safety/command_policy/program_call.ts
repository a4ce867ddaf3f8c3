/** What the judge of one program gets to see and to say. */
import type { Place } from "./places.ts";
import type { PolicyVerdict } from "./rules.ts";

export interface ProgramCall {
  /** The last part of the program's path. */
  readonly name: string;
  readonly args: readonly string[];
  /** What comes on its stdin, as far as it is known; undefined: nothing. */
  readonly stdin: string | undefined;
  readonly cwd: string;
  readonly home: string;
  report(verdict: Exclude<PolicyVerdict, "allow">, rule: string, reason: string): void;
  /** `isEntry`: a link at the end of the path is meant itself, not what it leads to. */
  place(field: string, options?: { isEntry?: boolean }): Place;
  /** Judges shell code that the program runs, with `$0`, `$1` …; what the code prints. */
  runCode(code: string, parameters?: readonly string[]): string;
  /** Judges a command that the program runs; what the command prints. */
  runCommand(argv: readonly string[]): string;
  /** What the script itself has written to the file. */
  written(field: string): string | undefined;
  writes(field: string, content: string): void;
  links(field: string, target: string): void;
}

/** Judges one call; what it prints, if that is known. */
export type ProgramJudge = (call: ProgramCall) => string | void;

export type ProgramJudges = Map<string, ProgramJudge>;

/** Adds one judge under several names, with spaces between them. */
export const addTo = (judges: ProgramJudges) => (names: string, judge: ProgramJudge): void => {
  for (const name of names.split(" ")) judges.set(name, judge);
};

/** The words of a command, taken apart into options and operands. */
export class Arguments {
  readonly operands: string[] = [];
  readonly #options: { name: string; value: string | undefined }[] = [];

  /** `valued`: short options (letters) and long ones (names) that take a value, which may be the next word. */
  constructor(args: readonly string[], valued: { short?: string; long?: readonly string[] } = {}) {
    const { short = "", long = [] } = valued;
    for (let i = 0; i < args.length; i++) {
      const word = args[i]!;
      if (word === "--") {
        this.operands.push(...args.slice(i + 1));
        break;
      }
      if (word.startsWith("--")) {
        const [name = "", ...value] = word.slice(2).split("=");
        const hasValue = word.includes("=");
        this.#options.push({ name, value: hasValue ? value.join("=") : long.includes(name) ? args[++i] : undefined });
      } else if (word.startsWith("-") && word !== "-") {
        for (let j = 1; j < word.length; j++) {
          const name = word[j]!;
          if (!short.includes(name)) this.#options.push({ name, value: undefined });
          else {
            this.#options.push({ name, value: word.slice(j + 1) || args[++i] });
            break;
          }
        }
      } else this.operands.push(word);
    }
  }

  /** Short names are one letter; long ones may be cut short, as GNU allows. */
  has(...names: string[]): boolean {
    return this.#options.some(({ name }) => names.some((wanted) => isOption(name, wanted)));
  }

  values(...names: string[]): string[] {
    return this.#options.filter(({ name }) => names.some((wanted) => isOption(name, wanted)))
      .flatMap(({ value }) => value ?? []);
  }
}

const isOption = (given: string, wanted: string) =>
  wanted.length === 1 ? given === wanted : given.length > 2 && wanted.startsWith(given);
