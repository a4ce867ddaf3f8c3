/** Who may see the dashboard, in a browser. */
import "../support/direct_loopback.ts";
import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { Sandbox } from "../support/gocore.ts";
import { ServedPages } from "./served_pages.ts";
import { browserTest, WatchedBrowser } from "./watched_browser.ts";

browserTest("with a token its link is needed once, and leaves the address", async () => {
  await using box = await Sandbox.create();
  const token = "s3cret-s3cret";
  await using served = await ServedPages.start(box, { env: { GOCORE_SERVE_TOKEN: token } });
  await using browser = await WatchedBrowser.start(served.url, { expected: /status of 401/ });
  const page = await browser.open();
  match(await page.innerText("body"), /A token is needed: .* open \/\?token=TOKEN/);
  equal((await page.reload())?.status(), 401);

  await page.goto(`${served.url}/?token=${token}#/costs`);
  await page.getByRole("heading", { name: "Costs" }).waitFor();
  equal(page.url(), `${served.url}/#/costs`);
  const [cookie, ...others] = await browser.context.cookies();
  deepEqual([others, cookie!.httpOnly, cookie!.sameSite, cookie!.value.includes(token)], [[], true, "Strict", false]);
  await page.reload();
  await page.getByRole("heading", { name: "Costs" }).waitFor();
  const other = await browser.open("#/schedule");
  await other.getByText("Nothing is scheduled.").waitFor();
  deepEqual(await other.evaluate("[document.cookie, document.body.innerHTML.includes('s3cret')]"), ["", false]);
});
