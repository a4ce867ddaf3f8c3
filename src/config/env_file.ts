/** The variables of `.miniswe/configs/.env`, which fill gaps of the real environment. */
import { Failure } from "../failure.ts";
import { readConfigFile } from "./read_config_file.ts";

/**
 * The variables in a `.env` file; none when there is no such file. `export ` prefixes, quotes, comments, a byte order
 * mark and CRLF are understood; `$NAME` is not expanded. Throws a `Failure` when the file is there but cannot be read.
 */
export async function loadEnvFile(path: string): Promise<Record<string, string>> {
  const text = await readConfigFile(path);
  if (text === undefined) return {};
  const nul = text.indexOf("\0");
  if (nul >= 0) {
    // No variable can hold it: every command of the run would fail to start.
    const line = text.slice(0, nul).split(/\r\n|\r|\n/).length;
    throw new Failure(
      "usage",
      `Cannot read ${JSON.stringify(path)}: need lines of NAME=value, found a NUL in line ${line}`,
      {
        hints: ["Remove the character, for example with `tr -d '\\0'`"],
      },
    );
  }
  // Most runs have no such file and do not pay for the package. It is CommonJS, and a bundle has it as `default` only.
  const { default: dotenv } = await import("dotenv");
  return dotenv.parse(text);
}

/** The environment wins, also when it sets a variable to nothing: that is how a caller switches a value of the file off. */
export function mergeEnv(
  env: Readonly<Record<string, string>>,
  fileEnv: Readonly<Record<string, string>>,
): Record<string, string> {
  return { ...fileEnv, ...env };
}
