/** How a session stands: its result, its workers, its tasks. */
import { Action, Badge, Empty, Facts, html, LongText, Money, plural, Progress, visible, whole, words } from "/kit.js";
import { control, logOf } from "/session/links.js";

export function Overview(props) {
  const { summary: { session, workers, tasks } } = props;
  return html`
    ${session.result !== null && html`<${Result} ...${props} />`}
    <section class="card" aria-labelledby="workers">
      <h2 id="workers">Workers</h2>
      ${workers.length === 0
        ? html`<${Empty}>No worker has been started yet.</${Empty}>`
        : html`<${Workers} ...${props} />`}
    </section>
    <section class="card" aria-labelledby="tasks">
      <h2 id="tasks">Tasks</h2>
      ${tasks.length === 0 ? html`<${Empty}>There is no plan yet.</${Empty}>` : html`<${Tasks} ...${props} />`}
    </section>
  `;
}

function Result({ summary: { session: { result, verify, merges } }, to }) {
  const facts = [
    ["Branch", result.result_branch && html`<code class="text">${visible(result.result_branch)}</code>`],
    ["Applied", result.applied ? "the target's checkout has it" : "no"],
    [
      "Merged",
      merges.length > 0 &&
      html`<a class="text" href="${to("log")}?type=merge.ended">${
        visible(merges.map(({ task, outcome }) => `${task} (${outcome})`).join(", "))
      }</a>`,
    ],
    [
      "Verified",
      verify &&
      html`<a class="text" href="${to("log")}?type=verify.ended"><code>${visible(verify.command)}</code>: exit code ${
        verify.exit_code ?? "none"
      }</a>`,
    ],
    ["Report", result.report && html`<code class="text">${visible(result.report)}</code>`],
  ];
  return html`<section class="card" aria-labelledby="result">
    <h2 id="result">Result</h2>
    <${LongText} text=${result.summary} />
    <${Facts} facts=${facts} />
    ${
    result.open.length > 0 && html`
      <p class="muted small">Still open</p>
      <ul>${result.open.map((text) => html`<li class="text">${visible(text)}</li>`)}</ul>
    `
  }
  </section>`;
}

function Workers(props) {
  const { summary: { workers } } = props;
  return html`
    <div class="scroll">
      <table class="cards workers">
        <thead>
          <tr>
            <th scope="col">Worker</th>
            <th scope="col">Status</th>
            <th scope="col">Progress</th>
            <th scope="col">Last words</th>
            <th scope="col" class="number">Cost</th>
            <th scope="col"><span class="sr">Controls</span></th>
          </tr>
        </thead>
        <tbody>${workers.map((worker) =>
          html`<${WorkerRow} key=${worker.name} worker=${worker} ...${props} />`
        )}</tbody>
      </table>
    </div>
  `;
}

function WorkerRow({ worker, summary: { hasEnded }, base, to, reload }) {
  const { name, agent, role, task, review, status, liveness, exit, attempt, calls, input_tokens, output_tokens } =
    worker;
  const work = task === null ? (review === null ? "" : `review ${review}`) : task;
  const proof = exit !== null
    ? [exit.cause ? words(exit.cause) : exit.outcome, exit.exit_code === null ? "" : `exit code ${exit.exit_code}`]
      .filter(Boolean).join(", ")
    : liveness !== null
    ? `${words(liveness.verdict)}: ${liveness.proof}`
    : worker.waits_for_turn
    ? "waits for its turn at the gateway"
    : "";
  return html`
    <tr>
      <td>
        <a class="text strong" data-item href=${logOf(to, name)} title="Open its log">${visible(name)}</a>
        <div class="muted small text">${visible(
          [agent !== name && agent, role, work, attempt > 1 && `attempt ${attempt}`].filter(Boolean).join(" · "),
        )}</div>
      </td>
      <td>
        <${Badge} word=${status} />
        <div class="muted small text why" title=${visible(proof)}>${visible(proof)}</div>
      </td>
      <td class="progress-cell">
        <${Progress} value=${worker.progress} label="Progress of ${name}" to=${logOf(to, name, "progress")} />
      </td>
      <td>
        <div class="words text" title=${visible(worker.last_text)}>${visible(worker.last_text)}</div>
      </td>
      <td class="number" data-label="Cost">
        <${Money} ...${worker} to=${logOf(to, name, "model.answered")} />
        <div class="muted small" title="${whole(input_tokens)} tokens in, ${whole(output_tokens)} out">${plural(
          calls,
          "call",
        )}</div>
      </td>
      <td class="end">
        <span class="row end">
            ${task !== null &&
              html`<a class="small" href="${to("diff")}?worker=${encodeURIComponent(name)}">Changes</a>`}
            ${task !== null && !hasEnded &&
              html`<${Action} label="Review" hint="Review the work of ${name}" run=${() =>
                control(base, "review", { worker: name }, reload)} />`}
          </span>
      </td>
    </tr>
  `;
}

const Tasks = ({ summary: { tasks }, to }) =>
  html`
    <div class="scroll">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">Task</th>
            <th scope="col">Status</th>
            <th scope="col">Worker</th>
            <th scope="col">After</th>
            <th scope="col">Changed</th>
          </tr>
        </thead>
        <tbody>${tasks.map(({ id, title, role, status, worker, depends_on, reason, files }) =>
          html`
            <tr key=${id}>
              <td><span class="text strong">${visible(title)}</span><div class="muted small text">${visible(
                `${id} · ${role}`,
              )}</div></td>
              <td>
                <${Badge} word=${status} />
                <div class="muted small text">${visible(reason)}</div>
              </td>
              <td class="text" data-label="Worker">${worker === null
                ? html`<span class="muted">nobody yet</span>`
                : html`<a href=${logOf(to, worker)}>${visible(worker)}</a>`}</td>
              <td class="text" data-label="After">${visible(depends_on.join(", ")) ||
                html`<span class="muted">nothing</span>`}</td>
              <td data-label="Changed">${files.length === 0
                ? html`<span class="muted">–</span>`
                : html`<a href="${to("diff")}${worker === null ? "" : `?worker=${encodeURIComponent(worker)}`}" title=${
                  visible(files.join("\n"))
                }>${plural(files.length, "file")}</a>`}</td>
            </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
