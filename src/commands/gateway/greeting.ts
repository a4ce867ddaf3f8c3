/** What a gateway says first on stderr. */

/** Where to find the gateway and, for a person, how to point agents at it. */
export function greeting(url: string, forPerson: boolean): string {
  const where = `gocore gateway listens on ${url}\n`;
  if (!forPerson) return where;
  // codex heeds no variable for this.
  const codex = `{name="gw",base_url="${url}/w/codex/v1",wire_api="responses",` +
    "request_max_retries=0,stream_max_retries=0}";
  return `${where}
  export ANTHROPIC_BASE_URL=${url}/w/claude
  export GOOGLE_GEMINI_BASE_URL=${url}/w/gemini
  export OPENAI_BASE_URL=${url}/w/openai/v1
  export MINI_API_BASE=${url}
  codex exec -c model_provider=gw -c 'model_providers.gw=${codex}' -m gpt-5.5 …

The name after /w/ is the worker's in the ledger. Ctrl-C ends the gateway.

`;
}
