/** A report with a text in every place that a text can have. */
import type { Block, ReportDocument } from "../../../src/commands/report/document.ts";

export function sampleReport(text: string, more: Partial<ReportDocument> = {}): ReportDocument {
  return {
    kind: "session",
    id: text,
    title: text,
    status: { badge: text, tone: "good" },
    summary: text,
    facts: [[text, text], [text, { code: text }], [text, { link: text }], [text, { badge: text, tone: "bad" }]],
    problems: [text],
    sections: [{ title: text, blocks: blocksWith(text) }],
    version: text,
    generatedAt: "2026-02-05T12:00:00.000Z",
    ...more,
  };
}

function blocksWith(text: string): Block[] {
  return [
    { kind: "text", text },
    { kind: "facts", facts: [[text, text]] },
    { kind: "table", head: [text], rows: [[text], [{ code: text }]] },
    { kind: "code", text, language: text },
    { kind: "code", text: `+${text}`, language: "diff" },
    {
      kind: "lines",
      chart: {
        title: text,
        lines: [{ name: text, points: [[0, 1], [2, 3]] }, { name: text, points: [[1, 1]] }],
        xText: () => text,
        yText: () => text,
      },
    },
    { kind: "spans", chart: { title: text, rows: [{ name: text, spans: [{ from: 0, to: 1, state: text }] }] } },
    { kind: "step", who: text, time: null, text, commands: [text], output: text, exitCode: 1 },
    { kind: "fold", title: text, aside: text, isMain: true, blocks: [{ kind: "text", text }] },
    { kind: "fold", title: text, aside: text, blocks: [{ kind: "code", text }] },
  ];
}
