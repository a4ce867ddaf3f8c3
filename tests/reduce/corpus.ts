/** Test cases with predicates of our own, quick enough to be asked thousands of times. */

export interface Sample {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  holds(text: string): boolean;
}

const has = (...words: string[]) => (text: string) => words.every((word) => text.includes(word));

function isBalanced(text: string): boolean {
  const open: string[] = [];
  for (const character of text) {
    if ("([{".includes(character)) open.push(character);
    else if (")]}".includes(character) && open.pop() !== "([{"[")]}".indexOf(character)]) return false;
  }
  return open.length === 0;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const PROGRAM = `import os
import sys

# Everything about shapes.
class Shape:
    """A shape."""

    def __init__(self, name, size):
        self.name = name
        self.size = size

    def area(self):
        if self.size > 100:
            raise ValueError("too large: %d" % self.size)
        return self.size * self.size


def main(arguments):
    for argument in arguments:
        shape = Shape("square", int(argument))
        print(shape.name, shape.area())


if __name__ == "__main__":
    main(sys.argv[1:])
`;

const C = `#include <stdio.h>

static int table[3] = {1, 2, 3};

int sum(int count) {
  int total = 0;
  for (int i = 0; i < count; i++) {
    if (i > 2) {
      total += table[i];
    }
  }
  return total;
}

int main(void) {
  printf("%d\\n", sum(4));
  return 0;
}
`;

const SETTINGS = JSON.stringify(
  {
    name: "sample",
    items: Array.from({ length: 12 }, (_, i) => ({ id: i, tags: ["a", `t${i}`], size: i * 10 })),
    options: { deep: { deeper: { key: [1, 2, { value: null }] } } },
  },
  null,
  2,
);

const PROSE = Array.from(
  { length: 12 },
  (_, i) => `Paragraph ${i} says that nothing is lost.\nIts second line (with a remark) is as long as that.\n`,
).join("\n");

export const CORPUS: readonly Sample[] = [
  { name: "a word of a program", file: "shape.py", text: PROGRAM, holds: has("self.size") },
  { name: "three words of a program", file: "shape.py", text: PROGRAM, holds: has("Shape", "raise", "print(") },
  { name: "balanced brackets", file: "sum.c", text: C, holds: (text) => isBalanced(text) && has("table[i]")(text) },
  {
    name: "balanced, in no language",
    file: "sum.foo",
    text: C,
    holds: (text) => isBalanced(text) && has("table[i]", "main")(text),
  },
  {
    name: "a key of JSON",
    file: "settings.json",
    text: SETTINGS,
    holds: (text) => {
      const value = parsed(text) as { options?: { deep?: { deeper?: unknown } } } | null | undefined;
      return value?.options?.deep?.deeper !== undefined;
    },
  },
  {
    name: "an element of JSON",
    file: "settings.json",
    text: SETTINGS,
    holds: (text) => parsed(text) !== undefined && /"t7"/.test(text),
  },
  { name: "a sentence", file: "prose.txt", text: PROSE, holds: has("Paragraph 7", "remark") },
  {
    name: "a word on every second line",
    file: "prose.md",
    text: PROSE,
    holds: (text) => text.split("lost").length > 6,
  },
  {
    name: "brackets within each other",
    file: "a.txt",
    text: "(".repeat(60) + "x" + ")".repeat(60),
    holds: (text) => isBalanced(text) && has("(x)")(text),
  },
  { name: "all of it", file: "a.txt", text: "none can go", holds: (text) => text === "none can go" },
];
