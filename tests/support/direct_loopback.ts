/** Imported for what it does: a proxy of this machine does not lead to its loopback, where tests have their servers. */

for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]) {
  Deno.env.delete(name);
  Deno.env.delete(name.toLowerCase());
}
