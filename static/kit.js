/**
 * What all pages are made of: state that keeps up to date, and small parts that show it. Text of agents is only ever
 * set as text, through `visible`, which these parts call themselves; whoever writes text into markup calls it too.
 *
 * A page is a module `pages/NAME.js` whose default export is a component of `{id, tab, query, about}`: id and tab from
 * the address (tab is "" when it names none), `query` a URLSearchParams of what stands behind its `?`, `about` the answer
 * of /api/about. It is made anew when the id changes. Its first element is `<main>`.
 *
 * State
 * - `api(path, {method = "GET", body, signal})` → JSON; throws `ApiError` with the server's words, `status` and, where
 *   the server names one, `field`
 * - `useRecord(path, {refreshOn})` → `{data, error, path, reload}`; asks again when `refreshOn` changes or `reload()` is
 *   called, at most every 400 ms; `data` is undefined at first, and stays what it was until the new is there (`path`
 *   tells which it is of); no path: asks nothing
 * - `useEvents(path, {types, since, onSnapshot, onEvent})` → "connecting" | "live" | "lost"; `onEvent(data, {type, id})`;
 *   `types`: names to listen for, all of the program's by default; `since`: id after which to begin; no path: nothing
 * - `useNow(everyMs)` → milliseconds since 1970, again and again; `useTheme()` → "light" | "dark", again on a change
 * - `useStored(name, initial)` → `[value, set]`, text that this browser keeps
 * - `useChoice(query, initial)` → `[choice, choose]`: a record of texts that stands in the address behind `?`, so that a
 *   reload or a link has it; `choose(part)` changes some of it
 * - `colour(name)` → what `var(--name)` is now, for a canvas: ink soft line card paper blue green amber red, and
 *   series-1 to series-8
 * - `go(hash)`, `hrefOf(entry, tab)` → "#/sessions/…", `#/runs/…` or `#/mini/…`
 * - `useTitle(text)` sets the window's title; `setWaiting(count)`, `useWaiting()`: how many runs need somebody
 *
 * Words: `visible(text)`, `words(name)` (no underscores), `plural(count, noun)`, `clock(time)`, `dateTime(time)`,
 * `duration(seconds)`, `usd(amount)`, `cost({cost_usd, known_cost_usd})`, `bytes(size)`, `whole(number)`, `toneOf(word)`
 *
 * Parts
 * - `Badge({word, title})`: coloured by what the word means
 * - `Money({cost_usd, known_cost_usd, calls, to})`: "over $0.02" where a price is unknown; `to`: where it comes from
 * - `Ago({time})`, `Duration({seconds, ticks})`: `ticks` counts on from the moment the seconds came
 * - `Progress({value, label, to})`: 0 to 100, null is "not known"
 * - `Facts({facts})`: `[[name, content], …]` as a list; empty contents are left out
 * - `Tabs({tabs: [{id, label, count}], tab, to: (id) => hash, label})`: links; `Empty({children})`; `Loading({what})`
 * - `ErrorBox({error, onRetry})`; `Connection({state, hasEnded})`
 * - `CodeBlock({text, label, lines = 24})`: collapsed when longer; can be copied
 * - `LongText({text, lines = 12})`: prose with its line breaks, collapsed when longer
 * - `Diff({patch})`: of `git diff`, by file
 * - `LinkTo({to, children, …})`: `#/…` or http(s), which opens elsewhere; any other address is shown as text only
 * - `Action({label, run, confirm, danger, disabled, hint, title})`: a button; `run` is async, its failure is shown;
 *   `confirm`: `{title, text, go}` is asked before
 * - `SendForm({label, button, onSend, hint})`: a field for text and a button; cleared when `onSend` resolves
 * - `Search({value, onInput, label})`: what `/` focuses; `Choice({label, value, values, onChoose})`: one of them, or ""
 * - elements with `data-item` are what `j` and `k` go through
 * - `EventLog` in /log.js: `EventLog({path, events})`, where `events` is `useEventLog(path, {onSnapshot, onEvent})`
 *
 * Classes: card, stack, row, spread, grow, columns, muted, small, number, text, mono, clip, sr (for screen readers
 * only), list and item, facts, badge with good busy warn bad idle; tables are scrolled in `div.scroll`, and with class
 * `cards` turn into cards on a phone, with `data-label` on each cell.
 */
import {
  Component,
  html,
  render,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "/lib/preact.js";

export { Component, html, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState };

/** The browser has to be told each name; a test compares them with the program's. */
export const EVENT_TYPES = [
  "start",
  "step",
  "thought",
  "log",
  "finish",
  "error",
  "cost",
  "gateway.listening",
  "model.called",
  "model.answered",
  "budget.refused",
  "rate.waiting",
  "session.started",
  "session.resumed",
  "session.serving",
  "session.status",
  "session.finished",
  "preflight.checked",
  "plan.made",
  "task.changed",
  "worker.launched",
  "worker.started",
  "worker.event",
  "worker.liveness",
  "worker.signalled",
  "worker.exited",
  "command.judged",
  "limit.exceeded",
  "review.requested",
  "review.answered",
  "decision.made",
  "question.asked",
  "question.answered",
  "recovery.attempted",
  "control.received",
  "work.saved",
  "conflict.foreseen",
  "merge.ended",
  "spending.counted",
  "verify.ended",
  "run.started",
  "run.resumed",
  "run.phase",
  "run.serving",
  "run.finished",
  "issue.read",
  "environment.prepared",
  "worker.status",
  "worker.nudged",
  "candidate.read",
  "candidate.run",
  "candidate.judged",
  "hypothesis.checked",
  "hypotheses.ranked",
  "comment.posted",
  "minimize.started",
  "minimize.start_proved",
  "minimize.model",
  "minimize.note",
  "minimize.progress",
  "minimize.ended",
];

const REFRESH_MS = 400;
/** A browser has six connections for each server, and each page that is looked at needs one for its events. */
const HIDDEN_MS = 15_000;
const CONTROL_CHARACTERS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

// --- state

export class ApiError extends Error {
  constructor(message, { status, field }) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

export async function api(path, { method = "GET", body, signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      signal,
      ...(method !== "GET" && { headers: { "content-type": "application/json" }, body: JSON.stringify(body ?? {}) }),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError("The server cannot be reached", { status: 0 });
  }
  const record = await response.json().catch(() => null);
  if (response.ok && record !== null) return record;
  const message = typeof record?.error === "string" ? record.error : `The server answered ${response.status}`;
  const field = response.status === 400 ? /^(\w+)(?:\.\d+)?: /.exec(message)?.[1] : undefined;
  throw new ApiError(field === undefined ? message : message.slice(message.indexOf(": ") + 2), {
    status: response.status,
    field,
  });
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function useRecord(path, { refreshOn } = {}) {
  const [record, setRecord] = useState({ data: undefined, error: null, path: undefined });
  const reload = useRef(() => {});
  const known = useRef(refreshOn);
  useEffect(() => {
    if (!path) return;
    const gone = new AbortController();
    let isLoading = false;
    let isDue = false;
    const load = async () => {
      isDue = true;
      if (isLoading) return;
      isLoading = true;
      while (isDue && !gone.signal.aborted) {
        isDue = false;
        try {
          const data = await api(path, { signal: gone.signal });
          if (!gone.signal.aborted) setRecord({ data, error: null, path });
        } catch (error) {
          if (!gone.signal.aborted) setRecord((before) => ({ ...before, error }));
        }
        await pause(REFRESH_MS);
      }
      isLoading = false;
    };
    reload.current = load;
    load();
    return () => gone.abort();
  }, [path]);
  useEffect(() => {
    if (known.current === refreshOn) return;
    known.current = refreshOn;
    reload.current();
  }, [refreshOn]);
  return { ...record, reload: useCallback(() => reload.current(), []) };
}

/** Kept up across what a browser gives up on by itself: an answer that is no stream, and a computer that slept. */
export function useEvents(path, { types = EVENT_TYPES, since, onSnapshot, onEvent }) {
  const [state, setState] = useState("connecting");
  const heard = useRef({});
  heard.current = { onSnapshot, onEvent };
  useEffect(() => {
    if (!path) return;
    let source;
    let timer;
    let lastId = since;
    let waitMs = 1000;
    const listen = () => {
      const start = lastId === undefined ? "" : `${path.includes("?") ? "&" : "?"}since=${encodeURIComponent(lastId)}`;
      source = new EventSource(path + start);
      const tell = (type) => ({ data, lastEventId }) => {
        // There are events named `error`, too.
        if (data === undefined) return;
        if (lastEventId !== "") lastId = lastEventId;
        const record = JSON.parse(data);
        if (type === "snapshot") heard.current.onSnapshot?.(record);
        else heard.current.onEvent?.(record, { type, id: lastEventId });
      };
      source.addEventListener("open", () => {
        waitMs = 1000;
        setState("live");
      });
      source.addEventListener("error", ({ data }) => {
        if (data !== undefined) return;
        setState("lost");
        if (source.readyState === EventSource.CLOSED) listenLater();
      });
      for (const type of ["snapshot", ...types]) source.addEventListener(type, tell(type));
    };
    const listenLater = () => {
      clearTimeout(timer);
      timer = setTimeout(listen, waitMs);
      waitMs = Math.min(2 * waitMs, 15_000);
    };
    const onVisibility = () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(() => source.close(), HIDDEN_MS);
      else if (source.readyState === EventSource.CLOSED) listen();
    };
    listen();
    if (document.hidden) onVisibility();
    document.addEventListener("visibilitychange", onVisibility);
    return () => {
      clearTimeout(timer);
      source.close();
      document.removeEventListener("visibilitychange", onVisibility);
    };
  }, [path, since]);
  return state;
}

export function useNow(everyMs = 1000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function useStored(name, initial) {
  const [value, setValue] = useState(() => stored(name) ?? initial);
  const set = useCallback((next) => {
    try {
      localStorage.setItem(name, next);
    } catch {
      // A browser that keeps nothing still shows it.
    }
    setValue(next);
  }, [name]);
  return [value, set];
}

export function useChoice(query, initial) {
  const read = () =>
    Object.fromEntries(Object.entries(initial).map(([name, value]) => [name, query.get(name) ?? value]));
  const [choice, setChoice] = useState(read);
  useEffect(() => setChoice(read()), [query]);
  const choose = (part) => {
    const next = { ...choice, ...part };
    setChoice(next);
    const told = new URLSearchParams(Object.entries(next).filter(([name, value]) => value !== initial[name]));
    const [address] = (location.hash || "#/").split("?");
    // Not a place of its own to come back to: each letter of a search would be one.
    history.replaceState(null, "", told.size === 0 ? address : `${address}?${told}`);
  };
  return [choice, choose];
}

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

const darkness = matchMedia("(prefers-color-scheme: dark)");
const themeOf = () => document.documentElement.dataset.theme || (darkness.matches ? "dark" : "light");

export function useTheme() {
  const [theme, setTheme] = useState(themeOf);
  useEffect(() => {
    const update = () => setTheme(themeOf());
    const watcher = new MutationObserver(update);
    watcher.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    darkness.addEventListener("change", update);
    return () => {
      watcher.disconnect();
      darkness.removeEventListener("change", update);
    };
  }, []);
  return theme;
}

/** A variable's own value may be `light-dark(…)`, which no canvas understands. */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

let title = "gocore";
let waiting = 0;
const waitingListeners = new Set();

const showTitle = () => {
  document.title = `${waiting > 0 ? `(${waiting}) ` : ""}${title}`;
};

export function useTitle(text) {
  useEffect(() => {
    title = visible(text);
    showTitle();
  }, [text]);
}

/** How many runs wait for somebody: whoever has found it out tells all, and the window's title. */
export function setWaiting(count) {
  waiting = count;
  showTitle();
  for (const listener of waitingListeners) listener(count);
}

export function useWaiting() {
  const [count, setCount] = useState(waiting);
  useEffect(() => {
    waitingListeners.add(setCount);
    return () => waitingListeners.delete(setCount);
  }, []);
  return count;
}

export function go(hash) {
  location.hash = hash;
}

const FOLDER_OF = { session: "sessions", manager: "runs", mini: "mini" };

export function hrefOf({ kind, id }, tab) {
  return `#/${FOLDER_OF[kind]}/${encodeURIComponent(id)}${tab ? `/${tab}` : ""}`;
}

// --- words

/** Control characters are shown, and so have no effect. */
export function visible(text) {
  return String(text ?? "").replaceAll(CONTROL_CHARACTERS, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return hex.length <= 2 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`;
  });
}

export const words = (name) => String(name ?? "").replaceAll("_", " ").toLowerCase();

export const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;

const numbers = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
export const whole = (number) => numbers.format(number);

export const usd = (amount) => `$${amount.toFixed(amount !== 0 && amount < 0.1 ? 4 : 2)}`;

/** Unknown is never nothing. */
export const cost = ({ cost_usd, known_cost_usd }) =>
  cost_usd !== null ? usd(cost_usd) : known_cost_usd > 0 ? `over ${usd(known_cost_usd)}` : "unknown";

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  const [unit, name] = size < 1_000_000 ? [1000, "kB"] : [1_000_000, "MB"];
  return `${(size / unit).toFixed(size < 10 * unit ? 1 : 0)} ${name}`;
}

export function duration(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  if (all === 0 && seconds > 0) return `${Math.round(seconds * 1000)} ms`;
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
  return minutes > 0 ? `${minutes} min ${String(rest).padStart(2, "0")} s` : `${rest} s`;
}

const two = (number) => String(number).padStart(2, "0");

/** By this computer's clock, such as 14:05:09. */
export function clock(time) {
  const date = new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

/** Such as 2026-11-21 14:05. */
export function dateTime(time) {
  const date = new Date(time);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(two).join("-");
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

const TONES = {
  good: [
    "done",
    "completed",
    "approved",
    "CONTINUE",
    "merged",
    "resolved",
    "working",
    "relaunched",
    "success",
    "ok",
    "finished",
    "reproduced",
    "match",
    "already-fixed",
    "already_fixed",
    "allow",
    "for",
    "live",
    "ready",
  ],
  busy: ["running", "planning", "starting", "merging", "verifying", "waiting_model", "waiting_tool", "started"],
  warn: [
    "paused",
    "needs_input",
    "needs_answer",
    "concerns",
    "PAUSE_AND_CLARIFY",
    "LOG_WARNING",
    "backoff",
    "stopped",
    "interrupted",
    "needs-human",
    "flaky",
    "other_failure",
    "cut_off",
    "confirm",
    "environment",
    "environment_error",
  ],
  bad: [
    "failed",
    "escalated",
    "budget",
    "blocker",
    "blocked",
    "STOP_AND_ESCALATE",
    "stalled",
    "spinning",
    "dead",
    "given_up",
    "conflict",
    "block",
    "timeout",
    "limit",
    "lost",
    "error",
    "unusable",
    "broken",
    "own_failure",
    "unreadable",
    "against",
    "cost_limit",
    "step_limit",
    "time_limit",
    "format_error",
  ],
};
const TONE_OF = new Map(Object.entries(TONES).flatMap(([tone, meant]) => meant.map((word) => [word, tone])));
export const toneOf = (word) => TONE_OF.get(word) ?? "idle";

// --- parts

export const Badge = ({ word, title }) =>
  html`<span class="badge ${toneOf(word)}" title=${title ? visible(title) : undefined}>${visible(words(word))}</span>`;

export function Money({ cost_usd, known_cost_usd, calls, to }) {
  const title = `${calls === undefined ? "" : `${plural(calls, "model call")}. `}${
    cost_usd === null ? "The price of some calls is unknown; " : ""
  }${to ? "Open the calls it is the sum of" : ""}`;
  const text = cost({ cost_usd, known_cost_usd });
  return to
    ? html`<a class="number" href=${to} title=${title}>${text}</a>`
    : html`<span class="number" title=${title}>${text}</span>`;
}

export function Ago({ time }) {
  const now = useNow(5000);
  if (time === null || time === undefined) return html`<span class="muted">–</span>`;
  const seconds = (now - Date.parse(time)) / 1000;
  const text = seconds < 45
    ? "just now"
    : seconds < 3600
    ? `${Math.max(1, Math.round(seconds / 60))} min ago`
    : seconds < 86_400
    ? `${Math.round(seconds / 3600)} h ago`
    : dateTime(time).slice(0, 10);
  return html`<time class="number" datetime=${time} title="${dateTime(time)} (${visible(time)})">${text}</time>`;
}

export function Duration({ seconds, ticks = false }) {
  const since = useMemo(() => performance.now(), [seconds, ticks]);
  useNow(ticks ? 1000 : 3_600_000);
  return html`<span class="number">${duration(seconds + (ticks ? (performance.now() - since) / 1000 : 0))}</span>`;
}

export function Progress({ value, label, to }) {
  if (value === null || value === undefined) {
    return html`<span class="progress"><span class="bar unknown"></span><span class="muted small">not known</span></span>`;
  }
  const done = Math.min(100, Math.max(0, value));
  const figure = `${Math.floor(done)} %`;
  return html`<span class="progress">
    <span
      class="bar"
      role="progressbar"
      aria-label=${visible(label)}
      aria-valuemin="0"
      aria-valuemax="100"
      aria-valuenow=${Math.floor(done)}
    ><span style=${{ width: `${done}%` }}></span></span>
    ${
    to
      ? html`<a class="number" href=${to} title="Open what it was computed from">${figure}</a>`
      : html`<span class="number">${figure}</span>`
  }
  </span>`;
}

export const Facts = ({ facts }) =>
  html`<dl class="facts">${
    facts.filter(([, content]) => content || content === 0).map(([name, content]) =>
      html`
        <div key=${name}>
          <dt>${name}</dt>
          <dd>${content}</dd>
        </div>
      `
    )
  }</dl>`;

export function Tabs({ tabs, tab, to, label }) {
  const list = useRef(null);
  // On a phone they do not fit side by side.
  useEffect(() => {
    const [all, shown] = [list.current, list.current.querySelector("[aria-current]")];
    if (shown) all.scrollLeft += shown.getBoundingClientRect().left - all.getBoundingClientRect().left - 48;
  }, [tab]);
  return html`<nav ref=${list} class="tabs" aria-label=${label}>${
    tabs.map(({ id, label: name, count }) =>
      html`<a key=${id} href=${to(id)} aria-current=${id === tab ? "page" : undefined}>${name}${
        count
          ? html`
            <span class="count">${whole(count)}</span>
          `
          : ""
      }</a>`
    )
  }</nav>`;
}

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

export const Loading = ({ what = "Loading" }) => html`<p class="empty" role="status">${what}…</p>`;

export const ErrorBox = ({ error, onRetry }) =>
  html`<div class="card error" role="alert">
    <p class="text">${visible(error.message)}</p>
    ${onRetry && html`<button type="button" onClick=${onRetry}>Try again</button>`}
  </div>`;

const CONNECTIONS = {
  live: ["good", "live"],
  connecting: ["idle", "connecting"],
  lost: ["bad", "connection lost, trying again"],
};

export function Connection({ state, hasEnded = false }) {
  const [tone, text] = hasEnded ? ["idle", "ended"] : CONNECTIONS[state];
  return html`<span class="connection ${tone}" role="status">${text}</span>`;
}

export function CodeBlock({ text, label, lines = 24 }) {
  const shown = visible(text);
  return html`
    <div class="code">
      <div class="row spread small muted"><span>${label ?? ""}</span><${Copy} text=${String(text ?? "")} /></div>
      <${Collapsed} text=${shown} lines=${lines} mono />
    </div>
  `;
}

export const LongText = ({ text, lines = 12 }) => html`<${Collapsed} text=${visible(text)} lines=${lines} />`;

/** So long a line is as good as several. */
const LINE_LENGTH = 200;

function Collapsed({ text, lines, mono = false }) {
  const [isOpen, setOpen] = useState(false);
  const all = text.split("\n");
  const isLong = all.length > lines + 4 || text.length > (lines + 4) * LINE_LENGTH;
  const shown = isLong && !isOpen ? all.slice(0, lines).join("\n").slice(0, lines * LINE_LENGTH) : text;
  const name = all.length > lines + 4 ? `Show all ${whole(all.length)} lines` : `Show all of it`;
  // A region that scrolls has to be reachable by keyboard.
  return html`
    <pre class=${mono ? "text mono" : "text prose"} tabindex=${mono ? 0 : undefined}>${shown}</pre>
    ${isLong &&
      html`<button type="button" class="quiet small" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${
        isOpen ? "Show less" : name
      }</button>`}
  `;
}

function Copy({ text }) {
  const [said, setSaid] = useState("Copy");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      setSaid("Not possible here");
    }
    await pause(1500);
    setSaid("Copy");
  };
  return html`<button type="button" class="quiet small" onClick=${copy} aria-live="polite">${said}</button>`;
}

const DIFF_LINES = 400;

/** The parts of a patch, one for each file. */
export function splitPatch(patch) {
  const files = [];
  for (const line of patch.split("\n")) {
    if (line.startsWith("diff --git ")) {
      // Both names are the same but for a rename, and may have spaces in them.
      const path = / b\/(.*)$/.exec(line)?.[1] ?? line.slice("diff --git ".length);
      files.push({ path, added: 0, removed: 0, lines: [], isBody: false });
    }
    const file = files.at(-1);
    if (file === undefined) continue;
    if (line.startsWith("@@")) file.isBody = true;
    if (file.isBody) {
      if (line.startsWith("+")) file.added++;
      else if (line.startsWith("-")) file.removed++;
      file.lines.push(line);
    } else if (/^(new file|deleted file|rename|similarity|Binary|old mode|new mode)/.test(line)) file.lines.push(line);
  }
  return files;
}

const LINE_CLASS = { "+": "added", "-": "removed", "@": "hunk" };

export const Diff = ({ patch }) => splitPatch(patch).map((file) => html`<${FileDiff} key=${file.path} file=${file} />`);

function FileDiff({ file: { path, added, removed, lines } }) {
  const [limit, setLimit] = useState(DIFF_LINES);
  // Git ends the text with a line feed.
  const all = lines.at(-1) === "" ? lines.slice(0, -1) : lines;
  return html`<details class="diff" open=${all.length <= DIFF_LINES}>
    <summary data-item>
      <span class="text grow">${visible(path)}</span>
      <span class="good number">+${whole(added)}</span> <span class="bad number">−${whole(removed)}</span>
    </summary>
    <pre class="mono" tabindex="0">${
    all.slice(0, limit).map((line) => html`<span class=${LINE_CLASS[line[0]] ?? ""}>${visible(line)}${"\n"}</span>`)
  }</pre>
    ${
    all.length > limit &&
    html`<button type="button" class="quiet small" onClick=${() => setLimit(all.length)}>
      Show all ${whole(all.length)} lines
    </button>`
  }
  </details>`;
}

export function LinkTo({ to, children, ...rest }) {
  if (typeof to !== "string") return html`<span ...${rest}>${children}</span>`;
  if (to.startsWith("#/")) return html`<a href=${to} ...${rest}>${children}</a>`;
  // Anything else, such as `javascript:`, might be followed to where nobody wants to go.
  if (!/^https?:\/\//i.test(to)) return html`<span ...${rest}>${children}</span>`;
  return html`<a href=${to} target="_blank" rel="noreferrer" ...${rest}>${children}</a>`;
}

export function Action({ label, run, confirm, danger = false, disabled = false, hint, title }) {
  const [state, setState] = useState({ isBusy: false, error: null, isDone: false });
  const dialog = useRef(null);
  const act = async () => {
    setState({ isBusy: true, error: null, isDone: false });
    try {
      await run();
      setState({ isBusy: false, error: null, isDone: true });
    } catch (error) {
      setState({ isBusy: false, error, isDone: false });
    }
  };
  return html`<span class="action">
    <button
      type="button"
      class=${danger ? "danger" : ""}
      disabled=${disabled || state.isBusy}
      aria-label=${hint ? visible(hint) : undefined}
      title=${title ? visible(title) : undefined}
      onClick=${confirm ? () => dialog.current.showModal() : act}
    >${label}</button>
    <span role="status" class=${state.error ? "bad small text" : "sr"}>${
    state.error ? visible(state.error.message) : state.isDone ? `${label}: done` : ""
  }</span>
    ${confirm && html`<${Confirm} ...${confirm} danger=${danger} onGo=${act} dialog=${dialog} />`}
  </span>`;
}

function Confirm({ title, text, go: goOn, danger, onGo, dialog }) {
  const close = () => dialog.current.close();
  return html`
    <dialog ref=${dialog} aria-label=${title}>
      <h2>${title}</h2>
      <p class="text">${text}</p>
      <div class="row end">
        <button type="button" onClick=${close} autofocus>Cancel</button>
        <button type="button" class=${danger ? "danger filled" : "filled"} onClick=${() => {
          close();
          onGo();
        }}>${goOn}</button>
      </div>
    </dialog>
  `;
}

export function SendForm({ label, button, onSend, hint }) {
  const [text, setText] = useState("");
  const [state, setState] = useState({ isBusy: false, error: null, isSent: false });
  const send = async (event) => {
    event.preventDefault();
    if (text.trim() === "" || state.isBusy) return;
    setState({ isBusy: true, error: null, isSent: false });
    try {
      await onSend(text);
      setText("");
      setState({ isBusy: false, error: null, isSent: true });
    } catch (error) {
      setState({ isBusy: false, error, isSent: false });
    }
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
  };
  return html`
    <form class="send" onSubmit=${send}>
      <label><span class="sr">${visible(label)}</span>
          <textarea
            rows="2"
            required
            placeholder=${visible(label)}
            value=${text}
            onInput=${({ target }) => setText(target.value)}
            onKeyDown=${onKeyDown}
          ></textarea></label>
      <div class="row">
        <button type="submit" class="filled" disabled=${state.isBusy}>${button}</button>
        <span role="status" class="small text ${state.error ? "bad" : "muted"}">${state.error
          ? visible(state.error.message)
          : state.isSent
          ? "Sent"
          : hint ?? ""}</span>
      </div>
    </form>
  `;
}

export const Search = ({ value, onInput, label }) =>
  html`
    <input
      type="search"
      data-search
      aria-label=${label}
      placeholder="${label}  ( / )"
      value=${value}
      spellcheck=${false}
      autocomplete="off"
      onInput=${({ target }) => onInput(target.value)}
    />
  `;

export const Choice = ({ label, value, values, onChoose }) =>
  html`<label class="choice"><span>${label}</span>
    <select value=${value} onChange=${({ target }) => onChoose(target.value)}>
      <option value="">all</option>
      ${values.map((name) => html`<option key=${name} value=${name}>${visible(words(name))}</option>`)}
    </select></label>`;
