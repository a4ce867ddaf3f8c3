/** Puts traps through the manager's own parts: issue, answer, clean place, validation and final proof. */
import { join } from "node:path";
import { createCleanPlaces } from "../../../src/commands/manager/places/clean_places.ts";
import { parseIssueFile } from "../../../src/github/parse_issue_file.ts";
import { readCandidate } from "../../../src/manager/candidate.ts";
import { issueSpec } from "../../../src/manager/issue_spec.ts";
import type { CleanPlaces, IssueSpec, Validation } from "../../../src/manager/ports.ts";
import { validate, type ValidateOptions } from "../../../src/manager/validate.ts";
import { findFailures } from "../../../src/oracle/find_failures.ts";
import { runCommand } from "../../../src/process/spawn.ts";
import { withScratch } from "../../git/scratch_repository.ts";
import type { Planted, Trap } from "./trap.ts";

type Answered = Omit<Trap, "fate">;

const RUNS = 5;
const AT_A_TIME = 4;
const never = new AbortController().signal;

export interface Judged {
  readonly claim: string;
  readonly fate: string;
  readonly reason: string;
}

/** In the order in which they are given. */
export async function judgeAll(planted: Planted, answers: readonly Answered[]): Promise<Judged[]> {
  const judged: Judged[] = [];
  await withScratch(async ({ dir, env, repository, git, write }) => {
    await git("rm", "--quiet", "-r", ".");
    await write(planted.files);
    await git("add", "-A", "-f");
    await git("commit", "--quiet", "-m", "Plant bugs");
    const commit = await git("rev-parse", "HEAD");
    // What a worker has in its own folder, and nobody else.
    await write({ "helper.py": "def helper(): return 0\n", "data.txt": "x\n" }, join(dir, "worker"));
    const places = await createCleanPlaces({
      repository: { root: repository.root, commonDir: repository.commonDir },
      folder: join(dir, "places"),
      hidden: [join(dir, "worker")],
      env: { PATH: env.PATH!, HOME: Deno.env.get("HOME")! },
      sandbox: "require",
      run: runCommand,
      signal: never,
      settings: {
        pythonVersion: "3",
        oracleTimeoutMs: planted.oracleTimeoutMs ?? 120_000,
        setupTimeoutMs: 300_000,
        allowNetwork: false,
        parallel: AT_A_TIME,
      },
    });
    try {
      const files = (await git("ls-files")).split("\n");
      const open = answers.map((answer, index) => ({ answer, index }));
      const next = async (): Promise<void> => {
        for (let one = open.shift(); one !== undefined; one = open.shift()) {
          const answer = { ...one.answer, script: one.answer.script.replaceAll("{worker}", join(dir, "worker")) };
          const spec = await issueSpec(parseIssueFile(answer.issue, "issue.md"), {
            files,
            hasRef: () => Promise.resolve(false),
            findFailures,
          });
          judged[one.index] = {
            claim: answer.claim,
            ...await judge(answer, { planted, places, spec, commit, worker: `w${one.index}` }),
          };
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, next));
    } finally {
      await places.close();
    }
    // Nothing that ran has reached the repository.
    const left = await git("status", "--porcelain");
    if (left !== "") throw new Error(`The repository was changed: ${left}`);
  });
  return judged;
}

async function judge(answer: Answered, { planted, places, spec, commit, worker }: {
  readonly planted: Planted;
  readonly places: CleanPlaces;
  readonly spec: IssueSpec;
  readonly commit: string;
  readonly worker: string;
}): Promise<Pick<Judged, "fate" | "reason">> {
  if (spec.status === "needs-human") return { fate: "needs-human", reason: spec.needs_human_reason ?? "" };
  const read = readCandidate([{
    candidate_id: worker,
    script: answer.script,
    setup_commands: answer.setup ?? [],
    oracle_command: answer.oracle ?? planted.oracle,
    claimed_failure_signature: answer.signature ?? "as the issue says",
    file_extension: answer.extension ?? planted.extension,
  }], worker);
  if (read.kind === "problem") return { fate: "rejected", reason: read.problem };
  const { candidate } = read;
  const preparation = await places.prepare(candidate, { commit, signal: never });
  if (preparation.kind !== "ready") {
    const fate = preparation.kind === "environment" ? "environment_error" : preparation.kind;
    return { fate, reason: `${preparation.reason}\n${preparation.output}` };
  }
  const { place } = preparation;
  const options: ValidateOptions = {
    spec,
    settings: { validationRuns: RUNS },
    stage: "validate",
    publish: () => Promise.resolve(),
    signal: never,
  };
  try {
    const first = await validate(candidate, place, options);
    if (!first.passed) return told(first);
    // As a run does it before it calls anything proved.
    return told(await validate(candidate, place, { ...options, stage: "final", expected: first.signature }));
  } finally {
    await place.close();
  }
}

function told({ verdict, outcomes, reason, passed }: Validation): Pick<Judged, "fate" | "reason"> {
  if (passed) return { fate: verdict, reason };
  if (verdict === "unusable" || verdict === "environment_error") return { fate: verdict, reason };
  const counts = Map.groupBy(outcomes, ({ outcome }) => outcome);
  const [most] = [...counts].toSorted(([, a], [, b]) => b.length - a.length);
  return { fate: verdict === "flaky" ? verdict : `${verdict} ${most![0]}`, reason };
}
