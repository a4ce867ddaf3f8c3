/** The forms that start runs. */
import { api, Empty, go, hrefOf, html, Tabs, useState, useTitle, visible } from "/kit.js";

const FORMS = {
  manager: {
    label: "Manager run",
    about: "From an issue to a proven minimal reproducer and ranked hypotheses.",
    path: "/api/runs",
    idOf: ({ run_id }) => run_id,
    fields: [
      { name: "issue_url", label: "Issue", hint: "https://github.com/OWNER/REPO/issues/NUMBER, or OWNER/REPO#NUMBER" },
      { name: "issue_file", label: "or a file with the issue", hint: "An absolute path on this machine" },
      {
        name: "repo_path",
        label: "Checkout of the project",
        hint: "A folder on this machine; without it, the server's own",
      },
      { name: "workers", label: "Workers at a time", type: "number", isMore: true },
      { name: "timeout_sec", label: "Seconds for each worker", type: "number", isMore: true },
      { name: "agent", label: "Agent", hint: "codex, claude, gemini, mini", isMore: true },
      { name: "worker_model", label: "Model of the workers", isMore: true },
      { name: "manager_model", label: "Model of the manager", isMore: true },
      { name: "repro_validation_runs", label: "How often a reproducer has to fail", type: "number", isMore: true },
      { name: "if_changed", label: "Only if the issue or the commit has changed", type: "checkbox", isMore: true },
    ],
  },
  session: {
    label: "Orchestration",
    about: "Several agents on one task, each in a worktree of its own, reviewed by others.",
    path: "/api/orchestrations",
    idOf: ({ session_id }) => session_id,
    fields: [
      { name: "task", label: "Task", type: "text", isRequired: true },
      { name: "target", label: "Project", hint: "A folder on this machine; without it, the server's own" },
      { name: "agents", label: "Agents", type: "list", hint: "The most wanted first: claude, codex, mini" },
      { name: "budget_usd", label: "Budget in USD", type: "number" },
      { name: "verify", label: "Command that decides about the result", hint: "Such as npm test", isMore: true },
      {
        name: "demo",
        label: "The built-in demo, which has a task of its own and needs no model",
        type: "checkbox",
        isMore: true,
      },
    ],
  },
  mini: {
    label: "Mini run",
    about: "One agent with a shell.",
    path: "/api/mini",
    idOf: ({ run_id }) => run_id,
    fields: [
      { name: "task", label: "Task", type: "text", isRequired: true },
      { name: "workdir", label: "Folder to work in", hint: "On this machine; without it, the server's own" },
      { name: "model", label: "Model", hint: "provider/model" },
      { name: "cost_limit", label: "Most that it may cost, in USD", type: "number" },
      { name: "step_limit", label: "Most model replies", type: "number", isMore: true },
      { name: "profile", label: "Profile", isMore: true },
    ],
  },
};

export default function Start({ tab, query, about }) {
  useTitle("Start");
  const kinds = Object.keys(FORMS).filter((kind) => about.can_start.includes(kind));
  const kind = kinds.includes(tab) ? tab : kinds[0];
  return html`<main id="main" tabindex="-1" class="narrow">
    <h1>Start</h1>
    ${
    kind === undefined ? html`<${Empty}>Nothing can be started here.</${Empty}>` : html`
      <${Tabs} tabs=${kinds.map((id) => ({ id, label: FORMS[id].label }))} tab=${kind} to=${(id) =>
        `#/start/${id}`} label="What to start" />
      <${Form} key="${kind} ${query}" kind=${kind} query=${query} />
    `
  }
  </main>`;
}

const isFilled = (value) => value !== undefined && value !== "" && value !== false;

/** What is sent: a number that is none is sent as it is, so that the server says what is wrong. */
function toBody(fields, values) {
  const filled = fields.filter(({ name }) => isFilled(values[name]));
  return Object.fromEntries(filled.map(({ name, type }) => [name, valueOf(type, values[name])]));
}

function valueOf(type, value) {
  if (type === "list") return value.split(",").map((part) => part.trim()).filter((part) => part !== "");
  return type === "number" && Number.isFinite(Number(value)) ? Number(value) : value;
}

function Form({ kind, query }) {
  const { about, path, idOf, fields } = FORMS[kind];
  const [values, setValues] = useState(() =>
    Object.fromEntries(fields.map(({ name }) => [name, query.get(name) ?? ""]))
  );
  const [state, setState] = useState({ isBusy: false, error: null });
  const send = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, error: null });
    try {
      const started = await api(path, { method: "POST", body: toBody(fields, values) });
      go(hrefOf({ kind, id: idOf(started) }));
    } catch (error) {
      setState({ isBusy: false, error });
      document.getElementById(`field-${error.field}`)?.focus();
    }
  };
  const { error, isBusy } = state;
  const show = (field) =>
    html`
      <${Field} key=${field.name} field=${field} value=${values[field.name]}
        problem=${error?.field === field.name ? error.message : null}
        onChange=${(value) => setValues({ ...values, [field.name]: value })} />
    `;
  const more = fields.filter(({ isMore }) => isMore);
  const isTold = fields.some(({ name }) => name === error?.field);
  return html`<form class="card form" onSubmit=${send} noValidate>
    <p class="muted">${about}</p>
    ${fields.filter(({ isMore }) => !isMore).map(show)}
    <details open=${more.some(({ name }) => isFilled(values[name]) || error?.field === name)}>
      <summary>More</summary>
      ${more.map(show)}
    </details>
    ${
    error && !isTold &&
    html`<p class="bad text" role="alert">${
      visible(error.field ? `${error.field}: ${error.message}` : error.message)
    }</p>`
  }
    <div class="row"><button type="submit" class="filled" disabled=${isBusy}>${
    isBusy ? "Starting…" : "Start"
  }</button></div>
  </form>`;
}

function Field({ field: { name, label, type = "line", hint, isRequired = false }, value, problem, onChange }) {
  const id = `field-${name}`;
  const noteId = `note-${name}`;
  const common = {
    id,
    name,
    required: isRequired,
    "aria-invalid": problem !== null,
    "aria-describedby": problem !== null || hint ? noteId : undefined,
    onInput: ({ target }) => onChange(type === "checkbox" ? target.checked : target.value),
  };
  const note = html`<span id=${noteId} class="small text ${problem === null ? "muted" : "bad"}">${
    visible(problem ?? hint)
  }</span>`;
  if (type === "checkbox") {
    return html`
      <div
        class="field"><label class="row"><input type="checkbox" checked=${value === true ||
          value === "true"} ...${common} />${label}</label>${note}</div>
    `;
  }
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${
    type === "text"
      ? html`<textarea rows="5" value=${value} ...${common}></textarea>`
      : html`<input type="text" inputmode=${
        type === "number" ? "decimal" : undefined
      } value=${value} autocomplete="off" spellcheck=${false} ...${common} />`
  }
    ${note}
  </div>`;
}
