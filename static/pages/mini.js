/** A mini run: its task, how it ended, and its trajectory step by step. */
import {
  Action,
  Ago,
  api,
  Badge,
  clock,
  CodeBlock,
  Connection,
  dateTime,
  Duration,
  Empty,
  ErrorBox,
  Facts,
  html,
  Loading,
  LongText,
  Money,
  plural,
  Search,
  useEffect,
  useEvents,
  useMemo,
  useNow,
  useRecord,
  useRef,
  useState,
  useTitle,
  visible,
  whole,
  words,
} from "/kit.js";

const OUTPUT_LINES = 16;
const TEXT_LINES = 30;

/** Who is killed tells nobody, and some runs have no events. */
const SLOWLY_MS = 10_000;
const SOON_MS = 2000;

export default function MiniPage({ id }) {
  const path = `/api/mini/${encodeURIComponent(id)}`;
  const [changes, setChanges] = useState(0);
  const [everyMs, setEvery] = useState(SLOWLY_MS);
  const nowMs = useNow(everyMs);
  const { data: run, error, reload } = useRecord(path, { refreshOn: `${changes} ${nowMs}` });
  useEffect(() => setEvery(!run?.running ? 3_600_000 : run.has_events ? SLOWLY_MS : SOON_MS), [run]);
  const refresh = () => setChanges((count) => count + 1);
  // The snapshot has what came after the record was read, and is told by no event.
  const state = useEvents(run?.running && run.has_events ? `${path}/events/stream` : null, {
    onSnapshot: refresh,
    onEvent: refresh,
  });
  useTitle(run === undefined ? "gocore" : visible(`${words(run.status)}: ${run.task}`.slice(0, 200)));
  if (run === undefined) {
    return html`<main tabindex="-1">${
      error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} what="Loading the run" />`
    }</main>`;
  }
  return html`<main class="stack" tabindex="-1">
    <${Head} run=${run} path=${path} state=${state} />
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    <${Trajectory} run=${run} path=${path} />
  </main>`;
}

function Head({ run, path, state }) {
  const { run_id, task, status, running, model, workdir, steps, result, exit_status, started_at } = run;
  const trajectory = run.trajectory_path === null ? undefined : `${path}/trajectory`;
  return html`<section class="card stack">
    <div class="row spread">
      <p class="small muted text">Mini run ${visible(run_id)}</p>
      ${run.has_events && html`<${Connection} state=${state} hasEnded=${!running} />`}
    </div>
    <h1 class="text">${visible(task.split("\n", 1)[0])}</h1>
    ${
    task.trimEnd().includes("\n") && html`
      <details>
        <summary>The whole task</summary>
        <${LongText} text=${task} lines=${40} />
      </details>
    `
  }
    <${Facts}
      facts=${[
    ["Status", html`<${Badge} word=${status} title=${exit_status ?? ""} />`],
    ["Model", html`<span class="text">${visible(model ?? "unknown")}</span>`],
    ["Steps", html`<span class="number">${whole(steps)}</span>`],
    ["Cost", html`<${Money} ...${run} to=${trajectory} />`],
    ["Elapsed", html`<${Duration} seconds=${run.elapsed_seconds} ticks=${running} />`],
    ["Started", started_at && html`<${Ago} time=${started_at} />`],
    ["Folder", html`<span class="text">${visible(workdir)}</span>`],
  ]}
    />
    ${
    result && html`
      <div>
        <h2>Result</h2>
        <${LongText} text=${result} lines=${20} />
      </div>
    `
  }
    ${
    running && html`
      <${Action}
        label="Stop…"
        danger
        run=${() => api(`${path}/stop`, { method: "POST", body: {} })}
        confirm=${{
          title: "Stop the run?",
          text: "The agent is interrupted. Its trajectory is saved.",
          go: "Stop the run",
        }}
      />
    `
  }
  </section>`;
}

// --- the trajectory

/**
 * What the model said, with what its commands answered, as one step each; what comes before the first is `opening`, and
 * what belongs to no command stands in `others`. The result has a place of its own.
 */
function stepsOf({ messages, result }) {
  const opening = [];
  const steps = [];
  for (const message of messages) {
    if (message.role === "assistant") {
      steps.push({ number: steps.length + 1, message, results: [], others: [] });
      continue;
    }
    const step = steps.at(-1);
    if (step === undefined) opening.push(message);
    else if (message.exit_code !== null || message.role === "tool") step.results.push(message);
    else if (message.role !== "exit" || message.content !== result) step.others.push(message);
  }
  return { opening, steps };
}

const hasFailed = ({ results }) => results.some(({ exit_code }) => exit_code !== null && exit_code !== 0);
const textsOf = ({ message, results, others }) => [
  message.content,
  ...message.commands,
  ...[...results, ...others].map(({ content }) => content),
];

function Trajectory({ run, path }) {
  const [wanted, setWanted] = useState("");
  const list = useRef(null);
  const { opening, steps } = useMemo(() => stepsOf(run), [run.messages]);
  const sought = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const isFound = (texts) => {
    const all = texts.join("\n").toLowerCase();
    return sought.every((word) => all.includes(word));
  };
  const shown = sought.length === 0 ? steps : steps.filter((step) => isFound(textsOf(step)));
  const firstFailed = shown.find(hasFailed);
  const jump = (number) => {
    const step = list.current.querySelector(`[data-step="${number}"]`);
    step.focus();
    step.scrollIntoView({ block: "start" });
  };
  return html`
    <section class="card row spread trajectory-bar" aria-label="Go through the trajectory">
      <h2>Trajectory <span class="small muted number">${shown.length === steps.length
        ? plural(steps.length, "step")
        : `${whole(shown.length)} of ${plural(steps.length, "step")}`}</span></h2>
      <span class="row">
        <${Search} value=${wanted} onInput=${setWanted} label="Search the steps" />
        <button type="button" disabled=${firstFailed === undefined} onClick=${() =>
          jump(firstFailed.number)}>First error</button>
        <button type="button" disabled=${shown.length === 0} onClick=${() =>
          jump(shown.at(-1).number)}>Last step</button>
        ${run.trajectory_path !== null &&
          html`<a href="${path}/trajectory" target="_blank" rel="noreferrer" title=${
            visible(run.trajectory_path)
          }>Raw trajectory</a>`}
      </span>
    </section>
    ${opening.length > 0 && sought.length === 0 && html`<details class="card opening">
      <summary>What the model was told at first</summary>
      ${
      opening.map((message, index) =>
        html`
          <div key=${index}>
            <h3>${visible(message.role)}</h3>
            <${LongText} text=${message.content} lines=${TEXT_LINES} />
          </div>
        `
      )
    }
    </details>`}
    <ol class="steps" ref=${list}>${shown.map((step) =>
      html`<${Step} key=${step.number} step=${step} sought=${sought.join(" ")} />`
    )}</ol>
    ${shown.length === 0 &&
      html`<${Empty}>${sought.length === 0 ? "No step has been taken yet." : "No step has these words."}<//>`}
  `;
}

/** A long trajectory is not drawn anew for each step that comes. */
function Step({ step, sought }) {
  const size = textsOf(step).reduce((sum, { length }) => sum + length, 0);
  const { message: { commands, cost_usd }, results, others } = step;
  return useMemo(() => drawStep(step, sought.split(" ").filter(Boolean)), [
    size,
    commands.length + results.length + others.length,
    cost_usd,
    sought,
  ]);
}

function drawStep({ number, message, results, others }, sought) {
  const { content, commands, cost_usd, time } = message;
  const isFailed = hasFailed({ results });
  // What was searched for is not to be hidden.
  const linesOf = (text, lines) => sought.some((word) => text.toLowerCase().includes(word)) ? Infinity : lines;
  const long = (text, lines) => html`<${LongText} text=${text} lines=${linesOf(text, lines)} />`;
  return html`
    <li class="card stack step ${isFailed ? "bad-edge" : ""}" tabindex="0" data-item data-step=${number}
      aria-label="Step ${number}${isFailed ? ", with an error" : ""}">
        <div class="row spread">
          <h3>Step ${number}</h3>
          <span class="row small muted">
            ${cost_usd !== null && html`<${Money} cost_usd=${cost_usd} known_cost_usd=${0} />`}
            ${time !== null && html`<time datetime=${time} title=${dateTime(time)}>${clock(time)}</time>`}
          </span>
        </div>
        ${content.trim() !== "" && long(content.trim(), TEXT_LINES)}
        ${commands.map((command, index) =>
          html`<${Command} key=${index} ...${{ command, result: results[index], linesOf }} />`
        )}
        ${results.slice(commands.length).map((result, index) =>
          html`<${Result} key=${index} ...${{ result, linesOf }} />`
        )}
        ${others.map((other, index) =>
          html`<div key=${index}><h4 class="small muted">${visible(other.role)}</h4>${
            long(other.content.trim(), TEXT_LINES)
          }</div>`
        )}
      </li>
  `;
}

function Command({ command, result, linesOf }) {
  return html`<div class="command">
    <pre class="text mono prompt" tabindex="0"><code>${visible(command)}</code></pre>
    ${
    result === undefined
      ? html`<p class="small muted">No answer yet.</p>`
      : html`<${Result} ...${{ result, linesOf }} />`
  }
  </div>`;
}

function Result({ result: { content, exit_code }, linesOf }) {
  const output = outputOf(content).trimEnd();
  const label = exit_code === null
    ? "exit code unknown"
    : html`<span class=${exit_code === 0 ? "good" : "bad"}>exit code <b class="number">${exit_code}</b></span>`;
  if (output === "") return html`<p class="small muted">${label}, no output</p>`;
  return html`<${CodeBlock} text=${output} label=${label} lines=${linesOf(output, OUTPUT_LINES)} />`;
}

/** Without what mini's template puts around an output that it leaves whole. */
function outputOf(content) {
  const [start, end] = [content.indexOf("<output>\n"), content.lastIndexOf("\n</output>")];
  const isWhole = /^<returncode>-?\d+<\/returncode>\s*$/.test(content.slice(0, Math.max(start, 0))) &&
    content.slice(end).trim() === "</output>";
  return isWhole ? content.slice(start + "<output>\n".length, end) : content;
}
