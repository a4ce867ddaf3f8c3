/** Runs that go on, were cut off or are damaged are reported on as far as they can be read. */
import { deepStrictEqual as deepEqual, match, ok, rejects } from "node:assert/strict";
import { join } from "node:path";
import { managerDocument } from "../../../src/commands/report/manager_document.ts";
import { miniDocument } from "../../../src/commands/report/mini_document.ts";
import { readReport, type ReportData } from "../../../src/commands/report/read_report.ts";
import { sessionDocument } from "../../../src/commands/report/session_document.ts";
import { writeHtml } from "../../../src/commands/report/write_html.ts";
import { writeMarkdown } from "../../../src/commands/report/write_markdown.ts";
import type { RunPlace } from "../../../src/commands/serve/run_places.ts";
import { answered, candidateRun, eventsOf, exited, judged, launched, phase, status } from "../../http/sample_run.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { DEAD, writeRunLog } from "../serve/run_files.ts";

const ABOUT = { version: "0.1.0", generatedAt: "2026-02-05T12:00:00.000Z" };
const SECRET = "tok-0123456789abcdef-secret";

function read(place: RunPlace, more: Partial<Parameters<typeof readReport>[1]> = {}): Promise<ReportData> {
  const signal = new AbortController().signal;
  return readReport(place, { env: { API_TOKEN: SECRET }, now: () => Date.UTC(2026, 1, 5, 13), signal, ...more });
}

async function writeLog(folder: string, events: readonly unknown[], rest = ""): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(
    join(folder, "events.jsonl"),
    events.map((event) => `${JSON.stringify(event)}\n`).join("") + rest,
  );
}

const SESSION_STARTED = {
  type: "session.started",
  data: {
    ...{ session_id: "orch_1", task: `Mend it\nwith ${SECRET}`, target: "/t", folder: "/f", version: "0.1.0", pid: 1 },
    ...{ base_commit: null, branch: null, shared: false, budget_usd: 5 },
  },
} as const;

Deno.test("a session that was cut off, with a torn log, is told as far as it came, and without secrets", async () => {
  await inTempDir(async (dir) => {
    const folder = join(dir, "orch_1");
    const said = {
      type: "message",
      agent: "codex",
      timestamp: "",
      payload: { text: `I found ${SECRET} <b>` },
    } as const;
    const events = eventsOf([
      SESSION_STARTED,
      launched("w1"),
      answered("w1", 0.5),
      { type: "worker.event", data: { worker: "w1", offset: 1, event: said } },
      { type: "question.asked", data: { question: "q1", text: "Which?", worker: "w1", task: null, decision: null } },
    ]);
    await writeLog(folder, events, '{"seq":5,"ti');
    const data = await read({ kind: "session", id: "orch_1", folder });
    ok(data.kind === "session");
    deepEqual(data.problems, ["The last line of its log is torn: whoever wrote it was killed, or is writing it now"]);
    const document = sessionDocument(data);
    deepEqual([document.title, document.status, document.problems[0]], [
      "Mend it",
      { badge: "cut off", tone: "warn" },
      "Nobody carries it out any more, and it has not told its end: it was cut off",
    ]);
    deepEqual(document.sections.map(({ title }) => title), [
      ...["Task", "Questions", "Workers", "Cost over time", "What each worker did"],
    ]);
    const html = writeHtml({ ...document, ...ABOUT });
    const markdown = writeMarkdown({ ...document, ...ABOUT });
    for (const text of [html, markdown, JSON.stringify(data.record)]) ok(!text.includes(SECRET.slice(0, 12)));
    match(html, /I found \[redacted\] &lt;b&gt;/);
    match(markdown, /\| w1 \| Which\? \|/);
  });
});

Deno.test("a session without any event that can be read is reported on all the same", async () => {
  await inTempDir(async (dir) => {
    await writeLog(join(dir, "orch_1"), [], "no json\n\0\0\0\n");
    const data = await read({ kind: "session", id: "orch_1", folder: join(dir, "orch_1") });
    ok(data.kind === "session");
    deepEqual(data.problems, ["2 lines of its log could not be read", "Its log has no events"]);
    match(writeMarkdown({ ...sessionDocument(data), ...ABOUT }), /^\*\*Session `orch_1`: cut off\*\* · orch\\_1\n/);
  });
});

Deno.test("git that takes too long is not waited for", async () => {
  await inTempDir(async (dir) => {
    const folder = join(dir, "orch_1");
    const repository = join(dir, "target");
    await Deno.mkdir(repository);
    // A git that never ends.
    await Deno.writeTextFile(join(dir, "git"), "#!/bin/sh\nexec sleep 1000\n", { mode: 0o755 });
    const data = { ...SESSION_STARTED.data, target: repository, base_commit: "c".repeat(40), shared: true };
    await writeLog(folder, eventsOf([{ type: "session.started", data }]));
    const env = { PATH: `${dir}:${Deno.env.get("PATH")}` };
    const report = await read({ kind: "session", id: "orch_1", folder }, { env, diffTimeoutMs: 50 });
    ok(report.kind === "session");
    deepEqual([report.diff, report.problems], [
      null,
      ["What the workers have changed is not here: git took too long for it"],
    ]);
    const reason = new Error("interrupted");
    const place = { kind: "session", id: "orch_1", folder } as const;
    await rejects(read(place, { env, signal: AbortSignal.abort(reason) }), reason);
  });
});

Deno.test("a manager run that goes on or was cut off is told with all its candidates and their runs", async () => {
  await inTempDir(async (dir) => {
    const folder = join(dir, "run-1");
    await writeLog(
      folder,
      eventsOf([
        {
          type: "run.started",
          data: {
            ...{ run_id: "run-1", issue: "https://host/o/r/issues/1", repo_path: "/r", folder, version: "0.1.0" },
            ...{ pid: 1, commit: "c0ffee", agent: "codex", workers: 1 },
          },
        },
        phase("issue", "started"),
        launched("w1"),
        status("w1", "running"),
        answered("w1", null),
        exited("w1", "done"),
        status("w1", "finished"),
        candidateRun("c1", "validate", 1),
        judged("c1", "validate"),
      ]),
    );
    const data = await read({ kind: "manager", id: "run-1", folder });
    ok(data.kind === "manager");
    const document = managerDocument(data);
    deepEqual([document.title, document.status.badge, document.sections.map(({ title }) => title)], [
      "https://host/o/r/issues/1",
      "cut off",
      ["Phases", "Candidates", "Workers"],
    ]);
    const html = writeHtml({ ...document, ...ABOUT });
    match(html, /<a href="https:\/\/host\/o\/r\/issues\/1" rel="noreferrer noopener">/);
    match(html, /ZeroDivisionError: division by zero in pkg\/core\.py \(mean\)/);
    match(html, /<dt>Cost<\/dt><dd>unknown<\/dd>/);
  });
});

Deno.test("of a mini run that was killed the log is enough, also when its trajectory is damaged", async () => {
  await inTempDir(async (dir) => {
    const log = join(dir, "m1.jsonl");
    const trajectory = join(dir, "m1.traj.json");
    await writeRunLog(log, { runId: "m1" }, { workdir: dir, owner: DEAD });
    await Deno.writeTextFile(trajectory, '{"info": {"run_id": "m1"');
    const place = (run: { trajectory: string | undefined; log: string | undefined }): RunPlace => {
      return { kind: "mini", form: "workdir", id: "m1", folder: dir, run: { runId: "m1", workdir: dir, ...run } };
    };
    for (const damaged of [undefined, trajectory]) {
      const data = await read(place({ trajectory: damaged, log }));
      ok(data.kind === "mini");
      const document = miniDocument(data);
      deepEqual([document.status.badge, document.problems.length], ["cut off", damaged === undefined ? 1 : 2]);
      deepEqual(document.sections.at(-1)?.blocks.map(({ kind }) => kind), ["fold", "fold", "step"]);
    }
    await rejects(read(place({ trajectory, log: undefined })), {
      kind: "environment",
      message: /^Cannot read the run "m1": /,
    });
  });
});
