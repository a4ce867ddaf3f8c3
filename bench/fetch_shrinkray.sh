#!/usr/bin/env bash
# Installs the peer of the reducer's benchmark, Shrink Ray, into .cache/bench/shrinkray (a Python environment of its own).
set -euo pipefail
cd "$(dirname "$0")/.."
dir=.cache/bench/shrinkray
[[ -e $dir/installed ]] && exit 0
rm -rf "$dir"
# It needs Python 3.12; pyenv keeps the ones that are not the default apart.
for python in python3 python3.14 python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3; do
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check shrinkray==26.9.13.0
# Shrink Ray downloads its grammars one by one from another place than the registry; this version brought them along.
"$dir/bin/pip" install --quiet --disable-pip-version-check --no-deps tree-sitter-language-pack==0.13.0 \
  tree-sitter-c-sharp==0.23.5 tree-sitter-embedded-template==0.25.0 tree-sitter-yaml==0.7.2
cat >"$("$dir/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/sitecustomize.py" <<'PYTHON'
import typing

import tree_sitter_language_pack as pack

pack.downloaded_languages = lambda: list(typing.get_args(pack.SupportedLanguage))
PYTHON
# An installation that was interrupted must not pass for a whole one.
touch "$dir/installed"
