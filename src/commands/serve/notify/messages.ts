/** What has happened to a run, as each kind of place wants to be told; nothing in it can call people or pretend to be more. */
import type { Entry } from "../../../http/schemas.ts";
import type { NotifyEvent, NotifyFormat } from "./read_places.ts";

export interface Notice {
  readonly event: NotifyEvent;
  /** Without secrets. */
  readonly entry: Entry;
  /** Of the run's page; null: it is not known. */
  readonly url: string | null;
  /** UTC, ISO 8601. */
  readonly time: string;
}

/** The body of a request, as JSON. */
export function messageOf(notice: Notice, format: NotifyFormat): unknown {
  switch (format) {
    case "webhook":
      return plainMessage(notice);
    case "slack":
      return slackMessage(notice);
    case "discord":
      return discordMessage(notice);
  }
}

function plainMessage({ event, entry, url, time }: Notice): unknown {
  const { kind, id, title, status, attention, cost_usd, summary } = entry;
  return { event, kind, id, title, status, attention, cost_usd, summary, url, time };
}

const REASONS: Readonly<Record<Entry["attention"][number]["kind"], string>> = {
  needs_answer: "needs an answer",
  blocked: "is blocked",
  stalled: "has stalled",
  failed: "has failed",
  cut_off: "was cut off",
};
const KINDS: Readonly<Record<Entry["kind"], string>> = { mini: "Mini run", session: "Session", manager: "Manager run" };
const MOST_REASONS = 5;
const MOST_TITLE = 300;
const MOST_TEXT = 500;

/** `Session orch_1 needs an answer`. */
function headline({ event, entry: { kind, id, status, attention } }: Notice): string {
  const reasons = [...new Set(attention.map(({ kind }) => REASONS[kind]))];
  const said = event === "finish" || reasons.length === 0 ? `has ended: ${status}` : reasons.join(", ");
  return clipped(`${KINDS[kind]} ${id} ${said}`, MOST_TITLE);
}

/** What a person would want to know next. */
function details({ event, entry: { attention, summary } }: Notice): string[] {
  const reasons = event === "finish" ? [] : attention.map(({ text }) => text);
  const texts = [...reasons.slice(0, MOST_REASONS), summary ?? ""].map((text) => clipped(text, MOST_TEXT));
  return [...new Set(texts)].filter((text) => text !== "");
}

function figures({ entry: { cost_usd, known_cost_usd, calls, elapsed_seconds } }: Notice): string {
  const cost = cost_usd === null ? `${known_cost_usd.toFixed(2)} USD at least` : `${cost_usd.toFixed(2)} USD`;
  return `${cost}, ${calls} calls, ${Math.round(elapsed_seconds / 60)} min`;
}

/** Of one section; Slack's own limit. */
const SLACK_SECTION = 3000;
/** What Slack advises for the text of a message. */
const SLACK_TEXT = 4000;

/**
 * Mentions are written `<!channel>`, `<@U1>` and `<#C1>`: without `<` there are none, and `verbatim` finds no names. Others
 * who take Slack's messages know `@channel`, too; with something invisible behind its first sign it is nobody's name.
 */
const SLACK_ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\u2060" };

function slackMessage(notice: Notice): unknown {
  const { entry: { title }, url } = notice;
  const escaped = (text: string, most: number) => escapedTo(most, text, (character) => SLACK_ESCAPES[character]);
  const section = (text: string) => ({ type: "section", text: { type: "mrkdwn", text, verbatim: true } });
  return {
    text: escaped(`${headline(notice)}: ${clipped(title, MOST_TITLE)}`, SLACK_TEXT),
    parse: "none",
    link_names: false,
    unfurl_links: false,
    blocks: [
      section(`*${escaped(headline(notice), 500)}*\n${escaped(clipped(title, MOST_TITLE), SLACK_SECTION - 600)}`),
      ...details(notice).map((text) => section(escaped(text, SLACK_SECTION))),
      {
        type: "context",
        elements: [{
          type: "mrkdwn",
          text: `${figures(notice)}${url === null ? "" : ` · <${escaped(url, 2000)}|Open it>`}`,
          verbatim: true,
        }],
      },
    ],
  };
}

const DISCORD_TITLE = 256;
const DISCORD_DESCRIPTION = 4096;
const COLOURS: Readonly<Record<NotifyEvent, number>> = { attention: 0xd29922, finish: 0x2da44e, failure: 0xcf222e };

function discordMessage(notice: Notice): unknown {
  const { event, entry: { title }, url, time } = notice;
  const lines = [clipped(title, MOST_TITLE), ...details(notice)];
  // Not as the embed's own: one that leads to a machine without a name would make Discord refuse the whole message.
  const link = url === null ? "" : `\n${url}`;
  return {
    embeds: [{
      title: escapedTo(DISCORD_TITLE, headline(notice), discordEscape),
      description: escapedTo(DISCORD_DESCRIPTION - link.length, lines.join("\n"), discordEscape) + link,
      color: COLOURS[event],
      footer: { text: figures(notice) },
      timestamp: time,
    }],
    allowed_mentions: { parse: [] },
  };
}

/** Markdown takes a backslash before any of its signs, and shows the sign alone. */
function discordEscape(character: string): string | undefined {
  return /[\\*_~`|<>[\]()#@:]/.test(character) ? `\\${character}` : undefined;
}

// Line feeds are not among them. Those that change the order of text would make it say something else.
const INVISIBLE = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/g;

/** Bounded, on one line. */
function clipped(text: string, most: number): string {
  const line = text.slice(0, 4 * most).toWellFormed().replaceAll(INVISIBLE, " ").replaceAll(/\s+/g, " ").trim();
  return line.length <= most ? line : `${line.slice(0, most - 1).toWellFormed()}…`;
}

/** The text with its escapes, as much of it as has room. */
function escapedTo(most: number, text: string, escapeOf: (character: string) => string | undefined): string {
  let result = "";
  for (const character of text) {
    const piece = escapeOf(character) ?? character;
    if (result.length + piece.length > most - 1) return `${result}…`;
    result += piece;
  }
  return result;
}
