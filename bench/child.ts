/** A program of a benchmark, in a process of its own. */
import { fileURLToPath } from "node:url";

interface Options {
  readonly env?: Record<string, string>;
  readonly stdin?: "piped";
}

/** Ends with the benchmark. What it says beside the lines that are read goes nowhere. */
export class Child implements AsyncDisposable {
  readonly process: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string> | undefined;

  constructor(argv: readonly string[], speaksOn: "stdout" | "stderr" | "neither", { env = {}, stdin }: Options = {}) {
    this.process = new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      env: { ...cleanEnvironment(), ...env },
      clearEnv: true,
      stdin: stdin ?? "null",
      stdout: speaksOn === "stdout" ? "piped" : "null",
      stderr: speaksOn === "stderr" ? "piped" : "null",
    }).spawn();
    this.#lines = speaksOn === "neither" ? undefined : linesOf(this.process[speaksOn]);
  }

  async line(): Promise<string> {
    const next = await this.#lines?.next();
    if (next === undefined || next.done) throw new Error("A program of the benchmark has ended too early");
    return next.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGTERM");
    await this.process.status;
    await this.#lines?.return?.();
  }
}

/** The last one only with its line feed. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** A proxy of the network does not lead to the loopback, and settings of a gateway are for another one than ours. */
export function cleanEnvironment(): Record<string, string> {
  return Object.fromEntries(Object.entries(Deno.env.toObject()).filter(([name]) => !/_proxy$|^GOCORE_/i.test(name)));
}

/** How one of our own programs is run. */
export function program(url: URL): string[] {
  return [Deno.execPath(), "run", "--no-check", "-A", fileURLToPath(url)];
}

export function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1024;
}
