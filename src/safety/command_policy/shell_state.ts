/** What a shell knows at one point of a script: variables, functions, the folder, files that the script has written. */
import type { Function as FunctionNode } from "unbash";
import { UNKNOWN } from "./marks.ts";

/** More possible values than these are nobody's. */
const MAX_VALUES = 8;
const MAX_VALUE_LENGTH = 64 * 1024;

export class ShellState {
  /** The possible values of each variable that the script has set. `PWD` is where commands run. */
  readonly #variables: Map<string, readonly string[]>;
  readonly #environment: Readonly<Record<string, string>>;
  readonly arrays: Map<string, readonly string[]>;
  readonly functions: Map<string, FunctionNode>;
  readonly aliases: Map<string, string>;
  /** What the script has written, by resolved path. */
  readonly files: Map<string, string>;
  /** Links that the script has made: resolved path → target. */
  readonly links: Map<string, string>;
  /** `$1` …; undefined: nobody knows them. */
  positional: readonly string[] | undefined;
  stopsAtErrors = false;

  constructor(environment: Readonly<Record<string, string>>, from?: ShellState) {
    this.#environment = environment;
    this.#variables = new Map(from === undefined ? [] : from.#variables);
    this.arrays = new Map(from?.arrays);
    this.functions = new Map(from?.functions);
    this.aliases = new Map(from?.aliases);
    this.files = from?.files ?? new Map();
    this.links = from?.links ?? new Map();
    this.positional = from === undefined ? [] : from.positional;
    this.stopsAtErrors = from?.stopsAtErrors ?? false;
  }

  clone(): ShellState {
    return new ShellState(this.#environment, this);
  }

  valuesOf(name: string): readonly string[] {
    const set = this.#variables.get(name);
    if (set !== undefined) return set;
    return Object.hasOwn(this.#environment, name) ? [this.#environment[name]!] : [UNKNOWN];
  }

  isSet(name: string): boolean {
    return this.#variables.has(name) || Object.hasOwn(this.#environment, name);
  }

  setValues(name: string, values: readonly string[]): void {
    const distinct = [...new Set(values.map((value) => value.length > MAX_VALUE_LENGTH ? UNKNOWN : value))];
    this.#variables.set(name, distinct.length > MAX_VALUES ? [UNKNOWN] : distinct);
    this.arrays.delete(name);
  }

  setArray(name: string, elements: readonly string[]): void {
    this.#variables.set(name, [elements[0] ?? ""]);
    this.arrays.set(name, elements);
  }

  unset(name: string): void {
    this.#variables.set(name, [""]);
    this.arrays.delete(name);
    this.functions.delete(name);
  }

  /** This state, or the other one: nobody knows which. */
  join(other: ShellState): void {
    for (const name of new Set([...this.#variables.keys(), ...other.#variables.keys()])) {
      const array = this.arrays.get(name), otherArray = other.arrays.get(name);
      const isSameArray = JSON.stringify(array) === JSON.stringify(otherArray);
      this.setValues(name, [...this.valuesOf(name), ...other.valuesOf(name)]);
      if (isSameArray && array !== undefined) this.arrays.set(name, array);
    }
    for (const [name, body] of other.functions) if (!this.functions.has(name)) this.functions.set(name, body);
    for (const [name, text] of other.aliases) if (!this.aliases.has(name)) this.aliases.set(name, text);
    if (JSON.stringify(this.positional) !== JSON.stringify(other.positional)) this.positional = undefined;
  }
}
