/** How fast a counter has grown over the last few seconds. */

/** Keeps only the samples of one window. */
export class SlidingRate {
  readonly #windowMs: number;
  readonly #samples: { readonly atMs: number; readonly total: number }[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /**
   * Notes that the counter stood at `total` at `atMs`, which may not go back. Returns its growth per millisecond over
   * the shortest time that is no shorter than the window; undefined as long as the samples do not reach back that far.
   */
  push(atMs: number, total: number): number | undefined {
    const samples = this.#samples;
    samples.push({ atMs, total });
    while (samples.length > 2 && atMs - samples[1]!.atMs >= this.#windowMs) samples.shift();
    const first = samples[0]!;
    const spanMs = atMs - first.atMs;
    return spanMs > 0 && spanMs >= this.#windowMs ? (total - first.total) / spanMs : undefined;
  }
}
