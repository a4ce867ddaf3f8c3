#!/bin/sh
# Fetches the agents that tests/agents runs into .cache/agents: codex, claude and gemini, in the versions that it knows.
# Does nothing when everything is there. Needs node 20 or newer, npm, and a registry that it reaches; about 850 MB.
set -eu

cd "$(dirname "$0")/../.."
agents=.cache/agents
codex=0.169.0
claude=2.1.329
gemini=0.61.0
stamp=$agents/complete-$codex-$claude-$gemini
[ -f "$stamp" ] && exit 0

rm -rf "$agents"
mkdir -p "$agents"
printf '{"private": true}\n' >"$agents/package.json"
npm install --prefix "$agents" --save-exact --no-audit --no-fund --loglevel=error \
  "@openai/codex@$codex" "@anthropic-ai/claude-code@$claude" "@google/gemini-cli@$gemini" >&2
for name in codex claude gemini; do
  # An install that left out a package for this platform succeeds all the same.
  if ! "$agents/node_modules/.bin/$name" --version >/dev/null; then
    echo "fetch_clis.sh: $name was installed and does not start" >&2
    exit 1
  fi
done
: >"$stamp"
