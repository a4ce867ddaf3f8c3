/** What runs by itself, and when next. */
import { Ago, Badge, dateTime, Empty, ErrorBox, html, Loading, useNow, useRecord, useTitle, visible } from "/kit.js";

const REFRESH_MS = 10_000;

export default function Schedule() {
  useTitle("Schedule");
  const { data, error, reload } = useRecord("/api/schedule", { refreshOn: useNow(REFRESH_MS) });
  return html`<main id="main" tabindex="-1">
    <h1>Schedule</h1>
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    ${
    data === undefined
      ? !error && html`<${Loading} />`
      : data.entries.length === 0
      ? html`<${Empty}>Nothing is scheduled. Each <code>[[schedule]]</code> table of mminions.toml is a run that starts by itself.</${Empty}>`
      : html`
        <div class="scroll card">
          <table class="cards">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">When</th>
                <th scope="col">Next</th>
                <th scope="col">Last</th>
                <th scope="col">Came of it</th>
              </tr>
            </thead>
            <tbody>${data.entries.map((entry) => html`<${Row} key=${entry.name} entry=${entry} />`)}</tbody>
          </table>
        </div>
      `
  }
  </main>`;
}

function Row({ entry: { name, cron, timezone, target, next_at, last_at, last_result, running, problem } }) {
  return html`
    <tr>
      <td><span class="text strong" data-item tabindex="-1">${visible(name)}</span> ${running &&
        html`<${Badge} word="running" />`}
          <div class="muted small text">${visible(target)}</div></td>
      <td data-label="When"><code>${visible(cron)}</code> <span class="muted small">${visible(timezone)}</span></td>
      <td data-label="Next">${next_at === null
        ? html`<span class="muted">never</span>`
        : html`<${In} time=${next_at} />`}</td>
      <td data-label="Last">
        <${Ago} time=${last_at} />
      </td>
      <td class="text">${visible(last_result)}${problem !== null &&
        html`<div class="bad small text">${visible(problem)}</div>`}</td>
    </tr>
  `;
}

function In({ time }) {
  const minutes = Math.max(0, Math.round((Date.parse(time) - useNow(REFRESH_MS)) / 60_000));
  const text = minutes < 1
    ? "now"
    : minutes < 60
    ? `in ${minutes} min`
    : minutes < 1440
    ? `in ${Math.round(minutes / 60)} h`
    : "";
  return html`<time datetime=${time} title=${visible(time)}>${
    dateTime(time)
  }</time> <span class="muted small">${text}</span>`;
}
