/** A manager run: from the issue through candidates and their proof to hypotheses, as far as it has come. */
import { CurveChart, IntervalBar } from "/charts.js";
import {
  Action,
  Ago,
  api,
  Badge,
  bytes,
  clock,
  CodeBlock,
  Connection,
  dateTime,
  Duration,
  duration,
  Empty,
  ErrorBox,
  Facts,
  html,
  LinkTo,
  Loading,
  LongText,
  Money,
  plural,
  Search,
  SendForm,
  Tabs,
  toneOf,
  useEffect,
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
import { EventLog, useEventLog } from "/log.js";

/** In the order in which a run goes through them. */
const PHASES = [
  "preflight",
  "issue",
  "environment",
  "reproduce",
  "validate",
  "minimize",
  "triage",
  "experiments",
  "report",
];
/** What tells outcomes apart for those who see no colours. */
const OUTCOME_SIGNS = {
  match: "✓",
  other_failure: "≠",
  no_failure: "–",
  own_failure: "!",
  broken: "×",
  environment: "E",
  timeout: "T",
};
const CAN_GO_ON = new Set(["cut_off", "stopped", "failed", "needs-human"]);
const SOURCE_CONTEXT = 6;
const SLOWLY_MS = 10_000;
/** More is not text that somebody reads; the file itself can be opened. */
const MAX_SHOWN = 1_000_000;

const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
const figure = (number) => number === null ? "unknown" : String(Math.round(1000 * number) / 1000);
const fileUrl = (api, path) => `${api}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
const shellWord = (text) => /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

export default function RunPage({ id, tab, query }) {
  const path = `/api/runs/${encodeURIComponent(id)}`;
  const [changes, setChanges] = useState(0);
  const [isRunning, setRunning] = useState(true);
  // Who is killed tells nobody.
  const nowMs = useNow(isRunning ? SLOWLY_MS : 3_600_000);
  const { data: run, error, reload } = useRecord(path, { refreshOn: `${changes} ${nowMs}` });
  useEffect(() => setRunning(run?.running ?? true), [run?.running]);
  const log = useEventLog(`${path}/events/stream`, {
    latest: run?.seq,
    onEvent: () => setChanges((count) => count + 1),
  });
  useTitle(run === undefined ? "gocore" : visible(`${words(run.status)}: ${run.issue.title}`));
  if (run === undefined) {
    return html`<main tabindex="-1">${
      error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} what="Loading the run" />`
    }</main>`;
  }
  const to = (name, rest = "") => `#/runs/${encodeURIComponent(id)}${name === "overview" ? "" : `/${name}`}${rest}`;
  const tabs = [
    { id: "overview", label: "Overview", Part: Overview },
    { id: "candidates", label: "Candidates", count: run.candidates.length, Part: Candidates },
    { id: "minimization", label: "Minimization", Part: Minimization },
    { id: "hypotheses", label: "Hypotheses", count: run.hypotheses.length, Part: Hypotheses },
    { id: "workers", label: "Workers", count: run.workers.length, Part: Workers },
    { id: "log", label: "Log", Part: Log },
    { id: "files", label: "Files", Part: Files },
  ];
  const { id: shown, Part } = tabs.find((one) => one.id === tab) ?? tabs[0];
  return html`<main class="stack" tabindex="-1">
    <${Head} run=${run} path=${path} to=${to} log=${log} />
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    <${Tabs} tabs=${tabs} tab=${shown} to=${to} label="Parts of the run" />
    <${Part} run=${run} path=${path} to=${to} log=${log} query=${query} />
  </main>`;
}

// --- the head

function Head({ run, path, to, log }) {
  const { issue, status, verdict, running } = run;
  return html`<section class="card stack">
    <div class="row spread">
      <p class="small muted text">
        Manager run ${visible(run.run_id)}, ${
    issue.url === null
      ? visible(issue.source)
      : html`<${LinkTo} to=${issue.url}>${issue.number === null ? visible(issue.url) : `issue #${issue.number}`}<//>`
  }
      </p>
      <${Connection} state=${log.state} hasEnded=${!running} />
    </div>
    <h1 class="text">${visible(issue.title || "The issue is not read yet")}</h1>
    <${Facts}
      facts=${[
    ["Status", html`<${Badge} word=${status} />`],
    [
      "Verdict",
      verdict &&
      html`<a href=${to("candidates")} title="Open the runs that it comes from"><${Badge} word=${verdict} /></a>`,
    ],
    ["Cost", html`<${Money} ...${run} to=${to("log", "?type=model.answered")} />`],
    ["Elapsed", html`<${Duration} seconds=${run.elapsed_seconds} ticks=${running} />`],
    ["Started", run.started_at && html`<${Ago} time=${run.started_at} />`],
    ["Agent", visible(run.agent ?? "")],
    [
      "Commit",
      run.commit && html`<span class="mono" title=${visible(run.commit)}>${visible(run.commit.slice(0, 12))}</span>`,
    ],
    ["Repository", run.repo_path && html`<span class="text">${visible(run.repo_path)}</span>`],
  ]}
    />
    <${Phases} phases=${run.phases} running=${running} to=${to} />
    ${running && html`<${Controls} run=${run} path=${path} />`}
    ${CAN_GO_ON.has(status) && html`<${CodeBlock} text=${resumeCommand(run)} label="To go on with it" />`}
  </section>`;
}

function resumeCommand({ run_id, folder }) {
  const root = folder.slice(0, folder.lastIndexOf("/"));
  return `gocore manager --resume ${shellWord(run_id)} --runs-root ${shellWord(root)}`;
}

function Phases({ phases, running, to }) {
  const nowMs = useNow(running ? 1000 : 3_600_000);
  const known = new Map(phases.map((phase) => [phase.phase, phase]));
  const names = [...PHASES, ...[...known.keys()].filter((name) => !PHASES.includes(name))];
  return html`<ol class="phases" aria-label="Phases">${
    names.map((name) => {
      const { status = "waiting", detail = "", started_at = null, ended_at = null } = known.get(name) ?? {};
      const isNow = status === "started" && running;
      // Nobody goes on with what was begun.
      const standing = status === "started" && !running ? "cut_off" : status;
      const seconds = started_at === null
        ? null
        : ((ended_at === null ? nowMs : Date.parse(ended_at)) - Date.parse(started_at)) / 1000;
      const took = seconds === null || standing === "cut_off" || standing === "skipped"
        ? words(standing)
        : duration(seconds);
      return html`
        <li key=${name} class=${toneOf(standing)} aria-current=${isNow ? "step" : undefined}>
          <a href=${to("log", "?type=run.phase")} title=${visible(
            `${words(standing)}${detail === "" ? "" : `: ${detail}`}`,
          )}>
            <b>${visible(words(name))}</b>
            <span class="small number muted">${visible(took)}</span>
            <span class="sr">${visible(words(standing))}</span>
          </a>
        </li>
      `;
    })
  }</ol>`;
}

function Controls({ run, path }) {
  const running = run.workers.filter(({ status }) => status === "running").map(({ worker }) => worker);
  const names = [...new Set(["manager", ...running])];
  const [chosen, setChosen] = useState("manager");
  const worker = names.includes(chosen) ? chosen : "manager";
  return html`
    <div class="row top">
      <details class="grow">
        <summary>Send text to a worker</summary>
        <label class="small">To <select value=${worker} onChange=${({ target }) => setChosen(target.value)}>${names.map(
          (name) => html`<option key=${name} value=${name}>${visible(name)}</option>`,
        )}</select></label>
        <${SendForm}
          label="What to tell ${visible(worker)}"
          button="Send"
          onSend=${(text) => api(`${path}/send`, { method: "POST", body: { worker, text } })}
        />
      </details>
      <${Action}
        label="Stop…"
        danger
        run=${() => api(`${path}/stop`, { method: "POST", body: {} })}
        confirm=${{
          title: "Stop the run?",
          text: "All workers are ended. What they have found so far is kept, and the run can be resumed.",
          go: "Stop the run",
        }}
      />
    </div>
  `;
}

// --- overview

function Overview({ run, to }) {
  const { rationale, final, environment, hypotheses } = run;
  const best = hypotheses.find(({ rank }) => rank === 1);
  return html`
    ${rationale && html`
      <section class="card">
        <h2>Why it ended so</h2>
        <p class="text">${visible(rationale)}</p>
      </section>
    `}
    <${Proof} run=${run} to=${to} />
    ${best && html`<${Cause} hypothesis=${best} to=${to} />`}
    ${environment && html`
      <section class="card">
        <h2>Where it was tried</h2>
        <ul class="text">${[...environment.tools, environment.sandbox, ...environment.notes].map((line) =>
          html`<li>${visible(line)}</li>`
        )}</ul>
      </section>
    `}
    ${final !== null && html`
      <section class="card stack">
        <div class="row spread"><h2>Report</h2><a class="small" href=${to("files", "?file=final.md")}>final.md</a></div>
        <${CodeBlock} text=${final} label="As it was written" lines=${80} />
      </section>
    `}
  `;
}

function Cause({ hypothesis: { mechanism, evidence, score }, to }) {
  const places = evidence.map(({ file, line }) => line === null ? file : `${file}:${line}`).join(", ");
  return html`
    <section class="card stack">
      <div class="row spread">
        <h2>What most likely causes it</h2>
        <a class="small number" href=${to("hypotheses")}>score ${figure(score)}</a>
      </div>
      <${LongText} text=${mechanism} lines=${6} />
      ${places !== "" &&
        html`<p class="small text"><a class="mono" href=${to("hypotheses")}>${visible(places)}</a></p>`}
    </section>
  `;
}

function Proof({ run, to }) {
  if (run.proof === null) {
    return html`
      <section class="card">
        <h2>Proof</h2>
        <p class="empty">
          ${run.running ? "Nothing is proved yet." : "Nothing was proved."}${" "}
          <a href=${to("candidates")}>To the candidates</a>
        </p>
      </section>
    `;
  }
  const { verdict, matches, runs, signature, reproducer, verify, text } = run.proof;
  const open = (file) => to("files", `?file=${encodeURIComponent(file)}`);
  return html`<section class="card stack proof ${toneOf(verdict)}">
    <div class="row spread">
      <h2>Proof</h2>
      <${Badge} word=${verdict} />
    </div>
    <p class="row">
      <a class="dots" href=${
    to("candidates")
  } title="Open these runs" aria-label="${matches} of ${runs} runs failed in the same way">${
    Array.from({ length: Math.min(runs, 100) }, (_, index) =>
      html`<span class="dot ${index < matches ? "good" : "idle"}" aria-hidden="true">${
        index < matches ? "●" : "○"
      }</span>`)
  }</a>
      <span><b class="number">${matches} of ${runs}</b> runs failed in the same way</span>
    </p>
    <${Facts}
      facts=${[
    ["Failure", signature && html`<code class="text">${visible(describeSignature(signature))}</code>`],
    ["Reproducer", reproducer && html`<a class="text" href=${open(reproducer)}>${visible(reproducer)}</a>`],
    ["Check", verify && html`<a class="text" href=${open(verify)}>${visible(verify)}</a>`],
  ]}
    />
    ${
    text !== null &&
    html`<${CodeBlock} text=${text} label="The minimal reproducer, ${plural([...text].length, "character")}" />`
  }
    ${
    verify !== null && html`
      <${CodeBlock}
        text=${`sh ${shellWord(`${run.folder}/${verify}`)} CHECKOUT`}
        label="See it for yourself: CHECKOUT is a clone of the project"
      />
    `
  }
  </section>`;
}

/** As the report says it. Its fields are text of programs. */
function describeSignature({ kind, type, template, frame, exitCode, signal }) {
  if (kind === "timeout") return "timeout";
  const status = kind === "signal" && signal ? signal : kind === "exit" ? `exit ${exitCode ?? "without a code"}` : null;
  const name = status ?? type ?? kind ?? "a failure";
  const text = template ? `${name}: ${String(template).slice(0, 200)}` : String(name);
  if (!frame?.file) return text;
  return `${text} in ${frame.file}${frame.function ? ` (${frame.function})` : ""}`;
}

// --- candidates

function Candidates({ run, path, to }) {
  if (run.candidates.length === 0) return html`<${Empty}>No worker has handed in a candidate yet.<//>`;
  return html`<div class="stack">${
    run.candidates.map((candidate) =>
      html`<${Candidate} key=${candidate.candidate} ...${{ candidate, run, path, to }} />`
    )
  }</div>`;
}

/** What became of a candidate has its name, and this behind it. */
const BECAME = { ".min": "made smaller", ".whole": "once more, whole" };

function Candidate({ candidate, run, path, to }) {
  const { candidate: name, worker, problem, oracle_command, script_bytes, chosen, runs, verdicts } = candidate;
  const ending = Object.keys(BECAME).find((one) => name.endsWith(one));
  const parent = run.candidates.find((one) => ending !== undefined && name === one.candidate + ending)?.candidate;
  // Where what was made smaller is not as good, the whole is tried and kept.
  const isKept = !run.candidates.some((one) => one.candidate === `${parent}.whole`);
  const log = to("log", `?worker=${encodeURIComponent(worker)}`);
  return html`<section class="card stack candidate" tabindex="0" data-item aria-label="Candidate ${visible(name)}">
    <div class="row spread">
      <h2 class="text">${visible(name)} <span class="small muted">${
    parent === undefined
      ? html`of <a href=${log}>${visible(worker)}</a>`
      : html`<a href=${to("minimization")}>${visible(parent)}, ${BECAME[ending]}</a>`
  }</span></h2>
      ${chosen && html`<span class="badge busy" title="The report is about this one">chosen</span>`}
    </div>
    ${problem !== null && html`<p class="bad text">${visible(problem)}</p>`}
    ${verdicts.map((verdict) => html`<${Verdict} key=${verdict.stage} verdict=${verdict} />`)}
    ${runs.length > 0 && html`<${Outcomes} runs=${runs} />`}
    ${
    oracle_command !== null && html`<p class="small text">
      <span class="muted">Tried by</span> <code>${visible(oracle_command)}</code>
    </p>`
  }
    ${
    ending === ".min" && parent !== undefined
      ? isKept && run.proof?.text &&
        html`<${CodeBlock} text=${run.proof.text} label="Script, ${bytes(script_bytes)}" />`
      : html`<${Script} path=${path} worker=${worker} size=${script_bytes} />`
  }
  </section>`;
}

function Verdict({ verdict: { stage, verdict, matches, runs, interval, reason, score } }) {
  return html`
    <div>
      <p class="row">
          <span class="small muted">${visible(words(stage))}</span>
          <${Badge} word=${verdict} />
          <span class="number"><b>${matches} of ${runs}</b> runs</span>
          <${IntervalBar} ...${{ matches, runs, interval }} />
      ${interval.length === 2 && html`<span class="small muted number">${interval.map(percent).join(" to ")}</span>`}
          ${score !== null &&
            html`<span class="small muted number" title="Decides which candidate is chosen">score ${
              figure(score)
            }</span>`}
        </p>
      <p class="small muted text">${visible(reason)}</p>
    </div>
  `;
}

/** A cell for each run, one of which tells why it counts so; the arrow keys go through them. */
function Outcomes({ runs }) {
  const [chosen, setChosen] = useState(0);
  const cells = useRef(null);
  const groups = useMemo(() => {
    const stages = new Map();
    runs.forEach((run, index) => {
      const key = `${run.stage} ${run.commit}`;
      const group = stages.get(key) ?? { stage: run.stage, commit: run.commit, runs: [] };
      stages.set(key, group);
      group.runs.push({ ...run, index });
    });
    return [...stages];
  }, [runs]);
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(Math.max(chosen + step, 0), runs.length - 1);
    cells.current.querySelector(`[data-run="${next}"]`)?.focus();
  };
  const outcomes = [...new Set(runs.map(({ outcome }) => outcome))];
  const { stage, run, outcome, duration_ms, commit, reason, signature } = runs[chosen];
  return html`
    <div class="outcomes stack">
      <div class="stack" ref=${cells} onKeyDown=${onKeyDown}>${groups.map(([key, group]) =>
        html`
          <div key=${key} class="cell-group" role="group" aria-label="Runs, ${visible(words(group.stage))}">
            <span class="small muted" title=${visible(group.commit)}>${visible(words(group.stage))}</span>
            <span class="cells">${group.runs.map((one) =>
              html`
                <button
                  key=${one.index}
                  type="button"
                  class="cell ${toneOf(one.outcome)}"
                  data-run=${one.index}
                  tabindex=${one.index === chosen ? 0 : -1}
                  aria-pressed=${one.index === chosen}
                  aria-label="Run ${one.run}: ${visible(words(one.outcome))}"
                  onClick=${() => setChosen(one.index)}
                  onFocus=${() => setChosen(one.index)}
                >${OUTCOME_SIGNS[one.outcome] ?? "?"}</button>
              `
            )}</span>
          </div>
        `
      )}</div>
      <ul class="legend small muted">${outcomes.map((one) =>
        html`<li key=${one}>
        <span class=${toneOf(one)} aria-hidden="true">${OUTCOME_SIGNS[one] ?? "?"}</span> ${visible(words(one))}
      </li>`
      )}</ul>
      <div class="small chosen-run" role="status">
          <p class="text"><b>${visible(words(stage))}, run ${run}: ${visible(
            words(outcome),
          )}</b> <span class="muted">in ${duration(duration_ms / 1000)}, at <span class="mono">${visible(
            commit.slice(0, 12),
          )}</span></span></p>
          <p class="text">${visible(reason)}</p>
          ${signature && html`<p class="text mono">${visible(describeSignature(signature))}</p>`}
        </div>
    </div>
  `;
}

/** What the worker handed in, as its file has it. */
function Script({ path, worker, size }) {
  const [isOpen, setOpen] = useState(false);
  const file = `repro/candidates/${worker}.json`;
  const { data, error, reload } = useRecord(isOpen ? fileUrl(path, file) : null);
  return html`<details onToggle=${({ currentTarget }) => setOpen(currentTarget.open)}>
    <summary class="small">Script, ${bytes(size)}</summary>
    ${
    isOpen && (error
      ? html`<${ErrorBox} error=${error} onRetry=${reload} />`
      : data === undefined
      ? html`<${Loading} what="Loading the script" />`
      : html`
        <${CodeBlock} text=${data.script} label=${visible(file)} />
        ${data.setup_commands?.length > 0 &&
          html`<${CodeBlock} text=${data.setup_commands.join("\n")} label="Before it" />`}
        ${data.claimed_failure_signature &&
          html`<p class="small text"><span class="muted">Its author expects</span> ${
            visible(data.claimed_failure_signature)
          }</p>`}
      `)
  }
  </details>`;
}

// --- minimization

function Minimization({ run, to }) {
  const { minimization, proof } = run;
  if (minimization === null) {
    return html`<${Empty}>${run.running ? "There is nothing to make smaller yet." : "Nothing was made smaller."}<//>`;
  }
  const { points, ended } = minimization;
  const [first, last] = [points[0], points.at(-1)];
  const start = ended?.start_size ?? first?.size;
  const size = ended?.size ?? last?.size;
  return html`<section class="card stack">
    <div class="row spread">
      <h2>From ${whole(start ?? 0)} to ${whole(size ?? 0)} characters</h2>
      ${ended === null && html`<${Badge} word=${run.running ? "running" : "cut_off"} />`}
    </div>
    <${Facts}
      facts=${[
    ["Left", start > 0 && percent(size / start)],
    [
      "Calls of the oracle",
      html`<a class="number" href=${to("log", "?type=minimize.progress")}>${
        whole(ended?.calls ?? last?.calls ?? 0)
      }</a>`,
    ],
    ["Removed by a model", ended && plural(ended.removed_by_model, "character")],
    ["Minimal by", ended && visible(ended.minimal_by)],
    ["Took", ended && duration(ended.duration_ms / 1000)],
    ["Candidate", html`<a class="text" href=${to("candidates")}>${visible(minimization.candidate)}</a>`],
  ]}
    />
    <${CurveChart} points=${points} />
    <${Passes} points=${points} />
    ${ended !== null && proof?.text && html`<${CodeBlock} text=${proof.text} label="What is left" />`}
  </section>`;
}

/** What each pass took away, and how many calls it needed for that. */
function Passes({ points }) {
  const passes = new Map();
  points.forEach((point, index) => {
    const before = points[index - 1];
    if (before === undefined) return;
    const sum = passes.get(point.pass) ?? { calls: 0, removed: 0 };
    passes.set(point.pass, sum);
    sum.calls += point.calls - before.calls;
    sum.removed += before.size - point.size;
  });
  if (passes.size === 0) return null;
  return html`
    <div class="scroll">
      <table class="passes">
        <thead>
          <tr>
            <th scope="col">Pass</th>
            <th scope="col" class="number">Removed</th>
            <th scope="col" class="number">Calls</th>
          </tr>
        </thead>
        <tbody>${[...passes].map(([pass, { calls, removed }]) =>
          html`
            <tr key=${pass}>
              <td class="text">${visible(pass)}</td>
              <td class="number">${plural(removed, "character")}</td>
              <td class="number">${whole(calls)}</td>
            </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
}

// --- hypotheses

function Hypotheses({ run, path, to }) {
  if (run.hypotheses.length === 0) {
    return html`<${Empty}>${run.running ? "There are no hypotheses yet." : "There are no hypotheses."}<//>`;
  }
  return html`<div class="stack">${
    run.hypotheses.toSorted((a, b) => a.rank - b.rank).map((hypothesis) =>
      html`<${Hypothesis} key=${hypothesis.hypothesis_id} ...${{ hypothesis, path, to }} />`
    )
  }</div>`;
}

const SPEAKS = [["for", "✓", "For it"], ["against", "×", "Against it"], [null, "?", "Could not be found out"]];

function Hypothesis({ hypothesis, path, to }) {
  const { hypothesis_id, rank, score, confidence, mechanism, evidence, disconfirming_checks, checks } = hypothesis;
  return html`<section class="card stack" tabindex="0" data-item aria-label="Hypothesis ${rank}">
    <div class="row spread">
      <h2><span class="number">${rank}.</span> <span class="small muted text">${visible(hypothesis_id)}</span></h2>
      <span class="row">
        <a class="number" href=${
    to("files", "?file=triage%2Fhypotheses.json")
  } title="Open what the score is made of">score <b>${figure(score)}</b></a>
        <span class="small muted number">its author's confidence ${figure(confidence)}</span>
      </span>
    </div>
    <${LongText} text=${mechanism} />
    <h3>Evidence</h3>
    ${
    evidence.length === 0
      ? html`<${Empty}>None that exists.<//>`
      : evidence.map((one, index) => html`<${Evidence} key=${index} evidence=${one} path=${path} />`)
  }
    ${
    checks.length > 0 && html`
      <h3>Experiments</h3>
      <ul class="checks">${SPEAKS.flatMap(([speaks, sign, words_]) =>
        checks.filter((one) => one.speaks === speaks).map((one) =>
          html`
            <li
              class="text"><span class=${toneOf(
                speaks,
              )} aria-label=${words_} title=${words_}>${sign}</span> <b>${visible(words(one.check))}</b> ${visible(
                one.detail,
              )}</li>
          `
        )
      )}</ul>
    `
  }
    ${
    disconfirming_checks.length > 0 && html`
      <h3>What would speak against it</h3>
      <ul>${disconfirming_checks.map((text) => html`<li class="text">${visible(text)}</li>`)}</ul>
    `
  }
  </section>`;
}

/** A place in the code; open, with the lines around it at the run's commit. */
function Evidence({ evidence: { file, line, snippet }, path }) {
  const [isOpen, setOpen] = useState(false);
  const place = line === null ? file : `${file}:${line}`;
  const around = `file=${encodeURIComponent(file)}&line=${line ?? 1}&context=${SOURCE_CONTEXT}`;
  const { data, error } = useRecord(isOpen ? `${path}/source?${around}` : null);
  return html`<details class="evidence" onToggle=${({ currentTarget }) => setOpen(currentTarget.open)}>
    <summary><span class="mono text">${visible(place)}</span> <code class="small muted text">${
    visible(snippet)
  }</code></summary>
    ${
    isOpen && (error
      ? html`<${ErrorBox} error=${error} />`
      : data === undefined
      ? html`<${Loading} what="Loading the lines" />`
      : html`<${SourceLines} source=${data} line=${line} />`)
  }
  </details>`;
}

function SourceLines({ source: { file, commit, first_line, lines }, line }) {
  return html`<figure class="source" aria-label="${visible(file)}, lines ${first_line} to ${
    first_line + lines.length - 1
  }">
    <pre class="mono" tabindex="0">${
    lines.map((text, index) => {
      const number = first_line + index;
      const isCited = number === line;
      return html`
        <span
          class=${isCited
            ? "line cited"
            : "line"}><span class="line-number" aria-hidden="true">${number}</span>${isCited &&
            html`<span class="sr">cited: </span>`}${visible(text)}${"\n"}</span>
      `;
    })
  }</pre>
    ${commit !== null && html`<figcaption class="small muted">At commit ${visible(commit.slice(0, 12))}</figcaption>`}
  </figure>`;
}

// --- workers

function Workers({ run, to }) {
  if (run.workers.length === 0) return html`<${Empty}>No worker has been started yet.<//>`;
  return html`
    <section class="card">
      <div class="scroll">
        <table class="cards run-workers">
          <thead>
            <tr>
              <th scope="col">Worker</th>
              <th scope="col">Status</th>
              <th scope="col">Last words</th>
              <th scope="col" class="number">Time</th>
              <th scope="col" class="number">Cost</th>
            </tr>
          </thead>
          <tbody>${run.workers.map((one) => {
            const { worker, role, agent, status, reason, started_at, ended_at, last_text } = one;
            const log = `?worker=${encodeURIComponent(worker)}`;
            return html`
              <tr key=${worker} tabindex="0" data-item>
                <th scope="row" data-label="Worker">
                  <a class="text" href=${to("log", log)}>${visible(worker)}</a>
                  <div class="small muted text">${visible([words(role), agent].filter(Boolean).join(", "))}</div>
                </th>
                <td data-label="Status">
                  <div><${Badge} word=${status} /> <span class="small muted text">${visible(reason)}</span></div>
                </td>
                <td data-label="Last words">
                  <div>
                    <${LongText} text=${last_text} lines=${3} />
                  </div>
                </td>
                <td data-label="Time" class="number" title=${started_at &&
                  visible(dateTime(started_at))}>${started_at === null ? "–" : html`
                  <${Duration}
                    seconds=${((ended_at === null ? Date.now() : Date.parse(ended_at)) - Date.parse(started_at)) / 1000}
                    ticks=${ended_at === null && run.running}
                  />
                `}</td>
                <td data-label="Cost" class="number">
                  <${Money} ...${one} to=${to("log", `${log}&type=model.answered`)} />
                </td>
              </tr>
            `;
          })}</tbody>
        </table>
      </div>
    </section>
  `;
}

// --- log and files

const Log = ({ log, query }) => html`<${EventLog} log=${log} query=${query} />`;

function Files({ run, path, to, query }) {
  const [wanted, setWanted] = useState("");
  const { data, error, reload } = useRecord(`${path}/files`, {
    refreshOn: JSON.stringify([run.status, run.phases.map(({ status }) => status)]),
  });
  const chosen = query.get("file");
  if (error && data === undefined) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
  if (data === undefined) return html`<${Loading} what="Loading the files" />`;
  const files = data.files.filter((file) => file.path.toLowerCase().includes(wanted.toLowerCase()));
  return html`<div class="stack files">
    ${chosen && html`<${FileView} key=${chosen} path=${path} file=${chosen} />`}
    <section class="card stack">
      <div class="row spread"><h2>${
    plural(data.files.length, "file")
  }</h2><${Search} value=${wanted} onInput=${setWanted} label="Search by path" /></div>
      <div class="scroll"><table>
        <thead><tr><th scope="col">Path</th><th scope="col" class="number">Size</th><th scope="col" class="number">Changed</th></tr></thead>
        <tbody>${
    files.map((file) =>
      html`
        <tr key=${file.path}>
          <td><a class="text" data-item href=${to(
            "files",
            `?file=${encodeURIComponent(file.path)}`,
          )} aria-current=${file.path === chosen ? "true" : undefined}>${visible(file.path)}</a></td>
          <td class="number">${bytes(file.size)}</td>
          <td class="number muted" title=${visible(dateTime(file.modified_at))}>${clock(file.modified_at)}</td>
        </tr>
      `
    )
  }</tbody>
      </table></div>
    </section>
  </div>`;
}

function FileView({ path, file }) {
  const [found, setFound] = useState({});
  const url = fileUrl(path, file);
  useEffect(() => {
    const gone = new AbortController();
    const load = async () => {
      const response = await fetch(url, { signal: gone.signal });
      if (!response.ok) {
        const { error } = await response.json().catch(() => ({}));
        throw new Error(error ?? `The server answered ${response.status}`);
      }
      if (!response.headers.get("content-type")?.startsWith("text/")) return setFound({ isBinary: true });
      setFound({ text: await response.text() });
    };
    load().catch((error) => {
      if (!gone.signal.aborted) setFound({ error });
    });
    return () => gone.abort();
  }, [url]);
  const { text, error, isBinary } = found;
  return html`<section class="card stack" aria-label="The file ${visible(file)}">
    <div class="row spread"><h2 class="text">${
    visible(file)
  }</h2><a class="small" href=${url} target="_blank" rel="noreferrer">Open it alone</a></div>
    ${
    error
      ? html`<${ErrorBox} error=${error} />`
      : isBinary
      ? html`<${Empty}>This is no text.<//>`
      : text === undefined
      ? html`<${Loading} what="Loading the file" />`
      : html`
        <${CodeBlock} text=${text.slice(0, MAX_SHOWN)} label=${plural(text.split("\n").length, "line")} lines=${60} />
        ${text.length > MAX_SHOWN &&
          html`<p class="small muted">These are its first ${whole(MAX_SHOWN)} characters of ${whole(text.length)}.</p>`}
      `
  }
  </section>`;
}
