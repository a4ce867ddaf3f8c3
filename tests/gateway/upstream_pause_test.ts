import { strictEqual as equal } from "node:assert/strict";
import { pauseMs } from "../../src/gateway/upstream_pause.ts";

Deno.test("pauseMs() reads what upstreams send, and nothing that is not clear", () => {
  const now = () => Date.parse("2026-11-21T10:00:00Z");
  const table: [status: number, headers: Record<string, string>, ms: number | undefined][] = [
    [429, {}, undefined],
    [429, { "retry-after": "7" }, 7000],
    [529, { "retry-after": " 1.5 " }, 1500],
    [503, { "retry-after": "0" }, 0],
    [429, { "retry-after": "60", "retry-after-ms": "250" }, 250],
    [429, { "retry-after": "Sat, 21 Nov 2026 10:00:30 GMT" }, 30_000],
    [429, { "retry-after": "Saturday, 21-Nov-26 10:01:00 GMT" }, 60_000],
    [429, { "retry-after": "Sat, 21 Nov 2026 09:00:00 GMT" }, 0],
    ...["-1", "soon", "1e9", "0x10", "2026", "1 minute", "Sat, 99 Nov 2026 10:00:30 GMT", "9".repeat(400)]
      .map((text): [number, Record<string, string>, number | undefined] => [
        429,
        { "retry-after": text },
        text === "2026" ? 2_026_000 : undefined,
      ]),
    [400, { "retry-after": "7" }, undefined],
    [200, { "retry-after": "7" }, undefined],
    [429, {
      "anthropic-ratelimit-requests-remaining": "10",
      "anthropic-ratelimit-requests-reset": "2026-11-21T10:00:05Z",
      "anthropic-ratelimit-input-tokens-remaining": "0",
      "anthropic-ratelimit-input-tokens-reset": "2026-11-21T10:00:20Z",
      "anthropic-ratelimit-tokens-remaining": "0",
      "anthropic-ratelimit-tokens-reset": "2026-11-21T10:00:15.500Z",
    }, 20_000],
    [429, { "x-ratelimit-reset-requests": "2m0.5s", "x-ratelimit-reset-tokens": "20ms" }, 20],
    [429, {
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "1d2h3m4s",
      "x-ratelimit-reset-tokens": "20ms",
    }, 93_784_000],
    [429, { "x-ratelimit-reset-requests": "1795254000", "anthropic-ratelimit-unified-reset": "1795254000" }, undefined],
    [429, { "x-ratelimit-reset-requests": "6m0", "x-ratelimit-reset": "5s" }, undefined],
    [500, { "x-ratelimit-reset-requests": "5s" }, undefined],
  ];
  for (const [status, headers, ms] of table) {
    equal(pauseMs({ headers: new Headers(headers), status }, now), ms, JSON.stringify([status, headers]));
  }
});
