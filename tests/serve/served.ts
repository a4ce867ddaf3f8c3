/** A `gocore serve` of its own for a test: started, killed, started again on the same port, and asked. */
import "../support/direct_loopback.ts";
import { strictEqual as equal } from "node:assert/strict";
import { type GocoreRun, Sandbox } from "../support/gocore.ts";

// deno-lint-ignore no-explicit-any -- each answer has a shape of its own
export type Answer = { status: number; json: any };

export interface ServedOptions {
  readonly box?: Sandbox;
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  /** Below the sandbox's root. */
  readonly files?: Readonly<Record<string, string>>;
}

/** With `runs` and `sessions` beside the sandbox's workdir. */
export class Served implements AsyncDisposable {
  #run!: GocoreRun;
  #url = "";

  private constructor(readonly box: Sandbox, private readonly options: ServedOptions) {}

  static async start(options: ServedOptions = {}): Promise<Served> {
    const served = new Served(options.box ?? await Sandbox.create(), options);
    const files = { "work/mminions.toml": '[manager]\nbackend = "process"\n', ...options.files };
    for (const [path, content] of Object.entries(files)) await served.box.file(path, content);
    await served.#begin(0);
    return served;
  }

  get url(): string {
    return this.#url;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  get pid(): number {
    return this.#run.pid;
  }

  get runsRoot(): string {
    return `${this.box.root}/runs`;
  }

  get workspace(): string {
    return `${this.box.root}/sessions`;
  }

  async get(path: string, headers: HeadersInit = {}): Promise<Answer> {
    return await answerOf(await fetch(`${this.#url}${path}`, { headers }));
  }

  async post(path: string, body: unknown = {}): Promise<Answer> {
    const headers = { "content-type": "application/json" };
    return await answerOf(await fetch(`${this.#url}${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
  }

  /** Dies without a word, and is there again at the same address. */
  async killAndStartAgain(whileDead: () => Promise<void> = async () => {}): Promise<void> {
    const { port } = this;
    this.#run.kill("SIGKILL");
    await this.#run.end;
    await whileDead();
    await this.#begin(port);
  }

  /** What it said on stderr, after a signal has ended it. */
  async end(): Promise<string> {
    this.#run.kill("SIGTERM");
    const { code, stderr } = await this.#run.end;
    equal(code, 0, stderr);
    return stderr;
  }

  /** Resident, in MB. */
  async memoryMb(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.pid}/status`);
    return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.box[Symbol.asyncDispose]();
  }

  async #begin(port: number): Promise<void> {
    const { args = [], env } = this.options;
    const flags = ["--port", `${port}`, "--runs-root", this.runsRoot, "--workspace", this.workspace, "--json"];
    this.#run = await this.box.start(["serve", ...flags, ...args], { env });
    const told = await this.#run.event("it listens", (event) => "url" in event) as unknown as { url: string };
    this.#url = told.url;
  }
}

async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, json: await response.json() };
}
