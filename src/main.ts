/** The executable: the process's arguments go in, its exit code comes out. */
import { describeFailure, exitCodeOf, Interrupt, type InterruptSignal } from "./failure.ts";
import { type Io, OutputPipe } from "./terminal/io.ts";

const aborted = new AbortController();
const hardExit: (() => void)[] = [];

// Before anything is loaded: a signal that comes during the start must end the program as documented too.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] satisfies InterruptSignal[]) {
  Deno.addSignalListener(name, () => {
    const interrupt = new Interrupt(name);
    if (!aborted.signal.aborted) return aborted.abort(interrupt);
    for (const callback of hardExit) callback();
    Deno.exit(exitCodeOf(interrupt));
  });
}
// Under `ulimit -f` a file that grows too long is a failed write then, which a run can tell, and no sudden death.
if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
// A mistake of ours in a detached promise ends the run with its error event instead of killing the process.
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  aborted.abort(event.reason);
});

const io: Io = {
  env: Deno.env.toObject(),
  cwd: currentFolder(),
  stdout: new OutputPipe("stdout", Deno.stdout),
  stderr: new OutputPipe("stderr", Deno.stderr),
  signal: aborted.signal,
  abort: (reason) => aborted.abort(reason),
  onHardExit: (callback) => void hardExit.push(callback),
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};

Deno.exit(await main());

/** An error that left this module would be an unhandled rejection like any other, and the exit code 0. */
async function main(): Promise<number> {
  try {
    const { run } = await import("./app.ts");
    return await run(Deno.args, io);
  } catch (error) {
    await io.stderr.write(describeFailure(error)).catch(() => {});
    return exitCodeOf(error);
  }
}

/** Deno has no path for a folder whose name is not UTF-8. */
function currentFolder(): string {
  try {
    return Deno.cwd();
  } catch {
    return "/proc/self/cwd";
  }
}
