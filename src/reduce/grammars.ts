/** The grammars of the languages that are reduced by their syntax, each loaded when it is first needed. */
import type { Parser } from "@lezer/common";

/** A grammar, and what its language asks of those who cut it. */
export interface Grammar {
  readonly parser: Parser;
  /** What stands for a block that would be empty, by the kind of the block's node. */
  readonly fillers: ReadonlyMap<string, string>;
  /** The shortest of its types, when it is a language with types. */
  readonly shortType: string | undefined;
  /** Blocks are made by indentation, so it cannot be changed line by line. */
  readonly isIndented: boolean;
}

const load = {
  python: async () => (await import("@lezer/python")).parser,
  javascript: async () => (await import("@lezer/javascript")).parser.configure({ dialect: "jsx" }),
  typescript: async () => (await import("@lezer/javascript")).parser.configure({ dialect: "ts" }),
  tsx: async () => (await import("@lezer/javascript")).parser.configure({ dialect: "jsx ts" }),
  cpp: async () => (await import("@lezer/cpp")).parser,
  java: async () => (await import("@lezer/java")).parser,
  rust: async () => (await import("@lezer/rust")).parser,
  go: async () => (await import("@lezer/go")).parser,
  json: async () => (await import("@lezer/json")).parser,
  html: async () => (await import("@lezer/html")).parser,
  css: async () => (await import("@lezer/css")).parser,
  xml: async () => (await import("@lezer/xml")).parser,
  php: async () => (await import("@lezer/php")).parser,
  yaml: async () => (await import("@lezer/yaml")).parser,
} satisfies Record<string, () => Promise<Parser>>;

const LANGUAGE_OF = new Map<string, keyof typeof load>(
  Object.entries({
    python: "py pyi pyw",
    javascript: "js mjs cjs jsx",
    typescript: "ts mts cts",
    tsx: "tsx",
    cpp: "c h i ii cc cpp cxx c++ hh hpp hxx h++ inl",
    java: "java",
    rust: "rs",
    go: "go",
    json: "json jsonl ipynb webmanifest",
    html: "html htm xhtml",
    css: "css",
    xml: "xml svg xsd xsl plist",
    php: "php",
    yaml: "yaml yml",
  }).flatMap(([language, extensions]) =>
    extensions.split(" ").map((extension) => [extension, language as keyof typeof load] as const)
  ),
);

const SHORT_TYPES: Partial<Record<keyof typeof load, string>> = {
  typescript: "any",
  tsx: "any",
  cpp: "int",
  java: "int",
  rust: "u8",
  go: "int",
};

/** The grammar for a file of this name; undefined when there is none. */
export async function grammarFor(name: string): Promise<Grammar | undefined> {
  const language = LANGUAGE_OF.get(/\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? "");
  if (language === undefined) return undefined;
  return {
    parser: await load[language](),
    // An expression statement is the shortest body.
    fillers: new Map(language === "python" ? [["Body", "0"]] : []),
    shortType: SHORT_TYPES[language],
    isIndented: language === "python" || language === "yaml",
  };
}
