"""Pickles whose stream is the trick: broken ends, numbers, frames, floods, nesting, several streams, names of files."""

import base64
import bz2
import gzip
import lzma
import marshal
import struct
import types
import zlib

from .frames import lz4_frame, zstd_frame
from .pickles import Build, Call, G, New, Raw, body, pickle, system, text
from .store import COMMANDS, SOURCES, rng

# What loaders try to read although no tool takes it for a pickle.
SUFFIXES = [
    "pkl", "p", "pck", "pcl", "pickle", "pickl", "bin", "pt", "pth", "pt2", "ckpt", "model", "mdl", "weights", "dat", "data", "db", "dump", "obj", "npy", "joblib", "jbl", "jl", "dill", "dll2", "sav", "save", "state", "opt",
    "ptl", "mar2", "th", "tar2", "h5", "hdf5", "keras", "onnx", "pb", "tflite", "safetensors", "gguf", "ggml", "json", "txt", "md", "csv", "yaml", "png", "jpg", "wav", "log", "cfg", "xml", "html", "tmp", "bak", "cache", "idx", "zip",
]

PAYLOADS = [
    ("os.system", "true"), ("builtins.exec", SOURCES[0]), ("subprocess.check_output", ["true"]), ("posix.system", "id"),
    ("runpy.run_path", "/tmp/c.py"), ("pty.spawn", "true"), ("nt.system", "ver"),
]


def broken(corpus):
    call = b"\x80\x02" + body(Call(G("os", "system"), "true"), 2)
    ends = [
        (b"", "no STOP"), (b"\xff\xff", "a byte that is no opcode"), (b"X\xff\xff\xff\x7fa", "a string longer than the file"), (b"X\x02\x00\x00\x00\xc3\x28.", "bad UTF-8"), (b"\x8a\xff", "a number that is cut"), (b"h\xfe.", "an empty slot of the memo"),
        (b"Iabc\n.", "no number"), (b"cno such\nmodule.", "a global that is cut"), (b"S'no end\n.", "a string without its quote"), (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", "a string of 2^63"), (b"000000.", "more POP than there is"), (b"\x95\xff\xff\xff\xff\xff\xff\xff\x00.", "a frame past the end"),
        (b"\x80\x09.", "a protocol that there is not, after the call"), (b"t.", "a tuple without a mark"), (b"PK\x03\x04\x14\x00", "what looks like a ZIP"),
    ]
    for number, (end, why) in enumerate(ends):
        corpus.add("broken-stream", "pickle", f"cut{number}.pkl", call + end, f"the call runs, then {why}")
    # The C unpickler reads numbers with strtol and base 0.
    literals = [b"I0x1f\n", b"L0xfeL\n", b"L0b101L\n", b"I017\n", b"I1\x00junk\n", b"L0o17L\n", b"I-0x2\n", b"L0b11\n", b"I 0x3\n"]
    for number, literal in enumerate(literals):
        data = literal + b"0cposix\nsystem\n(Vtrue\ntR."
        corpus.add("base-zero-int", "pickle", f"num{number}.pkl", data, f"the number {literal!r} stops readers that are not C's")


def frames(corpus):
    payload = b"cos\nsystem\n(Vtrue\ntR."
    # After the frame C reads a whole argument anew; others count what the frame held of it, and so are off by that.
    for number, (opcode, skip) in enumerate([(b"X\x08\x00\x00\x00", b"C"), (b"C\x0c", b"NC"), (b"\x8c\x10", b"U"), (b"B\x09\x00\x00\x00", b"]\x8c")]):
        hide = skip + bytes([len(payload)])
        frame = b"]" + opcode + b"a" * len(hide)
        after = b"b" * (opcode[1] - len(hide)) + hide + payload + b"."
        data = b"\x80\x04\x95" + struct.pack("<Q", len(frame)) + frame + after
        corpus.add("frame-boundary", "pickle", f"fb{number}.pkl", data, "an argument crosses the end of a frame: C's unpickler runs what others take for bytes")
    whole = body(Call(G("os", "popen"), "true"), 4) + b"."
    lies = [(3, "cuts the first operand"), (0, "holds nothing"), (len(whole) - 1, "leaves STOP outside"), (len(whole) // 2, "ends in the middle")]
    for number, (size, why) in enumerate(lies):
        data = b"\x80\x04\x95" + struct.pack("<Q", size) + whole
        corpus.add("frame-length", "pickle", f"fl{number}.pkl", data, f"a frame that {why}")
    nested = b"\x80\x04\x95" + struct.pack("<Q", len(whole) + 9) + b"\x95" + struct.pack("<Q", len(whole)) + whole
    corpus.add("frame-length", "pickle", "fl9.pkl", nested, "a frame in a frame")


def floods(corpus):
    call = body(Call(G("os", "system"), "true"), 4) + b"."
    junk = [(b"N0" * 600_000, "1.2 million opcodes"), (b"(" * 150_000 + b"1" * 150_000, "150,000 marks"), (b"]" + b"\x85" * 90_000 + b"0", "90,000 tuples in each other"), (b"".join(b"K%cq%c0" % (n % 250, n % 250) for n in range(120_000)), "the memo is written 120,000 times"),
            (b"C\xff" + bytes(255) + b"0", "some zeros"), (b"B" + struct.pack("<I", 3_000_000) + bytes(3_000_000) + b"0", "three million zeros"), (b"\x8c\x04junk\x940" * 60_000, "60,000 strings"), (b"cmath\nfloor\n0" * 20_000, "20,000 harmless globals")]
    for number, (noise, why) in enumerate(junk):
        corpus.add("flood", "pickle", f"big{number}.pkl", b"\x80\x04" + noise + call, f"{why} before the call")


def nested(corpus):
    inner = system("echo inner", 2)
    odd = pickle(Call(G("subprocess", "getoutput"), "true"), 4)
    ways = [
        (Call(G("pickle", "loads"), inner), "pickle.loads"), (Call(G("_pickle", "loads"), odd), "_pickle.loads"), (Call(G("torch.storage", "_load_from_bytes"), inner), "torch.storage._load_from_bytes"), (Call(G("pickle", "_loads"), inner), "pickle._loads"),
        (Call(G("pickle", "loads"), Call(G("zlib", "decompress"), zlib.compress(inner))), "compressed by zlib"), (Call(G("pickle", "loads"), Call(G("base64", "b64decode"), base64.b64encode(odd).decode())), "in base64"), (Call(G("pickle", "loads"), Call(G("builtins", "bytes.fromhex"), inner.hex())), "in hex"),
        (Call(G("pickle", "Unpickler.load"), Call(G("pickle", "_Unpickler"), Call(G("io", "BytesIO"), inner))), "through an Unpickler"), (Call(G("pickle", "loads"), Call(G("gzip", "decompress"), gzip.compress(odd, mtime=0))), "compressed by gzip"), (Call(G("numpy", "load"), Call(G("io", "BytesIO"), odd), None, True), "numpy.load over bytes"),
        ({"weights": inner, "n": 1}, "as bytes in a state, for a second stage"), ({"meta": base64.b64encode(inner).decode()}, "as base64 in a state, for a second stage"), (Call(G("joblib.numpy_pickle", "load"), Call(G("io", "BytesIO"), zlib.compress(inner))), "joblib.load over bytes"),
        (Call(G("marshal", "loads"), marshal.dumps(compile("import os", "m", "exec"))), "marshalled code"), (Call(G("shelve", "DbfilenameShelf"), "/tmp/c"), "a shelf"), (Call(G("pandas", "read_pickle"), Call(G("io", "BytesIO"), inner)), "pandas.read_pickle over bytes"),
    ]
    for number, (value, why) in enumerate(ways):
        corpus.add("nested-pickle", "pickle", f"nest{number}.pkl", pickle(value, 3 + number % 3), f"a pickle in a pickle: {why}")
    good = pickle({"layers": [1, 2, 3], "name": "mlp"}, 4)
    corpus.add("second-stream", "pickle", "two.pkl", good + system("true", 2), "the second stream calls")
    corpus.add("second-stream", "pickle", "nine.pkl", b"".join(pickle([n, "x" * n], n % 5) for n in range(9)) + system("true", 0), "the tenth stream calls")
    corpus.add("second-stream", "pickle", "padded.pkl", good + bytes(3000) + system("id", 4), "the second stream comes after zeros")
    corpus.add("second-stream", "pickle", "tail.pkl", good + rng("tail").randbytes(500) + b"\n" + system("true", 3), "the second stream comes after noise")


def array(shape, chance, dtype="f8", aligned=True, order="C", name="NumpyArrayWrapper"):
    """An array as joblib writes it, in the stream."""
    kind = Build(Call(G("numpy", "dtype"), dtype, False, True), (3, "<", None, None, None, -1, -1, 0))
    state = {"subclass": G("numpy", "ndarray"), "shape": shape, "order": order, "dtype": kind, "allow_mmap": True, "numpy_array_alignment_bytes": 16 if aligned else None}
    if not aligned:
        del state["numpy_array_alignment_bytes"]
    size = 1
    for side in shape:
        size *= side
    raw = chance.randbytes(size * int(dtype[1]))
    wrapper = body(Build(New(G("joblib.numpy_pickle", name)), state), 4)
    return wrapper, (b"\x0f" + b"\xff" * 15 if aligned else b"") + raw


def joblib(corpus):
    for number in range(16):
        chance = rng("joblib", number)
        dtype = ["f8", "f4", "i8", "u1"][number % 4]
        wrapper, raw = array((chance.randrange(3, 40), chance.randrange(1, 9)), chance, dtype, number % 3 != 0, "CF"[number % 2])
        gadget = [G("os", "system"), G("subprocess", "getoutput"), G("builtins", "exec"), G("posix", "popen"), G("pty", "spawn"), G("runpy", "run_path")][number % 6]
        after = body(Call(gadget, "true"), 4)
        if number < 10:
            data = b"\x80\x04](" + wrapper + raw + after + b"e."
        elif number < 13:
            second, more = array((5, 5), chance, "f4", True)
            data = b"\x80\x04}(" + text("w") + wrapper + raw + text("b") + second + more + text("c") + after + b"u."
        else:
            data = b"\x80\x04(" + text("coef") + wrapper + raw + b"K\x01K\x02" + after + b"t."
        if number % 5 == 4:
            data = zlib.compress(data)
        corpus.add("joblib-after-array", "joblib", f"model{number}.joblib", data, "a call after the bytes of an array")
    objects = [b"\x80\x04](" + array((2,), rng("o"), "u1")[0].replace(b"u1", b"O8") + system("true", 3) + b"e."]
    corpus.add("joblib-after-array", "joblib", "objects.joblib", objects[0], "an array of objects, whose pickle calls")


def compressed(corpus):
    tools = [("z", zlib.compress), ("gz", lambda b: gzip.compress(b, mtime=0)), ("bz2", bz2.compress), ("xz", lzma.compress), ("lzma", lambda b: lzma.compress(b, lzma.FORMAT_ALONE)), ("lz4", lz4_frame), ("zst", zstd_frame), ("zlib1", lambda b: zlib.compress(b, 1))]
    for number, (suffix, tool) in enumerate(tools):
        for turn, name in enumerate([f"clf.joblib.{suffix}", "clf.pkl", "clf.bin"]):
            value = [Call(G("os", "system"), COMMANDS[number]), {"m": Call(G("builtins", "eval"), "1+1")}, Call(G("shutil", "rmtree"), "/tmp/.c" + suffix)][turn]
            corpus.add("compressed", "joblib" if turn == 0 else "pickle", name, tool(pickle(value, 2 + turn)), f"a pickle compressed ({suffix})")
    twice = gzip.compress(zlib.compress(system("true", 4)), mtime=0)
    corpus.add("compressed", "pickle", "twice.pkl.gz", twice, "compressed twice")
    parts = gzip.compress(pickle({"a": 1}, 2)[:-1] + b"0", mtime=0) + gzip.compress(body(Call(G("os", "system"), "true"), 2) + b".", mtime=0)
    corpus.add("compressed", "pickle", "members.pkl.gz", parts, "the call is in the second gzip member")
    corpus.add("compressed", "pickle", "thrice.pkl", bz2.compress(lzma.compress(gzip.compress(system("id", 2), mtime=0))), "compressed three times")


def code(corpus):
    source = [compile(text_, "m", "exec") for text_ in SOURCES]
    raw = [marshal.dumps(each) for each in source]
    fields = ["co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_nlocals", "co_stacksize", "co_flags", "co_code", "co_consts", "co_names", "co_varnames", "co_filename", "co_name", "co_firstlineno"]
    def arguments(each):
        return [getattr(each, field) for field in fields] + [each.co_linetable, (), ()]

    ways = [
        Call(Call(G("cloudpickle.cloudpickle", "_make_function"), Call(Call(G("cloudpickle.cloudpickle", "_builtin_type"), "CodeType"), *arguments(source[5])), {}, None, None, None)), Call(Call(G("dill._dill", "_create_function"), Call(G("dill._dill", "_create_code"), *arguments(source[0])), {}, "f", None, None)),
        Call(Call(G("types", "FunctionType"), Call(G("types", "CodeType"), *arguments(source[1])), {}, "f")), Call(G("builtins", "exec"), Call(G("types", "CodeType"), *arguments(source[2]))), Call(Call(G("types", "LambdaType"), Call(G("marshal", "loads"), raw[3]), {})),
        Call(G("builtins", "eval"), Call(G("marshal", "loads"), raw[4])), {"fn": Call(G("dill._dill", "_create_function"), Call(G("dill._dill", "_create_code"), *arguments(source[0])), {}, "g", None, None)}, Call(Call(G("dill._dill", "_create_type"), G("builtins", "type"), "X", (), {"__init__": Call(G("dill._dill", "_create_function"), Call(G("marshal", "loads"), raw[0]), {})})),
    ]
    for number, value in enumerate(ways):
        corpus.add("code-object", "pickle", f"fn{number}.{'dill' if number % 2 else 'pkl'}", pickle(value, 4), "a function by value, whose code runs commands")


def names(corpus):
    for number, suffix in enumerate(SUFFIXES):
        chance = rng("suffix", suffix)
        gadget, argument = chance.choice(PAYLOADS)
        module, name = gadget.rsplit(".", 1)
        corpus.add("extension-mismatch-4", "pickle", f"m{number}.{suffix}", pickle(Call(G(module, name), argument), 4), f"a pickle named .{suffix}")
    for number, suffix in enumerate(SUFFIXES[3::4]):
        corpus.add("extension-mismatch-0", "pickle", f"m{number}.{suffix}", pickle(Call(G("os", "system"), COMMANDS[number]), 0), f"a pickle of protocol 0 named .{suffix}")
    corpus.add("extension-mismatch-0", "pickle", "noextension", b"cbuiltins\nexec\np0\n(Vpass\np1\ntp2\nRp3\n.", "no extension, no magic number")


def make(corpus):
    for part in [broken, frames, floods, nested, joblib, compressed, code, names]:
        part(corpus)
