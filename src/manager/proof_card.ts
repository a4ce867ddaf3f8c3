/** The proof card: a script by which anybody can see a reproducer fail as it did here, and what it compares with. */
import { createHash } from "node:crypto";
import type { FailureSignature } from "../oracle/expected.ts";
import { SIGNALS } from "../oracle/report.ts";
import { codeBlock, codeSpan, plainLine } from "./plain_markdown.ts";
import type { EnvironmentRecord, Validation } from "./ports.ts";

export interface ProofParts {
  readonly runId: string;
  readonly version: string;
  readonly script: string;
  readonly fileExtension: string;
  readonly setupCommands: readonly string[];
  /** With `{repro_file}`. */
  readonly oracleCommand: string;
  readonly proof: Validation;
  /** As `describeSignature` has it. */
  readonly signature: string | null;
  readonly environment: EnvironmentRecord | null;
  readonly oracleTimeoutMs: number;
}

export const PROOF_JSON = "repro/proof.json";
export const VERIFY_SH = "repro/verify.sh";
export const PROOF_README = "repro/README.md";

/** `proof.json`: what was run, what was expected, and what came out. */
export function proofJson({ script, proof, ...parts }: ProofParts): Record<string, unknown> {
  return {
    run_id: parts.runId,
    gocore_version: parts.version,
    commit: proof.commit,
    script: fileNames(parts).kept,
    script_sha256: sha256(script),
    setup_commands: parts.setupCommands,
    oracle_command: parts.oracleCommand,
    expected_signature: proof.signature,
    signature: parts.signature,
    verdict: proof.verdict,
    matches: proof.matches,
    total_runs: proof.total_runs,
    interval: proof.interval,
    outcomes: proof.outcomes,
    environment: parts.environment,
  };
}

/**
 * `verify.sh`, POSIX: takes the path of a repository that has the commit (default: the current folder), changes nothing in
 * it, and exits with 0 only when each run has failed as it did here; 1 when one has not, 2 when it could not be tried.
 * All values are quoted; none of them is a part of the program.
 */
export function verifyScript(parts: ProofParts): string {
  const { script, proof, oracleCommand, setupCommands, environment, oracleTimeoutMs } = parts;
  const { signature } = proof;
  const names = fileNames(parts);
  return `#!/bin/sh
# Shows a failure as gocore has proved it: \`sh verify.sh [REPOSITORY]\`.
# It runs ${names.kept}, which an agent wrote, on this machine: read it first.
# Exit status: 0 all runs failed like this, 1 not all of them did, 2 it could not be tried.
set -u

commit=${quoted(proof.commit)}
script=${quoted(names.kept)}
script_sha256=${quoted(sha256(script))}
name=${quoted(names.placed)}
command=${quoted(oracleCommand)}
runs=${Math.max(proof.total_runs, 1)}
seconds=${Math.ceil(oracleTimeoutMs / 1000)}
expected_status=${quoted(statusOf(signature)?.toString() ?? "")}
expected_text=${quoted(textPattern(signature))}
signature=${quoted(parts.signature ?? "")}
python=${quoted(pythonOf(environment) ?? "")}

here=$(cd "$(dirname "$0")" && pwd) || exit 2
repository=$(git -C "\${1:-.}" rev-parse --absolute-git-dir 2>/dev/null) || {
  echo "Need a git repository that has the commit $commit: sh $0 PATH" >&2
  exit 2
}
git --git-dir="$repository" cat-file -e "$commit^{commit}" 2>/dev/null || {
  echo "The repository has no commit $commit: fetch it first" >&2
  exit 2
}
if command -v sha256sum >/dev/null 2>&1; then
  found=$(sha256sum <"$here/$script" | cut -d ' ' -f 1)
else
  found=$(shasum -a 256 <"$here/$script" | cut -d ' ' -f 1)
fi
if [ "$found" != "$script_sha256" ]; then
  echo "$script is not the one that was proved" >&2
  exit 2
fi

# The commands are given a path without anything that a shell would read.
base=\${TMPDIR:-/tmp}
case $base in *[!A-Za-z0-9_./-]*) base=/tmp ;; esac
work=$(mktemp -d "$base/gocore-verify.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
checkout=$work/checkout
file=$checkout/$name

# A clone of its own: nothing that runs in it changes the repository.
git -c core.hooksPath=/dev/null clone --quiet --shared --no-checkout "$repository" "$work/clean" 2>"$work/log" &&
  git -C "$work/clean" -c core.hooksPath=/dev/null -c advice.detachedHead=false checkout --quiet --detach "$commit" 2>>"$work/log" &&
  cp "$here/$script" "$work/clean/$name" || {
  echo "The commit cannot be checked out:" >&2
  cat "$work/log" >&2
  exit 2
}
mv "$work/clean" "$checkout"

# $1 with every {repro_file} as the path of the script.
with_file() {
  text=$1
  while :; do
    case $text in
      *'{repro_file}'*) text=\${text%%'{repro_file}'*}$file\${text#*'{repro_file}'} ;;
      *) break ;;
    esac
  done
  printf '%s\\n' "$text"
}

path=$PATH
if [ -n "$python" ]; then
  if command -v uv >/dev/null 2>&1 && uv venv --quiet --seed --python "$python" "$work/venv" >"$work/log" 2>&1; then
    path=$work/venv/bin:$PATH
  else
    for program in "python$python" python3; do
      if command -v "$program" >/dev/null 2>&1 && "$program" -m venv "$work/venv" >"$work/log" 2>&1; then
        path=$work/venv/bin:$PATH
        break
      fi
    done
  fi
  has=$(PATH=$path; python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
  [ "$has" = "$python" ] || echo "Note: this is Python \${has:-(none)}; it was proved with $python" >&2
fi
${setupLines(setupCommands, environment)}
mv "$checkout" "$work/clean"

bounded() {
  if command -v timeout >/dev/null 2>&1; then timeout -k 5 "$seconds" "$@"; else "$@"; fi
}

matches=0
run=0
while [ "$run" -lt "$runs" ]; do
  run=$((run + 1))
  rm -rf "$checkout" "$work/home"
  mkdir "$work/home" "$work/home/tmp" && cp -Rp "$work/clean" "$checkout" || exit 2
  (
    cd "$checkout" || exit 2
    bounded env -i PATH="$path" HOME="$work/home" TMPDIR="$work/home/tmp" LANG=C.UTF-8 TZ=UTC \\
      PYTHONDONTWRITEBYTECODE=1 /bin/sh -c "$(with_file "$command")"
  ) >"$work/out" 2>"$work/err" </dev/null
  status=$?
  verdict=match
  if [ -n "$expected_status" ] && [ "$status" -ne "$expected_status" ]; then verdict="another exit status"; fi
  if [ "$verdict" = match ] && [ -n "$expected_text" ] &&
    ! cat "$work/err" "$work/out" | tr -d '\\000' | tr -s '[:space:]' ' ' | LC_ALL=C grep -E -q -e "$expected_text"; then
    verdict="another failure"
  fi
  if [ "$verdict" = match ]; then matches=$((matches + 1)); else tail -n 5 "$work/err" >&2; fi
  echo "run $run of $runs: exit status $status, $verdict"
done

if [ "$matches" -eq "$runs" ]; then
  echo "REPRODUCED $matches of $runs: $signature"
  exit 0
fi
echo "NOT REPRODUCED: $matches of $runs failed like this: $signature"
exit 1
`;
}

/** The folder's README. */
export function proofReadme(parts: ProofParts): string {
  const { proof, signature, environment } = parts;
  const { kept, placed } = fileNames(parts);
  return [
    "# How this failure was proved",
    `${
      codeSpan(kept)
    } failed in the same way in ${proof.matches} of ${proof.total_runs} runs, each in a clean copy of the ` +
    `commit ${codeSpan(proof.commit)}${signature === null ? "" : `: ${codeSpan(signature)}`}.`,
    `To see it yourself: read ${codeSpan(kept)}, which an agent wrote, then`,
    codeBlock("sh verify.sh PATH-OF-A-CLONE", "sh"),
    "It checks the commit out into a temporary folder, makes the environment, runs the script as often, compares exit " +
    "status and message, and says REPRODUCED only when all runs agree. It has no sandbox of its own.",
    `By hand: put the script as ${codeSpan(placed)} at the top of a checkout, and there`,
    codeBlock(
      [...parts.setupCommands, parts.oracleCommand].map((line) => line.replaceAll("{repro_file}", placed)).join("\n"),
      "sh",
    ),
    ...(environment === null ? [] : [
      `Environment: ${
        plainLine(
          [
            environment.platform,
            ...environment.tools,
            environment.sandbox,
            `${environment.network ? "with" : "without"} a network`,
          ].join(", "),
          2000,
        )
      }.`,
    ]),
    "`proof.json` has every outcome.",
  ].join("\n\n") + "\n";
}

function fileNames(
  { fileExtension }: Pick<ProofParts, "fileExtension">,
): { readonly kept: string; readonly placed: string } {
  return { kept: `minimal_repro.${fileExtension}`, placed: `repro_candidate.${fileExtension}` };
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** For a shell: one word, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("\0", "").replaceAll("'", `'\\''`)}'`;
}

const PINNED = /^[A-Za-z0-9][\w.-]*==[\w.!+-]+$/;

/** Versions that setup commands choose are those that were there. */
function setupLines(commands: readonly string[], environment: EnvironmentRecord | null): string {
  if (commands.length === 0) return "";
  const pinned = (environment?.packages ?? []).filter((line) => PINNED.test(line));
  return [
    ...(pinned.length === 0 ? [] : [
      `printf '%s\\n' ${pinned.map(quoted).join(" ")} >"$work/constraints.txt"`,
      'export PIP_CONSTRAINT="$work/constraints.txt" UV_CONSTRAINT="$work/constraints.txt"',
    ]),
    ...commands.map((command) =>
      `(cd "$checkout" && PATH=$path /bin/sh -c "$(with_file ${quoted(command)})") >"$work/log" 2>&1 </dev/null || {
  echo "A setup command failed:" ${quoted(command)} >&2
  tail -n 20 "$work/log" >&2
  exit 2
}`
    ),
    "",
  ].join("\n");
}

/** `3.12`; undefined: no Python was there. */
function pythonOf(environment: EnvironmentRecord | null): string | undefined {
  for (const tool of environment?.tools ?? []) {
    const version = /^python (\d{1,2}\.\d{1,3})/i.exec(tool)?.[1];
    if (version !== undefined) return version;
  }
  return undefined;
}

/** Of `timeout`. */
const TIMED_OUT = 124;

/** As a shell tells it; null: any. */
function statusOf(signature: FailureSignature | null): number | null {
  if (signature === null) return null;
  if (signature.kind === "timeout") return TIMED_OUT;
  const signal = signature.signal === null ? undefined : SIGNALS.get(signature.signal);
  return signal === undefined ? signature.exitCode : 128 + signal;
}

const MAX_PATTERN = 600;
/** Runtimes that write `Type: message`. */
const WITH_TYPE = new Set(["python", "node", "java"]);

/** An extended regular expression for the output in one line; empty: anything. */
function textPattern(signature: FailureSignature | null): string {
  if (signature === null || ["signal", "exit", "timeout"].includes(signature.kind)) return "";
  const { runtime, type, template } = signature;
  const message = template === null || template.trim() === "" ? undefined : templatePattern(template);
  const name = type === null ? undefined : escaped(type.split(".").at(-1)!);
  if (WITH_TYPE.has(runtime) && name !== undefined) {
    return `(^|[^A-Za-z0-9_])${name}${
      message === undefined ? "($|[^A-Za-z0-9_])" : `(\\[[^]]*\\])?( \\[[^]]*\\])?: ${message}`
    }`;
  }
  return message ?? (signature.kind === "sanitizer" && name !== undefined ? name : "");
}

/** What varies from run to run is `…` in a template. */
function templatePattern(template: string): string {
  return template.slice(0, MAX_PATTERN).split("…").map(escaped).join(".*");
}

function escaped(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll(/[.*+?^${}()|[\]\\]/g, (character) =>
    // A backslash before a brace or a bracket means something else to some.
    character === "\\" || character === "^" ? `\\${character}` : `[${character}]`);
}
