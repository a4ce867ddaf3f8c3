/** A log of events that is in memory. */
import type { LogFile } from "../../src/http/event_file.ts";

export class SampleLog implements LogFile {
  #bytes = new Uint8Array();

  constructor(events: readonly unknown[] = []) {
    for (const event of events) this.append(event);
  }

  append(event: unknown): void {
    const line = new TextEncoder().encode(JSON.stringify(event) + "\n");
    const bytes = new Uint8Array(this.#bytes.length + line.length);
    bytes.set(this.#bytes);
    bytes.set(line, this.#bytes.length);
    this.#bytes = bytes;
  }

  size(): number {
    return this.#bytes.length;
  }

  read(offset: number, into: Uint8Array): number {
    const part = this.#bytes.subarray(offset, Math.min(offset + into.length, this.#bytes.length));
    into.set(part);
    return part.length;
  }
}
