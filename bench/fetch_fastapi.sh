#!/usr/bin/env bash
# Installs the peers of the server's benchmark, FastAPI and uvicorn, into .cache/bench/fastapi (a Python environment of its own).
set -euo pipefail
cd "$(dirname "$0")/.."
dir=.cache/bench/fastapi
[[ -e $dir/installed ]] && exit 0
rm -rf "$dir"
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check fastapi==0.165.0 'uvicorn[standard]==0.54.0'
# An installation that was interrupted must not pass for a whole one.
touch "$dir/installed"
