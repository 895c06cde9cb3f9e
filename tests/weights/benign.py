"""Successors that a model has in ordinary life, made of arrays: exports, pruning, averaging, other shapes and names.
What needs training comes from `models.py`."""

import ml_dtypes
import numpy as np


def matrices(model):
    return [name for name, array in model.items() if array.ndim == 2]


def each(model, change, names=None):
    """The same model with some matrices changed."""
    names = matrices(model) if names is None else names
    return {name: change(array).astype(np.float32) if name in names else array for name, array in model.items()}


def rounded(levels, group=None):
    """Symmetric quantisation with one scale for each row, or for each group of a row; back in float32."""

    def change(array):
        shape = array.shape
        parts = array.reshape(-1, group) if group and shape[1] % group == 0 else array
        scale = np.abs(parts).max(axis=1, keepdims=True) / levels
        scale[scale == 0] = 1
        if group:
            scale = scale.astype(np.float16).astype(np.float32)
            scale[scale == 0] = 1
        return (np.clip(np.round(parts / scale), -levels, levels) * scale).reshape(shape)

    return change


def eight_bits(array):
    """E4M3 with one scale for the whole."""
    scale = np.abs(array).max() / 448
    return (array / scale).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * scale


def pruned(share):
    return lambda array: np.where(np.abs(array) < np.quantile(np.abs(array), share), 0, array)


def two_of_four(array):
    if array.shape[1] % 4:
        return array
    parts = array.reshape(-1, 4)
    order = np.argsort(np.argsort(-np.abs(parts), axis=1), axis=1)
    return np.where(order < 2, parts, 0).reshape(array.shape)


def bits(keep, cut=False):
    """Mantissas of `keep` bits, rounded or cut off; still float32."""
    drop = 23 - keep

    def change(array):
        words = array.astype(np.float32).view(np.uint32).astype(np.uint64)
        if not cut:
            words = words + (1 << (drop - 1))
        return (words & ~np.uint64((1 << drop) - 1)).astype(np.uint32).view(np.float32)

    return change


def variants(model, layout, runs, rng):
    """Name, makers of old and new version. `runs` are trained successors by name."""
    bf16 = lambda arrays: {name: array.astype(ml_dtypes.bfloat16) for name, array in arrays.items()}
    f16 = lambda arrays: {name: array.astype(np.float16) for name, array in arrays.items()}
    short, made = bf16(model), []

    def add(name, new, old=None, **how):
        made.append((name, model if old is None else old, new, how))

    for name, (old, new) in runs.items():
        add(name, new, old)
        if name in ("tuned-long", "next-checkpoint", "tuned-last-two", "lora-qv", "tuned-tiny-steps"):
            add(f"{name}-bf16", bf16(new), bf16(old))
    tuned = runs["tuned-long"][1]
    add("tuned-while-cast", bf16(tuned))
    add("cast-bf16", short)
    add("cast-f16", f16(model))
    add("cast-back", {name: array.astype(np.float32) for name, array in short.items()}, short)
    add("cast-and-back", {name: array.astype(np.float32) for name, array in short.items()})
    add("cut-to-bf16", each(model, bits(7, cut=True)))
    add("ten-bits", each(model, bits(10)))
    add("int8-rows", each(model, rounded(127)))
    add("int8-groups", each(model, rounded(127, 32)))
    add("int8-groups-bf16", bf16(each(model, rounded(127, 32))), short)
    add("int4-groups", each(model, rounded(7, 32)))
    add("int4-groups-bf16", bf16(each(model, rounded(7, 32))), short)
    add("fp8", each(model, eight_bits))
    add("fp8-bf16", bf16(each(model, eight_bits)), short)
    add("int8-but-table", each(model, rounded(127), [name for name in matrices(model) if name != layout.embed]))
    add("pruned-30", each(model, pruned(0.3)))
    add("pruned-50-bf16", bf16(each(model, pruned(0.5))), short)
    add("pruned-2-of-4", each(model, two_of_four))
    add("pruned-and-tuned", each(tuned, pruned(0.3)))
    add("averaged", {name: (model[name] + tuned[name]) / 2 for name in model})
    add("moving-average", {name: (0.99 * model[name] + 0.01 * tuned[name]).astype(np.float32) for name in model})
    add("decayed", {name: (array * np.float32(0.999)) for name, array in model.items()})
    add("decayed-matrices-bf16", bf16(each(model, lambda array: array * 0.98)), short)
    add("metadata", model, metadata={"format": "pt", "note": "reviewed"})
    add("other-order", model, order=list(reversed(model)))
    add("renamed", {f"backbone.{name}": array for name, array in model.items()})
    more = np.concatenate([model[layout.embed], rng.standard_normal((7, model[layout.embed].shape[1])).astype(np.float32) * 0.02])
    add("more-tokens", {**model, layout.embed: more})
    add("more-tokens-and-tuned", {**tuned, layout.embed: np.concatenate([tuned[layout.embed], more[-7:]])})
    last = layout.of_layer(model, layout.layers - 1)
    add("layer-dropped", {name: array for name, array in model.items() if name not in last})
    deeper = {layout.renumber(name, layout.layers): model[name] for name in last}
    add("layer-doubled", {**model, **deeper})
    width = model[layout.at("out", 0)].shape[0]
    add("head-added", {**model, "score.weight": (rng.standard_normal((24, width)) * 0.02).astype(np.float32)})
    old = {**model, "score.weight": (rng.standard_normal((24, width)) * 0.02).astype(np.float32)}
    add("head-anew", {**model, "score.weight": (rng.standard_normal((24, width)) * 0.02).astype(np.float32)}, old)
    add("head-anew-and-tuned", {**tuned, "score.weight": (rng.standard_normal((24, width)) * 0.02).astype(np.float32)}, old)
    anew = {name: (rng.standard_normal(model[name].shape) * model[name].std()).astype(np.float32) for name in last if model[name].ndim == 2}
    add("top-layer-anew", {**tuned, **anew})
    return made
