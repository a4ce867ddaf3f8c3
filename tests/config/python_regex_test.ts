import { deepStrictEqual as deepEqual, match, ok, throws } from "node:assert/strict";
import { pythonRegex } from "../../src/config/python_regex.ts";
import { Failure } from "../../src/failure.ts";

/** Python's `re.findall(pattern, text, re.DOTALL)`; of several groups the first. */
function findAll(pattern: string, text: string): string[] {
  return [...text.matchAll(new RegExp(pythonRegex(pattern), "gsu"))].map((found) =>
    found.length > 1 ? found[1] ?? "" : found[0]
  );
}

Deno.test("pythonRegex() finds what Python finds", () => {
  const reply = "THOUGHT: é\n\n```bash\nls -la\n```\n<a-b> {{t}} ABC abc ]\n```mswea_bash_command  \necho\n```\n";
  // What CPython 3.11 answers.
  const cases: [string, string[]][] = [
    ["```bash\\s*\\n(.*?)\\n```", ["ls -la"]],
    ["```mswea_bash_command\\s*\\n(.*?)\\n```", ["echo"]],
    ["(?s)```(?:bash|sh)\\n(?P<cmd>.*?)```", ["ls -la\n"]],
    ["(?P<f>`)(?P=f)(?#both)`", ["`", "`", "`", "`"]],
    ["(?i)abc", ["ABC", "abc"]],
    ["(?i:aB)c", ["abc"]],
    ["(?im)^thought|```$", ["THOUGHT", "```", "```"]],
    ["```$", ["```"]],
    ["\\n\\Z", ["\n"]],
    ["\\ATHOUGHT\\:", ["THOUGHT:"]],
    ["\\<(.*?)\\>", ["a-b"]],
    ["[\\-\\ab]b\\>", ["-b>"]],
    ["\\`{3}\\n\\<", ["```\n<"]],
    ["{{(.*?)}}", ["t"]],
    ["`{3,}b", ["```b"]],
    ["`{,2}b", ["``b", "b", "b", "b"]],
    ["[]]+", ["]"]],
    ["\\w+: \\w", ["THOUGHT: é"]],
    ["[\\w:]+ \\xe9", ["THOUGHT: é"]],
    ["\\u0060\\140\\U00000060bash", ["```bash"]],
    ["\\é", ["é"]],
    ["(?<=<)a", ["a"]],
    ["(a)(b)c", ["a"]],
  ];
  for (const [pattern, expected] of cases) deepEqual(findAll(pattern, reply), expected, pattern);
});

Deno.test("pythonRegex() names the key and the reason for what it cannot express", () => {
  const cases = [
    "(?x) a b",
    "(a)?(?(1)b|c)",
    "(?>a)",
    "a++",
    "\\N{DASH}",
    "(unclosed",
    "[unclosed",
    "*a",
    "(?<n>a)",
    "\\",
    "\\y",
    "(?m:a)",
    "\\2(a)",
  ];
  for (const pattern of cases) {
    throws(() => pythonRegex(pattern, "f.yaml:3:5: model.action_regex"), (error: unknown) => {
      ok(error instanceof Failure && error.kind === "usage", `${pattern}: ${error}`);
      match(error.message, /^Cannot use f\.yaml:3:5: model\.action_regex: need a pattern of Python's re, found "/);
      ok(error.message.includes(JSON.stringify(pattern)));
      return true;
    }, pattern);
  }
});
