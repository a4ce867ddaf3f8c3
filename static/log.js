/**
 * The log of a run: its events as they come, to be filtered and searched, with those of before on demand.
 *
 * - `useEventLog(path, {latest, onSnapshot, onEvent})` → log; `path` of the event stream, `latest` the number of the last
 *   event that there is (undefined: not known yet, and nothing is asked). `log.state` is that of `useEvents`.
 * - `EventLog({log, query})`: shows it; `type`, `worker` and `q` of the page's query are its filters.
 */
import {
  Choice,
  clock,
  CodeBlock,
  Component,
  cost,
  duration,
  EVENT_TYPES,
  html,
  LongText,
  Search,
  toneOf,
  useChoice,
  useEffect,
  useEvents,
  useMemo,
  useRef,
  useState,
  visible,
  whole,
  words,
} from "/kit.js";

/** Events of before that a page begins with. */
const HISTORY = 300;
const MAX_EVENTS = 2000;
/** Of which a list is drawn, and given up again, at a time. */
const CHUNK = 100;
const OLDER = 500;
const DRAW_MS = 100;
const MAX_FOUND = 500;

/** The latest events, or those of a place before that somebody looks at. Tells of a flood ten times a second. */
export class EventStore {
  chunks = [];
  size = 0;
  /** The number of the last event that has come. */
  last = -1;
  /** Undefined while the newest are shown; else how many have come since. */
  missed = undefined;
  #arrived = [];
  #listeners = new Set();
  #isDue = false;

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  take(event) {
    if (event.seq <= this.last) return;
    this.last = event.seq;
    if (this.missed !== undefined) this.missed++;
    else {
      this.#arrived.push(event);
      // The timers of a window that nobody sees are slow.
      if (this.#arrived.length > 2 * MAX_EVENTS) this.#arrived.splice(0, MAX_EVENTS);
    }
    this.#tellSoon();
  }

  /** Before those that are shown, which are no longer the newest when there are too many. */
  addBefore(events) {
    this.#takeArrived();
    const all = [...events, ...this.events()];
    this.#show(all.slice(0, MAX_EVENTS));
    if (all.length > MAX_EVENTS) this.missed ??= 0;
    this.#tellSoon();
  }

  addBehind(events) {
    this.#show([...this.events(), ...events].slice(-MAX_EVENTS));
    if (this.end() >= this.last) this.missed = undefined;
    this.#tellSoon();
  }

  /** What was found, or the newest again. */
  showOnly(events, { isNewest }) {
    this.#show(events);
    this.#arrived = [];
    this.missed = isNewest ? undefined : 0;
    this.#tellSoon();
  }

  events() {
    return this.chunks.flatMap(({ events }) => events);
  }

  begin() {
    return this.chunks[0]?.events[0].seq;
  }

  end() {
    return this.chunks.at(-1)?.events.at(-1).seq ?? -1;
  }

  #show(events) {
    this.chunks = [];
    this.size = 0;
    this.#append(events);
  }

  #append(events) {
    for (const event of events) {
      if (this.chunks.length === 0 || this.chunks.at(-1).events.length >= CHUNK) {
        this.chunks.push({ key: event.seq, events: [] });
      }
      this.chunks.at(-1).events.push(event);
    }
    this.size += events.length;
    while (this.size - this.chunks[0]?.events.length >= MAX_EVENTS) this.size -= this.chunks.shift().events.length;
  }

  #takeArrived() {
    // So many leave nothing of those of before, and no gap behind them.
    if (this.#arrived.length >= MAX_EVENTS) this.#show(this.#arrived.slice(-MAX_EVENTS));
    else this.#append(this.#arrived);
    this.#arrived = [];
  }

  #tellSoon() {
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => {
      this.#isDue = false;
      if (this.#arrived.length > 0) this.#takeArrived();
      for (const listener of this.#listeners) listener();
    }, DRAW_MS);
  }
}

export function useEventLog(path, { latest, onSnapshot, onEvent }) {
  const store = useMemo(() => new EventStore(), [path]);
  const since = useRef();
  if (since.current === undefined && latest !== undefined) since.current = Math.max(-1, latest - HISTORY);
  const state = useEvents(since.current === undefined ? null : path, {
    since: since.current,
    onSnapshot,
    onEvent: (event) => {
      store.take(event);
      onEvent?.(event);
    },
  });
  return { path, store, state };
}

/** Events behind `after` up to `until`, of which `keep` says yes to; the first `limit`. */
function readEvents(path, { after, until, keep = () => true, limit = Infinity, signal }) {
  return new Promise((resolve, reject) => {
    const found = [];
    const source = new EventSource(`${path}?since=${after}`);
    const finish = (settle, value) => {
      source.close();
      settle(value);
    };
    signal?.addEventListener("abort", () => finish(resolve, found));
    const take = ({ data }) => {
      if (data === undefined) return;
      const event = JSON.parse(data);
      if (event.seq <= until && keep(event)) found.push(event);
      if (event.seq >= until || found.length >= limit) finish(resolve, found);
    };
    for (const type of EVENT_TYPES) source.addEventListener(type, take);
    source.addEventListener("error", ({ data }) => {
      if (data === undefined) finish(reject, new Error("The events of before cannot be read"));
    });
  });
}

// --- what an event says

/** A worker's own word for what it tells, or else the event's. */
const kindOf = ({ type, data }) => type === "worker.event" ? data.event.type : type;
const workerOf = ({ data }) => data.worker ?? data.reviewer ?? "";
const READ_AS_TEXT = new Set(["thought", "message", "command"]);

const STATED = {
  "worker.event": ({ event }) => event.payload.text,
  "worker.liveness": ({ verdict, proof }) => `${words(verdict)}: ${proof}`,
  "worker.launched": ({ agent, attempt }) => `${agent}, attempt ${attempt}`,
  "worker.started": ({ pid, sandbox, limits }) =>
    `process ${pid}, sandbox: ${sandbox.detail}, limits: ${limits.detail}`,
  "worker.exited": ({ outcome, cause, duration_seconds, text }) =>
    `${outcome}${cause ? ` (${words(cause)})` : ""} after ${duration(duration_seconds)}: ${text}`,
  "worker.signalled": ({ action, reason }) => `${action}: ${reason}`,
  "worker.status": ({ role, status, reason }) => `${role}: ${status} ${reason}`,
  "worker.nudged": ({ action, reason }) => `${action}: ${reason}`,
  "task.changed": ({ task, status, reason }) => `${task}: ${status}${reason === "" ? "" : `, ${reason}`}`,
  "review.requested": ({ review, trigger, reason }) => `${review}, ${trigger}: ${reason}`,
  "review.answered": ({ review, verdict, summary, problem }) =>
    `${review}: ${verdict ?? "no verdict"}, ${summary || problem}`,
  "decision.made": ({ action, reason }) => `${words(action)}: ${reason}`,
  "command.judged": ({ verdict, rule, command }) => `${verdict} (${rule}): ${command}`,
  "model.called": (data) => data["gen_ai.request.model"],
  "model.answered": (data) =>
    `${data["gen_ai.request.model"]}: ${data.outcome}, ${cost({ cost_usd: data.cost_usd, known_cost_usd: 0 })}`,
  "control.received": ({ command, by, text }) => `${command} by ${by} ${text}`,
  "session.started": ({ task }) => task,
  "session.status": ({ status, reason }) => [words(status), reason].filter(Boolean).join(": "),
  "session.serving": ({ dashboard_url, gateway_url }) => dashboard_url ?? gateway_url,
  "plan.made": ({ breakdown, note }) => `${breakdown.assignments.length} tasks, ${note}`,
  "merge.ended": ({ task, outcome }) => `${task}: ${outcome}`,
  "conflict.foreseen": ({ task, other, files }) => `${task} and ${other}: ${files.join(", ")}`,
  "spending.counted": ({ calls, known_usd }) => `${calls} calls, ${cost({ cost_usd: known_usd, known_cost_usd: 0 })}`,
  "verify.ended": ({ command, exit_code }) => `${command}: exit code ${exit_code ?? "none"}`,
  "run.started": ({ issue }) => issue,
  "run.phase": ({ phase, status, detail }) => `${phase}: ${status}${detail === "" ? "" : `, ${detail}`}`,
  "run.finished": ({ status, rationale }) => `${status}: ${rationale}`,
  "issue.read": ({ title }) => title,
  "environment.prepared": ({ tools, sandbox }) => [...tools, sandbox].join(", "),
  "candidate.read": ({ candidate, problem }) => `${candidate}: ${problem ?? "can be tried"}`,
  "candidate.run": ({ candidate, stage, run, outcome, reason }) =>
    `${candidate}, ${words(stage)} ${run}: ${words(outcome)}, ${reason}`,
  "candidate.judged": ({ candidate, verdict, matches, runs }) =>
    `${candidate}: ${words(verdict)}, ${matches} of ${runs}`,
  "minimize.progress": ({ candidate, pass, size, calls }) => `${candidate}, ${pass}: ${size} after ${calls} calls`,
  "minimize.ended": ({ candidate, start_size, size }) => `${candidate}: ${start_size} to ${size}`,
  "hypothesis.checked": ({ hypothesis, check, speaks, detail }) =>
    `${hypothesis}, ${check}: ${speaks ?? "unknown"}, ${detail}`,
  "hypotheses.ranked": ({ count }) => `${count} hypotheses`,
};

function said({ type, data }) {
  if (Object.hasOwn(STATED, type)) return STATED[type](data);
  return data.content ?? data.text ?? data.summary ?? data.change ?? data.answer ?? data.reason ?? data.action ??
    data.outcome ?? data.url ?? "";
}

/** Which of its words tell how it went. */
const outcomeOf = ({ type, data }) =>
  ["status", "verdict", "outcome", "speaks", "action"].map((field) => data[field]).find((word) =>
    typeof word === "string"
  ) ?? (/error|denial|blocker|exceeded|refused/.test(kindOf({ type, data })) ? "error" : type);

/** All that can be searched for, in small letters. */
function textOf(value) {
  if (typeof value === "string") return value.toLowerCase();
  if (typeof value !== "object" || value === null) return String(value);
  return Object.values(value).map(textOf).join("\n");
}

const texts = new WeakMap();

function searchable(event) {
  let text = texts.get(event);
  if (text === undefined) {
    text = textOf(event);
    texts.set(event, text);
  }
  return text;
}

/** All words have to be there. */
function filterOf({ type, worker, q }) {
  const wanted = q.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return (event) =>
    (type === "" || kindOf(event) === type) && (worker === "" || workerOf(event) === worker) &&
    wanted.every((word) => searchable(event).includes(word));
}

// --- how it looks

function Row({ event }) {
  const [isRaw, setRaw] = useState(false);
  const kind = kindOf(event);
  const isText = event.type === "worker.event" && READ_AS_TEXT.has(kind);
  const toggle = () => setRaw(!isRaw);
  const onKeyDown = (key) => {
    if (key.key !== "Enter" || key.target !== key.currentTarget) return;
    toggle();
  };
  return html`<li class="event" data-item tabindex="-1" onKeyDown=${onKeyDown}>
    <div class="head">
      <time class="number muted" datetime=${event.time} title="Event ${event.seq}, ${event.time}">${
    clock(event.time)
  }</time>
      <span class="kind ${toneOf(outcomeOf(event))}">${visible(kind)}</span>
      <b class="text">${visible(workerOf(event))}</b>
      <span class="said text">${isText ? exitOf(event) : visible(String(said(event)).slice(0, 400))}</span>
      <button type="button" class="quiet small" tabindex="-1" aria-expanded=${isRaw} title="All of it (Enter)" onClick=${toggle}>
        ${isRaw ? "less" : "more"}
      </button>
    </div>
    ${isText && html`<${Said} kind=${kind} payload=${event.data.event.payload} />`}
    ${isRaw && html`<${CodeBlock} text=${JSON.stringify(event, null, 2)} label="As it is in the log" lines=${200} />`}
  </li>`;
}

function exitOf({ data: { event: { payload: { data } } } }) {
  const code = data?.exit_code;
  return typeof code === "number" ? html`<span class=${code === 0 ? "muted" : "bad"}>exit code ${code}</span>` : "";
}

function Said({ kind, payload: { text, data } }) {
  if (kind !== "command") {
    return html`
      <div class="body ${kind}">
        <${LongText} text=${text} lines=${8} />
      </div>
    `;
  }
  const output = typeof data?.output === "string" ? data.output.trimEnd() : "";
  return html`<div class="body command">
    <${LongText} text=${`$ ${text}`} lines=${4} />
    ${
    output !== "" &&
    html`<${CodeBlock} text=${output} label="${whole(output.split("\n").length)} lines of output" lines=${6} />`
  }
  </div>`;
}

/** Drawn anew only when it has grown or is filtered in another way. */
class Chunk extends Component {
  shouldComponentUpdate(next) {
    return next.chunk !== this.props.chunk || next.size !== this.props.size || next.filter !== this.props.filter;
  }

  render({ chunk, filter }) {
    return chunk.events.filter(filter).map((event) => html`<${Row} key=${event.seq} event=${event} />`);
  }
}

const NOTHING_CHOSEN = { type: "", worker: "", q: "" };

export function EventLog({ log: { path, store }, query }) {
  const [, draw] = useState(0);
  const [choice, choose] = useChoice(query, NOTHING_CHOSEN);
  const [busy, setBusy] = useState({ with: null, error: null });
  const filter = useMemo(() => filterOf(choice), [choice]);
  useEffect(() => store.subscribe(() => draw((times) => times + 1)), [store]);
  const ask = async (name, read) => {
    setBusy({ with: name, error: null });
    try {
      await read();
      setBusy({ with: null, error: null });
    } catch (error) {
      setBusy({ with: null, error });
    }
  };
  const older = () =>
    ask("older", async () => {
      const first = store.begin();
      store.addBefore(await readEvents(path, { after: Math.max(-1, first - 1 - OLDER), until: first - 1 }));
    });
  const newer = () =>
    ask("newer", async () => {
      const end = store.end();
      store.addBehind(await readEvents(path, { after: end, until: Math.min(store.last, end + OLDER) }));
    });
  const newest = () =>
    ask("newest", async () => {
      const until = store.last;
      store.showOnly(await readEvents(path, { after: Math.max(-1, until - HISTORY), until }), { isNewest: true });
    });
  const searchAll = () =>
    ask("all", async () => {
      const found = await readEvents(path, { after: -1, until: store.last, keep: filter, limit: MAX_FOUND });
      store.showOnly(found, { isNewest: false });
    });

  const events = store.events();
  const shown = events.filter(filter).length;
  const kinds = [...new Set([...events.map(kindOf), choice.type])].filter(Boolean).sort();
  const workers = [...new Set([...events.map(workerOf), choice.worker])].filter(Boolean).sort();
  const isFiltered = Object.values(choice).some((value) => value !== "");
  const isFrozen = store.missed !== undefined;
  return html`<section class="log" aria-label="Events">
    <div class="row filters">
      <${Search} value=${choice.q} onInput=${(q) => choose({ q })} label="Search in events" />
      <${Choice} label="Type" value=${choice.type} values=${kinds} onChoose=${(type) => choose({ type })} />
      <${Choice} label="Worker" value=${choice.worker} values=${workers} onChoose=${(worker) => choose({ worker })} />
      ${isFiltered && html`<button type="button" class="quiet" onClick=${() => choose(NOTHING_CHOSEN)}>Clear</button>`}
    </div>
    <div class="row small muted filters" role="status">
      <span class="number">${whole(shown)} of ${whole(store.size)} events${
    isFrozen ? `, ${whole(store.missed)} newer have come` : ""
  }</span>
      ${
    store.begin() > 0 &&
    html`<button type="button" class="quiet" disabled=${busy.with !== null} onClick=${older}>Load older</button>`
  }
      ${
    isFiltered &&
    html`<button type="button" class="quiet" disabled=${busy.with !== null} onClick=${searchAll}>Search all ${
      whole(store.last + 1)
    }</button>`
  }
      ${
    isFrozen &&
    html`<button type="button" class="quiet" disabled=${busy.with !== null} onClick=${newer}>Load newer</button>`
  }
      ${
    isFrozen &&
    html`<button type="button" class="quiet" disabled=${busy.with !== null} onClick=${newest}>To the newest</button>`
  }
      ${busy.with !== null && html`<span>Loading…</span>`}
      ${busy.error && html`<span class="bad">${visible(busy.error.message)}</span>`}
    </div>
    <div class="events" role="log" aria-live="off" aria-label="Events, the newest last" tabindex="0">
      <ol>${
    store.chunks.map((chunk) =>
      html`<${Chunk} key=${chunk.key} chunk=${chunk} size=${chunk.events.length} filter=${filter} />`
    )
  }</ol>
    </div>
    ${store.size > 0 && shown === 0 && html`<p class="empty">None of the loaded events is so.</p>`}
    ${store.size === 0 && html`<p class="empty">Nothing has happened yet.</p>`}
  </section>`;
}
