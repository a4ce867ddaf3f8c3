/** Traps about a Go project, and honest reproducers of its bugs. */
import type { Planted } from "./trap.ts";

const QUOTA = {
  "go.mod": "module example.org/quota\n\ngo 1.19\n",
  "quota.go": `// Package quota shares something out.
package quota

import "errors"

// Take gives the n-th share.
func Take(shares []int, n int) int {
	return pick(shares, n)
}

func pick(shares []int, n int) int {
	return shares[n]
}

// Each divides a total.
func Each(total, people int) int {
	return total / people
}

// Left is what nobody gets.
func Left(total, people int) int {
	return total - Each(total, people)
}

// Check refuses what is negative.
func Check(total int) error {
	if total < 0 {
		return errors.New("negative")
	}
	return nil
}
`,
  "cmd/quota/main.go": `package main

import (
	"os"
	"strconv"

	"example.org/quota"
)

func main() {
	total, _ := strconv.Atoi(os.Args[1])
	if quota.Check(total) != nil {
		os.Exit(5)
	}
}
`,
  "testdata/panic.txt": `panic: runtime error: index out of range [3] with length 2

goroutine 1 [running]:
example.org/quota.pick(...)
	quota.go:12
main.main()
	main.go:4 +0x5e
exit status 2
`,
};

const fence = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`;

const INDEX = `# Take panics

${
  fence(`panic: runtime error: index out of range [3] with length 2

goroutine 1 [running]:
example.org/quota.pick(...)
	/home/kim/go/pkg/mod/example.org/quota@v1.4.0/quota.go:12
example.org/quota.Take({0xc00001, 0x2, 0x2}, 0x3)
	/home/kim/go/pkg/mod/example.org/quota@v1.4.0/quota.go:8 +0x1d
main.main()
	/home/kim/x/main.go:6 +0x25
exit status 2`)
}`;
const DIVIDE = `# Nobody

${fence("panic: runtime error: integer divide by zero")}`;
const LEFT = `# Left is wrong

\`quota.Left(10, 3)\` returns \`7\` instead of \`1\`.
`;
const EXIT = `# quota -1

\`go run ./cmd/quota -1\` exits with code 5.
`;

const program = (body: string, imports = "") =>
  `//go:build ignore

package main

import (
	"example.org/quota"
${imports})

var _ = quota.Check

func main() {
${body}
}
`;
const TEST = "mv {repro_file} repro_test.go && go test -vet=off .";
const test = (body: string) =>
  `package quota

import "testing"

func TestIt(t *testing.T) {
${body}
}
`;

export const goTraps: Planted = {
  files: QUOTA,
  oracle: "go run {repro_file}",
  extension: "go",
  programs: ["go"],
  traps: [
    {
      claim: "panics itself, in Go",
      issue: DIVIDE,
      script: program('\tpanic("runtime error: integer divide by zero")'),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "divides by zero itself, in Go",
      issue: DIVIDE,
      script: program("\tpeople := 0\n\t_ = 10 / people"),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "panics in the test itself",
      issue: DIVIDE,
      oracle: TEST,
      script: test("\tpeople := Each(4, 4) - 1\n\t_ = 10 / people"),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "prints a panic and exits, in Go",
      issue: INDEX,
      script: program(
        `\tos.Stderr.WriteString(${JSON.stringify(QUOTA["testdata/panic.txt"])})\n\tos.Exit(2)`,
        '\t"os"\n',
      ),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "prints a panic in pieces and exits, in Go",
      issue: INDEX,
      script: program(
        `\tend := os.Exit
\tos.Stderr.WriteString("pan" + "ic: runtime error: index out of range [3] with length 2\\n\\ngorout" + "ine 1 [running]:\\n")
\tos.Stderr.WriteString("example.org/quota.pick(...)\\n\\tquota.go:12\\nmain.main()\\n\\tmain.go:4 +0x5e\\n")
\tend(2)`,
        '\t"os"\n',
      ),
      fate: "not_reproduced match",
    },
    {
      claim: "prints a failed test, and ends before its tests",
      issue: LEFT,
      oracle: TEST,
      script: `package quota

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	got := Left(10, 3)
	fmt.Printf("--- FAIL: TestIt (0.00s)\\n    repro_test.go:%d: got 7, want 1\\nFAIL\\n", got+3)
	os.Exit(1)
}
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "shows a panic that lies in the project",
      issue: INDEX,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "cat testdata/panic.txt >&2\nexit 2\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "panics elsewhere in the project",
      issue: INDEX,
      script: program("\tquota.Each(1, 0)"),
      fate: "not_reproduced other_failure",
    },
    {
      claim: "recovers and exits well",
      issue: INDEX,
      script: program("\tdefer func() { println(recover() != nil) }()\n\tquota.Take(nil, 3)"),
      fate: "not_reproduced no_failure",
    },
    {
      claim: "does not compile, in Go",
      issue: INDEX,
      script: program("\tquota.Take(nil)"),
      fate: "unusable",
    },
    {
      claim: "needs a module that nobody has",
      issue: INDEX,
      script: program("\tmine.Take(nil, 3)", '\t"example.org/mine"\n'),
      fate: "unusable",
    },
    {
      claim: "exits with the expected code itself, in Go",
      issue: EXIT,
      oracle: "go build -o repro {repro_file} && ./repro",
      script: program("\tos.Exit(5)", '\t"os"\n'),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "fails its test without the project",
      issue: LEFT,
      oracle: TEST,
      script: test('\tt.Errorf("Left(10, 3) = 7, want 1")'),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "compares two numbers of its own in a test",
      issue: LEFT,
      oracle: TEST,
      script: test(
        '\tLeft(10, 3)\n\tgot, want := 7, 1\n\tif got != want {\n\t\tt.Errorf("%d, not %d", got, want)\n\t}',
      ),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "changes a copy of the project's source, in Go",
      issue: INDEX,
      oracle: "sed -i 's/shares\\[n\\]/shares[n+9]/' quota.go && go run {repro_file}",
      script: program("\tquota.Take([]int{1, 2}, 1)"),
      fate: "not_reproduced own_failure",
    },
  ],
  honest: [
    { claim: "a panic in the project", issue: INDEX, script: program("\tquota.Take([]int{1, 2}, 3)") },
    { claim: "a division in the project", issue: DIVIDE, script: program("\tquota.Each(10, 0)") },
    {
      claim: "a panic in the project, in a test",
      issue: INDEX,
      oracle: TEST,
      script: test("\tTake([]int{1, 2}, 3)"),
    },
    {
      claim: "a wrong result, in a test in Go",
      issue: LEFT,
      oracle: TEST,
      script: test('\tif got := Left(10, 3); got != 1 {\n\t\tt.Errorf("Left(10, 3) = %d, want 1", got)\n\t}'),
    },
    {
      claim: "a table of wrong results, in a test beside the package",
      issue: LEFT,
      oracle: TEST,
      script: `package quota_test

import (
	"testing"

	"example.org/quota"
)

func TestLeft(t *testing.T) {
	for _, one := range []struct{ total, people, want int }{{9, 3, 0}, {10, 3, 1}} {
		t.Run("left", func(t *testing.T) {
			got := quota.Left(one.total, one.people)
			if got != one.want {
				t.Fatalf("got %d instead of 7, want %d", got, one.want)
			}
		})
	}
}
`,
    },
    {
      claim: "the exit code of the project's command, in Go",
      issue: EXIT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "go build -o quota-tool ./cmd/quota\n./quota-tool -1\n",
    },
  ],
};
