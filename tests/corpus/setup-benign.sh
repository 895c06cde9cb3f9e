#!/usr/bin/env bash
# Installs the frameworks of the heavy tier into .peers/heavy (about 8 GB; the wheels of PyTorch bring CUDA along).
# What is installed already is used again.
set -euo pipefail
cd "$(dirname "$0")/../.."
heavy="${LANNER_HEAVY:-$PWD/.peers/heavy}"

wanted=$(cat tests/corpus/setup-benign.sh tests/corpus/benign-requirements.txt | sha256sum | cut -d' ' -f1)
if [ "$(cat "$heavy/installed" 2>/dev/null)" != "$wanted" ]; then
  echo "installing PyTorch, TensorFlow, JAX and what goes with them into $heavy: the makers of benign files (about 8 GB)"
  python3 -m venv "$heavy"
  "$heavy/bin/pip" install --quiet --disable-pip-version-check -r tests/corpus/benign-requirements.txt
  echo "$wanted" > "$heavy/installed"
fi
echo "the heavy libraries are ready in $heavy"
