"""TorchScript, mobile, `torch.export`, `torch.package` and distributed checkpoints."""

import os

import torch
import torch.distributed.checkpoint as dcp
from torch import nn

from benign_common import SEED


class Counter(nn.Module):
    """Control flow, dictionaries and a buffer, so that scripts have something to say."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("seen", torch.zeros(1, dtype=torch.int64))

    def forward(self, x: torch.Tensor, steps: int = 2) -> dict[str, torch.Tensor]:
        out = x
        for i in range(steps):
            out = torch.relu(self.linear(out)) if i % 2 == 0 else out + 1
        if out.sum() > 100:
            raise ValueError("too large")
        return {"out": out, "seen": self.seen}


def networks():
    yield "linear", nn.Sequential(nn.Linear(4, 4), nn.ReLU()), torch.randn(2, 4)
    yield "image", nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), torch.randn(1, 3, 8, 8)
    yield "text", nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(12, 2), nn.Softmax(-1)), torch.randint(0, 20, (1, 3))
    yield "counter", Counter(), torch.randn(2, 4)


def write(corpus):
    torch.manual_seed(SEED)
    for name, model, example in networks():
        model = model.eval()
        scripted = torch.jit.script(model)
        torch.jit.save(scripted, str(corpus.at(f"torchscript/{name}-scripted.pt", "torchscript", "pt", f"{name}, scripted")), _extra_files={"labels.json": '["a", "b"]', "about.txt": "made by a test"})
        if name != "counter":
            traced = torch.jit.trace(model, example)
            torch.jit.save(traced, str(corpus.at(f"torchscript/{name}-traced.pth", "torchscript", "pth", f"{name}, traced")))
            torch.jit.save(torch.jit.freeze(traced), str(corpus.at(f"torchscript/{name}-frozen.pt", "torchscript", "pt", f"{name}, frozen")))
        scripted._save_for_lite_interpreter(str(corpus.at(f"torchscript/{name}.ptl", "torchscript-mobile", "ptl", f"{name} for mobile")))
        scripted._save_for_lite_interpreter(str(corpus.at(f"torchscript/{name}-flat.ptl", "torchscript-mobile", "ptl", f"{name} for mobile, as a flat buffer")), _use_flatbuffer=True)
        if name != "counter":
            exported = torch.export.export(model, (example,))
            torch.export.save(exported, str(corpus.at(f"pt2/{name}.pt2", "pt2", "pt2", f"{name}, exported")), extra_files={"note.txt": "hello"})
            try:
                batch = torch.export.Dim("batch", max=64)
                moving = torch.export.export(model, (torch.cat([example] * 2),), dynamic_shapes=({0: batch},))
                torch.export.save(moving, str(corpus.at(f"pt2/{name}-dynamic.pt2", "pt2", "pt2", f"{name}, with a batch of any size")))
            except Exception as error:
                print(f"pt2: {name}: {error}")
    packages(corpus)
    distributed(corpus)


def packages(corpus):
    from torch.package import PackageExporter

    for name, model, _ in networks():
        if name == "counter":
            continue
        with PackageExporter(str(corpus.at(f"package/{name}.pt", "torch-package", "pt", f"torch.package of {name}", ["SCN-015c"]))) as exporter:
            exporter.extern(["torch.**", "numpy.**"])
            exporter.save_pickle("model", "model.pkl", model)
            exporter.save_text("config", "config.json", '{"hidden": 4}')
            exporter.save_binary("config", "labels.json", b'["a", "b"]')
            exporter.save_source_string("acme.shape", "import math\n\n\ndef area(r):\n    return math.pi * r * r\n")


def distributed(corpus):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    for name, state in {"model": {"model": model.state_dict()}, "both": {"model": model.state_dict(), "optim": optimizer.state_dict(), "step": 7, "note": "x"}}.items():
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        dcp.save(state, checkpoint_id=str(corpus.inside(f"dcp/{name}")), no_dist=True)
        corpus.tree(f"dcp/{name}", "torch-dcp", f"a distributed checkpoint of {name}")
    try:
        from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

        dcp_to_torch_save(str(corpus.folder / "dcp/both"), str(corpus.at("dcp/converted.pt", "torch-dcp", "pt", "converted back")))
    except Exception as error:
        print(f"dcp: {error}")
