/** A demo from its temporary folder to its exit code. */
import { Failure, messageOf } from "../../failure.ts";
import type { Io } from "../../terminal/io.ts";
import type { Demo } from "./demo.ts";
import { DemoProject } from "./demo_project.ts";
import { showMini } from "./show_mini.ts";
import { showSession } from "./show_session.ts";

export interface DemoFlags {
  readonly json?: boolean;
  readonly keep?: boolean;
  /** One agent alone. */
  readonly isMini: boolean;
}

export async function runDemo({ json = false, keep = false, isMini }: DemoFlags, io: Io): Promise<number> {
  const folder = await makeFolder(io);
  try {
    const project = await DemoProject.create(`${folder}/versions`, io);
    const say = (text: string) => json ? io.stderr.write(text) : io.stdout.write(text);
    const demo: Demo = { io: { ...io, env: project.env, cwd: folder }, json, folder, project, say };
    if (!project.hasGit) {
      const instead = isMini ? "the demo goes on without it" : "this is the demo of one agent, who can do without";
      await io.stderr.write(`Note: git is not installed or does not work here; ${instead}\n`);
    }
    if ((await project.test()).exitCode === 0) {
      throw new Failure("environment", "Cannot show the demo: the test of the broken project passes on this machine");
    }
    const { exitCode, kept } = await (isMini || !project.hasGit ? showMini(demo) : showSession(demo));
    if (io.signal.aborted) return exitCode;
    const { exitCode: testCode, output } = await project.test();
    await say(`The project's test, run once more: ${testCode === 0 ? "passes" : `fails\n${output}`}\n`);
    if (keep) await say(`Kept: ${kept}\n`);
    return exitCode !== 0 ? exitCode : testCode === 0 ? 0 : 1;
  } finally {
    if (!keep) await Deno.remove(folder, { recursive: true });
  }
}

async function makeFolder(io: Io): Promise<string> {
  try {
    return await Deno.realPath(await Deno.makeTempDir({ prefix: "gocore-demo-" }));
  } catch (cause) {
    const place = io.env.TMPDIR ? JSON.stringify(io.env.TMPDIR) : '"/tmp"';
    throw new Failure("environment", `Cannot make a temporary folder in ${place}: ${messageOf(cause)}`, {
      hints: ["Name a folder that can be written to, for example `TMPDIR=$HOME gocore demo`"],
      cause,
    });
  }
}
