/** Tells who asks, by the credential in whichever header the client's kind puts it. */
import { timingSafeEqual } from "node:crypto";
import type { Caller } from "./ledger/entry.ts";
import { isVirtualKey } from "./ledger/keys.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { Refusal } from "./refusal.ts";
import type { GatewaySettings } from "./settings.ts";

/** Clients of one kind send one of these; some send two. */
const KEY_HEADERS = ["x-api-key", "x-goog-api-key", "api-key"];

/**
 * The caller that the virtual key was made for, or, where calls without one are taken, the default run and the worker of
 * the path. Throws a `Refusal` (401; 403 for another worker's path).
 */
export function authorise(
  request: { readonly headers: Headers; readonly search: string; readonly worker: string | undefined },
  ledger: Ledger,
  settings: Pick<GatewaySettings, "requireKey" | "token" | "run">,
): Caller {
  const credentials = credentialsIn(request.headers, request.search);
  const virtual = credentials.find(isVirtualKey);
  if (virtual !== undefined) {
    const found = ledger.findKey(virtual);
    if (found.kind !== "valid") throw new Refusal("authentication", WHY[found.kind]);
    const { caller } = found;
    if (request.worker !== undefined && request.worker !== caller.worker) {
      throw new Refusal("forbidden", `The key belongs to the worker "${caller.worker}", not to "${request.worker}"`);
    }
    return caller;
  }
  const { requireKey, token } = settings;
  const mayPass = !requireKey && (token === undefined || credentials.some((credential) => isSame(credential, token)));
  if (!mayPass) {
    const what = requireKey ? "virtual keys" : "its token or virtual keys";
    throw new Refusal("authentication", `This gateway takes ${what}; make a key with \`gocore gateway key issue\``);
  }
  return { run: settings.run, worker: request.worker ?? "default", keyId: null };
}

const WHY = {
  unknown: "The virtual key is unknown to this gateway",
  ended: "The virtual key has ended: its worker is done",
  expired: "The virtual key has expired",
} as const;

function credentialsIn(headers: Headers, search: string): string[] {
  const bearer = /^bearer\s+(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  const inQuery = search.includes("key=") ? new URLSearchParams(search).get("key") : null;
  return [bearer, ...KEY_HEADERS.map((name) => headers.get(name)), inQuery]
    .filter((credential): credential is string => credential !== null && credential !== undefined);
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => new TextEncoder().encode(text));
  return left!.byteLength === right!.byteLength && timingSafeEqual(left!, right!);
}
