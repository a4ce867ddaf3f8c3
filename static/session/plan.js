/** What each worker of a session is to do. */
import { Badge, CodeBlock, Empty, ErrorBox, Facts, html, Loading, usd, useRecord, visible } from "/kit.js";

export function Plan({ summary: { session, tasks }, base, to }) {
  const { data, error, reload } = useRecord(tasks.length === 0 ? null : `${base}/plan`);
  if (tasks.length === 0) return html`<${Empty}>There is no plan yet.</${Empty}>`;
  if (data === undefined) return error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} />`;
  const statuses = new Map(tasks.map(({ id, status }) => [id, status]));
  const facts = [
    ["Source", data.source],
    ["Note", visible(data.note)],
    ["May cost at most", data.cost_cap_usd === null ? "unknown" : usd(data.cost_cap_usd)],
    ["Estimate", data.cost_estimate_usd === null ? "unknown" : usd(data.cost_estimate_usd)],
    ["Base commit", session.base_commit && html`<code>${visible(session.base_commit.slice(0, 12))}</code>`],
  ];
  return html`<section>
    <${Facts} facts=${facts} />
    ${
    data.assignments.map(({ id, title, role, agent, prompt, depends_on, writes, load }) =>
      html`
        <article key=${id} class="card" data-item tabindex="-1">
          <div class="row spread">
            <h3 class="text">${visible(title)}</h3>
            <${Badge} word=${statuses.get(id) ?? "pending"} />
          </div>
          <p class="muted small text">${visible(
            [
              id,
              role,
              agent ?? "any agent",
              depends_on.length > 0 && `after ${depends_on.join(", ")}`,
              writes ? "writes" : "reads only",
            ].filter(Boolean).join(" · "),
          )} · <a href=${to("overview")} title="Share of the whole work">${Math.round(100 * load)} %</a></p>
          <${CodeBlock} text=${prompt} label="Prompt" lines=${10} />
        </article>
      `
    )
  }
  </section>`;
}
