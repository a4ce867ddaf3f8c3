/** Test cases of other people that are on the machine, each with a program that says whether a file still shows it. */
import { join } from "node:path";

export interface Case {
  readonly name: string;
  readonly path: string;
  /** The file's name while it is reduced: says which language it is. */
  readonly file: string;
  /** A shell script; exit 0 when the file `$1` shows what it is about. */
  readonly script: string;
}

/** Folders that others have filled. */
export interface Places {
  /** Python's own library. */
  readonly stdlib: string;
  /** Deno's copy of the npm registry. */
  readonly npm: string;
}

const ZLIB = "/usr/share/doc/zlib1g-dev/examples";
const LICENSES = "/usr/share/common-licenses";
const HEADERS = "/usr/include";

/** Holds when what the command says contains the words. */
function says(command: string, words: string): string {
  return `${command} 2>&1 | grep -qF -- '${words.replaceAll("'", "'\\''")}'`;
}

/** Those whose file is not on this machine are left out by the caller. */
export function casesOf({ stdlib, npm }: Places): Case[] {
  const test = (name: string, path: string, file: string, script: string): Case => ({ name, path, file, script });
  const compiles = `python3 -c 'import sys; compile(open(sys.argv[1], "rb").read(), "x", "exec")' "$1"`;
  const warns = (flags: string) => `gcc -x c -fsyntax-only ${flags} "$1"`;
  return [
    test(
      "python: syntax of Python 2",
      join(stdlib, "lib2to3/tests/data/py2_test_grammar.py"),
      "grammar.py",
      says(compiles, "leading zeros in decimal integer literals"),
    ),
    test(
      "python: relative import",
      join(stdlib, "asyncio/locks.py"),
      "locks.py",
      says(`python3 "$1"`, "attempted relative import with no known parent"),
    ),
    test(
      "python: wrap(_, 0) raises",
      join(stdlib, "textwrap.py"),
      "textwrap.py",
      says(
        `python3 -c 'import sys, runpy; runpy.run_path(sys.argv[1])["wrap"]("x y", 0)' "$1"`,
        "ValueError: invalid width 0 (must be > 0)",
      ),
    ),
    test(
      "python: a Fraction that divides by zero",
      join(stdlib, "fractions.py"),
      "fractions.py",
      says(
        `python3 -c 'import sys, runpy; runpy.run_path(sys.argv[1])["Fraction"](3, 0)' "$1"`,
        "ZeroDivisionError: Fraction(3, 0)",
      ),
    ),
    test(
      "c: value may change",
      join(ZLIB, "gun.c"),
      "gun.c",
      says(warns("-Wconversion"), "may change value [-Wconversion]") + ` && ${warns("-w")}`,
    ),
    test(
      "c: sign may change",
      join(ZLIB, "zpipe.c"),
      "zpipe.c",
      says(warns("-Wall -Wconversion"), "may change value") + ` && ${warns("-w")}`,
    ),
    test(
      "c: a header of C++",
      join(HEADERS, "c++/12/bits/stl_pair.h"),
      "stl_pair.h",
      says(warns("-w"), "unknown type name ‘namespace’"),
    ),
    test(
      "javascript: a loader without its folder",
      join(npm, "ws/*/lib/receiver.js"),
      "receiver.js",
      says(`node "$1"`, "Error: Cannot find module './permessage-deflate'"),
    ),
    test(
      "javascript: declarations as a program",
      join(npm, "zod/*/v4/core/util.d.ts"),
      "util.mjs",
      says(`node --check "$1"`, "SyntaxError: Unexpected token"),
    ),
    test(
      "javascript: ms of nothing",
      join(npm, "ms/*/index.js"),
      "ms.js",
      says(
        `node -e 'require(require("path").resolve(process.argv[1]))("")' "$1"`,
        "val is not a non-empty string or a valid number",
      ),
    ),
    test(
      "json: type of a field",
      join(npm, "protobufjs/*/google/protobuf/type.json"),
      "type.json",
      `[ "$(jq '.nested.google.nested.protobuf.nested.Type.fields.syntax.type == "Syntax"' "$1")" = true ]`,
    ),
    test(
      "json: licence of a package",
      join(npm, "hono/*/package.json"),
      "package.json",
      `[ "$(jq '.license == "MIT" and (.exports | has("./jsx"))' "$1")" = true ]`,
    ),
    test(
      "json: comments",
      join(npm, "protobufjs/*/tsconfig.json"),
      "tsconfig.json",
      says(`python3 -m json.tool "$1"`, "Expecting property name enclosed in double quotes"),
    ),
    test(
      "text: words of a licence",
      join(LICENSES, "MPL-2.0"),
      "MPL-2.0",
      `grep -q 'Source Code' "$1" && grep -qi 'warrant' "$1" && grep -q 'Contributor' "$1"`,
    ),
    test(
      "text: a line of a licence",
      join(LICENSES, "GPL-3"),
      "GPL-3.txt",
      `[ "$(grep -c 'MERCHANTABILITY' "$1")" -ge 1 ] && grep -q '^ *16\\. ' "$1"`,
    ),
  ];
}
