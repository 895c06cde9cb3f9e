"""PyTorch checkpoints: optimizers, schedulers, odd tensors, both layouts of `torch.save`."""

import argparse
import collections
import copy
import pathlib
import random

import numpy as np
import torch
from torch import nn

from benign_common import SEED


class Tower(nn.Sequential):
    """Saved by its state only: a class of one's own would be one more name to vet."""


def network():
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.1), nn.Linear(8, 3))


def save(corpus, name, value, why, kind="torch", **options):
    suffix = pathlib.Path(name).suffix.lstrip(".")
    torch.save(value, corpus.at(f"torch/{name}", kind, suffix, why), **options)


def write(corpus):
    torch.manual_seed(SEED)
    optimizers(corpus)
    tensors(corpus)
    modules(corpus)
    checkpoints(corpus)


def optimizers(corpus):
    makers = {
        "adam": lambda p: torch.optim.Adam(p, amsgrad=True),
        "adamw": lambda p: torch.optim.AdamW(p, weight_decay=0.1, fused=False),
        "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        "lbfgs": lambda p: torch.optim.LBFGS(p, max_iter=2),
        "rmsprop": lambda p: torch.optim.RMSprop(p, centered=True),
        "adagrad": torch.optim.Adagrad,
        "adadelta": torch.optim.Adadelta,
        "adamax": torch.optim.Adamax,
        "nadam": torch.optim.NAdam,
        "radam": torch.optim.RAdam,
        "rprop": torch.optim.Rprop,
        "asgd": torch.optim.ASGD,
        "adafactor": torch.optim.Adafactor,
    }
    schedules = [
        lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10),
        lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
        lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o),
        lambda o: torch.optim.lr_scheduler.SequentialLR(o, [torch.optim.lr_scheduler.ConstantLR(o), torch.optim.lr_scheduler.LinearLR(o)], [2]),
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3]),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    ]
    for number, (name, make) in enumerate(makers.items()):
        model = network()
        optimizer = make(list(model.parameters()))

        def closure():
            optimizer.zero_grad()
            loss = model(torch.randn(4, 6)).pow(2).mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        schedule = schedules[number % len(schedules)](optimizer)
        state = {"epoch": number, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": schedule.state_dict(), "best": 0.5}
        suffix = ["pt", "pth", "bin", "ckpt", "tar"][number % 5]
        save(corpus, f"optimizer-{name}.{suffix}", state, f"a checkpoint with {name}", _use_new_zipfile_serialization=number % 3 != 1)
        if name != "lbfgs":
            save(corpus, f"whole-{name}.pt", optimizer, f"the optimizer {name} itself")


def tensors(corpus):
    base = torch.randn(6, 4)
    values = {kind: base.mul(9).to(getattr(torch, kind)) for kind in ["float16", "bfloat16", "float64", "int8", "uint8", "int16", "int64", "bool", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"]}
    values |= {
        "transposed": base.t(),
        "view": base[1:3, ::2],
        "shared": [base, base[0], base.view(-1)],
        "conjugate": torch.view_as_complex(torch.randn(3, 2)).conj(),
        "negative": torch.view_as_complex(torch.randn(3, 2)).conj().imag,
        "grad": base.clone().requires_grad_(),
        "coo": base.relu().to_sparse(),
        "csr": base.relu().to_sparse_csr(),
        "csc": base.relu().to_sparse_csc(),
        "bsr": base.relu().to_sparse_bsr((2, 2)),
        "nested": torch.nested.nested_tensor([base[:2], base]),
        "jagged": torch.nested.nested_tensor([base[:2], base], layout=torch.jagged),
        "quint8": torch.quantize_per_tensor(base, 0.1, 10, torch.quint8),
        "qint8": torch.quantize_per_channel(base, torch.full((6,), 0.1), torch.zeros(6, dtype=torch.int64), 0, torch.qint8),
        "meta": torch.empty(3, 3, device="meta"),
        "parameter": nn.Parameter(base),
        "buffer": nn.Buffer(base),
        "storage": base.untyped_storage(),
        "typed": torch.FloatStorage([1.0, 2.0]),
        "masked": torch.masked.masked_tensor(base, base > 0),
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 5),
        "size": base.shape,
        "device": torch.device("cpu"),
        "dtype": [torch.bfloat16, torch.strided, torch.per_channel_affine],
        "numpy": {"array": np.arange(5.0), "scalar": np.float32(2)},
        "rng": {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate(), "generator": torch.Generator().get_state()},
    }
    for number, (name, value) in enumerate(values.items()):
        for zipped in (True, False):
            try:
                suffix = "pt" if zipped else "pth"
                save(corpus, f"tensor-{name}.{suffix}", value, f"{name}, {'ZIP' if zipped else 'legacy'}", _use_new_zipfile_serialization=zipped, pickle_protocol=2 + number % 4)
            except Exception as error:
                print(f"torch: {name} zipped={zipped}: {error}")
    dataset = torch.utils.data.TensorDataset(base, base[:, 0])
    save(corpus, "dataset.pt", dataset, "a TensorDataset")
    save(corpus, "subset.pt", torch.utils.data.Subset(dataset, [0, 2]), "a Subset")
    save(corpus, "packed.pt", nn.utils.rnn.pack_sequence([base, base[:3]]), "a packed sequence")
    save(corpus, "distribution.pt", torch.distributions.Normal(0.0, 1.0), "a distribution")


def modules(corpus):
    values = {
        "sequential": network(),
        "convolution": nn.Sequential(collections.OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), act=nn.ReLU(True), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten())),
        "lstm": nn.LSTM(4, 5, 2, bidirectional=True),
        "transformer": nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        "attention": nn.MultiheadAttention(8, 2),
        "embedding": nn.ModuleDict({"e": nn.Embedding(9, 4, padding_idx=0), "b": nn.EmbeddingBag(9, 4)}),
        "list": nn.ModuleList([nn.Linear(2, 2), nn.ParameterList([nn.Parameter(torch.ones(2))])]),
        "weight-norm": nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)).state_dict(),
        "spectral": nn.utils.spectral_norm(nn.Linear(3, 3)),
        "loss": [nn.CrossEntropyLoss(torch.ones(3)), nn.BCEWithLogitsLoss(), nn.CTCLoss()],
        "dynamic": torch.ao.quantization.quantize_dynamic(network(), {nn.Linear}, torch.qint8),
        "ema": torch.optim.swa_utils.AveragedModel(network()).state_dict(),
    }
    for name, value in values.items():
        for zipped in (True, False):
            try:
                save(corpus, f"module-{name}{'' if zipped else '-legacy'}.pt", value, f"a whole module, {name}", "torch-module", _use_new_zipfile_serialization=zipped)
            except Exception as error:
                print(f"torch: {name}: {error}")
    wrapped = {f"module.{key}": value for key, value in network().state_dict().items()}
    save(corpus, "ddp.pth", wrapped, "as DistributedDataParallel names them")
    save(corpus, "parallel.pth", nn.DataParallel(network()).state_dict(), "as DataParallel writes it")
    half = copy.deepcopy(network()).half().state_dict()
    save(corpus, "half.safetensors.bak.pt", half, "half precision under an odd name")


def checkpoints(corpus):
    model = network()
    arguments = argparse.Namespace(lr=1e-3, data="/data/imagenet", output_dir="out/run-1", resume=None, epochs=9, url="tcp://127.0.0.1:23456")
    save(corpus, "with-args.pth", {"model": model.state_dict(), "args": arguments, "epoch": 3}, "arguments of the training script", "torch-checkpoint")
    lightning = {
        "epoch": 1,
        "global_step": 20,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": collections.OrderedDict((f"net.{k}", v) for k, v in model.state_dict().items()),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 2, "completed": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val_loss', 'mode': 'min'}": {"best_model_path": "/runs/v0/epoch=1.ckpt", "best_model_score": torch.tensor(0.3)}},
        "optimizer_states": [torch.optim.Adam(model.parameters()).state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1, "path": pathlib.PurePosixPath("data")},
    }
    save(corpus, "lightning.ckpt", lightning, "as Lightning lays a checkpoint out", "torch-checkpoint")
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    save(corpus, "scaler.pt", {"scaler": scaler.state_dict(), "rng": torch.get_rng_state(), "config": {"model": "a", "lr": [1, 2]}}, "a scaler and generators", "torch-checkpoint")
    layers = {f"blocks.{i}.{p}.weight": torch.randn(4, 4) for i in range(200) for p in "qkv"}
    save(corpus, "many.bin", layers, "600 tensors", "torch-checkpoint")
    for index in (1, 2):
        save(corpus, f"sharded/pytorch_model-0000{index}-of-00002.bin", {f"l{index}": torch.randn(3)}, "a shard", "torch-checkpoint")
    for rank in range(2):
        save(corpus, f"deepspeed/mp_rank_0{rank}_model_states.pt", {"module": model.state_dict(), "ds_version": "0.15", "global_steps": 4, "param_shapes": [collections.OrderedDict((k, v.shape) for k, v in model.state_dict().items())]}, "as DeepSpeed lays it out", "torch-checkpoint")
