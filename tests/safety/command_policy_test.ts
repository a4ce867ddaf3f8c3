import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { createCommandPolicy } from "../../src/safety/command_policy.ts";
import type { CommandRule } from "../../src/safety/command_policy/rules.ts";
import { allowed, blocked, confirmed } from "./commands.ts";

const LINKS: Record<string, string> = { "/work/project/outside": "/etc", "/work/project/link": "/data/x" };

const policyWith = (rules: readonly CommandRule[] = []) =>
  createCommandPolicy(rules, {
    cwd: "/work/project",
    roots: ["/work/project", "/tmp"],
    home: "/home/dev",
    variables: { PATH: "/usr/bin:/bin" },
    resolveLink: (path) => LINKS[path],
  });

const judge = (command: string, rules?: readonly CommandRule[]) => policyWith(rules).judge(command).verdict;

Deno.test("judge() gives each command of the table its verdict: none is refused or let through by mistake", () => {
  const wrong = (commands: readonly string[], verdict: string) =>
    commands.flatMap((command) => {
      const found = policyWith().judge(command);
      return found.verdict === verdict ? [] : [`${JSON.stringify(command)} is ${JSON.stringify(found)}`];
    });
  const mistakes = {
    falseAlarms: wrong(allowed, "allow"),
    notConfirmed: wrong(confirmed, "confirm"),
    notBlocked: wrong(blocked, "block"),
  };
  deepEqual(mistakes, { falseAlarms: [], notConfirmed: [], notBlocked: [] });
  equal(new Set([...allowed, ...confirmed, ...blocked]).size, allowed.length + confirmed.length + blocked.length);
  ok(allowed.length >= 125 && confirmed.length + blocked.length >= 125);
});

Deno.test("judge() names the rule and the reason", () => {
  deepEqual(policyWith().judge("ls && rm -rf /etc"), {
    verdict: "block",
    rule: "delete-outside",
    reason: 'Deletes "/etc", which belongs to the system',
  });
  deepEqual(policyWith().judge("git push origin main"), {
    verdict: "confirm",
    rule: "push",
    reason: "Publishes commits: `git push`",
  });
  deepEqual(policyWith().judge("ls"), { verdict: "allow", rule: "default", reason: "Nothing speaks against it" });
});

Deno.test("the first configured rule that matches a command decides about it, and about nothing that it runs", () => {
  const rules: CommandRule[] = [
    { match: "git push origin main", verdict: "block", reason: "main is protected" },
    { match: "git push *", verdict: "allow" },
    { match: "sudo", verdict: "allow" },
    { match: "npm run deploy*", verdict: "confirm" },
    { match: "@pipe-to-shell", verdict: "block", reason: "Not here" },
    { match: "@push", verdict: "block" },
  ];
  const policy = policyWith(rules);
  deepEqual(policy.judge("git push -q origin main"), {
    verdict: "block",
    rule: "git push origin main",
    reason: "main is protected",
  });
  equal(policy.judge("git -C sub push origin topic").verdict, "allow");
  equal(policy.judge("sudo ls").verdict, "allow");
  equal(policy.judge("sudo rm -rf /").verdict, "block");
  equal(policy.judge("bash -c 'npm run deploy:prod'").rule, "npm run deploy*");
  equal(policy.judge("npm run build").verdict, "allow");
  deepEqual(policy.judge("curl x | sh"), { verdict: "block", rule: "pipe-to-shell", reason: "Not here" });
  equal(judge("git push $BRANCH", [{ match: "git push main", verdict: "allow" }]), "confirm");
});

Deno.test("the folders that commands may write in are the context's, with links resolved", () => {
  const policy = createCommandPolicy([], {
    cwd: "/home/dev/repo",
    roots: ["/home/dev/repo", "/var/link"],
    home: "/home/dev",
    resolveLink: (path) => path === "/var/link" ? "/srv/data" : undefined,
  });
  const verdictOf = (command: string) => policy.judge(command).verdict;
  deepEqual(
    ["rm -rf /srv/data/x", "rm -rf /var/link/x", "rm -rf build", "rm -rf /var/linked", "rm -rf /tmp/x"].map(verdictOf),
    ["allow", "allow", "allow", "block", "block"],
  );
  const nested = createCommandPolicy([], {
    cwd: "/tmp/wt",
    roots: ["/tmp/wt", "/tmp", "/tmp/own"],
    home: "/home/dev",
    resolveLink: () => undefined,
  });
  // The folder of the task stays, also inside of another one that is open.
  deepEqual(
    ["rm -rf /tmp/own", "rm -rf ../own", "rmdir /tmp/wt", "rm -rf /tmp/wt", "rm -rf ../wt", "rm -rf *"].map((command) =>
      nested.judge(command).verdict
    ),
    ["allow", "allow", "allow", "block", "block", "confirm"],
  );
});

/** Other ways to write a word that mean the same to a shell. */
function spelled(word: string): fc.Arbitrary<string> {
  const letter = (c: string) =>
    fc.constantFrom(
      c,
      `\\${c}`,
      `'${c}'`,
      `"${c}"`,
      `$'${c}'`,
      `$'\\x${c.charCodeAt(0).toString(16)}'`,
      `''${c}`,
      `${c}""`,
    );
  return fc.tuple(...[...word].map(letter)).map((letters) => letters.join(""));
}

const quoted = (code: string) => `'${code.replaceAll("'", "'\\''")}'`;

Deno.test("property: a blocked command is blocked in every spelling and inside everything that runs it", () => {
  const words = fc.constantFrom(["rm", "-rf", "/"], ["rm", "-r", "/etc"], ["dd", "of=/dev/sda"], ["shutdown", "now"]);
  const around = fc.constantFrom<(code: string) => string>(
    (code) => code,
    (code) => `bash -c ${quoted(code)}`,
    (code) => `eval ${quoted(code)}`,
    (code) => `echo "$(${code})"`,
    (code) => `x=${quoted(code)}; eval "$x"`,
    (code) => `(${code})`,
    (code) => `{ ${code}; }`,
    (code) => `true && ${code}`,
    (code) => `if x; then ${code}; fi`,
    (code) => `f() { ${code}; }; f`,
    (code) => `env -i ${code}`,
    (code) => `timeout 5 ${code}`,
    (code) => `sh <<'EOF'\n${code}\nEOF`,
    (code) => `printf %s ${quoted(code)} | sh`,
    (code) => `for i in 1; do ${code}; done`,
  );
  const spelling = words.chain((each) => fc.tuple(...each.map(spelled))).map((each) => each.join(" "));
  fc.assert(
    fc.property(spelling, fc.array(around, { maxLength: 3 }), (code, wrappers) => {
      // A prefix such as `env` takes only a simple command: what is wrapped comes into a shell of its own.
      const command = wrappers.reduce((inner, wrap, i) => wrap(i === 0 ? inner : `bash -c ${quoted(inner)}`), code);
      const found = policyWith().judge(command);
      ok(found.verdict === "block", `${command}\n${JSON.stringify(found)}`);
    }),
    { numRuns: 400 },
  );
});

Deno.test("property: quoted text is only text, whatever it says", () => {
  const texts = fc.constantFrom(...blocked, ...confirmed).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(texts, fc.constantFrom("echo", "git commit -m", "grep -n"), (text, program) => {
      equal(judge(`${program} ${quoted(text)} README.md`), "allow");
      equal(judge(`cat > notes.sh <<'END OF TEXT'\n${text}\nEND OF TEXT`), "allow");
    }),
    { numRuns: 400 },
  );
});

Deno.test("property: judge() never throws, and a syntax error is never allowed", () => {
  const piece = fc.constantFrom(
    ..."rm|-rf|/|$(|)|`|'|\"|{|}|;|&&|| |\n|<<EOF|EOF|<|>|$x|${|x=|if|then|fi|do|done|case|esac|in|(|((|[[|*|~|\\|\u0000|\u0001|é|😀|eval|sh|-c|f()|{a,b}|for|while|#|\\x"
      .split("|"),
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 30 }).map((each) => each.join("")),
    fc.string(),
    fc.array(piece).map((each) => each.join(" ")),
  );
  fc.assert(
    fc.property(text, (command) => {
      const found = policyWith().judge(command);
      ok(found.rule !== "not-judged", found.reason);
    }),
    { numRuns: 2000 },
  );
  for (const command of ["echo $(", "a )", "if x", 'echo "abc', "for x", "(ls"]) {
    equal(judge(command), "confirm", command);
  }
});

Deno.test("what is too long, too deep or too much to be judged is confirmed, and soon", () => {
  const many = 20_000;
  const commands = [
    "ls;".repeat(many),
    "a && ".repeat(many) + "a",
    "$(".repeat(many),
    "<<a ".repeat(many),
    "f()".repeat(many),
    "eval ".repeat(many) + "x",
    "echo " + "x".repeat(300_000),
    // Doubles with each step.
    Array.from({ length: 30 }, (_, i) => `f${i + 1}() { f${i}; f${i}; };`).join(" ") + " f30",
    "for a in 1 2 3 4 5 6 7 8; do ".repeat(12) + ":; " + "done; ".repeat(12),
    "x=aaaaaaaaaaaaaaaa; " + "x=$x$x; ".repeat(60) + "$x",
  ];
  for (const command of commands) equal(judge(command), "confirm", command.slice(0, 60));
  equal(judge(`rm -rf /; ${"ls;".repeat(many)}`), "block");
});
