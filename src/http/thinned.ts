/** Keeps a bounded number of values of a series that goes on, evenly spread over all that have come. */

export class Thinned<T> {
  readonly #max: number;
  #kept: T[] = [];
  #last: T | undefined;
  /** Of so many values one is kept. */
  #stride = 1;
  #count = 0;

  /** @param max how many are kept at most, the newest included; at least 2 */
  constructor(max: number) {
    this.#max = max;
  }

  add(value: T): void {
    if (this.#count % this.#stride === 0) {
      if (this.#kept.length === this.#max - 1) {
        this.#kept = this.#kept.filter((_, index) => index % 2 === 0);
        this.#stride *= 2;
      }
      if (this.#count % this.#stride === 0) this.#kept.push(value);
    }
    this.#last = value;
    this.#count++;
  }

  /** In the order in which they came; always with the first and the newest. */
  values(): T[] {
    const isKept = this.#count === 0 || (this.#count - 1) % this.#stride === 0;
    return isKept ? [...this.#kept] : [...this.#kept, this.#last!];
  }
}
