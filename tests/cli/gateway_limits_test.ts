import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { type EventOf, Sandbox, type StreamEvent, until } from "../support/gocore.ts";

Deno.test("a gateway that has run out of file descriptors serves again when it gets some back", async () => {
  await using sandbox = await Sandbox.create();
  const script = await sandbox.file("script.yaml", JSON.stringify([{ content: "hello" }]));
  const flags = ["--port", "0", "--ledger", join(sandbox.root, "ledger.db"), "--script", script];
  const run = await sandbox.start(["gateway", ...flags], { wrapper: ["prlimit", "--nofile=120:120"] });
  const listening = await run.event("gateway.listening", ({ type }) => type === "gateway.listening");
  const { hostname, port } = new URL((listening as EventOf<"gateway.listening">).data.url);
  const address = { hostname, port: Number(port) };

  const connections: Deno.Conn[] = [];
  // The system takes some that the gateway cannot; one of them is refused or broken off in the end.
  let isFull = false;
  const end = () => void (isFull = true);
  await until("it can take no more connections", async () => {
    await Deno.connect(address).then((connection) => {
      connections.push(connection);
      connection.read(new Uint8Array(1)).then(end, end);
    }, end);
    return isFull;
  });
  for (const connection of connections) connection.close();

  await until("it serves again", async () => {
    const response = await fetch(`http://${hostname}:${port}/health`).catch(() => undefined);
    await response?.body?.cancel();
    return response?.ok === true;
  });
  const message = { role: "user", content: "hi" };
  const answer = await fetch(`http://${hostname}:${port}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "gpt-5", messages: [message] }),
  });
  const { choices } = await answer.json();
  deepEqual([answer.status, choices[0].message.content], [200, "hello"]);
  run.kill("SIGTERM");
  const { code, events } = await run.end;
  equal(code, 143);
  ok(events.some(({ type, data }) => type === "log" && data.content.includes("Too many open files")));
});

Deno.test({
  name: "a gateway that slow clients have filled ends them, and serves again while they hold on",
  // Where Linux does not tell, their connections stay.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using sandbox = await Sandbox.create();
    const script = await sandbox.file("script.yaml", JSON.stringify([{ content: "hello" }]));
    const config = await sandbox.file("gateway.toml", "[limits]\nrequest_seconds = 1\n");
    const flags = ["--port", "0", "--ledger", join(sandbox.root, "ledger.db"), "--script", script, "--config", config];
    const run = await sandbox.start(["gateway", ...flags], { wrapper: ["prlimit", "--nofile=120:120"] });
    const listening = await run.event("gateway.listening", ({ type }) => type === "gateway.listening");
    const { url, pid } = (listening as EventOf<"gateway.listening">).data;
    const { hostname, port } = new URL(url);
    const descriptors = () => Array.from(Deno.readDirSync(`/proc/${pid}/fd`)).length;
    const atRest = descriptors();

    // The system resets those that wait for the gateway when it gives up listening.
    const connecting = Array.from({ length: 200 }, () => Deno.connect({ hostname, port: Number(port) }));
    const slow = (await Promise.allSettled(connecting)).flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
    try {
      const says = (text: string) => (event: StreamEvent) => event.type === "log" && event.data.content.includes(text);
      await run.event("it has no descriptor left", says("Too many open files"));
      const head = new TextEncoder().encode("POST /v1/chat/completions HTTP/1.1\r\nHo");
      await Promise.all(slow.map((socket) => socket.write(head).catch(() => {})));
      await until("it has its descriptors back", () => descriptors() <= atRest + 8);
      await until("it serves again", async () => {
        const response = await fetch(`${url}/health`).catch(() => undefined);
        await response?.body?.cancel();
        return response?.ok === true;
      });
      await run.event("it has told", says("no request had come after 1 s"));
    } finally {
      for (const socket of slow) socket.close();
    }
    run.kill("SIGTERM");
    equal((await run.end).code, 143);
  },
});
