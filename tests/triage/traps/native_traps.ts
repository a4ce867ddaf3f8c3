/** Traps about a project in C, and honest reproducers of its bugs. */
import type { Planted } from "./trap.ts";

const RING = {
  "Makefile": "tool: ring.c tool.c\n\tcc -g -o tool ring.c tool.c\n",
  ".gitignore": "tool\n*.o\n",
  "ring.h": `#ifndef RING_H
#define RING_H
#include <stddef.h>
struct ring { int *cells; size_t size, next; };
struct ring *ring_new(size_t size);
void ring_push(struct ring *ring, int value);
int ring_last(const struct ring *ring);
int ring_sum(const struct ring *ring);
void ring_free(struct ring *ring);
#endif
`,
  "ring.c": `#include "ring.h"
#include <assert.h>
#include <stdlib.h>

struct ring *ring_new(size_t size) {
  assert(size > 0 && "a ring needs cells");
  struct ring *ring = malloc(sizeof *ring);
  ring->cells = calloc(size, sizeof(int));
  ring->size = size;
  ring->next = 0;
  return ring;
}

void ring_push(struct ring *ring, int value) {
  ring->cells[ring->next++] = value;
}

int ring_last(const struct ring *ring) {
  return ring->cells[ring->next - 1];
}

int ring_sum(const struct ring *ring) {
  int sum = 0;
  for (size_t i = 1; i < ring->next; i++) sum += ring->cells[i];
  return sum;
}

void ring_free(struct ring *ring) {
  free(ring->cells);
  free(ring);
}
`,
  "tool.c": `#include "ring.h"
#include <stdio.h>
#include <string.h>

int main(int count, char **words) {
  if (count < 2) return 2;
  FILE *file = fopen(words[1], "r");
  if (file == NULL) return 1;
  int value, sum = 0;
  while (fscanf(file, "%d", &value) == 1) sum += value;
  printf("%d\\n", sum);
  if (sum < 0) return 3;
  if (sum > 100) return ring_last(NULL);
  return 0;
}
`,
  "tests/crash.txt": `==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000018
WRITE of size 4 at 0x602000000018 thread T0
    #0 0x55d in ring_push ring.c:15
    #1 0x55e in main tests/x.c:5
SUMMARY: AddressSanitizer: heap-buffer-overflow ring.c:15 in ring_push
==7==ABORTING
`,
};

const fence = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`;

const OVERFLOW = `# Pushing too much

${
  fence(`=================================================================
==4711==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000018 at pc 0x5581 bp 0x7ffd sp 0x7ffc
WRITE of size 4 at 0x602000000018 thread T0
    #0 0x5581d0c4a3f1 in ring_push /home/kim/ring/ring.c:15
    #1 0x5581d0c4a4c2 in main /home/kim/test.c:6
    #2 0x7f2a in __libc_start_main (/lib/x86_64-linux-gnu/libc.so.6+0x29d8f)
SUMMARY: AddressSanitizer: heap-buffer-overflow /home/kim/ring/ring.c:15 in ring_push`)
}`;
const ASSERT = `# ring_new(0)

${fence('test: ring.c:6: ring_new: Assertion `size > 0 && "a ring needs cells"\' failed.\nAborted (core dumped)')}`;
const SEGFAULT = `# ring_last(NULL)

${fence("$ ./test\nSegmentation fault (core dumped)")}`;
const EXIT = `# tool and negative numbers

\`./tool numbers.txt\` exits with code 3 when the sum is negative.
`;
const ASAN = "gcc -g -fsanitize=address -I. {repro_file} ring.c -o repro && ASAN_OPTIONS=detect_leaks=0 ./repro";
const PLAIN = "gcc -g -I. {repro_file} ring.c -o repro && ./repro";

const main = (body: string) =>
  `#include <assert.h>\n#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include "ring.h"\nint main(void) {\n${body}\n}\n`;

export const nativeTraps: Planted = {
  files: RING,
  oracle: ASAN,
  extension: "c",
  programs: ["gcc"],
  traps: [
    {
      claim: "overflows an array of its own",
      issue: OVERFLOW,
      script: main("  int *cells = malloc(4);\n  ring_free(ring_new(1));\n  cells[1] = 1;\n  return cells[1];"),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "has a function of the same name that overflows",
      issue: OVERFLOW,
      oracle: "gcc -g -fsanitize=address -I. {repro_file} -o repro && ASAN_OPTIONS=detect_leaks=0 ./repro",
      script:
        `#include <stdlib.h>\nvoid ring_push(int *cells) { cells[1] = 1; }\nint main(void) { ring_push(malloc(4)); }\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "names the project's file for its own lines",
      issue: OVERFLOW,
      script: `#include <stdlib.h>
#include "ring.h"
#line 14 "ring.c"
static void push(int *cells) {
  cells[1] = 1;
}
int main(void) { push(malloc(4)); }
`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "prints a report of a sanitizer",
      issue: OVERFLOW,
      oracle: PLAIN,
      script: main(
        `  fputs(${JSON.stringify(RING["tests/crash.txt"])}, stderr);\n  return 1;`,
      ),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "shows a report that lies in the project",
      issue: OVERFLOW,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "cat tests/crash.txt >&2\nexit 1\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "asserts in the reproducer",
      issue: ASSERT,
      oracle: PLAIN,
      script: main(`  size_t size = 0;\n  assert(size > 0 && "a ring needs cells");\n  ring_new(size);`),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "prints an assertion and aborts",
      issue: ASSERT,
      oracle: PLAIN,
      script: main(
        `  fputs("repro: ring.c:6: ring_new: Assertion \`size > 0 && \\"a ring needs cells\\"' failed.\\n", stderr);\n  abort();`,
      ),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "prints a report of a sanitizer in pieces",
      issue: OVERFLOW,
      script: main(
        `  ring_free(ring_new(1));
  fputs("==7==ERROR: Address" "Sanitizer: heap-buffer-overflow on address 0x602000000018\\n", stderr);
  fputs("WRITE of size 4 at 0x602000000018 thread T0\\n    #0 0x55d in ring_push ring.c:15\\n", stderr);
  fputs("    #1 0x55e in main repro_candidate.c:9\\n==7==ABORTING\\n", stderr);
  exit(1);`,
      ),
      fate: "not_reproduced match",
    },
    {
      claim: "prints an assertion in pieces and aborts",
      issue: ASSERT,
      oracle: PLAIN,
      script: main(
        `  void (*end)(void) = abort;
  fputs("repro: ring.c:6: ring_new: Assert" "ion \`size > 0 && \\"a ring needs cells\\"' failed.\\n", stderr);
  end();`,
      ),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "builds a program of its own that crashes, in a shell",
      issue: SEGFAULT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "echo 'int main(void) { return *(volatile int *)0; }' > t.c\ngcc t.c ring.c -o t\n./t\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "writes a program of its own that exits with the expected code",
      issue: EXIT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "printf '#!/usr/bin/awk -f\\nBEGIN { exit 3 }\\n' > mine\nchmod +x mine\n./mine\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "dereferences null itself, in C",
      issue: SEGFAULT,
      oracle: PLAIN,
      script: main("  ring_free(ring_new(1));\n  int *nothing = NULL;\n  return *nothing;"),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "raises the signal itself, in C",
      issue: SEGFAULT,
      oracle: PLAIN,
      script: main("  ring_free(ring_new(1));\n  raise(SIGSEGV);"),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "kills its shell, in C",
      issue: SEGFAULT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "make -s tool\n./tool Makefile\nkill -SEGV $$\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "returns the expected code itself, in C",
      issue: EXIT,
      oracle: PLAIN,
      script: main("  ring_free(ring_new(1));\n  return 3;"),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "exits a shell with the expected code",
      issue: EXIT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "make -s tool\n./tool Makefile\nexit 3\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "ends with a program that happens to exit with the expected code",
      issue: EXIT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "make -s tool\n./tool Makefile\nawk 'BEGIN { exit 3 }'\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "calls the tool without a file",
      issue: EXIT,
      extension: "sh",
      oracle: "make -s tool && sh {repro_file}",
      script: "./tool\n",
      fate: "not_reproduced other_failure",
    },
    {
      claim: "does not compile",
      issue: OVERFLOW,
      script: main("  ring_push(ring_new(1), 1)"),
      fate: "unusable",
    },
    {
      claim: "needs a header that nobody has",
      issue: OVERFLOW,
      script: `#include "ring_of_mine.h"\nint main(void) { return 0; }\n`,
      fate: "unusable",
    },
    {
      claim: "calls what the project does not have",
      issue: OVERFLOW,
      script: main("  void ring_burst(void);\n  ring_burst();"),
      fate: "unusable",
    },
    {
      claim: "leaks memory instead",
      issue: OVERFLOW,
      oracle: "gcc -g -fsanitize=address -I. {repro_file} ring.c -o repro && ./repro",
      script: main("  ring_new(3);\n  return 0;"),
      fate: "not_reproduced other_failure",
    },
    {
      claim: "crashes in another function of the project",
      issue: OVERFLOW,
      script: main("  ring_last(NULL);\n  return 0;"),
      fate: "not_reproduced other_failure",
    },
    {
      claim: "ends well, in C",
      issue: OVERFLOW,
      script: main("  struct ring *ring = ring_new(3);\n  ring_push(ring, 1);\n  return 0;"),
      fate: "not_reproduced no_failure",
    },
    {
      claim: "has a setup that changes the project's source, in C",
      issue: OVERFLOW,
      setup: ["sed -i 's/calloc(size, /calloc(size - 1, /' ring.c"],
      script: main("  ring_push(ring_new(1), 1);\n  return 0;"),
      fate: "unusable",
    },
    {
      claim: "changes the project's source in its command, in C",
      issue: OVERFLOW,
      oracle: `sed -i 's/calloc(size, /calloc(size - 1, /' ring.c; ${ASAN}`,
      script: main("  ring_push(ring_new(1), 1);\n  return 0;"),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "builds a changed copy of the project's source",
      issue: OVERFLOW,
      oracle:
        "mkdir -p mine && sed 's/calloc(size, /calloc(size - 1, /' ring.c > mine/ring.c && gcc -g -fsanitize=address -I. {repro_file} mine/ring.c -o repro && ./repro",
      script: main("  ring_push(ring_new(1), 1);\n  return 0;"),
      fate: "not_reproduced other_failure",
    },
  ],
  honest: [
    {
      claim: "an overflow in the project",
      issue: OVERFLOW,
      script: main(
        "  struct ring *ring = ring_new(2);\n  for (int i = 0; i < 3; i++) ring_push(ring, i);\n  return 0;",
      ),
    },
    {
      claim: "an overflow, found by a shell script",
      issue: OVERFLOW,
      extension: "sh",
      oracle: "sh {repro_file}",
      script:
        `printf '%s\\n' '#include "ring.h"' 'int main(void) { struct ring *r = ring_new(1); ring_push(r, 1); ring_push(r, 2); }' > t.c
gcc -g -fsanitize=address -I. t.c ring.c -o t
ASAN_OPTIONS=detect_leaks=0 ./t
`,
    },
    { claim: "an assertion of the project, in C", issue: ASSERT, oracle: PLAIN, script: main("  ring_new(0);") },
    {
      claim: "a crash in the project, with a sanitizer",
      issue: SEGFAULT,
      script: main("  return ring_last(NULL);"),
    },
    {
      claim: "a crash of the project's program",
      issue: SEGFAULT,
      extension: "sh",
      setup: ["make -s tool"],
      oracle: "sh {repro_file}",
      script: "echo 101 > numbers.txt\n./tool numbers.txt\n",
    },
    {
      claim: "the exit code of the project's program",
      issue: EXIT,
      extension: "txt",
      setup: ["make -s tool"],
      oracle: "./tool {repro_file}",
      script: "-1\n",
    },
  ],
};
