import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { openRecorder, type RecorderOptions } from "../../../src/gateway/cassette/recorder.ts";
import { REDACTED, Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";
import { asked, record, utf8 } from "./calls.ts";

const fail = (message: string): never => {
  throw new Error(message);
};

const options = (secrets: string[] = [], onProblem: RecorderOptions["onProblem"] = fail): RecorderOptions => ({
  redactor: new Redactor(secrets),
  now: () => Date.UTC(2026, 10, 21, 12),
  onProblem,
});

const read = (path: string) => JSON.parse(Deno.readTextFileSync(path));

Deno.test("a recording holds the call and the reply in its pieces, and of the headers only those that are safe", async () => {
  await inTempDir(async (dir) => {
    const recorder = await openRecorder(`${dir}/cassette`, options());
    const headers = new Headers({
      "content-type": "application/json",
      "anthropic-version": "2023-06-01",
      "user-agent": "agent/1",
      "x-session": "s",
    });
    record(recorder, asked({ model: "m", messages: [] }, { search: "?beta=true", headers }), {
      headers: { "content-type": "text/event-stream", "set-cookie": "id=1", "request-id": "req_1", server: "x" },
      chunks: ["data: 1\n\n", "", "data: 2\n\n"],
    });
    await recorder.settled();
    deepEqual(read(`${dir}/cassette/w1/000001.json`), {
      version: 1,
      run: "r1",
      worker: "w1",
      dialect: "anthropic",
      request: {
        method: "POST",
        path: "/v1/messages",
        search: "?beta=true",
        headers: { "anthropic-version": "2023-06-01", "content-type": "application/json" },
        body: { model: "m", messages: [] },
      },
      response: {
        status: 200,
        headers: { "content-type": "text/event-stream", "request-id": "req_1" },
        body: { kind: "text", chunks: ["data: 1\n\n", "data: 2\n\n"] },
        complete: true,
      },
      recorded_at: "2026-11-21T12:00:00.000Z",
    });
  });
});

Deno.test("recordings are for their owner only, and nothing else is left in the folder", async () => {
  await inTempDir(async (dir) => {
    const recorder = await openRecorder(`${dir}/cassette`, options());
    record(recorder, asked({}), { chunks: ["x"] });
    await recorder.settled();
    const modes = ["", "/w1", "/w1/000001.json"].map((path) => Deno.statSync(`${dir}/cassette${path}`).mode! & 0o777);
    deepEqual(modes, [0o700, 0o700, 0o600]);
    deepEqual(namesIn(`${dir}/cassette/w1`), ["000001.json"]);
  });
});

Deno.test("the numbers are those of the starts, per worker, and go on in a folder that has recordings", async () => {
  await inTempDir(async (dir) => {
    Deno.mkdirSync(`${dir}/w1`);
    Deno.writeTextFileSync(`${dir}/w1/000041.json`, "{}");
    Deno.writeTextFileSync(`${dir}/w1/notes.json`, "{}");
    const recorder = await openRecorder(dir, options());
    const [first, second] = [recorder.start(asked({ n: 1 })), recorder.start(asked({ n: 2 }))];
    record(recorder, asked({ n: 3 }, { worker: "w2" }), { chunks: [] });
    for (const recording of [second, first]) {
      recording.head(200, new Headers());
      recording.end({ complete: true });
      recording.end({ complete: false });
    }
    await recorder.settled();
    const found = ["w1/000042", "w1/000043", "w2/000001"].map((name) => read(`${dir}/${name}.json`));
    deepEqual(found.map(({ request, response }) => [request.body.n, response.complete]), [
      [1, true],
      [2, true],
      [3, true],
    ]);
    deepEqual(namesIn(`${dir}/w1`), ["000041.json", "000042.json", "000043.json", "notes.json"]);
  });
});

Deno.test("a call that nobody answered is not stored", async () => {
  await inTempDir(async (dir) => {
    const recorder = await openRecorder(dir, options());
    recorder.start(asked({})).end({ complete: false });
    await recorder.settled();
    deepEqual(namesIn(dir), []);
  });
});

Deno.test("no piece of a text ends inside a character", async () => {
  await inTempDir(async (dir) => {
    const recorder = await openRecorder(dir, options());
    const bytes = utf8.encode("\ufeffaé😀b");
    record(recorder, asked({}), { chunks: [...bytes].map((byte) => Uint8Array.of(byte)) });
    record(recorder, asked({}), { chunks: [Uint8Array.of(0xff, 0xfe), Uint8Array.of(0)] });
    record(recorder, asked({}), { chunks: [utf8.encode("é").subarray(0, 1)], complete: false });
    await recorder.settled();
    deepEqual([1, 2, 3].map((number) => read(`${dir}/w1/00000${number}.json`).response.body), [
      { kind: "text", chunks: ["\ufeff", "a", "é", "😀", "b"] },
      { kind: "base64", chunks: ["//4=", "AA=="] },
      { kind: "base64", chunks: ["ww=="] },
    ]);
  });
});

Deno.test("no secret reaches the disk, wherever it stands and however it is cut", async () => {
  await inTempDir(async (dir) => {
    const secret = "hunter2-is-my-real-key";
    const virtual = `gck_${"aB3dE6gH".repeat(4)}`;
    const recorder = await openRecorder(dir, options([secret]));
    const call = asked(
      {
        system: `The key is ${secret}`,
        [secret]: 1,
        api_key: "anything",
        messages: [{ content: [{ text: `env: GW_KEY=${virtual}\nX=${btoa(secret)}` }] }],
      },
      {
        search: `?worker=${secret}`,
        path: `/v1/models/${secret}`,
        run: `run ${secret}`,
        headers: [["content-type", "application/json"], ["openai-beta", secret], ["user-agent", "agent/1"]],
      },
    );
    const frame = (data: unknown) => `event: content_block_delta\ndata: ${JSON.stringify(data)}\n\n`;
    const delta = (text: string, index = 0) =>
      frame({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
    const replies: (string | Uint8Array)[][] = [
      [`data: {"text":"${secret.slice(0, 9)}`, `${secret.slice(9)}"}\n\n`],
      // As models write: a few characters in each event, those of two blocks in turn.
      ["It is ", ..."hunter2 is my real key ".match(/.{1,2}/g)!, ...secret.match(/.{1,3}/g)!, " so."]
        .flatMap((text) => [delta(text), delta("other ", 1)]),
      [...virtual].map((text) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`),
      [Uint8Array.of(0xff), secret, Uint8Array.of(0xff)],
      [JSON.stringify({ content: [{ text: `${secret} and ${virtual}` }] })],
    ];
    for (const chunks of replies) {
      record(recorder, call, { headers: { "request-id": secret, "content-type": "text/plain" }, chunks });
    }
    await recorder.settled();
    const files = namesIn(`${dir}/w1`).map((name) => Deno.readTextFileSync(`${dir}/w1/${name}`));
    equal(files.length, replies.length);
    for (const file of files) {
      const { response: { body } } = JSON.parse(file);
      const reply = body.kind === "text" ? body.chunks.join("") : atob(body.chunks.join(""));
      const told = [...reply.matchAll(/"(?:text|content)":("[^"]*")/g)].map(([, text]) => JSON.parse(text!)).join("");
      for (const place of [file, reply, told.replaceAll("other ", "")]) {
        deepEqual([secret, virtual, btoa(secret)].filter((value) => place.includes(value)), []);
      }
      equal(reply.includes(REDACTED), true);
    }
    // The other block has lost nothing.
    equal(JSON.parse(files[1]!).response.body.chunks.join("").match(/other /g).length, replies[1]!.length / 2);
  });
});

Deno.test("a reply above 64 MiB is not kept, and the file says so", async () => {
  await inTempDir(async (dir) => {
    const recorder = await openRecorder(dir, options());
    const megabyte = new Uint8Array(1024 * 1024);
    record(recorder, asked({}), { chunks: Array(65).fill(megabyte) });
    // Pieces cost memory, too.
    record(recorder, asked({}), { chunks: Array(600_000).fill("x") });
    await recorder.settled();
    for (const name of ["000001", "000002"]) {
      deepEqual(read(`${dir}/w1/${name}.json`).response, {
        status: 200,
        headers: { "content-type": "text/event-stream" },
        body: { kind: "text", chunks: [] },
        complete: true,
        truncated: true,
      });
    }
  });
});

Deno.test("a call that cannot be stored is told once, and disturbs nobody", async () => {
  await inTempDir(async (dir) => {
    const problems: string[] = [];
    const recorder = await openRecorder(`${dir}/c`, options([], (message) => problems.push(message)));
    Deno.writeTextFileSync(`${dir}/c/w1`, "a file where the worker's folder should be");
    for (let count = 0; count < 3; count++) record(recorder, asked({}), { chunks: ["x"] });
    record(recorder, asked({}, { worker: ".." }), { chunks: ["x"] });
    record(recorder, asked({}, { worker: "a/b" }), { chunks: ["x"] });
    record(recorder, asked({}, { worker: "w2" }), { chunks: ["x"] });
    await recorder.settled();
    deepEqual(problems.toSorted(), [
      'Calls of the worker ".." are not recorded: its name cannot be the name of a folder',
      'Calls of the worker "a/b" are not recorded: its name cannot be the name of a folder',
      `Calls of the worker "w1" are not recorded: Cannot write "${dir}/c/w1": file exists`,
    ]);
    deepEqual([namesIn(dir), namesIn(`${dir}/c`), namesIn(`${dir}/c/w2`)], [["c"], ["w1", "w2"], ["000001.json"]]);
  });
});

Deno.test("openRecorder() refuses a file", async () => {
  await inTempDir(async (dir) => {
    Deno.writeTextFileSync(`${dir}/file`, "");
    await rejects(openRecorder(`${dir}/file`, options()), {
      kind: "usage",
      message: `Cannot record into "${dir}/file": need a folder, found a file`,
    });
  });
});
