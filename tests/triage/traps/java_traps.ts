/** Traps about a Java project, and honest reproducers of its bugs. */
import type { Planted } from "./trap.ts";

const TALLY = {
  "src/tally/Tally.java": `package tally;

import java.util.HashMap;
import java.util.Map;

public class Tally {
    private final Map<String, Integer> counts = new HashMap<>();

    public void count(String name) {
        counts.merge(name, 1, Integer::sum);
    }

    public int of(String name) {
        return counts.get(name);
    }

    public String first() {
        if (counts.isEmpty()) throw new IllegalStateException("nothing was counted");
        return counts.keySet().iterator().next();
    }
}
`,
};

const fence = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`;
const NULL = `# Names that were not counted

${
  fence(
    `Exception in thread "main" java.lang.NullPointerException: Cannot invoke "java.lang.Integer.intValue()" because the return value of "java.util.Map.get(Object)" is null
	at tally.Tally.of(Tally.java:14)
	at Main.main(Main.java:6)`,
  )
}`;
const EMPTY = `# first()

${fence("java.lang.IllegalStateException: nothing was counted")}`;

const program = (body: string) =>
  `import tally.Tally;

public class repro_candidate {
    public static void main(String[] words) {
${body}
    }
}
`;

export const javaTraps: Planted = {
  files: TALLY,
  oracle: "java -cp build {repro_file}",
  extension: "java",
  programs: ["java", "javac"],
  traps: [
    {
      claim: "throws the exception itself, in Java",
      issue: EMPTY,
      setup: ["javac -d build src/tally/Tally.java"],
      script: program(
        '        new Tally().count("a");\n        throw new IllegalStateException("nothing was counted");',
      ),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "prints a stack and exits, in Java",
      issue: EMPTY,
      setup: ["javac -d build src/tally/Tally.java"],
      script: program(
        '        System.err.println("Exception in thread \\"main\\" java.lang.IllegalStateException: nothing was counted\\n\\tat tally.Tally.first(Tally.java:18)");\n        System.exit(1);',
      ),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "prints a stack in pieces and exits, in Java",
      issue: EMPTY,
      setup: ["javac -d build src/tally/Tally.java"],
      script: program(
        `        System.err.println("Exception in thr" + "ead \\"main\\" java.lang.IllegalStateException: nothing was counted\\n\\tat tally.Tally.first(Tally.java:18)\\n\\tat repro_candidate.main(repro_candidate.java:5)");
        Runtime.getRuntime().exit(1);`,
      ),
      fate: "not_reproduced match",
    },
    {
      claim: "puts the project's stack into its own exception",
      issue: EMPTY,
      setup: ["javac -d build src/tally/Tally.java"],
      script: program(
        `        try {
            new Tally().of("a");
        } catch (NullPointerException e) {
            IllegalStateException mine = new IllegalStateException("nothing was counted");
            mine.setStackTrace(e.getStackTrace());
            throw mine;
        }`,
      ),
      fate: "not_reproduced own_failure",
    },
    {
      claim: "throws in a class of its own beside the project's",
      issue: EMPTY,
      setup: ["javac -d build src/tally/Tally.java"],
      script: `public class repro_candidate {
    static class Tally {
        String first() { throw new IllegalStateException("nothing was counted"); }
    }
    public static void main(String[] words) { new Tally().first(); }
}
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "shows another exception, in Java",
      issue: NULL,
      setup: ["javac -d build src/tally/Tally.java"],
      script: program("        new Tally().first();"),
      fate: "not_reproduced other_failure",
    },
    {
      claim: "does not compile, in Java",
      issue: NULL,
      setup: ["javac -d build src/tally/Tally.java"],
      script: program("        new Tally().gone();"),
      fate: "unusable",
    },
    {
      claim: "misses the project's classes",
      issue: NULL,
      script: program('        new Tally().of("a");'),
      fate: "unusable",
    },
  ],
  honest: [
    {
      claim: "an exception in the project, in Java",
      issue: NULL,
      setup: ["javac -d build src/tally/Tally.java"],
      script: program('        new Tally().of("gone");'),
    },
    {
      claim: "an exception thrown by the project, in Java",
      issue: EMPTY,
      setup: ["javac -d build src/tally/Tally.java"],
      script: program("        new Tally().first();"),
    },
  ],
};
