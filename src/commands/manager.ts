/** `gocore manager`: its flags and help. */
import type { Command } from "@commander-js/extra-typings";
import type { Io } from "../terminal/io.ts";
import { addManagerFlags } from "./manager/manager_flags.ts";

const HELP = `
From an issue to a proven minimal reproducer and ranked hypotheses. Workers write reproducers, each in its own
git worktree; each is run in a clean copy of the commit, sandboxed, as often as it has to be to know whether it
fails every time and in the same way. The best is made as small as it can be and proved again; other workers
say what causes it, and what they cite is checked and tried out.

The run is kept in {runs-root}/{run-id}: final.md is ready for the issue, repro/verify.sh shows the failure to
anybody, decision.json has all of it for machines. A run that was killed goes on with --resume, or when it is
started again with its --run-id; nothing that was done is done again.

Settings: flags > environment > mminions.toml > defaults.

Exit codes: 0 the failure is reproduced, every time; 1 any other end (already fixed, flaky, not reproduced, needs
somebody, failed, stopped); 2 wrong usage; 130 and 143 after SIGINT and SIGTERM.

Examples:
  gocore manager --issue-url https://github.com/numpy/numpy/issues/30272 --repo-path ./numpy
  gocore manager --issue-file bug.md --agent mini --model mini=openai/gpt-5 --budget 2
  gocore manager --issue-url OWNER/REPO#12 --stable-run-id --if-changed --quiet --comment      from cron
  gocore manager --resume run-20251121175811

Environment:
  GITHUB_TOKEN (or GH_TOKEN), GITHUB_API_URL   to read and comment on issues
  MMINIONS_CONFIG                              as --config
  ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY   the providers' keys; only the gateway inside has them
`;

export function define(command: Command, io: Io, done: (exitCode: number) => void): void {
  addManagerFlags(command)
    .addHelpText("after", HELP)
    .action(async (flags) => {
      const { readManagerRequest } = await import("./manager/manager_request.ts");
      const request = await readManagerRequest(flags, io);
      const { runManager } = await import("./manager/run_manager.ts");
      done(await runManager(request, io));
    });
}
