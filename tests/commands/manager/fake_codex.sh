#!/bin/sh
# A codex that does what the first line of its prompt says, as a shell command. `say TEXT` is its final message.
[ "$1" = --version ] && { echo "codex-cli 0.0.1"; exit; }
for prompt; do :; done
say() { answer=$1; }
session=thread-$$
case "$*" in *" resume -- "*) session=$(printf '%s\n' "$*" | sed -n 's/.* resume -- \(thread-[0-9]*\).*/\1/p') ;; esac
printf '{"type":"thread.started","thread_id":"%s"}\n{"type":"turn.started"}\n' "$session"
answer=done
eval "$(printf '%s\n' "$prompt" | head -n 1)"
quoted=$(printf '%s' "$answer" | sed 's/\\/\\\\/g; s/"/\\"/g')
printf '{"type":"item.completed","item":{"id":"i1","type":"agent_message","text":"%s"}}\n' "$quoted"
printf '{"type":"turn.completed","usage":{"input_tokens":3,"output_tokens":4}}\n'
