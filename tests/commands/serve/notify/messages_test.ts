import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { messageOf, type Notice } from "../../../../src/commands/serve/notify/messages.ts";
import type { Entry } from "../../../../src/http/schemas.ts";

const ENTRY: Entry = {
  kind: "session",
  id: "orch_1",
  title: "Mend the parser",
  status: "running",
  running: true,
  attention: [
    { kind: "needs_answer", text: "Which one?", worker: null, since: null },
    { kind: "stalled", text: "claude is silent", worker: "claude", since: null },
  ],
  agents: [],
  models: [],
  source: null,
  folder: "/w/orch_1",
  started_at: null,
  ended_at: null,
  last_event_at: null,
  elapsed_seconds: 601,
  cost_usd: null,
  known_cost_usd: 1.25,
  calls: 40,
  progress: null,
  summary: "two of three tasks are done",
};
const notice = (changes: Partial<Entry> = {}, more: Partial<Notice> = {}): Notice => ({
  event: "attention",
  entry: { ...ENTRY, ...changes },
  url: "http://127.0.0.1:8088/#/sessions/orch_1",
  time: "2026-03-02T12:00:00.000Z",
  ...more,
});
// deno-lint-ignore no-explicit-any
const slack = (of: Notice) => messageOf(of, "slack") as any;
// deno-lint-ignore no-explicit-any
const discord = (of: Notice) => messageOf(of, "discord") as any;

Deno.test("Slack is told in sections: what, of which task, why, and where to look", () => {
  const section = (text: string) => ({ type: "section", text: { type: "mrkdwn", text, verbatim: true } });
  const text = "1.25 USD at least, 40 calls, 10 min · <http://127.0.0.1:8088/#/sessions/orch_1|Open it>";
  deepEqual(slack(notice()), {
    text: "Session orch_1 needs an answer, has stalled: Mend the parser",
    parse: "none",
    link_names: false,
    unfurl_links: false,
    blocks: [
      section("*Session orch_1 needs an answer, has stalled*\nMend the parser"),
      section("Which one?"),
      section("claude is silent"),
      section("two of three tasks are done"),
      { type: "context", elements: [{ type: "mrkdwn", text, verbatim: true }] },
    ],
  });
});

Deno.test("Discord is told in an embed that calls nobody", () => {
  deepEqual(discord(notice({ status: "ok", attention: [], cost_usd: 2 }, { event: "finish", url: null })), {
    embeds: [{
      title: "Session orch\\_1 has ended\\: ok",
      description: "Mend the parser\ntwo of three tasks are done",
      color: 0x2da44e,
      footer: { text: "2.00 USD, 40 calls, 10 min" },
      timestamp: "2026-03-02T12:00:00.000Z",
    }],
    allowed_mentions: { parse: [] },
  });
});

const HOSTILE =
  "<!channel> <@U1> @everyone @here & <https://evil.example|click> [x](https://evil.example) \u202egnp.exe";

Deno.test("a hostile title calls nobody, leads nowhere and cannot turn the text around", () => {
  const told = slack(notice({ title: HOSTILE, attention: [], summary: null }));
  equal(
    told.blocks[0].text.text,
    "*Session orch_1 has ended: running*\n" +
      "&lt;!channel&gt; &lt;@\u2060U1&gt; @\u2060everyone @\u2060here &amp; &lt;https://evil.example|click&gt; " +
      "[x](https://evil.example) gnp.exe",
  );
  ok(told.text.endsWith("gnp.exe") && !told.text.includes("<"));
  const { description } = discord(notice({ title: HOSTILE, attention: [], summary: null })).embeds[0];
  equal(
    description,
    "\\<!channel\\> \\<\\@U1\\> \\@everyone \\@here & \\<https\\://evil.example\\|click\\> " +
      "\\[x\\]\\(https\\://evil.example\\) gnp.exe\nhttp://127.0.0.1:8088/#/sessions/orch_1",
  );
});

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6000 }),
  fc.array(
    fc.constantFrom("&", "<!here>", "@everyone", "*", "\\", "`", "[a](b)", "\u202e", "\0", "\n", "😀", "\ud800"),
    {
      maxLength: 3000,
    },
  ).map((pieces) => pieces.join("")),
);
const hostile = fc.record({
  title: text,
  id: text,
  status: text,
  summary: fc.option(text),
  attention: fc.array(
    fc.record({
      kind: fc.constantFrom("needs_answer", "blocked", "stalled", "failed", "cut_off"),
      text,
      worker: fc.constant(null),
      since: fc.constant(null),
    }),
    { maxLength: 20 },
  ),
}) as fc.Arbitrary<Partial<Entry>>;

Deno.test("whatever a run says, messages keep the limits of Slack and have no control sign of it", () => {
  fc.assert(
    fc.property(hostile, fc.constantFrom("attention", "finish", "failure"), (entry, event) => {
      const { text, blocks } = slack(notice(entry, { event, url: null }));
      ok(text.length <= 4000 && blocks.length <= 50);
      for (const block of blocks) {
        const shown: string = (block.text ?? block.elements[0]).text;
        ok(shown.length > 0 && shown.length <= 3000);
        ok(!/[<>\x00-\x09\x0b-\x1f\u202a-\u202e]|&(?!(?:amp|lt|gt);)|@(?!\u2060)/.test(shown), shown);
        ok(shown.isWellFormed());
      }
      ok(!/[<>]|&(?!(?:amp|lt|gt);)|@(?!\u2060)/.test(text));
    }),
    { numRuns: 300 },
  );
});

Deno.test("whatever a run says, messages keep the limits of Discord and have no markdown of it", () => {
  fc.assert(
    fc.property(hostile, fc.constantFrom("attention", "finish", "failure"), (entry, event) => {
      const { embeds: [{ title, description, footer }], allowed_mentions } = discord(
        notice(entry, { event, url: null }),
      );
      ok(title.length <= 256 && description.length <= 4096);
      ok(title.length + description.length + footer.text.length <= 6000);
      for (const shown of [title, description]) {
        ok(!/[*_~`|<>[\]()#@:]/.test(shown.replaceAll(/\\[\\*_~`|<>[\]()#@:]/g, "")), shown);
        ok(shown.isWellFormed());
      }
      deepEqual(allowed_mentions, { parse: [] });
    }),
    { numRuns: 300 },
  );
});
