import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { loadSettingsFile } from "../../../../src/commands/manager/settings_file.ts";
import { createCron } from "../../../../src/commands/serve/schedule/create_cron.ts";
import { readScheduleEntries, type ScheduleSettings } from "../../../../src/commands/serve/schedule/read_entries.ts";
import { Failure } from "../../../../src/failure.ts";
import { inTempDir } from "../../../support/temp_dir.ts";

const NOW = Date.parse("2026-03-02T12:00:00Z");

/** `{dir}` is the file's folder. */
async function read(toml: string, { isNamed = true } = {}): Promise<ScheduleSettings> {
  let settings: unknown;
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/mminions.toml`, toml);
    settings = await readScheduleEntries(await loadSettingsFile(isNamed ? "mminions.toml" : undefined, dir), NOW);
    settings = JSON.parse(JSON.stringify(settings).replaceAll(dir, "{dir}"));
  });
  return settings as ScheduleSettings;
}

async function failureOf(toml: string, options: { readonly isNamed?: boolean } = {}): Promise<string> {
  let said = "";
  await rejects(read(toml, options), (error) => {
    if (!(error instanceof Failure)) throw error;
    equal(error.kind, "usage");
    said = [error.message, ...error.hints.map((hint) => `Hint: ${hint}`)].join("\n");
    return true;
  });
  return said;
}

Deno.test("an entry is an issue or a search, with the options of its runs", async () => {
  deepEqual(
    await read(`
[serve]
max_running = 5
[[schedule]]
cron = "@daily"
issue = "https://github.com/a/b/issues/7?x=1"
[[schedule]]
name = "file"
cron = "0 3 * * MON-FRI"
timezone = "Europe/Berlin"
issue = "bugs/one.md"
repo_path = "project"
workers = 4
timeout_sec = 60.5
agent = "mini"
worker_model = "w"
manager_model = "m"
repro_validation_runs = 9
if_changed = false
[[schedule]]
name = "search"
cron = "*/30 * * * *"
query = 'repo:a/b is:issue "repo:c/d is:pr"'
limit = 10
`),
    {
      entries: [
        {
          name: "https://github.com/a/b/issues/7?x=1",
          cron: "@daily",
          target: { kind: "issue", issue: { issue_url: "https://github.com/a/b/issues/7" } },
          options: { if_changed: true },
        },
        {
          name: "file",
          cron: "0 3 * * MON-FRI",
          timezone: "Europe/Berlin",
          target: { kind: "issue", issue: { issue_file: "{dir}/bugs/one.md" } },
          options: {
            workers: 4,
            timeout_sec: 60.5,
            worker_model: "w",
            manager_model: "m",
            repro_validation_runs: 9,
            repo_path: "{dir}/project",
            agent: "mini",
            if_changed: false,
          },
        },
        {
          name: "search",
          cron: "*/30 * * * *",
          target: {
            kind: "query",
            query: {
              slug: "a/b",
              text: 'repo:a/b is:issue "repo:c/d is:pr"',
              written: 'repo:a/b is:issue "repo:c/d is:pr"',
            },
            limit: 10,
          },
          options: { if_changed: true },
        },
      ],
      maxRunning: 5,
    },
  );
  deepEqual(await read("[manager]\n"), { entries: [], maxRunning: 2 });
});

Deno.test("what is wrong with an entry is told with its line", async () => {
  const CRON = "schedule.cron: need five parts: minute, hour, day, month, day of the week, found";
  const HINT = 'Hint: For example `cron = "*/30 * * * *"`, or `cron = "0 3 * * MON-FRI"`';
  const ANY = "Hint: README shows a file with every key";
  const ISSUE = 'cron = "@daily"\nissue = "a.md"\n';
  const cases: [string, number, string][] = [
    [
      'cron = "61 * * * *"\nissue = "a.md"',
      2,
      `${CRON} "61 * * * *": Invalid value for minute: 61\n${HINT}`,
    ],
    [
      'cron = "* * * * * *"\nissue = "a.md"',
      2,
      `${CRON} "* * * * * *": another number of parts is there\n${HINT}`,
    ],
    [
      'cron = "2030-01-01T00:00:00"\nissue = "a.md"',
      2,
      `${CRON} "2030-01-01T00:00:00": another number of parts is there\n${HINT}`,
    ],
    ['cron = "0 0 31 2 *"\nissue = "a.md"', 2, `${CRON} a time that never comes\n${HINT}`],
    ['issue = "a.md"', 1, `schedule.cron: need a text, found nothing\n${ANY}`],
    [
      `${ISSUE}timezone = "Mars/Base"`,
      4,
      "schedule.timezone: need the name of a time zone, found another text\n" +
      'Hint: For example `timezone = "Europe/Berlin"`; without it the machine\'s counts',
    ],
    ['cron = "@daily"', 1, `schedule.name: need one of \`issue\` and \`query\`, found neither\n${ANY}`],
    [
      `${ISSUE}query = "repo:a/b"`,
      4,
      `schedule.query: need one of \`issue\` and \`query\`, found both\n${ANY}`,
    ],
    [`${ISSUE}limit = 2`, 4, `schedule.limit: need a \`query\`, whose issues it counts, found \`issue\`\n${ANY}`],
    [
      'cron = "@daily"\nquery = "is:open bug"',
      3,
      `schedule.query: need a search with one \`repo:OWNER/NAME\`, found none of them\n${ANY}`,
    ],
    [
      'cron = "@daily"\nquery = "repo:a/b repo:c/d"',
      3,
      `schedule.query: need a search with one \`repo:OWNER/NAME\`, found several of them\n${ANY}`,
    ],
    [
      'cron = "@daily"\nquery = "repo:a/.."',
      3,
      `schedule.query: need a search with one \`repo:OWNER/NAME\`, found something else behind \`repo:\`\n${ANY}`,
    ],
    [
      'cron = "@daily"\nquery = "repo:a/b is:PR"',
      3,
      `schedule.query: need a search for issues, found one for pull requests\n${ANY}`,
    ],
    [
      'cron = "@daily"\nissue = "https://github.com/a/b/pull/3"',
      3,
      'schedule.issue: Cannot read the issue "https://github.com/a/b/pull/3": need the address of an issue, ' +
      `found a pull request\n${ANY}`,
    ],
    [
      `${ISSUE}workers = "2"`,
      4,
      [
        "schedule.workers: need a whole number from 1 to 6, found a text",
        "Hint: Numbers, true and false stand without quotes",
      ].join("\n"),
    ],
    [`${ISSUE}worker = 2`, 4, "schedule.worker: nobody reads this key\nHint: Did you mean `workers`?"],
    [
      `${ISSUE}issue_url = "x"`,
      4,
      "schedule.issue_url: nobody reads this key\nHint: Write `issue`: the address of one, or a file",
    ],
    [
      `${ISSUE}max_running = 1`,
      4,
      "schedule.max_running: nobody reads this key\nHint: Write it below `[serve]`: it is for all entries together",
    ],
    [
      `name = "x"\n${ISSUE}[[schedule]]\nname = "x"\n${ISSUE}`,
      6,
      `schedule.name: need a name that no other entry has, found one twice\n${ANY}`,
    ],
    [`${ISSUE}name = ""`, 4, `schedule.name: need a name of 1 to 100 characters, found an empty text\n${ANY}`],
  ];
  for (const [toml, line, expected] of cases) {
    equal(
      await failureOf(`[[schedule]]\n${toml}\n`),
      `Cannot use the configuration: mminions.toml:${line}: ${expected}`,
    );
  }
});

Deno.test("a file that nobody named starts nothing", async () => {
  equal(
    await failureOf('# a\n[[schedule]]\ncron = "@daily"\nissue = "a.md"\n', { isNamed: false }),
    "Cannot use the configuration: mminions.toml:2: schedule: " +
      "need a file that was named, found one that merely lies in the current folder\n" +
      "Hint: If the file is yours, name it: `--config mminions.toml`, or set MMINIONS_CONFIG",
  );
});

Deno.test("the example at the top of the repository has a schedule and notifications that are right", async () => {
  const example = await Deno.readTextFile(new URL("../../../../mminions.toml", import.meta.url));
  const { entries, maxRunning } = await read(example.replaceAll(/^# (?=\[|\w+ = )/gm, ""));
  deepEqual([entries.map(({ name, target }) => [name, target.kind]), maxRunning], [
    [["numpy 30272", "issue"], ["new bugs", "query"]],
    2,
  ]);
  deepEqual(await read(example), { entries: [], maxRunning: 2 });
});

Deno.test("an hour that a change of clocks leaves out or brings twice has each time once", async () => {
  const cron = await createCron("30 2 * * *", "Europe/Berlin");
  const times = (from: string, count: number) => {
    const found: string[] = [];
    for (let ms = Date.parse(from); found.length < count;) found.push(new Date(ms = cron.next(ms)!).toISOString());
    return found;
  };
  deepEqual(times("2026-03-28T00:00:00Z", 3), [
    "2026-03-28T01:30:00.000Z",
    "2026-03-29T01:00:00.000Z",
    "2026-03-30T00:30:00.000Z",
  ]);
  deepEqual(times("2026-10-24T00:00:00Z", 3), [
    "2026-10-24T00:30:00.000Z",
    "2026-10-25T00:30:00.000Z",
    "2026-10-26T01:30:00.000Z",
  ]);
});

Deno.test("the next time is always a later one, of the hour and minute that were asked for", async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 0, max: 59 }),
    fc.integer({ min: 0, max: 23 }),
    fc.date({ min: new Date("2020-01-01"), max: new Date("2040-01-01"), noInvalidDate: true }),
    async (minute, hour, from) => {
      const next = (await createCron(`${minute} ${hour} * * *`, "UTC")).next(from.getTime())!;
      const time = new Date(next);
      deepEqual([time.getUTCMinutes(), time.getUTCHours(), time.getUTCSeconds()], [minute, hour, 0]);
      equal(next > from.getTime() && next - from.getTime() <= 86_400_000, true);
    },
  );
  await fc.assert(property, { numRuns: 200 });
});
