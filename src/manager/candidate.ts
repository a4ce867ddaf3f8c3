/** Reads a reproducer out of what a worker answered. */
import * as z from "zod/mini";
import type { Candidate } from "./ports.ts";

export type ReadCandidate =
  | { readonly kind: "candidate"; readonly candidate: Candidate }
  /** Names the field, so that the worker can be asked again. */
  | { readonly kind: "problem"; readonly problem: string };

const MAX_SCRIPT_BYTES = 256 * 1024;
const MAX_COMMAND_CHARACTERS = 8000;
const MAX_SETUP_COMMANDS = 30;
const MAX_SIGNATURE_CHARACTERS = 4000;
const DEFAULT_EXTENSION = "py";
/** What a command needs to name, one of them, for the script to have a part in it. */
const SCRIPT_NAMES = ["{repro_file}", "repro_candidate"];

const line = (name: string, limit: number) =>
  z.string(`\`${name}\` must be a text`).check(
    z.refine((text) => !text.includes("\0"), `\`${name}\` has a NUL character`),
    z.maxLength(limit, `\`${name}\` is longer than ${limit} characters`),
  );
const command = (name: string) =>
  line(name, MAX_COMMAND_CHARACTERS).check(z.refine((text) => text.trim() !== "", `\`${name}\` is empty`));

const answer = z.object({
  candidate_id: z.optional(z.nullable(z.union([z.string(), z.number()], "`candidate_id` must be a text"))),
  script: line("script", MAX_SCRIPT_BYTES),
  setup_commands: z.optional(
    z.nullable(
      z.array(command("setup_commands"), "`setup_commands` must be a list of texts")
        .check(z.maxLength(MAX_SETUP_COMMANDS, `\`setup_commands\` has more than ${MAX_SETUP_COMMANDS} commands`)),
    ),
  ),
  oracle_command: command("oracle_command"),
  claimed_failure_signature: line("claimed_failure_signature", MAX_SIGNATURE_CHARACTERS),
  file_extension: z.optional(z.nullable(line("file_extension", 20))),
});

/**
 * The last object that is a candidate, with the worker's own name for it; without one, what is wrong with the last object.
 * Its commands are not judged here.
 *
 * @param objects the best guess last
 */
export function readCandidate(objects: readonly Record<string, unknown>[], worker: string): ReadCandidate {
  const read = objects.map((object) => readObject(object, worker));
  return read.findLast(({ kind }) => kind === "candidate") ?? read.at(-1) ??
    problem("There is no JSON object in the answer");
}

const problem = (text: string): ReadCandidate => ({ kind: "problem", problem: text });

function readObject(object: Record<string, unknown>, worker: string): ReadCandidate {
  const parsed = answer.safeParse(object);
  if (!parsed.success) {
    const messages = parsed.error.issues.map(({ message, path }) =>
      path.length === 1 && !Object.hasOwn(object, path[0]!) ? `\`${String(path[0])}\` is missing` : message
    );
    return problem([...new Set(messages)].slice(0, 5).join("; "));
  }
  const { script, oracle_command: oracle, setup_commands, claimed_failure_signature } = parsed.data;
  if (new TextEncoder().encode(script).length > MAX_SCRIPT_BYTES) {
    return problem(`\`script\` is larger than ${MAX_SCRIPT_BYTES / 1024} KiB`);
  }
  if (script.trim() === "") return problem("`script` is empty");
  if (!SCRIPT_NAMES.some((name) => oracle.includes(name))) {
    return problem("`oracle_command` does not run the script: it needs `{repro_file}` in it");
  }
  const extension = parsed.data.file_extension?.trim().replace(/^\./, "") || DEFAULT_EXTENSION;
  if (!/^[A-Za-z0-9]{1,8}$/.test(extension)) {
    return problem("`file_extension` must be one to eight letters or digits");
  }
  return {
    kind: "candidate",
    candidate: {
      candidate_id: idOf(parsed.data.candidate_id, worker),
      worker_id: worker,
      script: script.toWellFormed(),
      setup_commands: setup_commands ?? [],
      oracle_command: oracle,
      claimed_failure_signature,
      file_extension: extension,
    },
  };
}

/** Fit for file names and for terminals. */
function idOf(given: string | number | null | undefined, worker: string): string {
  const id = String(given ?? "").replaceAll(/[^A-Za-z0-9._-]+/g, "-").replaceAll(/^[.-]+|-+$/g, "").slice(0, 60);
  return id === "" ? worker : id;
}
