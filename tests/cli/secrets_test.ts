/** Keys stay where they are: not on the stream, not in files, not with the agent's commands. */
import { ok, strictEqual as equal } from "node:assert/strict";
import { listing, Sandbox, submit } from "../support/gocore.ts";

const IN_ENVIRONMENT = {
  ANTHROPIC_API_KEY: "sk-ant-api03-Qm9ndXNLZXlOdW1iZXJPbmU",
  MY_SERVICE_TOKEN: "plain but secret words",
  DATABASE_URL: "postgres://worker:hunter2hunter2@db.internal/app",
};
const IN_FILE = { OPENAI_API_KEY: "sk-proj-QW5vdGhlckJvZ3VzS2V5MTIz", ADMIN_PASSWORD: "correct-horse-battery" };
const BY_SHAPE = { key: "ghp_0123456789abcdefghijABCDEFGHIJ456789" };
const SECRETS = [
  ...[IN_ENVIRONMENT.ANTHROPIC_API_KEY, IN_ENVIRONMENT.MY_SERVICE_TOKEN, "hunter2hunter2"],
  ...Object.values(IN_FILE),
  BY_SHAPE.key,
];

/** Everything that was written below a folder, except the file that the user keeps keys in. */
async function written(directory: string): Promise<string> {
  const texts: string[] = [];
  for (const path of await listing(directory)) {
    if (path.endsWith("/") || path === "configs/.env") continue;
    texts.push(await Deno.readTextFile(`${directory}/${path}`));
  }
  return texts.join("\n");
}

Deno.test("secrets of the environment, of .env and in outputs appear nowhere", async () => {
  await using box = await Sandbox.create();
  const envFile = Object.entries(IN_FILE).map(([name, value]) => `${name}=${value}\n`).join("");
  await box.file("work/.miniswe/configs/.env", envFile);
  const shown = `printf '%s\\n' '${SECRETS.join("' '")}'`;
  const replies = [
    {
      content: `I use ${IN_ENVIRONMENT.ANTHROPIC_API_KEY} and ${IN_FILE.ADMIN_PASSWORD}.`,
      commands: ["env > env.txt"],
    },
    { commands: ["cat .miniswe/configs/.env; env"], reasoning: `The token is ${IN_ENVIRONMENT.MY_SERVICE_TOKEN}.` },
    { commands: [shown, `echo ${btoa(IN_ENVIRONMENT.ANTHROPIC_API_KEY)}`] },
    submit(`The key was ${BY_SHAPE.key}`),
  ];
  const run = await box.mini([
    ...await box.script(replies),
    ...["--task", `Do not tell ${IN_FILE.OPENAI_API_KEY}`],
    ...["-c", "environment.forward_env=[MY_SERVICE_TOKEN]"],
  ], { env: { ...IN_ENVIRONMENT, HARMLESS: "seen by all" } });
  equal(run.finish.status, "success");
  const kept = await written(`${box.workdir}/.miniswe`);
  ok(kept.includes("seen by all"), "there is something to look through");
  for (const secret of [...SECRETS, btoa(IN_ENVIRONMENT.ANTHROPIC_API_KEY)]) {
    equal(run.stdout.includes(secret), false, `stdout has ${secret}`);
    equal(run.stderr.includes(secret), false, `stderr has ${secret}`);
    equal(kept.includes(secret), false, `a file in .miniswe has ${secret}`);
  }

  const inherited = await Deno.readTextFile(`${box.workdir}/env.txt`);
  ok(inherited.includes("HARMLESS=seen by all"));
  ok(inherited.includes(`MY_SERVICE_TOKEN=${IN_ENVIRONMENT.MY_SERVICE_TOKEN}`), "environment.forward_env lets it pass");
  for (const name of ["ANTHROPIC_API_KEY", ...Object.keys(IN_FILE)]) {
    equal(inherited.includes(name), false, `commands inherit ${name}`);
  }
});

Deno.test("secrets that the configuration gives to commands and headers appear nowhere", async () => {
  await using box = await Sandbox.create();
  const secrets = ["words for the deployment", "bearer-value-5512", "header value 77"];
  const config = await box.file(
    "secrets.yaml",
    JSON.stringify({
      environment: { env: { DEPLOY_TOKEN: secrets[0] } },
      model: { model_kwargs: { extra_headers: { Authorization: `Bearer ${secrets[1]}`, "X-Api-Key": secrets[2] } } },
    }),
  );
  const commands = ["printenv DEPLOY_TOKEN >token.txt; cat token.txt", `printf '%s\\n' '${secrets.join("' '")}'`];
  const run = await box.mini([...await box.script([{ commands }, submit()]), "-t", "x", "-c", config]);
  equal(await Deno.readTextFile(`${box.workdir}/token.txt`), `${secrets[0]}\n`, "the command has it");
  const everything = run.stdout + run.stderr + await written(`${box.workdir}/.miniswe`);
  for (const secret of secrets) equal(everything.includes(secret), false, `somewhere stands ${secret}`);
});

Deno.test("a key in model_kwargs appears nowhere", async () => {
  await using box = await Sandbox.create();
  const key = "not-of-a-known-shape-41c2";
  const run = await box.mini([
    ...await box.script([{ commands: [`echo ${key}`] }, submit()]),
    ...["-t", "x", "-c", `model.model_kwargs.api_key=${key}`, "-c", "surprise.client_secret=another-hidden-value"],
  ]);
  const everything = run.stdout + run.stderr + await written(`${box.workdir}/.miniswe`);
  equal(everything.includes(key), false);
  equal(everything.includes("another-hidden-value"), false);
});
