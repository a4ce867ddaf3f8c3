/** Tells this machine's own addresses from all others. */

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i;

/** Whether an address or a host name, with or without brackets, can only mean this machine. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(withoutBrackets(host));
}

/** `[::1]` in a URL is `::1` everywhere else. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
