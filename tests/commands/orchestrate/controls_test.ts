/** Controls that other processes put into a session's folder reach its supervisor, once. */
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { watchControls } from "../../../src/commands/orchestrate/controls.ts";
import { putControl } from "../../../src/commands/orchestrate/session_folder.ts";
import type { Control } from "../../../src/orchestrate/ports.ts";
import { inTempDir, namesIn } from "../../support/temp_dir.ts";

const PAUSE = { command: "pause", worker: null, text: "", by: "ivg", question: null };

/** Carries out whatever comes, and lets it be waited for. */
class Supervisor {
  readonly state = { controls: new Set<string>() };
  readonly taken: Control[] = [];
  readonly problems: string[] = [];
  isEnding = false;
  #wake = () => {};

  readonly take = (control: Control) => {
    this.taken.push(control);
    if (!this.isEnding) this.state.controls.add(control.id);
    this.#wake();
  };
  readonly onProblem = (problem: string) => {
    this.problems.push(problem);
    this.#wake();
  };

  async until(isEnough: () => boolean): Promise<void> {
    while (!isEnough()) await new Promise<void>((resolve) => this.#wake = resolve);
  }
}

Deno.test("controls that are there at the start come first, in the order of their names, and their files go", async () => {
  await inTempDir(async (folder) => {
    const ids = [];
    for (const nowMs of [3000, 1000, 2000]) ids.push(await putControl(folder, { ...PAUSE, by: `at ${nowMs}` }, nowMs));
    const supervisor = new Supervisor();
    using _ = watchControls(folder, supervisor);
    deepEqual(supervisor.taken, [
      { ...PAUSE, by: "at 1000", id: ids[1] },
      { ...PAUSE, by: "at 2000", id: ids[2] },
      { ...PAUSE, by: "at 3000", id: ids[0] },
    ]);
    deepEqual(namesIn(`${folder}/control`), []);
    deepEqual(supervisor.problems, []);
  });
});

Deno.test("each control that comes later is taken once", async () => {
  await inTempDir(async (folder) => {
    const supervisor = new Supervisor();
    using _ = watchControls(folder, supervisor);
    const ids = await Promise.all(Array.from({ length: 50 }, (_, i) => putControl(folder, PAUSE, 1000 + i)));
    await supervisor.until(() => supervisor.taken.length >= 50);
    deepEqual(supervisor.taken.map(({ id }) => id).sort(), ids);
    deepEqual(namesIn(`${folder}/control`), []);
  });
});

Deno.test("a control that was carried out by a supervisor that was killed is only cleared away", async () => {
  await inTempDir(async (folder) => {
    const id = await putControl(folder, PAUSE, 1000);
    const supervisor = new Supervisor();
    supervisor.state.controls.add(id);
    using _ = watchControls(folder, supervisor);
    deepEqual([supervisor.taken, namesIn(`${folder}/control`)], [[], []]);
  });
});

Deno.test("a control that a session takes no more stays for the next supervisor", async () => {
  await inTempDir(async (folder) => {
    const id = await putControl(folder, PAUSE, 1000);
    {
      const supervisor = new Supervisor();
      supervisor.isEnding = true;
      using _ = watchControls(folder, supervisor);
      equal(supervisor.taken.length, 1);
    }
    deepEqual(namesIn(`${folder}/control`), [`${id}.json`]);
    const next = new Supervisor();
    using _ = watchControls(folder, next);
    deepEqual(next.taken.map((control) => control.id), [id]);
    deepEqual(namesIn(`${folder}/control`), []);
  });
});

Deno.test("what is no control is set aside and told, and nothing else is touched", async () => {
  await inTempDir(async (folder) => {
    const path = `${folder}/control`;
    await Deno.mkdir(path);
    const write = (name: string, content: unknown) =>
      Deno.writeTextFile(`${path}/${name}`, typeof content === "string" ? content : JSON.stringify(content));
    await write("1-a.json", "{");
    await write("2-b.json", { ...PAUSE, id: "another" });
    await write("3-c.json", { ...PAUSE, id: "3-c", command: "explode" });
    await write("4-d.json", { ...PAUSE, id: "4-d", by: 5 });
    await write("5-e.json", `"${"x".repeat(300_000)}"`);
    await Deno.writeTextFile(`${folder}/elsewhere`, JSON.stringify({ ...PAUSE, id: "6-f" }));
    await Deno.symlink(`${folder}/elsewhere`, `${path}/6-f.json`);
    await write(".7-g.json.1-00000000.tmp", { ...PAUSE, id: "7-g" });
    await write("8-h.txt", "notes");
    await write("9-i.json", { ...PAUSE, id: "9-i" });
    const supervisor = new Supervisor();
    using _ = watchControls(folder, supervisor);
    deepEqual(supervisor.taken, [{ ...PAUSE, id: "9-i" }]);
    deepEqual(namesIn(path), [
      ".7-g.json.1-00000000.tmp",
      ...["1-a", "2-b", "3-c", "4-d", "5-e", "6-f"].map((name) => `${name}.json.bad`),
      "8-h.txt",
    ]);
    equal(supervisor.problems.length, 6);
    equal(supervisor.problems[0], 'Nobody can be told what "1-a.json" says: it is not JSON');
    equal(supervisor.problems[1], 'Nobody can be told what "2-b.json" says: its id is not its name');
    match(supervisor.problems[2]!, /^Nobody can be told what "3-c\.json" says: command: /);
    match(supervisor.problems[3]!, /says: by: /);
    match(supervisor.problems[4]!, /says: it is too long$/);
    match(supervisor.problems[5]!, /says: it is no file$/);
    equal((await Deno.lstat(`${folder}/elsewhere`)).isFile, true);
  });
});

Deno.test("after its end nothing is taken any more, also when the folder is gone", async () => {
  await inTempDir(async (folder) => {
    const supervisor = new Supervisor();
    const controls = watchControls(folder, supervisor);
    await putControl(folder, PAUSE, 1000);
    await supervisor.until(() => supervisor.taken.length > 0);
    controls[Symbol.dispose]();
    await putControl(folder, PAUSE, 2000);
    const second = new Supervisor();
    const others = watchControls(folder, second);
    equal(second.taken.length, 1);
    equal(supervisor.taken.length, 1);
    await Deno.remove(`${folder}/control`, { recursive: true });
    others[Symbol.dispose]();
  });
});
