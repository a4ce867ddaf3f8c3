/** Runs programs and measures what a user waits for: time from exec, time to an event, peak memory. */

export interface Measured {
  /** From exec to exit. */
  readonly wallMs: number;
  /** From exec to the first byte on stdout. */
  readonly firstByteMs: number;
  /** The largest resident set of the process, from the kernel's own record. */
  readonly peakMb: number;
  readonly stdout: string;
}

export interface Program {
  readonly argv: readonly [string, ...string[]];
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/** Runs a program once. Fails when it does, with the end of what it said. */
export async function measure({ argv, cwd, env }: Program): Promise<Measured> {
  // GNU time would be a program more to install; the shell's child is the program itself, and VmHWM its peak.
  const started = performance.now();
  const child = new Deno.Command(argv[0], {
    args: argv.slice(1),
    cwd,
    env: { ...Deno.env.toObject(), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  let firstByteMs = 0, peakMb = 0;
  const decoder = new TextDecoder();
  let stdout = "";
  const watch = setInterval(() => peakMb = Math.max(peakMb, peakOf(child.pid)), 5);
  for await (const chunk of child.stdout) {
    if (firstByteMs === 0) firstByteMs = performance.now() - started;
    peakMb = Math.max(peakMb, peakOf(child.pid));
    stdout += decoder.decode(chunk, { stream: true });
  }
  const { success } = await child.status;
  const wallMs = performance.now() - started;
  clearInterval(watch);
  if (!success) throw new Error(`${argv.join(" ")} failed:\n${(await stderr).slice(-2000)}\n${stdout.slice(-2000)}`);
  return { wallMs, firstByteMs, peakMb, stdout };
}

function peakOf(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0; // It has ended between two looks.
  }
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** By the nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? NaN;
}

/** Medians over several runs; all programs take turns, so that a busy machine slows each of them alike. */
export async function compare<K extends string>(
  programs: Record<K, () => Promise<Program>>,
  runs: number,
): Promise<Record<K, Measured[]>> {
  const results = Object.fromEntries(Object.keys(programs).map((name) => [name, []])) as unknown as Record<
    K,
    Measured[]
  >;
  for (let run = 0; run <= runs; run++) {
    for (const name of Object.keys(programs) as K[]) {
      const measured = await measure(await programs[name]());
      if (run > 0) results[name].push(measured); // The first run warms the caches.
    }
  }
  return results;
}

export function row(label: string, figures: Record<string, string>): void {
  const text = Object.entries(figures).map(([name, value]) => `${name} ${value}`).join("   ");
  Deno.stdout.writeSync(new TextEncoder().encode(`${label.padEnd(44)} ${text}\n`));
}

export const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
export const ratio = (ours: number, theirs: number): string => `${(theirs / ours).toFixed(1)}x`;
