import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { BoundedOutput } from "../../src/process/bounded_output.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

function collect(maxBytes: number, ...chunks: Uint8Array[]) {
  const output = new BoundedOutput(maxBytes);
  for (const chunk of chunks) output.push(chunk);
  return output.text();
}

Deno.test("BoundedOutput keeps everything up to its limit", () => {
  deepEqual(collect(6, encode("abc"), encode("def")), { text: "abcdef", elidedBytes: 0, totalBytes: 6 });
  deepEqual(collect(6), { text: "", elidedBytes: 0, totalBytes: 0 });
});

Deno.test("BoundedOutput keeps the beginning and the end of a longer output, and says what is missing", () => {
  deepEqual(collect(6, encode("abcdefghij")), {
    text: "abc\n[… 4 bytes left out …]\nhij",
    elidedBytes: 4,
    totalBytes: 10,
  });
  equal(collect(8, encode("abc\ndefghi\nxyz")).text, "abc\n[… 6 bytes left out …]\n\nxyz");
});

Deno.test("BoundedOutput may be given one buffer again and again", () => {
  const buffer = encode("1");
  const output = new BoundedOutput(4);
  for (const digit of "123456789") {
    buffer.set(encode(digit));
    output.push(buffer);
  }
  equal(output.text().text, "12\n[… 5 bytes left out …]\n89");
});

Deno.test("BoundedOutput shows no half of a character where it cuts", () => {
  for (const character of ["é", "€", "😀"]) {
    const all = encode(character.repeat(50));
    for (let maxBytes = 2; maxBytes < all.length; maxBytes++) {
      const { text, elidedBytes, totalBytes } = collect(maxBytes, all);
      ok(!text.includes("\uFFFD"), `${character} cut to ${maxBytes} bytes gave ${text}`);
      const kept = text.replace(/\n?\[.*\]\n/, "");
      equal(encode(kept).length + elidedBytes, totalBytes);
    }
  }
});

Deno.test("BoundedOutput turns what is not UTF-8 into U+FFFD and keeps zeros, escapes and byte order marks", () => {
  equal(collect(100, new Uint8Array([0xff, 0x61, 0xc3])).text, "\uFFFDa\uFFFD");
  equal(collect(100, encode("\uFEFFa\0\x1b[31m\r")).text, "\uFEFFa\0\x1b[31m\r");
  equal(collect(100, encode("€").subarray(0, 2), encode("€").subarray(2)).text, "€");
});

Deno.test("BoundedOutput keeps the same bytes however they are cut into chunks", () => {
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }),
    fc.integer({ min: 2, max: 200 }),
    (chunks, maxBytes) => {
      const all = new Uint8Array(chunks.flatMap((chunk) => [...chunk]));
      const whole = collect(maxBytes, all);
      deepEqual(collect(maxBytes, ...chunks), whole);
      equal(whole.totalBytes, all.length);
      if (all.length <= maxBytes) equal(whole.text, decode(all));
    },
  ));
});

Deno.test("BoundedOutput refuses a limit that leaves no room for a beginning and an end", () => {
  for (const maxBytes of [1, 0, -1, 2.5, NaN, Infinity]) throws(() => new BoundedOutput(maxBytes), RangeError);
});
