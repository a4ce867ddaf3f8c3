/** A mini run in a browser. */
import "../support/direct_loopback.ts";
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { exists, quoted, Sandbox, submit, until } from "../support/gocore.ts";
import { ServedPages } from "./served_pages.ts";
import { browserTest, WatchedBrowser } from "./watched_browser.ts";

browserTest("a mini run is started from the form, and its steps come as they are taken", async () => {
  await using box = await Sandbox.create();
  const gate = `${box.root}/gate`;
  const [, model] = await box.script([
    { content: "I look around first.", commands: ["ls; echo one-two-three"] },
    { content: "Now something that fails.", commands: ["seq 400; exit 3"] },
    { content: "I wait.", commands: [`until [ -e ${quoted(gate)} ]; do sleep 0.05; done; echo through`] },
    submit("it is done"),
  ]);
  await using served = await ServedPages.start(box);
  await using browser = await WatchedBrowser.start(served.url);
  const page = await browser.open("#/start/mini");
  await page.getByLabel("Task", { exact: true }).fill("Look around\nand say what is there");
  await page.getByLabel("Model", { exact: true }).fill(model!);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.getByRole("heading", { name: "Look around" }).waitFor();
  const step = (number: number) => page.locator(`.step[data-step="${number}"]`);
  await step(3).getByText("I wait.").waitFor();
  match(await step(2).innerText(), /exit code 3/);
  await browser.fits(page, "mini-live");
  await Deno.writeTextFile(gate, "");
  await step(3).getByText("through", { exact: true }).waitFor();
  const facts = page.locator(".facts");
  await facts.getByText("success", { exact: true }).waitFor();
  await page.getByText("it is done", { exact: true }).first().waitFor();

  await page.getByRole("button", { name: "First error" }).click();
  equal(await page.evaluate("document.activeElement.dataset.step"), "2");
  await step(2).getByRole("button", { name: /^Show all/ }).click();
  match(await step(2).innerText(), /\n400\n?/);
  const shown = () => page.evaluate(`[...document.querySelectorAll(".step")].map(({ dataset }) => dataset.step)`);
  await page.getByRole("searchbox").fill("one-TWO");
  await until("one step is found", async () => JSON.stringify(await shown()) === '["1"]');
  await page.getByRole("searchbox").fill("");
  await until("all are shown", async () => (await shown() as string[]).length === 4);
  deepEqual(await shown(), ["1", "2", "3", "4"]);
  await browser.fits(page, "mini");
});

browserTest("what a mini run does between its record and its events is shown", async () => {
  await using box = await Sandbox.create();
  const [first, second, there] = ["first", "second", "there"].map((name) => `${box.root}/${name}`) as [
    string,
    string,
    string,
  ];
  const waitFor = (path: string) => `until [ -e ${quoted(path)} ]; do sleep 0.05; done`;
  const [, model] = await box.script([
    { commands: [`${waitFor(first)}; echo one-two-three`] },
    { commands: [`touch ${quoted(there)}; ${waitFor(second)}`] },
    submit(),
  ]);
  await using served = await ServedPages.start(box);
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ task: "Count", model });
  const { run_id } = await (await fetch(`${served.url}/api/mini`, { method: "POST", headers, body })).json();
  await using browser = await WatchedBrowser.start(served.url);
  const asked = Promise.withResolvers<void>();
  const opens = Promise.withResolvers<void>();
  await browser.context.route("**/events/stream", async (route) => {
    asked.resolve();
    await opens.promise;
    await route.continue();
  });
  // Nothing is asked again just because time has passed.
  await browser.context.addInitScript("setInterval = () => 0");
  const page = await browser.open(`#/mini/${run_id}`);
  await asked.promise;
  await Deno.writeTextFile(first, "");
  await until("the second step is taken", () => exists(there));
  opens.resolve();
  await page.getByText("one-two-three", { exact: true }).waitFor();
  await Deno.writeTextFile(second, "");
  await page.locator(".facts").getByText("success", { exact: true }).waitFor();
});
