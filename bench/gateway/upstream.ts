/**
 * A provider on loopback, as a program: says its port on stdout, answers chat calls after a delay, and Anthropic calls by
 * a stream that begins at once and ends after the delay. `POST /delay/50` sets it, in milliseconds.
 */

/** With a delay of 50 ms a model that writes 100 pieces a second. */
const PIECES = 5;
let delayMs = 0;

const chatReply = JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 0,
  model: "gpt-4o",
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "word ".repeat(100) } }],
  usage: { prompt_tokens: 5000, completion_tokens: 100, total_tokens: 5100 },
});
const message = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-sonnet-4-20250514",
  content: [],
  stop_reason: null,
  stop_sequence: null,
};
const delta = { type: "text_delta", text: "word ".repeat(20) };
const streamBegin = events(
  { type: "message_start", message: { ...message, usage: { input_tokens: 5000, output_tokens: 1 } } },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
);
const streamPiece = events({ type: "content_block_delta", index: 0, delta });
const streamEnd = events(
  { type: "content_block_stop", index: 0 },
  { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 100 } },
  { type: "message_stop" },
);

function events(...list: { readonly type: string; readonly [member: string]: unknown }[]): Uint8Array<ArrayBuffer> {
  const text = list.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
  return new TextEncoder().encode(text);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function streamReply(): Response {
  const waitMs = delayMs / PIECES;
  let left = PIECES;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(streamBegin),
    pull: async (controller) => {
      if (waitMs > 0) await sleep(waitMs);
      controller.enqueue(streamPiece);
      if (--left > 0) return;
      controller.enqueue(streamEnd);
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => void Deno.stdout.writeSync(new TextEncoder().encode(`${port}\n`)),
}, async (request) => {
  // A connection is free for the next request when this one was read.
  await request.arrayBuffer();
  const { pathname } = new URL(request.url);
  const [, delay] = /^\/delay\/(\d+)$/.exec(pathname) ?? [];
  if (delay !== undefined) {
    delayMs = Number(delay);
    return new Response();
  }
  if (pathname.endsWith("/messages")) return streamReply();
  if (delayMs > 0) await sleep(delayMs);
  return new Response(chatReply, { headers: { "content-type": "application/json" } });
});
