/** How `gocore manager` ends when there is nothing to prove: what it says, and what it leaves. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { type FakeGithub, startFakeGithub } from "../github/fake_github.ts";
import { listing, type Reply } from "../support/gocore.ts";
import { builder, CORE, ISSUE, ManagedIssue, triager } from "../support/managed_issue.ts";

const QUICK = ["--workers", "1", "--rounds", "1", "--no-minimize", "--repro-validation-runs", "3", "--no-bisect"];
const SHORT = "import pkg\npkg.mean([])\n";
const FIXED = CORE.replace("    total = 0\n", "    if not values:\n        return 0\n    total = 0\n");
const WORKERS = { w1: builder(SHORT), w2: triager(9, "return total / len(values)", "nothing is divided by nothing") };

/** That nothing is left but the run's folder. */
async function nothingLeft(issue: ManagedIssue): Promise<void> {
  deepEqual(await listing(issue.box.tmp), []);
  equal((await issue.git("worktree", "list")).split("\n").length, 1);
  equal(await issue.git("status", "--porcelain"), "");
  await issue.box.noProcessLeft();
}

Deno.test("an issue that says nothing testable needs a person, and no worker is paid", async () => {
  await using issue = await ManagedIssue.create();
  await issue.box.file("issue.md", "# It is slow sometimes\n\nPlease look into it.\n");
  const end = await issue.run(WORKERS, QUICK);
  equal(end.code, 1, end.stderr);
  const { status, verdict, missing, metrics, repro } = await issue.decision();
  deepEqual([status, verdict, metrics.tokens.total.turns, repro], ["needs-human", null, 0, null]);
  ok(missing.length > 0);
  for (const one of missing) ok(end.stdout.includes(one), `${one} is told\n${end.stdout}`);
  match(await issue.read("final.md"), /^\*\*Needs somebody\*\*[^]*What is missing/);
  equal(JSON.parse(await issue.read("issue.json")).status, "needs-human");

  // Somebody adds what was missing.
  await issue.box.file("issue.md", ISSUE);
  const again = await issue.run(WORKERS, ["--resume", "r1"]);
  equal(again.code, 0, again.stdout + again.stderr);
  await nothingLeft(issue);
});

Deno.test("what fails every second time only is flaky: its share is told, and it is no success", async () => {
  await using issue = await ManagedIssue.create();
  let asked = 0;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(String(asked++ % 2)),
  );
  const script = `import urllib.request
import pkg
url = "http://127.0.0.1:${server.addr.port}/"
answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).read()
pkg.mean([] if answer == b"1" else [1])
`;
  const end = await issue.run({ w1: builder(script) }, [...QUICK, "--allow-network"]);
  equal(end.code, 1, end.stdout);
  const { status, verdict, rationale, candidates } = await issue.decision();
  deepEqual([status, verdict, candidates[0]!.verdict], ["needs-human", "flaky", "flaky"], rationale);
  const { matches, total_runs: runs } = candidates[0]!;
  equal(matches, Math.floor(runs / 2), "every second one");
  match(await issue.read("final.md"), new RegExp(`^\\*\\*Flaky\\*\\*[^]*${matches} of ${runs}`));
  await nothingLeft(issue);
});

Deno.test("what the default branch has mended is told, with the commit that did it", async () => {
  await using issue = await ManagedIssue.create();
  await issue.commit("notes.txt", "one\n");
  const fixed = await issue.commit("pkg/core.py", FIXED);
  await issue.commit("notes.txt", "two\n");
  const end = await issue.run(WORKERS, [...QUICK.filter((flag) => flag !== "--no-bisect"), "--ref", "HEAD~3"]);
  equal(end.code, 1, end.stdout);
  const { status, first_fixed, rationale } = await issue.decision();
  deepEqual([status, first_fixed?.commit], ["already-fixed", fixed], rationale);
  match(await issue.read("final.md"), /^\*\*Already fixed\*\*/);
  await nothingLeft(issue);
});

Deno.test("what the issue's version has and HEAD has not is fixed already", async () => {
  await using issue = await ManagedIssue.create();
  await issue.git("tag", "v1.2.0");
  const fixed = await issue.commit("pkg/core.py", FIXED);
  await issue.box.file("issue.md", `${ISSUE}\nThis is with v1.2.0.\n`);
  const end = await issue.run(WORKERS, QUICK.filter((flag) => flag !== "--no-bisect"));
  equal(end.code, 1, end.stdout);
  const { status, verdict, first_fixed, rationale } = await issue.decision();
  deepEqual([status, verdict, first_fixed?.commit], ["already-fixed", "already_fixed", fixed], rationale);
  await nothingLeft(issue);
});

Deno.test("when every worker fails the run has failed, with the reason of each", async () => {
  await using issue = await ManagedIssue.create();
  const refused: Reply[] = [{ error: { status: 401, message: "Incorrect API key" }, repeat: 20 }];
  const end = await issue.run({ w1: refused, w2: [{ content: "I could not.", repeat: 20 }] }, [
    ...["--workers", "2", "--rounds", "1", "--timeout-sec", "60"],
  ]);
  equal(end.code, 1, end.stdout);
  const { status, verdict, rationale, candidates } = await issue.decision();
  deepEqual([status, verdict], ["failed", null], rationale);
  deepEqual(candidates.map(({ worker_id, verdict }) => [worker_id, verdict]), [["w1", "unusable"], ["w2", "unusable"]]);
  match(rationale, /w1: the worker ended as failed/);
  match(end.stdout, /^w1 REPRO_BUILDER running → failed/m);
  equal(JSON.parse(await issue.read("run_done.json")).status, "failed");
  await nothingLeft(issue);
});

Deno.test("a wrong settings file is told with its line, and nothing is begun", async () => {
  await using issue = await ManagedIssue.create();
  const cases: readonly (readonly [toml: string, said: RegExp])[] = [
    ['[manager]\nworkers = "two"\n', /mminions\.toml:2.*workers/],
    ["[manager]\n\nwokers = 2\n", /mminions\.toml:3[^]*workers/],
    ["[manager\n", /mminions\.toml:1/],
  ];
  for (const [toml, said] of cases) {
    const file = await issue.box.file("mminions.toml", toml);
    for (const [args, env] of [[["--config", file], {}], [[], { MMINIONS_CONFIG: file }]] as const) {
      const end = await issue.run(WORKERS, args, { env });
      equal(end.code, 2, end.stdout);
      match(end.stderr, said);
    }
  }
  deepEqual(await listing(issue.runs).catch(() => []), []);
});

const PATH = "/repos/ann/tally/issues/7";
const ME = { id: 5, login: "ann", type: "User" };

/** An issue whose traceback stands in a comment of the second page, behind a limit of rates. */
function github(): FakeGithub & { readonly comments: { id: number; body: string }[] } {
  const comments: { id: number; body: string }[] = [];
  const page = (request: Request, texts: readonly string[], next?: string) =>
    Response.json(
      texts.map((body, index) => ({ id: 100 + index, body, user: { id: 9, login: "bob" } })).concat(
        next === undefined ? comments.map((comment) => ({ ...comment, user: ME })) : [],
      ),
      next === undefined ? {} : { headers: { link: `<${new URL(next, request.url)}>; rel="next"` } },
    );
  const issue = {
    number: 7,
    title: "mean() of an empty list crashes, seen with ghp_fedcba9876543210fedc",
    body: "It did not crash last year. @everyone look!",
    html_url: "https://github.com/ann/tally/issues/7",
    labels: [{ name: "bug" }],
    user: ME,
    updated_at: "2025-11-21T17:58:11Z",
    state: "open",
  };
  const github = startFakeGithub({
    [`GET ${PATH}`]: (_: Request, times: number) =>
      times === 1
        ? Response.json({ message: "You have exceeded a secondary rate limit" }, {
          status: 403,
          headers: { "retry-after": "1" },
        })
        : Response.json(issue),
    [`GET ${PATH}/comments?per_page=100`]: (request: Request) =>
      page(request, ["Same here"], `${PATH}/comments?per_page=100&page=2`),
    [`GET ${PATH}/comments?per_page=100&page=2`]: (request: Request) => page(request, [ISSUE]),
    "GET /user": ME,
    [`POST ${PATH}/comments`]: () => {
      const { body } = github.asked.at(-1)!.body as { body: string };
      comments.push({ id: 500, body });
      return Response.json({ id: 500, html_url: `${issue.html_url}#issuecomment-500` }, { status: 201 });
    },
    "PATCH /repos/ann/tally/issues/comments/500": { id: 500, html_url: `${issue.html_url}#issuecomment-500` },
  });
  return Object.assign(github, { comments });
}

Deno.test("an issue of GitHub is read with its comments, answered once, and its answer is edited later", async () => {
  await using issue = await ManagedIssue.create();
  await using server = github();
  const env = { GITHUB_API_URL: server.url, GITHUB_TOKEN: "ghp_0123456789abcdef0123456789abcdef0123" };
  const about = ["--issue-url", "https://github.com/ann/tally/issues/7", "--comment", ...QUICK];
  const first = await (await issue.start(WORKERS, [...about, "--run-id", "r1"], { env })).end;
  equal(first.code, 0, first.stdout + first.stderr);
  const spec = JSON.parse(await issue.read("issue.json"));
  deepEqual(
    [spec.issue_url, spec.repo_slug, spec.issue_number, spec.labels, spec.comments.length],
    ["https://github.com/ann/tally/issues/7", "ann/tally", 7, ["bug"], 2],
  );
  equal(spec.expected_failure_signals[0].exception_type, "ZeroDivisionError");
  const report = await issue.read("final.md");
  match(report, /https:\/\/github\.com\/ann\/tally\/blob\/[0-9a-f]{40}\/pkg\/core\.py#L9/);
  ok(!report.includes("@everyone"));
  match(report, /seen with \\\[redacted\\\]/);

  const second = await (await issue.start(WORKERS, [...about, "--run-id", "r2"], { env })).end;
  equal(second.code, 0, second.stdout + second.stderr);
  const writes = server.asked.filter(({ line }) => !line.startsWith("GET "));
  deepEqual(writes.map(({ line }) => line), [`POST ${PATH}/comments`, "PATCH /repos/ann/tally/issues/comments/500"]);
  const [posted, edited] = writes.map(({ body }) => (body as { body: string }).body);
  ok(posted!.endsWith(report), posted!);
  ok(edited!.endsWith(await issue.read("final.md", "r2")), edited!);
  for (const run of ["r1", "r2"]) {
    for (const path of await listing(join(issue.runs, run))) {
      if (path.endsWith("/")) continue;
      ok(!(await issue.read(path, run)).includes(env.GITHUB_TOKEN), `${path} has no secret`);
    }
  }
  await nothingLeft(issue);
});
