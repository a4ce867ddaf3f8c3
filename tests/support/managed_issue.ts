/** A Python project with a planted bug, an issue about it, and scripted workers: what `gocore manager` is tried on. */
import { strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import type { Decision } from "../../src/manager/artifacts.ts";
import { type GocoreEnd, type GocoreOptions, type GocoreRun, MARKER, quoted, type Reply, Sandbox } from "./gocore.ts";

export const CORE = `"""Numbers."""


def mean(values):
    """The arithmetic mean."""
    total = 0
    for value in values:
        total += value
    return total / len(values)
`;

export const ISSUE = `# mean() of an empty list crashes

\`\`\`python
import pkg
print(pkg.mean([]))
\`\`\`

\`\`\`
Traceback (most recent call last):
  File "t.py", line 2, in <module>
    print(pkg.mean([]))
  File "/home/ann/pkg/core.py", line 9, in mean
    return total / len(values)
ZeroDivisionError: division by zero
\`\`\`
`;

export const SCRIPT = `import sys

import pkg

numbers = [1, 2, 3]
print(pkg.mean(numbers))


def main():
    empty = [value for value in numbers if value > 10]
    print("mean:", pkg.mean(empty))


main()
`;

/** A worker that answers with a candidate in its file; what is in \`more\` it does before. */
export function builder(script: string, more: Record<string, unknown> & { before?: string } = {}): Reply[] {
  const { before = "true", ...fields } = more;
  const answer = {
    candidate_id: "repro",
    script,
    setup_commands: [],
    oracle_command: "python {repro_file}",
    claimed_failure_signature: "ZeroDivisionError: division by zero",
    file_extension: "py",
    ...fields,
  };
  return [
    { commands: [`${before}; printf %s ${quoted(JSON.stringify(answer))} > .gocore-task/answer.json`] },
    { commands: [`printf '%s\\n' ${MARKER} done`] },
  ];
}

/** A worker that answers with one hypothesis in its last message. */
export function triager(line: number, snippet: string, mechanism: string, file = "pkg/core.py"): Reply[] {
  const answer = {
    hypotheses: [{
      hypothesis_id: "h1",
      mechanism,
      evidence: [{ file, line, snippet }],
      confidence: 0.9,
      disconfirming_checks: ["Look whether callers check for it"],
    }],
  };
  return [{ commands: [`printf '%s\\n' ${MARKER} ${quoted(JSON.stringify(answer))}`] }];
}

export const TRIAGERS: Readonly<Record<string, Reply[]>> = {
  w3: triager(9, "return total / len(values)", "mean divides by len(values), which is zero for an empty list"),
  w4: triager(6, "total = 0", "the total begins at zero"),
};

/** What a repository has, by path, and what is said about it. */
export interface Project {
  readonly files: Readonly<Record<string, string>>;
  readonly issue: string;
}

const PYTHON: Project = {
  files: { "pkg/__init__.py": "from .core import mean\n", "pkg/core.py": CORE },
  issue: ISSUE,
};

export class ManagedIssue implements AsyncDisposable {
  private constructor(readonly box: Sandbox, readonly repo: string, readonly runs: string) {}

  /** `issue.md`, and a repository with the files. */
  static async create({ files, issue }: Project = PYTHON): Promise<ManagedIssue> {
    const box = await Sandbox.create();
    const managed = new ManagedIssue(box, await box.repository("project"), join(box.root, "runs"));
    for (const [path, content] of Object.entries(files)) await managed.write(path, content);
    await managed.git("add", ".");
    await managed.git("commit", "--quiet", "--message", "The project");
    await box.file("issue.md", issue);
    return managed;
  }

  async write(path: string, content: string): Promise<void> {
    await this.box.file(`project/${path}`, content);
  }

  /** Writes and commits; returns the commit. */
  async commit(path: string, content: string): Promise<string> {
    await this.write(path, content);
    await this.git("add", ".");
    await this.git("commit", "--quiet", "--message", `Change ${path}`);
    return await this.git("rev-parse", "HEAD");
  }

  async git(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("git", {
      args: ["-C", this.repo, "-c", "user.name=Test", "-c", "user.email=test@localhost", ...args],
      clearEnv: true,
      env: { PATH: Deno.env.get("PATH") ?? "", HOME: this.box.home, GIT_CONFIG_NOSYSTEM: "1" },
    }).output();
    equal(success, true, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  /** Of `gocore manager` and `gocore run`, for workers that do as they are told here. */
  async flags(workers: Readonly<Record<string, readonly Reply[]>>): Promise<string[]> {
    const script = await this.box.file("workers.yaml", JSON.stringify({ workers, replies: [] }) + "\n");
    return [
      ...["--repo-path", this.repo, "--agent", "mini", "--model", "mini=openai/gpt-5", "--backend", "process"],
      ...["--script", script, "--poll-interval-sec", "0.1", "--validation-python-version", "3"],
    ];
  }

  async start(
    workers: Readonly<Record<string, readonly Reply[]>>,
    args: readonly string[] = [],
    options: GocoreOptions = {},
  ): Promise<GocoreRun> {
    return await this.box.start(
      ["manager", "--runs-root", this.runs, ...await this.flags(workers), ...args],
      options,
    );
  }

  async run(
    workers: Readonly<Record<string, readonly Reply[]>>,
    args: readonly string[] = [],
    options: GocoreOptions = {},
  ): Promise<GocoreEnd> {
    const about = args.includes("--resume") ? [] : ["--issue-file", join(this.box.root, "issue.md"), "--run-id", "r1"];
    return await (await this.start(workers, [...about, ...args], options)).end;
  }

  async read(path: string, run = "r1"): Promise<string> {
    return await Deno.readTextFile(join(this.runs, run, path));
  }

  async decision(run = "r1"): Promise<Decision> {
    return JSON.parse(await this.read("decision.json", run));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.box[Symbol.asyncDispose]();
  }
}
