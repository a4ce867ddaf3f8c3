/** `gocore demo` as a newcomer sees it, and what is left of it: nothing. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { type EventOf, type GocoreEnd, quoted, Sandbox } from "../support/gocore.ts";

async function leftIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).filter((n) =>
    n.startsWith("gocore-demo")
  );
}

function eventsOf<T extends GocoreEnd["events"][number]["type"]>({ events }: GocoreEnd, type: T): EventOf<T>["data"][] {
  return events.filter((event) => event.type === type).map(({ data }) => data as EventOf<T>["data"]);
}

/** The `PATH` of a machine that has nothing but these. */
async function pathOf(box: Sandbox, names: readonly string[]): Promise<string> {
  const bin = (await box.file("bin/.keep", "")).slice(0, -"/.keep".length);
  const path = (Deno.env.get("PATH") ?? "").split(":");
  for (const name of names) {
    for (const folder of path) {
      const program = `${folder}/${name}`;
      if (!await Deno.stat(program).then(({ isFile }) => isFile, () => false)) continue;
      await Deno.symlink(program, `${bin}/${name}`);
      break;
    }
  }
  return bin;
}

const withPath = (path: string) => ["sh", "-c", `PATH=${quoted(path)} exec "$0" "$@"`];
const WITHOUT_GIT = ["bash", "cat", "diff", "head", "ls", "sh", "sort"];

Deno.test("the demo shows three agents, a review that finds a flaw, and the tested result; it leaves nothing", async () => {
  await using box = await Sandbox.create();
  const { code, stdout, stderr } = await box.run(["demo"]);
  deepEqual([code, stderr], [0, ""]);
  const parts = [
    "Three agents work on a small project",
    'Starts on "Repair version_lt"',
    "concerns: Versions of three parts are right, and those of four are not.",
    "- versions.sh:5: 1.0.0.10 counts as older than 1.0.0.9",
    "LOG_WARNING (rule 3)",
    'mini: Starts on "Repair version_lt", attempt 2',
    "approved: Versions of three and of four parts are compared as numbers.",
    "The check passes: sh test.sh",
    '-  [ "$1" != "$2" ] && [ "$(printf \'%s\\n\' "$1" "$2" | LC_ALL=C sort',
    "What reviewers said of it:",
    "Scripted models cost nothing; claude-sonnet-4-5 would cost 0.",
    "The project's test, run once more: passes\n",
  ];
  const places = parts.map((part) => stdout.indexOf(part));
  deepEqual(places, places.toSorted((a, b) => a - b), stdout);
  ok(places[0] === 0 && stdout.endsWith(parts.at(-1)!), stdout);
  deepEqual(await leftIn(box.tmp), []);
  await box.noProcessLeft();
});

Deno.test("demo --json shows a session's events on stdout and the rest on stderr; nothing of the caller's settings reaches it", async () => {
  await using box = await Sandbox.create();
  const env = {
    MINI_API_BASE: "http://127.0.0.1:9",
    GOCORE_ORCHESTRATE_CONFIG: "/nonexistent",
    GOCORE_GATEWAY_CONFIG: "/nonexistent",
    ORCHESTRATOR_WORKSPACE: "/nonexistent",
    GIT_DIR: "/nonexistent",
  };
  const end = await box.run(["demo", "--json"], { env });
  equal(end.code, 0, end.stderr);
  equal(end.stdout.trim().split("\n").length, end.events.length);
  deepEqual([end.events[0]!.type, end.events.at(-1)!.type], ["session.started", "session.finished"]);
  const reviews = eventsOf(end, "review.requested");
  const answers = eventsOf(end, "review.answered");
  const verdicts = answers.map(({ review, verdict, issues }) => {
    const { task, revision } = reviews.find((one) => one.review === review)!;
    return [task, revision, verdict, ...issues.map(({ file, line }) => `${file}:${line}`)];
  });
  deepEqual(verdicts.sort(), [
    ["docs", 1, "approved"],
    ["fix", 1, "concerns", "versions.sh:5"],
    ["fix", 2, "approved"],
    ["tests", 1, "approved"],
  ]);
  deepEqual(eventsOf(end, "decision.made").map(({ action, rule }) => `${action} ${rule}`).sort(), [
    "CONTINUE 4",
    "CONTINUE 4",
    "CONTINUE 4",
    "LOG_WARNING 3",
  ]);
  deepEqual(eventsOf(end, "merge.ended").map(({ task, outcome, files }) => [task, outcome, ...files]), [
    ["fix", "merged", "versions.sh"],
    ["tests", "merged", "test.sh"],
    ["docs", "merged", "README.md"],
  ]);
  deepEqual(eventsOf(end, "verify.ended").map(({ exit_code }) => exit_code), [0]);
  deepEqual(eventsOf(end, "recovery.attempted"), []);
  const [{ status, applied, open }] = eventsOf(end, "session.finished") as [EventOf<"session.finished">["data"]];
  deepEqual({ status, applied, open }, { status: "done", applied: true, open: [] });
  match(end.stderr, /^Three agents [^]*run once more: passes\n$/);
});

Deno.test("demo --keep keeps the project with its history, and the session", async () => {
  await using box = await Sandbox.create();
  const { code, stdout } = await box.run(["demo", "--keep"]);
  equal(code, 0, stdout);
  const [, project, workspace] = /\nKept: (.*)\nSee the session: .* --workspace (.*)\n$/.exec(stdout) ?? [];
  const { stdout: log } = await new Deno.Command("git", { args: ["log", "--format=%s"], cwd: project! }).output();
  deepEqual(new TextDecoder().decode(log).trim().split("\n").filter((line) => line.startsWith("Merge")).sort(), [
    'Merge "Repair version_lt"',
    'Merge "Test more kinds of versions"',
    'Merge "Write a README"',
  ]);
  const [session] = await Array.fromAsync(Deno.readDir(workspace!));
  match(await Deno.readTextFile(`${workspace}/${session!.name}/final.md`), /1\.0\.0\.10 counts as older/);
});

Deno.test("demo mini repairs its project, shows the change, and leaves nothing", async () => {
  await using box = await Sandbox.create();
  const { code, stdout, stderr } = await box.run(["demo", "mini"]);
  deepEqual([code, stderr], [0, ""]);
  match(
    stdout,
    /FAILED[^]*\nsuccess after 4 steps[^]*\n-.*LC_ALL=C sort[^]*\n\+.*sort -t \.[^]*run once more: passes\n$/,
  );
  deepEqual(await leftIn(box.tmp), []);
});

Deno.test("demo mini --json shows a run's events on stdout and the rest on stderr", async () => {
  await using box = await Sandbox.create();
  const { code, events, stdout, stderr } = await box.run(["demo", "mini", "--json"]);
  equal(code, 0);
  deepEqual(stdout.trim().split("\n").length, events.length);
  deepEqual([events[0]!.type, ...events.slice(-2).map(({ type }) => type)], ["start", "finish", "cost"]);
  match(stderr, /run once more: passes\n$/);
});

Deno.test("the demo of one agent needs no git, and stands in for the other one", async () => {
  await using box = await Sandbox.create();
  const wrapper = withPath(await pathOf(box, WITHOUT_GIT));
  const notes = {
    "demo mini": "the demo goes on without it",
    "demo": "this is the demo of one agent, who can do without",
  };
  for (const [line, note] of Object.entries(notes)) {
    const { code, stdout, stderr } = await box.run(line.split(" "), { wrapper });
    deepEqual([code, stderr], [0, `Note: git is not installed or does not work here; ${note}\n`]);
    match(stdout, /\n--- a\/versions\.sh\n\+\+\+ b\/versions\.sh\n[^]*run once more: passes\n$/);
  }
});

Deno.test("the demo needs no bubblewrap, and says that agents are not sandboxed", async () => {
  await using box = await Sandbox.create();
  const programs = [...WITHOUT_GIT, "cut", "env", "git", "grep", "mv", "sed"];
  const { code, stdout, stderr } = await box.run(["demo"], { wrapper: withPath(await pathOf(box, programs)) });
  deepEqual([code, stderr], [0, ""], stdout);
  equal(stdout.match(/Works without a sandbox: bubblewrap is not installed\n/g)?.length, 1, stdout);
  match(stdout, /run once more: passes\n$/);
});

const SOON: Record<string, (type: string) => boolean> = {
  "demo": (type) => type === "review.requested",
  "demo mini": (type) => type === "thought",
};
for (const [line, isSoon] of Object.entries(SOON)) {
  Deno.test(`${line}, when it is interrupted or its reader leaves, is gone without a word`, async () => {
    await using box = await Sandbox.create();
    const interrupted = await box.run([...line.split(" "), "--json"], {
      signalAfter: { event: ({ type }) => isSoon(type), signal: "SIGINT" },
    });
    ok([130, 0].includes(interrupted.code), String(interrupted.code));
    const gone = `"$@" | { read line; exec <&-; }; echo "code \${PIPESTATUS[0]}" >&2`;
    const { stderr } = await box.run(line.split(" "), { wrapper: ["bash", "-c", gone, "bash"] });
    match(stderr, /^code [01]\n$/);
    await box.noProcessLeft();
    deepEqual(await leftIn(box.tmp), []);
  });
}

Deno.test("a demo without a place for its project says which place it tried", async () => {
  await using box = await Sandbox.create();
  const { code, stderr } = await box.run(["demo"], { env: { TMPDIR: "/nonexistent" } });
  equal(code, 1);
  match(stderr, /^Error: Cannot make a temporary folder in "\/nonexistent": .*\nHint: .*TMPDIR=/);
});
