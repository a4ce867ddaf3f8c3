import { deepStrictEqual as deepEqual, match, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { safeExtension } from "../../../../src/commands/manager/places/clean_places.ts";
import { runCommand } from "../../../../src/process/spawn.ts";
import { inTempDir } from "../../../support/temp_dir.ts";
import { candidate, endedWell, never, seen, withPlaces } from "./scratch_places.ts";

const hasBubblewrap = new Deno.Command("bwrap", { args: ["--ro-bind", "/", "/", "true"] }).outputSync().success;
const sandboxes = hasBubblewrap ? ["require", "off"] as const : ["off"] as const;

for (const sandbox of sandboxes) {
  for (const fresh of [true, false]) {
    const where = `a ${fresh ? "fresh" : "used"} copy, sandbox ${sandbox}`;

    Deno.test(`a run sees the commit, its setup and its script in ${where}`, () =>
      withPlaces({ "lib.sh": "greet() { echo hello $1; }\n" }, { sandbox }, async ({ ready, write, root }) => {
        // Not committed: of the person's checkout.
        await write({ "lib.sh": "exit 1\n", "more.sh": "" }, root);
        const place = await ready({ setup_commands: ["echo prepared > made", "mkdir -p $HOME/.tool"] });
        const script = '. ./lib.sh\ngreet you\ncat made\nls . "$HOME" "$TMPDIR"\nls -A ~\n';
        const run = await place.run(script, { fresh, signal: never });
        deepEqual(seen(run), {
          ...endedWell,
          stdout: `hello you\nprepared\n.:\na.txt\nbin\nlib.sh\nmade\nrepro_candidate.sh\n\n${home(run.place)}:\n\n${
            home(run.place).replace(/home$/, "tmp")
          }:\n.tool\n`,
        });
      }));

    Deno.test(`what a run writes is gone for the next one in ${where}`, () =>
      withPlaces({ "kept.txt": "kept\n" }, { sandbox }, async ({ ready }) => {
        const place = await ready({});
        const dirty = 'echo changed > kept.txt; rm a.txt; mkdir -p new/deep; chmod 0 new; touch "$HOME/h" "$TMPDIR/t"';
        const look = 'cat kept.txt; ls -A . "$HOME" "$TMPDIR" | sort';
        const clean = seen(await place.run(look, { fresh, signal: never }));
        equal(clean.exitCode, 0);
        for (const script of [dirty, dirty]) equal((await place.run(script, { fresh, signal: never })).end.exitCode, 0);
        deepEqual(seen(await place.run(look, { fresh, signal: never })), clean);
      }));

    Deno.test(`a background process ends with its run in ${where}`, () =>
      withPlaces({}, { sandbox }, async ({ ready }) => {
        const place = await ready({});
        const mark = crypto.randomUUID();
        await place.run(`setsid sleep 1000.${mark.replaceAll(/\D/g, "")} & sleep 0.1; echo started`, {
          fresh,
          signal: never,
        });
        deepEqual(processesWith(mark.replaceAll(/\D/g, "")), []);
      }));
  }

  Deno.test(`a run that takes too long is ended, and told, sandbox ${sandbox}`, () =>
    withPlaces({}, { sandbox, settings: { oracleTimeoutMs: 300 } }, async ({ ready }) => {
      const place = await ready({});
      const run = await place.run("echo begun; sleep 1000", { fresh: true, signal: never });
      deepEqual(seen(run), { ...endedWell, exitCode: null, signal: "SIGKILL", timedOut: true, stdout: "begun\n" });
    }));

  Deno.test(`a run that takes too much memory or too many processes is ended, and told, sandbox ${sandbox}`, () =>
    withPlaces({}, { sandbox, limits: { memoryMb: 300, processes: 30 } }, async ({ ready, places }) => {
      const place = await ready({ oracle_command: "sh {repro_file}" });
      const greedy = `${Deno.execPath()} eval 'const all = []; for (;;) all.push(new Uint8Array(4e6).fill(1));'\n`;
      const memory = await place.run(greedy, { fresh: true, signal: never });
      deepEqual([memory.end.limit, memory.end.exitCode, memory.end.signal], ["memory (0.3 GiB)", null, "SIGKILL"]);
      const many = "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i + 1)); done; wait\n";
      const processes = await place.run(many, { fresh: false, signal: never });
      deepEqual([processes.end.limit, processes.end.exitCode], ["processes (30)", null]);
      const preparation = await places.prepare(candidate({ setup_commands: [many] }), {
        commit: "HEAD",
        signal: never,
      });
      const told = preparation.kind === "environment" ? preparation.reason : preparation.kind;
      match(told, /^Setup command 1 was ended by its limit of processes/);
    }));

  Deno.test(`signals are told by name, sandbox ${sandbox}`, () =>
    withPlaces({}, { sandbox }, async ({ ready }) => {
      const place = await ready({});
      const { end } = await place.run("kill -SEGV $$", { fresh: true, signal: never });
      deepEqual([end.exitCode, end.signal, end.timedOut], [139, "SIGSEGV", false]);
    }));

  Deno.test(`an abort in the middle rejects with its reason and leaves nothing, sandbox ${sandbox}`, () =>
    withPlaces({}, { sandbox }, async ({ ready, folder }) => {
      const place = await ready({});
      const controller = new AbortController();
      const seconds = `1000.${crypto.randomUUID().replaceAll(/\D/g, "")}`;
      const run = place.run(`sleep ${seconds}`, { fresh: true, signal: controller.signal });
      while (processesWith(seconds).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      controller.abort(new Error("Enough"));
      await rejects(run, { message: "Enough" });
      deepEqual(processesWith(seconds), []);
      const runs = [...Deno.readDirSync(join(folder, "p1/runs"))];
      deepEqual(runs, []);
    }));

  Deno.test(`runs at the same time do not meet, sandbox ${sandbox}`, () =>
    withPlaces({}, { sandbox }, async ({ ready }) => {
      const place = await ready({});
      const runs = await Promise.all(
        Array.from(
          { length: 6 },
          (_, i) =>
            place.run(`echo ${i} >> log; echo ${i} >> "$HOME/log"; cat log "$HOME/log"`, {
              fresh: i % 2 === 0,
              signal: never,
            }),
        ),
      );
      deepEqual(runs.map(({ end }) => end.stdout), runs.map((_, i) => `${i}\n${i}\n`));
    }));

  Deno.test(`variables are few, fixed, and no secrets, sandbox ${sandbox}`, () => {
    const env = {
      PATH: Deno.env.get("PATH")!,
      HOME: Deno.env.get("HOME")!,
      OPENAI_API_KEY: "sk-secret-of-a-person",
      JAVA_HOME: "/opt/java",
      HTTPS_PROXY: "http://person:password-of-a-person@127.0.0.1:9",
      EDITOR: "vi",
    };
    return withPlaces({}, { sandbox, env }, async ({ ready }) => {
      const place = await ready({ setup_commands: ["env > setup.txt"] });
      const { end } = await place.run("env; cat setup.txt", { fresh: true, signal: never });
      const names = end.stdout.split("\n").map((line) => line.split("=")[0]);
      ok(!/secret-of-a-person|password-of-a-person|EDITOR/.test(end.stdout), end.stdout);
      ok(names.includes("JAVA_HOME"));
      match(end.stdout, /^LANG=C\.UTF-8$/m);
      match(end.stdout, /^TZ=UTC$/m);
      match(end.stdout, /^PYTHONDONTWRITEBYTECODE=1$/m);
      ok(!names.includes("PYTHONHASHSEED"));
    });
  });
}

Deno.test("nothing of a machine can be changed, and the repository, its home and hidden folders cannot be seen", {
  ignore: !hasBubblewrap,
}, async () => {
  const outside = await Deno.makeTempDir({ dir: "/var/tmp" });
  try {
    await Deno.writeTextFile(join(outside, "answer"), "of a worker\n");
    await withPlaces({}, { sandbox: "require", hidden: [outside] }, async ({ ready, root }) => {
      const place = await ready({});
      const script = [
        `cat ${outside}/answer`,
        `ls ${root}`,
        `ls -A ${Deno.env.get("HOME")}/.config`,
        "echo x > /etc/gocore-was-here",
        `echo x > ${root}/was-here`,
        "git rev-parse --is-inside-work-tree && git log --format=%s && git tag new && git gc --quiet",
      ].join("\n");
      const { end } = await place.run(script, { fresh: true, signal: never });
      equal(end.stdout, "true\nFiles\nStart\n");
      // Of the first, the third and the fourth; the folder of the repository is there, empty and nobody's.
      equal(end.stderr.trimEnd().split("\n").length, 3, end.stderr);
      const names = [...Deno.readDirSync(root)].map(({ name }) => name).sort();
      deepEqual(names, [".git", ".gitignore", "a.txt", "bin"]);
    });
  } finally {
    await Deno.remove(outside, { recursive: true });
  }
});

Deno.test("what a script does to its git repository does not reach the person's", () =>
  withPlaces({}, { sandbox: "off" }, async ({ ready, git }) => {
    const before = [
      await git("for-each-ref"),
      await git("config", "--local", "--list"),
      await git("status", "--short"),
    ];
    const place = await ready({});
    const script = "git -c user.name=x -c user.email=x commit -q --allow-empty -m x && git branch new && git tag t &&" +
      " git config a.b c && git gc -q --prune=now && git reset -q --hard HEAD~2";
    deepEqual(seen(await place.run(script, { fresh: true, signal: never })), endedWell);
    deepEqual(
      [await git("for-each-ref"), await git("config", "--local", "--list"), await git("status", "--short")],
      before,
    );
  }));

Deno.test("a run has a network only when it is allowed", { ignore: !hasBubblewrap }, async () => {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response("open"));
  try {
    const script = `exec 3<>/dev/tcp/127.0.0.1/${server.addr.port} && echo reached\n`;
    const bash = {
      oracle_command: "bash {repro_file}",
      setup_commands: [script.trim()].map((line) => `bash -c '${line}'`),
    };
    for (const allowNetwork of [false, true]) {
      await withPlaces({}, { sandbox: "require", settings: { allowNetwork } }, async ({ ready }) => {
        // Its setup always has one.
        const place = await ready(bash);
        const { end } = await place.run(script, { fresh: true, signal: never });
        deepEqual([end.exitCode, end.stdout], allowNetwork ? [0, "reached\n"] : [1, ""]);
        equal(place.environment.network, allowNetwork);
      });
    }
  } finally {
    await server.shutdown();
  }
});

Deno.test("a setup that fails is about the environment, with the end of what it wrote", () =>
  withPlaces({}, { settings: { setupTimeoutMs: 2000 } }, async ({ places, folder }) => {
    const prepare = (setup: string) =>
      places.prepare(candidate({ setup_commands: ["true", setup] }), { commit: "HEAD", signal: never });
    deepEqual(await prepare("echo out; echo no such package >&2; exit 3"), {
      kind: "environment",
      reason: "Setup command 2 ended with 3: echo out; echo no such package >&2; exit 3",
      output: "out\nno such package\n",
    });
    deepEqual(await prepare("sleep 1000"), {
      kind: "environment",
      reason: "Setup command 2 took more than 2 s: sleep 1000",
      output: "",
    });
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => /^p\d/.test(name));
    deepEqual(names, []);
  }));

Deno.test("a commit that is not there is about the environment", () =>
  withPlaces({}, {}, async ({ places }) => {
    const preparation = await places.prepare(candidate({}), { commit: "0".repeat(40), signal: never });
    equal(preparation.kind, "environment");
  }));

Deno.test("commands that the policy blocks are not run", () =>
  withPlaces({}, {}, async ({ places }) => {
    for (const parts of [{ setup_commands: ["rm -rf /"] }, { oracle_command: "rm -rf / ; sh {repro_file}" }]) {
      const preparation = await places.prepare(candidate(parts), { commit: "HEAD", signal: never });
      equal(preparation.kind, "unusable");
    }
  }));

Deno.test("a setup cannot lead what is written for a run out of its place", () =>
  withPlaces({ "move.sh": 'cd .. && mv repo gone && ln -s "$1" repo\n' }, {}, async ({ places, dir }) => {
    await Deno.mkdir(join(dir, "target"));
    const target = join(dir, "target");
    await Deno.writeTextFile(join(target, "repro_candidate.sh"), "");
    for (
      const setup of [
        `sh move.sh ${target}`,
        `cd ../.. && rm -rf home && ln -s ${target} home`,
        `cd ../.. && rm -rf record && ln -s ${target} record`,
        `ln -s ${target}/file repro_candidate.sh`,
      ]
    ) {
      const preparation = await places.prepare(candidate({ setup_commands: [setup] }), {
        commit: "HEAD",
        signal: never,
      });
      if (preparation.kind === "ready") {
        equal((await preparation.place.run("true", { fresh: true, signal: never })).end.exitCode, 0);
        await preparation.place.close();
      }
      deepEqual(Array.from(Deno.readDirSync(target), ({ name }) => name), ["repro_candidate.sh"], setup);
    }
  }));

Deno.test("what a setup has installed for every start of Python cannot do so either, nor change the project", () =>
  withPlaces({ "calc.py": "X = 1\n" }, {}, async ({ places, dir }) => {
    const target = join(dir, "target");
    await Deno.mkdir(target);
    for (
      const [hook, problem] of [
        [`os.path.lexists('repro_candidate.sh') or os.symlink('${target}/file', 'repro_candidate.sh')`, undefined],
        [
          `os.path.islink('../../home') or (os.rename('../../home', '../../gone'), os.symlink('${target}', '../../home'))`,
          /replaced/,
        ],
        ["open('calc.py', 'w').write('X = 2')", /changed "calc.py"/],
      ] as const
    ) {
      const install = `import os, sysconfig; name = sysconfig.get_path("purelib") + "/hook.pth"; ` +
        `open(name, "w").write("import os; ${hook}\\n")`;
      const preparation = await places.prepare(candidate({ setup_commands: [`python -c '${quotedFor(install)}'`] }), {
        commit: "HEAD",
        signal: never,
      });
      if (preparation.kind === "ready") {
        equal((await preparation.place.run("true", { fresh: true, signal: never })).end.exitCode, 0);
        await preparation.place.close();
      }
      deepEqual([...Deno.readDirSync(target)], [], hook);
      match(preparation.kind === "ready" ? "" : preparation.reason, problem ?? /^$/);
    }
  }));

const quotedFor = (text: string) => text.replaceAll("'", `'\\''`);

Deno.test("the script's path is one word, whatever the folder is called, with or without quotes in the command", () =>
  inTempDir((dir) =>
    withPlaces({ "lib.js": "" }, { folder: join(dir, "a b'c;d") }, async ({ ready }) => {
      const oracle = `printf '%s\\n' {repro_file} "{repro_file}" '{repro_file}'; node {repro_file}`;
      const place = await ready({ oracle_command: oracle, file_extension: "js" });
      for (const fresh of [true, false]) {
        const { end, place: { reproFile } } = await place.run('throw new Error("ran")', { fresh, signal: never });
        equal(end.stdout, `${reproFile}\n`.repeat(3));
        deepEqual(end.witnessed.map(({ message }) => message), ["ran"]);
      }
    })
  ));

Deno.test("a file that grows without end is stopped", () =>
  withPlaces({}, {}, async ({ ready }) => {
    const place = await ready({});
    const { end } = await place.run("truncate -s 3G big; stat -c %s big", { fresh: false, signal: never });
    equal(end.stdout, "0\n");
  }));

Deno.test("extensions are letters and digits", () => {
  deepEqual(["py", ".js", "cpp", "../../etc/passwd", "a b", "", "abcdefghi", "p$(id)"].map(safeExtension), [
    "py",
    "js",
    "cpp",
    "py",
    "py",
    "py",
    "py",
    "py",
  ]);
});

Deno.test("check() runs a command in a copy, and refuses what the policy blocks", () =>
  withPlaces({}, {}, async ({ ready }) => {
    const place = await ready({});
    const { exitCode, stdout, stderr } = await place.check("head -n 1 a.txt && rm a.txt", { signal: never });
    deepEqual([exitCode, stdout, stderr], [0, "1\n", ""]);
    equal((await place.check("test -f a.txt", { signal: never })).exitCode, 0);
    const refused = await place.check("rm -rf /", { signal: never });
    equal(refused.exitCode, 126);
    match(refused.stderr, /^refused: /);
  }));

Deno.test("a survey and a place tell what they are made of", () =>
  withPlaces({ "Makefile": "all:\n\ttrue\n", ".gitmodules": "" }, {}, async ({ places, ready }) => {
    const survey = await places.survey("HEAD");
    equal(survey.tools.filter((tool) => /^make \d/.test(tool)).length, 1);
    const { environment } = await ready({ oracle_command: "gcc -x c {repro_file}", file_extension: "c" });
    deepEqual(environment.tools.map((tool) => tool.split(" ")[0]), ["gcc", "make"]);
    deepEqual([environment.packages, environment.network], [[], false]);
  }));

Deno.test("what makes the Python environment keeps its temporary files where they go with the places", () =>
  inTempDir(async (folder) => {
    const temporary: (string | undefined)[] = [];
    const run: typeof runCommand = (argv, options) => {
      if (argv.includes("venv")) temporary.push(options.env.TMPDIR);
      return runCommand(argv, options);
    };
    const places = join(folder, "places");
    await withPlaces({ "setup.py": "" }, { run, folder: places }, async ({ ready }) => {
      await (await ready({})).close();
    });
    ok(temporary.length > 0);
    deepEqual([...new Set(temporary)], [join(await Deno.realPath(folder), "places/tmp")]);
  }));

Deno.test("without bubblewrap it says so, and goes on", async () => {
  const bin = await Deno.makeTempDir();
  try {
    for (const name of ["sh", "git", "cp", "find", "chmod", "rm", "setsid", "cat"]) {
      await Deno.symlink(
        new TextDecoder().decode(new Deno.Command("which", { args: [name] }).outputSync().stdout).trim(),
        join(bin, name),
      );
    }
    await withPlaces({}, { env: { PATH: bin, HOME: "/nowhere" } }, async ({ ready, places }) => {
      const survey = await places.survey("HEAD");
      match(survey.sandbox, /^none: bubblewrap is not installed; at most [\d.]+ GiB of memory and 512 processes \(/);
      deepEqual(survey.notes, ["runs are not confined (bubblewrap is not installed): they see the whole machine"]);
      const place = await ready({});
      deepEqual(seen(await place.run("cat a.txt", { fresh: false, signal: never })).stdout, "1\n2\n3\n4\n5\n");
    });
  } finally {
    await Deno.remove(bin, { recursive: true });
  }
});

const home = ({ project }: { readonly project: string }) => join(project, "../../home");

/** Command lines of living processes that hold a text. */
function processesWith(text: string): string[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ");
      const isZombie = / Z /.test(Deno.readTextFileSync(`/proc/${name}/stat`));
      return line.includes(text) && !isZombie ? [line] : [];
    } catch {
      return [];
    }
  });
}
