/** Reproducers that show nothing, and honest ones: nothing false may be called reproduced, and nothing true refused. */
import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { judgeAll } from "./traps/judge_traps.ts";
import { goTraps } from "./traps/go_traps.ts";
import { hangTraps, issueTraps } from "./traps/issue_traps.ts";
import { javaTraps } from "./traps/java_traps.ts";
import { nativeTraps } from "./traps/native_traps.ts";
import { nodeTraps } from "./traps/node_traps.ts";
import { pythonTraps } from "./traps/python_traps.ts";
import { resultTraps } from "./traps/result_traps.ts";
import { rustTraps } from "./traps/rust_traps.ts";

const all = {
  Python: pythonTraps,
  Node: nodeTraps,
  C: nativeTraps,
  Go: goTraps,
  Java: javaTraps,
  Rust: rustTraps,
  "the text of issues": issueTraps,
  hangs: hangTraps,
  "wrong results": resultTraps,
};

const isThere = (program: string, args: readonly string[]) => {
  try {
    return new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
};
const programs: Readonly<Record<string, readonly string[]>> = {
  // Without it a candidate sees the whole machine, its worker's folder included.
  bwrap: ["--ro-bind", "/", "/", "true"],
  go: ["version"],
};

for (const [language, planted] of Object.entries(all)) {
  const missing = ["bwrap", ...planted.programs].filter((name) => !isThere(name, programs[name] ?? ["--version"]));
  const why = missing.length === 0 ? "" : ` (needs ${missing.join(" and ")})`;
  Deno.test(`each trap in ${language} meets its fate, and honest reproducers are believed${why}`, {
    ignore: missing.length > 0,
  }, async () => {
    const answers = [...planted.traps, ...planted.honest.map((answer) => ({ ...answer, fate: "reproduced" }))];
    const judged = await judgeAll(planted, answers);
    deepEqual(
      judged.map(({ claim, fate, reason }, i) => {
        const wanted = answers[i]!.fate;
        return fits(fate, wanted) ? [claim, wanted] : [claim, fate, reason];
      }),
      answers.map(({ claim, fate }) => [claim, fate]),
    );
  });
}

function fits(fate: string, wanted: string): boolean {
  return fate === wanted || wanted === "flaky or not_reproduced" && /^(?:flaky|not_reproduced)/.test(fate);
}

Deno.test("there are many traps of every kind, and enough honest reproducers", () => {
  const planted = Object.values(all);
  const traps = planted.flatMap(({ traps }) => traps);
  const honest = planted.flatMap(({ honest }) => honest);
  ok(traps.length >= 80 && honest.length >= 25, `${traps.length} and ${honest.length}`);
  const claims = [...traps, ...honest].map(({ claim }) => claim);
  deepEqual(claims.length, new Set(claims).size);
});
