/** What was found, decided, mended and asked in a session. */
import { Ago, Badge, clock, dateTime, Duration, Empty, html, LongText, visible, words } from "/kit.js";
import { logOf } from "/session/links.js";

export function Reviews({ summary: { reviews, verdicts }, to }) {
  if (reviews.length === 0) return html`<${Empty}>Nothing has been reviewed yet.</${Empty}>`;
  return html`<section>
    <p class="row small">${
    Object.entries(verdicts).filter(([, count]) => count > 0).map(([verdict, count]) =>
      html`<span key=${verdict}><${Badge} word=${
        verdict === "none" ? "no verdict" : verdict
      } /> <span class="number">${count}</span></span>`
    )
  }</p>
    ${reviews.toReversed().map((review) => html`<${Review} key=${review.id} review=${review} to=${to} />`)}
  </section>`;
}

function Review(
  { review: { id, worker, task, trigger, reason, reviewers, answers, action, requested_at, commit }, to },
) {
  const waiting = action === null ? [...reviewers] : [];
  for (const { agent } of answers) waiting.splice(waiting.indexOf(agent), 1);
  return html`<article class="card" data-item tabindex="-1">
    <div class="row spread">
      <h3 class="text">${visible(id)} <span class="muted">of</span> <a href=${logOf(to, worker)}>${
    visible(worker)
  }</a>${task !== null && html`${" "}<span class="muted small">${visible(task)}</span>`}</h3>
      <span class="muted small text">${visible(words(trigger))}, <${Ago} time=${requested_at} />${
    commit !== null && html`, <code>${visible(commit.slice(0, 10))}</code>`
  }</span>
    </div>
    <p class="text muted">${visible(reason)}</p>
    ${answers.map((answer) => html`<${Answer} key=${answer.reviewer} answer=${answer} to=${to} />`)}
    ${
    waiting.map((reviewer) =>
      html`
        <div key=${reviewer} class="answer">
          <p><b class="text">${visible(reviewer)}</b> <${Badge} word="asked" /></p>
        </div>
      `
    )
  }
    ${action !== null && html`<p class="small">Decided: <a href=${to("decisions")}><${Badge} word=${action} /></a></p>`}
  </article>`;
}

function Answer({ answer: { reviewer, agent, verdict, summary, problem, issues, recommendations }, to }) {
  return html`<div class="answer">
    <p><a class="text strong" href=${logOf(to, reviewer)}>${visible(reviewer)}</a> <span class="muted small text">${
    visible(agent)
  }</span> <${Badge} word=${verdict ?? "no verdict"} /></p>
    <${LongText} text=${verdict === null ? problem : summary} />
    ${
    issues.length + recommendations.length > 0 && html`<ul>
      ${
      issues.map(({ text, file, line, unsupported }, number) =>
        html`<li key=${number} class="text">${
          file !== null && html`<code>${visible(file)}${line === null ? "" : `:${line}`}</code>${" "}`
        }${visible(text)}${
          unsupported !== undefined &&
          html`${" "}<span class="warn small">(unsupported: ${visible(unsupported)})</span>`
        }</li>`
      )
    }
      ${recommendations.map((text, number) => html`<li key="r${number}" class="text muted">${visible(text)}</li>`)}
    </ul>`
  }
  </div>`;
}

export function Decisions({ summary: { decisions, recovery, questions }, to }) {
  return html`
    <section class="card" aria-labelledby="decided">
      <h2 id="decided">Decisions</h2>
      ${decisions.length === 0 && html`<${Empty}>Nothing has been decided yet.</${Empty}>`}
      <ul class="list">${decisions.toReversed().map((
        { id, action, rule, reason, worker, review, verdicts, timestamp },
      ) =>
        html`
          <li key=${id} class="item" data-item tabindex="-1">
            <p
              class="row"><${Badge} word=${action} /><span class="muted small text">rule ${visible(rule)}, <a href=${to(
                "reviews",
              )}>${visible(review)}</a> of <a href=${logOf(to, worker)}>${visible(
                worker,
              )}</a>, <${Time} time=${timestamp} /></span></p>
            <p class="text">${visible(reason)}</p>
            <p class="row small">${verdicts.map(({ reviewer, verdict }) =>
              html`<span key=${reviewer} class="text">${visible(reviewer)} <${Badge} word=${
                verdict ?? "no verdict"
              } /></span>`
            )}</p>
          </li>
        `
      )}</ul>
    </section>
    <section class="card" aria-labelledby="recovered">
      <h2 id="recovered">Recovery</h2>
      ${recovery.length === 0 && html`<${Empty}>Nothing had to be mended.</${Empty}>`}
      <ul class="list">${recovery.toReversed().map((
        { worker, cause, attempt, outcome, change, suggestions, timestamp, wait_seconds },
      ) =>
        html`
          <li key="${worker} ${attempt} ${timestamp}" class="item" data-item tabindex="-1">
            <p
              class="row"><${Badge} word=${outcome} /><span class="muted small text"><a href=${logOf(
                to,
                worker,
              )}>${visible(worker)}</a>, attempt ${attempt}: ${visible(
                words(cause),
              )}, <${Time} time=${timestamp} />${wait_seconds > 0 &&
                html`, after <${Duration} seconds=${wait_seconds} />`}</span></p>
            <p class="text">${visible([change, ...suggestions].join("\n"))}</p>
          </li>
        `
      )}</ul>
    </section>
    <section class="card" aria-labelledby="asked">
      <h2 id="asked">Questions</h2>
      ${questions.length === 0 && html`<${Empty}>Nothing has been asked.</${Empty}>`}
      <ul class="list">${questions.toReversed().map(({ id, text, answer, by, worker, asked_at }) =>
        html`<li key=${id} class="item" data-item tabindex="-1">
        <p class="text">${visible(text)}</p>
        <p class="muted small text">${visible(worker)} <${Time} time=${asked_at} /></p>
        ${
          answer === null
            ? html`
              <p>
                <${Badge} word="needs_answer" />
              </p>
            `
            : html`<p class="text answer"><b>${visible(by)}</b>: ${visible(answer)}</p>`
        }
      </li>`
      )}</ul>
    </section>
  `;
}

const Time = ({ time }) => html`<time class="number" datetime=${time} title=${dateTime(time)}>${clock(time)}</time>`;
