"""Writes benign artifacts with the real libraries into a folder, for the test that none of them raises anything.

Usage: benign.py FOLDER. The libraries decide the bytes; nothing here is written by hand, except for PyTorch's
containers, which are assembled as `torch.save` lays them out, because its wheel is too heavy for a test.
"""

import collections
import datetime
import decimal
import io
import json
import operator
import pathlib
import pickle
import random
import struct
import sys
import tarfile
import uuid
import warnings
import zipfile
from functools import partial

import joblib
import msgpack
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sparse
import xgboost
from safetensors.numpy import save_file
from sklearn import datasets
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils import all_estimators

warnings.filterwarnings("ignore")
OUT = pathlib.Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
RNG = np.random.default_rng(7)
X = RNG.normal(size=(40, 4))
Y = (X[:, 0] > 0).astype(int)
TEXTS = ["the cat sat", "a dog ran", "cats and dogs", "the end"] * 5


def dump(name, value, protocol=None):
    (OUT / f"{name}.pkl").write_bytes(pickle.dumps(value, protocol=protocol))


def estimators():
    skip = {"MultiTaskElasticNetCV", "MultiTaskLassoCV"}
    for name, kind in all_estimators():
        if name in skip:
            continue
        try:
            model = kind()
            try:
                model.fit(np.abs(X) if "NB" in name or "Chi2" in name or "NMF" in name else X, Y)
            except Exception:
                model = kind()
            dump(f"sklearn-{name}", model, protocol=2 + len(name) % 4)
        except Exception:
            continue


def composed():
    frame = pd.DataFrame({"a": X[:, 0], "b": list("xyzw") * 10, "c": pd.date_range("2024-01-01", periods=40)})
    columns = ColumnTransformer([("n", StandardScaler(), ["a"]), ("c", OneHotEncoder(), ["b"])])
    pipeline = make_pipeline(columns, LogisticRegression()).fit(frame, Y)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, Y)
    text = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, [0, 1] * 10)
    words = CountVectorizer(ngram_range=(1, 2)).fit(TEXTS)
    functions = FunctionTransformer(np.log1p)
    for number, model in enumerate([pipeline, search, text, words, functions]):
        dump(f"composed-{number}", model)
        for compress in [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)]:
            label = compress if isinstance(compress, int) else compress[0]
            joblib.dump(model, OUT / f"composed-{number}-{label}.joblib", compress=compress)
    for protocol in range(6):
        dump(f"frame-{protocol}", frame, protocol)


def skops_files():
    import operator

    import skops.io as sio

    frame = make_pipeline(StandardScaler(), FunctionTransformer(np.sqrt), LogisticRegression())
    models = [frame, FunctionTransformer(partial(np.add, 1)), FunctionTransformer(operator.itemgetter(1))]
    for name, kind in all_estimators():
        try:
            models.append(kind().fit(X, Y))
        except Exception:
            continue
    for number, model in enumerate(models):
        try:
            data = sio.dumps(model)
            # Forests write more members than one list of facts keeps.
            if len(zipfile.ZipFile(io.BytesIO(data)).namelist()) < 200:
                (OUT / f"model-{number}.skops").write_bytes(data)
        except Exception:
            continue


def arrays():
    values = {
        "f8": X, "i2": np.arange(10, dtype="i2"), "text": np.array(["a", "bc"]), "bool": X > 0, "time": np.array(["2024-01-01"], "M8[D]"),
        "record": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), "fortran": np.asfortranarray(X), "masked": np.ma.array([1, 2], mask=[0, 1]),
        "scalar": np.float32(1.5), "dtype": np.dtype("f4"), "state": np.random.RandomState(3), "generator": np.random.default_rng(3),
    }
    for name, value in values.items():
        for protocol in (0, 2, 5):
            dump(f"numpy-{name}-{protocol}", value, protocol)
        joblib.dump({"w": value, "rest": "after"}, OUT / f"numpy-{name}.joblib")
    for name in ["f8", "i2", "text", "bool", "record", "fortran"]:
        np.save(OUT / f"{name}.npy", values[name])
    np.save(OUT / "objects.npy", np.array([{"a": 1}, [2]], dtype=object), allow_pickle=True)
    np.savez(OUT / "plain.npz", a=X, b=Y)
    np.savez_compressed(OUT / "packed.npz", a=np.zeros((400, 400)), b=Y)
    joblib.dump({"objects": np.array([1, "a", None], dtype=object), "x": X}, OUT / "objects.joblib")
    for kind in ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"]:
        dump(f"sparse-{kind}", sparse.random(10, 10, 0.2, format=kind))
        dump(f"sparse-array-{kind}", getattr(sparse, f"{kind}_array")(np.eye(3)))


def plain():
    value = {
        "ordered": collections.OrderedDict(a=1), "default": collections.defaultdict(list, a=[1]), "counter": collections.Counter("abca"),
        "deque": collections.deque([1, 2], 5), "time": datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), "delta": datetime.timedelta(1),
        "decimal": decimal.Decimal("1.5"), "complex": 1j, "set": {1, 2}, "frozen": frozenset([3]), "bytes": b"\x00\x80\x04\xff" * 20,
        "array": bytearray(b"abc"), "range": range(5), "slice": slice(1, 2), "path": pathlib.PurePosixPath("a/b"), "uuid": uuid.UUID(int=5),
        "partial": partial(int, base=2), "getter": operator.itemgetter(1), "attribute": operator.attrgetter("shape"), "method": str.upper,
        "big": 1 << 200, "text": "é\u2028 ok os.system eval(", "none": None, "random": random.Random(1), "nested": [[[[1]]]] * 3,
    }
    for protocol in range(6):
        dump(f"plain-{protocol}", value, protocol)
        for name, item in value.items():
            dump(f"plain-{name}-{protocol}", item, protocol)
    dump("vocabulary", {f"word{i}": i for i in range(60000)})
    dump("noise", RNG.bytes(200000))


def boosters():
    model = xgboost.XGBClassifier(n_estimators=3).fit(X, Y)
    dump("xgboost-classifier", model)
    dump("xgboost-booster", model.get_booster())
    joblib.dump(model, OUT / "xgboost.joblib")
    model.save_model(OUT / "xgboost.json")
    model.save_model(OUT / "xgboost.ubj")


def tables():
    """Arrow, Feather and Parquet, by pandas and by pyarrow, which comes with MLflow."""
    folder = OUT / "tables"
    folder.mkdir()
    frame = pd.DataFrame({
        "number": np.arange(60), "text": [f"row {i}" for i in range(60)], "when": pd.date_range("2024-01-01", periods=60, tz="UTC"),
        "kind": pd.Categorical(["x", "y"] * 30), "raw": [b"bytes"] * 60, "month": pd.period_range("2024-01", periods=60, freq="M"),
        "span": pd.interval_range(0, 60),
    })
    for codec in (None, "snappy", "gzip", "zstd"):
        frame.to_parquet(folder / f"frame-{codec}.parquet", compression=codec)
    for codec in ("uncompressed", "lz4", "zstd"):
        frame.to_feather(folder / f"frame-{codec}.feather", compression=codec)
    nested = pa.table({
        "list": [[1, 2], [3]] * 30, "deep": [{"x": 1, "y": {"z": "deep"}}] * 60,
        "map": pa.array([[("k", 1)]] * 60, pa.map_(pa.string(), pa.int64())), "kind": pa.array(["a", "b"] * 30).dictionary_encode(),
        "uuid": pa.array([uuid.UUID(int=i).bytes for i in range(60)], pa.uuid()),
        "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(RNG.normal(size=(60, 2, 3))),
        "image": [b"\x89PNG\r\n\x1a\n" + bytes(50)] * 60,
    })
    features = {"text": {"dtype": "string", "_type": "Value"}, "image": {"_type": "Image"}}
    hub = nested.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}, "fingerprint": "ab"})})
    for name, table in {"nested": nested, "hub": hub}.items():
        for kind, writer in {"arrow": pa.ipc.new_file, "arrows": pa.ipc.new_stream}.items():
            for codec in (None, "lz4", "zstd"):
                options = pa.ipc.IpcWriteOptions(compression=codec)
                with pa.OSFile(str(folder / f"{name}-{codec}.{kind}"), "wb") as file, writer(file, table.schema, options=options) as out:
                    for batch in table.to_batches(max_chunksize=25):
                        out.write_batch(batch)
        for page in ("1.0", "2.0"):
            pq.write_table(table, folder / f"{name}-{page}.parquet", data_page_version=page, write_page_index=page == "2.0", row_group_size=25)
    pieces = []
    parts = pa.table({"part": ["x", "y"] * 10, "value": range(20)})
    pq.write_to_dataset(parts, str(folder / "parts"), partition_cols=["part"], metadata_collector=pieces)
    pq.write_metadata(pa.schema([("value", pa.int64())]), str(folder / "parts/_metadata"), metadata_collector=pieces)
    frame.to_csv(folder / "frame.csv")
    frame.to_csv(folder / "frame.tsv", sep="\t")
    frame[["number", "text"]].to_json(folder / "frame.jsonl", orient="records", lines=True)


def checkpoints():
    """What `flax.serialization.to_bytes` writes: arrays as an extension of MessagePack."""
    def array(values):
        return msgpack.ExtType(1, msgpack.packb((values.shape, values.dtype.name, values.tobytes()), use_bin_type=True))

    def layers(depth):
        if depth:
            return {str(i): layers(depth - 1) for i in range(3)}
        return {"kernel": array(RNG.normal(size=(16, 8)).astype("f4")), "bias": array(np.zeros(8, "f2")), "step": array(np.array(5))}

    number = msgpack.ExtType(3, msgpack.packb(((), "float32", np.float32(1).tobytes()), use_bin_type=True))
    large = RNG.normal(size=(60, 100)).astype("f4")
    chunks = {"__msgpack_chunked_array__": True, "shape": {"0": 60, "1": 100}, "chunks": {"0": array(large[:30].ravel()), "1": array(large[30:].ravel())}}
    for depth in range(3):
        state = {"params": layers(depth), "step": 1000, "opt_state": {"0": None, "1": {"count": number}}, "table": chunks}
        packed = msgpack.packb(state, strict_types=True)
        (OUT / f"flax-{depth}.msgpack").write_bytes(packed)
        (OUT / f"checkpoint_{depth}").write_bytes(packed)
    (OUT / "records.msgpack").write_bytes(msgpack.packb([{"id": i, "text": f"some text of it {i}"} for i in range(50)]))


def tensors():
    weights = {"w": X.astype("f4"), "b": Y.astype("i8"), "empty": np.zeros((0, 3), "f4"), "h": X.astype("f2")}
    save_file(weights, OUT / "model.safetensors", metadata={"format": "pt", "source": "https://example.org/model"})
    save_file({f"layer.{i}.weight": X.astype("f4") for i in range(50)}, OUT / "layers.safetensors")
    import gguf

    writer = gguf.GGUFWriter(OUT / "model.gguf", "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_token_list(["<s>", "</s>", "a"])
    writer.add_chat_template(CHATML)
    writer.add_tensor("token_embd.weight", X.astype("f4"))
    writer.add_tensor("output.weight", X.astype("f2"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA = (
    "{{- bos_token }}{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}{%- if not date_string is defined %}"
    "{%- if strftime_now is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '26 Jul 2024' %}{%- endif %}{%- endif %}"
    "{%- for message in messages %}{%- if not (message.role == 'ipython' or 'tool_calls' in message) %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}"
    "{%- elif 'tool_calls' in message %}{%- if not message.tool_calls|length == 1 %}{{- raise_exception('one call at once') }}{%- endif %}"
    "{%- set tool_call = message.tool_calls[0].function %}{{- tool_call.arguments | tojson }}{%- endif %}{%- endfor %}"
)
TOOLS = (
    "{%- macro render(items, depth=0) %}{%- for key, value in items.items() %}{{ key ~ ': ' ~ value | tojson(indent=2) }}{%- endfor %}{%- endmacro %}"
    "{%- set ns = namespace(seen=false, last=messages|length - 1) %}{%- for message in messages[::-1] %}{%- if loop.index0 == ns.last and message.content is string "
    "and not message.content.startswith('<tool_response>') %}{%- set ns.seen = true %}{%- break %}{%- endif %}{%- endfor %}"
    "{%- for tool in tools %}{{ render(tool.function.parameters.properties) }}{%- endfor %}{% generation %}{{ messages[-1].content.split('</think>')[-1].lstrip('\\n') }}{% endgeneration %}"
)


def shipped():
    for name, template in {"chatml": CHATML, "llama": LLAMA, "tools": TOOLS}.items():
        folder = OUT / name
        folder.mkdir(exist_ok=True)
        (folder / "chat_template.jinja").write_text(template)
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, "model_max_length": 4096}))
    (OUT / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "id2label": {"0": "no", "1": "yes"}, "hidden_size": 8}))
    (OUT / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    env:\n      conda: conda.yaml\nrun_id: abc\n")
    (OUT / "conda.yaml").write_text("channels:\n- conda-forge\ndependencies:\n- python=3.11\n- pip<=24\n- pip:\n  - mlflow==3.1\n  - scikit-learn==1.7\n")
    (OUT / "python_env.yaml").write_text("python: 3.11\nbuild_dependencies:\n- pip==24\ndependencies:\n- -r requirements.txt\n")
    (OUT / "requirements.txt").write_text("mlflow==3.1\nnumpy>=1.26 # pinned\nscikit-learn[alldeps]; python_version > '3.9'\n")
    (OUT / "README.md").write_text("# Model\n\nSee https://example.org. Never call os.system or eval(x).\nKey: AKIAIOSFODNN7EXAMPLE\n")
    (OUT / "vocab.txt").write_text("cat\ndog\nimport\nthe\n.\n")


def keras_config():
    """What Keras 3 writes for a small model: a part of each kind of object, with the names that it really uses."""
    entry = lambda module, name, config: {"module": module, "class_name": name, "config": config, "registered_name": None}
    policy = entry("keras", "DTypePolicy", {"name": "float32"})
    zeros = entry("keras.initializers", "Zeros", {})
    dense = lambda name: entry("keras.layers", "Dense", {"name": name, "dtype": policy, "units": 8, "activation": "relu", "kernel_initializer": entry("keras.initializers", "GlorotUniform", {"seed": None}), "bias_initializer": zeros, "kernel_regularizer": entry("keras.regularizers", "L2", {"l2": 0.01})})
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32", "keras_history": ["input_layer", 0, 0]}}
    lookup = entry("keras.layers", "StringLookup", {"name": "lookup", "vocabulary": ["a", "/b", "http"], "vocabulary_size": 4})
    custom = {"module": None, "class_name": "Gate", "config": {"name": "gate"}, "registered_name": "Acme>Gate"}
    function = {"module": "builtins", "class_name": "function", "config": "swish", "registered_name": "function"}
    wrapped = entry("keras.layers", "TimeDistributed", {"name": "each", "layer": {**dense("inner"), "inbound_nodes": [{"args": [tensor], "kwargs": {}}]}})
    operation = entry("keras.src.ops.numpy", "Multiply", {"name": "multiply"})
    inner = entry("keras.src.models.functional", "Functional", {"name": "inner", "layers": [dense("first"), operation, wrapped]})
    model = entry("keras", "Sequential", {"name": "sequential", "dtype": policy, "layers": [entry("keras.layers", "InputLayer", {"batch_shape": [None, 4]}), lookup, custom, entry("keras.layers", "Activation", {"activation": function}), inner, dense("last")]})
    model["compile_config"] = {"optimizer": entry("keras.optimizers", "Adam", {"learning_rate": 0.001}), "loss": entry("keras.losses", "Huber", {"delta": 1.0}), "metrics": ["mae", entry("keras.metrics", "AUC", {"name": "auc"})]}
    return model


def hdf5():
    import h5py

    config = json.dumps(keras_config())
    for style in ("earliest", "latest"):
        with h5py.File(OUT / f"model-{style}.h5", "w", libver=style) as file:
            file.attrs.update({"keras_version": "3.15.1", "backend": "tensorflow", "model_config": config, "training_config": json.dumps(keras_config()["compile_config"])})
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = ["dense", "dense_1"]
            for layer in range(60):
                group = weights.create_group(f"dense_{layer}/sequential/dense_{layer}")
                group.attrs["weight_names"] = np.array([b"kernel", b"bias"])
                group.create_dataset("kernel", data=X.astype("f4"))
                group.create_dataset("bias", data=np.zeros(4, "f4"))
        with h5py.File(OUT / f"data-{style}.hdf5", "w", libver=style, track_order=True) as file:
            for number in range(80):
                file.attrs[f"note {number}"] = f"value {number}"
            file.create_dataset("packed", data=np.zeros((100, 100)), chunks=True, compression="gzip")
            file.create_dataset("texts", data=["a", "bc"], dtype=h5py.string_dtype())
            file["soft"] = h5py.SoftLink("/packed")
            file["hard"] = file["packed"]
            file["type"] = np.dtype("f8")
            file.attrs["reference"] = file["packed"].ref
    with h5py.File(OUT / "weights.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=X.astype("f4"))
    with zipfile.ZipFile(OUT / "model.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1", "date_saved": "2026-01-02@03:04:05"}))
        archive.writestr("config.json", config)
        archive.write(OUT / "weights.weights.h5", "model.weights.h5")


def graphs():
    import onnx
    from onnx import helper, numpy_helper

    weights = numpy_helper.from_array(X.astype("f4").T.copy(), "w")
    value = lambda name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    node = lambda kind, domain="": helper.make_node(kind, ["x", "w"], ["y"], domain=domain)
    branch = helper.make_graph([helper.make_node("Identity", ["w"], ["z"])], "branch", [], [value("z")])
    choice = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    local = helper.make_function("acme.local", "Twice", ["x", "w"], ["y"], [node("Add")], [helper.make_opsetid("", 17)])
    samples = {"plain": (node("MatMul"), []), "branch": (choice, []), "ml": (node("Scaler", "ai.onnx.ml"), []), "microsoft": (node("FusedMatMul", "com.microsoft"), []), "local": (node("Twice", "acme.local"), [local])}
    for name, (operator, functions) in samples.items():
        graph = helper.make_graph([operator], "main", [value("x")], [value("y")], [weights])
        domains = [helper.make_opsetid(domain, 1) for domain in {operator.domain} - {""}]
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), *domains], functions=functions)
        helper.set_model_props(model, {"author": "us", "source": "https://example.org/model"})
        onnx.save(model, OUT / f"{name}.onnx")
        onnx.save(model, OUT / f"{name}-apart.onnx", save_as_external_data=True, location=f"{name}.onnx.data", size_threshold=0)


class Persistent(pickle.Pickler):
    """Writes storages by reference, as `torch.save` does."""

    def persistent_id(self, value):
        return value.reference if isinstance(value, Storage) else None


class Storage:
    def __init__(self, kind, key, values):
        self.reference = ("storage", Named("torch", kind), key, "cpu", len(values))
        self.values = values


class Named:
    """Pickles as a global of a library that is not installed here."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __reduce__(self):
        raise RuntimeError("written by its own rule")


class Call:
    def __init__(self, target, *arguments):
        self.parts = (target, arguments)


def torch_bytes(value, protocol=2):
    """`torch.save` uses Python's own pickler; globals of torch are written the way it writes functions."""
    out = io.BytesIO()

    class Writer(pickle._Pickler):
        def persistent_id(self, item):
            return item.reference if isinstance(item, Storage) else None

        def save(self, item, save_persistent_id=True):
            if isinstance(item, Named):
                self.write(f"c{item.module}\n{item.name}\n".encode())
            elif isinstance(item, Call):
                target, arguments = item.parts
                self.save(target)
                self.save(arguments)
                self.write(b"R")
            else:
                super().save(item, save_persistent_id)

    Writer(out, protocol).dump(value)
    return out.getvalue()


def torch_files():
    storages = [Storage("FloatStorage", "0", X.astype("f4").ravel()), Storage("LongStorage", "1", Y.astype("i8"))]
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    tensor = lambda storage, shape, stride: Call(rebuild, storage, 0, shape, stride, False, collections.OrderedDict())
    state = collections.OrderedDict(weight=tensor(storages[0], (40, 4), (4, 1)), bias=tensor(storages[1], (40,), (1,)))
    optimizer = {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    for name, value in {"state": state, "checkpoint": {"model": state, "optimizer": optimizer, "epoch": 3}}.items():
        with zipfile.ZipFile(OUT / f"torch-{name}.pt", "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("archive/data.pkl", torch_bytes(value))
            archive.writestr("archive/.format_version", "1")
            archive.writestr("archive/byteorder", "little")
            for storage in storages:
                archive.writestr(f"archive/data/{storage.reference[2]}", storage.values.tobytes())
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/.data/serialization_id", "1234567890")
        header = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2)]
        body = torch_bytes(value) + pickle.dumps(["0", "1"], 2)
        data = b"".join(struct.pack("<q", len(s.values)) + s.values.tobytes() for s in storages)
        (OUT / f"torch-legacy-{name}.bin").write_bytes(b"".join(header) + body + data)
    with tarfile.open(OUT / "plain.tar", "w") as archive:
        archive.add(OUT / "config.json", "model/config.json")
    with tarfile.open(OUT / "plain.tar.gz", "w:gz") as archive:
        archive.add(OUT / "plain-0.pkl", "model/plain.pkl")


for step in (
    estimators, composed, skops_files, arrays, plain, boosters, tables, checkpoints, tensors, hdf5, graphs, shipped, torch_files,
):
    step()
(OUT / "complete").write_text("yes")
