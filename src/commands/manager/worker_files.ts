/** The files of a worker: its task, its answer, its prompt, and the script that starts it again. */
import { dirname, join } from "node:path";
import { Failure, messageOf } from "../../failure.ts";
import { scriptPath } from "../../manager/artifacts.ts";
import type { WorkerOrder } from "../../manager/ports.ts";
import { writeFileAtomic } from "../../store/atomic_file.ts";
import { shellWord } from "../../templates/shell_word.ts";
import type { Launch } from "../../workers/adapter.ts";

/** In a worker's worktree. What is there is no work on the project: `git/` leaves it out. */
export const TASK_FOLDER = ".gocore-task";
const ANSWER = "answer.json";
/** The whole prompt, where it is too long for an argument. */
const WHOLE_PROMPT = "prompt.md";
const MAX_ANSWER_BYTES = 1024 * 1024;
/** The kernel's limit for one argument is 128 KiB, and an adapter may put a word before the prompt. */
const MAX_PROMPT_BYTES = 120 * 1024;

/** Where the files of a worker are, absolute. */
export interface WorkerFiles {
  readonly worktree: string;
  readonly home: string;
  readonly tmp: string;
  readonly stream: string;
  /** The same for people to read. */
  readonly view: string;
  readonly stderr: string;
  readonly exit: string;
  readonly prompt: string;
  readonly script: string;
  /** The answer as it was given. */
  readonly answer: string;
}

export function workerFiles(
  { worker, role }: Pick<WorkerOrder, "worker" | "role">,
  place: { readonly folder: string; readonly worktree: string; readonly attempt: number },
): WorkerFiles {
  const { folder, worktree, attempt } = place;
  const own = join(folder, "agents", worker);
  const name = `${role === "REPRO_BUILDER" ? "repro" : "triage"}-${worker}`;
  const stream = join(folder, "telemetry", `worker-${name}.jsonl`);
  return {
    worktree,
    home: join(own, "home"),
    tmp: join(own, "tmp"),
    stream,
    view: viewOf(stream),
    stderr: join(own, `stderr-${attempt}.log`),
    exit: join(own, `exit-${attempt}`),
    prompt: join(folder, "prompts", `${name}.txt`),
    script: join(folder, scriptPath(role, worker)),
    answer: join(folder, "answers", `${worker}.txt`),
  };
}

/** Where the lines for people are, beside the stream of a worker. */
export function viewOf(stream: string): string {
  return `${stream.replace(/\.jsonl$/, "")}.txt`;
}

/**
 * Puts the task into the worktree, for the worker to read. What a former attempt has put there stays; the repository may
 * have a link of that name, which is not followed.
 */
export async function writeTask(worktree: string, files: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(worktree, TASK_FOLDER);
  const found = await Deno.lstat(folder).catch(() => undefined);
  if (found !== undefined && !found.isDirectory) await Deno.remove(folder);
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    if (name.includes("/") || name === "." || name === "..") throw new RangeError(`Cannot write "${name}" there`);
    const path = join(folder, name);
    await Deno.remove(path, { recursive: true }).catch(() => {});
    await Deno.writeTextFile(path, text, { createNew: true });
  }
}

/** What the worker has written for us; undefined: no file, or one that is too long to be an answer. */
export async function readAnswerFile(worktree: string): Promise<string | undefined> {
  const folder = join(worktree, TASK_FOLDER);
  const path = join(folder, ANSWER);
  try {
    // A link would have us read, and keep, what only we may see.
    if (!(await Deno.lstat(folder)).isDirectory) return undefined;
    const { isFile, size } = await Deno.lstat(path);
    return isFile && size <= MAX_ANSWER_BYTES ? await Deno.readTextFile(path) : undefined;
  } catch {
    return undefined;
  }
}

/** A prompt that can be an argument; what it had to leave out stands in a file of the task. */
export function boundPrompt(prompt: string): { readonly prompt: string; readonly files: Record<string, string> } {
  const whole = prompt.replaceAll("\0", "\ufffd");
  const bytes = new TextEncoder().encode(whole);
  if (bytes.length <= MAX_PROMPT_BYTES) return { prompt: whole, files: {} };
  const note = `\n\n[The rest of this prompt is too long: read all of it in ${TASK_FOLDER}/${WHOLE_PROMPT}]`;
  // Half a character at the cut is left out.
  const start = new TextDecoder().decode(bytes.subarray(0, MAX_PROMPT_BYTES - note.length)).replace(/\ufffd$/, "");
  return { prompt: start + note, files: { [WHOLE_PROMPT]: whole } };
}

/** Keeps what was started, for a person to run it again: by `sh`, without a key in it. */
export async function writeRecord({ argv, env }: Launch, record: {
  readonly title: string;
  readonly files: WorkerFiles;
  readonly prompt: string;
  readonly workdir: string;
  readonly key: string;
}): Promise<void> {
  const { files, prompt, workdir, key } = record;
  const variables = Object.entries({ HOME: files.home, TMPDIR: files.tmp, ...env }).map(([name, value]) =>
    key !== "" && value.includes(key)
      ? `: "\${${name}:?is the key of a gateway}" && export ${name}`
      : `export ${name}=${shellWord(value)}`
  );
  const words = argv.map((word) => {
    const at = word.indexOf(prompt);
    if (prompt === "" || at === -1) return shellWord(word);
    const [before, after] = [word.slice(0, at), word.slice(at + prompt.length)];
    return `${before && shellWord(before)}"$prompt"${after && shellWord(after)}`;
  });
  const text = [
    "#!/bin/sh",
    `# ${record.title}, as it was started; then it was in a sandbox, with limits.`,
    `cd ${shellWord(workdir)} || exit`,
    ...variables,
    `prompt=$(cat ${shellWord(files.prompt)}) || exit`,
    `exec ${words.join(" ")}`,
    "",
  ].join("\n");
  await writeFileAtomic(files.prompt, prompt.endsWith("\n") ? prompt : `${prompt}\n`);
  await Deno.mkdir(dirname(files.script), { recursive: true });
  await writeFileAtomic(files.script, text, { mode: 0o700 });
}

/** An empty folder of our own for a worktree. Throws a `Failure` when it cannot be had. */
export async function claimFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { mode: 0o700 });
  } catch (cause) {
    const isThere = cause instanceof Deno.errors.AlreadyExists;
    // A folder that somebody else has made, where everybody may, would be theirs; a kill may have left one of ours.
    if (isThere && await isOwnAndEmpty(path)) return;
    throw new Failure(
      "environment",
      `Cannot make the worktree "${path}": ${isThere ? "there is something of that name" : messageOf(cause)}`,
      { hints: isThere ? [`Look at it, and remove it: \`rm -r ${shellWord(path)}\``] : [], cause },
    );
  }
}

async function isOwnAndEmpty(path: string): Promise<boolean> {
  const { isDirectory, uid, mode } = await Deno.lstat(path);
  if (!isDirectory || uid !== Deno.uid() || ((mode ?? 0) & 0o077) !== 0) return false;
  for await (const _ of Deno.readDir(path)) return false;
  return true;
}
