/** Issues from GitHub, over a real socket, with every fault that it can have. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import { fetchIssue } from "../../src/github/fetch_issue.ts";
import type { GithubOptions } from "../../src/github/github_api.ts";
import { type Answer, type FakeGithub, startFakeGithub } from "./fake_github.ts";

const URL_ = "https://github.com/o/r/issues/7";
const NOW = Date.parse("2026-03-04T12:00:00Z");
const TOKEN = "ghp_secretsecretsecret";

const ISSUE = {
  html_url: URL_,
  number: 7,
  title: "It fails",
  body: "ValueError: no\r\n",
  labels: [{ name: "bug" }, { name: "core" }],
  state: "open",
  user: { login: "ann" },
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-02T00:00:00Z",
  comments: 2,
};
const comment = (body: string, login = "bob", association = "NONE") => ({
  user: { login },
  author_association: association,
  created_at: "2026-01-02T00:00:00Z",
  body,
});

interface Tried {
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly waits?: number[];
}

function optionsFor(github: FakeGithub, { env = {}, signal, timeoutMs, waits = [] }: Tried = {}): GithubOptions {
  return {
    env: { GITHUB_API_URL: github.url, ...env },
    signal: signal ?? new AbortController().signal,
    now: () => NOW,
    timeoutMs,
    sleep: (ms) => Promise.resolve(void waits.push(ms)),
  };
}

async function failureOf(answers: Record<string, unknown>, tried: Tried = {}): Promise<[string, ...string[]]> {
  await using github = startFakeGithub(answers);
  let told: [string, ...string[]] = [""];
  await rejects(fetchIssue(URL_, optionsFor(github, tried)), (error) => {
    ok(error instanceof Failure, Deno.inspect(error));
    ok(!Deno.inspect(error).includes(TOKEN), "the token is in the error");
    told = [error.message.replace(/127\.0\.0\.1:\d+/, "HOST"), ...error.hints];
    return true;
  });
  return told;
}

const answering =
  (status: number, body: unknown = { message: "Sorry" }, headers: Record<string, string> = {}): Answer => () =>
    Response.json(body, { status, headers });

Deno.test("an issue comes with all its comments, page after page", async () => {
  const pages = "/repos/o/r/issues/7/comments";
  const answers: Record<string, unknown> = { "GET /repos/o/r/issues/7": ISSUE };
  await using github = startFakeGithub(answers);
  const link = (page: number) => ({
    link: `<${github.url}${pages}?per_page=100&page=${page}>; rel="next", <x>; rel="last"`,
  });
  answers[`GET ${pages}?per_page=100`] = answering(
    200,
    [comment("one", "ann"), comment("two", "eve", "MEMBER")],
    link(2),
  );
  answers[`GET ${pages}?per_page=100&page=2`] = answering(200, [comment("<!-- gocore-manager -->\nours")], link(3));
  answers[`GET ${pages}?per_page=100&page=3`] = [comment("three")];
  const document = await fetchIssue("o/r#7", optionsFor(github, { env: { GITHUB_TOKEN: TOKEN } }));
  const createdAt = "2026-01-02T00:00:00.000Z";
  deepEqual(document, {
    source: "github",
    url: URL_,
    slug: "o/r",
    number: 7,
    title: "It fails",
    body: "ValueError: no\r\n",
    labels: ["bug", "core"],
    state: "open",
    author: "ann",
    createdAt: "2026-01-01T00:00:00.000Z",
    updatedAt: createdAt,
    comments: [
      { author: "ann", isMaintainer: false, createdAt, body: "one" },
      { author: "eve", isMaintainer: true, createdAt, body: "two" },
      { author: "bob", isMaintainer: false, createdAt, body: "three" },
    ],
    notes: [],
  });
  deepEqual([...new Set(github.asked.map(({ token }) => token))], [`Bearer ${TOKEN}`]);
  equal(github.asked.length, 4);
});

Deno.test("more than a thousand comments are left out, and that is said", async () => {
  const pages = "/repos/o/r/issues/7/comments";
  const answers: Record<string, unknown> = { "GET /repos/o/r/issues/7": ISSUE };
  await using github = startFakeGithub(answers);
  for (let page = 1; page <= 12; page++) {
    const link = { link: `<${github.url}${pages}?per_page=100&page=${page + 1}>; rel="next"` };
    const line = `GET ${pages}?per_page=100${page === 1 ? "" : `&page=${page}`}`;
    answers[line] = answering(200, Array.from({ length: 100 }, () => comment("x")), link);
  }
  const { comments, notes } = await fetchIssue(URL_, optionsFor(github));
  deepEqual([comments.length, notes, github.asked.length], [1000, ["Only the first 1000 comments were read"], 11]);
});

Deno.test("a moved issue is read where it is now", async () => {
  const moved = { ...ISSUE, html_url: "https://github.com/new/place/issues/9", number: 9 };
  await using github = startFakeGithub({
    "GET /repos/o/r/issues/7": answering(301, {}, { location: "/repositories/5/issues/9" }),
    "GET /repositories/5/issues/9": moved,
    "GET /repositories/5/issues/9/comments?per_page=100": [],
  });
  const { url, slug, number, notes } = await fetchIssue(URL_, optionsFor(github));
  deepEqual({ url, slug, number, notes }, {
    url: "https://github.com/new/place/issues/9",
    slug: "new/place",
    number: 9,
    notes: ["The issue has moved here from https://github.com/o/r/issues/7"],
  });
});

Deno.test("a token is never carried to another host", async () => {
  await using elsewhere = startFakeGithub({ "GET /evil": ISSUE, "GET /more": [] });
  await using github = startFakeGithub({
    "GET /repos/o/r/issues/7": answering(302, {}, { location: `${elsewhere.url}/evil` }),
    "GET /repos/o/r/issues/8": { ...ISSUE, comments_url: `${elsewhere.url}/more` },
    "GET /repos/o/r/issues/8/comments?per_page=100": answering(200, [], {
      link: `<${elsewhere.url}/more>; rel="next"`,
    }),
  });
  const options = optionsFor(github, { env: { GITHUB_TOKEN: TOKEN } });
  await rejects(fetchIssue(URL_, options), { message: 'Cannot read the issue "o/r#7": GitHub leads to another host' });
  await fetchIssue("o/r#8", options);
  deepEqual(elsewhere.asked, []);
});

Deno.test("the host of an address gets only a token that is meant for it", async () => {
  const asked: [string, string | null][] = [];
  const answer = (input: URL | Request | string, init?: RequestInit) => {
    asked.push([String(input), new Headers(init?.headers).get("authorization")]);
    return Promise.resolve(Response.json(String(input).includes("/comments") ? [] : ISSUE));
  };
  const real = globalThis.fetch;
  globalThis.fetch = answer as typeof fetch;
  try {
    const cases: [string, Record<string, string>][] = [
      ["o/r#7", { GITHUB_TOKEN: "public" }],
      ["o/r#7", { GH_TOKEN: "public", GH_ENTERPRISE_TOKEN: "inner" }],
      ["https://evil.example/o/r/issues/7", { GITHUB_TOKEN: "public" }],
      ["https://git.corp.example/o/r/issues/7", { GITHUB_TOKEN: "public", GH_ENTERPRISE_TOKEN: "inner" }],
      ["https://team.ghe.com/o/r/issues/7", { GITHUB_TOKEN: "public" }],
      // As in GitHub Actions: the address of its own server does not lead to the issues of another one.
      ["https://evil.example/o/r/issues/7", { GITHUB_TOKEN: "public", GITHUB_API_URL: "https://api.github.com" }],
      ["o/r#7", {
        GITHUB_TOKEN: "inner",
        GITHUB_API_URL: "https://git.corp.example/api/v3",
        GITHUB_SERVER_URL: "https://git.corp.example",
      }],
      ["https://git.corp.example/o/r/issues/7", {
        GITHUB_TOKEN: "inner",
        GITHUB_API_URL: "https://git.corp.example/api/v3/",
        GITHUB_SERVER_URL: "https://git.corp.example",
      }],
    ];
    for (const [url, env] of cases) {
      await fetchIssue(url, { env, signal: new AbortController().signal, now: () => NOW });
    }
  } finally {
    globalThis.fetch = real;
  }
  const path = "/repos/o/r/issues/7";
  deepEqual(asked.filter(([url]) => !url.includes("/comments")), [
    [`https://api.github.com${path}`, "Bearer public"],
    [`https://api.github.com${path}`, "Bearer public"],
    [`https://evil.example/api/v3${path}`, null],
    [`https://git.corp.example/api/v3${path}`, "Bearer inner"],
    [`https://api.team.ghe.com${path}`, "Bearer public"],
    [`https://evil.example/api/v3${path}`, null],
    [`https://api.github.com${path}`, null],
    [`https://git.corp.example/api/v3${path}`, "Bearer inner"],
  ]);
});

Deno.test("what GitHub refuses is told with what to do", async () => {
  const line = "GET /repos/o/r/issues/7";
  const env = { GITHUB_TOKEN: TOKEN };
  const begin = 'Cannot read the issue "o/r#7": GitHub answered';
  const set = "`export GITHUB_TOKEN=$(gh auth token)`";
  const reset = {
    "x-ratelimit-remaining": "0",
    "x-ratelimit-reset": String(Date.parse("2026-03-04T14:05:00Z") / 1000),
  };
  deepEqual(await failureOf({ [line]: answering(403, {}, reset) }), [
    `${begin} 403 (rate limit, resets 14:05 UTC)`,
    `Set GITHUB_TOKEN, for example ${set}`,
  ]);
  deepEqual(await failureOf({ [line]: answering(429, {}, { "retry-after": "90000" }) }, { env }), [
    `${begin} 429 (rate limit, resets 2026-03-05 13:00 UTC)`,
    "Start again when the limit has ended",
  ]);
  deepEqual(await failureOf({}), [
    `${begin} 404 (no such issue, or a private repository)`,
    `For a private repository set GITHUB_TOKEN: ${set}`,
  ]);
  deepEqual(await failureOf({}, { env }), [
    `${begin} 404 (no such issue, or the token cannot see it)`,
    "Check the address",
  ]);
  deepEqual(await failureOf({ [line]: answering(401) }, { env }), [
    `${begin} 401 (the token is not valid)`,
    `Set GITHUB_TOKEN again, for example ${set}, or unset it for public repositories`,
  ]);
  deepEqual(await failureOf({ [line]: answering(403, { message: `No\n\x1b[31m access with ${TOKEN}` }) }, { env }), [
    `${begin} 403 (No [31m access with [redacted])`,
    "Give the token access to the repository's issues (fine-grained: Issues, read and write for comments)",
  ]);
  deepEqual(await failureOf({ [line]: answering(410) }), [
    `${begin} 410 (the issue was deleted, or the repository has none)`,
  ]);
  deepEqual(await failureOf({ [line]: { ...ISSUE, pull_request: {} } }), [
    'Cannot read the issue "o/r#7": need an issue, found a pull request',
    "Give the issue that it mends",
  ]);
  deepEqual(
    (await failureOf({ [line]: () => new Response("<html>") }))[0],
    'Cannot read the issue "o/r#7": need JSON from HOST, found another text',
  );
  deepEqual(
    (await failureOf({ [line]: { ...ISSUE, title: 5 } }))[0],
    `Cannot read the issue "o/r#7": cannot use GitHub's answer: title: need a text, found a number`,
  );
  deepEqual(
    (await failureOf({ [line]: [] }))[0],
    `Cannot read the issue "o/r#7": cannot use GitHub's answer: need an object, found a list`,
  );
});

Deno.test("short limits and a server's trouble are waited out", async () => {
  const waits: number[] = [];
  const answers = {
    "GET /repos/o/r/issues/7": (request: Request, times: number) =>
      times === 1
        ? answering(429, {}, { "retry-after": "7" })(request, times)
        : times === 2
        ? answering(403, {}, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(NOW / 1000 + 20) })(
          request,
          times,
        )
        : Response.json(ISSUE),
    "GET /repos/o/r/issues/7/comments?per_page=100": (_: Request, times: number) =>
      times < 4 ? new Response("", { status: 502 }) : Response.json([]),
  };
  await using github = startFakeGithub(answers);
  equal((await fetchIssue(URL_, optionsFor(github, { waits }))).title, "It fails");
  deepEqual(waits, [7000, 21_000, 1000, 2000, 4000]);
});

Deno.test("trouble that does not end is told, after four attempts", async () => {
  const waits: number[] = [];
  deepEqual(await failureOf({ "GET /repos/o/r/issues/7": answering(503) }, { waits }), [
    'Cannot read the issue "o/r#7": GitHub answered 503 (Sorry)',
    "Try again later; see https://www.githubstatus.com",
  ]);
  deepEqual(waits, [1000, 2000, 4000]);
});

Deno.test("an answer that does not come, and a connection that is not there, are told", async () => {
  const hanging = Promise.withResolvers<Response>();
  await using github = startFakeGithub({ "GET /repos/o/r/issues/7": async () => (await hanging.promise).clone() });
  const message =
    /^Cannot read the issue "o\/r#7": need an answer from 127\.0\.0\.1:\d+, found no answer within 0\.02 s$/;
  await rejects(fetchIssue(URL_, optionsFor(github, { timeoutMs: 20 })), { message });
  hanging.resolve(new Response(""));
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const gone = { ...optionsFor(github), env: { GITHUB_API_URL: `http://127.0.0.1:${port}`, GITHUB_TOKEN: TOKEN } };
  await rejects(fetchIssue(URL_, gone), (error) => {
    ok(
      error instanceof Failure && error.message.endsWith("found no connection") && !Deno.inspect(error).includes(TOKEN),
    );
    return true;
  });
});

Deno.test("an interrupt ends the wait for GitHub at once", async () => {
  for (const when of ["answer", "wait"] as const) {
    const controller = new AbortController();
    const hanging = Promise.withResolvers<Response>();
    await using github = startFakeGithub({
      "GET /repos/o/r/issues/7": () => {
        if (when === "wait") return Response.json({}, { status: 429, headers: { "retry-after": "50" } });
        controller.abort(new Error("stop"));
        return hanging.promise;
      },
    });
    const { sleep: _, ...options } = optionsFor(github, { signal: controller.signal });
    const pending = fetchIssue(URL_, options);
    if (when === "wait") {
      while (github.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      controller.abort(new Error("stop"));
    }
    await rejects(pending, { message: "stop" });
    hanging.resolve(new Response(""));
  }
});

Deno.test("an answer without end is not kept in memory", async () => {
  const piece = new Uint8Array(1024 * 1024).fill(32);
  const endless = () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) }));
  deepEqual(await failureOf({ "GET /repos/o/r/issues/7": endless }), [
    'Cannot read the issue "o/r#7": GitHub\'s answer has more than 33554432 bytes',
  ]);
});

Deno.test("an address for the API that is not safe is refused", async () => {
  for (
    const url of ["http://api.example.com", "ftp://x", "nonsense", "https://user@x.example", "https://x.example?a=1"]
  ) {
    const env = { GITHUB_API_URL: url };
    await rejects(fetchIssue(URL_, { env, signal: new AbortController().signal, now: () => NOW }), {
      message: "Cannot use GITHUB_API_URL: need an address with https, found another text",
    });
  }
  const env = { GITHUB_TOKEN: "two words" };
  await rejects(fetchIssue(URL_, { env, signal: new AbortController().signal, now: () => NOW }), {
    message: "Cannot use the GitHub token: need one word, found white space or other letters in it",
  });
});
