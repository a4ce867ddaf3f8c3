/** One orchestration: what it needs, its controls, and its parts. */
import {
  Action,
  Ago,
  Badge,
  Connection,
  Duration,
  ErrorBox,
  Facts,
  html,
  Loading,
  Money,
  plural,
  Tabs,
  usd,
  useEffect,
  useNow,
  useRecord,
  useRef,
  useTitle,
  visible,
  whole,
  words,
} from "/kit.js";
import { EventLog, useEventLog } from "/log.js";
import { OpenQuestions } from "/questions.js";
import { Changes } from "/session/changes.js";
import { Decisions, Reviews } from "/session/judgements.js";
import { control, logOf } from "/session/links.js";
import { Overview } from "/session/overview.js";
import { Plan } from "/session/plan.js";
import { Spending } from "/session/spending.js";

const TABS = {
  overview: Overview,
  log: EventLog,
  diff: Changes,
  reviews: Reviews,
  decisions: Decisions,
  charts: Spending,
  plan: Plan,
};
const LABELS = {
  overview: "Overview",
  log: "Log",
  diff: "Changes",
  reviews: "Reviews",
  decisions: "Decisions",
  charts: "Cost and time",
  plan: "Plan",
};
const TROUBLED = new Set(["stalled", "spinning", "dead"]);
const ENDED_BADLY = new Set(["escalated", "failed", "budget", "cut_off"]);
/** How often it is asked whether somebody still carries the session out: the death of that one is no event. */
const ALIVE_MS = 10_000;

export default function Session({ id, tab: named, query, about }) {
  const tab = Object.hasOwn(TABS, named) ? named : "overview";
  const base = id === null ? "/api" : `/api/sessions/${encodeURIComponent(id)}`;
  const { data, error, reload } = useRecord(`${base}/summary`, { refreshOn: useNow(ALIVE_MS) });
  const summary = data && standing(data);
  const log = useEventLog(`${base}/events/stream`, {
    latest: summary?.session.seq,
    onSnapshot: reload,
    onEvent: reload,
  });
  const shownId = summary?.session.session_id ?? id ?? "";
  const firstId = useRef("");
  useEffect(() => {
    firstId.current ||= shownId;
    // Another session is served here by now.
    if (shownId !== firstId.current) location.reload();
  }, [shownId]);
  const to = (name) => `#/sessions/${encodeURIComponent(shownId)}${name === "overview" ? "" : `/${name}`}`;
  useTitle(
    summary === undefined
      ? "gocore"
      : `${words(summary.session.status)} · ${(summary.session.task ?? "").slice(0, 60)}`,
  );
  if (summary === undefined) {
    return html`<main id="main" tabindex="-1">${
      error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} />`
    }</main>`;
  }
  const props = { summary, base, to, log, query, about, reload };
  const counts = { reviews: summary.reviews.length, decisions: summary.decisions.length + summary.recovery.length };
  const tabs = Object.keys(TABS).map((name) => ({ id: name, label: LABELS[name], count: counts[name] }));
  return html`<main id="main" tabindex="-1">
    <${Head} ...${props} />
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    <${Attention} ...${props} />
    <${Tabs} tabs=${tabs} tab=${tab} to=${to} label="Parts of the session" />
    <${TABS[tab]} ...${props} />
  </main>`;
}

/** A session whose supervisor was killed says of itself what it did last. */
function standing(summary) {
  const { session, supervised } = summary;
  if (session.result !== null || supervised) return { ...summary, hasEnded: session.result !== null };
  const seconds = (Date.parse(session.last_event_at) - Date.parse(session.started_at)) / 1000;
  const status_reason = "Nobody carries it out any more";
  return {
    ...summary,
    hasEnded: true,
    session: { ...session, status: "cut_off", status_reason, elapsed_seconds: seconds || 0 },
  };
}

function Head({ summary: { session, tasks, workers, hasEnded }, base, to, log, about, reload }) {
  const { status, tier, tier_name, tier_reason, calls, budget_usd } = session;
  const done = tasks.filter(({ status }) => status === "done").length;
  const tokens = workers.reduce((sum, { input_tokens, output_tokens }) => sum + input_tokens + output_tokens, 0);
  const facts = [
    [
      "Status",
      html`<${Badge} word=${status} /> ${
        session.status_since && html`<span class="muted small"><${Ago} time=${session.status_since} /></span>`
      }`,
    ],
    ["Elapsed", html`<${Duration} seconds=${session.elapsed_seconds} ticks=${!hasEnded} />`],
    ["Tasks", tasks.length > 0 && html`<a class="number" href="${to("plan")}">${done} of ${tasks.length} done</a>`],
    [
      "Cost",
      html`<${Money} ...${session} to="${to("log")}?type=model.answered" />${
        budget_usd !== null && html`${" "}<span class="muted small">of ${usd(budget_usd)}</span>`
      }`,
    ],
    ["Calls", html`<a class="number" href="${to("charts")}" title="Open them over time">${whole(calls)}</a>`],
    ["Tokens", html`<a class="number" href="${to("charts")}" title="Open them over time">${whole(tokens)}</a>`],
    [
      "Tier",
      tier !== null &&
      html`<a href="${to("log")}?type=preflight.checked" title=${visible(tier_reason)}>${tier} (${
        visible(tier_name)
      })</a>`,
    ],
    ["Connection", html`<${Connection} state=${log.state} hasEnded=${hasEnded && log.state !== "lost"} />`],
  ];
  return html`<header class="head">
    <p class="muted small">${about.mode === "all" && html`<a href="#/">Runs</a>${" / "}`}<span class="text">${
    visible(session.session_id)
  }</span> · <span class="text">${visible(session.target)}</span></p>
    <h1 class="text task">${visible(session.task)}</h1>
    ${
    session.status_reason && !ENDED_BADLY.has(status) &&
    html`<p class="text muted">${visible(session.status_reason)}</p>`
  }
    <${Facts} facts=${facts} />
    ${!hasEnded && html`<${Controls} status=${status} base=${base} reload=${reload} />`}
  </header>`;
}

function Controls({ status, base, reload }) {
  const act = (command) => () => control(base, command, {}, reload);
  const isHeld = status === "paused" || status === "needs_input";
  return html`<div class="row" role="group" aria-label="Control the session">
    ${
    isHeld
      ? html`<${Action} key="resume" label="Resume" run=${act("resume")} />`
      : html`<${Action} key="pause" label="Pause" run=${act("pause")} />`
  }
    <${Action} key="review" label="Review all" run=${
    act("review")
  } title="Other agents look at the work of each worker" />
    <${Action}
      key="stop"
      label="Stop…"
      danger
      run=${act("stop")}
      confirm=${{
    title: "Stop the session?",
    text: "All workers are ended. What they have done so far is kept, and the session can be resumed.",
    go: "Stop the session",
  }}
    />
  </div>`;
}

// --- what needs somebody

function Attention({ summary: { session, workers, questions, recovery, hasEnded }, base, to, reload }) {
  const open = questions.filter(({ answer }) => answer === null);
  const notes = [];
  if (ENDED_BADLY.has(session.status)) {
    notes.push({ word: session.status, text: session.status_reason, to: to("log"), isEnd: true });
  }
  for (const { name, status, liveness } of workers) {
    if (hasEnded || status !== "running" || !TROUBLED.has(liveness?.verdict)) continue;
    notes.push({ word: liveness.verdict, worker: name, text: liveness.proof, to: logOf(to, name) });
  }
  for (const [number, { worker, cause, outcome, change, suggestions }] of recovery.entries()) {
    const isOver = hasEnded || recovery.findLastIndex((action) => action.worker === worker) !== number;
    const status = workers.find(({ name }) => name === worker)?.status;
    if (outcome === "relaunched" || isOver || status === "running" || status === "completed") continue;
    notes.push({
      word: outcome,
      worker,
      text: [words(cause), change, ...suggestions].join("\n"),
      to: logOf(to, worker),
    });
  }
  const isWaiting = open.length > 0 && !hasEnded;
  if (notes.length === 0 && !isWaiting) return null;
  return html`
    <section class="card waiting" aria-labelledby="attention">
      <h2 id="attention">Needs attention</h2>
      <p class="sr" role="status">${plural(notes.length + (isWaiting ? open.length : 0), "matter")} to look at</p>
      <div>
          ${isWaiting && html`
            <div class="need">
              <${Badge} word="needs_answer" />
              <div class="grow">
                <${OpenQuestions} base=${base} questions=${open} onAnswered=${reload} />
              </div>
            </div>
          `}
          ${notes.map(({ word, worker, text, to, isEnd }) =>
            html`
              <div key="${word} ${worker}" class="need">
                <${Badge} word=${word} />
                <div class="grow">
                  <p class="text">${worker && html`<b>${visible(worker)}</b>${": "}`}${visible(text)}</p>
                  <p class="small muted"><a href=${to}>What led to it</a>${isEnd &&
                    html`${" · "}go on with it by <code>gocore orchestrate --resume ${
                      visible(session.session_id)
                    }</code>`}</p>
                </div>
              </div>
            `
          )}
        </div>
    </section>
  `;
}
