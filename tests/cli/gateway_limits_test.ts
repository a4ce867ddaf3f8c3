import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { type EventOf, Sandbox, until } from "../support/gocore.ts";

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
