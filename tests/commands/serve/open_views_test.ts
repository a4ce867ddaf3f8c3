import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { OpenViews } from "../../../src/commands/serve/open_views.ts";
import { EventStreams } from "../../../src/http/event_streams.ts";
import { Refused } from "../../../src/http/ports.ts";

class FakeView implements AsyncDisposable {
  readonly streams = new EventStreams({ read: () => 0, size: () => 0 });

  constructor(readonly name: string, readonly closed: string[]) {}

  async read(): Promise<ReadableStreamDefaultReader> {
    const reader = this.streams.open({ head: ": head\n\n", after: -1, types: undefined }).getReader();
    await reader.read();
    reader.read();
    while (!this.streams.isRead) await Promise.resolve();
    return reader;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed.push(this.name);
    await this.streams.end();
  }
}

async function withViews(
  work: (
    parts: { get(key: string): Promise<FakeView>; views: OpenViews; closed: string[]; clock: { ms: number } },
  ) => Promise<void>,
): Promise<void> {
  const clock = { ms: 0 };
  const closed: string[] = [];
  await using views = new OpenViews(() => clock.ms);
  const get = (key: string) => views.get(key, () => Promise.resolve(new FakeView(key, closed)));
  await work({ get, views, closed, clock });
}

Deno.test("those who look at the same run share a view, also while it is being opened", async () => {
  await withViews(async ({ get }) => {
    const [a, b] = await Promise.all([get("a"), get("a")]);
    equal(a, b);
    equal(await get("a"), a);
  });
});

Deno.test("a view that nobody has used for a minute is closed, one that is read is not", async () => {
  await withViews(async ({ get, views, closed, clock }) => {
    await get("idle");
    const reader = await (await get("read")).read();
    await get("used");
    clock.ms = 59_999;
    await get("used");
    views.sweep();
    deepEqual(closed, []);
    clock.ms = 60_000;
    views.sweep();
    await Promise.resolve();
    deepEqual(closed, ["idle"]);
    await reader.cancel();
    clock.ms = 119_999;
    views.sweep();
    await Promise.resolve();
    deepEqual(closed, ["idle", "used"]);
    clock.ms = 120_000;
    views.sweep();
    await Promise.resolve();
    deepEqual(closed, ["idle", "used", "read"]);
  });
});

Deno.test("of too many views the least recently used goes that nobody reads", async () => {
  await withViews(async ({ get, closed }) => {
    const reader = await (await get("0")).read();
    for (let number = 1; number < 64; number++) await get(String(number));
    await get("1");
    deepEqual(closed, []);
    await get("new");
    await Promise.resolve();
    deepEqual(closed, ["2"]);
    await reader.cancel();
  });
});

Deno.test("when all are read, there is an end to new ones", async () => {
  await withViews(async ({ get }) => {
    const readers = [];
    for (let number = 0; number < 512; number++) readers.push(await (await get(String(number))).read());
    await rejects(get("new"), (error) => error instanceof Refused && error.status === 503);
    await readers[0]!.cancel();
    await get("new");
    for (const reader of readers) await reader.cancel();
  });
});

Deno.test("a view that cannot be opened is tried again", async () => {
  await withViews(async ({ get, views }) => {
    await rejects(views.get("a", () => Promise.reject(new Error("no"))), /^Error: no$/);
    equal((await get("a")).name, "a");
  });
});

Deno.test("views are closed by the beginning of their key, and all at the end", async () => {
  const closed: string[] = [];
  const get = async (views: OpenViews, key: string) => {
    await views.get(key, () => Promise.resolve(new FakeView(key, closed)));
  };
  {
    await using views = new OpenViews(Date.now);
    for (const key of ["mini a ", "mini a b", "mini ab "]) await get(views, key);
    views.close("mini a ");
    await Promise.resolve();
    deepEqual(closed, ["mini a ", "mini a b"]);
  }
  deepEqual(closed, ["mini a ", "mini a b", "mini ab "]);
});
