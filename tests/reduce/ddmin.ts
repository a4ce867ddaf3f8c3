/** Zeller's ddmin (TSE 2002), to compare with: subsets, then complements, each content asked once. */

/** What is left of `elements`, and how many different contents were asked. */
export async function ddmin<T>(
  elements: readonly T[],
  isInteresting: (candidate: readonly T[]) => boolean | Promise<boolean>,
  keyOf: (candidate: readonly T[]) => string,
): Promise<{ rest: readonly T[]; calls: number }> {
  const answers = new Map<string, boolean>();
  const ask = async (candidate: readonly T[]) => {
    const key = keyOf(candidate);
    let answer = answers.get(key);
    if (answer === undefined) answers.set(key, answer = await isInteresting(candidate));
    return answer;
  };
  let rest = elements;
  await ask(rest);
  for (let parts = 2; rest.length >= 2;) {
    const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.floor(i * rest.length / parts));
    const found = await firstOf(rest, bounds, ask);
    if (found !== undefined) {
      rest = found.rest;
      parts = found.isSubset ? 2 : Math.max(parts - 1, 2);
    } else if (parts >= rest.length) break;
    else parts = Math.min(parts * 2, rest.length);
  }
  return { rest, calls: answers.size };
}

async function firstOf<T>(
  rest: readonly T[],
  bounds: readonly number[],
  ask: (candidate: readonly T[]) => Promise<boolean>,
): Promise<{ rest: readonly T[]; isSubset: boolean } | undefined> {
  const parts = bounds.length - 1;
  for (let i = 0; i < parts; i++) {
    const subset = rest.slice(bounds[i], bounds[i + 1]);
    if (await ask(subset)) return { rest: subset, isSubset: true };
  }
  for (let i = 0; parts > 2 && i < parts; i++) {
    const complement = [...rest.slice(0, bounds[i]), ...rest.slice(bounds[i + 1])];
    if (await ask(complement)) return { rest: complement, isSubset: false };
  }
  return undefined;
}
