"""safetensors, GGUF and HDF5, from their own libraries."""

import json

import gguf
import h5py
import numpy as np
from safetensors.numpy import save_file

from benign_common import SEED

RNG = np.random.default_rng(SEED)


def write(corpus):
    safetensors(corpus)
    for version in ["F32", "F16", "Q8_0", "Q4_0"]:
        llama(corpus, version)
    hdf5(corpus)


def safetensors(corpus):
    one = lambda kind: (RNG.normal(size=(6, 4)) * 9).astype(kind)
    for kind in ["f4", "f2", "f8", "i8", "i4", "i2", "i1", "u1", "?"]:
        name = kind.replace("?", "bool")
        save_file({"w": one(kind), "b": one(kind)[0]}, corpus.at(f"tensors/{name}.safetensors", "safetensors", "safetensors", f"type {name}"))
    layers = {f"encoder.layer.{i}.{part}.weight": one("f4") for i in range(12) for part in ("query", "key", "value")}
    notes = {"format": "pt", "license": "apache-2.0", "trained_with": "https://example.org/recipe", "ss_tag_frequency": json.dumps({"a": {"b": 3}})}
    save_file(layers, corpus.at("tensors/model.safetensors", "safetensors", "safetensors", "many layers and notes"), metadata=notes)
    save_file({"empty": np.zeros((0, 4), "f4"), "scalar": np.array(1.0, "f4")}, corpus.at("tensors/edge.safetensors", "safetensors", "safetensors", "an empty tensor and a scalar"))
    shards = {f"model-0000{i}-of-00002.safetensors": {f"layer.{i}.w": one("f4")} for i in (1, 2)}
    for name, tensors in shards.items():
        save_file(tensors, corpus.at(f"tensors/sharded/{name}", "safetensors", "safetensors", "a shard"), metadata={"format": "pt"})
    places = {key: name for name, tensors in shards.items() for key in tensors}
    index = {"metadata": {"total_size": 192}, "weight_map": places}
    corpus.put("tensors/sharded/model.safetensors.index.json", "safetensors", "json", "the index of the shards", json.dumps(index, indent=2))


def llama(corpus, kind):
    path = corpus.at(f"tensors/tiny-{kind}.gguf", "gguf", "gguf", f"a small llama, {kind}")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_author("somebody")
    writer.add_license("mit")
    writer.add_url("https://example.org/tiny")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_head_count(2)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<s>", "</s>", "import", "os", "eval(", "▁the", "é", "\u200b", "مرحبا"])
    writer.add_token_scores([0.0] * 9)
    writer.add_token_types([3, 3] + [1] * 7)
    writer.add_array("tokenizer.ggml.merges", ["a b", "b c"])
    writer.add_bos_token_id(0)
    if kind != "F16":
        writer.add_chat_template("{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}\n{% endfor %}")
    values = RNG.normal(size=(8, 32)).astype("f4")
    for name in ["token_embd.weight", "blk.0.attn_q.weight", "output.weight"]:
        if kind.startswith("Q"):
            of = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(name, gguf.quantize(values, of), raw_dtype=of)
        else:
            writer.add_tensor(name, values.astype("f2") if kind == "F16" else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def hdf5(corpus):
    for version in ["earliest", "latest", "v110"]:
        with h5py.File(corpus.at(f"tensors/data-{version}.h5", "hdf5", "h5", f"layout {version}"), "w", libver=version) as file:
            group = file.create_group("weights/block_0")
            group.create_dataset("kernel", data=RNG.normal(size=(9, 4)).astype("f4"), chunks=(3, 2), compression="gzip", shuffle=True)
            group.create_dataset("bias", data=np.zeros(4))
            group.create_dataset("grow", shape=(2, 3), maxshape=(None, 3))
            group.attrs["names"] = np.array(["kernel", "bias"], dtype=h5py.string_dtype())
            file.create_dataset("compound", data=np.array([(1, 0.5)], dtype=[("a", "i4"), ("b", "f8")]))
            file.create_dataset("ragged", data=[np.arange(3), np.arange(2)], dtype=h5py.vlen_dtype("i8"))
            file.create_dataset("scalar", data=3.5)
            file["alias"] = h5py.SoftLink("/weights/block_0")
            file.attrs["title"] = "measurements"
