/** What the workers of a session have changed so far. */
import { Diff, Empty, ErrorBox, html, Loading, plural, useRecord, visible } from "/kit.js";

export function Changes({ summary: { hasEnded, workers }, base, to, query }) {
  const worker = query.get("worker");
  const path = `${base}/diff${worker === null ? "" : `?worker=${encodeURIComponent(worker)}`}`;
  const { data, error, reload } = useRecord(path);
  const names = workers.filter(({ task }) => task !== null).map(({ name }) => name);
  return html`<section>
    <div class="row filters">
      <nav class="row grow" aria-label="Whose changes">
        <a class="chip" href=${to("diff")} aria-current=${worker === null ? "page" : undefined}>All</a>
        ${
    names.map((name) =>
      html`<a key=${name} class="chip text" href="${to("diff")}?worker=${encodeURIComponent(name)}" aria-current=${
        worker === name ? "page" : undefined
      }>${visible(name)}</a>`
    )
  }
      </nav>
      ${!hasEnded && html`<button type="button" onClick=${reload}>Look again</button>`}
    </div>
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    ${
    data === undefined
      ? !error && html`<${Loading} what="Comparing" />`
      : data.workers.length === 0
      ? html`<${Empty}>Nobody has changed anything yet.</${Empty}>`
      : data.workers.map((changes) =>
        html`<${WorkerChanges} key=${changes.worker} changes=${changes} base=${data.base} />`
      )
  }
  </section>`;
}

function WorkerChanges({ changes: { worker, task, files, patch, truncated, problem }, base }) {
  return html`<section class="card" aria-label="Changes of ${visible(worker)}">
    <div class="row spread">
      <h2 class="text">${visible(worker)} <span class="muted small">${visible(task)}</span></h2>
      <span class="muted small" title="From the commit ${visible(base)}">${plural(files.length, "file")}</span>
    </div>
    ${problem !== null && html`<p class="bad text">${visible(problem)}</p>`}
    ${files.length === 0 && problem === null && html`<${Empty}>It has changed nothing yet.</${Empty}>`}
    <${Diff} patch=${patch} />
    ${truncated && html`<p class="muted small">The rest is too long to be shown here.</p>`}
  </section>`;
}
