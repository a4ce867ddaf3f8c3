import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Failure, Interrupt } from "../../src/failure.ts";
import type { ChatModel, QueryOptions, RetryNotice } from "../../src/models/chat_model.ts";
import { loadScript, loadScriptedModel, scriptedModel } from "../../src/models/scripted_model.ts";

const sleep = (_ms: number, signal: AbortSignal) => signal.aborted ? Promise.reject(signal.reason) : Promise.resolve();
const ask = (model: ChatModel, options: Partial<QueryOptions> = {}) =>
  model.query([], {
    bashTool: true,
    signal: new AbortController().signal,
    onRetry: () => {},
    onWarning: () => {},
    onUnpricedAttempt: () => {},
    ...options,
  });

async function withFile<T>(name: string, text: string, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/${name}`;
    await Deno.writeTextFile(path, text);
    return await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const YAML = `
- content: I look
  commands: [ls, pwd]
  usage: {input: 10, output: 2, cache_read: 3}
  cost: 0.25
- tool_calls: [{name: bash, arguments: "{broken", id: x}]
  reasoning: hm
  cost: null
- just text
`;

Deno.test("a YAML script answers with tool calls, its usage and its cost", async () => {
  await withFile("replies.yaml", YAML, async (path) => {
    const model = await loadScriptedModel(path, { name: "scripted/replies.yaml" });
    equal(model.name, "scripted/replies.yaml");
    const first = await ask(model);
    equal(first.content, "I look");
    deepEqual(first.toolCalls, [
      { id: "call_1_1", name: "bash", arguments: '{"command":"ls"}' },
      { id: "call_1_2", name: "bash", arguments: '{"command":"pwd"}' },
    ]);
    deepEqual(first.usage, { input: 10, cacheRead: 3, cacheWrite: 0, output: 2, reasoning: 0 });
    deepEqual(first.cost, { usd: 0.25, source: "provider" });
    equal(first.finishReason, "tool_calls");
    const second = await ask(model);
    deepEqual(second.toolCalls, [{ id: "x", name: "bash", arguments: "{broken" }]);
    deepEqual([second.reasoning, second.usage, second.cost], ["hm", undefined, { usd: null, source: "unknown" }]);
    const third = await ask(model);
    deepEqual([third.content, third.cost], ["just text", { usd: 0, source: "provider" }]);
    await rejects(ask(model), (error: Failure) => {
      match(error.message, /^The scripted model has no reply left: all 3 /);
      return error.kind === "model";
    });
  });
});

Deno.test("without the tool, commands become fenced blocks", async () => {
  const model = scriptedModel([{ content: "Look", commands: ["ls", "pwd"] }], {
    wrap: (command) => `\`\`\`sh\n${command}\n\`\`\``,
  });
  const { content, toolCalls } = await ask(model, { bashTool: false });
  equal(content, "Look\n\n```sh\nls\n```\n\n```sh\npwd\n```");
  deepEqual(toolCalls, []);
});

Deno.test("JSON Lines and JSON scripts say the same", async () => {
  const replies = [{ content: "a\u2028b", repeat: 2 }, { content: "c" }];
  const files: [string, string][] = [
    ["r.jsonl", replies.map((reply) => JSON.stringify(reply)).join("\n\n") + "\n"],
    ["r.json", JSON.stringify({ replies })],
  ];
  for (const [name, text] of files) {
    await withFile(name, text, async (path) => {
      const model = await loadScriptedModel(path);
      const said = [await ask(model), await ask(model), await ask(model)].map(({ content }) => content);
      deepEqual(said, ["a\u2028b", "a\u2028b", "c"]);
    });
  }
});

Deno.test("a script has lists for workers beside the one for everybody", async () => {
  const text = "replies: [all]\nworkers:\n  codex: [{commands: [ls]}, {content: done}]\n  __proto__: [x]\n";
  await withFile("r.yaml", text, async (path) => {
    const { replies, workers } = await loadScript(path);
    deepEqual(replies, [{ content: "all" }]);
    deepEqual(
      workers,
      new Map([["codex", [{ commands: ["ls"] }, { content: "done" }]], ["__proto__", [{ content: "x" }]]]),
    );
    equal((await ask(await loadScriptedModel(path))).content, "all");
  });
});

Deno.test("a script for workers alone is none for `mini`", async () => {
  await withFile("r.yaml", "workers: {codex: []}\n", async (path) => {
    deepEqual(await loadScript(path), { replies: undefined, workers: new Map([["codex", []]]) });
    await rejects(loadScriptedModel(path), (error: Failure) => /need a list of replies/.test(error.message));
  });
});

Deno.test("scripted errors go through the same retries as a provider's", async () => {
  const notices: RetryNotice[] = [];
  const model = scriptedModel([
    { error: { status: 429, message: "slow", retry_after: 3 } },
    { error: {} },
    { content: "ok" },
    { error: { status: 401, message: "no key" } },
  ], { sleep });
  equal((await ask(model, { onRetry: (notice) => notices.push(notice) })).content, "ok");
  deepEqual(notices.map(({ status, waitMs }) => [status, waitMs]), [[429, 3000], [undefined, 2000]]);
  await rejects(
    ask(model),
    (error: Failure) => error.type === "AuthenticationError" && /401.*no key/.test(error.message),
  );
});

Deno.test("abort ends a scripted delay", async () => {
  const controller = new AbortController();
  const interrupt = new Interrupt("SIGTERM");
  const asked = ask(scriptedModel([{ content: "late", delay_ms: 10_000_000 }]), { signal: controller.signal });
  controller.abort(interrupt);
  await rejects(asked, (error) => error === interrupt);
});

Deno.test("a mistake in a script names the file, the entry and the key", async () => {
  const cases: [string, string, RegExp][] = [
    ["r.yaml", "- content: 3\n", /r\.yaml", reply 1, content: need a text/],
    ["r.yaml", "- ok\n- {contents: x}\n", /reply 2, contents: need one of content, commands/],
    ["r.yaml", "- usage: {input: -1}\n", /reply 1, usage\.input: need a number, at least 0/],
    ["r.yaml", "- tool_calls: [{nam: x}]\n", /reply 1, tool_calls\[0\]\.nam: need one of/],
    ["r.yaml", "- a: [\n", /r\.yaml", line 2, column 1/],
    ["r.yaml", "content: x\n", /need a list of replies/],
    ["r.yaml", "workers: [x]\nreplies: []\n", /r\.yaml", workers: need a mapping of names to lists/],
    ["r.yaml", "workers: {codex: ok}\n", /r\.yaml", worker "codex": need a list of replies/],
    ["r.yaml", "workers: {codex: [ok, {content: 1}]}\n", /worker "codex", reply 2, content: need a text/],
    ["r.yaml", "workers: {}\n", /need a list of replies/],
    ["r.yaml", "", /need a list of replies|empty/],
    ["r.jsonl", '{"content":"a"}\n\n{broken\n', /r\.jsonl", line 3: it is not JSON/],
    ["r.jsonl", '{"repeat":0}\n', /line 1, repeat/],
    ["r.json", "[1]", /reply 1: need a mapping or a text/],
  ];
  for (const [name, text, message] of cases) {
    await withFile(name, text, (path) =>
      rejects(loadScriptedModel(path), (error: unknown) => {
        ok(error instanceof Failure && error.kind === "usage");
        match(error.message, message);
        return true;
      }));
  }
  await rejects(loadScriptedModel("/nowhere/replies.yaml"), (error: Failure) => error.kind === "usage");
});
