/** What programs print that do nothing else, for whoever runs or reads it. */
import { isKnown, NAME, UNKNOWN } from "./marks.ts";
import { addTo, Arguments, type ProgramJudges } from "./program_call.ts";

export const printingJudges: ProgramJudges = new Map();
const on = addTo(printingJudges);

on("echo", (call) => {
  const words = call.args[0]?.match(/^-[neE]+$/) ? call.args.slice(1) : call.args;
  const text = words.join(" ");
  return call.args[0]?.includes("e") && words !== call.args ? unescaped(text) : `${text}\n`;
});
on("printf", (call) => {
  const [format = "", ...values] = call.args[0] === "--" ? call.args.slice(1) : call.args;
  if (!format.includes("%")) return unescaped(format);
  if (!/^(?:[^%]|%[sb%])*$/.test(format)) return UNKNOWN;
  let output = "", used = 0;
  do {
    output += unescaped(format).replace(/%([sb%])/g, (_, letter) => {
      if (letter === "%") return "%";
      const value = values[used++] ?? "";
      return letter === "b" ? unescaped(value) : value;
    });
  } while (used < values.length && /%[sb]/.test(format) && output.length < 65536);
  return output;
});
on("cat head tail nl tac less more sort uniq", (call) => {
  const operands = call.args.filter((word) => !word.startsWith("-") || word === "-");
  if (!/^(?:cat|sort|uniq)$/.test(call.name)) return operands.length === 0 ? onlyNames(call.stdin) : UNKNOWN;
  return operands.length === 0
    ? call.stdin ?? ""
    : operands.map((file) => file === "-" ? call.stdin ?? "" : call.written(file) ?? UNKNOWN).join("");
});
on("grep egrep rg ag fgrep", (call) => {
  // A filter leaves lines out; names stay names.
  const isList = call.args.some((word) => /^-[A-Za-z]*l[A-Za-z]*$|^--files-with-matches$|^--files$/.test(word));
  if (isList) return foundIn(filesOfGrep(call.args));
  return call.stdin === undefined ? UNKNOWN : onlyNames(call.stdin);
});
on("base64", (call) => {
  if (
    call.args.length !== 1 || !/^(?:-d|-D|--decode)$/.test(call.args[0]!) || call.stdin === undefined ||
    !isKnown(call.stdin)
  ) return UNKNOWN;
  try {
    return atob(call.stdin.replace(/\s/g, ""));
  } catch {
    return UNKNOWN;
  }
});
on("ls", (call) => {
  const operands = call.args.filter((word) => !word.startsWith("-"));
  return operands.length === 0 ? `./${NAME}` : UNKNOWN;
});
on("pwd", (call) => call.cwd);
on("mktemp", (call) => {
  const args = new Arguments(call.args, { short: "p", long: ["tmpdir", "suffix"] });
  const [folder] = args.values("p", "tmpdir");
  const [template] = args.operands;
  if (template === undefined || args.has("t")) return `${folder ?? "/tmp"}/tmp.${NAME}`;
  const path = template.replace(/X{3,}/, NAME);
  return folder !== undefined ? `${folder}/${path}` : args.has("tmpdir") ? `/tmp/${path}` : path;
});
on("dirname", ({ args }) => {
  const [path = ""] = args;
  if (!isKnown(path)) return UNKNOWN;
  return path.includes("/") ? path.replace(/\/+[^/]*\/*$/, "") || "/" : ".";
});
on(
  "basename",
  ({ args }) =>
    isKnown(args[0] ?? "") ? args[0]?.replace(/\/+$/, "").split("/").at(-1)?.replace(args[1] ?? "", "") ?? "" : UNKNOWN,
);
on("realpath readlink", ({ args }) => args.at(-1) ?? UNKNOWN);
on("which", ({ args }) => args.at(-1) ?? UNKNOWN);
on(
  "date seq nproc id wc whoami hostname uname arch getconf tty uuidgen",
  ({ args }) => args.some((word) => !/^[^/\u0000]*$/.test(word)) ? UNKNOWN : NAME,
);

/** The operands of a search that are files. */
export function filesOfGrep(args: readonly string[]): readonly string[] {
  const parsed = new Arguments(args, { short: "efmABCgt", long: ["regexp", "file"] });
  return parsed.has("e", "f", "regexp", "file") ? parsed.operands : parsed.operands.slice(1);
}

/** Names of files somewhere below the paths, one on each line. */
export function foundIn(paths: readonly string[]): string {
  return (paths.length === 0 ? ["."] : paths).map((path) => `${path}/${NAME}-found`).join("\n");
}

/** Lines that are names of files stay that; of other text nothing is known any more. */
function onlyNames(text: string | undefined): string {
  return text !== undefined && text.split("\n").every((line) => line.includes(NAME)) ? text : UNKNOWN;
}

function unescaped(text: string): string {
  return text.replace(/\\(?:x([\da-fA-F]{1,2})|0?([0-7]{1,3})|(.))/g, (whole, hex, octal, letter) => {
    if (hex !== undefined || octal !== undefined) {
      const code = hex === undefined ? parseInt(octal, 8) : parseInt(hex, 16);
      return code < 2 ? UNKNOWN : String.fromCharCode(code);
    }
    return ({ n: "\n", t: "\t", r: "\r", "\\": "\\", a: "\x07", e: "\x1b" } as Record<string, string>)[letter] ?? whole;
  });
}
