import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { basename } from "node:path";
import { type OneSession, openOneSession } from "../../../src/commands/serve/one_session.ts";
import { SessionLog } from "../../../src/commands/orchestrate/session_folder.ts";
import { EventStreams } from "../../../src/http/event_streams.ts";
import { type EntryChange, Refused } from "../../../src/http/ports.ts";
import type { Control } from "../../../src/orchestrate/ports.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { sampleFacts } from "../../http/sample_session.ts";
import { inTempDir } from "../../support/temp_dir.ts";

const LIMIT = { limit: 50 };
const CONTROL: Control = { id: "1-0000000a", command: "pause", worker: null, text: "", by: "ann", question: null };

/** The library of a session that is carried out here; `isEnding`: it takes no controls any more. */
async function inSession(
  work: (session: { library: OneSession; log: SessionLog; id: string; folder: string }) => Promise<void>,
  { isEnding = false } = {},
): Promise<void> {
  await inTempDir(async (folder) => {
    const now = () => Date.now();
    using log = await SessionLog.open(folder, {
      redactor: new Redactor(),
      now,
      onFailure: (error) => ok(false, `${error}`),
    });
    for (const fact of sampleFacts) await log.publish(fact);
    const streams = new EventStreams({ read: () => 0, size: () => 0 });
    const take = ({ id, command, worker, text, by }: Control) => {
      if (!isEnding) log.publish({ type: "control.received", data: { control: id, command, worker, text, by } });
    };
    const library = await openOneSession({
      folder,
      log,
      streams,
      take,
      env: { PATH: Deno.env.get("PATH") ?? "" },
      now,
    });
    try {
      await work({ library, log, id: basename(folder), folder });
    } finally {
      await library[Symbol.asyncDispose]();
      await streams.end();
    }
  });
}

Deno.test("the library of one session has that one, by its id and as the newest", async () => {
  await inSession(async ({ library, log, id, folder }) => {
    const { version: _, ...about } = library.about;
    deepEqual(about, {
      mode: "session",
      session_id: id,
      runs_root: null,
      workspace: null,
      mini_workdirs: [],
      can_start: [],
    });
    deepEqual([library.ids("session"), library.ids("manager"), library.ids("mini")], [[id], [], []]);
    const view = await library.session(undefined);
    equal(view, await library.session(id));
    deepEqual([view!.folder, view!.state, view!.isSupervised()], [folder, log.state, true]);
    deepEqual([await library.session("orch_2"), await library.run(), await library.mini()], [
      undefined,
      undefined,
      undefined,
    ]);
    const entry = library.entry("session", id)!;
    deepEqual([entry.kind, entry.id, entry.running, entry.title], ["session", id, true, log.state.start!.task]);
    deepEqual([library.entry("manager", id), library.entry("session", "orch_2")], [undefined, undefined]);
  });
});

Deno.test("the list of one session is asked as that of all", async () => {
  await inSession(async ({ library, log, id }) => {
    const found = (query: Parameters<OneSession["history"]>[0]) => library.history(query).entries.map(({ id }) => id);
    const word = log.state.start!.task.split(" ")[0]!;
    deepEqual(
      [
        found(LIMIT),
        found({ ...LIMIT, kind: "session", status: "running", q: `  ${word.toUpperCase()} ` }),
        found({ ...LIMIT, kind: "mini" }),
        found({ ...LIMIT, status: "failed" }),
        found({ ...LIMIT, q: `${word} no-such-word` }),
      ],
      [[id], [id], [], [], []],
    );
    deepEqual(library.attention().map(({ id }) => id), [id], "it has an open question");
    deepEqual(library.costs({ by: "day" }), { by: "day", rows: [], sources: [], problems: [] });
  });
});

Deno.test("who has subscribed is told of changes until they end that", async () => {
  await inSession(async ({ library, log, id }) => {
    const told = Promise.withResolvers<EntryChange>();
    const unsubscribe = library.subscribe(told.resolve);
    log.publish({ type: "session.status", data: { status: "merging", reason: "" } });
    const change = await told.promise;
    ok("entry" in change);
    deepEqual([change.entry.id, change.entry.status], [id, "merging"]);
    equal(library.entry("session", id)!.status, "merging");
    unsubscribe();
    library.subscribe(() => ok(false))();
    await library.refresh();
  });
});

Deno.test("a control is carried out at once, or refused when the session is just ending", async () => {
  await inSession(async ({ library, log }) => {
    await (await library.session(undefined))!.control(CONTROL);
    ok(log.state.controls.has(CONTROL.id));
  });
  await inSession(async ({ library }) => {
    await rejects(
      (await library.session(undefined))!.control(CONTROL),
      (error) => error instanceof Refused && error.status === 409 && error.message === "The session is just ending",
    );
  }, { isEnding: true });
});

Deno.test("what only the log tells is read off it when somebody asks", async () => {
  await inSession(async ({ library, log }) => {
    const view = (await library.session(undefined))!;
    const { spans } = await view.timeline();
    ok(spans.length > 0 && spans.every(({ worker }) => log.state.workers.has(worker)));
    const [first] = spans;
    equal(first!.worker, log.state.workers.keys().next().value);
    ok(Array.isArray((await view.usage()).points));
    equal((await view.diff(undefined)).base, log.state.start!.base_commit);
  });
});
