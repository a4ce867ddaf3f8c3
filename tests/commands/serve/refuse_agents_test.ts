import { strictEqual as equal } from "node:assert/strict";
import { fileURLToPath } from "node:url";

const ignore = Deno.build.os !== "linux";
const LISTENER = fileURLToPath(new URL("refusing_listener.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../../deno.json", import.meta.url));
const GOCORE = ["run", "-A", "--no-check", "--config", CONFIG, LISTENER];
const AGENT = "An agent may not control runs";
const MARK = `GOCORE_COMMAND=worker.${crypto.randomUUID()}`;
const PATH = `PATH=${Deno.env.get("PATH")}`;

/** A server that is nobody's parent, and what it says about whoever connects by a command. */
async function withServer(
  work: (verdictOn: (...command: string[]) => Promise<string>) => Promise<void>,
  { token = "", env = {} }: { token?: string; env?: Record<string, string> } = {},
): Promise<void> {
  const server = new Deno.Command(Deno.execPath(), {
    args: [...GOCORE, token],
    env,
    stdout: "piped",
  }).spawn();
  const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const nextLine = async () => {
    while (!rest.includes("\n")) rest += (await lines.read()).value ?? "\n";
    const at = rest.indexOf("\n");
    const line = rest.slice(0, at);
    rest = rest.slice(at + 1);
    return line;
  };
  try {
    const port = await nextLine();
    await work(async (...command) => {
      const child = new Deno.Command(command[0]!, {
        args: [...command.slice(1), port],
        clearEnv: true,
        env: { PATH: Deno.env.get("PATH") ?? "" },
        stdin: "null",
      }).spawn();
      const verdict = JSON.parse(await nextLine());
      await child.status;
      return verdict;
    });
  } finally {
    await lines.cancel();
    server.kill("SIGKILL");
    await server.status;
  }
}

/** Says something to the port that is its argument, and waits until the server has closed the connection. */
const ASK = 'exec 3<>"/dev/tcp/127.0.0.1/$1"; echo x >&3; read -r _ <&3';
const ask = ["bash", "-c", ASK, "ask"];

Deno.test("a person may, also in a tmux session that a run has opened", { ignore }, async () => {
  await withServer(async (verdictOn) => {
    equal(await verdictOn(...ask), "may");
    equal(await verdictOn("env", "GOCORE_COMMAND=tmux", ...ask), "may");
  });
});

Deno.test("what has the mark of a worker or of a command may not", { ignore }, async () => {
  await withServer(async (verdictOn) => {
    equal(await verdictOn("env", MARK, ...ask), AGENT);
    equal(await verdictOn("env", `${MARK}/4711.k2x9.3`, ...ask), AGENT);
    equal(await verdictOn("env", "GOCORE_COMMAND=4711.k2x9.3", ...ask), AGENT);
  });
});

Deno.test("a child that has put the mark away may not, nor one in a session of its own", { ignore }, async () => {
  await withServer(async (verdictOn) => {
    const bare = 'env -u GOCORE_COMMAND setsid -w bash -c "$0" ask "$1"; exit';
    equal(await verdictOn("env", MARK, "bash", "-c", bare, ASK), AGENT);
  });
});

Deno.test("what descends from another gocore process may not, mark or not", { ignore }, async () => {
  await withServer(async (verdictOn) => {
    equal(await verdictOn(Deno.execPath(), ...GOCORE, "", "env", "-i", PATH, "setsid", "-w", ...ask), AGENT);
    const relative =
      `cd "$(dirname "$0")" && "$1" run -A --no-check ./refusing_listener.ts "" bash -c "$2" ask "$3"; exit`;
    equal(await verdictOn("bash", "-c", relative, LISTENER, Deno.execPath(), ASK), AGENT);
    // Another program of the same runtime.
    const other = 'await new Deno.Command("bash", { args: ["-c", ...Deno.args] }).output()';
    equal(await verdictOn(Deno.execPath(), "eval", other, ASK, "ask"), "may");
  });
});

Deno.test("marks that the server has itself tell nobody apart", { ignore }, async () => {
  const [name, value] = MARK.split("=");
  await withServer(async (verdictOn) => {
    equal(await verdictOn("env", MARK, ...ask), "may");
    equal(await verdictOn("env", `${MARK}/4711.k2x9.3`, ...ask), AGENT);
  }, { env: { [name!]: value! } });
});

Deno.test("who has gone before the answer needs the token, an agent is refused with it, too", { ignore }, async () => {
  const gone = ["bash", "-c", 'exec 3<>"/dev/tcp/127.0.0.1/$1"; echo gone >&3; exec 3>&-', "ask"];
  await withServer(async (verdictOn) => {
    equal(
      await verdictOn(...gone),
      "A program that cannot be told from an agent may not control runs without a token: set GOCORE_SERVE_TOKEN for " +
        "the server, and send it",
    );
  });
  await withServer(async (verdictOn) => {
    equal(await verdictOn(...gone), "may");
    equal(await verdictOn("env", MARK, ...ask), AGENT);
  }, { token: "s3cret" });
});
