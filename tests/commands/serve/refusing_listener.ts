/** Listens, and tells of each connection that says something whether it would be refused: one JSON line each. */
import { refuseAgents } from "../../../src/commands/serve/refuse_agents.ts";

const [token, program, ...args] = Deno.args;
// As a gocore process that starts a command.
if (program !== undefined) {
  const { code } = await new Deno.Command(program, { args, clearEnv: true, env: { PATH: Deno.env.get("PATH")! } })
    .output();
  Deno.exit(code);
}
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(listener.addr.port);
for await (const connection of listener) {
  const said = new Uint8Array(1);
  await connection.read(said);
  // Whoever says "g" goes.
  while (said[0] === "g".charCodeAt(0) && await connection.read(new Uint8Array(10)) !== null);
  const refusal = refuseAgents(connection.remoteAddr, { listening: listener.addr, token: token || undefined });
  console.log(JSON.stringify(refusal === undefined ? "may" : refusal.reason));
  connection.close();
}
