import { ok, strictEqual as equal } from "node:assert/strict";
import { greeting } from "../../../src/commands/gateway/greeting.ts";

const URL_TEXT = "http://127.0.0.1:8045";

Deno.test("the greeting of a script is one line", () => {
  equal(greeting(URL_TEXT, false), `gocore gateway listens on ${URL_TEXT}\n`);
});

Deno.test("a person is told how each agent finds the gateway, codex as README says it", async () => {
  const text = greeting(URL_TEXT, true);
  for (const name of ["ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OPENAI_BASE_URL", "MINI_API_BASE"]) {
    ok(text.includes(`\n  export ${name}=${URL_TEXT}`), name);
  }
  const line = /codex exec .*?}'/.exec(text)![0];
  const readme = await Deno.readTextFile(new URL("../../../README.md", import.meta.url));
  ok(readme.includes(line), line);
});
