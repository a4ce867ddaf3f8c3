/** All runs: those that need somebody, those that go on, and those of before. */
import {
  Action,
  Ago,
  api,
  Badge,
  Choice,
  Connection,
  Duration,
  Empty,
  ErrorBox,
  hrefOf,
  html,
  LinkTo,
  Loading,
  Money,
  plural,
  Progress,
  Search,
  setWaiting,
  useChoice,
  useEffect,
  useEvents,
  useRecord,
  useRef,
  useState,
  useTitle,
  visible,
  whole,
} from "/kit.js";
import { OpenQuestions } from "/questions.js";

const KINDS = { session: "Orchestration", manager: "Manager", mini: "Mini" };
const STATUSES = [
  "running",
  "done",
  "success",
  "ok",
  "already-fixed",
  "needs-human",
  "needs_input",
  "failed",
  "error",
  "escalated",
  "budget",
  "cost_limit",
  "step_limit",
  "time_limit",
  "format_error",
  "stopped",
  "interrupted",
  "cut_off",
  "unreadable",
];
const NOTHING_CHOSEN = { kind: "", status: "", q: "", cursor: "" };
const PAGE_SIZE = 50;
const URGENCY = ["needs_answer", "blocked", "stalled", "failed", "cut_off"];

const keyOf = ({ kind, id }) => `${kind} ${id}`;
const urgencyOf = ({ attention }) => Math.min(...attention.map(({ kind }) => URGENCY.indexOf(kind)));
const isOfInterest = ({ running, attention }) => running || attention.length > 0;

/** Runs that go on or need somebody, up to date. */
function useCurrent() {
  const entries = useRef(new Map());
  const [changes, setChanges] = useState(0);
  const isReady = useRef(false);
  const state = useEvents("/api/history/stream", {
    types: ["entry", "removed"],
    onSnapshot({ entries: all }) {
      isReady.current = true;
      entries.current = new Map(all.map((entry) => [keyOf(entry), entry]));
      setChanges((times) => times + 1);
    },
    onEvent(entry, { type }) {
      if (type === "entry" && isOfInterest(entry)) entries.current.set(keyOf(entry), entry);
      else entries.current.delete(keyOf(entry));
      setChanges((times) => times + 1);
    },
  });
  return { entries: [...entries.current.values()], changes, state, isReady: isReady.current };
}

export default function Home({ query, about }) {
  useTitle("gocore");
  const { entries, changes, state, isReady } = useCurrent();
  const waiting = entries.filter(({ attention }) => attention.length > 0).sort((a, b) => urgencyOf(a) - urgencyOf(b));
  useEffect(() => {
    if (isReady) setWaiting(waiting.length);
  }, [isReady, waiting.length]);
  const running = entries.filter(({ running, attention }) => running && attention.length === 0);
  return html`
    <main id="main" tabindex="-1">
      <h1 class="sr">Runs</h1>
      <section aria-labelledby="attention">
        <div class="row spread">
          <h2 id="attention">Needs attention ${waiting.length > 0 &&
            html`<span class="count warn">${waiting.length}</span>`}</h2>
          <${Connection} state=${state} />
        </div>
        <p class="sr" role="status">${isReady && `${plural(waiting.length, "run")} to look at`}</p>
        <div>${waiting.length > 0
          ? waiting.map((entry) => html`<${Waiting} key=${keyOf(entry)} entry=${entry} />`)
          : isReady
          ? html`<${Empty}>Nothing needs you.</${Empty}>`
          : html`<${Loading} />`}</div>
      </section>
      <section aria-labelledby="running">
          <h2 id="running">Running ${running.length > 0 && html`<span class="count">${running.length}</span>`}</h2>
          ${running.length > 0
            ? html`<div class="grid">${
              running.map((entry) => html`<${Running} key=${keyOf(entry)} entry=${entry} />`)
            }</div>`
            : isReady &&
              html`<${Empty}>Nothing${waiting.length > 0 ? " else" : ""} is running.${" "}${
                about.can_start.length > 0 && html`<a href="#/start">Start something</a>`
              }</${Empty}>`}
        </section>
      <${History} query=${query} changes=${changes} />
    </main>
  `;
}

function Title({ entry }) {
  const { kind, title, source, agents } = entry;
  const about = [KINDS[kind], source?.replace(/^https?:\/\//, ""), agents.join(", ")].filter(Boolean).join(" · ");
  return html`
    <div class="title">
      <a class="text clip" data-item href=${hrefOf(entry)}>${visible(title) || "(no title)"}</a>
      <div class="muted small text clip" title=${visible(`${entry.id}\n${entry.folder}`)}>${visible(about)}</div>
    </div>
  `;
}

// --- what needs somebody

const RESUME = { session: "orchestrate", manager: "manager" };

function Waiting({ entry }) {
  const { attention, status, running, cost_usd, known_cost_usd, calls, elapsed_seconds } = entry;
  return html`<article class="card waiting">
    <div class="row spread top-aligned">
      <${Title} entry=${entry} />
      <div class="row small facts-inline">
        <${Badge} word=${status} />
        <${Duration} seconds=${elapsed_seconds} ticks=${running} />
        <${Money} cost_usd=${cost_usd} known_cost_usd=${known_cost_usd} calls=${calls} to=${callsOf(entry)} />
      </div>
    </div>
    ${
    attention.map((need, number) =>
      html`
        <div key=${number} class="need">
          <${Badge} word=${need.kind} />
          <div class="grow">
                  ${need.kind === "needs_answer"
                    ? html`<${Answers} entry=${entry} need=${need} />`
                    : html`<p class="text">${visible(need.text)}</p>`}
                  <p class="muted small todo"><${Todo} entry=${entry} need=${need} /> ${need.since &&
                    html`<${Ago} time=${need.since} />`}</p>
                </div>
        </div>
      `
    )
  }
  </article>`;
}

/** The questions themselves: the list only says that there are some. */
function Answers({ entry: { id }, need }) {
  const base = `/api/sessions/${encodeURIComponent(id)}`;
  const { data, error, reload } = useRecord(`${base}/questions`, { refreshOn: need.text });
  if (error) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
  if (data === undefined) return html`<p class="text">${visible(need.text)}</p>`;
  return html`<${OpenQuestions} base=${base} questions=${data.questions} onAnswered=${reload} />`;
}

function Todo({ entry, need: { kind: need, worker } }) {
  const { kind, id, source } = entry;
  const log = `${hrefOf(entry, kind === "mini" ? "" : "log")}${
    worker && kind !== "mini" ? `?worker=${encodeURIComponent(worker)}` : ""
  }`;
  const again = html`<a href=${againOf(entry)}>Start it again</a>`;
  const resume = RESUME[kind] &&
    html`go on with it by <code>${`gocore ${RESUME[kind]} --resume ${visible(id)}`}</code>`;
  if (need === "needs_answer") {
    return html`It waits until you answer, with what it has so far. <a href=${hrefOf(entry)}>Look at it</a>.`;
  }
  if (need === "stalled") {
    return html`<a href=${log}>Read what it did last</a>${
      kind === "session" && worker
        ? html`
          , or <${Action}
            label="have it reviewed"
            run=${() =>
              api(`/api/sessions/${encodeURIComponent(id)}/control/review`, { method: "POST", body: { worker } })}
          />
        `
        : ""
    }.`;
  }
  if (need === "cut_off") return html`Nobody carries it out any more: ${resume ?? again}.`;
  if (need === "failed") return html`<a href=${log}>Read why</a>, then ${resume ?? ""}${resume ? " or " : ""}${again}.`;
  if (kind === "manager") {
    return html`Add what is missing to <${LinkTo} to=${source}>the issue</${LinkTo}>, then ${again}.`;
  }
  return html`Read <a href=${hrefOf(entry, "reviews")}>the reviews</a> and <a href=${
    hrefOf(entry, "decisions")
  }>the decisions</a>, then ${resume}.`;
}

/** The form that would start the same again. */
function againOf({ kind, source, title }) {
  const isAddress = /^https?:/.test(source ?? "");
  const field = kind === "manager"
    ? (isAddress ? "issue_url" : "issue_file")
    : kind === "session"
    ? "target"
    : "workdir";
  const values = { ...(source !== null && { [field]: source }), ...(kind !== "manager" && { task: title }) };
  return `#/start/${kind}?${new URLSearchParams(values)}`;
}

/** Where the calls are whose prices make up the cost. */
const callsOf = (entry) => entry.kind === "mini" ? undefined : `${hrefOf(entry, "log")}?type=model.answered`;

// --- what goes on

function Running({ entry }) {
  const { status, progress, cost_usd, known_cost_usd, calls, elapsed_seconds, summary, title } = entry;
  return html`
    <article class="card run">
      <div class="row spread top-aligned">
        <${Title} entry=${entry} />
        <${Badge} word=${status} />
      </div>
      <${Progress} value=${progress} label="Progress of ${title}" to=${hrefOf(entry)} />
      <p class="text clip small muted">${visible(summary)}</p>
      <div class="row spread small">
        <${Duration} seconds=${elapsed_seconds} ticks />
        <${Money} cost_usd=${cost_usd} known_cost_usd=${known_cost_usd} calls=${calls} to=${callsOf(entry)} />
      </div>
    </article>
  `;
}

// --- all of them

function History({ query, changes }) {
  const [choice, choose] = useChoice(query, NOTHING_CHOSEN);
  const [before, setBefore] = useState([]);
  const wanted = Object.entries(choice).filter(([, value]) => value !== "");
  const { data, error, reload } = useRecord(`/api/history?${new URLSearchParams([...wanted, ["limit", PAGE_SIZE]])}`, {
    refreshOn: changes,
  });
  const filter = (part) => {
    setBefore([]);
    choose({ ...part, cursor: "" });
  };
  const turn = (cursor, cursors) => {
    setBefore(cursors);
    choose({ cursor });
  };
  const isFiltered = choice.kind !== "" || choice.status !== "" || choice.q !== "";
  return html`<section aria-labelledby="history">
    <h2 id="history">All runs</h2>
    <div class="row filters">
      <${Search} value=${choice.q} onInput=${(q) => filter({ q })} label="Search in tasks, errors and results" />
      <${Choice} label="Kind" value=${choice.kind} values=${Object.keys(KINDS)} onChoose=${(kind) =>
    filter({ kind })} />
      <${Choice} label="Status" value=${choice.status} values=${STATUSES} onChoose=${(status) => filter({ status })} />
      ${isFiltered && html`<button type="button" class="quiet" onClick=${() => filter(NOTHING_CHOSEN)}>Clear</button>`}
    </div>
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    ${
    data === undefined ? !error && html`<${Loading} />` : html`
      ${data.indexing && html`<p class="row small muted" role="status">
        Reading what is on disk: ${whole(data.indexing.done)} of ${whole(data.indexing.total)}
        <${Progress} value=${
        100 * data.indexing.done / Math.max(1, data.indexing.total)
      } label="Reading what is on disk" />
      </p>`}
      ${data.entries.length > 0
        ? html`<${Runs} entries=${data.entries} />`
        : html`<${Empty}>${isFiltered ? "No run is so." : "There are no runs yet."}</${Empty}>`}
      <div class="row spread small">
        <span class="muted number" role="status">${plural(data.total, "run")}</span>
        <span class="row">
          ${choice.cursor !== "" &&
            html`<button type="button" class="quiet" onClick=${() => turn("", [])}>Newest</button>`}
          ${before.length > 1 &&
            html`<button type="button" class="quiet" onClick=${() =>
              turn(before.at(-1), before.slice(0, -1))}>Newer</button>`}
          ${data.next !== null &&
            html`<button type="button" onClick=${() => turn(data.next, [...before, choice.cursor])}>Older</button>`}
        </span>
      </div>
    `
  }
  </section>`;
}

const Runs = ({ entries }) =>
  html`
    <div class="scroll">
      <table class="cards runs">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Status</th>
            <th scope="col">What came of it</th>
            <th scope="col" class="number">Cost</th>
            <th scope="col" class="number">Took</th>
            <th scope="col" class="number">Started</th>
          </tr>
        </thead>
        <tbody>${entries.map((entry) => html`<${Run} key=${keyOf(entry)} entry=${entry} />`)}</tbody>
      </table>
    </div>
  `;

function Run({ entry }) {
  const { status, summary, running, progress, cost_usd, known_cost_usd, calls, elapsed_seconds, started_at } = entry;
  return html`
    <tr>
      <td>
        <${Title} entry=${entry} />
      </td>
      <td>
        <${Badge} word=${status} />
      </td>
      <td class="result">${running
        ? html`<${Progress} value=${progress} label="Progress of ${entry.title}" to=${hrefOf(entry)} />`
        : html`<span class="text clip" title=${visible(summary)}>${visible(summary)}</span>`}</td>
      <td class="number" data-label="Cost">
        <${Money}
          cost_usd=${cost_usd} known_cost_usd=${known_cost_usd} calls=${calls} to=${callsOf(entry)} />
      </td>
      <td class="number" data-label="Took">
        <${Duration} seconds=${elapsed_seconds} ticks=${running} />
      </td>
      <td class="number" data-label="Started">
        <${Ago} time=${started_at} />
      </td>
    </tr>
  `;
}
