/** What the answers of an oracle depend on, as one digest. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { Part } from "../../reduce/contract.ts";

const MAX_PROGRAM_BYTES = 16 * 1024 * 1024;
const SCRIPT = /\.(?:sh|bash|zsh|py|[cm]?[jt]s|pl|rb|php|awk|sed|lua)$/i;

/** The digest of a candidate's content. */
export function contentKey(parts: readonly Part[]): string {
  const hash = createHash("sha256");
  const add = (text: string) => hash.update(`${text.length}:`).update(text, "utf16le");
  for (const part of parts) {
    if (part.kind === "text") add(part.text);
    else for (const element of [String(part.elements.length), ...part.elements]) add(element);
  }
  return hash.digest("base64url");
}

/**
 * The digest of a whole task: of the start, of the settings, and of the programs and scripts that the command names,
 * because people change their oracle and start again. Files of other kinds may be the oracle's own logs.
 */
export async function taskIdentity(
  start: readonly Part[],
  settings: { readonly command: string; readonly cwd: string; readonly [name: string]: unknown },
): Promise<string> {
  const hash = createHash("sha256").update(
    JSON.stringify([contentKey(start), start.map(({ name }) => name), settings]),
  );
  const words = new Set(settings.command.split(/[\s'"`=:;|&<>(){}$]+/).filter((word) => word !== ""));
  for (const word of words) {
    const path = resolve(settings.cwd, word);
    try {
      const { isFile, mode, size } = await Deno.stat(path);
      const isProgram = isFile && (SCRIPT.test(word) || ((mode ?? 0) & 0o111) !== 0);
      if (isProgram && size <= MAX_PROGRAM_BYTES) hash.update(word).update(await Deno.readFile(path));
    } catch {
      // No file.
    }
  }
  return hash.digest("base64url");
}
