import { rejects } from "node:assert/strict";
import { startGateway } from "../../src/gateway/gateway.ts";
import { DEFAULT_SETTINGS } from "../../src/gateway/settings.ts";

for (const host of ["0.0.0.0", "::", "192.0.2.1", "gateway.internal"]) {
  Deno.test(`without a token and without virtual keys nobody listens on ${host}`, async () => {
    const settings = { ...DEFAULT_SETTINGS, host, port: 0, ledger: ":memory:", upstreams: [] };
    const starting = startGateway({ ...settings, source: { kind: "upstreams" } }, {
      env: {},
      publish: () => {},
      now: () => Date.now(),
      monotonicMs: () => performance.now(),
    });
    await rejects(starting, { name: "Failure", kind: "usage", message: /need a token/ });
  });
}
