#!/usr/bin/env bash
# Trains on all GPUs of this machine.
set -euo pipefail

cd "$(dirname "$0")/.."
export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0,1,2,3}
NPROC=$(nvidia-smi -L | wc -l)
mkdir -p data logs
if [ ! -f data/glove.zip ]; then
    wget -q https://example.org/datasets/glove.zip -O data/glove.zip
    unzip -o data/glove.zip -d data && rm -rf data/__MACOSX
fi
curl -s https://example.org/datasets/index.json | python3 -c "import json, sys; print(len(json.load(sys.stdin)))"
curl -sS https://example.org/health | jq . | tee logs/health.json
torchrun --nproc_per_node="$NPROC" train.py "$@" 2>&1 | tee "logs/$(date +%F).log"
rm -rf "$TMPDIR/cache" ./build/
