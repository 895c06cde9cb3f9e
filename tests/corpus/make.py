"""Writes the malicious half of the corpus, and `manifest.jsonl` beside it. Usage: make.py FOLDER.

Every file would run, read or write something that its loader should not; what it would run does nothing. Files are
assembled by hand and never loaded. The same bytes come out in every run.
"""

import importlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
SUBJECTS = [
    "gadgets_stdlib", "gadgets_libs", "evasions", "streams", "torch_files", "containers", "keras_files", "graphs", "flat_files", "gguf_files", "templates", "configs", "data_files",
]


def main():
    store = importlib.import_module("corpus.store")
    corpus = store.Corpus(sys.argv[1])
    for subject in SUBJECTS:
        importlib.import_module(f"corpus.{subject}").make(corpus)
    corpus.finish()
    print(f"{len(corpus.rows)} files of {len(corpus.counts)} classes in {corpus.out}")


if __name__ == "__main__":
    main()
