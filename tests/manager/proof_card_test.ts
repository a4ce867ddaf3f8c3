import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import type { FailureSignature } from "../../src/oracle/expected.ts";
import type { Validation } from "../../src/manager/ports.ts";
import { proofJson, type ProofParts, proofReadme, sha256, verifyScript } from "../../src/manager/proof_card.ts";
import { inTempDir, namesIn } from "../support/temp_dir.ts";

const signature: FailureSignature = {
  runtime: "generic",
  kind: "exit",
  type: null,
  template: null,
  frame: null,
  exitCode: 3,
  signal: null,
};

function parts(more: Partial<ProofParts>, found: Partial<FailureSignature> = {}, commit = ""): ProofParts {
  const proof: Validation = {
    total_runs: 3,
    matches: 3,
    matched_signature: "",
    passed: true,
    verdict: "reproduced",
    reason: "",
    interval: [0.4, 1],
    commit,
    signature: { ...signature, ...found },
    outcomes: [],
  };
  return {
    runId: "r1",
    version: "0.1.0",
    script: "exit 3\n",
    fileExtension: "sh",
    setupCommands: [],
    oracleCommand: "sh {repro_file}",
    proof,
    signature: "exit 3",
    environment: null,
    oracleTimeoutMs: 20_000,
    ...more,
  };
}

interface Shown {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Puts a card beside a repository, and runs it as anybody would. */
async function verify(
  make: (commit: string) => ProofParts,
  look: (shown: Shown, dir: string) => void | Promise<void> = () => {},
  change: (card: string) => Promise<void> = () => Promise.resolve(),
): Promise<Shown> {
  let shown: Shown | undefined;
  await inTempDir(async (dir) => {
    const repo = join(dir, "a repo's");
    const tmp = join(dir, "tmp");
    const card = join(dir, "card");
    for (const path of [repo, tmp, card]) await Deno.mkdir(path);
    const env = { PATH: Deno.env.get("PATH") ?? "", HOME: dir, TMPDIR: tmp, GIT_CONFIG_NOSYSTEM: "1" };
    const git = async (...args: string[]) => {
      const identity = ["-c", "user.name=T", "-c", "user.email=t@localhost"];
      const options = { args: ["-C", repo, ...identity, ...args], clearEnv: true, env };
      const { success, stdout, stderr } = await new Deno.Command("git", options).output();
      ok(success, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout).trim();
    };
    await git("init", "--quiet");
    await Deno.writeTextFile(join(repo, "data.txt"), "old\n");
    await git("add", ".");
    await git("commit", "--quiet", "-m", "old");
    const commit = await git("rev-parse", "HEAD");
    await Deno.writeTextFile(join(repo, "data.txt"), "new\n");
    await git("commit", "--quiet", "-am", "new");
    const made = make(commit);
    await Deno.writeTextFile(join(card, `minimal_repro.${made.fileExtension}`), made.script);
    await Deno.writeTextFile(join(card, "verify.sh"), verifyScript(made));
    await change(card);
    const end = await new Deno.Command("sh", { args: [join(card, "verify.sh"), repo], clearEnv: true, env, cwd: "/" })
      .output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    shown = { code: end.code, out: text(end.stdout), err: text(end.stderr) };
    deepEqual(namesIn(tmp), [], "nothing is left");
    equal(await git("status", "--porcelain"), "");
    equal((await git("worktree", "list")).split("\n").length, 1);
    await look(shown, dir);
  });
  return shown!;
}

Deno.test("a failure that comes each time is shown as often, at the commit of the proof", async () => {
  const shown = await verify((commit) => parts({ script: `grep -q old data.txt && exit 3\n` }, {}, commit));
  deepEqual(shown, {
    code: 0,
    out: [
      "run 1 of 3: exit status 3, match",
      "run 2 of 3: exit status 3, match",
      "run 3 of 3: exit status 3, match",
      "REPRODUCED 3 of 3: exit 3",
      "",
    ].join("\n"),
    err: "",
  });
});

Deno.test("another exit status, another message and a run that changes things are no reproduction", async () => {
  const python = {
    runtime: "python",
    kind: "exception",
    type: "pkg.BadError",
    template: "no … in '…'",
    exitCode: 1,
  } as const;
  const cases: readonly (readonly [ProofParts["script"], Partial<FailureSignature>, number, RegExp])[] = [
    ["exit 4\n", {}, 1, /run 1 of 3: exit status 4, another exit status\n[^]*NOT REPRODUCED: 0 of 3/],
    ["echo 'pkg.BadError: no 12 in '\"'x'\" >&2; exit 1\n", python, 0, /REPRODUCED 3 of 3/],
    ["echo 'pkg.BadError: no' >&2; echo \"12 in 'y'\" >&2; exit 1\n", python, 0, /REPRODUCED 3 of 3/],
    ["echo 'GoodError: no 12 in '\"'x'\" >&2; exit 1\n", python, 1, /another failure/],
    ["echo 'pkg.BadError: yes' >&2; exit 1\n", python, 1, /another failure/],
    [
      "kill -SEGV $$\n",
      { kind: "signal", type: "SIGSEGV", signal: "SIGSEGV", exitCode: null },
      0,
      /exit status 139, match/,
    ],
    // A file that a run has left is not there in the next one.
    ["test -e left || exit_now=3; touch left; exit ${exit_now:-0}\n", {}, 0, /REPRODUCED 3 of 3/],
  ];
  for (const [script, found, code, said] of cases) {
    const shown = await verify((commit) => parts({ script }, found, commit));
    equal(shown.code, code, script + shown.out + shown.err);
    match(shown.out, said);
  }
});

Deno.test("setup commands run once before, and one that fails ends it", async () => {
  const setup = await verify((commit) =>
    parts({ setupCommands: ["echo 'exit 3' > made.sh"], script: ". ./made.sh\n" }, {}, commit)
  );
  equal(setup.code, 0, setup.out + setup.err);
  const failing = await verify((commit) => parts({ setupCommands: ["echo why >&2; exit 9"] }, {}, commit));
  deepEqual(failing, { code: 2, out: "", err: "A setup command failed: echo why >&2; exit 9\nwhy\n" });
});

Deno.test("a script that is not the proved one is not run", async () => {
  const shown = await verify(
    (commit) => parts({}, {}, commit),
    undefined,
    (card) => Deno.writeTextFile(join(card, "minimal_repro.sh"), "exit 3 # other\n"),
  );
  deepEqual(shown, { code: 2, out: "", err: "minimal_repro.sh is not the one that was proved\n" });
});

Deno.test("a repository without the commit is told", async () => {
  const shown = await verify(() => parts({}, {}, "1".repeat(40)));
  equal(shown.code, 2);
  match(shown.err, /has no commit 1{40}: fetch it first/);
});

Deno.test("values that are shell text stay values", async () => {
  const hostile = `'; touch "$HOME/hacked"; $(touch "$HOME/hacked") \`touch "$HOME/hacked"\` \\`;
  const shown = await verify(
    (commit) =>
      parts(
        { signature: hostile, script: `exit 3 # ${hostile}\n` },
        { runtime: "python", kind: "exception", type: `E${hostile}`, template: `${hostile} …`, exitCode: 3 },
        commit,
      ),
    (_, dir) => deepEqual(namesIn(dir), ["a repo's", "card", "tmp"]),
  );
  equal(shown.code, 1);
  ok(shown.out.endsWith(`NOT REPRODUCED: 0 of 3 failed like this: ${hostile}\n`), shown.out);
});

Deno.test("proof.json and the README say the same as the script", () => {
  const made = parts({}, {}, "c".repeat(40));
  const proof = proofJson(made);
  deepEqual([proof.commit, proof.script, proof.script_sha256, proof.verdict, proof.matches, proof.total_runs], [
    "c".repeat(40),
    "minimal_repro.sh",
    sha256("exit 3\n"),
    "reproduced",
    3,
    3,
  ]);
  const readme = proofReadme(made);
  match(readme, /failed in the same way in 3 of 3 runs[^]*sh verify\.sh[^]*sh repro_candidate\.sh/);
});
