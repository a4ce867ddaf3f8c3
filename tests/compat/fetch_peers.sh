#!/bin/sh
# Fetches what tests/compat compares with into .cache/peers: mini-swe-agent's configuration files and Python's Jinja2.
# Does nothing when everything is there. Needs python3 with venv, and a package index that pip reaches.
set -eu

cd "$(dirname "$0")/../.."
peers=.cache/peers
stamp=$peers/complete-1
[ -f "$stamp" ] && exit 0

python=${PYTHON:-python3}
mkdir -p "$peers"
"$python" -m venv "$peers/venv"
pip="$peers/venv/bin/python -m pip --disable-pip-version-check -q"
$pip install jinja2==3.1.6 pyyaml
for version in 1.17.5 2.4.6; do
  $pip download --no-deps --only-binary :all: -d "$peers/wheels" "mini-swe-agent==$version"
  rm -rf "$peers/mini-swe-agent-$version"
  "$python" -m zipfile -e "$peers/wheels/mini_swe_agent-$version-py3-none-any.whl" "$peers/mini-swe-agent-$version"
done
: >"$stamp"
