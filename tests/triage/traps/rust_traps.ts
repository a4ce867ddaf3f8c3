/** Traps about a Rust project, and honest reproducers of its bugs. */
import type { Planted } from "./trap.ts";

const GAUGE = {
  "Cargo.toml": '[package]\nname = "gauge"\nversion = "0.3.0"\nedition = "2021"\n',
  "src/lib.rs": `//! Reads gauges.

pub fn level(marks: &[u32]) -> u32 {
    *marks.last().unwrap()
}

pub fn percent(level: u32, full: u32) -> u32 {
    assert!(full > 0, "an empty gauge has no percents");
    level * 100 / full
}
`,
};

const fence = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`;
const NONE = `# No marks

${
  fence(`thread 'main' panicked at src/lib.rs:4:19:
called \`Option::unwrap()\` on a \`None\` value
note: run with \`RUST_BACKTRACE=1\` environment variable to display a backtrace`)
}`;
const EMPTY = `# percent(1, 0)

${fence("thread 'main' panicked at 'an empty gauge has no percents', src/lib.rs:8:5")}`;
const SETUP = ["rustc --edition 2021 -g --crate-type rlib --crate-name gauge src/lib.rs -o libgauge.rlib"];

export const rustTraps: Planted = {
  files: GAUGE,
  oracle: "rustc --edition 2021 -g --extern gauge=libgauge.rlib {repro_file} -o repro && ./repro",
  extension: "rs",
  programs: ["rustc"],
  traps: [
    {
      claim: "unwraps nothing itself",
      issue: NONE,
      setup: SETUP,
      script: "fn main() {\n    gauge::level(&[1]);\n    let none: Option<u32> = None;\n    none.unwrap();\n}\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "prints a panic and exits, in Rust",
      issue: NONE,
      setup: SETUP,
      script:
        "fn main() {\n    eprintln!(\"\\nthread 'main' panicked at src/lib.rs:4:19:\\ncalled `Option::unwrap()` on a `None` value\\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\");\n    std::process::exit(101);\n}\n",
      fate: "not_reproduced own_failure",
    },
    {
      claim: "prints a panic in pieces and exits, in Rust",
      issue: NONE,
      setup: SETUP,
      script:
        'use std::process::exit as end;\nfn main() {\n    eprintln!("\\nthread \'main\' {} at src/lib.rs:4:19:\\ncalled `Option::unwrap()` on a `None` value", "pani".to_owned() + "cked");\n    end(101);\n}\n',
      fate: "not_reproduced match",
    },
    {
      claim: "panics elsewhere in the project, in Rust",
      issue: NONE,
      setup: SETUP,
      script: "fn main() {\n    gauge::percent(1, 0);\n}\n",
      fate: "not_reproduced other_failure",
    },
    {
      claim: "panics in a thread that nobody waits for",
      issue: NONE,
      setup: SETUP,
      script: "fn main() {\n    let _ = std::thread::spawn(|| gauge::level(&[])).join();\n}\n",
      fate: "not_reproduced no_failure",
    },
    {
      claim: "does not compile, in Rust",
      issue: NONE,
      setup: SETUP,
      script: 'fn main() {\n    gauge::level("none");\n}\n',
      fate: "unusable",
    },
  ],
  honest: [
    {
      claim: "a panic in the project, in Rust",
      issue: NONE,
      setup: SETUP,
      script: "fn main() {\n    gauge::level(&[]);\n}\n",
    },
    {
      claim: "an assertion of the project, in Rust",
      issue: EMPTY,
      setup: SETUP,
      script: "fn main() {\n    gauge::percent(1, 0);\n}\n",
    },
  ],
};
