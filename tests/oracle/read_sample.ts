/** Real outputs of real programs, kept as they were written: `samples/NAME.txt` has the status and both streams. */
import type { ProgramEnd } from "../../src/oracle/failure.ts";

const folder = new URL("./samples/", import.meta.url);

export const sampleNames = [...Deno.readDirSync(folder)].map(({ name }) => name.slice(0, -".txt".length)).sort();

/** Without a witness unless `more` says so. */
export function readSample(name: string, more: Partial<ProgramEnd> = {}): ProgramEnd {
  const text = Deno.readTextFileSync(new URL(`${name}.txt`, folder));
  const [, kind, status, stdout, stderr] = /^(exit|signal) (\S+)\n--- stdout\n([\s\S]*?)--- stderr\n([\s\S]*)$/.exec(
    text,
  )!;
  return programEnd({
    exitCode: kind === "exit" ? Number(status) : null,
    signal: kind === "signal" ? status! : null,
    stdout: stdout!,
    stderr: stderr!,
    ...more,
  });
}

export function programEnd(end: Partial<ProgramEnd>): ProgramEnd {
  return {
    exitCode: 1,
    signal: null,
    timedOut: false,
    stdout: "",
    stderr: "",
    witnessed: [],
    hasWitness: false,
    ...end,
  };
}
