/** A temporary project with an agent's home, for the tests of this folder. */
import { dirname, join } from "node:path";
import { type AgentHome, initializeAgentHome } from "../../src/config/agent_home.ts";
import { loadMiniSettings } from "../../src/config/load_mini_settings.ts";

type LoadOptions = Partial<Parameters<typeof loadMiniSettings>[0]>;

export class Project implements AsyncDisposable {
  private constructor(readonly workdir: string, readonly home: AgentHome) {}

  static async create(): Promise<Project> {
    const workdir = await Deno.realPath(await Deno.makeTempDir());
    return new Project(workdir, await initializeAgentHome(workdir));
  }

  /** Writes a file below the workdir and returns its absolute path. */
  async file(name: string, text: string): Promise<string> {
    const path = join(this.workdir, name);
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, text);
    return path;
  }

  /** Loads with these `-c` values; nothing of the real environment takes part. */
  load(configSpecs: readonly string[] = [], options: LoadOptions = {}): ReturnType<typeof loadMiniSettings> {
    return loadMiniSettings({
      home: this.home,
      cwd: this.workdir,
      configSpecs,
      env: {},
      overrides: {},
      ...options,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.workdir, { recursive: true });
  }
}
