/** What a session has cost over time, and what each worker did meanwhile. */
import {
  cost,
  Empty,
  ErrorBox,
  html,
  Loading,
  Money,
  useEffect,
  useRecord,
  useState,
  visible,
  whole,
  words,
} from "/kit.js";
import { logOf } from "/session/links.js";

export function Spending({ summary: { session, workers }, base, to }) {
  const [mode, setMode] = useState("cost");
  const [charts, setCharts] = useState({});
  const { data: usage, error } = useRecord(`${base}/usage`, { refreshOn: session.seq });
  const { data: timeline, error: timelineError } = useRecord(`${base}/timeline`, { refreshOn: session.seq });
  useEffect(() => {
    // Its library is larger than all the rest.
    import("/charts.js").then(setCharts, (failure) => setCharts({ failure }));
  }, []);
  const { UsageChart, WorkerTimeline, failure } = charts;
  const trouble = error ?? timelineError ?? failure;
  return html`
    ${trouble && html`<${ErrorBox} error=${trouble} />`}
    <section class="card" aria-labelledby="usage">
      <div class="row spread">
        <h2 id="usage">${mode === "cost" ? "Cost" : "Tokens"} over time</h2>
        <div class="row" role="group" aria-label="What is drawn">${["cost", "tokens"].map((name) =>
          html`<button key=${name} type="button" class="chip" aria-pressed=${mode === name} onClick=${() =>
            setMode(name)}>${words(name)}</button>`
        )}</div>
      </div>
      <div class="chart">${usage && UsageChart
        ? usage.points.length > 0
          ? html`<${UsageChart} points=${usage.points} mode=${mode} />`
          : html`<${Empty}>No model has been asked yet.</${Empty}>`
        : html`<${Loading} />`}</div>
      <div class="scroll">
        <table class="cards">
          <thead>
            <tr>
              <th scope="col">Worker</th>
              <th scope="col" class="number">Calls</th>
              <th scope="col" class="number">Tokens in</th>
              <th scope="col" class="number">Tokens out</th>
              <th scope="col" class="number">Cost</th>
              <th scope="col" class="number">As the agent says</th>
            </tr>
          </thead>
          <tbody>${workers.map((worker) =>
            html`
              <tr key=${worker.name}>
                <td class="text">${visible(worker.name)}</td>
                <td class="number" data-label="Calls"><a href=${logOf(to, worker.name, "model.answered")}>${whole(
                  worker.calls,
                )}</a></td>
                <td class="number" data-label="Tokens in">${whole(worker.input_tokens)}</td>
                <td class="number" data-label="Tokens out">${whole(worker.output_tokens)}</td>
                <td class="number" data-label="Cost">
                  <${Money} ...${worker} to=${logOf(to, worker.name, "model.answered")} />
                </td>
                <td class="number" data-label="As the agent says">${worker.reported_cost_usd === null
                  ? html`<span class="muted">–</span>`
                  : html`<a href=${logOf(to, worker.name, "worker.exited")}>${
                    cost({ cost_usd: worker.reported_cost_usd, known_cost_usd: 0 })
                  }</a>`}</td>
              </tr>
            `
          )}</tbody>
        </table>
      </div>
    </section>
    <section class="card" aria-labelledby="timeline">
      <h2 id="timeline">What each worker did</h2>
      <div class="chart">${timeline && WorkerTimeline
        ? timeline.spans.length > 0
          ? html`<${WorkerTimeline} spans=${timeline.spans} />`
          : html`<${Empty}>No worker has been started yet.</${Empty}>`
        : html`<${Loading} />`}</div>
    </section>
  `;
}
