/** The page of a session and what it loads, as parts of the program. */
import css from "../../static/session.css" with { type: "text" };
import html from "../../static/session.html" with { type: "text" };
import js from "../../static/session.js" with { type: "text" };

/** By path; each with its media type. */
export const sessionPage: ReadonlyMap<string, { readonly type: string; readonly content: string }> = new Map([
  ["/", { type: "text/html; charset=utf-8", content: html }],
  ["/session.css", { type: "text/css; charset=utf-8", content: css }],
  ["/session.js", { type: "text/javascript; charset=utf-8", content: js }],
]);
