/** What the session of the demo is told: its task, its plan, and what its models answer. */
import type { OrchestrateFlags } from "../orchestrate/saved_options.ts";
import type { DemoProject } from "./demo_project.ts";
import plan from "./plan.json" with { type: "text" };
import script from "./script.yaml" with { type: "text" };

const TASK = "Mend version_lt, test it better, and describe it";
/** Whose price list says what the calls would have cost. */
export const DEMO_MODEL = "claude-sonnet-4-5";

/** Writes the files for it into the folder; the flags of `gocore orchestrate`, but for where the session is kept. */
export async function writeDemoSession(
  folder: string,
  { workdir }: Pick<DemoProject, "workdir">,
): Promise<OrchestrateFlags> {
  await Deno.writeTextFile(`${folder}/plan.json`, plan);
  await Deno.writeTextFile(`${folder}/script.yaml`, script);
  return {
    task: TASK,
    target: workdir,
    agents: "mini",
    model: [`mini=anthropic/${DEMO_MODEL}`],
    plan: `${folder}/plan.json`,
    script: `${folder}/script.yaml`,
    ledger: `${folder}/ledger.db`,
    verify: "sh test.sh",
    // A small machine may be busy with nothing else.
    workerCpuPercent: 0,
    dashboard: false,
  };
}
