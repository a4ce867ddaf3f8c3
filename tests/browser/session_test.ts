/** Sessions in a browser: started, watched, controlled, asked. */
import "../support/direct_loopback.ts";
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { FakeAgents } from "../support/fake_agents.ts";
import { Sandbox, until } from "../support/gocore.ts";
import { loggedEvents, ServedPages } from "./served_pages.ts";
import { browserTest, shownEvents, WatchedBrowser } from "./watched_browser.ts";

browserTest("the demo is started from the form and watched to its end, with a reload in between", async () => {
  await using box = await Sandbox.create();
  await using served = await ServedPages.start(box);
  await using browser = await WatchedBrowser.start(served.url);
  const page = await browser.open("#/start/session");
  await page.getByLabel("Task", { exact: true }).fill("Watch it");
  await page.getByText("More", { exact: true }).click();
  await page.getByLabel("The built-in demo").check();
  await browser.fits(page, "start");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.waitForURL(/#\/sessions\/[^/]+$/);
  const id = decodeURIComponent(page.url().split("/").at(-1)!);
  await page.getByRole("link", { name: "Log", exact: true }).click();
  const log = page.getByRole("log");
  await log.getByText("plan.made").waitFor();
  await page.reload();
  await page.locator(".facts").getByText("done", { exact: true }).waitFor();

  const logged = await loggedEvents(`${box.root}/sessions/${id}`);
  await until("the log has its end", async () => (await shownEvents(page)).length >= logged.length);
  deepEqual(await shownEvents(page), logged);
  await browser.fits(page, "session-log");
  await page.getByRole("link", { name: "Overview" }).click();
  const workers = page.getByRole("region", { name: "Workers" });
  equal(
    await workers.getByRole("progressbar", { name: "Progress of mini", exact: true }).getAttribute("aria-valuenow"),
    "100",
  );
  await page.getByRole("region", { name: "Result" }).getByText("sh test.sh").waitFor();
  await browser.fits(page, "session");
  await page.getByRole("link", { name: /^Reviews/ }).click();
  await page.getByRole("article").first().waitFor();
  match(await page.locator("main").innerText(), /blocker|concerns/);
  await browser.fits(page, "session-reviews");
  await page.getByRole("link", { name: /^Decisions/ }).click();
  await page.getByRole("region", { name: "Decisions" }).getByText("continue", { exact: true }).first().waitFor();
  await browser.fits(page, "session-decisions");
  for (const [name, sign] of [["Plan", "main"], ["Cost and time", "canvas"], ["Changes", "main"]] as const) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.locator(sign).first().waitFor();
    await page.getByText(/Loading|Comparing/).waitFor({ state: "detached" });
    await browser.fits(page, `session-${name.split(" ")[0]!.toLowerCase()}`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  const plan = await page.goto(`${served.url}/#/sessions/${id}/plan`).then(() =>
    page.getByRole("link", { name: "Plan" })
  );
  await page.reload();
  await until("the tab is in sight", async () => {
    const box = await plan.boundingBox();
    return box !== null && box.x >= 0 && box.x + box.width <= 390;
  });
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.getByRole("link", { name: "Costs" }).click();
  await page.getByRole("cell", { name: /^\d{4}-\d\d-\d\d$/ }).waitFor();
  await browser.fits(page, "costs");
});

/** Two that work until they are let go on; with doubts, reviewers find fault with it once. */
async function withSession({ hasDoubts }: { hasDoubts: boolean }): Promise<{ agents: FakeAgents; args: string[] }> {
  const agents = await FakeAgents.create(["alpha", "beta", "gamma", "delta"]);
  await agents.behave(
    "alpha",
    "task",
    "event progress 'the first half'; echo draft > draft.txt; mark drafted; await go",
  );
  await agents.behave("alpha", "feedback", "echo tabs >> draft.txt; echo 'tabs it is'; await go");
  await agents.behave("delta", "task", "echo more > more.txt; await go; echo done");
  for (const reviewer of hasDoubts ? ["beta", "gamma", "delta"] : []) {
    await agents.behave(reviewer, "review", "verdict concerns 'tabs or spaces?'", 1);
  }
  const plan = await agents.plan([{ id: "one", agent: "alpha" }, { id: "two", agent: "delta" }]);
  return { agents, args: ["Write a draft", ...plan] };
}

browserTest("a session is paused, resumed, reviewed, searched and answered, across a reload", async () => {
  const { agents, args } = await withSession({ hasDoubts: true });
  await using _ = agents;
  await using box = await Sandbox.create();
  await using served = await ServedPages.start(box, { workspace: agents.workspace });
  await using browser = await WatchedBrowser.start(served.url);
  const page = await browser.open();
  await page.getByText("Nothing else is running").or(page.getByText("Nothing is running")).waitFor();
  const run = await agents.start(args);
  await agents.marked("drafted");
  await page.getByRole("region", { name: "Running" }).getByRole("link", { name: "Write a draft" }).click();

  const status = page.locator(".facts div").filter({ hasText: "Status" }).locator(".badge");
  await page.getByRole("button", { name: "Pause" }).click();
  await status.getByText("paused").waitFor();
  await run.event("it is paused", ({ type, data }) => type === "worker.signalled" && data.action === "pause");
  await page.getByRole("button", { name: "Resume" }).click();
  await status.getByText("running").waitFor();

  await page.getByRole("link", { name: "Changes", exact: true }).first().click();
  await page.getByRole("region", { name: "Changes of alpha" }).getByText("+draft", { exact: true }).waitFor();
  await page.getByRole("region", { name: "Changes of delta" }).getByText("+more", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("button", { name: "Review the work of alpha" }).click();

  const asked = page.getByRole("region", { name: "Needs attention" });
  await asked.getByText("tabs or spaces?").waitFor();
  await browser.fits(page, "session-question");
  const home = await browser.open();
  await home.getByRole("region", { name: "Needs attention" }).getByText("tabs or spaces?").waitFor();
  await home.getByRole("link", { name: "Runs 1" }).waitFor();
  equal(await home.title(), "(1) gocore");
  await browser.fits(home, "home-question");
  await asked.getByRole("textbox", { name: "Your answer" }).fill("Tabs, everywhere");
  await page.getByRole("button", { name: "Send the answer" }).click();
  await asked.waitFor({ state: "detached" });
  await home.getByText("Nothing needs you.").waitFor();
  await home.close();
  await page.getByRole("link", { name: /^Reviews/ }).click();
  await page.getByRole("article").filter({ hasText: "manual" }).getByText("concerns").first().waitFor();
  await page.getByRole("link", { name: /^Decisions/ }).click();
  await page.getByRole("region", { name: "Questions" }).getByText("Tabs, everywhere").waitFor();

  await page.getByRole("link", { name: "Log", exact: true }).click();
  const rows = page.locator(".log .event");
  const choice = (name: string) =>
    page.locator(".choice").filter({ hasText: new RegExp(`^${name}`) }).locator("select");
  await rows.first().waitFor();
  await choice("Type").selectOption("control.received");
  await until("only controls are shown", async () => await rows.count() === 4);
  deepEqual(await rows.locator(".said").allInnerTexts(), [
    "pause by dashboard",
    "resume by dashboard",
    "review by dashboard",
    "answer by dashboard Tabs, everywhere",
  ]);
  await page.getByRole("searchbox").fill("EVERYWHERE tabs");
  await until("one is found", async () => await rows.count() === 1);
  await page.reload();
  await until("it is found again", async () => await rows.count() === 1);
  equal(await page.getByRole("searchbox").inputValue(), "EVERYWHERE tabs");
  await page.getByRole("button", { name: "Clear" }).click();
  await choice("Worker").selectOption("delta");
  await rows.filter({ hasText: "worker.launched" }).waitFor();
  deepEqual(new Set(await rows.locator("b").allInnerTexts()), new Set(["delta"]));
  await page.getByRole("button", { name: "Clear" }).click();

  await agents.mark("go");
  const { folder, log } = await agents.ended(run);
  await status.getByText("done", { exact: true }).waitFor();
  const logged = await loggedEvents(folder);
  equal(logged.length, log.length);
  await until("the log has its end", async () => (await shownEvents(page)).length >= logged.length);
  deepEqual(await shownEvents(page), logged);
});

browserTest(
  "a server that is killed and started again is gone on with: nothing is missing, nothing is there twice",
  async () => {
    const { agents, args } = await withSession({ hasDoubts: false });
    await using _ = agents;
    await using box = await Sandbox.create();
    const first = await ServedPages.start(box, { workspace: agents.workspace });
    const run = await agents.start(args);
    await agents.marked("drafted");
    const gone = /net::ERR_(?:CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE)/;
    await using browser = await WatchedBrowser.start(first.url, { expected: gone });
    const home = await browser.open();
    await home.getByRole("region", { name: "Running" }).getByRole("link", { name: "Write a draft" }).waitFor();
    const page = await browser.open(`#/sessions/${(await agents.read()).folder.split("/").at(-1)}/log`);
    await page.locator(".log .event").first().waitFor();
    const lost = /connection lost/;
    first.run.kill("SIGKILL");
    await first.run.end;
    await page.getByText(lost).waitFor();
    await home.getByText(lost).waitFor();
    await agents.mark("go");
    const { folder } = await agents.ended(run);
    await ServedPages.start(box, {
      workspace: agents.workspace,
      port: Number(new URL(first.url).port),
    });

    await page.locator(".facts").getByText("done", { exact: true }).waitFor();
    const logged = await loggedEvents(folder);
    await until("the log has its end", async () => (await shownEvents(page)).length >= logged.length);
    deepEqual(await shownEvents(page), logged);
    await page.getByText(lost).waitFor({ state: "detached" });
    await home.getByText(lost).waitFor({ state: "detached" });
    await home.getByText(/^Nothing is running/).waitFor();
    equal(await home.getByRole("link", { name: "Write a draft" }).count(), 1);
  },
);

browserTest("with the keyboard alone a session is found, looked through and answered", async () => {
  const { agents, args } = await withSession({ hasDoubts: true });
  await using _ = agents;
  await agents.behave("alpha", "task", "echo draft > draft.txt; echo done");
  await using box = await Sandbox.create();
  await using served = await ServedPages.start(box, { workspace: agents.workspace });
  await using browser = await WatchedBrowser.start(served.url);
  const run = await agents.start(args);
  await run.event("a question", ({ type }) => type === "question.asked");
  const page = await browser.open();
  const { keyboard } = page;
  const focused = () => page.evaluate("document.activeElement.innerText || document.activeElement.placeholder || ''");
  const tabTo = async (text: string) => {
    await until(`Tab leads to ${text}`, async () => {
      await keyboard.press("Tab");
      return (await focused() as string).startsWith(text);
    });
  };
  await page.getByRole("cell", { name: "Write a draft" }).waitFor();
  await keyboard.press("?");
  await page.getByRole("dialog").getByText("The next, the one before in a list").waitFor();
  await keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await keyboard.press("/");
  await keyboard.type("nobody has written this");
  await page.getByText("No run is so.").waitFor();
  await keyboard.press("Control+a");
  await keyboard.type("draft");
  await page.getByRole("cell", { name: "Write a draft" }).waitFor();
  await keyboard.press("Escape");
  equal(await page.evaluate("document.activeElement === document.body"), true);
  await keyboard.press("j");
  equal(await focused(), "Write a draft");
  await keyboard.press("j");
  await keyboard.press("k");
  await keyboard.press("Enter");
  await page.waitForURL(/#\/sessions\//);

  await page.getByRole("heading", { name: "Write a draft" }).waitFor();
  await tabTo("Log");
  await keyboard.press("Enter");
  await page.locator(".log .event").first().waitFor();
  await keyboard.press("/");
  await keyboard.type("plan.made");
  await until("one event is found", async () => await page.locator(".log .event").count() === 1);
  await keyboard.press("Escape");
  await until("j leads to the event", async () => {
    await keyboard.press("j");
    return (await focused() as string).includes("plan.made");
  });
  await keyboard.press("Enter");
  await page.getByText('"type": "plan.made"').waitFor();
  await keyboard.press("g");
  await keyboard.press("h");
  await page.getByRole("heading", { name: "All runs" }).waitFor();
  await page.getByRole("textbox", { name: "Your answer" }).waitFor();
  await tabTo("Your answer");
  await keyboard.type("Spaces, for once");
  await keyboard.press("Control+Enter");
  await run.event("the answer", ({ type, data }) => type === "question.answered" && data.answer === "Spaces, for once");
  await agents.mark("go");
  equal((await agents.ended(run)).finished.status, "done");
});
