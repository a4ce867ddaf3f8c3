/** Where the parts of a session's page lead to each other, and what is asked of the session. */
import { api } from "/kit.js";

/** The log of one worker, or of one type. `to` makes the address of a tab. */
export const logOf = (to, worker, type) =>
  `${to("log")}?${new URLSearchParams({ ...(type && { type }), ...(worker && { worker }) })}`;

/** Resolves when the session has been told; then `reload` shows what became of it. */
export async function control(base, command, body, reload) {
  await api(`${base}/control/${command}`, { method: "POST", body });
  reload();
}
