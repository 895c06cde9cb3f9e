#!/usr/bin/env bash
# Installs the scanners that ours is measured against, for `make corpus`. modelscan's extra for TensorFlow is left
# out: it weighs a gigabyte, and without it modelscan still reads pickles, NumPy, Keras and HDF5, but no SavedModel.
set -euo pipefail
cd "$(dirname "$0")/../.."
peers="${LANNER_PEERS:-$PWD/.peers}"
mkdir -p "$peers"
wanted=$(cat tests/corpus/setup.sh tests/corpus/requirements.txt | sha256sum | cut -d' ' -f1)
if [ "$(cat "$peers/scanners-installed" 2>/dev/null)" != "$wanted" ]; then
  echo "installing other scanners into $peers/scanners (about 600 MB)"
  python3 -m venv "$peers/scanners"
  "$peers/scanners/bin/pip" install --quiet --disable-pip-version-check -r tests/corpus/requirements.txt
  echo "$wanted" > "$peers/scanners-installed"
fi
echo "other scanners are ready in $peers/scanners"
