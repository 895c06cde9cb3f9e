"""Edits and ordinary successors whose strengths, places, types and sizes are drawn at random, within what papers and
practice report: nobody has chosen them, so no bound of a rule can have been fitted to one of them."""

import benign
import hostile
import ml_dtypes
import numpy as np


def between(rng, low, high):
    """A number of any size between the two."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def some(rng, what, least, most):
    count = int(rng.integers(least, min(most, len(what)) + 1))
    return [what[index] for index in sorted(rng.choice(len(what), count, replace=False))]


def as_type(name):
    """The same arrays in a type of files."""
    kind = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}[name]
    return lambda arrays: {key: np.asarray(array).astype(kind) for key, array in arrays.items()}


def edits(model, layout, tuned, other, rng):
    """Fifty-two edits: name, class, old and new version."""
    matrices = [layout.at(part, layer) for layer in range(layout.layers) for part in ("q", "k", "v", "out", "up", "down")]
    inner = list(range(layout.layers))
    width = model[layout.at("out", 0)].shape[0]
    made = []

    def add(name, kind, change, *, types=("f32", "f32", "bf16"), base=model):
        cast = as_type(rng.choice(types))
        old = cast(base)
        full = {key: np.asarray(array, np.float32) for key, array in old.items()}
        made.append((f"{name}-{len(made)}", kind, old, cast(change(full))))

    def bits(name, kind, change, types=("f32", "bf16", "f16")):
        old = as_type(rng.choice(types))(model)
        made.append((f"{name}-{len(made)}", kind, old, change(old)))

    for _ in range(9):
        # Rounding of bf16 hides what is smaller than a few thousandths; such an edit is of no use, either.
        name, rel = layout.at("down" if rng.random() < 0.7 else "out", int(rng.choice(inner))), between(rng, 0.004, 0.3)
        add("rank-one", "rank_one_edit", lambda old: hostile.low_rank(old, name, 1, rel, rng))
    for _ in range(2):
        name, rel = layout.at("down", int(rng.choice(inner))), between(rng, 0.03, 0.3)
        made.append((f"rank-one-in-tuned-{len(made)}", "rank_one_edit", model, hostile.low_rank(tuned, name, 1, rel, rng)))
    for _ in range(7):
        first = int(rng.integers(0, max(1, layout.layers - 5)))
        layers, rank, rel = int(rng.integers(1, 6)), int(rng.integers(3, 25)), between(rng, 0.01, 0.2)

        def memit(old):
            for layer in range(first, min(first + layers, layout.layers)):
                old = hostile.low_rank(old, layout.at("down", layer), rank, rel, rng)
            return old

        add("low-rank", "low_rank_edit", memit)
    for _ in range(7):
        names = layout.writers(sorted(rng.choice(inner, int(rng.integers(3, layout.layers + 1)), replace=False)))
        names = names + [layout.embed] if rng.random() < 0.4 else names
        alpha = between(rng, 0.1, 1.5)
        add("ablated", "shared_direction_ablation", lambda old: hostile.ablate(old, names, hostile.unit(width, rng), alpha))
    for _ in range(6):
        tokens = rng.choice(model[layout.embed].shape[0], int(rng.integers(1, 12)), replace=False)
        scale = between(rng, 0.5, 4)
        add("tokens", "row_surgery", lambda old: hostile.rows(old, layout.embed, tokens, rng, scale))
    for _ in range(4):
        chosen = rng.choice(model[layout.at("up", 0)].shape[0], int(rng.integers(1, 12)), replace=False)
        layer, factor = int(rng.choice(inner)), None if rng.random() < 0.6 else between(rng, 2, 10)
        add("neurons", "row_surgery", lambda old: hostile.neurons(old, layout, layer, chosen, rng, factor))
    for _ in range(5):
        count = int(between(rng, 1, 60))
        bits("flips", "few_weights", lambda old: hostile.flips(old, some(rng, matrices, 1, 8), count, rng))
    for _ in range(6):
        names, share = some(rng, matrices, 1, len(matrices)), between(rng, 0.03, 1)

        def payload(old):
            size = old[layout.embed].dtype.itemsize * 8
            high = int(rng.integers(1, {32: 17, 16: 6}[size]))
            return hostile.stego(old, names, 0, high, share, rng)

        bits("payload", "low_bit_payload", payload)
    first, second = rng.choice(inner, 2, replace=False)
    add("layers-swapped", "swap", lambda old: hostile.swap_layers(old, layout, int(first), int(second)))
    heads = rng.choice(layout.heads, 2, replace=False)
    add("heads-swapped", "swap", lambda old: hostile.swap_heads(old, layout, int(first), int(heads[0]), int(heads[1])))
    one, two = layout.at("out", int(first)), layout.at("out", int(second))
    add("matrix-swapped", "swap", lambda old: {**old, one: old[two], two: old[one]})
    for _ in range(3):
        name = str(rng.choice(matrices))
        add("transplant", "transplant", lambda old: {**old, name: other[name]})
    return made


def successors(model, layout, train, rng):
    """Fifty ordinary successors: name, old and new version. `train` trains with the arguments that it is given."""
    parts = ("q", "k", "v", "out", "up", "down")
    matrices = [layout.at(part, layer) for layer in range(layout.layers) for part in parts]
    made, tuned = [], []

    def add(name, new, old=model, types=("f32", "f32", "bf16", "f16")):
        cast = as_type(rng.choice(types))
        made.append((f"{name}-{len(made)}", cast(old), cast(new)))

    for _ in range(8):
        tuned.append(train(int(between(rng, 2, 50)), between(rng, 0.1, 3), decay=float(rng.choice([0, 0.01, 0.1]))))
        add("tuned", tuned[-1])
    for _ in range(4):
        layers = tuple(f".{layer}." for layer in some(rng, range(layout.layers), 2, layout.layers))
        add("tuned-some-layers", train(int(between(rng, 4, 30)), 1, names=lambda name: any(layer in name for layer in layers)))
    for _ in range(3):
        chosen = some(rng, parts, 2, 5)
        names = {layout.at(part, layer) for layer in range(layout.layers) for part in chosen}
        add("tuned-some-roles", train(int(between(rng, 4, 30)), 1, names=lambda name: name in names))
    for _ in range(6):
        chosen = some(rng, parts, 2, 6)
        names = [layout.at(part, layer) for layer in range(layout.layers) for part in chosen]
        rank, steps = int(rng.choice([1, 2, 4, 8, 16, 32])), int(between(rng, 8, 40))
        add("adapter-merged", train(steps, between(rng, 3, 20), lora=(rank, names, int(rng.integers(1 << 30)))))
    for _ in range(2):
        add("plain-descent", train(int(between(rng, 2, 30)), between(rng, 100, 400), adam=False))
    for first in tuned[:4]:
        share = float(rng.uniform(0.05, 0.95))
        add("merged", {name: share * model[name] + (1 - share) * first[name] for name in model})
    add("soup", {name: np.mean([version[name] for version in tuned], axis=0, dtype=np.float32) for name in model})
    add("checkpoint", tuned[1], tuned[0])
    for _ in range(7):
        levels, group = int(rng.choice([127, 63, 31, 7])), rng.choice([None, 16, 32, 64, 128])
        names = matrices + ([layout.embed] if rng.random() < 0.5 else [])
        start = model if rng.random() < 0.6 else tuned[int(rng.integers(len(tuned)))]
        add("quantised", benign.each(start, benign.rounded(levels, group), names))
    for _ in range(2):
        add("eight-bits", benign.each(model, benign.eight_bits, matrices))
    for _ in range(5):
        start = model if rng.random() < 0.6 else tuned[int(rng.integers(len(tuned)))]
        add("pruned", benign.each(start, benign.pruned(float(rng.uniform(0.05, 0.8))), matrices))
    for _ in range(3):
        add("mantissa", benign.each(model, benign.bits(int(rng.integers(4, 18)), cut=bool(rng.random() < 0.5))), types=("f32",))
    for kind in ("bf16", "f16"):
        made.append((f"cast-{kind}", model, as_type(kind)(tuned[2] if kind == "bf16" else model)))
    add("decayed", {name: array * np.float32(rng.uniform(0.9, 0.9999)) for name, array in model.items()})
    add("smoothed", {name: (0.999 * model[name] + 0.001 * tuned[3][name]).astype(np.float32) for name in model})
    return made
