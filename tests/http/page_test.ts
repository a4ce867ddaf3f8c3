/** The dashboard's files: what is served belongs together, and does nothing that its security policy forbids. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { eventData } from "../../src/events/event.ts";
import { page } from "../../src/http/page.ts";
import { inTempDir } from "../support/temp_dir.ts";

const OWN = [...page].filter(([path]) => !path.startsWith("/lib/")).map(([path, { content }]) => ({ path, content }));
const MODULES = OWN.filter(({ path }) => path.endsWith(".js"));
const INDEX = page.get("/")!.content;

interface Import {
  readonly path: string;
  readonly names: readonly string[];
}

function importsOf(content: string): Import[] {
  const fixed = [...content.matchAll(/^(?:import|export) \{([^}]*)\} from "([^"]+)";/gm)].map(([, names, path]) => ({
    path: path!,
    names: names!.split(",").map((name) => name.trim()).filter((name) => name !== ""),
  }));
  const lazy = [...content.matchAll(/\bimport\("([^"]+)"\)/g)].map(([, path]) => ({ path: path!, names: [] }));
  const whole = [...content.matchAll(/^import (\w+) from "([^"]+)";/gm)].map(([, , path]) => ({
    path: path!,
    names: ["default"],
  }));
  return [...fixed, ...lazy, ...whole];
}

function exportsOf(content: string): Set<string> {
  const single = [...content.matchAll(/^export (?:async )?(?:function|const|class) (\w+)/gm)].map(([, name]) => name!);
  const listed = [...content.matchAll(/\bexport ?\{([^}]*)\}/g)].flatMap(([, names]) =>
    names!.split(",").map((name) => name.trim().split(" as ").at(-1)!)
  );
  return new Set([...single, ...listed, ...(/^export default /m.test(content) ? ["default"] : [])]);
}

/** What the frame loads by name. */
function pagePaths(): string[] {
  const table = /const PAGES = \{([^}]*)\}/.exec(page.get("/app.js")!.content)![1]!;
  return [...table.matchAll(/: "(\w+)"/g)].map(([, name]) => `/pages/${name}.js`);
}

/** Lets `use` call the functions of a module here: its files are put where they can import each other. */
async function withModule(path: string, use: (module: Record<string, never>) => void | Promise<void>): Promise<void> {
  await inTempDir(async (folder) => {
    const root = pathToFileURL(folder).href;
    for (const [name, { content }] of page) {
      if (!name.endsWith(".js")) continue;
      await Deno.mkdir(dirname(folder + name), { recursive: true });
      await Deno.writeTextFile(folder + name, content.replaceAll(/ from "(\/[^"]+)"/g, ` from "${root}$1"`));
    }
    Object.assign(globalThis, { matchMedia: () => ({ matches: false }) });
    try {
      await use(await import(root + path));
    } finally {
      Reflect.deleteProperty(globalThis, "matchMedia");
    }
  });
}

Deno.test("whatever a page loads is served, and whatever is served is loaded", () => {
  const loaded = new Set(["/", ...pagePaths()]);
  for (const [, path] of INDEX.matchAll(/ (?:src|href)="(\/[^"]*)"/g)) loaded.add(path!);
  for (const { content } of MODULES) for (const { path } of importsOf(content)) loaded.add(path);
  deepEqual([...loaded].sort(), [...page.keys()].sort());
});

Deno.test("every name that a module imports is exported by the other", () => {
  for (const { path, content } of MODULES) {
    for (const { path: other, names } of importsOf(content)) {
      const known = exportsOf(page.get(other)!.content);
      deepEqual(names.filter((name) => !known.has(name)), [], `${path} imports from ${other}`);
    }
  }
  for (const path of pagePaths()) ok(exportsOf(page.get(path)!.content).has("default"), path);
});

Deno.test("files have the media types that browsers insist on", () => {
  const types: Record<string, string> = { js: "text/javascript", css: "text/css", "/": "text/html" };
  for (const [path, { type, content }] of page) {
    equal(type, `${types[path.split(".").at(-1)!]}; charset=utf-8`, path);
    ok(content.length > 100, path);
  }
});

Deno.test("nothing is inline, nothing is written as HTML, and no other host is asked", () => {
  equal(/<style|<script(?![^>]* src="\/)|\son\w+=|\sstyle=|https?:/.test(INDEX), false);
  const forbidden =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|\sstyle="|<style|<script/;
  for (const { path, content } of MODULES) {
    equal(forbidden.exec(content)?.[0], undefined, path);
    equal(/(?:fetch|EventSource|import)\(\s*["'`](?!\/|\$\{)/.exec(content)?.[0], undefined, path);
  }
  for (const [path, { content }] of page) if (path.endsWith(".css")) equal(/url\(|@import/.test(content), false, path);
});

Deno.test("the page knows every type of event", async () => {
  await withModule("/kit.js", ({ EVENT_TYPES }) => deepEqual(EVENT_TYPES, Object.keys(eventData)));
});

Deno.test("control characters are made visible, and everything else stays as it is", async () => {
  await withModule("/kit.js", (kit) => {
    const visible: (text: unknown) => string = kit.visible!;
    equal(visible("<img src=x>\u001b[31m\u202e\u0000\r\n\ttab"), "<img src=x>\\x1b[31m\\u202e\\x00\\x0d\n\ttab");
    deepEqual([visible(null), visible(undefined), visible(0)], ["", "", "0"]);
    const control = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
      const shown = visible(text);
      equal(control.test(shown), false);
      if (!control.test(text)) equal(shown, text);
    }));
  });
});

Deno.test("a price that nobody knows is not shown as nothing", async () => {
  await withModule("/kit.js", (kit) => {
    const cost: (spending: unknown) => string = kit.cost!;
    const shown = [[0, 0], [0.0123, 0.0123], [12.345, 12.345], [null, 0.5], [null, 0]].map((
      [cost_usd, known_cost_usd],
    ) => cost({ cost_usd, known_cost_usd }));
    deepEqual(shown, ["$0.00", "$0.0123", "$12.35", "over $0.50", "unknown"]);
  });
});

Deno.test("times and sizes are told in words", async () => {
  await withModule("/kit.js", (kit) => {
    const duration: (seconds: number) => string = kit.duration!;
    deepEqual(
      [0, 0.25, 9.9, 60, 3725, 200_000].map(duration),
      ["0 s", "250 ms", "9 s", "1 min 00 s", "1 h 02 min", "2 d 7 h"],
    );
    const bytes: (size: number) => string = kit.bytes!;
    deepEqual([0, 999, 1500, 45_000, 2_500_000].map(bytes), ["0 B", "999 B", "1.5 kB", "45 kB", "2.5 MB"]);
  });
});

Deno.test("a link leads to a place of the page or to the web, and to nothing else", async () => {
  await withModule("/kit.js", (kit) => {
    const LinkTo: (props: unknown) => { type: string; props: Record<string, unknown> } = kit.LinkTo!;
    const kindOf = (to: unknown) => {
      const { type, props } = LinkTo({ to, children: "x" });
      return [type, props.href, props.rel];
    };
    deepEqual(kindOf("#/runs/a"), ["a", "#/runs/a", undefined]);
    deepEqual(kindOf("https://github.com/a/b"), ["a", "https://github.com/a/b", "noreferrer"]);
    for (const to of ["javascript:alert(1)", " https://a", "data:text/html,x", "//evil.example", "/api", null, 1]) {
      deepEqual(kindOf(to), ["span", undefined, undefined], String(to));
    }
  });
});

Deno.test("a patch is taken apart by file, whatever its lines look like", async () => {
  const patch = [
    "diff --git a/a file.txt b/a file.txt",
    "index 1..2 100644",
    "--- a/a file.txt",
    "+++ b/a file.txt",
    "@@ -1,2 +1,2 @@",
    "--- was a comment",
    "+++ is one",
    " same",
    "diff --git a/new.bin b/new.bin",
    "new file mode 100644",
    "Binary files /dev/null and b/new.bin differ",
    "",
  ].join("\n");
  await withModule("/kit.js", (kit) => {
    const splitPatch: (patch: string) => Record<string, unknown>[] = kit.splitPatch!;
    const files = splitPatch(patch).map(({ path, added, removed, lines }) => ({ path, added, removed, lines }));
    deepEqual(files, [
      {
        path: "a file.txt",
        added: 1,
        removed: 1,
        lines: ["@@ -1,2 +1,2 @@", "--- was a comment", "+++ is one", " same"],
      },
      {
        path: "new.bin",
        added: 0,
        removed: 0,
        lines: ["new file mode 100644", "Binary files /dev/null and b/new.bin differ"],
      },
    ]);
    deepEqual(splitPatch(""), []);
    deepEqual(splitPatch("no patch at all"), []);
  });
});

interface Store {
  take(event: { seq: number }): void;
  subscribe(listener: () => void): () => void;
  events(): { seq: number }[];
  addBefore(events: { seq: number }[]): void;
  addBehind(events: { seq: number }[]): void;
  readonly missed: number | undefined;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => ({ seq: from + at }));
const told = (store: Store) =>
  new Promise<void>((resolve) => {
    const stop = store.subscribe(() => {
      stop();
      resolve();
    });
  });

Deno.test("the log keeps the latest events, each once, without a gap, and no more than it may", async () => {
  await withModule("/log.js", async (log) => {
    const EventStore = log.EventStore as unknown as new () => Store;
    const bursts = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(bursts, async (sizes) => {
        const store = new EventStore();
        let next = 0;
        for (const size of sizes) {
          // A connection that is made anew may tell again what is known.
          for (const event of range(Math.max(0, next - 3), next + size)) store.take(event);
          next += size;
          await told(store);
          const seqs = store.events().map(({ seq }) => seq);
          deepEqual(seqs, range(next - seqs.length, next).map(({ seq }) => seq));
          ok(seqs.length >= Math.min(next, 2000) && seqs.length < 2100, String(seqs.length));
        }
      }),
      { numRuns: 8 },
    );
  });
});

Deno.test("whoever looks at older events is not carried away by new ones, and finds back", async () => {
  await withModule("/log.js", async (log) => {
    const store = new (log.EventStore as unknown as new () => Store)();
    for (const event of range(3000, 5000)) store.take(event);
    await told(store);
    store.addBefore(range(2500, 3000));
    await told(store);
    for (const event of range(5000, 5010)) store.take(event);
    await told(store);
    deepEqual([store.events(), store.missed], [range(2500, 4500), 10]);
    store.addBehind(range(4500, 5010));
    await told(store);
    deepEqual([store.events(), store.missed], [range(3010, 5010), undefined]);
    for (const event of range(5010, 5012)) store.take(event);
    await told(store);
    deepEqual(store.events().slice(-3), range(5009, 5012));
  });
});
