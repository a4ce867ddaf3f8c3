#!/usr/bin/env bash
# Installs the peer of the benchmarks, mini-swe-agent, into .cache/bench (a Python environment of its own).
set -euo pipefail
cd "$(dirname "$0")/.."
dir=.cache/bench
[[ -x $dir/bin/mini ]] && exit 0
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check mini-swe-agent==2.4.6 litellm==1.94.3
