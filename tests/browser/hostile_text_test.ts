/** Text of agents in a browser: shown as what it is. */
import "../support/direct_loopback.ts";
import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import type { Page } from "playwright-core";
import { FakeAgents } from "../support/fake_agents.ts";
import { quoted, Sandbox, until } from "../support/gocore.ts";
import { ServedPages } from "./served_pages.ts";
import { browserTest, WatchedBrowser } from "./watched_browser.ts";

const MARKUP = `<img src=x onerror="globalThis.harm=1"></script><script>globalThis.harm=2</script>`;
const HOSTILE = `${MARKUP}\x1b[31m\x1b]0;title\x07\u202eevil`;

/** Asserts that a page shows it, and does nothing of what it says. */
async function showsOnly(page: Page, place: string): Promise<void> {
  await until(
    `${place} shows it`,
    async () => (await page.locator("body").innerText()).includes("<img src=x onerror="),
  );
  const found = await page.evaluate(`({
    harm: globalThis.harm,
    made: document.querySelectorAll("img, body script, iframe, [onerror], a[href^='javascript:']").length,
    hidden: /[\\x1b\\x07\\u202e]/.test(document.title + document.documentElement.outerHTML),
  })`);
  deepEqual(found, { harm: undefined, made: 0, hidden: false }, place);
}

browserTest("markup, escape sequences and endless lines of a worker are text everywhere", async () => {
  await using agents = await FakeAgents.create(["alpha", "beta", "gamma"]);
  const payload = JSON.stringify({ text: HOSTILE });
  const told = await agents.sandbox.file(
    "agents/told",
    ["progress", "finding", "thought"].map((type) => `{"type":"${type}","payload":${payload}}\n`).join("") +
      `${HOSTILE}\n${"x".repeat(1_000_000)}\n${HOSTILE}\n`,
  );
  const name = `<img src=x onerror=alert(1)>.txt`;
  await agents.behave("alpha", "task", `cat ${quoted(told)} | tee ${quoted(name)}; mark told; await go`);
  const answer = { verdict: "concerns", summary: HOSTILE, issues: [{ text: HOSTILE, file: name, line: 1 }] };
  const verdict = await agents.sandbox.file(
    "agents/verdict",
    JSON.stringify({ ...answer, recommendations: [HOSTILE] }),
  );
  for (const reviewer of ["beta", "gamma"]) await agents.behave(reviewer, "review", `cat ${quoted(verdict)}`, 1);
  await using box = await Sandbox.create();
  await using served = await ServedPages.start(box, { workspace: agents.workspace });
  await using browser = await WatchedBrowser.start(served.url);
  const run = await agents.start([HOSTILE, ...await agents.plan([{ id: "one", agent: "alpha", prompt: HOSTILE }])]);
  await agents.marked("told");
  const home = await browser.open();
  await showsOnly(home, "home, running");
  const id = (await agents.read()).folder.split("/").at(-1)!;
  const page = await browser.open(`#/sessions/${id}`);
  await showsOnly(page, "a live session");
  await browser.fits(page, "hostile-live");
  await agents.mark("go");
  await run.event("a question", ({ type }) => type === "question.asked");
  await page.getByRole("textbox", { name: "Your answer" }).waitFor();
  await showsOnly(page, "a question");
  await home.getByRole("textbox", { name: "Your answer" }).waitFor();
  await showsOnly(home, "home, a question");
  await home.getByRole("searchbox").fill("onerror");
  await home.locator(".runs td").first().waitFor();
  await browser.fits(home, "hostile-home");
  await page.getByRole("textbox", { name: "Your answer" }).fill(MARKUP);
  await page.getByRole("button", { name: "Send the answer" }).click();
  await run.end;
  await page.locator(".facts").getByText("done", { exact: true }).waitFor();
  for (const tab of ["", "log", "diff", "reviews", "decisions", "charts", "plan"]) {
    const other = await browser.open(`#/sessions/${id}/${tab}`);
    await other.getByRole("heading", { level: 1 }).waitFor();
    if (tab === "log") await other.locator(".event").filter({ hasText: "finding" }).first().waitFor();
    if (tab === "diff") await other.locator(".diff").first().waitFor();
    await showsOnly(other, `the tab ${tab}`);
    await browser.fits(other, `hostile-${tab}`);
    await other.close();
  }
  const { stdout, code, stderr } = await box.run(["report", id, "--html", "--workspace", agents.workspace]);
  deepEqual([code, stderr], [0, ""]);
  const report = await browser.openFile(stdout);
  ok((await report.title()) !== "");
  await showsOnly(report, "the report");
});
