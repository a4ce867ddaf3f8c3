import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { inTempDir, namesIn } from "../../../support/temp_dir.ts";
import { until } from "../virtual_time.ts";
import { MessageTaker } from "./message_taker.ts";
import { NotifiedRuns, SECRET } from "./notified_runs.ts";

const withRuns = (work: (runs: NotifiedRuns, taker: MessageTaker) => Promise<void>) =>
  inTempDir(async (dir) => {
    await using taker = new MessageTaker();
    await work(new NotifiedRuns(`${dir}/runs`), taker);
  });

const news = ({ taken }: MessageTaker) =>
  taken.map(({ body: { event, kind, id, status } }) => [event, kind, id, status]);

/** Has read what was told before. */
const begun = ({ runsRoot }: NotifiedRuns) =>
  until(() => Deno.stat(`${runsRoot}/.gocore-notified.json`).then(() => true, () => false));

Deno.test("each thing that happens to a run is told once, with all that there is to know", async () => {
  await withRuns(async (runs, taker) => {
    await using notifier = runs.serve({ webhook: `${taker.address}/hook` });
    await begun(runs);
    const question = { kind: "needs_answer", text: "Which one?", worker: null, since: "2026-03-02T12:00:00Z" } as const;
    runs.put("orch_1", { kind: "session" });
    await runs.settle();
    runs.put("orch_1", { kind: "session", attention: [question] });
    await runs.settle();
    await until(() => taker.taken.length === 1);
    runs.put("orch_1", { kind: "session", attention: [question], last_event_at: "2026-03-02T12:00:05.000Z" });
    await runs.settle();
    runs.put("orch_1", {
      kind: "session",
      attention: [],
      summary: `Done with ${SECRET}`,
      running: false,
      status: "done",
    });
    await runs.settle();
    await until(() => taker.taken.length === 2);
    runs.put("orch_1", { kind: "session", cost_usd: 0.75 });
    const failed = { kind: "failed", text: "no agent", worker: null, since: null } as const;
    runs.put("run-2", { running: false, status: "failed", attention: [failed], cost_usd: null });
    await runs.settle();
    await until(() => taker.taken.length === 3);
    await until(() => notifier.figures.waiting === 0);
    const common = { title: "fft returns NaN", kind: "session", id: "orch_1", cost_usd: 0.5 };
    const page = { url: "http://127.0.0.1:8088/#/sessions/orch_1" };
    const request = { line: "POST /hook", type: "application/json" };
    deepEqual(taker.taken, [
      {
        ...request,
        body: {
          event: "attention",
          ...common,
          status: "running",
          attention: [question],
          summary: null,
          ...page,
          time: "2026-03-02T12:00:06.000Z",
        },
      },
      {
        ...request,
        body: {
          event: "finish",
          ...common,
          status: "done",
          attention: [],
          summary: "Done with [redacted]",
          ...page,
          time: "2026-03-02T12:00:12.000Z",
        },
      },
      {
        ...request,
        body: {
          event: "failure",
          ...common,
          kind: "manager",
          id: "run-2",
          status: "failed",
          attention: [failed],
          cost_usd: null,
          summary: null,
          url: "http://127.0.0.1:8088/#/runs/run-2",
          time: "2026-03-02T12:00:15.000Z",
        },
      },
    ]);
    deepEqual([runs.told, [...notifier.figures.places]], [[], [["webhook", { sent: 3, failed: 0, dropped: 0 }]]]);
  });
});

Deno.test("what was before the first server is no news, and a restart tells nothing again", async () => {
  await withRuns(async (runs, taker) => {
    const stalled = (since: string) => [{ kind: "stalled", text: "silent", worker: "w", since } as const];
    runs.put("old", { running: false, status: "failed" });
    runs.put("going", { attention: stalled("2026-03-02T11:00:00Z") });
    runs.time.set("2026-03-02T12:30:00Z");
    {
      await using notifier = runs.serve({ webhook: taker.address });
      await runs.settle();
      runs.put("going", { attention: stalled("2026-03-02T12:30:03Z") });
      runs.put("new", { running: false, status: "ok" });
      await runs.settle();
      await until(() => taker.taken.length === 2 && notifier.figures.waiting === 0);
    }
    deepEqual(news(taker), [["attention", "manager", "going", "running"], ["finish", "manager", "new", "ok"]]);
    runs.put("meanwhile", { running: false, status: "ok" });
    // Killed, without a word in its log.
    runs.put("going", { running: false, status: "cut_off", ended_at: "2026-03-02T11:00:00Z" });
    runs.time.set("2026-03-02T12:40:00Z");
    await using _notifier = runs.serve({ webhook: taker.address });
    await runs.settle();
    await until(() => taker.taken.length === 4);
    deepEqual(news(taker).slice(2).sort(), [
      ["failure", "manager", "going", "cut_off"],
      ["finish", "manager", "meanwhile", "ok"],
    ]);
  });
});

Deno.test("what happened more than a day before the server came back is no news", async () => {
  await withRuns(async (runs, taker) => {
    const first = runs.serve({ webhook: taker.address });
    await begun(runs);
    await first[Symbol.asyncDispose]();
    runs.put("long-ago", { running: false, status: "ok" });
    runs.time.set("2026-03-04T12:00:00Z");
    runs.put("lately", { running: false, status: "ok" });
    await using _notifier = runs.serve({ webhook: taker.address });
    await runs.settle();
    await until(() => taker.taken.length === 1);
    deepEqual(news(taker), [["finish", "manager", "lately", "ok"]]);
  });
});

Deno.test("what is over within seconds is not told, and one moment's news are one message", async () => {
  await withRuns(async (runs, taker) => {
    await using _notifier = runs.serve({ webhook: taker.address });
    await begun(runs);
    runs.put("run-1", { running: false, status: "cut_off", ended_at: null });
    runs.put("run-1", { running: true, status: "running" });
    const blocked = { kind: "blocked", text: "needs a person", worker: null, since: null } as const;
    runs.put("run-2", { running: false, status: "needs-human", attention: [blocked] });
    await runs.settle();
    await until(() => taker.taken.length === 1);
    deepEqual(news(taker), [["attention", "manager", "run-2", "needs-human"]]);
  });
});

Deno.test("only what was asked for is told, of the kinds that were asked for", async () => {
  await withRuns(async (runs, taker) => {
    await using _notifier = runs.serve({ webhook: taker.address }, {
      on: new Set(["failure"]),
      kinds: new Set(["mini", "manager"]),
    });
    await begun(runs);
    runs.put("fine", { running: false, status: "ok" });
    runs.put("orch_1", { kind: "session", running: false, status: "failed" });
    runs.put("lost", { kind: "mini", running: false, status: "unreadable" });
    runs.put("bad", { kind: "mini", running: false, status: "error" });
    await runs.settle();
    await until(() => taker.taken.length === 1);
    deepEqual(news(taker), [["failure", "mini", "bad", "error"]]);
  });
});

Deno.test("a run that goes on after it was cut off is news again when it ends", async () => {
  await withRuns(async (runs, taker) => {
    await using _notifier = runs.serve({ webhook: taker.address });
    await begun(runs);
    for (
      const [status, running] of [["running", true], ["cut_off", false], ["running", true], ["ok", false]] as const
    ) {
      const time = new Date(runs.time.nowMs).toISOString();
      runs.put("run-1", { status, running, ended_at: null, last_event_at: time });
      await runs.settle();
    }
    await until(() => taker.taken.length === 2);
    deepEqual(news(taker), [["failure", "manager", "run-1", "cut_off"], ["finish", "manager", "run-1", "ok"]]);
  });
});

Deno.test("a place that does not take a message is asked again, three times in all, and holds up no other", async () => {
  await withRuns(async (runs, slack) => {
    await using webhook = new MessageTaker();
    slack.answers.push(
      new Response("", { status: 500 }),
      new Response("", { status: 429, headers: { "retry-after": "30" } }),
      undefined,
    );
    await using notifier = runs.serve({ slack: `${slack.address}/SECRET-PATH`, webhook: webhook.address });
    await begun(runs);
    runs.put("run-1", { running: false, status: "ok" });
    await runs.settle();
    await until(() => webhook.taken.length === 1 && runs.time.hasIn(2000));
    await runs.time.goTo("2026-03-02T12:00:05Z");
    await until(() => runs.time.hasIn(30_000));
    await runs.time.goTo("2026-03-02T12:00:34Z");
    equal(slack.taken.length, 2, "it said how long it wants to be left alone");
    await runs.time.goTo("2026-03-02T12:00:35Z");
    await until(() => slack.taken.length === 3);
    // Nothing is ever answered to the third one.
    await runs.time.goTo("2026-03-02T12:00:45Z");
    await until(() => notifier.figures.waiting === 0);
    deepEqual(runs.told, ["slack is not told of run-1: found no answer within 10 s, 3 times"]);
    deepEqual([...notifier.figures.places], [
      ["slack", { sent: 0, failed: 1, dropped: 0 }],
      ["webhook", { sent: 1, failed: 0, dropped: 0 }],
    ]);
  });
});

Deno.test("no redirect is followed, and no problem says the address", async () => {
  await withRuns(async (runs, taker) => {
    await using elsewhere = new MessageTaker();
    taker.answers.push(new Response(null, { status: 307, headers: { location: elsewhere.address } }));
    const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const nobody = `http://127.0.0.1:${closed.addr.port}/SECRET`;
    closed.close();
    await using notifier = runs.serve({ webhook: `${taker.address}/SECRET`, discord: nobody });
    await begun(runs);
    runs.put("run-1", { running: false, status: "ok" });
    await runs.settle();
    const sent = () => [...notifier.figures.places].map(([, { failed }]) => failed);
    await until(() => runs.time.hasIn(2000) && sent()[0] === 1);
    await runs.time.goTo("2026-03-02T12:00:05Z");
    await until(() => runs.time.hasIn(8000));
    await runs.time.goTo("2026-03-02T12:00:13Z");
    await until(() => sent()[1] === 1);
    deepEqual([elsewhere.taken, runs.told], [[], [
      "webhook is not told of run-1: found the answer 307",
      "discord is not told of run-1: found no connection, 3 times",
    ]]);
    const kept = await Deno.readTextFile(`${runs.runsRoot}/.gocore-notified.json`);
    ok(!/SECRET|http/.test(kept));
  });
});

Deno.test("what was not sent when the server ends is sent by the next one", async () => {
  await withRuns(async (runs, taker) => {
    taker.answers.push(undefined);
    const notifier = runs.serve({ webhook: taker.address });
    await begun(runs);
    runs.put("run-1", { running: false, status: "ok" });
    runs.put("run-2", { running: false, status: "ok" });
    await runs.settle();
    await until(() => taker.taken.length === 1);
    const ended = notifier[Symbol.asyncDispose]();
    await until(() => runs.time.hasIn(2000));
    await runs.time.goTo("2026-03-02T12:00:05Z");
    await ended;
    deepEqual([runs.time.waiting, namesIn(runs.runsRoot)], [0, [".gitignore", ".gocore-notified.json"]]);
    await using _next = runs.serve({ webhook: taker.address });
    await runs.settle();
    await until(() => taker.taken.length === 3);
    deepEqual(news(taker).map(([, , id]) => id), ["run-1", "run-1", "run-2"]);
    deepEqual(runs.told, []);
  });
});

Deno.test("more than a hundred messages wait for nobody", async () => {
  await withRuns(async (runs, taker) => {
    taker.answers.push(undefined);
    await using notifier = runs.serve({ webhook: taker.address });
    await begun(runs);
    for (let number = 0; number < 105; number++) runs.put(`run-${number}`, { running: false, status: "ok" });
    await runs.settle();
    const { figures } = notifier;
    deepEqual([figures.waiting, figures.places.get("webhook")], [100, { sent: 0, failed: 0, dropped: 5 }]);
    deepEqual(runs.told, ["webhook is not told of more: 100 messages wait already"]);
    await until(() => taker.taken.length === 1);
    await runs.time.goTo("2026-03-02T12:00:13Z");
    // The first one is asked again after a while, and then all are taken.
    await until(() => runs.time.hasIn(2000));
    await runs.time.goTo("2026-03-02T12:00:15Z");
    await until(() => figures.waiting === 0);
    deepEqual(figures.places.get("webhook"), { sent: 100, failed: 0, dropped: 5 });
  });
});

Deno.test("a second server over the same runs tells nothing until the first one ends", async () => {
  await withRuns(async (runs, taker) => {
    const first = runs.serve({ webhook: taker.address });
    await begun(runs);
    await using _second = runs.serve({ webhook: taker.address });
    await until(() => runs.told.length === 1);
    deepEqual(runs.told, [`Nobody is notified: process ${Deno.pid} tells of the runs in "{runs}"`]);
    runs.put("run-1", { running: false, status: "ok" });
    await runs.settle();
    await until(() => taker.taken.length === 1);
    await until(async () => (await Deno.readTextFile(`${runs.runsRoot}/.gocore-notified.json`)).includes("finish@"));
    await first[Symbol.asyncDispose]();
    await runs.time.goTo("2026-03-02T12:00:10Z");
    await until(() => runs.time.waiting === 1);
    runs.put("run-2", { running: false, status: "ok" });
    await runs.settle();
    await until(() => taker.taken.length === 2);
    deepEqual(news(taker).map(([, , id]) => id), ["run-1", "run-2"]);
  });
});

Deno.test("what is kept of runs is bounded, and what it has lost is not told again", async () => {
  await withRuns(async (runs, taker) => {
    for (let number = 0; number < 1100; number++) {
      runs.put(`run-${number}`, { started_at: "2026-03-02T11:00:00Z", last_event_at: new Date(number).toISOString() });
    }
    const path = `${runs.runsRoot}/.gocore-notified.json`;
    const kept = async () => JSON.parse(await Deno.readTextFile(path)).runs.length;
    {
      await using _notifier = runs.serve({ webhook: taker.address });
      await begun(runs);
      await until(async () => await kept() === 850);
      runs.remove("run-1099");
      await until(async () => await kept() === 849);
    }
    await using _notifier = runs.serve({ webhook: taker.address }, { on: new Set() });
    await runs.settle();
    equal(taker.taken.length, 0);
  });
});

Deno.test("where nobody is to be told nothing is kept", async () => {
  await withRuns(async (runs) => {
    await using _notifier = runs.serve({});
    runs.put("run-1", { running: false, status: "ok" });
    deepEqual([runs.time.waiting, await Deno.stat(runs.runsRoot).catch(() => "nothing")], [0, "nothing"]);
  });
});
