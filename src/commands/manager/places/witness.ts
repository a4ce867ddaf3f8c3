/** What the runtimes themselves tell of a run: hooks within Python and Node that record what nobody caught. */
import { join } from "node:path";
import * as z from "zod/mini";
import type { ControlOrder, SeenCall, SeenResults } from "../../../manager/ports.ts";
import type { WitnessedFailure } from "../../../oracle/failure.ts";
import nodeControl from "./control.cjs" with { type: "text" };
import nodeWitness from "./witness.cjs" with { type: "text" };
import pythonControl from "./control.py" with { type: "text" };
import pythonMeddling from "./meddling.py" with { type: "text" };
import pythonWitness from "./witness.py" with { type: "text" };

/**
 * What it proves: an exception that a witness tells was not caught, whatever the program prints. It is no proof against
 * a program that looks for the record and writes to it, for it runs as the same user.
 */
export interface Testimony {
  readonly hasWitness: boolean;
  readonly witnessed: readonly WitnessedFailure[];
  /** Lines of the project that were executed, by path relative to its top. */
  readonly executed: ReadonlyMap<string, ReadonlySet<number>>;
  /** What was done to the project; a sentence. */
  readonly meddling: string | undefined;
  readonly results: SeenResults;
  /** Functions of the project that processes of Node have entered, as far as they ended badly; null: none did. */
  readonly entered: number | null;
}

/** What a witness has to know of a run. Absolute paths, as the run sees them. */
export interface WitnessSettings {
  readonly project: string;
  readonly script: string;
  /** Of the project, where it is installed: name of the package, and its path relative to the project's top. */
  readonly packages: ReadonlyMap<string, string>;
  readonly trace: boolean;
  /** Whether to look, once something has failed, for what was put in the place of the project's code. */
  readonly thorough: boolean;
  readonly results: ControlOrder["results"];
}

/** Code of one version of Python. */
const COMPILED = "witness.bin";
/** Of the memory that a run may take; the rest is for what is not on the heap. */
const HEAP_SHARE = 0.7;
const MAX_RECORDS = 200;
const MAX_RECORD_BYTES = 8 * 1024 * 1024;
const MAX_ALL_BYTES = 4 * MAX_RECORD_BYTES;
const MAX_FAILURES = 200;
const MAX_CALLS = 200;

const text = z.string().check(z.maxLength(100_000));
const frame = z.object({
  function: z.nullable(text),
  file: z.nullable(text),
  line: z.nullable(z.int().check(z.positive())),
});
const frames = z.array(frame).check(z.maxLength(200));
const indexes = z.array(z.int().check(z.nonnegative())).check(z.maxLength(100));
const failure = z.object({
  pid: z.int(),
  type: text,
  message: text,
  frames,
  bases: z.array(text).check(z.maxLength(60)),
  causes: z.array(z.object({ type: text, message: text, frames })).check(z.maxLength(20)),
  projectCalls: z.nullable(z.int().check(z.nonnegative())),
});
const entry = z.union([
  z.object({ start: z.int() }),
  z.object({ failure, runtime: z.enum(["python", "node"]), at: z.number() }),
  z.object({ line: z.tuple([text, z.int().check(z.positive())]) }),
  z.object({ meddling: text }),
  z.object({ entered: z.int().check(z.nonnegative()) }),
  z.object({ function: text }),
  z.object({
    call: z.object({ name: text, equals: indexes, fits: indexes, isStated: z.nullable(z.boolean()) }),
  }),
]);

/** The files of a witness for Node and for Python, which write to the folder `record`. */
export async function writeWitnesses(folder: string, { record }: { readonly record: string }): Promise<void> {
  await Deno.writeTextFile(join(folder, "witness.py"), pythonWitness);
  await Deno.writeTextFile(join(folder, "meddling.py"), pythonMeddling);
  await Deno.writeTextFile(join(folder, "control.py"), pythonControl);
  await Deno.writeTextFile(join(folder, "control.cjs"), nodeControl);
  const witness = join(folder, "witness.cjs");
  await Deno.writeTextFile(witness, nodeWitness);
  // What an old Node cannot read would end every program.
  const load = `require(${JSON.stringify(witness)})(${JSON.stringify(record)})`;
  const hook = `delete require.cache[__filename];\nif (parseInt(process.versions.node, 10) >= 16) ${load};\n`;
  await Deno.writeTextFile(join(folder, "hook.cjs"), hook);
}

/**
 * What a Python makes of its witness, which would otherwise take longer than to start: arguments for that Python, which
 * writes the file that `pythonHook` names.
 */
export function compileArguments(folder: string): readonly string[] {
  const script = "import marshal, sys; source, target = sys.argv[1:]; " +
    'marshal.dump(compile(open(source, encoding="utf-8").read(), source, "exec"), open(target, "wb"))';
  return ["-I", "-c", script, join(folder, "witness.py"), join(folder, COMPILED)];
}

/**
 * A line for a `.pth` file of a Python environment: it is run by every start, also with `-I`, but not with `-S`.
 *
 * @param options.version of the Python that has compiled the witness, `3.12.4`; not older than 3.8
 */
export function pythonHook(
  folder: string,
  { record, version }: { readonly record: string; readonly version: string },
): string {
  const [major, minor] = version.split(".");
  const file = asciiJson(join(folder, COMPILED));
  const names = `{"__name__": "gocore_witness", "RECORD": ${asciiJson(record)}}`;
  const site = 'sys.modules["site"], "_gocore_witness"';
  // In a virtual environment, every .pth file is read twice.
  return `import sys; sys.version_info[:2] == (${major}, ${minor}) and not hasattr(${site}) and ` +
    `(setattr(${site}, True) or exec(__import__("marshal").load(open(${file}, "rb")), ${names}))\n`;
}

/** Value of NODE_OPTIONS: Node tells of a full heap itself, before its surroundings end it for the memory that it takes. */
export function nodeHook(folder: string, { memoryMb }: { readonly memoryMb: number }): string {
  return `--require=${JSON.stringify(join(folder, "hook.cjs"))} --max-old-space-size=${
    Math.floor(memoryMb * HEAP_SHARE)
  }`;
}

/** Without the settings, a witness does nothing. */
export function settingsText({ project, script, packages, trace, thorough, results }: WitnessSettings): string {
  return [
    `project ${project}`,
    `script ${script}`,
    ...Array.from(packages, ([name, path]) => `package ${name}\t${path}`),
    `trace ${trace ? 1 : 0}`,
    `thorough ${thorough ? 1 : 0}`,
    ...(results === undefined ? [] : [`results ${asciiJson(results)}`]),
    "",
  ].join("\n");
}

/** Reads what was told in a folder to which a hostile program could write. Never throws for what it finds there. */
export function readTestimony(record: string): Testimony {
  const told: { readonly at: number; readonly failure: WitnessedFailure }[] = [];
  const executed = new Map<string, Set<number>>();
  let hasWitness = false;
  let meddling: string | undefined;
  let entered: number | null = null;
  const functions = new Set<string>();
  const calls: SeenCall[] = [];
  let left = MAX_ALL_BYTES;
  const paths = recordsIn(record);
  for (const path of paths) {
    const bytes = readRecord(path, Math.min(left, MAX_RECORD_BYTES));
    left -= bytes.length;
    const lines = new TextDecoder().decode(bytes).split("\n");
    const crash = crashIn(lines);
    if (crash !== undefined) told.push({ at: Infinity, failure: crash });
    for (const line of lines) {
      const found = parseEntry(line);
      if (found === undefined) continue;
      hasWitness = true;
      if ("failure" in found && told.length < MAX_FAILURES) {
        told.push({ at: found.at, failure: { runtime: found.runtime, ...found.failure } });
      } else if ("line" in found) {
        const [file, number] = found.line;
        executed.set(file, (executed.get(file) ?? new Set()).add(number));
      } else if ("meddling" in found) meddling ??= found.meddling;
      else if ("entered" in found) entered = (entered ?? 0) + found.entered;
      else if ("function" in found) functions.add(found.function);
      else if ("call" in found && calls.length < MAX_CALLS) calls.push(found.call);
    }
  }
  // Who floods the records has something to hide there: the output must not speak for it.
  if (left === 0 || paths.length === MAX_RECORDS) hasWitness = true;
  told.sort((a, b) => a.at === b.at ? 0 : a.at - b.at);
  return {
    hasWitness,
    witnessed: told.map(({ failure }) => failure),
    executed,
    meddling,
    results: { functions: [...functions], calls },
    entered,
  };
}

const CRASHES = new Map([
  ["Segmentation fault", "SIGSEGV"],
  ["Aborted", "SIGABRT"],
  ["Bus error", "SIGBUS"],
  ["Floating point exception", "SIGFPE"],
  ["Floating-point exception", "SIGFPE"],
  ["Illegal instruction", "SIGILL"],
]);

/** What Python itself writes when a signal ends it. */
function crashIn(lines: readonly string[]): WitnessedFailure | undefined {
  const at = lines.findIndex((line) => line.startsWith("Fatal Python error: "));
  const type = at === -1 ? undefined : CRASHES.get(lines[at]!.slice("Fatal Python error: ".length));
  if (type === undefined) return undefined;
  const stack = lines.findIndex((line, index) => index > at && /^(?:Current thread|Thread|Stack)\b.*:$/.test(line));
  const frames: { function: string; file: string; line: number }[] = [];
  for (const line of stack === -1 ? [] : lines.slice(stack + 1)) {
    const found = /^ {2}File "(.{1,1000})", line (\d{1,9}) in (.{1,1000})$/.exec(line);
    if (found === null) break;
    frames.push({ function: found[3]!, file: found[1]!, line: Number(found[2]) });
  }
  return { runtime: "python", pid: 0, type, bases: [], message: "", frames, causes: [], projectCalls: null };
}

function recordsIn(folder: string): string[] {
  const names: string[] = [];
  try {
    for (const { name, isFile } of Deno.readDirSync(folder)) {
      if (isFile && name.endsWith(".jsonl") && names.push(name) === MAX_RECORDS) break;
    }
  } catch {
    // The program has taken it away.
  }
  return names.sort().map((name) => join(folder, name));
}

function readRecord(path: string, maxBytes: number): Uint8Array {
  try {
    // Whoever could write to it has ended: what is a file now stays one.
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(Math.min(file.statSync().size, maxBytes));
    let length = 0;
    while (length < bytes.length) {
      const read = file.readSync(bytes.subarray(length));
      if (read === null) break;
      length += read;
    }
    return bytes.subarray(0, length);
  } catch {
    return new Uint8Array();
  }
}

function parseEntry(line: string): z.infer<typeof entry> | undefined {
  if (line === "") return undefined;
  try {
    const found = entry.safeParse(JSON.parse(line));
    return found.success ? found.data : undefined;
  } catch {
    return undefined;
  }
}

/** One line; of a text, it is a literal of Python as well. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
