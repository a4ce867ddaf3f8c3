/**
 * Charts that follow the theme and the width they have, each with what it shows as a table. What is not known is left
 * out of the drawing and called unknown, never drawn as 0.
 *
 * - `LineChart({label, series, xKind = "number", xName, format = whole, isStepped, isLog, absent, table})`: `series`:
 *   `[{name, points: [[x, y], …]}]`, x ascending: a number, or milliseconds since 1970 for `xKind` "time" (shown by this
 *   computer's clock) and "day" (UTC); y null: a gap, called `absent` ("unknown"); `xName`: what x is, such as "Calls";
 *   `isStepped`: y holds until the next x; `table`: `{columns, rows}` to show in place of x and y. Series keep their colour by their place
 * - `BarChart({label, rows, format = whole})`: `[{key, value, known = 0, to, text}]`, one bar below the other; value null:
 *   unknown, but at least `known`; `to`: where it comes from; `text`: said beside the bar
 * - `UsageChart({points, mode})`: of `/usage`; `mode`: "cost" or "tokens", summed up per worker
 * - `CurveChart({points})`: of a minimization, `[{calls, size, pass}]`
 * - `WorkerTimeline({spans})`: of `/timeline`, `[{worker, state, from, to, detail}]`; `to` null: it goes on
 * - `Sparkline({values, label})`: a line as high as text; null is a gap
 * - `IntervalBar({matches, runs, interval})`: a share, with the interval that it lies in by 95 %
 */
import {
  clock,
  colour,
  cost,
  dateTime,
  duration,
  Empty,
  html,
  LinkTo,
  plural,
  toneOf,
  usd,
  useEffect,
  useMemo,
  useNow,
  useRef,
  useState,
  useTheme,
  visible,
  whole,
  words,
} from "/kit.js";

const HEIGHT = 240;
const COLOURS = 8;
const TABLE_ROWS = 200;
const FONT = "12px system-ui, sans-serif";
const DAY_MS = 86_400_000;
const UNKNOWN = "unknown";

const seriesColour = (index) => `series-${index % COLOURS + 1}`;
const percent = (share) => `${Math.round(100 * share)} %`;

// --- lines

const X_FORMATS = {
  number: (x) => whole(Math.floor(x)),
  time: (x) => `${dateTime(x).slice(0, 10)} ${clock(x)}`,
  day: (x) => new Date(x).toISOString().slice(0, 10),
};

/** As short as the distance between two marks allows. */
function xMarks(xKind, splits) {
  const stepMs = splits.length < 2 ? DAY_MS : splits[1] - splits[0];
  if (xKind === "number") return splits.map((x) => Number.isInteger(x) ? whole(x) : "");
  if (xKind === "day") return splits.map((x) => x % DAY_MS === 0 ? X_FORMATS.day(x).slice(5) : "");
  return splits.map((x) =>
    stepMs >= DAY_MS ? dateTime(x).slice(5, 10) : stepMs < 60_000 ? clock(x) : clock(x).slice(0, 5)
  );
}

/** One column of y per series over all x; stepped ones keep what they had. */
function align(series, isStepped) {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const columns = series.map(({ points }) => {
    const values = new Map(points);
    let last = null;
    return xs.map((x) => {
      if (values.has(x)) last = values.get(x);
      else if (!isStepped) return undefined;
      return last;
    });
  });
  return [xs, ...columns];
}

export function LineChart(
  {
    label,
    series,
    xKind = "number",
    xName = "",
    format = whole,
    isStepped = false,
    isLog = false,
    absent = UNKNOWN,
    table,
  },
) {
  const [hidden, setHidden] = useState(() => new Set());
  const [at, setAt] = useState(null);
  const data = useMemo(() => align(series, isStepped), [series, isStepped]);
  const [xs, ...columns] = data;
  if (xs.length === 0) return html`<${Empty}>There is nothing to draw yet.</${Empty}>`;

  const index = Math.min(at ?? xs.length - 1, xs.length - 1);
  const toggle = (name) =>
    setHidden((before) => {
      const after = new Set(before);
      if (!after.delete(name)) after.add(name);
      return after;
    });
  // Undefined: this line has no value just there.
  const yText = (y) => y === undefined ? "" : y === null ? absent : format(y);
  const xText = X_FORMATS[xKind](xs[index]);
  const shown = table ?? {
    columns: [xName || (xKind === "number" ? "x" : "Time"), ...series.map(({ name }) => name)],
    rows: xs.map((x, row) => [X_FORMATS[xKind](x), ...columns.map((column) => yText(column[row]))]),
  };
  return html`
    <figure class="chart" aria-label=${visible(label)}>
      <${Plot} ...${{ label, series, data, hidden, xKind, format, isStepped, isLog, at: index, setAt }} />
      <figcaption>
        <p class="small muted number" aria-live="polite">${at === null ? "Last: " : ""}${visible(xName)} ${xText}</p>
        <ul class="legend">${series.map(({ name }, place) =>
          html`
            <li key=${name}>
              <button type="button" class="quiet small" aria-pressed=${!hidden.has(name)} onClick=${() => toggle(name)}>
                      <span class="swatch" style=${{ background: `var(--${seriesColour(place)})` }}></span>
                      <span class="text">${visible(name)}</span> <b class="number">${yText(
                        columns[place][index],
                        format,
                      )}</b>
                    </button>
            </li>
          `
        )}</ul>
      </figcaption>
      <${Values} label=${label} ...${shown} />
    </figure>
  `;
}

/** Drawn by uPlot, which is loaded with the first of them. */
function Plot({ label, series, data, hidden, xKind, format, isStepped, isLog, at, setAt }) {
  const host = useRef(null);
  const plot = useRef(null);
  const [hasFailed, setFailed] = useState(false);
  const theme = useTheme();
  const isShown = ({ name }) => !hidden.has(name);
  // All that uPlot cannot be told later.
  const shape = JSON.stringify([theme, xKind, isLog, isStepped, series.map(({ name }) => name)]);

  useEffect(() => {
    let watcher;
    let isGone = false;
    const draw = async () => {
      const { default: UPlot } = await import("/lib/uplot.js");
      if (isGone) return;
      const [soft, line] = [colour("soft"), colour("line")];
      const axis = { stroke: soft, font: FONT, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
      const paths = isStepped ? UPlot.paths.stepped({ align: 1 }) : undefined;
      plot.current = new UPlot(
        {
          width: host.current.clientWidth,
          height: HEIGHT,
          ms: 1,
          ...(xKind === "day" && { tzDate: (ms) => UPlot.tzDate(new Date(ms), "Etc/UTC") }),
          legend: { show: false },
          cursor: { drag: { x: false, y: false } },
          scales: {
            x: { time: xKind !== "number" },
            y: isLog ? { distr: 3 } : { range: (_, least, most) => [Math.min(0, least), (most || 1) * 1.05] },
          },
          axes: [
            { ...axis, size: 32, space: 80, values: (_, splits) => xMarks(xKind, splits) },
            {
              ...axis,
              values: (_, splits) => splits.map((y) => y === null ? "" : format(y)),
              size: (_, values) => 16 + 7 * Math.max(3, ...(values ?? []).map(({ length }) => length)),
            },
          ],
          series: [
            {},
            ...series.map((one, index) => ({
              show: isShown(one),
              stroke: colour(seriesColour(index)),
              width: 2,
              paths,
              // A step is seen without them, unless it is the only one.
              ...(isStepped && { points: { show: data[0].length === 1 } }),
              ...(index >= COLOURS && { dash: [6, 4] }),
            })),
          ],
          hooks: { setCursor: [({ cursor }) => setAt(cursor.idx ?? null)] },
        },
        data,
        host.current,
      );
      watcher = new ResizeObserver(([{ contentRect }]) =>
        plot.current.setSize({ width: contentRect.width, height: HEIGHT })
      );
      watcher.observe(host.current);
    };
    draw().catch(() => {
      if (!isGone) setFailed(true);
    });
    return () => {
      isGone = true;
      watcher?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [data]);
  useEffect(() => {
    series.forEach((one, index) => plot.current?.setSeries(index + 1, { show: isShown(one) }));
  }, [hidden]);

  const onKeyDown = (event) => {
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: data[0].length - 1 };
    const to = moves[event.key];
    if (to === undefined || plot.current === null) return;
    event.preventDefault();
    const x = data[0][Math.min(Math.max(to, 0), data[0].length - 1)];
    plot.current.setCursor({ left: plot.current.valToPos(x, "x"), top: HEIGHT / 2 });
  };
  if (hasFailed) return html`<${Empty}>The chart cannot be drawn; the table below has its values.</${Empty}>`;
  return html`
    <div
      ref=${host}
      class="plot"
      role="group"
      tabindex="0"
      aria-label="${visible(label)}, a chart: the arrow keys go through its values"
      onKeyDown=${onKeyDown}
    ></div>
  `;
}

/** Of very many rows some, evenly chosen, the last among them. */
function Values({ label, columns, rows }) {
  const [isOpen, setOpen] = useState(false);
  const step = Math.ceil(rows.length / TABLE_ROWS);
  const chosen = isOpen ? rows.filter((_, index) => (rows.length - 1 - index) % step === 0) : [];
  return html`<details class="values" onToggle=${({ currentTarget }) => setOpen(currentTarget.open)}>
    <summary class="small muted">As a table</summary>
    ${
    isOpen && html`
      <div class="scroll" tabindex="0" role="region" aria-label="${visible(label)}, as a table">
        <table>
              ${step > 1 &&
                html`<caption class="small muted">${whole(chosen.length)} of ${whole(rows.length)} values</caption>`}
              <thead>
                <tr>${columns.map((column) => html`<th scope="col">${visible(column)}</th>`)}</tr>
              </thead>
              <tbody>${chosen.map((row) =>
                html`<tr>${row.map((cell) => html`<td class="number">${visible(cell)}</td>`)}</tr>`
              )}</tbody>
            </table>
      </div>
    `
  }
  </details>`;
}

/** Calls without a price make a sum a least one; where there is nothing else, it is not known at all. */
export function UsageChart({ points, mode }) {
  const valueOf = mode === "cost"
    ? ({ cost_usd, unpriced_calls }) => unpriced_calls > 0 && cost_usd === 0 ? null : cost_usd
    : ({ input_tokens, output_tokens }) => input_tokens + output_tokens;
  const series = useMemo(() => {
    const workers = new Map();
    const latest = new Map();
    const all = [];
    for (const point of points) {
      const x = Date.parse(point.time);
      const own = workers.get(point.worker) ?? [];
      workers.set(point.worker, own);
      own.push([x, valueOf(point)]);
      latest.set(point.worker, point);
      const known = [...latest.values()].map(valueOf).filter((value) => value !== null);
      all.push([x, known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0)]);
    }
    const isPart = (point) => mode === "cost" && point.unpriced_calls > 0 && point.cost_usd > 0;
    const nameOf = (name, isLeast) => isLeast ? `${name} (at least)` : name;
    const lines = [...workers].map(([name, own]) => ({ name: nameOf(name, isPart(latest.get(name))), points: own }));
    const isPartOfAll = mode === "cost" && points.some(({ unpriced_calls }) => unpriced_calls > 0);
    if (workers.size > 1) lines.push({ name: nameOf("all", isPartOfAll && all.at(-1)[1] !== null), points: all });
    return lines;
  }, [points, mode]);
  const table = {
    columns: ["Time", "Worker", "Model", "Cost", "Tokens in", "Tokens out"],
    rows: points.map(({ time, worker, model, cost_usd, unpriced_calls, input_tokens, output_tokens }) => [
      clock(time),
      worker,
      model ?? UNKNOWN,
      cost({ cost_usd: unpriced_calls > 0 ? null : cost_usd, known_cost_usd: cost_usd }),
      whole(input_tokens),
      whole(output_tokens),
    ]),
  };
  const label = mode === "cost" ? "Cost so far, per worker" : "Tokens so far, in and out, per worker";
  return html`
    <${LineChart}
      ...${{ label, series, xKind: "time", xName: "", format: mode === "cost" ? usd : whole, isStepped: true, table }}
    />
  `;
}

const FRUITLESS = "nothing removed";

/** One line for each pass that took something away; each begins where the one before has ended. */
export function CurveChart({ points }) {
  const [isLog, setLog] = useState(false);
  const series = useMemo(() => curveSeries(points, isLog), [points, isLog]);
  const table = {
    columns: ["Calls", "Characters", "Pass"],
    rows: points.map(({ calls, size, pass }) => [whole(calls), whole(size), pass]),
  };
  const label = "Characters left, by calls of the oracle";
  return html`
    <label class="choice">
      <input type="checkbox" checked=${isLog} onChange=${({ target }) => setLog(target.checked)} /> Logarithmic
    </label>
    <${LineChart} ...${{ label, series, xName: "Calls", isStepped: true, isLog, absent: "", table }} />
  `;
}

function curveSeries(points, isLog) {
  const fruitful = new Set(points.filter(({ size }, index) => size < points[index - 1]?.size).map(({ pass }) => pass));
  const lines = new Map();
  let before;
  for (const { calls, size, pass } of points) {
    const name = fruitful.has(pass) ? pass : FRUITLESS;
    const line = lines.get(name) ?? new Map();
    lines.set(name, line);
    // A logarithm has no zero.
    const y = isLog ? Math.max(size, 1) : size;
    if (before !== undefined && before.name !== name) {
      // Calls are whole: half a call later is behind all that this pass has, and before all that comes.
      before.line.set(before.calls + 0.5, null);
      line.delete(before.calls + 0.5);
      line.set(before.calls, before.y);
    }
    line.set(calls, y);
    before = { name, line, calls, y };
  }
  return [...lines].map(([name, line]) => ({ name, points: [...line] }));
}

// --- bars

export function BarChart({ label, rows, format = whole }) {
  if (rows.length === 0) return html`<${Empty}>There is nothing to draw yet.</${Empty}>`;
  const most = Math.max(...rows.map(({ value, known = 0 }) => value ?? known));
  return html`
    <div class="scroll">
      <table class="bars">
        <caption class="sr">${visible(label)}</caption>
        <tbody>${rows.map((row) => html`<${Bar} key=${row.key} row=${row} most=${most} format=${format} />`)}</tbody>
      </table>
    </div>
  `;
}

function Bar({ row: { key, value, known = 0, to, text }, most, format }) {
  const name = html`<${LinkTo} to=${to}>${visible(key) || UNKNOWN}</${LinkTo}>`;
  const figure = value !== null ? format(value) : known > 0 ? `over ${format(known)}` : UNKNOWN;
  const look = value === null ? "hbar unknown" : "hbar";
  return html`
    <tr>
      <th scope="row" class="text">${name}</th>
      <td class="grow">
        <svg class=${look} viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
          <rect width=${most === 0 ? 0 : 100 * (value ?? known) / most} height="10" />
        </svg>
      </td>
      <td class="number">${figure}</td>
      ${text !== undefined && html`<td class="small muted">${visible(text)}</td>`}
    </tr>
  `;
}

// --- time

/** States of one tone are told apart by how full their colour is. */
const STRENGTHS = [1, 0.6, 0.35];

function looksOf(spans) {
  const looks = new Map();
  const used = new Map();
  for (const { state } of spans) {
    if (looks.has(state)) continue;
    const tone = toneOf(state);
    const index = used.get(tone) ?? 0;
    used.set(tone, index + 1);
    looks.set(state, { tone, strength: STRENGTHS[Math.min(index, STRENGTHS.length - 1)] });
  }
  return looks;
}

export function WorkerTimeline({ spans }) {
  const [chosen, setChosen] = useState(null);
  const isLive = spans.some(({ to }) => to === null);
  const nowMs = useNow(isLive ? 1000 : 3_600_000);
  const looks = useMemo(() => looksOf(spans), [spans]);
  const rows = useMemo(() => {
    const workers = new Map();
    spans.forEach((span, index) => {
      const row = workers.get(span.worker) ?? [];
      workers.set(span.worker, row);
      row.push({ ...span, index });
    });
    return [...workers];
  }, [spans]);
  if (spans.length === 0) return html`<${Empty}>No worker has been started yet.</${Empty}>`;

  const endOf = ({ to }) => to === null ? nowMs : Date.parse(to);
  const fromMs = Math.min(...spans.map(({ from }) => Date.parse(from)));
  const toMs = Math.max(...spans.map(endOf), fromMs + 1);
  const xOf = (ms) => 1000 * (ms - fromMs) / (toMs - fromMs);
  const secondsOf = (span) => Math.max(0, endOf(span) - Date.parse(span.from)) / 1000;
  const textOf = (span) => {
    const until = span.to === null ? "now" : clock(span.to);
    const what = `${span.worker}: ${words(span.state)}, ${clock(span.from)} to ${until} (${duration(secondsOf(span))})`;
    return visible(span.detail === "" ? what : `${what}: ${span.detail}`);
  };
  const onKeyDown = (event, row) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const place = row.findIndex(({ index }) => index === chosen);
    const next = place < 0 ? (step > 0 ? 0 : row.length - 1) : Math.min(Math.max(place + step, 0), row.length - 1);
    setChosen(row[next].index);
  };
  return html`<figure class="chart timeline" aria-label="What each worker did, and when">
    ${
    rows.map(([worker, row]) =>
      html`
        <div class="lane" key=${worker}>
          <span class="small clip" title=${visible(worker)}>${visible(worker)}</span>
          <svg
            viewBox="0 0 1000 20"
            preserveAspectRatio="none"
            role="group"
            tabindex="0"
            aria-label="${visible(worker)}: ${plural(row.length, "span")}; the arrow keys go through them"
            onKeyDown=${(event) => onKeyDown(event, row)}
            onFocus=${() => setChosen(row[0].index)}
          >${row.map((span) => {
            const { tone, strength } = looks.get(span.state);
            const x = xOf(Date.parse(span.from));
            return html`
              <rect
                key=${span.index}
                class="${tone} ${span.index === chosen ? "chosen" : ""}"
                x=${x}
                width=${Math.max(xOf(endOf(span)) - x, 2)}
                height="20"
                fill-opacity=${strength}
                onPointerEnter=${() => setChosen(span.index)}
              />
            `;
          })}</svg>
        </div>
      `
    )
  }
    <div class="lane" aria-hidden="true">
      <span></span>
      <div class="row spread small muted number">
        <span>${clock(fromMs)}</span><span>${clock((fromMs + toMs) / 2)}</span><span>${
    isLive ? "now" : clock(toMs)
  }</span>
      </div>
    </div>
    <p class="small text" role="status">${
    spans[chosen] === undefined ? "Point at a span, or go to it by the arrow keys." : textOf(spans[chosen])
  }</p>
    <figcaption>
      <ul class="legend">${
    [...looks].map(([state, { tone, strength }]) =>
      html`<li key=${state} class="small">
        <span class="swatch ${tone}" style=${{ opacity: strength, background: "currentColor" }}></span>
        ${visible(words(state))}
      </li>`
    )
  }</ul>
    </figcaption>
    <${Values}
      label="What each worker did, and when"
      columns=${["Worker", "State", "From", "To", "Took", "Detail"]}
      rows=${
    spans.map((span) => [
      span.worker,
      words(span.state),
      clock(span.from),
      span.to === null ? "goes on" : clock(span.to),
      duration(secondsOf(span)),
      span.detail,
    ])
  }
    />
  </figure>`;
}

// --- small ones

export function Sparkline({ values, label }) {
  const known = values.filter((value) => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const lines = [[]];
  values.forEach((value, index) => {
    if (value === null) return lines.push([]);
    const x = values.length < 2 ? 50 : 100 * index / (values.length - 1);
    const y = most === least ? 10 : 19 - 18 * (value - least) / (most - least);
    lines.at(-1).push(`${x.toFixed(1)},${y.toFixed(1)}`);
  });
  return html`
    <svg class="sparkline" viewBox="0 0 100 20" preserveAspectRatio="none" role="img"
      aria-label=${visible(label)}>${lines.map((points) =>
        points.length > 0 && html`<polyline points=${points.join(" ")} />`
      )}</svg>
  `;
}

export function IntervalBar({ matches, runs, interval: [low, high] }) {
  if (runs === 0 || low === undefined || high === undefined) return html`<span class="small muted">no runs</span>`;
  const text = `${matches} of ${runs}; the share is between ${percent(low)} and ${percent(high)}, by 95 %`;
  return html`
    <svg class="interval" width="120" height="14" viewBox="-7 -7 114 14" role="img" aria-label=${text}>
      <title>${text}</title>
      <path class="track" d="M0 0H100" />
      <path class="range" d="M${100 * low} 0H${100 * high}M${100 * low} -4V4M${100 * high} -4V4" />
      <circle cx=${100 * matches / runs} r="4" />
    </svg>
  `;
}
