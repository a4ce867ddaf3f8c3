import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import type { EventFact, RunEvent } from "../../src/events/event.ts";
import { timeline } from "../../src/http/schemas.ts";
import { MAX_SPANS, TimelineHistory } from "../../src/http/timeline_record.ts";
import { launched as launchedFact } from "../commands/orchestrate/sessions.ts";
import { running } from "../commands/manager/runs.ts";

const timeOf = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();

/** A second between events. */
function historyOf(facts: readonly EventFact[]): TimelineHistory {
  const history = new TimelineHistory();
  facts.forEach((fact, seq) => history.add({ seq, time: timeOf(seq), ...fact } as RunEvent));
  return history;
}

const launched = (worker: string) => launchedFact(worker, { task: "fix" });
const started = (worker: string, adopted = false): EventFact => {
  const fact = running(worker, { pid: 1, startTicks: 1 });
  return { ...fact, data: { ...fact.data, adopted } } as EventFact;
};
const liveness = (worker: string, verdict: "working" | "stalled"): EventFact => ({
  type: "worker.liveness",
  data: { worker, verdict, proof: `it is ${verdict}`, idle_seconds: 1 },
});
const signalled = (worker: string, action: "pause" | "resume" | "nudge"): EventFact => ({
  type: "worker.signalled",
  data: { worker, action, reason: "ann" },
});
const exited = (worker: string, text = "done"): EventFact => ({
  type: "worker.exited",
  data: {
    worker,
    attempt: 1,
    outcome: "completed",
    cause: null,
    text,
    exit_code: 0,
    signal: null,
    cli_session: null,
    tokens: null,
    reported_cost_usd: null,
    duration_seconds: 1,
    left_behind: 0,
  },
});
const resumed: EventFact = { type: "session.resumed", data: { pid: 2, version: "1", reason: "it was killed" } };
const brief = (history: TimelineHistory, isSupervised = true) =>
  history.record({ isSupervised }).spans.map(({ worker, state, from, to }) =>
    `${worker} ${state} ${from.slice(17, 19)}-${to?.slice(17, 19) ?? ""}`
  );

Deno.test("a worker's time is a row of spans without gaps, from its launch to its end", () => {
  const history = historyOf([
    launched("a"),
    started("a"),
    liveness("a", "working"),
    launched("b"),
    signalled("a", "pause"),
    signalled("a", "nudge"),
    signalled("a", "resume"),
    liveness("a", "stalled"),
    exited("a"),
    liveness("a", "stalled"),
  ]);
  deepEqual(brief(history), [
    "a starting 00-01",
    "a running 01-02",
    "a working 02-04",
    "b starting 03-",
    "a paused 04-06",
    "a running 06-07",
    "a stalled 07-08",
    "a completed 08-08",
  ]);
  deepEqual(timeline.parse(history.record({ isSupervised: true })).spans.at(-1), {
    worker: "a",
    state: "completed",
    from: timeOf(8),
    to: timeOf(8),
    detail: "done",
  });
});

Deno.test("what nobody watched is told as such, and what nobody watches ends with the last event", () => {
  const facts = [launched("a"), started("a"), liveness("a", "working"), liveness("a", "working")];
  deepEqual(brief(historyOf(facts), false).at(-1), "a working 02-03");
  deepEqual(brief(historyOf([...facts, resumed, started("a", true), exited("a")])).slice(2), [
    "a working 02-03",
    "a unsupervised 03-05",
    "a running 05-06",
    "a completed 06-06",
  ]);
});

Deno.test("a second attempt begins anew", () => {
  deepEqual(brief(historyOf([launched("a"), exited("a"), launched("a"), started("a")])), [
    "a starting 00-01",
    "a completed 01-01",
    "a starting 02-03",
    "a running 03-",
  ]);
});

Deno.test("of very many spans so many are left, without gaps, the long ones and the ends among them", () => {
  const history = new TimelineHistory();
  let seq = 0;
  let second = 0;
  const tell = (fact: EventFact, seconds: number) => {
    history.add({ seq: seq++, time: timeOf(second), ...fact } as RunEvent);
    second += seconds;
  };
  tell(launched("a"), 1);
  tell(started("a"), 1);
  for (let i = 0; i < 20_000; i++) {
    const isLong = i % 1000 === 0;
    tell(liveness("a", "stalled"), isLong ? 500 : 1);
    tell(liveness("a", "working"), 2);
  }
  tell(exited("a", "x".repeat(10_000)), 1);
  const { spans } = history.record({ isSupervised: true });
  ok(spans.length <= MAX_SPANS && spans.length > 10, `${spans.length}`);
  spans.slice(1).forEach((span, i) => equal(span.from, spans[i]!.to));
  const lengthOf = ({ from, to }: typeof spans[number]) => (Date.parse(to!) - Date.parse(from)) / 1000;
  ok(spans.filter((span) => span.state === "stalled" && lengthOf(span) >= 500).length >= 10);
  equal(spans.at(-1)!.state, "completed");
  equal(spans.at(-1)!.detail.length, 300);
});
