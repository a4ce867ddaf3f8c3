/** The YAML file of `gocore eval FILE`: issues, and what is known about them. */
import { dirname, resolve } from "node:path";
import * as z from "zod/mini";
import { formatPosition, parseYamlList } from "../../config/yaml_source.ts";
import { candidateVerdicts, runStatuses } from "../../events/manager_events.ts";
import { closestName, Failure, messageOf } from "../../failure.ts";

/** One issue, with absolute paths. */
export interface EvalCase {
  /** Unique in the file. */
  readonly name: string;
  readonly issue: { readonly kind: "url"; readonly url: string } | { readonly kind: "file"; readonly path: string };
  readonly repoPath: string;
  readonly ref: string | undefined;
  readonly expect: {
    readonly verdict?: typeof candidateVerdicts[number] | "none";
    readonly status?: typeof runStatuses[number];
    /** Of the first fix target. */
    readonly file?: string;
    readonly line?: number;
    /** Of the reproducer, in bytes. */
    readonly max_size?: number;
  };
}

const EXPECT_KEYS = ["verdict", "status", "file", "line", "max_size"];
const CASE_KEYS = ["name", "issue_file", "issue_url", "repo_path", "ref", "expect"];
const MAX_CASES = 1000;

const text = z.string("need a text").check(z.minLength(1, "need a text that is not empty"));
const whole = z.int("need a whole number").check(z.positive("need a number above 0"));
const oneOf = <const T extends readonly string[]>(names: T) => z.enum(names, `need one of ${names.join(", ")}`);

const expectation = z.strictObject({
  /** `none`: no candidate was judged. */
  verdict: z.optional(oneOf([...candidateVerdicts, "none"])),
  status: z.optional(oneOf(runStatuses.filter((status) => status !== "running"))),
  file: z.optional(text),
  line: z.optional(whole),
  max_size: z.optional(whole),
}, "need a mapping").check(
  z.refine((expected) => Object.keys(expected).length > 0, `need one of ${EXPECT_KEYS.join(", ")}`),
  z.refine(({ file, line }) => line === undefined || file !== undefined, "need `file` beside `line`"),
);

const evalCase = z.strictObject({
  name: z.optional(text),
  issue_file: z.optional(text),
  issue_url: z.optional(text),
  repo_path: text,
  ref: z.optional(z.union([z.string(), z.number()], "need a text")),
  expect: expectation,
}, "need a mapping").check(
  z.refine((one) => (one.issue_file === undefined) !== (one.issue_url === undefined), "need issue_file or issue_url"),
);

/** Paths in it are relative to its folder. Throws a usage `Failure` that names file, line and key. */
export async function readEvalFile(path: string): Promise<EvalCase[]> {
  let content: string;
  try {
    content = await Deno.readTextFile(path);
  } catch (cause) {
    const finding = cause instanceof Deno.errors.NotFound ? "there is no such file" : messageOf(cause);
    throw new Failure("usage", `Cannot read the issues: "${path}": ${finding}`, {
      hints: ["Name a YAML list of issues: `gocore eval --help` has an example"],
      cause,
    });
  }
  return parseEvalCases(content, path);
}

export function parseEvalCases(content: string, path: string): EvalCase[] {
  const source = parseYamlList(content, path);
  const wrong = (at: readonly PropertyKey[], finding: string, hint: string) => {
    const place = formatPosition(path, source.locate(placed(at.map(String), source.value)));
    return new Failure("usage", `Cannot read the issues: ${place}: ${finding}`, { hints: [hint] });
  };
  const example = "`gocore eval --help` has an example";
  if (source.value.length === 0) throw wrong([], "need at least one issue, found none", example);
  if (source.value.length > MAX_CASES) throw wrong([MAX_CASES], `need at most ${MAX_CASES} issues`, example);
  const names = new Map<string, number>();
  return source.value.map((value, i): EvalCase => {
    const result = evalCase.safeParse(value);
    if (!result.success) {
      const { issues } = result.error;
      // A key that is mistyped is missing as well, and that is the lesser help.
      const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
      if (issue!.code === "unrecognized_keys") {
        const [key = ""] = issue!.keys;
        const known = issue!.path.length === 0 ? CASE_KEYS : EXPECT_KEYS;
        const meant = closestName(key, known);
        const hint = meant === undefined ? `There are ${known.join(", ")}` : `Did you mean \`${meant}\`?`;
        throw wrong([i, ...issue!.path, key], `there is no key "${key}"`, hint);
      }
      const key = issue!.path.length === 0 ? "" : `${issue!.path.join(".")}: `;
      throw wrong([i, ...issue!.path], `${key}${issue!.message}`, example);
    }
    const { name, issue_file: file, issue_url: url = "", repo_path, ref, expect } = result.data;
    const folder = dirname(path);
    const own = name ?? file ?? url;
    const former = names.get(own);
    if (former !== undefined) {
      throw wrong([i], `the issue "${own}" is there already, as number ${former + 1}`, "Give each a `name` of its own");
    }
    names.set(own, i);
    return {
      name: own,
      issue: file === undefined ? { kind: "url", url } : { kind: "file", path: resolve(folder, file) },
      repoPath: resolve(folder, repo_path),
      // A version such as 1.10 is a number to YAML.
      ref: ref === undefined ? undefined : source.textAt([String(i), "ref"]) ?? String(ref),
      expect,
    };
  });
}

/** An issue has no place of its own in the text, and what is missing has none: its first key has. */
function placed(path: readonly string[], cases: readonly unknown[]): readonly string[] {
  const [index = "0", key] = path;
  const value = cases[Number(index)];
  const keys = typeof value === "object" && value !== null ? Object.keys(value) : [];
  return key !== undefined && keys.includes(key) || keys[0] === undefined ? path : [index, keys[0]];
}
