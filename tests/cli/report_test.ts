/** `gocore report` as a program: what it writes where, and how it ends. */
import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { exists, listing, Sandbox, submit } from "../support/gocore.ts";

const SECRET = "sk-0123456789abcdef0123456789abcdef";

Deno.test("a run is written down in each format, without secrets, and nothing else is written", async () => {
  await using box = await Sandbox.create();
  const script = await box.script([
    { commands: [`echo '<img src=x onerror=alert(1)>' $TOKEN_OF_MINE`], content: "I look" },
    submit(),
  ]);
  const env = { TOKEN_OF_MINE: SECRET };
  const end = await box.run(["mini", "--headless", ...script, "-t", "Look at @somebody <b>"], { env });
  equal(end.code, 0, end.stderr);
  const before = await listing(box.workdir);

  const markdown = await box.run(["report", "last"], { env });
  deepEqual([markdown.code, markdown.stderr], [0, ""]);
  match(markdown.stdout, /^\*\*Mini run `[\w-]+`: success\*\* · Look at @\u200bsomebody \\<b\\>\n/);

  const page = join(box.root, "out/report.html");
  const html = await box.run(["report", "last", "--output", page], { env });
  deepEqual([html.code, html.stdout], [0, ""]);
  match(html.stderr, /^The report on [\w-]+ is in .*\/out\/report\.html\n$/);
  const text = await Deno.readTextFile(page);
  ok(text.startsWith("<!doctype html>"));
  ok(text.includes("&lt;img src=x onerror=alert(1)&gt;"));
  ok(!text.includes("<img"));

  const json = await box.run(["report", ".miniswe/data/last_run.traj.json", "--json"], { env });
  const document = JSON.parse(json.stdout);
  deepEqual(Object.keys(document), ["kind", "id", "generated_at", "version", "problems", "record"]);
  deepEqual([document.kind, document.id, document.problems], ["mini", document.record.run_id, []]);
  deepEqual([document.record.status, document.record.task], ["success", "Look at @somebody <b>"]);

  for (const written of [markdown.stdout, text, json.stdout]) ok(!written.includes(SECRET.slice(3)));
  deepEqual(await listing(box.workdir), before);
  deepEqual(await listing(box.tmp), []);
});

Deno.test("wrong usage is told, and leaves nothing", async () => {
  await using box = await Sandbox.create();
  const cases: readonly (readonly [args: string[], said: RegExp])[] = [
    [[], /missing required argument "run"/i],
    [["last"], /Cannot find the run "last"/],
    [["nowhere"], /Cannot find the run "nowhere"/],
    [["./nowhere"], /nothing is there/],
    [["."], /there is no run in it/],
    [["last", "--html", "--json"], /"--html" cannot be used with option "--json"/],
  ];
  for (const [args, said] of cases) {
    const end = await box.run(["report", ...args, "--output", join(box.root, "x.html")]);
    equal(end.code, 2, `${args}: ${end.stderr}`);
    match(end.stderr, said);
  }
  equal(await exists(join(box.root, "x.html")), false);
});
