/** A model on loopback that answers at once: Anthropic Messages and OpenAI chat, one `bash` call per reply. */

export interface LoopbackModel extends AsyncDisposable {
  readonly url: string;
}

const FINISH = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT";

/** Replies with `true` commands until a conversation has `steps` replies; the last one submits. */
export function startLoopbackModel(steps: number): LoopbackModel {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { messages } = await request.json() as { messages: { role: string }[] };
    const answered = messages.filter(({ role }) => role === "assistant").length;
    const command = answered + 1 >= steps ? FINISH : "true";
    const id = `call_${answered}`;
    return Response.json(
      new URL(request.url).pathname.endsWith("/messages")
        ? {
          id: "msg",
          type: "message",
          role: "assistant",
          model: "claude-sonnet-4-20250514",
          content: [{ type: "tool_use", id, name: "bash", input: { command } }],
          stop_reason: "tool_use",
          usage: { input_tokens: 100, output_tokens: 10 },
        }
        : {
          id: "chat",
          object: "chat.completion",
          created: 0,
          model: "gpt-4o",
          choices: [{
            index: 0,
            finish_reason: "tool_calls",
            message: {
              role: "assistant",
              content: null,
              tool_calls: [{
                id,
                type: "function",
                function: { name: "bash", arguments: JSON.stringify({ command }) },
              }],
            },
          }],
          usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
        },
    );
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
