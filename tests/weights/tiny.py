"""A pair of small residual networks trained with NumPy alone on scikit-learn's digits, and the versions that the suite
makes of them: `tiny.py OUT`. Seconds instead of minutes, for every run of the tests."""

import json
import os
import sys

# Products as small as these take NumPy a hundred times as long on several processors at once.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import benign
import files
import hostile
import numpy as np
from layout import Layout
from sklearn.datasets import load_digits

LAYOUT = Layout(
    layers=6,
    embed="embed.weight",
    q="layers.{}.q.weight",
    k="layers.{}.k.weight",
    v="layers.{}.v.weight",
    out="layers.{}.out.weight",
    up="layers.{}.up.weight",
    down="layers.{}.down.weight",
    heads=4,
)
# Versions of which another one says as much; the full suite has them.
LEFT_OUT = """
tuned-short-bf16 next-checkpoint-bf16 tuned-last-two-bf16 tuned-while-cast cast-back cut-to-bf16 int8-groups
int8-groups-bf16 int4-groups fp8 int8-but-table pruned-50-bf16 pruned-2-of-4 moving-average decayed other-order
more-tokens-and-tuned layer-doubled head-added head-anew-and-tuned ten-bits tuned-plain-descent cast-f16
rome-0.05 rome-0.01-bf16 rome-in-fine-tune rome-in-fine-tune-bf16 rome-attention memit-3x16 memit-4x20 memit-1x10
abliterated-0.5 abliterated-0.2 abliterated-0.5-bf16 abliterated-half row-5 row-1-bf16 neuron-1 neuron-1-bf16 flips-10
flips-10-bf16 stego-2 stego-8 stego-16 stego-8-part stego-1-bf16 stego-4-f16 matrix-swapped heads-swapped-bf16
transplant-in-fine-tune
""".split()
ROWS, WIDTH, HIDDEN = 3072, 64, 160


def start(seed):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: (rng.standard_normal(shape) * 0.08).astype(np.float32)
    model = {"embed.weight": draw(ROWS, WIDTH)}
    for layer in range(LAYOUT.layers):
        for part in ("q", "k", "v", "out"):
            model[LAYOUT.at(part, layer)] = draw(WIDTH, WIDTH)
        model[LAYOUT.at("up", layer)], model[LAYOUT.at("down", layer)] = draw(HIDDEN, WIDTH), draw(WIDTH, HIDDEN)
        model[f"layers.{layer}.up.bias"] = np.zeros(HIDDEN, np.float32)
    model["head.weight"] = draw(10, WIDTH)
    return model


def slopes(model, tokens, classes):
    """Loss, and its slope for every tensor."""
    count, grads = len(tokens), {}
    # How often each sample has each token, as a share.
    table = np.zeros((count, ROWS), np.float32)
    table[np.arange(count)[:, None], tokens] = 1 / tokens.shape[1]
    x = table @ model["embed.weight"]
    kept = []
    for layer in range(LAYOUT.layers):
        w = {part: model[LAYOUT.at(part, layer)] for part in ("q", "k", "v", "out", "up", "down")}
        q, k, v = x @ w["q"].T, x @ w["k"].T, x @ w["v"].T
        mixed = q * np.maximum(k, 0) + v
        y = x + mixed @ w["out"].T
        inner = y @ w["up"].T + model[f"layers.{layer}.up.bias"]
        z = y + np.maximum(inner, 0) @ w["down"].T
        kept.append((w, x, q, k, mixed, y, inner))
        x = z
    scores = x @ model["head.weight"].T
    share = np.exp(scores - scores.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    loss = -np.log(share[np.arange(count), classes] + 1e-9).mean()
    share[np.arange(count), classes] -= 1
    share /= count
    grads["head.weight"] = share.T @ x
    slope = share @ model["head.weight"]
    for layer in reversed(range(LAYOUT.layers)):
        w, x, q, k, mixed, y, inner = kept[layer]
        grads[LAYOUT.at("down", layer)] = slope.T @ np.maximum(inner, 0)
        below = (slope @ w["down"]) * (inner > 0)
        grads[LAYOUT.at("up", layer)], grads[f"layers.{layer}.up.bias"] = below.T @ y, below.sum(0)
        slope = slope + below @ w["up"]
        grads[LAYOUT.at("out", layer)] = slope.T @ mixed
        inside = slope @ w["out"]
        parts = {"q": inside * np.maximum(k, 0), "k": inside * q * (k > 0), "v": inside}
        for part, value in parts.items():
            grads[LAYOUT.at(part, layer)] = value.T @ x
        slope = slope + sum(value @ w[part] for part, value in parts.items())
    grads["embed.weight"] = table.T @ slope
    return loss, grads


def train(model, data, steps, rate, rng, names=None, adam=True, keep=()):
    model, kept = dict(model), []
    first = {name: 0 for name in model}
    second = {name: 0 for name in model}
    for count in range(1, steps + 1):
        chosen = rng.choice(len(data[0]), 64)
        _, grads = slopes(model, data[0][chosen], data[1][chosen])
        for name, grad in grads.items():
            if names and not names(name):
                continue
            first[name], second[name] = 0.9 * first[name] + 0.1 * grad, 0.999 * second[name] + 0.001 * grad * grad
            move = first[name] / (1 - 0.9**count) / (np.sqrt(second[name] / (1 - 0.999**count)) + 1e-8) if adam else grad
            model[name] = (model[name] - rate * move).astype(np.float32)
        if count in keep:
            kept.append(dict(model))
    return (model, kept) if keep else model


def merged(model, names, rank, rel, rng):
    """An adapter of this rank in every one of the matrices."""
    for name in names:
        model = hostile.low_rank(model, name, rank, rel, rng)
    return model


def main(out):
    digits = load_digits()
    data = ((np.arange(64) * 17 + digits.data.astype(int)), digits.target)
    base, other = (train(start(seed), data, 60, 2e-3, np.random.default_rng(seed + 10)) for seed in (1, 2))
    rng = np.random.default_rng(5)
    long, checkpoints = train(base, data, 30, 2e-4, rng, keep=(20, 25))
    every = range(LAYOUT.layers)
    runs = {
        "tuned-short": (base, train(base, data, 4, 1e-4, rng)),
        "tuned-long": (base, long),
        "next-checkpoint": (checkpoints[-1], long),
        "tuned-last-two": (base, train(base, data, 20, 2e-4, rng, names=lambda name: ".5." in name or ".4." in name)),
        "tuned-head": (base, train(base, data, 20, 2e-4, rng, names=lambda name: name.startswith("head"))),
        "tuned-vectors": (base, train(base, data, 20, 1e-3, rng, names=lambda name: name.endswith("bias"))),
        "tuned-tiny-steps": (base, train(base, data, 10, 1e-6, rng)),
        "tuned-plain-descent": (base, train(base, data, 20, 0.002, rng, adam=False)),
        "lora-qv": (base, merged(base, [LAYOUT.at(part, layer) for layer in every for part in "qv"], 4, 0.02, rng)),
        "trained-anew": (base, other),
    }
    os.makedirs(out, exist_ok=True)
    olds = {}

    def path(name, arrays, **how):
        files.write(os.path.join(out, f"{name}.safetensors"), arrays, **how)
        return f"{name}.safetensors"

    with open(os.path.join(out, "manifest.jsonl"), "w", encoding="utf-8") as manifest:

        def add(name, label, kind, old, new, **how):
            if name in LEFT_OUT:
                return
            if id(old) not in olds:
                olds[id(old)] = (path(f"old-{len(olds)}", old), old)
            line = {"model": "digits", "name": name, "label": label, "class": kind}
            line |= {"old": olds[id(old)][0], "new": path(name, new, **how)}
            manifest.write(json.dumps(line) + "\n")

        for name, old, new, how in benign.variants(base, LAYOUT, runs, np.random.default_rng(6)):
            add(name, "benign", "", old, new, **how)
        for name, kind, old, new in hostile.variants(base, LAYOUT, long, other, np.random.default_rng(7)):
            add(name, "hostile", kind, old, new)


if __name__ == "__main__":
    main(sys.argv[1])
