import { deepStrictEqual as deepEqual, ok, rejects, strictEqual as equal } from "node:assert/strict";
import { loadSettingsFile } from "../../../../src/commands/manager/settings_file.ts";
import { type NotifySettings, readNotifySettings } from "../../../../src/commands/serve/notify/read_places.ts";
import { Failure } from "../../../../src/failure.ts";
import { inTempDir } from "../../../support/temp_dir.ts";

interface Case {
  readonly toml?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly isNamed?: boolean;
}

async function read({ toml = "", env = {}, isNamed = true }: Case): Promise<NotifySettings> {
  let settings: NotifySettings | undefined;
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/mminions.toml`, toml);
    settings = readNotifySettings(await loadSettingsFile(isNamed ? "mminions.toml" : undefined, dir), env);
  });
  return settings!;
}

async function failureOf(of: Case): Promise<string> {
  let said = "";
  await rejects(read(of), (error) => {
    if (!(error instanceof Failure)) throw error;
    equal(error.kind, "usage");
    said = [error.message, ...error.hints.map((hint) => `Hint: ${hint}`)].join("\n");
    return true;
  });
  return said;
}

Deno.test("who is told of what stands in the file, and addresses in the environment before it", async () => {
  deepEqual(await read({}), {
    places: [],
    on: new Set(["attention", "finish", "failure"]),
    kinds: new Set(["mini", "session", "manager"]),
  });
  deepEqual(
    await read({
      toml: `
[notifications]
slack = "https://hooks.slack.com/services/FILE"
webhook = "http://127.0.0.1:9/FILE"
on = ["failure"]
kinds = ["session", "manager"]
`,
      env: {
        GOCORE_NOTIFY_SLACK: " https://hooks.slack.com/services/ENV ",
        GOCORE_NOTIFY_DISCORD: "https://discord.com/api/webhooks/1/ENV",
        GOCORE_NOTIFY_WEBHOOK: "",
      },
    }),
    {
      places: [
        { format: "webhook", address: "http://127.0.0.1:9/FILE" },
        { format: "slack", address: "https://hooks.slack.com/services/ENV" },
        { format: "discord", address: "https://discord.com/api/webhooks/1/ENV" },
      ],
      on: new Set(["failure"]),
      kinds: new Set(["session", "manager"]),
    },
  );
});

Deno.test("what is wrong is told with its place, and never with the address", async () => {
  const NEED = "need an address that begins with https:// or http://, without a user in it, found another text";
  for (const address of ["ftp://h/SECRET", "SECRET", "https://user:SECRET@h/", "//h/SECRET"]) {
    equal(
      await failureOf({ toml: `[notifications]\nslack = "${address}"\n` }),
      `Cannot use the configuration: mminions.toml:2: notifications.slack: ${NEED}\n` +
        "Hint: README shows a file with every key",
    );
    const said = await failureOf({ env: { GOCORE_NOTIFY_SLACK: address } });
    ok(said.startsWith(`Cannot use GOCORE_NOTIFY_SLACK: ${NEED}\nHint: `) && !said.includes("SECRET"));
  }
  equal(
    await failureOf({ toml: '[notifications]\non = ["finish", "fail"]\n' }),
    "Cannot use the configuration: mminions.toml:2: notifications.on: " +
      'need a list of attention, finish, failure, found "fail"\nHint: README shows a file with every key',
  );
  equal(
    await failureOf({ toml: '[notifications]\nteams = "x"\n' }),
    "Cannot use the configuration: mminions.toml:2: notifications.teams: nobody reads this key\n" +
      "Hint: Known here: webhook, slack, discord, on, kinds",
  );
});

Deno.test("a file that nobody named tells nobody", async () => {
  equal(
    await failureOf({ toml: '[notifications]\ndiscord = "https://evil.example/"\n', isNamed: false }),
    "Cannot use the configuration: mminions.toml:2: notifications.discord: " +
      "need a file that was named, found one that merely lies in the current folder\n" +
      "Hint: If the file is yours, name it: `--config mminions.toml`, or set MMINIONS_CONFIG",
  );
  const env = { GOCORE_NOTIFY_DISCORD: "https://discord.com/1" };
  deepEqual(
    (await read({ toml: '[notifications]\non = ["failure"]\n', isNamed: false, env })).on,
    new Set(["failure"]),
  );
});
