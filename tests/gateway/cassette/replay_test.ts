import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { openRecorder } from "../../../src/gateway/cassette/recorder.ts";
import { openReplay } from "../../../src/gateway/cassette/replay.ts";
import { Refusal } from "../../../src/gateway/refusal.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { asked, never, piecesOf, record, type Reply, textOf } from "./calls.ts";

const open = (dir: string, secrets: string[] = []) =>
  openRecorder(dir, {
    redactor: new Redactor(secrets),
    now: () => 0,
    onProblem: (message) => {
      throw new Error(message);
    },
  });

async function cassette(dir: string, calls: [ReturnType<typeof asked>, Reply][]): Promise<void> {
  const recorder = await open(dir);
  for (const [call, reply] of calls) record(recorder, call, reply);
  await recorder.settled();
}

async function refusalOf(answer: Promise<Response>): Promise<Refusal> {
  const error = await answer.then(() => undefined, (reason) => reason);
  ok(error instanceof Refusal);
  return error;
}

Deno.test("a reply comes back byte for byte, whatever it was and however it was cut", async () => {
  const bytes = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }).map((text) => new TextEncoder().encode(text)),
    fc.uint8Array({ maxLength: 60 }),
  );
  const reply = fc.record({
    whole: bytes,
    cuts: fc.array(fc.nat(60), { maxLength: 8 }),
    complete: fc.boolean(),
    status: fc.constantFrom(200, 201, 400, 429, 529),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(reply, { minLength: 1, maxLength: 5 }), async (replies) => {
      await inTempDir(async (dir) => {
        const call = (n: number) => asked({ n });
        await cassette(
          dir,
          replies.map(({ whole, cuts, ...rest }, n) => {
            const ends = cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b);
            const chunks = [...ends, whole.length].map((end, at) => whole.slice(ends[at - 1] ?? 0, end));
            return [call(n), { ...rest, headers: { "content-type": "x/y", "request-id": `r${n}` }, chunks }];
          }),
        );
        const answer = await openReplay(dir);
        for (const [n, { whole, complete, status }] of [...replies.entries()].reverse()) {
          const response = await answer(call(n), never);
          const { pieces, error } = await piecesOf(response);
          deepEqual(
            {
              status: response.status,
              headers: [...response.headers],
              bytes: pieces.flatMap((piece) => [...piece]),
              isBroken: error instanceof Error,
            },
            {
              status,
              headers: [["content-type", "x/y"], ["request-id", `r${n}`]],
              bytes: [...whole],
              isBroken: !complete,
            },
          );
        }
      });
    }),
    { numRuns: 40 },
  );
});

Deno.test("a reply comes in the pieces in which it was recorded", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({}), { chunks: ["data: 1\n\n", "da", "ta: 2\n\n"] }]]);
    const { pieces } = await piecesOf(await (await openReplay(dir))(asked({}), never));
    deepEqual(pieces.map((piece) => new TextDecoder().decode(piece)), ["data: 1\n\n", "da", "ta: 2\n\n"]);
  });
});

Deno.test("equal requests get the recordings in their order, each once, also when they come at the same time", async () => {
  await inTempDir(async (dir) => {
    const [a, b] = [asked({ q: "a" }), asked({ q: "b" })];
    const other = asked({ q: "a" }, { worker: "w2" });
    await cassette(dir, [
      [a, { chunks: ["a1"] }],
      [b, { chunks: ["b1"] }],
      [other, { chunks: ["other"] }],
      [a, { chunks: ["a2"] }],
      [a, { chunks: ["a3"] }],
    ]);
    const answer = await openReplay(dir);
    const told = await Promise.all([a, a, b, other, a].map((call) => textOf(answer, call)));
    deepEqual(told, ["a1", "a2", "b1", "other", "a3"]);
    const refusal = await refusalOf(answer(a, never));
    deepEqual([refusal.status, refusal.isTerminal, refusal.message, refusal.details], [
      409,
      true,
      'All 3 recordings of this request of worker "w1" are used: w1/000001.json, w1/000003.json, w1/000004.json. ' +
      "Start the replay anew, or record the run again",
      { worker: "w1", recordings: 3, used: ["w1/000001.json", "w1/000003.json", "w1/000004.json"] },
    ]);
  });
});

Deno.test("a miss names the nearest recording and what is different", async () => {
  await inTempDir(async (dir) => {
    const turn = (...contents: string[]) => asked({ system: "s", messages: contents.map((content) => ({ content })) });
    await cassette(dir, [
      [turn("go"), { chunks: ["1"] }],
      [turn("go", "ls", "a.txt"), { chunks: ["2"] }],
      [turn("go", "ls", "a.txt", "cat", "text"), { chunks: ["3"] }],
    ]);
    const answer = await openReplay(dir);
    await textOf(answer, turn("go"));
    const refusal = await refusalOf(answer(turn("go", "ls", "a.txt b.txt"), never));
    equal(
      refusal.message,
      'No recording fits this request of worker "w1" (POST /v1/messages, model m). The worker has 3 recordings, 1 of them ' +
        'used: w1/000001.json. The nearest is "w1/000002.json", not used yet; it differs in body.messages[2].content: ' +
        'recorded "a.txt", asked "a.txt b.txt"',
    );
    deepEqual(refusal.details, {
      worker: "w1",
      recordings: 3,
      used: ["w1/000001.json"],
      nearest: "w1/000002.json",
      differences: [{ path: "body.messages[2].content", recorded: '"a.txt"', asked: '"a.txt b.txt"' }],
    });
    // The recording is still there for the request that it belongs to.
    equal(await textOf(answer, turn("go", "ls", "a.txt")), "2");
  });
});

Deno.test("the nearest recording may be a used one, and is said to be; of equally near ones it is not", async () => {
  await inTempDir(async (dir) => {
    const turn = (...contents: string[]) => asked({ system: "s", messages: contents.map((content) => ({ content })) });
    await cassette(dir, [
      [turn("go"), { chunks: ["1"] }],
      [turn("go"), { chunks: ["2"] }],
      [turn("go", "ls", "a.txt", "cat", "text"), { chunks: ["3"] }],
    ]);
    const answer = await openReplay(dir);
    const nearest = async () => (await refusalOf(answer(turn("gone"), never))).message.split(". ").at(-1);
    const differs = 'it differs in body.messages[0].content: recorded "go", asked "gone"';
    await textOf(answer, turn("go"));
    equal(await nearest(), `The nearest is "w1/000002.json", not used yet; ${differs}`);
    await textOf(answer, turn("go"));
    equal(await nearest(), `The nearest is "w1/000001.json", used already; ${differs}`);
  });
});

Deno.test("a request that equals another worker's recording is said to", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [
      [asked({ q: 1 }, { worker: "a" }), { chunks: [] }],
      [asked({ q: 2 }, { worker: "b" }), { chunks: [] }],
    ]);
    const answer = await openReplay(dir);
    const messageFor = async (q: number, worker: string) =>
      (await refusalOf(answer(asked({ q }, { worker }), never))).message;
    const asks = (worker: string) =>
      `No recording fits this request of worker "${worker}" (POST /v1/messages, model m). The worker has `;
    equal(
      await messageFor(1, "none"),
      `${asks("none")}no recordings. "a/000001.json" is equal, but belongs to worker "a"`,
    );
    equal(
      await messageFor(1, "b"),
      `${asks("b")}1 recordings, 0 of them used. "a/000001.json" is equal, but belongs to worker "a"`,
    );
    equal(
      await messageFor(3, "b"),
      `${asks("b")}1 recordings, 0 of them used. The nearest is "b/000001.json", not used yet; ` +
        "it differs in body.q: recorded 2, asked 3",
    );
  });
});

Deno.test("a difference is found as deep as it makes one", async () => {
  await inTempDir(async (dir) => {
    const nested = (leaf: number) => {
      let value: unknown = leaf;
      for (let i = 0; i < 499; i++) value = [value];
      return asked({ value });
    };
    await cassette(dir, [[nested(1), { chunks: [] }]]);
    const refusal = await refusalOf((await openReplay(dir))(nested(2), never));
    ok(refusal.message.includes("recorded 1, asked 2"), refusal.message);
  });
});

Deno.test("a miss is told in 2000 characters at most, and without secrets", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({ a: "x" }), { chunks: [] }]]);
    const answer = await openReplay(dir, { redactor: new Redactor(["my-own-secret"]) });
    const long = "\u0000".repeat(5000);
    const call = asked({ a: `my-own-secret ${long}`, b: long, c: long, d: long, e: long, [long]: 1 });
    const refusal = await refusalOf(answer(call, never));
    ok(refusal.message.length <= 2000);
    equal(JSON.stringify([refusal.message, refusal.details]).includes("my-own-secret"), false);
  });
});

Deno.test("the only worker of a cassette may have another name, for one asker", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({}), { chunks: ["1"] }], [asked({}), { chunks: ["2"] }]]);
    const answer = await openReplay(dir);
    equal(await textOf(answer, asked({}, { worker: "default" })), "1");
    const refusal = await refusalOf(answer(asked({}, { worker: "third" }), never));
    deepEqual([refusal.kind, refusal.details.recordings], ["no_recording", 0]);
    equal(await textOf(answer, asked({}, { worker: "default" })), "2");
  });
});

Deno.test("nobody stands in for the only worker once it has asked itself", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({}), { chunks: ["1"] }], [asked({}), { chunks: ["2"] }]]);
    const answer = await openReplay(dir);
    equal(await textOf(answer, asked({})), "1");
    equal((await refusalOf(answer(asked({}, { worker: "default" }), never))).details.recordings, 0);
    equal(await textOf(answer, asked({})), "2");
  });
});

Deno.test("of several workers none stands in for another", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({}), { chunks: [] }], [asked({}, { worker: "w2" }), { chunks: [] }]]);
    const refusal = await refusalOf((await openReplay(dir))(asked({}, { worker: "w3" }), never));
    deepEqual(refusal.details, { worker: "w3", recordings: 0, used: [], nearest: "w1/000001.json", differences: [] });
  });
});

Deno.test("what was taken out of a recorded request is taken out of the one that is asked", async () => {
  await inTempDir(async (dir) => {
    const call = (key: string) => asked({ messages: [{ content: `KEY=${key} and sk-ant-REDACTED` }] });
    const recorder = await open(dir, ["first-secret"]);
    record(recorder, call("first-secret"), { chunks: ["ok"] });
    await recorder.settled();
    const answer = await openReplay(dir, { redactor: new Redactor(["second-secret"]) });
    equal(await textOf(answer, call("second-secret")), "ok");
  });
});

Deno.test("the folder of the asking agent stands in the reply where the recorded one's stood", async () => {
  await inTempDir(async (dir) => {
    const call = (cwd: string) => asked({ system: `Primary working directory: ${cwd}\n`, q: `${cwd}/src/a.ts` });
    const delta = (text: string) =>
      `event: content_block_delta\ndata: ${
        JSON.stringify({
          type: "content_block_delta",
          index: 0,
          delta: { type: "input_json_delta", partial_json: text },
        })
      }\n\n`;
    const argument = '{"file_path":"/tmp/run-1/src/a.ts","other":"/tmp/run-12/x"}';
    const json = '{"input":{"path":"/tmp/run-1"}}';
    await cassette(dir, [
      [call("/tmp/run-1"), { chunks: argument.match(/.{1,4}/g)!.map(delta) }],
      [call("/tmp/run-1"), { headers: { "content-type": "application/json" }, chunks: [json] }],
    ]);
    const answer = await openReplay(dir);
    const told = await textOf(answer, call("/tmp/run-1/inner"));
    const pieces = [...told.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!).delta.partial_json);
    equal(pieces.join(""), '{"file_path":"/tmp/run-1/inner/src/a.ts","other":"/tmp/run-12/x"}');
    equal(await textOf(answer, call("/elsewhere")), '{"input":{"path":"/elsewhere"}}');
  });
});

Deno.test("a reply that was too long to be kept is refused", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({}), { chunks: [] }]]);
    const path = `${dir}/w1/000001.json`;
    const exchange = JSON.parse(Deno.readTextFileSync(path));
    Deno.writeTextFileSync(path, JSON.stringify({ ...exchange, response: { ...exchange.response, truncated: true } }));
    const refusal = await refusalOf((await openReplay(dir))(asked({}), never));
    equal(refusal.message, 'The reply in "w1/000001.json" was too long to be recorded');
  });
});

Deno.test("an abort ends the reply with its reason, before it begins and in its midst", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({}), { chunks: ["1", "2"] }]]);
    const answer = await openReplay(dir);
    await rejects(answer(asked({}), AbortSignal.abort(new Error("gone"))), { message: "gone" });
    const leaving = new AbortController();
    const reader = (await answer(asked({}), leaving.signal)).body!.getReader();
    equal(new TextDecoder().decode((await reader.read()).value), "1");
    leaving.abort(new Error("left"));
    await rejects(reader.read(), { message: "left" });
  });
});

Deno.test("a reply without a body is one", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({}), { status: 204, headers: {}, chunks: [] }]]);
    const response = await (await openReplay(dir))(asked({}), never);
    deepEqual([response.status, response.body], [204, null]);
  });
});

Deno.test("openReplay() needs recordings", async () => {
  await inTempDir(async (dir) => {
    Deno.mkdirSync(`${dir}/w1`);
    Deno.writeTextFileSync(`${dir}/w1/README.json`, "not a recording");
    Deno.writeTextFileSync(`${dir}/000001.json`, "not in a worker's folder");
    const message = `Cannot replay "${dir}": need a folder with recordings, found none`;
    await rejects(openReplay(dir), { kind: "usage", message });
    await rejects(openReplay(`${dir}/none`), { kind: "usage", message: /^Cannot replay ".*none": No such file/ });
    await rejects(openReplay(`${dir}/000001.json`), { kind: "usage", message: /^Cannot replay ".*": / });
  });
});

Deno.test("a file that is no recording is named with the field that is wrong", async () => {
  await inTempDir(async (dir) => {
    await cassette(dir, [[asked({}), { chunks: [] }]]);
    const path = `${dir}/w1/000001.json`;
    const good = JSON.parse(Deno.readTextFileSync(path));
    const response = (change: Record<string, unknown>) =>
      JSON.stringify({ ...good, response: { ...good.response, ...change } });
    const faults: [text: string, finding: RegExp][] = [
      ["", /it is not JSON$/],
      ["[]", /the file: /],
      [JSON.stringify({ ...good, version: 2 }), /"version": /],
      [JSON.stringify({ ...good, more: 1 }), /the file: /],
      [response({ status: 99 }), /"response\.status": /],
      [response({ status: "200" }), /"response\.status": /],
      [response({ headers: { "bad name": "x" } }), /"response": /],
      [response({ headers: { a: "b\r\nset-cookie: c" } }), /"response": /],
      [response({ body: { kind: "text", chunks: [1] } }), /"response\.body\.chunks\.0": /],
      [response({ body: { kind: "base64", chunks: ["%"] } }), /"response": /],
    ];
    for (const [text, finding] of faults) {
      Deno.writeTextFileSync(path, text);
      const error = await openReplay(dir).then(() => undefined, (reason) => reason);
      equal(error?.kind, "usage", text);
      ok(error.message.startsWith(`Cannot read the recording "${path}": `), error.message);
      ok(finding.test(error.message), error.message);
    }
    Deno.removeSync(path);
    Deno.symlinkSync("/dev/zero", path);
    await rejects(openReplay(dir), { message: `Cannot read the recording "${path}": it is not a regular file` });
  });
});

Deno.test("members called __proto__ are members like any other", async () => {
  await inTempDir(async (dir) => {
    const call = (inner: string) => asked(JSON.parse(`{"__proto__": {"a": "${inner}"}}`));
    await cassette(dir, [[call("x"), { chunks: ["ok"] }]]);
    const answer = await openReplay(dir);
    equal((await refusalOf(answer(call("y"), never))).details.nearest, "w1/000001.json");
    equal(await textOf(answer, call("x")), "ok");
    equal(({} as Record<string, unknown>).a, undefined);
  });
});
