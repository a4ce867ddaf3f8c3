/** A file's bytes with the secrets in its text masked, whatever else is in it. */
import { Buffer } from "node:buffer";
import type { Redactor } from "../../../safety/secrets.ts";

/** `isText`: UTF-8 without NUL. In other bytes, such as of a text that was cut within a character, ASCII is looked at. */
export function maskedBytes(
  bytes: Uint8Array<ArrayBuffer>,
  redactor: Redactor,
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly isText: boolean } {
  const text = decode(bytes);
  if (text === undefined) {
    const latin1 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    const masked = redactor.redact(latin1);
    return { bytes: masked === latin1 ? bytes : Uint8Array.from(Buffer.from(masked, "latin1")), isText: false };
  }
  const masked = redactor.redact(text);
  return { bytes: masked === text ? bytes : new TextEncoder().encode(masked), isText: true };
}

function decode(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
