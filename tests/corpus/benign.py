"""Writes the benign half of the corpus with the real libraries, and its lines of `manifest.jsonl`.

Usage: benign.py FOLDER [light | heavy] [SUBJECT ...]. The light tier needs `tests/peers/requirements.txt`, the
heavy one `benign-requirements.txt`. Nothing that is written here is ever loaded again.
"""

import importlib
import os
import random
import sys
import time
import warnings

warnings.filterwarnings("ignore")
os.environ.update(
    {
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
)

from benign_common import SEED, Corpus

TIERS = {
    "light": ["plain", "arrays", "sklearn", "boosters", "tensors", "graphs", "hub", "mlflow"],
    "heavy": ["torch", "torch_containers", "trainer", "keras", "keras_heavy", "tensorflow", "exports", "jax"],
}


def main():
    folder, tier, *subjects = [*sys.argv[1:], "light"] if len(sys.argv) == 2 else sys.argv[1:]
    corpus = Corpus(folder)
    for subject in subjects or TIERS[tier]:
        random.seed(SEED)
        before, start = len(corpus.lines), time.monotonic()
        importlib.import_module(f"benign_{subject}").write(corpus)
        made = len(corpus.lines) - before
        print(f"{subject}: {made} files in {time.monotonic() - start:.1f} s", flush=True)
    print(f"benign files: {corpus.finish()}")


main()
