import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { maskedBytes } from "../../../../src/commands/serve/views/masked_bytes.ts";
import { Redactor } from "../../../../src/safety/secrets.ts";

const redactor = new Redactor(["hunter22"]);
const bytesOf = (text: string) => new TextEncoder().encode(text);

Deno.test("secrets are masked in text, and in what is around bytes that are none", () => {
  const text = maskedBytes(bytesOf("\ufeffpässword=hunter22\n"), redactor);
  deepEqual(text, { bytes: bytesOf("\ufeffpässword=[redacted]\n"), isText: true });
  const torn = maskedBytes(Uint8Array.from([...bytesOf("hunter22 "), 0xc3]), redactor);
  deepEqual(torn, { bytes: Uint8Array.from([...bytesOf("[redacted] "), 0xc3]), isText: false });
  const binary = maskedBytes(Uint8Array.from([0, ...bytesOf("hunter22"), 0xff]), redactor);
  deepEqual(binary, { bytes: Uint8Array.from([0, ...bytesOf("[redacted]"), 0xff]), isText: false });
});

Deno.test("bytes without a secret come out as they went in", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    const own = Uint8Array.from(bytes);
    deepEqual(maskedBytes(own, redactor).bytes, Uint8Array.from(bytes));
    equal(maskedBytes(own.subarray(1), redactor).bytes.length, Math.max(bytes.length - 1, 0));
  }));
});
