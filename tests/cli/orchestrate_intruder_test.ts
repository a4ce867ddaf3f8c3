/** `gocore orchestrate` and agents that would rather decide themselves what a person is to decide. */
import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { dataOf, FakeAgents } from "../support/fake_agents.ts";
import type { GocoreRun } from "../support/gocore.ts";

const isLinux = Deno.build.os === "linux";
const canConfine = await new Deno.Command("bwrap", { args: ["--ro-bind", "/", "/", "true"], stderr: "null" }).output()
  .then(({ success }) => success, () => false);

/**
 * Asks as itself, as a helper without its environment and its session, as an orphan of such a helper, and as somebody who
 * has gone before the answer.
 */
const INTRUDER = `
mark begun; await url
url=$(cat "$state/url")
cat >"$TMPDIR/ask" <<'END'
curl -s -o /dev/null -w '%{http_code}\\n' -X POST -H 'Content-Type: application/json' -d '{"by":"ann"}' "$1"
END
sh "$TMPDIR/ask" "$url/api/control/pause"
env -i PATH="$PATH" setsid sh "$TMPDIR/ask" "$url/api/control/stop" | cat
(env -i PATH="$PATH" setsid sh -c 'until [ -e "$3/orphaned" ]; do sleep 0.05; done
  sh "$1" "$2" >"$3/code"; : >"$3/asked"' orphan "$TMPDIR/ask" "$url/api/control/resume" "$state" &)
mark orphaned; await asked
cat "$state/code"
bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf "POST /api/control/review HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n" >&3
  exec 3>&-' bash "\${url##*:}"
curl -s -o /dev/null -w '%{http_code}\\n' "$url/api/summary"
mark tried; await go`;

/** Does what `gocore orchestrate stop` does. */
const FORGER = `
for folder in "{workspace}"/*/control; do
  printf '{"id":"1-forged","command":"stop","worker":null,"text":"","by":"ann","question":null}' \
    >"$folder/1-forged.json" && echo forged
done 2>/dev/null`;

async function startServed(agents: FakeAgents, args: readonly string[]): Promise<{ run: GocoreRun; url: string }> {
  const config = join(agents.sandbox.root, "agents/gocore.toml");
  const flags = ["--config", config, "--target", agents.target, "--agents", "alpha,beta", "--port", "0", "--json"];
  const run = await agents.sandbox.start(["orchestrate", ...flags, ...args], {
    env: { OPENAI_API_KEY: "sk-nobody-is-asked-with-this" },
  });
  const serving = await run.event("the session is served", ({ type }) => type === "session.serving");
  ok(serving.type === "session.serving");
  return { run, url: serving.data.dashboard_url! };
}

async function press(url: string, command: string): Promise<number> {
  const response = await fetch(`${url}/api/control/${command}`, { method: "POST" });
  await response.body?.cancel();
  return response.status;
}

for (
  const { title, args, isConfined } of [
    { title: "in a sandbox", args: ["--sandbox", "require"], isConfined: true },
    { title: "in a sandbox around the target", args: ["--sandbox", "require", "--shared"], isConfined: true },
    { title: "without a sandbox", args: ["--sandbox", "off"], isConfined: false },
  ]
) {
  Deno.test(`an agent ${title} cannot control its session over HTTP, and a person can`, {
    ignore: isConfined ? !canConfine : !isLinux,
  }, async () => {
    await using agents = await FakeAgents.create(["alpha", "beta"]);
    const plan = await agents.plan([{ id: "one", agent: "alpha" }, { id: "two", agent: "beta" }]);
    const forger = isConfined ? FORGER.replace("{workspace}", agents.workspace) : "";
    await agents.behave("alpha", "task", forger + INTRUDER);
    await agents.behave("beta", "task", "await go; echo done");
    const { run, url } = await startServed(agents, ["Work", ...plan, ...args]);
    await agents.marked("begun");
    await agents.sandbox.file("url", url);
    await Deno.rename(join(agents.sandbox.root, "url"), join(agents.sandbox.root, "agents/state/url"));
    await agents.marked("tried");

    deepEqual([await press(url, "pause"), await press(url, "resume")], [202, 202]);
    await agents.mark("go");
    const end = await agents.ended(run);

    deepEqual([end.finished.status, end.code], ["done", 0]);
    const controls = dataOf(end.events, "control.received").map(({ command, by }) => [command, by]);
    deepEqual(controls, [["pause", "dashboard"], ["resume", "dashboard"]]);
    equal(end.state.workers.get("alpha")!.exit!.text.trim(), "403\n403\n403\n200");
    // Some versions of the runtime pass over a request whose client has gone.
    const warnings = dataOf(end.events, "log").filter(({ content }) => / over HTTP \((?!review)/.test(content))
      .map(({ level, content }) => [level, content.replace(/^.* tried to/, "tried to")]);
    deepEqual(
      warnings,
      ["pause", "stop", "resume"].map((command) => [
        "warning",
        `tried to control the session over HTTP (${command}), and was refused`,
      ]),
    );
    ok(dataOf(end.events, "log").some(({ content }) => content.startsWith("alpha tried to control the session")));
  });
}
