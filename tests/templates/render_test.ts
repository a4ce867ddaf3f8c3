import { ok, rejects, strictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { Failure } from "../../src/failure.ts";
import { loadRenderer } from "../../src/templates/render.ts";
import golden from "./golden.json" with { type: "json" };

const renderer = await loadRenderer();

interface GoldenCase {
  template: string;
  /** What Python rendered, or the message of its UndefinedError, or the class of another error. */
  text?: string;
  undefined?: string;
  error?: string;
}

function problemOf(template: string, variables: Record<string, unknown> = {}): string {
  try {
    const text = renderer.render("agent.instance_template", template, variables);
    throw new Error(`rendered ${JSON.stringify(text)}`);
  } catch (error) {
    ok(error instanceof Failure, String(error));
    equal(error.kind, "template");
    return error.message;
  }
}

function render(template: string, variables: Record<string, unknown> = {}): string {
  return renderer.render("agent.instance_template", template, variables);
}

Deno.test("render() gives what Python's Jinja2 gives, for every template of golden.json", () => {
  for (const { template, text } of golden.cases as GoldenCase[]) {
    if (text !== undefined) equal(render(template, golden.variables), text, template);
  }
});

Deno.test("render() fails where Python's Jinja2 fails and names the variable that Python names", () => {
  for (const { template, text, undefined: message } of golden.cases as GoldenCase[]) {
    if (text !== undefined) continue;
    const problem = problemOf(template, golden.variables);
    const name = /'(\w+)' is undefined|no attribute '(\w+)'/.exec(message ?? "");
    if (name !== null) ok(problem.includes(name[1] ?? name[2]!), `${template}: ${problem}`);
  }
});

Deno.test("an undefined variable is reported with the template's name, its path and its line", () => {
  const start = "Cannot render agent.instance_template: ";
  equal(problemOf("a\n\n{{ foo }}"), `${start}'foo' is undefined (line 3)`);
  equal(problemOf("{{ a.b }}", { a: {} }), `${start}'a.b' is undefined (line 1)`);
  equal(problemOf("{{ 'x'\n~\nfoo.bar }}"), `${start}'foo' is undefined (line 3)`);
  equal(problemOf("{% set short = a.gone %}\n{{ short }}", { a: {} }), `${start}'a.gone' is undefined (line 2)`);
  equal(problemOf("\n{{ helper(1) }}"), `${start}'helper' is undefined (line 2)`);
  equal(problemOf("{{ a['it\"s'] }}", { a: {} }), `${start}'a['it"s']' is undefined (line 1)`);
});

Deno.test("an undefined variable comes with the names of those that are defined", () => {
  throws(() => render("{{ taks }}", { task: "a secret task", cwd: "/" }), (error: unknown) => {
    ok(error instanceof Failure, String(error));
    equal(error.hints.join("\n"), "Variables here: cwd, task");
    return true;
  });
});

Deno.test("a syntax error is reported with the line in the template as it was written", () => {
  const start = "Cannot render agent.instance_template: ";
  ok(problemOf("one {{ 1 }}\r\ntwo {{ 1 +\n }}").startsWith(`${start}syntax error: `));
  ok(problemOf("one {{ 1 }}\r\ntwo {{ [1,\n2] }}\n{% if 1 %}{% endfor %}").endsWith("(line 4)"));
  ok(problemOf("{% if x %}").includes("syntax error"));
  ok(problemOf("{{ 'unclosed }}").includes("syntax error"));
  ok(problemOf("\n{{ 1 | no_such_filter }}").includes("no_such_filter"));
});

Deno.test("messages never hold the contents of variables", () => {
  const secret = "s3cret-value";
  const templates = [
    "{{ secret + 1 }}",
    "{{ secret.gone }}",
    "{{ secret.gone() }}",
    "{{ secret | round }}",
    "{{ secret % 3 }}",
    "{{ '%d' | format(secret) }}",
    "{{ secret | batch(secret) }}",
    "{{ secret() }}",
    "{{ gone }}",
    "{{ (secret | list)[99].x }}",
    "{% include secret %}",
    "{{ {'a': 1}[secret] }}",
  ];
  for (const template of templates) {
    const problem = problemOf(template, { secret });
    ok(!problem.includes(secret), problem);
    ok(!problem.includes("gocore__"), problem);
    ok(!problem.includes("\n"), problem);
  }
});

Deno.test("render() still works after every kind of failure", () => {
  for (const template of ["{{ x }}", "{{ 'a' | round }}", "{% if %}", "{{ range(10) | batch(0) | list }}"]) {
    throws(() => render(template), Failure);
    equal(render("{{ 1 + 1 }}"), "2");
  }
});

Deno.test("values are shown as they are, whatever they look like", () => {
  const hostile = [
    "{{ 7 * 7 }} {% raw %} {# x #} {%- for",
    "</output>\0\x1b[2J\u202e\u2028",
    "\r\n\r",
    "__proto__",
    "'\"`$(id)\\",
  ];
  for (const text of hostile) {
    equal(render("<{{ text }}|{{ text ~ '' }}|{{ d.text }}>", { text, d: { text } }), `<${text}|${text}|${text}>`);
  }
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
    equal(render("{{ text }}", { text }), text);
    equal(render("{{ text | length }}", { text }), String(Array.from(text).length));
    equal(JSON.parse(render("{{ text | tojson }}", { text })), text);
  }));
});

Deno.test("a lone surrogate becomes U+FFFD and harms nothing", () => {
  equal(render("{{ text }}|{{ text | tojson }}", { text: "a\ud800b" }), 'a\ufffdb|"a\\ufffdb"');
});

Deno.test("keys that objects inherit are not variables", () => {
  for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
    ok(problemOf(`{{ ${name} }}`).includes(`'${name}' is undefined`));
    ok(problemOf(`{{ d.${name} }}`, { d: {} }).includes(`'d.${name}' is undefined`));
    equal(render(`{{ ${name} is defined }}`), "False");
  }
  equal(render("{{ d.__proto__ }}", { d: JSON.parse('{"__proto__": 5}') }), "5");
});

Deno.test("undefined in the variables is not defined, null is None, whole numbers are ints", () => {
  const variables = { gone: undefined, d: { gone: undefined }, nothing: null, cost: 0, big: 2 ** 40, f: () => 1 };
  equal(render("{{ gone is defined }} {{ d.gone is defined }} {{ f is defined }}", variables), "False False False");
  equal(render("{{ nothing }} {{ cost }} {{ big }} {{ nothing is none }}", variables), "None 0 1099511627776 True");
});

Deno.test("data that contains itself is a failure, not the end of the process", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  ok(problemOf("{{ 1 }}", { circle }).includes("nested more than"));
  equal(render("{{ 1 }}"), "1");
});

Deno.test("10 MB of output renders whole, in parts and as JSON", () => {
  const text = "x😀y\n".repeat(1_500_000);
  equal(render("{{ text }}", { text }), text);
  equal(render("{{ text | length }}", { text }), "6000000");
  equal(render("{{ text[:4] }}{{ text[-4:] }}", { text }), "x😀y\nx😀y\n");
  equal(JSON.parse(render("{{ text | tojson }}", { text })), text);
});

Deno.test("HTML is never escaped, whatever the template is called", () => {
  equal(renderer.render("page.html", "{{ text }}", { text: "<&>" }), "<&>");
});

Deno.test("long chains of calls and subscripts do not blow up", () => {
  const template = `{{ text${".split('x')[0]".repeat(60)} }}`;
  equal(render(template, { text: "abc" }), "abc");
  const deep = `{{ d${".d".repeat(60)} | default('none') }}`;
  ok(problemOf(deep, { d: {} }).includes("undefined"));
});

Deno.test("loadRenderer() gives the same renderer again", async () => {
  equal(await loadRenderer(), renderer);
  await rejects(async () => (await loadRenderer()).render("x", "{{ y }}", {}), Failure);
});
