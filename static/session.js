/** Shows one session, and keeps what it shows up to date. Everything that agents wrote is set as text. */

/** The browser has to be told each name; a test compares them with the program's. */
const EVENT_TYPES = [
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
/** Events of before that a page begins with. */
const HISTORY = 300;
const MAX_EVENTS = 1000;
const REFRESH_MS = 400;

const byId = (id) => document.getElementById(id);
const CONTROL_CHARACTERS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Control characters are shown, and so have no effect. */
function visible(text) {
  return String(text ?? "").replaceAll(CONTROL_CHARACTERS, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return hex.length <= 2 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`;
  });
}

/** Leaves what is right as it is, so that a selection or the place in a list is not lost. */
function setText(element, text) {
  const shown = visible(text);
  if (element.textContent !== shown) element.textContent = shown;
}

function setBadge(element, text, tone) {
  setText(element, text);
  element.className = `badge ${tone}`;
}

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = visible(text);
  return element;
}

function button(label, onClick, className = "") {
  const element = make("button", className, label);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/** One element for each record, in this order; those of before are used again. */
function showAll(parent, records, { keyOf, create, update }) {
  const former = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const record of records) {
    const key = keyOf(record);
    let element = former.get(key);
    former.delete(key);
    if (element === undefined) {
      element = create(record);
      element.dataset.key = key;
    }
    update(element, record);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const element of former.values()) element.remove();
}

const TONES = {
  good: ["done", "completed", "approved", "CONTINUE", "merged", "resolved", "working", "relaunched"],
  busy: ["running", "planning", "starting", "merging", "verifying", "waiting_model", "waiting_tool"],
  warn: ["paused", "needs_input", "concerns", "PAUSE_AND_CLARIFY", "LOG_WARNING", "backoff", "stopped", "interrupted"],
  bad: [
    "failed",
    "escalated",
    "budget",
    "blocker",
    "STOP_AND_ESCALATE",
    "stalled",
    "spinning",
    "dead",
    "given_up",
    "conflict",
  ],
};
const TONE_OF = new Map(Object.entries(TONES).flatMap(([tone, words]) => words.map((word) => [word, tone])));
const toneOf = (word) => TONE_OF.get(word) ?? "idle";
const words = (name) => String(name).replaceAll("_", " ").toLowerCase();

function duration(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
  return minutes > 0 ? `${minutes} min ${String(rest).padStart(2, "0")} s` : `${rest} s`;
}

const usd = (amount) => `$${amount.toFixed(amount !== 0 && amount < 0.1 ? 4 : 2)}`;
/** Unknown is never nothing. */
const cost = ({ cost_usd, known_cost_usd }) =>
  cost_usd !== null ? usd(cost_usd) : known_cost_usd > 0 ? `over ${usd(known_cost_usd)}` : "unknown";

let summary;
let connectedAt = 0;

// --- what is asked of the session

async function send(command, body = {}) {
  try {
    const response = await fetch(`/api/control/${command}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { error } = await response.json();
    tell(response.ok ? `${command}: on its way` : error, response.ok);
    return response.ok;
  } catch {
    tell("The session cannot be reached", false);
    return false;
  } finally {
    refreshSoon();
  }
}

function tell(text, isGood) {
  const notice = byId("notice");
  setText(notice, text);
  notice.className = isGood ? "muted" : "bad";
}

byId("pause").addEventListener("click", () => send("pause"));
byId("resume").addEventListener("click", () => send("resume"));
byId("review").addEventListener("click", () => send("review"));
byId("stop").addEventListener("click", () => {
  byId("stop-dialog").returnValue = "cancel";
  byId("stop-dialog").showModal();
});
byId("stop-dialog").addEventListener("close", ({ target }) => {
  if (target.returnValue === "stop") send("stop");
});

// --- what is shown

function show() {
  const { session, workers, tasks, reviews, decisions, recovery } = summary;
  const hasEnded = session.result !== null;
  document.title = `${words(session.status)} · ${visible(session.task ?? "gocore").slice(0, 60)}`;
  setText(byId("session-id"), session.session_id ?? "");
  setText(byId("task"), session.task ?? "");
  setText(byId("reason"), session.status_reason);
  setBadge(byId("status"), words(session.status), toneOf(session.status));
  setText(byId("tier"), session.tier === null ? "not known yet" : `${session.tier} (${session.tier_name})`);
  byId("tier").title = visible(session.tier_reason);
  const cap = session.budget_usd === null ? "" : ` of ${usd(session.budget_usd)}`;
  setText(byId("cost"), `${cost(session)}${cap}, ${session.calls} calls`);
  byId("pause").hidden = session.status === "paused" || session.status === "needs_input";
  byId("resume").hidden = !byId("pause").hidden;
  for (const id of ["pause", "resume", "review", "stop"]) byId(id).disabled = hasEnded;
  showElapsed();
  showAttention();
  showResult(session);
  showAll(byId("worker-rows"), workers, workerRow);
  showAll(byId("task-rows"), tasks, taskRow);
  showAll(byId("review-list"), reviews.toReversed(), reviewCard);
  showAll(byId("decision-list"), decisions.toReversed(), decisionCard);
  const numbered = recovery.map((action, number) => ({ ...action, number }));
  showAll(byId("recovery-list"), numbered.toReversed(), recoveryCard);
  offer(byId("filter-worker"), workers.map(({ name }) => name));
}

function showElapsed() {
  if (summary === undefined) return;
  const { elapsed_seconds, finished_at } = summary.session;
  const since = finished_at === null ? (performance.now() - connectedAt) / 1000 : 0;
  setText(byId("elapsed"), duration(elapsed_seconds + since));
}

function showAttention() {
  const { session, workers, questions, recovery } = summary;
  const notes = [];
  for (const question of questions) {
    if (question.answer === null) notes.push({ key: `question ${question.id}`, question, text: question.text });
  }
  if (["escalated", "failed", "budget"].includes(session.status)) {
    notes.push({ key: "session", title: `The session: ${words(session.status)}`, text: session.status_reason });
  }
  for (const { name, status, liveness } of workers) {
    if (status !== "running" || !["stalled", "spinning", "dead"].includes(liveness?.verdict)) continue;
    notes.push({ key: `worker ${name}`, title: `${name}: ${liveness.verdict}`, text: liveness.proof });
  }
  for (const [number, { worker, cause, outcome, change, suggestions }] of recovery.entries()) {
    const isOver = session.result !== null || recovery.findLastIndex((action) => action.worker === worker) !== number;
    const status = workers.find(({ name }) => name === worker)?.status;
    if (outcome === "relaunched" || isOver || status === "running" || status === "completed") continue;
    const text = [change, ...suggestions].join("\n");
    notes.push({ key: `recovery ${number}`, title: `${worker}: ${words(cause)}, ${words(outcome)}`, text });
  }
  byId("attention").hidden = notes.length === 0;
  showAll(byId("attention-list"), notes, attentionItem);
}

const attentionItem = {
  keyOf: ({ key }) => key,
  create({ question, title }) {
    const item = make("div", "item");
    const heading = make("h3", "", question === undefined ? title : "A question waits for your answer");
    item.append(heading, make("p", "text"));
    if (question !== undefined) item.append(answerForm(question));
    return item;
  },
  update(item, { title, question, text }) {
    if (question === undefined) setText(item.children[0], title);
    setText(item.children[1], text);
  },
};

function answerForm({ id }) {
  const form = document.createElement("form");
  const label = make("label", "", "Your answer");
  const field = document.createElement("textarea");
  field.required = true;
  label.append(field);
  const submit = make("button", "", "Send the answer");
  form.append(label, submit);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    submit.disabled = await send("answer", { text: field.value, question: id });
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return form;
}

function showResult({ result, verify, merges }) {
  byId("result").hidden = result === null;
  if (result === null) return;
  const facts = [
    ["Status", words(result.status)],
    ["Summary", result.summary],
    ["Branch", result.result_branch],
    ["Applied", result.applied ? "the target's checkout has it" : ""],
    ["Merged", merges.map(({ task, outcome }) => `${task} (${outcome})`).join(", ")],
    ["Verified", verify === null ? "" : `${verify.command}: exit code ${verify.exit_code ?? "none"}`],
    ["Report", result.report],
    ["Open", result.open.join("\n")],
  ].filter(([, text]) => text);
  showAll(byId("result-list"), facts, {
    keyOf: ([name]) => name,
    create: ([name]) => {
      const fact = make("p", "text", `${name}: `);
      fact.append(make("span"));
      return fact;
    },
    update: (fact, [, text]) => setText(fact.lastChild, text),
  });
}

function cells(labels) {
  const row = document.createElement("tr");
  for (const label of labels) {
    const cell = document.createElement("td");
    if (label !== "") cell.dataset.label = label;
    row.append(cell);
  }
  return row;
}

const workerRow = {
  keyOf: ({ name }) => name,
  create({ name }) {
    const row = cells(["", "", "", "", "Cost", ""]);
    const [who, status, progress, said, price, controls] = row.children;
    who.append(make("b", "text"), make("div", "muted text"));
    status.append(make("span", "badge"), make("div", "muted text"));
    const bar = document.createElement("progress");
    bar.max = 100;
    bar.setAttribute("aria-label", `Progress of ${visible(name)}`);
    progress.append(bar, make("span", "muted number"));
    said.append(make("div", "words text"));
    price.className = "number";
    price.append(make("span"));
    const review = button("Review", () => send("review", { worker: name }));
    review.setAttribute("aria-label", `Review the work of ${visible(name)}`);
    controls.append(review);
    return row;
  },
  update(row, worker) {
    const [who, status, progress, said, price, controls] = row.children;
    setText(who.children[0], worker.name);
    const what = worker.task ?? (worker.review === null ? "" : `review ${worker.review}`);
    setText(who.children[1], [worker.agent, worker.role, what].filter(Boolean).join(" · "));
    setBadge(status.children[0], words(worker.status), toneOf(worker.status));
    const { liveness, exit } = worker;
    const left = worker.waits_for_turn ? "waits for its turn at the gateway" : "";
    setText(
      status.children[1],
      exit?.cause ? words(exit.cause) : liveness === null ? left : `${words(liveness.verdict)}: ${liveness.proof}`,
    );
    progress.children[0].value = worker.progress;
    setText(progress.children[1], ` ${Math.round(worker.progress)} %`);
    setText(said.children[0], worker.last_text);
    said.children[0].title = visible(worker.last_text);
    setText(price.children[0], cost(worker));
    price.title = `${worker.calls} calls, ${worker.input_tokens} tokens in, ${worker.output_tokens} out`;
    controls.children[0].hidden = worker.task === null;
    controls.children[0].disabled = summary.session.result !== null;
  },
};

const taskRow = {
  keyOf: ({ id }) => id,
  create() {
    const row = cells(["", "", "Worker", "After", ""]);
    const [title, status, worker, after, note] = row.children;
    title.append(make("b", "text"), make("div", "muted text"));
    status.append(make("span", "badge"));
    for (const cell of [worker, after, note]) cell.append(make("span", "text"));
    return row;
  },
  update(row, task) {
    const [title, status, worker, after, note] = row.children;
    setText(title.children[0], task.title);
    setText(title.children[1], `${task.id} · ${task.role}`);
    setBadge(status.children[0], words(task.status), toneOf(task.status));
    setText(worker.children[0], task.worker ?? "nobody yet");
    setText(after.children[0], task.depends_on.join(", ") || "nothing");
    const files = task.files.length === 0 ? "" : `${task.files.length} files changed`;
    setText(note.children[0], [task.reason, files].filter(Boolean).join("; "));
    note.title = visible(task.files.join("\n"));
  },
};

const reviewCard = {
  keyOf: ({ id }) => id,
  create({ id, worker, trigger, reason }) {
    const card = make("div", "item");
    const head = make("p", "", `${id} of ${worker} `);
    head.append(make("span", "muted", words(trigger)));
    card.append(head, make("p", "text muted", reason), make("div"));
    return card;
  },
  update(card, { answers, reviewers }) {
    const missing = reviewers.filter((name) => !answers.some(({ reviewer }) => reviewer === name));
    const waiting = missing.map((reviewer) => ({ reviewer, isWaiting: true }));
    showAll(card.lastChild, [...answers, ...waiting], {
      keyOf: ({ reviewer, isWaiting }) => `${reviewer} ${isWaiting}`,
      create: verdictOf,
      update() {},
    });
  },
};

function verdictOf({ reviewer, verdict, summary: said, problem, issues, recommendations, isWaiting }) {
  const part = make("div");
  const head = make("p", "", `${reviewer} `);
  const badge = make("span");
  setBadge(badge, isWaiting ? "asked" : verdict ?? "no verdict", toneOf(verdict));
  head.append(badge);
  part.append(head);
  if (isWaiting) return part;
  part.append(make("p", "text", verdict === null ? problem : said));
  const list = document.createElement("ul");
  for (const { text, file, line, unsupported } of issues) {
    const place = file === null ? "" : `${file}${line === null ? "" : `:${line}`}: `;
    list.append(make("li", "text", place + text + (unsupported === undefined ? "" : ` (unsupported: ${unsupported})`)));
  }
  for (const text of recommendations) list.append(make("li", "text muted", text));
  if (list.children.length > 0) part.append(list);
  return part;
}

const decisionCard = {
  keyOf: ({ id }) => id,
  create({ action, rule, reason, worker, review, timestamp }) {
    const card = make("div", "item");
    const head = document.createElement("p");
    const badge = make("span");
    setBadge(badge, words(action), toneOf(action));
    head.append(badge, make("span", "muted", ` ${worker}, ${review}, rule ${rule}, ${clock(timestamp)}`));
    card.append(head, make("p", "text", reason));
    return card;
  },
  update() {},
};

const recoveryCard = {
  keyOf: ({ number }) => String(number),
  create({ worker, cause, attempt, outcome, change, suggestions, timestamp }) {
    const card = make("div", "item");
    const head = document.createElement("p");
    const badge = make("span");
    setBadge(badge, words(outcome), toneOf(outcome));
    head.append(badge, make("span", "muted", ` ${worker}, attempt ${attempt}: ${words(cause)}, ${clock(timestamp)}`));
    card.append(head, make("p", "text", [change, ...suggestions].join("\n")));
    return card;
  },
  update() {},
};

const clock = (time) => new Date(time).toLocaleTimeString();

// --- the log of events

const events = byId("events");
let arrived = [];

function workerOf({ data }) {
  return data.worker ?? data.reviewer ?? "";
}

function said({ type, data }) {
  switch (type) {
    case "worker.event":
      return `${data.event.type}: ${data.event.payload.text}`;
    case "worker.liveness":
      return `${words(data.verdict)}: ${data.proof}`;
    case "task.changed":
      return `${data.task}: ${data.status}${data.reason === "" ? "" : `, ${data.reason}`}`;
    case "review.answered":
      return `${data.review}: ${data.verdict ?? "no verdict"}, ${data.summary || data.problem}`;
    case "decision.made":
      return `${data.action}: ${data.reason}`;
    case "command.judged":
      return `${data.verdict} (${data.rule}): ${data.command}`;
    case "model.answered":
      return `${data["gen_ai.request.model"]}: ${data.outcome}, ${
        data.cost_usd === null ? "cost unknown" : usd(data.cost_usd)
      }`;
    case "control.received":
      return `${data.command} by ${data.by} ${data.text}`;
    case "session.started":
      return data.task;
    case "session.status":
      return [words(data.status), data.reason].filter(Boolean).join(": ");
    case "session.serving":
      return data.dashboard_url;
    case "plan.made":
      return `${data.breakdown.assignments.length} tasks, ${data.note}`;
    case "worker.launched":
      return `${data.agent}, attempt ${data.attempt}`;
    case "worker.started":
      return `process ${data.pid}, sandbox: ${data.sandbox.detail}, limits: ${data.limits.detail}`;
    case "merge.ended":
      return `${data.task}: ${data.outcome}`;
    case "spending.counted":
      return `${data.calls} calls`;
    case "verify.ended":
      return `${data.command}: exit code ${data.exit_code ?? "none"}`;
    default:
      return data.content || data.text || data.summary || data.change || data.answer || data.reason || data.action ||
        data.outcome || data["gen_ai.request.model"] || "";
  }
}

function eventRow(event) {
  const row = document.createElement("details");
  row.dataset.worker = workerOf(event);
  row.dataset.type = event.type;
  row.hidden = isFiltered(row);
  const head = document.createElement("summary");
  head.append(
    make("span", "muted", clock(event.time)),
    make("span", "busy", event.type),
    make("b", "", row.dataset.worker),
    make("span", "said", String(said(event)).slice(0, 400)),
  );
  row.append(head);
  row.addEventListener("toggle", () => {
    if (row.children.length === 1) row.append(make("pre", "text", JSON.stringify(event, null, 2)));
  });
  return row;
}

const isFiltered = ({ dataset }) =>
  ![["worker", dataset.worker], ["type", dataset.type]].every(([name, value]) =>
    ["", value].includes(byId(`filter-${name}`).value)
  );

/** A flood is shown once per picture, and only its end. */
function addEvents() {
  const isAtEnd = events.scrollTop + events.clientHeight >= events.scrollHeight - 30;
  const latest = arrived.slice(-MAX_EVENTS);
  arrived = [];
  events.append(...latest.map(eventRow));
  while (events.children.length > MAX_EVENTS) events.firstElementChild.remove();
  offer(byId("filter-type"), new Set(latest.map(({ type }) => type)));
  offer(byId("filter-worker"), new Set(latest.map(workerOf)));
  countEvents();
  if (isAtEnd) events.scrollTop = events.scrollHeight;
}

function countEvents() {
  const shown = [...events.children].filter(({ hidden }) => !hidden).length;
  setText(byId("event-count"), `${shown} of the last ${events.children.length}`);
}

function offer(select, names) {
  const known = new Set([...select.options].map(({ value }) => value));
  for (const name of names) if (!known.has(name)) select.append(new Option(visible(name), name));
}

for (const id of ["filter-worker", "filter-type"]) {
  byId(id).addEventListener("change", () => {
    for (const row of events.children) row.hidden = isFiltered(row);
    countEvents();
    events.scrollTop = events.scrollHeight;
  });
}

// --- the connection

function take(newSummary) {
  const before = summary?.session.session_id;
  // Another session is served here by now.
  if (before !== undefined && before !== newSummary.session.session_id) return location.reload();
  summary = newSummary;
  connectedAt = performance.now();
  show();
}

let refreshTimer;

function refreshSoon() {
  refreshTimer ??= setTimeout(async () => {
    try {
      const response = await fetch("/api/summary");
      if (response.ok) take(await response.json());
    } catch {
      // The stream tells when it can be reached again.
    }
    refreshTimer = undefined;
  }, REFRESH_MS);
}

function connect(since) {
  const source = new EventSource(`/api/events/stream?since=${since}`);
  const connection = byId("connection");
  source.addEventListener("open", () => {
    setText(connection, "live");
    connection.className = "good";
  });
  source.addEventListener("error", (event) => {
    // There are events of that name, too.
    if (event.data !== undefined) return;
    const hasEnded = summary.session.result !== null;
    setText(connection, hasEnded ? "the session has ended" : "lost, trying again");
    connection.className = hasEnded ? "idle" : "bad";
  });
  source.addEventListener("snapshot", ({ data }) => take(JSON.parse(data)));
  for (const type of EVENT_TYPES) {
    source.addEventListener(type, ({ data }) => {
      if (data === undefined) return;
      if (arrived.length === 0) requestAnimationFrame(addEvents);
      arrived.push(JSON.parse(data));
      if (arrived.length > 2 * MAX_EVENTS) arrived.splice(0, MAX_EVENTS);
      refreshSoon();
    });
  }
}

setInterval(showElapsed, 1000);
const first = await (await fetch("/api/summary")).json();
take(first);
connect(Math.max(-1, first.session.seq - HISTORY));
