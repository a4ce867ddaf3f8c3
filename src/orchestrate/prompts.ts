/** What workers are told: their part of the task, what others did, what a review or a person said. */
import type { TaskAssignment } from "../events/session_events.ts";
import { cutBytes, fenced, oneLine } from "../templates/fenced.ts";
import { MAX_TASK_BYTES } from "./review.ts";

export interface TaskPrompt {
  readonly task: string;
  readonly assignment: TaskAssignment;
  /** Of the assignments that it depends on. */
  readonly results: readonly {
    readonly title: string;
    readonly agent: string;
    readonly text: string;
    readonly missing: boolean;
  }[];
  /** What a former attempt left. */
  readonly former: { readonly reason: string; readonly files: readonly string[]; readonly said: string } | undefined;
  readonly isShared: boolean;
}

/** In bytes; with the task and the plan's part of it they fit into one argument of a program, which has at most 128 KiB. */
const MAX_PART_BYTES = 20_000;
const MAX_RESULTS_BYTES = 24_000;
const MAX_SAID_BYTES = 4_000;
const MAX_LIST_BYTES = 4_000;
const MAX_OUTPUT_BYTES = 8_000;
/** Of a single result, when there is room. */
const MAX_RESULT_BYTES = 12_000;

const EVENT_FORMAT =
  'While you work you can tell how it goes, each in a line of its own in a message: {"type": "progress", "payload": ' +
  '{"text": "…", "progress": 40}}. Types: status, progress (0 to 100), finding, milestone (a part is finished and worth ' +
  "a review), blocker (you cannot go on), request_review, error.";

export function taskPrompt({ task, assignment, results, former, isShared }: TaskPrompt): string {
  const maxBytes = Math.min(Math.floor(MAX_RESULTS_BYTES / results.length), MAX_RESULT_BYTES);
  return [
    assignment.prompt,
    fenced("the whole task", task, { maxBytes: MAX_TASK_BYTES }),
    ...results.map(({ title, agent, text, missing }) =>
      missing
        ? fenced(`why "${title}" by ${agent} is missing; do without it`, oneLine(text).slice(0, 300))
        : fenced(`result of "${title}" by ${agent}`, text, { maxBytes })
    ),
    ...(former === undefined ? [] : [formerText(former)]),
    isShared
      ? "Others work in the same folder at the same time: change only what your part needs."
      : "You work in a copy of the repository of your own. Leave your changes in it; they are committed and merged for " +
        "you. Do not push, and do not switch branches.",
    "Nobody can answer questions while you work: decide, and say what you decided. End with a short message that says " +
    "what you did and what is open.",
    EVENT_FORMAT,
  ].join("\n\n");
}

function formerText({ reason, files, said }: NonNullable<TaskPrompt["former"]>): string {
  return [
    `A former attempt at this was cut off (${
      oneLine(reason).slice(0, 300)
    }). Its work is in the current folder: look ` +
    "at it with git, go on from there, and do not begin again.",
    files.length === 0 ? "It changed no file." : fenced("files that it changed", fileList(files)),
    ...(said === "" ? [] : [fenced("what it said last", said, { maxBytes: MAX_SAID_BYTES })]),
  ].join("\n\n");
}

/** What a review found, and perhaps what a person says to it, for the author. */
export function feedbackPrompt({ review, answer, isResumed, task }: {
  readonly review: readonly { readonly reviewer: string; readonly text: string }[];
  readonly answer: string | undefined;
  /** Whether the agent knows its task from its own session. */
  readonly isResumed: boolean;
  readonly task: string;
}): string {
  const maxBytes = Math.floor(MAX_RESULTS_BYTES / review.length);
  return [
    ...(isResumed
      ? []
      : [fenced("your task, which you have worked on before", task, { maxBytes: MAX_TASK_BYTES + MAX_PART_BYTES })]),
    ...(review.length === 0 ? [] : [
      "Your work was reviewed. Mend what is right in the following, with the smallest change; where a reviewer is wrong, " +
      "say why and leave it.",
      ...review.map(({ reviewer, text }) => fenced(`review by ${reviewer}`, text, { maxBytes })),
    ]),
    ...(answer === undefined
      ? []
      : [fenced("a person's answer, which counts", answer, { maxBytes: MAX_OUTPUT_BYTES })]),
    "The current folder has your work. End with a short message that says what you changed.",
  ].join("\n\n");
}

export function nudgePrompt(reason: string): string {
  return `You were stopped because nothing moved any more: ${
    oneLine(reason).slice(0, 300)
  }. Your work so far is in the current folder. Take ` +
    "another way, or end with a message that says what is done and what is open.";
}

export function limitPrompt(limit: "cpu" | "memory" | "time", { allowed, found, unit }: {
  readonly allowed: number;
  readonly found: number;
  readonly unit: string;
}): string {
  return `You were stopped because what you ran used more ${limit} than is allowed: ${found} ${unit}, at most ${allowed} ` +
    `${unit}. Your work so far is in the current folder. Go on with less: fewer parallel jobs, smaller parts.`;
}

export function conflictPrompt({ task, files, branch }: {
  readonly task: string;
  readonly files: readonly string[];
  readonly branch: string;
}): string {
  return [
    `Two agents have worked on parts of a task, and merging the branch ${branch} has conflicts.`,
    fenced("files with conflicts", fileList(files)),
    fenced("task", task, { maxBytes: MAX_TASK_BYTES }),
    "The files in the current folder have conflict markers (<<<<<<<, =======, >>>>>>>). Resolve them so that both parts " +
    "of the work are kept, run what checks there are, and leave no marker. Do not commit. End with a short message.",
  ].join("\n\n");
}

export function verifyPrompt({ task, command, output }: {
  readonly task: string;
  readonly command: string;
  readonly output: string;
}): string {
  return [
    "The parts of a task were merged in the current folder, and the check of the result fails. Mend it with the smallest " +
    "change; do not change the check.",
    fenced("task", task, { maxBytes: MAX_TASK_BYTES }),
    `The check: ${command}`,
    fenced("the end of its output", output.slice(-MAX_OUTPUT_BYTES)),
    "End with a short message that says what was wrong.",
  ].join("\n\n");
}

/** A name on each line, whatever is in it. */
function fileList(files: readonly string[]): string {
  return cutBytes(files.slice(0, 200).map(oneLine).join("\n"), MAX_LIST_BYTES);
}
