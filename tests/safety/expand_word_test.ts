import { strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { parse } from "unbash";
import { expandWord, type Expansions } from "../../src/safety/command_policy/expand_word.ts";
import { isLiteral } from "../../src/safety/command_policy/marks.ts";

const VARIABLES: Record<string, string> = {
  x: "one two",
  y: "dir/file.tar.gz",
  z: "",
  IFS: " \t\n",
  HOME: "/home/ada",
  PWD: "/work",
};
const POSITIONAL = ["p1", "p 2"];
const ARRAY = ["a0", "a 1"];

const expansions: Expansions = {
  value: (name) => VARIABLES[name] ?? "",
  choose: (values) => values[0]!,
  isSet: (name) => Object.hasOwn(VARIABLES, name),
  elements: (name) => name === "arr" ? ARRAY : undefined,
  assign() {},
  positional: POSITIONAL,
  output: () => "",
  processSubstitution: () => "",
  arithmetic() {},
};

/** The fields of a word, or undefined for one that is no word of its own or has parts nobody can know. */
function expanded(text: string): string[] | undefined {
  const script = parse(`printf ${text}`);
  const [statement, ...others] = script.commands;
  if (script.errors !== undefined || others.length > 0 || statement?.command.type !== "Command") return undefined;
  const { args, redirects, prefix } = statement.command;
  if (redirects.length > 0 || prefix.length > 0) return undefined;
  const fields = args.flatMap((word) => word.type === "Word" ? expandWord(word, expansions) : []);
  return fields.every(isLiteral) ? fields : undefined;
}

const PIECES =
  `a|b|rm|/|.|=|-|\\ |\\$|\\"|\\'|\\{|\\\\|''|""|'q q'|"d d"|'$x'|"$x"|"\${x}"|$x|\${x}|$y|\${y%.gz}|\${y%%.*}|\${y##*/}|\${y#*.}|"\${x/one/1}"|\${x^^}|\${x,}|\${z:-dflt}|\${z-dflt}|\${x:+alt}|"$@"|$1|"$2"|"\${arr[@]}"|\${arr[1]}|\${arr[*]}|{c,d}|{e,{f,g}}|{h}|{,i}|{|}|$'\\x72m'|$'a\\tb'|$'\\''|"a\\$b\\\\c\\n"|~|~/k|$z|"$z"`
    .split("|");

Deno.test("property: expandWord() makes the arguments that bash makes", async () => {
  const words = fc.sample(fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 5 }), 3000)
    .map((pieces) => pieces.join(""))
    .filter((word) => !word.includes("\n"));
  const known = [...new Set(words)].map((word) => ({ word, fields: expanded(word) }))
    .filter(({ fields }) => fields !== undefined);
  const script = [
    ...Object.entries(VARIABLES).filter(([name]) => name !== "IFS").map(([name, value]) => `${name}='${value}'`),
    `arr=(${ARRAY.map((element) => `'${element}'`).join(" ")})`,
    `set -f -- ${POSITIONAL.map((value) => `'${value}'`).join(" ")}`,
    "show() { printf '<%s>' \"$@\"; printf '\\0'; }",
    ...known.map(({ word }) => `show @ ${word}`),
  ].join("\n");
  const bash = new Deno.Command("bash", { args: ["--norc"], stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = bash.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(script + "\n")).then(() => writer.close());
  const [{ stdout, stderr }] = await Promise.all([bash.output(), written]);
  equal(new TextDecoder().decode(stderr), "");
  const shown = new TextDecoder().decode(stdout).split("\0").slice(0, -1);
  equal(shown.length, known.length);
  for (const [i, { word, fields }] of known.entries()) {
    equal(["@", ...fields!].map((field) => `<${field}>`).join(""), shown[i], word);
  }
});
