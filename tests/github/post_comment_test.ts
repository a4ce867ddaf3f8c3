/** Reports under issues: one for each author, edited when it is there already. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { Failure } from "../../src/failure.ts";
import type { GithubOptions } from "../../src/github/github_api.ts";
import { postComment } from "../../src/github/post_comment.ts";
import { type FakeGithub, startFakeGithub } from "./fake_github.ts";

const URL_ = "https://github.com/o/r/issues/7";
const ISSUE = "GET /repos/o/r/issues/7";
const COMMENTS = "GET /repos/o/r/issues/7/comments?per_page=100";
const POST = "POST /repos/o/r/issues/7/comments";
const MARKED = "<!-- gocore-manager -->\nthe former report";

const optionsFor = (github: FakeGithub): GithubOptions => ({
  env: { GITHUB_API_URL: github.url, GITHUB_TOKEN: "token-of-eve" },
  signal: new AbortController().signal,
  now: () => 0,
  sleep: () => Promise.resolve(),
});
const written = (github: FakeGithub) =>
  github.asked.filter(({ line }) => !line.startsWith("GET")).map(({ line, body }) => [line, body]);

Deno.test("a report is posted once, behind a hidden line", async () => {
  await using github = startFakeGithub({
    "GET /user": { id: 1 },
    [ISSUE]: {},
    [COMMENTS]: [
      { id: 10, user: { id: 1 }, body: "quotes <!-- gocore-manager -->" },
      { id: 11, user: { id: 2 }, body: MARKED },
      { id: 12, user: null, body: MARKED },
    ],
    [POST]: { html_url: `${URL_}#issuecomment-20` },
  });
  deepEqual(await postComment(URL_, "Reproduced", optionsFor(github)), {
    url: `${URL_}#issuecomment-20`,
    edited: false,
  });
  deepEqual(written(github), [[POST, { body: "<!-- gocore-manager -->\nReproduced" }]]);
});

Deno.test("one's own former report is edited, on whichever page it is", async () => {
  const answers: Record<string, unknown> = { "GET /user": { id: 1 }, [ISSUE]: {} };
  await using github = startFakeGithub(answers);
  const link = { link: `<${github.url}/repos/o/r/issues/7/comments?per_page=100&page=2>; rel="next"` };
  answers[COMMENTS] = () => Response.json([{ id: 11, user: { id: 2 }, body: MARKED }], { headers: link });
  answers[`${COMMENTS}&page=2`] = [{ id: 30, user: { id: 1 }, body: MARKED }];
  answers["PATCH /repos/o/r/issues/comments/30"] = { html_url: `${URL_}#issuecomment-30` };
  deepEqual(await postComment(URL_, "Again", optionsFor(github)), { url: `${URL_}#issuecomment-30`, edited: true });
  deepEqual(written(github), [["PATCH /repos/o/r/issues/comments/30", { body: "<!-- gocore-manager -->\nAgain" }]]);
});

Deno.test("a moved issue is commented on where it is now", async () => {
  await using github = startFakeGithub({
    "GET /user": { id: 1 },
    [ISSUE]: () => new Response("", { status: 301, headers: { location: "/repositories/5/issues/9" } }),
    "GET /repositories/5/issues/9": {},
    "GET /repositories/5/issues/9/comments?per_page=100": [{ id: 30, user: { id: 1 }, body: MARKED }],
    "PATCH /repositories/5/issues/comments/30": {},
  });
  deepEqual(await postComment(URL_, "Again", optionsFor(github)), { url: URL_, edited: true });
});

Deno.test("an app that may not ask who it is takes a bot's report for its own, and nobody else's", async () => {
  await using github = startFakeGithub({
    "GET /user": () => Response.json({ message: "Resource not accessible by integration" }, { status: 403 }),
    [ISSUE]: {},
    [COMMENTS]: [
      { id: 11, user: { id: 2, type: "User" }, body: MARKED },
      { id: 12, user: { id: 3, type: "Bot" }, body: MARKED },
    ],
    "PATCH /repos/o/r/issues/comments/12": {},
  });
  equal((await postComment(URL_, "Again", optionsFor(github))).edited, true);
});

Deno.test("a comment that may have been taken is not sent again", async () => {
  await using github = startFakeGithub({
    "GET /user": { id: 1 },
    [ISSUE]: {},
    [COMMENTS]: [],
    [POST]: () => new Response("", { status: 502 }),
  });
  await rejects(postComment(URL_, "Report", optionsFor(github)), {
    message: 'Cannot comment on the issue "o/r#7": GitHub answered 502',
  });
  equal(written(github).length, 1);
});

Deno.test("without a token, or without the right to, it says so", async () => {
  await using github = startFakeGithub({
    "GET /user": { id: 1 },
    [ISSUE]: {},
    [COMMENTS]: [],
    [POST]: () => Response.json({ message: "Must have push access" }, { status: 403 }),
  });
  const options = optionsFor(github);
  await rejects(postComment(URL_, "x", { ...options, env: { GITHUB_API_URL: github.url } }), (error) => {
    ok(error instanceof Failure);
    deepEqual([error.message, ...error.hints], [
      'Cannot comment on the issue "o/r#7": need a token, found none',
      "Set GITHUB_TOKEN, for example `export GITHUB_TOKEN=$(gh auth token)`",
    ]);
    return true;
  });
  await rejects(postComment(URL_, "x", options), {
    message: 'Cannot comment on the issue "o/r#7": GitHub answered 403 (Must have push access)',
  });
});

Deno.test("a report that is too long for GitHub ends at a line, with its fence closed", async () => {
  await using github = startFakeGithub({ "GET /user": { id: 1 }, [ISSUE]: {}, [COMMENTS]: [], [POST]: {} });
  const report = `# Report\n\n~~~~\n\`\`\`\n${"a line of output\n".repeat(5000)}~~~~\n`;
  await postComment(URL_, report, optionsFor(github));
  const { body } = github.asked.at(-1)!.body as { body: string };
  ok(body.length <= 65_536);
  ok(body.endsWith("a line of output\n~~~~\n\nThe rest is in `final.md` of the run."), body.slice(-200));
});
