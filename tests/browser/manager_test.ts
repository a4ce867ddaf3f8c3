/** A manager run in a browser: from the form to its proof. */
import "../support/direct_loopback.ts";
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { type FakeReply, type FakeRequest, startFakeProvider } from "../support/fake_provider.ts";
import { type Reply, until } from "../support/gocore.ts";
import { builder, ManagedIssue, SCRIPT, TRIAGERS } from "../support/managed_issue.ts";
import { loggedEvents, ServedPages } from "./served_pages.ts";
import { browserTest, shownEvents, WatchedBrowser } from "./watched_browser.ts";

/** As workers that reproduce an issue and workers that explain it, and as the manager's own model. */
function replyTo({ body }: FakeRequest): FakeReply {
  const asked = JSON.stringify(body);
  if (body.tools === undefined) return { text: "```python\nimport pkg\npkg.mean([])\n```\n" };
  const replies: readonly Reply[] = asked.includes(".gocore-task/answer.json") ? builder(SCRIPT) : TRIAGERS.w3!;
  const step = (asked.match(/"function_call_output"|"role":"tool"/g) ?? []).length;
  const [command] = replies[Math.min(step, replies.length - 1)]!.commands!;
  return { toolCalls: [{ id: `call-${step}`, name: "bash", arguments: { command } }] };
}

browserTest("a manager run is started from the form and followed to its proof", async () => {
  await using issue = await ManagedIssue.create();
  await using provider = startFakeProvider(replyTo);
  const { box, repo, runs } = issue;
  await box.file(
    "work/mminions.toml",
    '[manager]\nbackend = "process"\npoll_interval_sec = 0.1\nvalidation_python_version = "3"\n',
  );
  const env = { OPENAI_API_KEY: "sk-none", OPENAI_BASE_URL: `${provider.url}/v1` };
  await using served = await ServedPages.start(box, { runsRoot: runs, env });
  await using browser = await WatchedBrowser.start(served.url, { expected: /status of 400/ });
  const page = await browser.open("#/start/manager");
  const field = (name: string) => page.getByLabel(name, { exact: true });
  await field("or a file with the issue").fill("issue.md");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.getByText("need a file, found nothing at").waitFor();
  equal(await page.evaluate("document.activeElement.name"), "issue_file");
  await field("or a file with the issue").fill(join(box.root, "issue.md"));
  await field("Checkout of the project").fill(repo);
  await page.getByText("More", { exact: true }).click();
  await field("Agent").fill("mini");
  await field("Model of the workers").fill("openai/gpt-5");
  await field("Workers at a time").fill("2");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.waitForURL(/#\/runs\/run-\d+$/);
  const id = page.url().split("/").at(-1)!;
  await page.getByRole("heading", { name: "mean() of an empty list crashes" }).waitFor();
  const status = page.locator(".facts div").filter({ hasText: "Status" }).locator(".badge");
  await status.getByText("running").waitFor();
  await browser.fits(page, "manager-live");
  await status.getByText("ok", { exact: true }).waitFor();

  equal(await page.locator(".phases li").count(), 9);
  const said = await page.locator("main").innerText();
  match(said, /5 of 5 runs failed in the same way/);
  ok(said.includes("ZeroDivisionError: division by zero in pkg/core.py (mean)"), said);
  match(said, /import pkg\npkg\.mean\(\[\]\)/);
  match(said, /REPRODUCED/i);
  await browser.fits(page, "manager");
  const open = async (name: RegExp) => {
    await page.getByRole("navigation", { name: "Parts of the run" }).getByRole("link", { name }).click();
  };
  await open(/^Candidates/);
  await page.locator(".candidate").first().getByText(/5 of 5/).first().waitFor();
  await page.locator(".candidate details summary").first().click();
  await page.getByText("def main").first().waitFor();
  await browser.fits(page, "manager-candidates");
  await open(/^Minimization/);
  await page.locator("canvas").waitFor();
  await browser.fits(page, "manager-minimization");
  await open(/^Hypotheses/);
  await page.locator(".evidence summary").first().click();
  match(await page.locator(".source .cited").innerText(), /return total \/ len\(values\)/);
  await browser.fits(page, "manager-hypotheses");
  await open(/^Workers/);
  await page.getByRole("row", { name: /^w1/ }).getByText("finished", { exact: true }).waitFor();
  await browser.fits(page, "manager-workers");
  await open(/^Files/);
  await page.getByRole("link", { name: "repro/verify.sh" }).click();
  await page.getByRole("region", { name: "The file repro/verify.sh" }).getByText("#!/bin/sh").waitFor();
  await open(/^Log/);
  const logged = await loggedEvents(join(runs, id));
  await until("the log has its end", async () => (await shownEvents(page)).length >= logged.length);
  deepEqual(await shownEvents(page), logged);
  await page.getByRole("link", { name: "Runs" }).first().click();
  await page.getByRole("cell", { name: "ok", exact: true }).waitFor();
  await browser.fits(page, "home");
});
