/** Traps about a Node project, and honest reproducers of its bugs. */
import type { Planted } from "./trap.ts";

const SHELF = {
  "package.json": `{ "name": "shelf", "version": "2.1.0", "main": "lib/index.js" }\n`,
  "lib/index.js": `"use strict";
exports.slug = require("./slug.js").slug;
exports.Shelf = require("./shelf.js").Shelf;
`,
  "lib/slug.js": `"use strict";

function slug(title) {
  return clean(title).toLowerCase();
}

function clean(title) {
  if (title === "") throw new RangeError("a title needs at least one letter");
  return title.trim().replaceAll(" ", "-");
}

module.exports = { slug };
`,
  "lib/shelf.js": `"use strict";

class Shelf {
  constructor() {
    this.books = new Map();
  }

  add(title, pages) {
    this.books.set(title, { title, pages });
  }

  pages(title) {
    return this.books.get(title).pages;
  }

  async load(title) {
    await null;
    return this.pages(title);
  }

  total() {
    let total = 0;
    for (const { pages } of this.books.values()) total = pages;
    return total;
  }
}

module.exports = { Shelf };
`,
  "lib/store.js": `"use strict";
const fs = require("node:fs");

exports.parse = (text) => JSON.parse(text).books;
exports.read = (file) => exports.parse(fs.readFileSync(file, "utf8"));
exports.largest = (pages) => pages.reduce((a, b) => Math.max(a, b));
`,
  "bin/shelf.js": `"use strict";
const { slug } = require("../lib/index.js");

function main(titles) {
  for (const title of titles) console.log(slug(title));
  if (titles.length > 1) process.exit(4);
}

main(process.argv.slice(2));
`,
  "test/crash.log": `/srv/shelf/lib/slug.js:9
  return title.trim().replaceAll(" ", "-");
               ^

TypeError: Cannot read properties of null (reading 'trim')
    at clean (/srv/shelf/lib/slug.js:9:16)
    at slug (/srv/shelf/lib/slug.js:4:10)

Node.js v20.1.0
`,
};

const fence = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`;

const NULL = `# slug(null)

${
  fence(`/home/kim/site/node_modules/shelf/lib/slug.js:9
  return title.trim().replaceAll(" ", "-");
               ^

TypeError: Cannot read properties of null (reading 'trim')
    at clean (/home/kim/site/node_modules/shelf/lib/slug.js:9:16)
    at slug (/home/kim/site/node_modules/shelf/lib/slug.js:4:10)
    at Object.<anonymous> (/home/kim/site/index.js:3:1)
    at Module._compile (node:internal/modules/cjs/loader:1256:14)

Node.js v18.17.0`)
}`;
const PAGES = `# Books that are not there

${
  fence(`TypeError: Cannot read properties of undefined (reading 'pages')
    at Shelf.pages (/home/kim/site/node_modules/shelf/lib/shelf.js:13:34)
    at /home/kim/site/index.js:8:3`)
}`;
const RANGE = `# Empty titles

${fence("RangeError: a title needs at least one letter")}`;
const TOTAL = `# total() forgets books

With books of 10 and 20 pages, \`shelf.total()\` returns \`20\` instead of \`30\`.
`;
const EXIT = `# The command fails for two titles

\`node bin/shelf.js "One" "Two"\` exits with code 4.
`;
const FORGED = SHELF["test/crash.log"].trim();

export const nodeTraps: Planted = {
  files: SHELF,
  oracle: "node {repro_file}",
  extension: "js",
  programs: ["node"],
  traps: [
    {
      claim: "throws the error itself, in Node",
      issue: RANGE,
      script: `require("./lib");\nthrow new RangeError("a title needs at least one letter");\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "reads a property of null itself",
      issue: `# slug\n\n${fence("TypeError: Cannot read properties of null (reading 'trim')")}`,
      script: `const { slug } = require("./lib");\nslug("x");\nnull.trim();\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "writes a stack of the project into its own error",
      issue: NULL,
      script: `const { slug } = require("./lib");
slug("x");
const error = new TypeError("Cannot read properties of null (reading 'trim')");
error.stack = "TypeError: Cannot read properties of null (reading 'trim')\\n" +
  "    at clean (" + __dirname + "/lib/slug.js:9:16)\\n    at slug (" + __dirname + "/lib/slug.js:4:10)";
throw error;
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "takes the stack of another failure for its own error",
      issue: RANGE,
      script: `const { slug } = require("./lib");
try {
  slug(null);
} catch (error) {
  const mine = new RangeError("a title needs at least one letter");
  mine.stack = error.stack;
  throw mine;
}
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "changes the message of another failure of the project",
      issue: `# Titles\n\n${fence("TypeError: the title has no letters")}`,
      script: `const { slug } = require("./lib");
try {
  slug(null);
} catch (error) {
  error.message = "the title has no letters";
  throw error;
}
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "runs code of its own under the name of the project's file",
      issue: NULL,
      script: `const vm = require("node:vm");
const path = __dirname + "/lib/slug.js";
const source = "\\n\\nfunction slug(title) {\\n  return clean(title);\\n}\\nfunction clean(title) {\\n\\n  return title.trim();\\n}\\nslug(null);";
vm.runInThisContext(source, { filename: path });
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "puts a function of its own in the place of the project's",
      issue: RANGE,
      script: `const lib = require("./lib");
lib.slug = () => {
  throw new RangeError("a title needs at least one letter");
};
lib.slug("x");
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "puts a module of its own in the place of the project's, in Node",
      issue: RANGE,
      script: `const path = require.resolve("./lib/slug.js");
require.cache[path] = { exports: { slug() { throw new RangeError("a title needs at least one letter"); } }, loaded: true };
require("./lib").slug("x");
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "gives the project an object that throws",
      issue: RANGE,
      script: `require("./lib").slug({ trim() { throw new RangeError("a title needs at least one letter"); } });\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "changes a builtin of the language that the project uses",
      issue: RANGE,
      script: `const { slug } = require("./lib");
String.prototype.trim = function () {
  throw new RangeError("a title needs at least one letter");
};
slug("x");
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "forges the end of Node",
      issue: NULL,
      script: `require("node:fs").writeSync(2, ${JSON.stringify(`${FORGED}\n`)});\nprocess.exit(1);\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "shows a log of the project in a shell",
      issue: NULL,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: "cat test/crash.log >&2\ntest -f gone\n",
      fate: "not_reproduced other_failure",
    },
    {
      claim: "prints the error that it has caught, and exits well",
      issue: NULL,
      script: `try { require("./lib").slug(null); } catch (error) { console.error(error); }\n`,
      fate: "not_reproduced no_failure",
    },
    {
      claim: "rejects a promise itself",
      issue: RANGE,
      script: `require("./lib").slug("x");\nPromise.reject(new RangeError("a title needs at least one letter"));\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "shows another error of the project, in Node",
      issue: NULL,
      script: `const { Shelf } = require("./lib");\nnew Shelf().pages("x");\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "reads another property of null in the project",
      issue: `# slug\n\n${fence("TypeError: Cannot read properties of undefined (reading 'length')")}`,
      script: `require("./lib").slug(undefined);\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "does not parse, in Node",
      issue: NULL,
      script: `const { slug } = require("./lib";\nslug(null);\n`,
      fate: "unusable",
    },
    {
      claim: "requires a package that nobody has",
      issue: NULL,
      script: `require("shelf-of-mine");\nrequire("./lib").slug(null);\n`,
      fate: "unusable",
    },
    {
      claim: "asks a server",
      issue: NULL,
      script: `fetch("http://books.example.org/").then(() => require("./lib").slug(null));\n`,
      fate: "environment_error",
    },
    {
      claim: "exits with the expected code itself, in Node",
      issue: EXIT,
      script: `require("./lib").slug("x");\nprocess.exit(4);\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "sets the expected exit code, and says nothing",
      issue: EXIT,
      script: `require("./lib").slug("x");\nprocess.exitCode = 4;\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "aborts itself, in Node",
      issue: `# slug\n\n${fence("Aborted (core dumped)")}\nHappens with \`slug(null)\`.\n`,
      script: `require("./lib").slug("x");\nprocess.abort();\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "asserts a constant beside a call, in Node",
      issue: TOTAL,
      script: `const { Shelf } = require("./lib");\nnew Shelf().total();\nrequire("node:assert").equal(20, 30);\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "throws whatever came back",
      issue: TOTAL,
      script: `const { Shelf } = require("./lib");
new Shelf().total();
throw new Error("returned 20 instead of 30");
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "changes the project's source in a run, in Node",
      issue: RANGE,
      script: `const fs = require("node:fs");
const good = fs.readFileSync("lib/slug.js", "utf8");
fs.writeFileSync("lib/slug.js", good.replace('title === ""', "true"));
const { slug } = require("./lib");
fs.writeFileSync("lib/slug.js", good);
slug("x");
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "has a setup that changes the project's source, in Node",
      issue: RANGE,
      setup: [`sed -i 's/title === ""/true/' lib/slug.js`],
      script: `require("./lib").slug("x");\n`,
      fate: "unusable",
    },
    {
      claim: "loads the project's source with a sign changed",
      issue: RANGE,
      setup: [
        `printf '%s' 'const load = require("node:module")._extensions; const js = load[".js"]; load[".js"] = (module, file) => file.endsWith("slug.js") ? module._compile(require("node:fs").readFileSync(file, "utf8").replace("===", "!=="), file) : js(module, file);' > "$HOME/hook.cjs"`,
      ],
      oracle: `node --require "$HOME/hook.cjs" {repro_file}`,
      script: `require("./lib").slug("x");\n`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "gives a method of the project another answer",
      issue: TOTAL,
      script: `const assert = require("node:assert");
const { Shelf } = require("./lib");
const shelf = new Shelf();
shelf.add("One", 10);
Shelf.prototype.total = () => 20;
assert.strictEqual(shelf.total(), 30);
`,
      fate: "not_reproduced own_failure",
    },
    {
      claim: "has a setup with another project of the same name",
      issue: NULL,
      setup: [
        "mkdir -p node_modules/shelf/lib && sed 's/title.trim()/null.trim()/' lib/slug.js > node_modules/shelf/lib/slug.js",
      ],
      script: `require("shelf/lib/slug.js").slug("x");\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "has a setup that leads the project's start to other code",
      issue: NULL,
      setup: [
        `mkdir built && sed 's/title.trim()/null.trim()/' lib/slug.js > built/slug.js && sed -i 's,lib/index.js,built/slug.js,' package.json`,
      ],
      script: `require(".").slug("x");\n`,
      fate: "not_reproduced other_failure",
    },
    {
      claim: "fails by chance, in Node",
      issue: NULL,
      script: `require("./lib").slug(Math.random() < 0.3 ? null : "x");\n`,
      fate: "flaky or not_reproduced",
    },
    {
      claim: "takes a test runner's words into its mouth",
      issue: NULL,
      oracle: "node --test {repro_file}",
      script: `console.log(${
        JSON.stringify(
          "not ok 1 - slug\n  ---\n  failureType: 'testCodeFailure'\n  error: \"Cannot read properties of null (reading 'trim')\"\n  code: 'ERR_TEST_FAILURE'\n  name: 'TypeError'\n  stack: |-\n    clean (lib/slug.js:9:16)\n  ...",
        )
      });\nprocess.exit(1);\n`,
      fate: "not_reproduced own_failure",
    },
  ],
  honest: [
    { claim: "an error in the project, in Node", issue: NULL, script: `require("./lib").slug(null);\n` },
    { claim: "an error thrown by the project, in Node", issue: RANGE, script: `require("./lib/slug.js").slug("");\n` },
    {
      claim: "a method of the project",
      issue: PAGES,
      script: `const { Shelf } = require("./lib");\nconst shelf = new Shelf();\nshelf.pages("Gone");\n`,
    },
    {
      claim: "a rejection of the project",
      issue: PAGES,
      script: `const { Shelf } = require("./lib");\nnew Shelf().load("Gone");\n`,
    },
    {
      claim: "modules of the new kind",
      issue: NULL,
      extension: "mjs",
      script: `import { slug } from "./lib/index.js";\n\nslug(null);\n`,
    },
    {
      claim: "Node's own tests",
      issue: NULL,
      oracle: "node --test {repro_file}",
      script: `const test = require("node:test");
const { slug } = require("./lib");
test("slug", () => {
  slug(null);
});
`,
    },
    {
      claim: "a wrong result, in Node",
      issue: TOTAL,
      script: `const assert = require("node:assert");
const { Shelf } = require("./lib");
const shelf = new Shelf();
shelf.add("One", 10);
shelf.add("Two", 20);
assert.strictEqual(shelf.total(), 30);
`,
    },
    {
      claim: "a wrong result, thrown on a condition, in Node",
      issue: TOTAL,
      script: `const { Shelf } = require("./lib");
const shelf = new Shelf();
for (const pages of [10, 20]) shelf.add("Book " + pages, pages);
const total = shelf.total();
if (total !== 30) {
  throw new Error("total is " + total);
}
`,
    },
    {
      claim: "the exit code of the project's command, in Node",
      issue: EXIT,
      extension: "sh",
      oracle: "sh {repro_file}",
      script: `node bin/shelf.js "One" "Two"\n`,
    },
    {
      claim: "an error of the language, in the project",
      issue: `# largest\n\n${fence("TypeError: Reduce of empty array with no initial value")}`,
      script: `const { largest } = require("./lib/store.js");\n\nconsole.log(largest([]));\n`,
    },
    {
      claim: "a text that does not parse, in the project",
      issue: `# parse\n\n${
        fence(
          "SyntaxError: Unexpected end of JSON input\n    at JSON.parse (<anonymous>)\n    at exports.parse (/home/kim/site/node_modules/shelf/lib/store.js:4:30)",
        )
      }`,
      script: `const fs = require("node:fs");
fs.writeFileSync("books.json", "");
require("./lib/store.js").read("books.json");
`,
    },
    {
      claim: "after a while, in a module of the new kind",
      issue: PAGES,
      extension: "mjs",
      script: `import { setTimeout } from "node:timers/promises";
import shelf from "./lib/index.js";

await setTimeout(1);
const one = new shelf.Shelf();
await one.load("Gone");
`,
    },
    {
      claim: "in an event",
      issue: NULL,
      script: `const { EventEmitter } = require("node:events");
const { slug } = require("./lib");
const events = new EventEmitter();
events.on("title", (title) => slug(title));
setImmediate(() => events.emit("title", null));
`,
    },
    {
      claim: "a script of one line",
      issue: NULL,
      script: `require("./lib").slug(null)`,
    },
  ],
};
