/** Keeps the reproducer of a wrong result about what its issue says: another value makes the right answer a wrong one. */
import type { IssueSpec } from "./ports.ts";

const MAX_TEXT = 400_000;
/** Numbers, and short texts in quotes. */
const VALUE = /(?<![\w.])\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w]|\.\d)|"[^"\n]{1,80}"|'[^'\n]{1,80}'/gi;

export function showsWrongResult({ expected_failure_signals: signals }: IssueSpec): boolean {
  return signals.some(({ expected: { shows } }) => shows === "wrong_result");
}

/** How often each value stands in it; texts without their quotes. */
export function valuesIn(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const [found] of text.slice(0, MAX_TEXT).matchAll(VALUE)) {
    const value = found.replaceAll(/^["']|["']$/g, "");
    values.set(value, (values.get(value) ?? 0) + 1);
  }
  return values;
}

/**
 * What a smaller script has to be besides failing: whole lines of the start, and all in it that the issue states. Within
 * an assertion the oracle could not tell `f(2.5) == 2` from `f(5) == 2`: both fail, and the second one is right to.
 */
export function keepsAnswer(start: string, stated: string): (script: string) => boolean {
  const lines = start.split("\n");
  const named = valuesIn(stated);
  const kept = [...valuesIn(start)].filter(([value]) => named.has(value));
  return (script) => {
    let at = 0;
    for (const line of script.split("\n")) {
      while (at < lines.length && lines[at] !== line) at++;
      // The last line may have lost its end.
      if (at++ >= lines.length) return false;
    }
    const values = valuesIn(script);
    return kept.every(([value, count]) => (values.get(value) ?? 0) >= count);
  };
}

/** The script without each single line that `isEnough` can do without, the last ones first. */
export async function withoutLines(script: string, isEnough: (script: string) => Promise<boolean>): Promise<string> {
  let lines = script.split("\n");
  // What stood behind a line may have been needed for it alone.
  for (let before = Infinity; lines.length < before;) {
    before = lines.length;
    for (let at = lines.length - 1; at >= 0 && lines.length > 1; at--) {
      const fewer = lines.toSpliced(at, 1);
      if (await isEnough(fewer.join("\n"))) lines = fewer;
    }
  }
  return lines.join("\n");
}
