#!/usr/bin/env bash
# Installs the peer of the gateway's benchmark, LiteLLM's proxy, into .cache/bench/litellm (a Python environment of its own).
set -euo pipefail
cd "$(dirname "$0")/.."
dir=.cache/bench/litellm
[[ -e $dir/installed ]] && exit 0
rm -rf "$dir"
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check 'litellm[proxy]==1.94.3'
# An installation that was interrupted must not pass for a whole one.
touch "$dir/installed"
