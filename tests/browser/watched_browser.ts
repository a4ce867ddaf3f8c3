/** Chromium as a person uses it, watched for whatever our pages never do. */
import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { findProgram } from "../../src/process/find_program.ts";
import { processesWith, until } from "../support/gocore.ts";

/** Far beyond a slow and busy machine, and short of hanging. */
const DEADLINE_MS = 180_000;
const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];
/** A folder for screenshots of all pages, for a person to look at. */
const SHOTS = Deno.env.get("GOCORE_TEST_SHOTS");

const executablePath = findProgram("chromium", Deno.env.get("PATH") ?? "", "/");

/** A test that says that it needs Chromium, and is ignored without it. */
export function browserTest(name: string, test: () => Promise<void>): void {
  Deno.test(`in chromium: ${name}`, { ignore: executablePath === undefined }, async () => {
    try {
      await test();
    } catch (error) {
      throw error instanceof SuppressedError ? new Error(reasonsOf(error).join("\n\nand before that ")) : error;
    }
  });
}

/** What was thrown while something was disposed of hides why it was. */
function reasonsOf(error: unknown): string[] {
  if (error instanceof SuppressedError) return [...reasonsOf(error.error), ...reasonsOf(error.suppressed)];
  return [error instanceof Error ? error.stack ?? error.message : String(error)];
}

export class WatchedBrowser implements AsyncDisposable {
  readonly #problems: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    readonly origin: string,
    private readonly home: string,
    private readonly mark: string,
  ) {}

  /**
   * @param origin of the server, the only one that may be asked
   * @param options.expected what may stand in the console, such as that a server is gone
   */
  static async start(origin: string, { expected }: { expected?: RegExp } = {}): Promise<WatchedBrowser> {
    const home = await Deno.makeTempDir({ prefix: "gocore-browser-" });
    const mark = `browser-${crypto.randomUUID()}`;
    const context = await chromium.launchPersistentContext(join(home, "profile"), {
      executablePath,
      args: FLAGS,
      env: { PATH: Deno.env.get("PATH") ?? "", HOME: home, TMPDIR: home, GOCORE_TEST_MARK: mark },
      viewport: { width: 1440, height: 900 },
    });
    const browser = new WatchedBrowser(context, origin, home, mark);
    context.setDefaultTimeout(DEADLINE_MS);
    for (const page of context.pages()) await page.close();
    context.on("page", (page) => browser.#watch(page, expected));
    await context.route(({ origin: asked, protocol }) => asked !== origin && protocol !== "data:", async (route) => {
      const url = route.request().url();
      if (url.startsWith(`file://${home}/`)) return await route.continue();
      browser.#problems.push(`asked for ${url}`);
      await route.abort();
    });
    return browser;
  }

  /** @param hash of a page of the dashboard, such as `#/costs` */
  async open(hash = ""): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(`${this.origin}/${hash}`);
    return page;
  }

  /** Shows an HTML file as somebody does who was sent it. */
  async openFile(content: string): Promise<Page> {
    const path = join(this.home, "sent.html");
    await Deno.writeTextFile(path, content);
    const page = await this.context.newPage();
    await page.goto(`file://${path}`);
    return page;
  }

  /** Asserts that all of a page fits at a desk and on a phone, light and dark. */
  async fits(page: Page, name: string): Promise<void> {
    const size = page.viewportSize()!;
    for (const [width, height] of [[1440, 900], [390, 844]] as const) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        if (SHOTS !== undefined) {
          await page.screenshot({ path: join(SHOTS, `${name}-${width}-${colorScheme}.png`), fullPage: true });
        }
      }
      deepEqual(await page.evaluate(MISFITS), [], `${name} at ${width} pixels`);
    }
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize(size);
  }

  #watch(page: Page, expected: RegExp | undefined): void {
    page.on("console", (message) => {
      const isMeant = expected?.test(message.text()) ?? false;
      if (["error", "warning"].includes(message.type()) && !isMeant) {
        this.#problems.push(`said ${message.text()} at ${message.location().url}`);
      }
    });
    page.on("pageerror", (error) => this.#problems.push(`failed with ${error.stack}`));
    page.on("crash", () => this.#problems.push("crashed"));
    page.on("dialog", async (dialog) => {
      this.#problems.push(`opened a dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
  }

  /** Ends it, and asserts that nothing was wrong. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [number, page] of this.context.pages().entries()) {
      if (SHOTS !== undefined) await page.screenshot({ path: join(SHOTS, `last-${number}.png`), fullPage: true });
    }
    await this.context.close();
    await until("chromium is gone", async () => (await processesWith(`GOCORE_TEST_MARK=${this.mark}`)).length === 0);
    await Deno.remove(this.home, { recursive: true });
    deepEqual(this.#problems, [], "What the browser saw");
  }
}

/** Scripts are texts here: Deno's types know no document. */
const MISFITS = `(async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const nameOf = (element) => element.tagName.toLowerCase() + "." + element.className + ": " + element.textContent.slice(0, 60);
  const find = () => {
    const wide = document.documentElement.scrollWidth > innerWidth
      ? [...document.querySelectorAll("main *")].filter((element) =>
          element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".scroll, pre, .tabs")
        ).slice(0, 5).map((element) => "too wide: " + nameOf(element)).concat("scrolls sideways")
      : [];
    const buttons = [...document.querySelectorAll("button, .tabs a, .badge")];
    const cut = buttons.filter((button) => button.getClientRects().length > 0 && button.scrollWidth > button.clientWidth + 1 &&
      getComputedStyle(button).display !== "inline");
    return [...wide, ...cut.map((button) => "cut: " + nameOf(button))];
  };
  // Charts follow the width a few frames later.
  for (let frames = 0; frames < 60 && find().length > 0; frames++) await frame();
  return find();
})()`;

/** The numbers of the events that the log shows, from the oldest that there is. */
export async function shownEvents(page: Page): Promise<number[]> {
  const times = page.locator(".log .event time");
  const older = page.getByRole("button", { name: "Load older" });
  while (await older.count() > 0) {
    const shown = await times.count();
    await older.click();
    await until("older events are there", async () => await times.count() > shown);
  }
  return await page.evaluate(
    `[...document.querySelectorAll(".log .event time")].map(({ title }) => Number(title.split(/[ ,]/)[1]))`,
  );
}
