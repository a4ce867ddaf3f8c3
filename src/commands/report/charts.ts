/** Charts of a report: SVG whose texts stand around it, so that they can be read at any width. */
import type { LineChart, SpanChart } from "./document.ts";
import { type Markup, markup } from "./markup.ts";

/** Of the drawing, which is stretched. */
const WIDTH = 1000;
const HEIGHT = 200;
/** As many as there are colours. */
const SERIES = 8;
const MAX_ROWS = 100;
const MAX_POINTS = 2000;

export function lineChart({ title, lines, xText, yText }: LineChart): Markup {
  const shown = lines.slice(0, SERIES);
  const points = shown.flatMap((line) => line.points);
  const [left, right] = rangeOf(points.map(([x]) => x));
  const top = points.reduce((most, [, y]) => Math.max(most, y), 0);
  const x = (value: number) => rounded(right === left ? WIDTH : (value - left) / (right - left) * WIDTH);
  const y = (value: number) => rounded(HEIGHT - 2 - (top === 0 ? 0 : value / top * (HEIGHT - 4)));
  const path = (line: LineChart["lines"][number]) => {
    const parts = line.points.slice(0, MAX_POINTS).map(([at, value], index) =>
      index === 0 ? `M${x(at)} ${y(value)}` : `H${x(at)}V${y(value)}`
    );
    return `${parts.join("")}H${WIDTH}`;
  };
  const paths = shown.map((line, index) => markup`<path class="line s${index + 1}" d="${path(line)}"/>`);
  const names = shown.map(({ name, points }, index) =>
    markup`<li><i class="s${index + 1}"></i>${name} <b>${yText(points.at(-1)?.[1] ?? 0)}</b></li>`
  );
  const box = `0 0 ${WIDTH} ${HEIGHT}`;
  return markup`<figure><figcaption>${title}</figcaption>
<div class="high">${yText(top)}</div>
<svg class="chart" viewBox="${box}" preserveAspectRatio="none" role="img" aria-label="${title}">${paths}</svg>
<div class="axis"><span>${xText(left)}</span><span>${xText(right)}</span></div>
${names.length > 1 ? markup`<ul class="legend">${names}</ul>` : ""}</figure>
`;
}

export function spanChart({ title, rows }: SpanChart): Markup {
  const spans = rows.flatMap((row) => row.spans);
  const [left, right] = rangeOf(spans.flatMap(({ from, to }) => [from, to]));
  const x = (time: number) => right === left ? 0 : (time - left) / (right - left) * WIDTH;
  const bar = ({ from, to, state }: SpanChart["rows"][number]["spans"][number]) => {
    const width = rounded(Math.max(x(to) - x(from), 3));
    const colour = colourOf(state);
    return markup`<rect class="${colour}" x="${
      rounded(x(from))
    }" width="${width}" height="12"><title>${state}</title></rect>`;
  };
  const bars = rows.slice(0, MAX_ROWS).map(({ name, spans }) =>
    markup`<span>${name}</span><svg viewBox="0 0 ${WIDTH} 12" preserveAspectRatio="none">${spans.map(bar)}</svg>\n`
  );
  const states = [...new Map(spans.map(({ state }) => [state.replaceAll("_", " "), colourOf(state)]))];
  return markup`<figure><figcaption>${title}</figcaption>
<div class="spans">${bars}</div>
<div class="axis"><span>${clockText(left)}</span><span>${clockText(right)}</span></div>
<ul class="legend">${states.map(([state, colour]) => markup`<li><i class="${colour}"></i>${state}</li>`)}</ul></figure>
`;
}

const COLOURS: Readonly<Record<string, string>> = {
  starting: "s8",
  running: "s1",
  working: "s1",
  waiting_model: "s7",
  waiting_tool: "s5",
  backoff: "s2",
  paused: "s8",
  completed: "s3",
  stalled: "s6",
  spinning: "s6",
  dead: "s6",
  failed: "s6",
  lost: "s6",
  stopped: "s2",
  limit: "s2",
};

function colourOf(state: string): string {
  return Object.hasOwn(COLOURS, state) ? COLOURS[state]! : "s8";
}

function rangeOf(values: readonly number[]): readonly [least: number, most: number] {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) [least, most] = [Math.min(least, value), Math.max(most, value)];
  return Number.isFinite(least) ? [least, most] : [0, 0];
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

/** @param time milliseconds since 1970 */
export function clockText(time: number): string {
  return new Date(time).toISOString().slice(11, 19);
}
