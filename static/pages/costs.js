/** What has been spent: by day, model, agent or run, as the gateways' ledgers have it. */
import {
  cost,
  Empty,
  ErrorBox,
  html,
  Loading,
  Money,
  plural,
  Tabs,
  usd,
  useChoice,
  useEffect,
  useRecord,
  useState,
  useTitle,
  visible,
  whole,
} from "/kit.js";

const FIELDS = { day: "By day", model: "By model", agent: "By agent", run: "By run" };
const NAMES = { day: "Day", model: "Model", agent: "Agent", run: "Run" };
const OF = { model: "of the model", agent: "of the agent" };
const NOTHING_CHOSEN = { since: "", until: "", model: "", agent: "" };
const DAY = /^\d{4}-\d{2}-\d{2}$/;

export default function Costs({ tab, query }) {
  useTitle("Costs");
  const by = Object.hasOwn(FIELDS, tab) ? tab : "day";
  const [choice, choose] = useChoice(query, NOTHING_CHOSEN);
  const of = Object.entries(choice).filter(([name, value]) => name in OF ? value !== "" : DAY.test(value));
  const { data, error, reload } = useRecord(`/api/costs?${new URLSearchParams([["by", by], ...of])}`);
  /** `more` narrows what is chosen already. */
  const to = (field, more = {}) => {
    const chosen = new URLSearchParams({ ...Object.fromEntries(of), ...more });
    return `#/costs/${field}${chosen.size === 0 ? "" : `?${chosen}`}`;
  };
  const tabs = Object.entries(FIELDS).map(([id, label]) => ({ id, label }));
  const toOf = (key) =>
    ({
      day: to("run", { since: key, until: key }),
      model: to("run", { model: key }),
      agent: to("run", { agent: key }),
      run: `#/find/${encodeURIComponent(key)}`,
    })[data.by];
  return html`<main id="main" tabindex="-1">
    <h1>Costs</h1>
    <${Tabs} tabs=${tabs} tab=${by} to=${to} label="Summed up" />
    <div class="row filters">
      <${Day} label="From" value=${choice.since} onChoose=${(since) => choose({ since })} />
      <${Day} label="to" value=${choice.until} onChoose=${(until) => choose({ until })} />
      <span class="muted small">days in UTC</span>
      ${
    Object.entries(OF).filter(([name]) => choice[name] !== "").map(([name, label]) =>
      html`<span key=${name} class="chip text">${label} ${visible(choice[name])}</span>`
    )
  }
      ${
    of.length > 0 && html`<button type="button" class="quiet" onClick=${() => choose(NOTHING_CHOSEN)}>Clear</button>`
  }
    </div>
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    ${data === undefined ? !error && html`<${Loading} />` : html`<${Sums} data=${data} toOf=${toOf} />`}
  </main>`;
}

const Day = ({ label, value, onChoose }) =>
  html`<label class="choice"><span>${label}</span>
    <input type="date" value=${value} onChange=${({ target }) => onChoose(target.value)} /></label>`;

function Sums({ data: { by, rows, sources, problems }, toOf }) {
  const total = {
    cost_usd: rows.every(({ cost_usd }) => cost_usd !== null) ? sum(rows, "cost_usd") : null,
    known_cost_usd: sum(rows, "known_cost_usd"),
  };
  return html`
    ${problems.map((problem) => html`<p key=${problem} class="card error text">${visible(problem)}</p>`)}
    ${rows.length === 0 ? html`<${Empty}>Nothing has been spent.</${Empty}>` : html`
      <div class="card chart">
        <${Drawn} by=${by} rows=${rows} toOf=${toOf} />
      </div>
      <div class="scroll card">
        <table class="cards">
          <thead>
            <tr>
              <th scope="col">${NAMES[by]}</th>
              <th scope="col" class="number">Calls</th>
              <th scope="col" class="number">Tokens in</th>
              <th scope="col" class="number">Tokens out</th>
              <th scope="col" class="number">Cost</th>
            </tr>
          </thead>
          <tbody>${rows.map((row) => html`<${Row} key=${row.key} row=${row} to=${toOf(row.key)} />`)}</tbody>
          <tfoot>
            <tr>
              <th scope="row">All</th>
              <td class="number" data-label="Calls">${whole(sum(rows, "calls"))}</td>
              <td class="number" data-label="Tokens in">${whole(sum(rows, "input_tokens"))}</td>
              <td class="number" data-label="Tokens out">${whole(sum(rows, "output_tokens"))}</td>
              <td class="number" data-label="Cost">${cost(total)}</td>
            </tr>
          </tfoot>
        </table>
      </div>
    `}
    <details class="small muted">
      <summary>Counted from ${plural(sources.length, "ledger")}</summary>
      <ul>${sources.map((source) => html`<li key=${source} class="text"><code>${visible(source)}</code></li>`)}</ul>
    </details>
  `;
}

const sum = (rows, field) => rows.reduce((all, row) => all + row[field], 0);

const Row = ({ row, to }) =>
  html`
    <tr>
      <td><a class="text" data-item href=${to} title="Open what it is the sum of">${visible(row.key)}</a></td>
      <td class="number" data-label="Calls">${whole(row.calls)}</td>
      <td class="number" data-label="Tokens in">${whole(row.input_tokens)}</td>
      <td class="number" data-label="Tokens out">${whole(row.output_tokens)}</td>
      <td class="number" data-label="Cost">
        <${Money} ...${row} to=${to} />
      </td>
    </tr>
  `;

function Drawn({ by, rows, toOf }) {
  const [charts, setCharts] = useState({});
  useEffect(() => {
    import("/charts.js").then(setCharts, (failure) => setCharts({ failure }));
  }, []);
  const { LineChart, BarChart, failure } = charts;
  if (failure) return html`<${ErrorBox} error=${failure} />`;
  if (LineChart === undefined) return html`<${Loading} />`;
  if (by !== "day" || rows.length < 3) {
    const bars = rows.map(({ key, cost_usd, known_cost_usd }) => ({
      key,
      value: cost_usd,
      known: known_cost_usd,
      to: toOf(key),
    }));
    return html`<${BarChart} label="Cost by ${by}" rows=${bars} format=${usd} />`;
  }
  const points = rows.map(({ key, cost_usd }) => [Date.parse(key), cost_usd]).sort(([a], [b]) => a - b);
  return html`<${LineChart} label="Cost by day" series=${[{
    name: "Cost",
    points,
  }]} xKind="day" xName="Day" format=${usd} />`;
}
