/** Reads a key or a token without ever telling it. */
import { readConfigFile } from "../config/read_config_file.ts";
import { Failure } from "../failure.ts";
import { given } from "../config/setting_types.ts";

export async function readSecretFile(path: string, place: string): Promise<string> {
  const secret = readSecret(await readConfigFile(path), place);
  if (secret !== undefined) return secret;
  throw new Failure("usage", `Cannot use ${place}: need a file with a key, found nothing in ${JSON.stringify(path)}`, {
    hints: ["Put the key, and nothing else, into the file"],
  });
}

/** Undefined when there is none. */
export function readSecret(value: string | undefined, place: string): string | undefined {
  const secret = given(value);
  if (secret === undefined || !/[^\x21-\x7e]/.test(secret)) return secret;
  throw new Failure("usage", `Cannot use ${place}: it has characters that no key has`, {
    hints: ["Set it again, without spaces and line breaks"],
  });
}
