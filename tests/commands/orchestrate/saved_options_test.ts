/** A session that is resumed has the flags of its start, and those that are given now over them. */
import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { readOptions } from "../../../src/commands/orchestrate/read_options.ts";
import { type OrchestrateFlags, saveOptions } from "../../../src/commands/orchestrate/saved_options.ts";
import { Failure } from "../../../src/failure.ts";
import { Redactor } from "../../../src/safety/secrets.ts";
import { inTempDir } from "../../support/temp_dir.ts";
import { started, writeSession } from "./sessions.ts";

const SECRET = "hunter2-is-a-secret";
const redactor = new Redactor([SECRET]);

/** Starts a session `orch_1` with these flags in `cwd`; it is then there to be resumed. */
async function start(cwd: string, flags: OrchestrateFlags): Promise<string> {
  const { options, given, resume } = await readOptions({ env: {}, cwd, flags });
  equal(resume, undefined);
  const folder = await writeSession(options.workspace, "orch_1", [started()]);
  await saveOptions(folder, given, { redactor });
  return folder;
}

const messageOf = async (promise: Promise<unknown>, cwd: string) => {
  let text = "";
  await rejects(promise, (error) => {
    ok(error instanceof Failure, Deno.inspect(error));
    text = [error.kind, error.message, ...error.hints].join("\n").replaceAll(cwd, "{cwd}");
    return true;
  });
  return text;
};

Deno.test("a resumed session has the flags of its start, wherever it is resumed", async () => {
  await inTempDir(async (cwd) => {
    await Deno.mkdir(`${cwd}/project`);
    await Deno.writeTextFile(`${cwd}/o.toml`, "[orchestrate]\nbudget = 4\ngrace_sec = 1");
    await start(cwd, {
      task: "Do it",
      target: "project",
      config: "o.toml",
      ledger: "l.db",
      script: "s.yaml",
      agents: "mini",
      model: ["mini=a", "claude=b"],
      apply: false,
      reviewers: 1,
      json: true,
      verbose: true,
    });
    const first = await readOptions({ env: {}, cwd: `${cwd}/project`, flags: {}, resume: "last" });
    const { session, ...options } = first.options;
    equal(first.resume, "orch_1");
    deepEqual(
      [session.task, session.target, session.budgetUsd, session.graceMs, session.apply, session.reviews.reviewers],
      ["Do it", `${cwd}/project`, 4, 1000, false, 1],
    );
    deepEqual([options.chosenAgents, options.models], [["mini"], { mini: "a", claude: "b" }]);
    deepEqual(options.gateway, { ledger: `${cwd}/l.db`, script: `${cwd}/s.yaml` });
    equal(options.workspace, `${cwd}/project/.gocore/workspace`);
    deepEqual([options.json, options.logLevel], [false, "info"], "how it was shown does not hold");
    const now: OrchestrateFlags = { apply: true, model: ["mini=c"], budget: 9, replay: "tapes", target: "project" };
    const second = await readOptions({ env: {}, cwd, flags: now, resume: "orch_1" });
    deepEqual([second.options.session.apply, second.options.session.budgetUsd], [true, 9]);
    deepEqual(second.options.models, { mini: "c", claude: "b" });
    deepEqual(second.options.gateway, { ledger: `${cwd}/l.db`, replay: `${cwd}/tapes` });
    await saveOptions(`${options.workspace}/orch_1`, second.given, { redactor });
    const third = await readOptions({ env: {}, cwd: `${cwd}/project`, flags: {}, resume: "last" });
    deepEqual(third.options, second.options);
  });
});

Deno.test("the file of a variable, and a plan that is gone, do not stop a session from being resumed", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/o.toml`, "[orchestrate]\nbudget = 4");
    await Deno.writeTextFile(`${cwd}/plan.json`, "{}");
    const env = { GOCORE_ORCHESTRATE_CONFIG: "o.toml" };
    const { options, given } = await readOptions({ env, cwd, flags: { task: "x", plan: "plan.json" } });
    const folder = await writeSession(options.workspace, "orch_1", [started()]);
    await saveOptions(folder, given, { redactor });
    await Deno.remove(`${cwd}/plan.json`);
    const resumed = await readOptions({ env: {}, cwd, flags: {}, resume: "last" });
    deepEqual(resumed.options.session.plan, { kind: "file", path: `${cwd}/plan.json` });
    equal(resumed.options.session.budgetUsd, 4);
  });
});

Deno.test("a secret in a flag is not written, and the flag has to be given again", async () => {
  await inTempDir(async (cwd) => {
    const folder = await start(cwd, {
      task: `Use ${SECRET}`,
      verify: `curl -u ${SECRET} x`,
      model: [`mini=${SECRET}`],
    });
    const text = await Deno.readTextFile(`${folder}/options.json`);
    ok(!text.includes(SECRET), text);
    deepEqual(JSON.parse(text).withheld, ["verify", "model"]);
    equal((await Deno.stat(`${folder}/options.json`)).mode! & 0o777, 0o600);
    const resume = (flags: OrchestrateFlags) => readOptions({ env: {}, cwd, flags, resume: "last" });
    equal(
      await messageOf(resume({ model: ["mini=x"] }), cwd),
      "usage\nCannot go on: --verify had a secret in it, which is not kept\nGive --verify again",
    );
    equal((await resume({ model: ["mini=x"], verify: "true" })).options.session.verify, "true");
  });
});

Deno.test("what cannot be resumed is refused with a reason", async () => {
  await inTempDir(async (cwd) => {
    const folder = await start(cwd, { task: "x" });
    const resume = (flags: OrchestrateFlags, id = "last") =>
      messageOf(readOptions({ env: {}, cwd, flags, resume: id }), cwd);
    equal(
      await resume({ task: "y" }),
      "usage\nCannot give a session that is resumed another task\n" +
        "Leave the task out, or leave --resume out to start a new session",
    );
    equal(
      await resume({ workspace: ".gocore/workspace", target: "/elsewhere" }),
      'usage\nCannot go on in "/elsewhere": the session works in "{cwd}"\n' +
        "Leave --target out, and name the folder of the sessions with --workspace",
    );
    equal(
      await resume({}, "orch_2"),
      'usage\nCannot find the session "orch_2" in "{cwd}/.gocore/workspace"\n' +
        "There are orch_1; see `gocore orchestrate list`",
    );
    for (const content of ["", "{", '{"flags":{},"withheld":[],"x":1}', '{"flags":{"port":"1"},"withheld":[]}']) {
      await Deno.writeTextFile(`${folder}/options.json`, content);
      equal(
        await resume({}),
        'environment\nCannot go on with "{cwd}/.gocore/workspace/orch_1": need its options in ' +
          '"{cwd}/.gocore/workspace/orch_1/options.json", found none\n' +
          "Start a new session; the branches and the report of the old one are kept",
        content,
      );
    }
  });
});
