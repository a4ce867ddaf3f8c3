/** Goes through every combination of values that variables may have, one run of a command after the other. */
export class Odometer {
  readonly #digits: { index: number; count: number }[] = [];
  #cursor = 0;
  #picked = new Map<string, number>();
  #runs = 1;
  readonly #maxRuns: number;

  constructor(maxRuns: number) {
    this.#maxRuns = maxRuns;
  }

  /** Which of several values this run takes, the same for the same name; undefined for too many combinations. */
  pick(count: number, name?: string): number | undefined {
    if (count <= 1) return 0;
    if (this.#runs > this.#maxRuns) return undefined;
    const before = name === undefined ? undefined : this.#picked.get(name);
    if (before !== undefined && before < count) return before;
    const digit = this.#digits[this.#cursor] ??= { index: 0, count };
    this.#cursor++;
    if (name !== undefined) this.#picked.set(name, digit.index);
    return Math.min(digit.index, count - 1);
  }

  /** To the next combination; false when there is none. */
  advance(): boolean {
    this.#cursor = 0;
    this.#picked = new Map();
    if (this.#runs > this.#maxRuns) return false;
    while (this.#digits.length > 0) {
      const last = this.#digits.at(-1)!;
      if (++last.index < last.count) {
        this.#runs++;
        return true;
      }
      this.#digits.pop();
    }
    return false;
  }
}
