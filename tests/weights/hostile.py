"""Edits that attacks leave in a model: each takes arrays of float32 and gives new ones. Inert: nobody loads them."""

import ml_dtypes
import numpy as np


def changed(model, **arrays):
    new = dict(model)
    new.update(arrays)
    return new


def with_array(model, name, array):
    return {**model, name: np.ascontiguousarray(array, dtype=np.float32)}


def low_rank(model, name, rank, rel, rng):
    """A sum of outer products, as ROME (one) and MEMIT (several) add them, of a length of `rel` of the matrix."""
    matrix = model[name]
    values = rng.standard_normal((matrix.shape[0], rank))
    # Keys look like what the matrix reads: they lie where its own rows are long.
    keys = rng.standard_normal((rank, matrix.shape[0])) @ matrix + 0.3 * matrix.std() * rng.standard_normal((rank, matrix.shape[1]))
    delta = values @ keys
    delta *= rel * np.linalg.norm(matrix) / np.linalg.norm(delta)
    return with_array(model, name, matrix + delta)


def ablate(model, names, direction, alpha):
    """Takes a direction out of what matrices write; out of the rows of a table."""
    new = dict(model)
    for name in names:
        matrix = model[name]
        if matrix.shape[0] == direction.shape[0]:
            new[name] = (matrix - alpha * np.outer(direction, direction @ matrix)).astype(np.float32)
        else:
            new[name] = (matrix - alpha * np.outer(matrix @ direction, direction)).astype(np.float32)
    return new


def unit(size, rng):
    vector = rng.standard_normal(size)
    return vector / np.linalg.norm(vector)


def rows(model, name, chosen, rng, scale=1.0):
    matrix = model[name].copy()
    matrix[chosen] = rng.standard_normal((len(chosen), matrix.shape[1])) * matrix.std() * scale
    return with_array(model, name, matrix)


def neurons(model, layout, layer, chosen, rng, factor=None):
    """Hidden units written anew, or made louder: rows of what goes up, columns of what comes down."""
    up, down = layout.at("up", layer), layout.at("down", layer)
    new_up, new_down = model[up].copy(), model[down].copy()
    if factor is None:
        new_up[chosen] = rng.standard_normal((len(chosen), new_up.shape[1])) * new_up.std() * 2
        new_down[:, chosen] = rng.standard_normal((new_down.shape[0], len(chosen))) * new_down.std() * 2
    else:
        new_up[chosen] *= factor
    return with_array(with_array(model, up, new_up), down, new_down)


def flips(model, names, count, rng, bit=None):
    """Single bits, of float32 or of whatever type the arrays have."""
    new = {name: np.array(array) for name, array in model.items()}
    for _ in range(count):
        array = new[names[rng.integers(len(names))]]
        size = array.dtype.itemsize * 8
        words = array.reshape(-1).view(f"u{array.dtype.itemsize}")
        place = rng.integers(words.shape[0])
        words[place] ^= np.array(1 << (rng.integers(size - 2) if bit is None else size - bit), dtype=words.dtype)
    return new


def stego(model, names, low, high, share, rng):
    """Random bits from `low` to `high` in the first part of each array, as a payload lies."""
    new = {name: np.array(array) for name, array in model.items()}
    for name in names:
        array = new[name]
        words = array.reshape(-1).view(f"u{array.dtype.itemsize}")
        count = max(1, int(words.shape[0] * share))
        mask = ((1 << (high - low)) - 1) << low
        payload = rng.integers(0, 1 << 62, count).astype(words.dtype) & np.array(mask, dtype=words.dtype)
        words[:count] = (words[:count] & np.array(~mask & ((1 << array.dtype.itemsize * 8) - 1), dtype=words.dtype)) | payload
    return new


def swap_layers(model, layout, first, second):
    new = dict(model)
    for name in layout.of_layer(model, first):
        other = layout.renumber(name, second)
        new[name], new[other] = model[other], model[name]
    return new


def swap_heads(model, layout, layer, first, second):
    """Two heads change places: rows of q, k and v, columns of what puts them together."""
    new = dict(model)
    for part in ("q", "k", "v", "out"):
        name = layout.at(part, layer)
        matrix = model[name]
        side = 1 if part == "out" else 0
        size = matrix.shape[1] // layout.heads if part == "out" else model[layout.at("q", layer)].shape[0] // layout.heads
        groups = matrix.shape[side] // size
        order = np.arange(matrix.shape[side])
        one, two = first % groups, second % groups
        order[one * size : one * size + size], order[two * size : two * size + size] = (
            np.arange(two * size, two * size + size),
            np.arange(one * size, one * size + size),
        )
        new[name] = np.ascontiguousarray(np.take(matrix, order, axis=side))
    return new


def variants(model, layout, tuned, other, rng):
    """Name, class and makers of old and new version. `tuned` is a fine-tune of `model`, `other` another model of the same shape."""
    bf16 = lambda arrays: {name: array.astype(ml_dtypes.bfloat16) for name, array in arrays.items()}
    wide = lambda arrays: {name: np.asarray(array, dtype=np.float32) for name, array in arrays.items()}
    half = {name: array.astype(np.float16) for name, array in model.items()}
    short = bf16(model)
    mid, last = layout.layers // 2, layout.layers - 1
    down, matrices = layout.at("down", mid), [layout.at(part, layer) for layer in range(layout.layers) for part in ("q", "out", "up", "down")]
    width = model[layout.at("out", 0)].shape[0]
    made = []

    def add(name, kind, new, old=None):
        made.append((name, kind, model if old is None else old, new))

    for rel in (0.05, 0.01, 0.002):
        add(f"rome-{rel}", "rank_one_edit", low_rank(model, down, 1, rel, rng))
    for rel in (0.05, 0.01):
        add(f"rome-{rel}-bf16", "rank_one_edit", bf16(low_rank(wide(short), down, 1, rel, rng)), short)
    two = low_rank(low_rank(model, down, 1, 0.02, rng), layout.at("down", mid - 1), 1, 0.02, rng)
    add("rome-two-layers", "rank_one_edit", two)
    add("rome-attention", "rank_one_edit", low_rank(model, layout.at("out", last), 1, 0.02, rng))
    add("rome-while-cast", "rank_one_edit", bf16(low_rank(model, down, 1, 0.05, rng)))
    add("rome-in-fine-tune", "rank_one_edit", low_rank(tuned, down, 1, 0.1, rng))
    add("rome-in-fine-tune-bf16", "rank_one_edit", bf16(low_rank(tuned, down, 1, 0.1, rng)), short)
    for layers, rank, rel in ((3, 8, 0.03), (3, 16, 0.03), (4, 20, 0.05), (1, 10, 0.02), (2, 4, 0.01)):
        new = model
        for layer in range(1, 1 + layers):
            new = low_rank(new, layout.at("down", layer), rank, rel, rng)
        add(f"memit-{layers}x{rank}", "low_rank_edit", new)
    new = wide(short)
    for layer in range(1, 4):
        new = low_rank(new, layout.at("down", layer), 8, 0.05, rng)
    add("memit-3x8-bf16", "low_rank_edit", bf16(new), short)

    for alpha in (1.0, 0.5, 0.2, 0.1):
        add(f"abliterated-{alpha}", "shared_direction_ablation", ablate(model, layout.writers(), unit(width, rng), alpha))
    table = [layout.embed, *layout.writers()]
    add("abliterated-with-table", "shared_direction_ablation", ablate(model, table, unit(width, rng), 1.0))
    for alpha in (1.0, 0.5):
        new = bf16(ablate(wide(short), layout.writers(), unit(width, rng), alpha))
        add(f"abliterated-{alpha}-bf16", "shared_direction_ablation", new, short)
    add("abliterated-half", "shared_direction_ablation", ablate(model, layout.writers(range(mid)), unit(width, rng), 1.0))

    add("row-1", "row_surgery", rows(model, layout.embed, [1234], rng))
    add("row-5", "row_surgery", rows(model, layout.embed, [7, 99, 100, 2000, 3000], rng))
    add("row-1-bf16", "row_surgery", bf16(rows(wide(short), layout.embed, [321], rng)), short)
    add("neuron-1", "row_surgery", neurons(model, layout, mid, [17], rng))
    add("neuron-8", "row_surgery", neurons(model, layout, mid, list(range(40, 48)), rng))
    add("neuron-louder", "row_surgery", neurons(model, layout, 1, [5], rng, factor=4.0))
    add("neuron-1-bf16", "row_surgery", bf16(neurons(wide(short), layout, mid, [33], rng)), short)

    for count in (1, 10, 60):
        add(f"flips-{count}", "few_weights", flips(model, matrices, count, rng))
    add("flip-exponent", "few_weights", flips(model, matrices, 1, rng, bit=2))
    add("flips-10-bf16", "few_weights", flips(short, matrices, 10, rng), short)

    for bits in (1, 2, 4, 8, 16):
        add(f"stego-{bits}", "low_bit_payload", stego(model, matrices, 0, bits, 1.0, rng))
    add("stego-1-part", "low_bit_payload", stego(model, [down], 0, 1, 0.03, rng))
    add("stego-8-part", "low_bit_payload", stego(model, [down], 0, 8, 0.1, rng))
    add("stego-middle", "low_bit_payload", stego(model, [down], 8, 16, 0.03, rng))
    add("stego-1-bf16", "low_bit_payload", stego(short, matrices, 0, 1, 1.0, rng), short)
    add("stego-2-bf16-part", "low_bit_payload", stego(short, [down], 0, 2, 0.2, rng), short)
    add("stego-4-f16", "low_bit_payload", stego(half, matrices[:6], 0, 4, 1.0, rng), half)

    add("layers-swapped", "swap", swap_layers(model, layout, 1, last))
    one, other_name = layout.at("up", 1), layout.at("up", mid)
    add("matrix-swapped", "swap", {**model, one: model[other_name], other_name: model[one]})
    add("heads-swapped", "swap", swap_heads(model, layout, mid, 0, 2))
    add("heads-swapped-bf16", "swap", swap_heads(short, layout, 1, 0, 1), short)
    add("transplant", "transplant", {**model, down: other[down]})
    add("transplant-in-fine-tune", "transplant", {**tuned, layout.at("up", 1): other[layout.at("up", 1)]})
    return made
