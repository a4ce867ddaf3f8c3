/** Keeps what is asked of this machine on this machine, whatever proxy the environment names. */

/**
 * A proxy of the network does not lead to this machine's own loopback, where the model's proxy listens. The runtime reads
 * these variables with the first request; commands have an environment of their own.
 */
export function keepLoopbackDirect(env: Readonly<Record<string, string>>): void {
  const named = Object.keys(env).some((name) => /^(https?|all)_proxy$/i.test(name));
  if (!named) return;
  const others = env.NO_PROXY ?? env.no_proxy ?? "";
  Deno.env.set(
    "NO_PROXY",
    [...others.split(",").filter((host) => host !== ""), "127.0.0.1", "localhost", "::1"].join(","),
  );
}
