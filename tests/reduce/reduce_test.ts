import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { NotInteresting, type Part, type ReduceOptions, type ReduceProgress } from "../../src/reduce/contract.ts";
import { reduce } from "../../src/reduce/reduce.ts";
import { CORPUS } from "./corpus.ts";
import { ddmin } from "./ddmin.ts";

type Answer = boolean | Promise<boolean>;

const textPart = (text: string, name = "input.txt"): Part => ({ kind: "text", name, text });
const listPart = (elements: readonly string[], name = "arguments"): Part => ({ kind: "list", name, elements });
const textOf = (part: Part | undefined) => (part as { text: string }).text;

function optionsFor(isInteresting: (parts: readonly Part[]) => Answer, more: Partial<ReduceOptions> = {}) {
  return {
    isInteresting: async (parts: readonly Part[]) => await isInteresting(parts),
    parallel: 1,
    keep: [],
    signal: new AbortController().signal,
    ...more,
  };
}

async function reduceText(
  text: string,
  holds: (text: string) => Answer,
  more: Partial<ReduceOptions> = {},
  name?: string,
) {
  return await reduce([textPart(text, name)], optionsFor(([part]) => holds(textOf(part)), more));
}

/** Each text that a single character, or each list that a single element less makes. */
function* oneLess(parts: readonly Part[]): Generator<readonly Part[]> {
  for (const [index, part] of parts.entries()) {
    const units: readonly string[] = part.kind === "text" ? [...part.text] : part.elements;
    for (let i = 0; i < units.length; i++) {
      const rest = units.toSpliced(i, 1);
      yield parts.with(index, part.kind === "text" ? { ...part, text: rest.join("") } : { ...part, elements: rest });
    }
  }
}

function hasAll(...words: string[]): (text: string) => boolean {
  return (text) => words.every((word) => text.includes(word));
}

/** Turns of the event loop, so that answers come in another order than questions. */
function soon(turns: number): Promise<void> {
  return new Promise((resolve) => {
    const next = (left: number) => left === 0 ? resolve() : setImmediate(() => next(left - 1));
    next(turns);
  });
}

const anyText = fc.string({
  unit: fc.constantFrom("a", "b", "foo", "(", ")", "{", "}", " ", "\n", "  ", "\r\n", ",", "😀", "1", '"'),
});
const anyPart = fc.oneof(
  fc.record({
    kind: fc.constant("text" as const),
    name: fc.constantFrom("a.txt", "a.py", "a.c", "a.json", "a.js", "a.html"),
    text: anyText,
  }),
  fc.record({
    kind: fc.constant("list" as const),
    name: fc.constant("arguments"),
    elements: fc.array(fc.constantFrom("-a", "-b", "", "x")),
  }),
);

/** Interesting is what has these units in its parts, as often, whatever else is there; sometimes with an odd condition. */
const anyCase = fc.record({
  parts: fc.array(anyPart, { minLength: 1, maxLength: 3 }),
  seed: fc.integer({ min: 0, max: 1_000_000 }),
  isOdd: fc.boolean(),
});

function predicateOf({ parts, seed, isOdd }: { parts: readonly Part[]; seed: number; isOdd: boolean }) {
  const units = (part: Part) => part.kind === "text" ? [...part.text] : part.elements;
  // Characters in their order, chosen by the seed.
  const needed = parts.map((part) => units(part).filter((_, i) => (seed + i * 7919) % 11 === 0));
  return (candidate: readonly Part[]) =>
    candidate.every((part, i) => {
      let found = 0;
      for (const unit of units(part)) if (unit === needed[i]![found]) found++;
      return found === needed[i]!.length && (!isOdd || (units(part).length - units(parts[i]!).length) % 3 !== 1);
    });
}

Deno.test("reduce() ends interesting, not larger, and without a unit that could be left out", async () => {
  await fc.assert(
    fc.asyncProperty(anyCase, async (given) => {
      const holds = predicateOf(given);
      const result = await reduce(given.parts, optionsFor(holds));
      ok(holds(result.parts));
      ok(result.size <= result.startSize);
      equal(result.minimalBy, "character");
      for (const less of oneLess(result.parts)) ok(!holds(less), JSON.stringify({ result: result.parts, less }));
    }),
    { numRuns: 300 },
  );
});

Deno.test("reduce() decides the same for every number of questions at a time and every order of answers", async () => {
  await fc.assert(
    fc.asyncProperty(anyCase, fc.array(fc.nat(3), { minLength: 1 }), async (given, delays) => {
      const holds = predicateOf(given);
      const runs = await Promise.all([1, 2, 8].map(async (parallel) => {
        const steps: string[] = [];
        let asked = 0;
        const { parts, passes } = await reduce(
          given.parts,
          optionsFor(async (candidate) => {
            await soon(delays[asked++ % delays.length]!);
            return holds(candidate);
          }, { parallel, onProgress: ({ pass, part, size }) => void steps.push(`${pass} ${part} ${size}`) }),
        );
        return { parts, removed: passes.map(({ pass, removed }) => ({ pass, removed })), steps };
      }));
      deepEqual(runs[1], runs[0]);
      deepEqual(runs[2], runs[0]);
    }),
    { numRuns: 60 },
  );
});

Deno.test("reduce() asks nothing twice, and at most `parallel` questions at a time", async () => {
  await fc.assert(
    fc.asyncProperty(anyCase, fc.constantFrom(1, 2, 5), async (given, parallel) => {
      const holds = predicateOf(given);
      const asked = new Set<string>();
      let running = 0;
      const { calls } = await reduce(
        given.parts,
        optionsFor(async (candidate) => {
          const content = JSON.stringify(candidate);
          ok(!asked.has(content), content);
          asked.add(content);
          ok(++running <= parallel);
          await soon(1);
          running--;
          return holds(candidate);
        }, { parallel }),
      );
      equal(calls, asked.size);
    }),
    { numRuns: 60 },
  );
});

Deno.test("reduce() keeps a match of each pattern in every candidate", async () => {
  const keep = [/wid(th|e)/g, /^int/my];
  const text = "int a;\nint width = 3;\nreturn width;\n";
  const asked: string[] = [];
  const { parts } = await reduceText(
    text,
    (candidate) => {
      asked.push(candidate);
      return true;
    },
    { keep },
    "a.c",
  );
  ok(asked.every((candidate) => /wid(th|e)/.test(candidate) && /^int/m.test(candidate)));
  deepEqual(parts, [textPart("intwidth", "a.c")]);
});

Deno.test("reduce() refuses a start that is not interesting or lacks what is to be kept", async () => {
  await rejects(reduceText("abc", () => false), new NotInteresting());
  let calls = 0;
  await rejects(reduceText("abc", () => ++calls > 0, { keep: [/d/] }), new NotInteresting());
  equal(calls, 0);
});

Deno.test("reduce() takes a proposal that is interesting and not larger, and goes on from it", async () => {
  const proposals = ["something much longer, with a", "b", "xay", "aa"].map((text) => [textPart(text)]);
  const { parts, passes } = await reduceText("....a....", hasAll("a"), { proposals });
  deepEqual(parts, [textPart("a")]);
  // Not the one that is larger, nor the one that is not interesting.
  deepEqual(passes[1], { pass: "proposals", calls: 3, removed: 7 });
  await rejects(reduceText("a", () => true, { proposals: [[listPart(["a"])]] }), TypeError);
});

Deno.test("reduce() drops whole elements of a list only, and parts in turn until none changes", async () => {
  const start = [listPart(["--fast", "--size=10", "x"]), textPart("a b c d"), listPart(["", "HOME=/"], "environment")];
  // The argument can go only when the text has lost its `d`.
  const { parts } = await reduce(
    start,
    optionsFor(([list, text]) => {
      const { elements } = list as { elements: readonly string[] };
      return textOf(text).includes("b") && elements.includes("--size=10") &&
        (elements.includes("x") || !textOf(text).includes("d"));
    }),
  );
  deepEqual(parts, [listPart(["--size=10"]), textPart("b"), listPart([], "environment")]);
});

Deno.test("reduce() ends at once with the reason of its signal, and so do its questions", async () => {
  const controller = new AbortController();
  const signals: AbortSignal[] = [];
  const running = reduceText("abcdefgh", (text) => text.length === 8 || new Promise<boolean>(() => {}), {
    signal: controller.signal,
    parallel: 3,
    isInteresting: ([part], { signal }) => {
      signals.push(signal);
      if (signals.length === 2) queueMicrotask(() => controller.abort(new Error("stopped")));
      return textOf(part).length === 8 ? Promise.resolve(true) : new Promise<boolean>(() => {});
    },
  });
  await rejects(running, new Error("stopped"));
  ok(signals.every(({ aborted }) => aborted));
  await rejects(reduceText("a", () => true, { signal: AbortSignal.abort(new Error("before")) }), new Error("before"));
});

Deno.test("reduce() believes no answer that comes after its signal, and asks nothing more", async () => {
  const controller = new AbortController();
  let lateAsked = 0;
  const sizes: number[] = [];
  const running = reduceText("abcdefgh", () => true, {
    signal: controller.signal,
    parallel: 2,
    onProgress: ({ size }) => void sizes.push(size),
    isInteresting: async ([part], { signal }) => {
      if (signal.aborted) lateAsked++;
      if (textOf(part).length < 8) controller.abort(new Error("stopped"));
      return true;
    },
  });
  await rejects(running, new Error("stopped"));
  deepEqual([lateAsked, Math.min(...sizes)], [0, 8]);
});

Deno.test("reduce() ends with what a question was rejected with, and stops the others", async () => {
  const signals: AbortSignal[] = [];
  let running = 0;
  const failing = reduceText("abcdefgh", () => true, {
    parallel: 3,
    isInteresting: async ([part], { signal }) => {
      signals.push(signal);
      running++;
      try {
        if (textOf(part).length === 8) return true;
        if (signals.length === 4) throw new Error("the disk is full");
        if (signals.length < 4) await soon(50);
        return false;
      } finally {
        running--;
      }
    },
  });
  await rejects(failing, new Error("the disk is full"));
  equal(running, 0);
  ok(signals.every(({ aborted }) => aborted));
});

Deno.test("reduce() tells the size after every decision, and what each pass has won", async () => {
  const progress: ReduceProgress[] = [];
  const result = await reduceText("keep this\nand that\n", hasAll("this"), {
    onProgress: (p) => void progress.push(p),
  });
  const sizes = progress.map(({ size }) => size);
  deepEqual(sizes, sizes.toSorted((a, b) => b - a));
  deepEqual(progress[0], { pass: "start", part: "", size: 19, calls: 0 });
  deepEqual([result.startSize, result.size, sizes.at(-1)], [19, 4, 4]);
  equal(result.passes.reduce((sum, { removed }) => sum + removed, 0), 15);
  equal(result.passes.reduce((sum, { calls }) => sum + calls, 0), result.calls);
});

Deno.test("reduce() needs no more calls than ddmin over characters, and finds nothing larger", async () => {
  for (const { name, file, text, holds } of CORPUS) {
    const ours = await reduceText(text, holds, {}, file);
    const theirs = await ddmin([...text], (units) => holds(units.join("")), (units) => units.join(""));
    ok(ours.calls <= theirs.calls, `${name}: ${ours.calls} calls, ddmin ${theirs.calls}`);
    ok(ours.size <= theirs.rest.length, `${name}: size ${ours.size}, ddmin ${theirs.rest.length}`);
  }
});

Deno.test("reduce() wastes little on what it asks before its time", async () => {
  let alone = 0;
  let inPairs = 0;
  for (const { file, text, holds } of CORPUS) {
    alone += (await reduceText(text, holds, {}, file)).calls;
    inPairs +=
      (await reduceText(text, async (candidate) => (await soon(1), holds(candidate)), { parallel: 2 }, file)).calls;
  }
  ok(inPairs < alone * 1.35, `${inPairs} calls in pairs, ${alone} one by one`);
});

Deno.test("reduce() copes with a hundred thousand brackets within each other", async () => {
  // Where the grammar has to recover from errors, it is slow.
  for (const [file, depth] of [["a.txt", 100_000], ["a.json", 100_000], ["a.py", 20_000], ["a.c", 20_000]] as const) {
    const { parts, calls } = await reduceText("[".repeat(depth) + "x" + "]".repeat(depth), hasAll("x"), {}, file);
    deepEqual(parts, [textPart("x", file)]);
    ok(calls < 200, `${file}: ${calls} calls`);
  }
  const opened = await reduceText("{".repeat(20_000) + "x", hasAll("x"), {}, "a.c");
  equal(opened.size, 1);
});

Deno.test("reduce() cuts five megabytes", async () => {
  const line = "2026-01-01 12:00:00 INFO worker[12]: finished job (id=1234) in 12 ms\n";
  const text = line.repeat(35_000) + "panic: index out of range\n" + line.repeat(35_000);
  const { parts, calls } = await reduceText(text, hasAll("panic"), {}, "server.log");
  deepEqual(parts, [textPart("panic", "server.log")]);
  ok(calls < 200, `${calls} calls`);
});

Deno.test("reduce() never makes half a character", async () => {
  const asked: string[] = [];
  await reduceText("x😀y🇩🇪z", (text) => {
    asked.push(text);
    return text.includes("😀");
  });
  ok(asked.every((text) => text.isWellFormed()));
});
