/** Decides whether a request may be answered: it is addressed to us, comes from no foreign page, and has the token. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
};

/** Sets the headers that keep a page from doing what ours never does. */
export const secureHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) c.res.headers.set(name, value);
};

/** What the page behind a link with a token loads: it goes on without the token, and keeps what stands behind the `#`. */
export const welcomeScript = {
  path: "/welcome.js",
  type: "text/javascript; charset=utf-8",
  content: "location.replace(location.pathname + location.hash);\n",
};

/**
 * Without a token the Host has to be a name of this machine: a page whose own name was pointed here (DNS rebinding) sends
 * that name. With one, such a page has neither the token nor the cookie, and any name will do.
 *
 * A link with `?token=` is needed once for each browser: the token becomes a cookie, and leaves the address and with it
 * the tab's history, so that a reload, or a copy of the address, is without it. It is not used up: who opens the link
 * again, in a tab that is restored or on a phone, or after a program has looked at it in a message, is let in again.
 *
 * @param token undefined: everybody on this machine may
 * @param pages the paths that such a link may lead to
 */
export function guard(token: string | undefined, pages: { has(path: string): boolean }): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    if (token === undefined && !LOOPBACK_HOST.test(host)) {
      throw new HTTPException(421, { message: "The Host header names no address of this machine; use 127.0.0.1" });
    }
    const origin = c.req.header("origin");
    if (origin !== undefined && !isFrom(origin, host)) {
      throw new HTTPException(403, { message: "Pages of other origins may not use this server" });
    }
    // What a browser says where it sends no Origin; other clients say nothing.
    const site = c.req.header("sec-fetch-site") ?? "none";
    const followsLink = c.req.method === "GET" && c.req.header("sec-fetch-mode") === "navigate";
    if (site !== "same-origin" && site !== "none" && !followsLink) {
      throw new HTTPException(403, { message: "Pages of other sites may only link to this server" });
    }
    if (token !== undefined && c.req.path !== "/health") {
      const inAddress = pages.has(c.req.path) ? c.req.query("token") : undefined;
      if (inAddress !== undefined && isSame(inAddress, token)) return welcome(c, token);
      if (isKnown(c, token)) return await next();
      c.header("www-authenticate", "Bearer");
      return c.json({ error: "A token is needed: send `Authorization: Bearer TOKEN`, or open /?token=TOKEN" }, 401);
    }
    await next();
  };
}

function isFrom(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}

function isKnown(c: Context, token: string): boolean {
  const bearer = /^bearer ([\x21-\x7e]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (bearer !== undefined) return isSame(bearer, token);
  const { name, value } = cookieOf(token);
  const cookies = (c.req.header("cookie") ?? "").split(";").map((cookie) => cookie.trim());
  return cookies.some((cookie) => cookie.startsWith(`${name}=`) && isSame(cookie.slice(name.length + 1), value));
}

/** A redirect would come without the cookie when the link was on another site. */
function welcome(c: Context, token: string): Response {
  const { name, value } = cookieOf(token);
  c.header("set-cookie", `${name}=${value}; Path=/; HttpOnly; SameSite=Strict`);
  return c.html(
    `<!doctype html><title>gocore</title><script src="${welcomeScript.path}"></script><a href="/">To the dashboard</a>`,
  ) as Response;
}

/** Holds after a restart too, and does not tell the token. Sessions on other ports have the same cookies, but other names. */
function cookieOf(token: string): { name: string; value: string } {
  const value = createHash("sha256").update(`gocore session cookie ${token}`).digest("hex");
  return { name: `gocore_${value.slice(0, 8)}`, value };
}

/** Takes as long for a nearly right one as for any other. */
function isSame(given: string, wanted: string): boolean {
  const [left, right] = [given, wanted].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(left!, right!);
}
