/** Runs the tests of a file in a process of their own: those of all other files share one. */
import { ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";

const VARIABLE = "GOCORE_TEST_FILE";

/**
 * Gives what registers the tests of the file at `url`. In the process that all files share a test only tells how it went
 * in the other process, which the first of them starts: there nobody else has children, orphans or much memory.
 */
export function testsInOwnProcess(url: string): (test: Deno.TestDefinition) => void {
  if (Deno.env.get(VARIABLE) === url) return Deno.test;
  let report: Promise<string> | undefined;
  return ({ name, ignore }) =>
    Deno.test({
      name,
      ignore,
      fn: async () => {
        const lines = (await (report ??= runTests(url))).split("\n");
        const at = lines.findIndex((line) => /^(?:not )?ok \d+ - /.test(line) && line.endsWith(` - ${name}`));
        ok(at >= 0, `The test was not run:\n${lines.join("\n")}`);
        ok(lines[at]!.startsWith("ok "), lines.slice(at, lines.indexOf("  ...", at)).join("\n"));
      },
    });
}

async function runTests(url: string): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--reporter=tap", fileURLToPath(url)],
    env: { [VARIABLE]: url },
    stdin: "null",
  }).output();
  const [report, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return `${report}\n${errors}`;
}
