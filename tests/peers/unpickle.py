"""Writes random pickles, and what CPython's own unpickler would do with each, one JSON object a line.

Usage: unpickle.py COUNT SEED. The unpickler is the one in C, told to find a stand-in for every class:
nothing is imported, and calling a stand-in does nothing but note it.
"""

import _compat_pickle
import io
import json
import pickle
import pickletools
import random
import resource
import struct
import sys
import warnings

NAMES = [
    ("os", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("collections", "OrderedDict"), ("functools", "partial"),
    ("numpy", "dtype"), ("torch._utils", "_rebuild_tensor_v2"), ("acme.models", "Ranker"), ("acme", "Outer.Inner"), ("random", "_os.system"),
    ("posix", "popen"), ("datetime", "date"), ("copyreg", "_reconstructor"), ("sklearn.tree", "Tree"),
]
OLD_NAMES = [("__builtin__", "eval"), ("commands", "getoutput"), ("cPickle", "loads"), ("copy_reg", "_reconstructor"), ("os", "system")]


def line(code, text):
    return code + text.encode("ascii", "backslashreplace") + b"\n"


class Writer:
    """Opcodes in an order that the stack allows, most of the time."""

    def __init__(self, rng):
        self.rng = rng
        self.protocol = rng.choice([0, 1, 2, 2, 3, 4, 4, 5])
        self.out = bytearray()
        self.stack = 0
        self.marks = []
        self.memo = set()
        self.stored = 0

    def text(self, value):
        kinds = [0] if self.protocol < 1 else [0, 1] if self.protocol < 4 else [0, 1, 2, 2, 3]
        kind, data = self.rng.choice(kinds), value.encode()
        if kind == 0:
            self.out += line(b"V", value)
        elif kind == 1:
            self.out += b"X" + struct.pack("<I", len(data)) + data
        elif kind == 2:
            self.out += b"\x8c" + bytes([len(data)]) + data
        else:
            self.out += b"\x8d" + struct.pack("<Q", len(data)) + data
        self.stack += 1

    def value(self):
        rng = self.rng
        choice = rng.randrange(12)
        if choice == 0:
            self.text(rng.choice(["a", "echo lanner", "x.y", "\u00e9t\u00e9", ""]))
            return
        if choice == 1:
            self.out += rng.choice([b"I0x1f\n", b"I010\n", b"I12\n", b"I-3\n", b"I01\n", b"I00\n", b"L0x1fL\n", b"L7L\n", b"F1.5\n"])
        elif choice == 2:
            self.out += b"K" + bytes([rng.randrange(256)])
        elif choice == 3:
            self.out += b"M" + struct.pack("<H", rng.randrange(65536))
        elif choice == 4:
            self.out += b"J" + struct.pack("<i", rng.randrange(-(2**31), 2**31))
        elif choice == 5 and self.protocol >= 2:
            self.out += rng.choice([b"\x88", b"\x89", b"\x8a\x02\x01\x02", b"\x8b\x01\0\0\0\x07"])
        elif choice == 6:
            self.out += b"N"
        elif choice == 7 and self.protocol >= 1:
            self.out += b"G" + struct.pack(">d", rng.random())
        elif choice == 8:
            self.out += rng.choice([b"S'text'\n", b'S"a\\x41"\n', b"S'a\\nb'\n"])
        elif choice == 9 and self.protocol >= 3:
            self.out += rng.choice([b"C\x02ab", b"B\x03\0\0\0abc"])
        elif choice == 10 and self.protocol >= 1:
            self.out += rng.choice([b"]", b")", b"}"])
        elif choice == 11 and self.protocol >= 4:
            self.out += rng.choice([b"\x8f", b"\x8e\x02\0\0\0\0\0\0\0zz"])
        else:
            self.out += rng.choice([b"(t", b"(l", b"(d"])
        self.stack += 1

    def name(self):
        module, name = self.rng.choice(NAMES + (OLD_NAMES if self.protocol < 3 else []))
        if self.protocol >= 4 and self.rng.random() < 0.7:
            self.text(module)
            self.noise()
            self.text(name)
            self.noise()
            self.out += b"\x93"
            self.stack -= 1
        else:
            self.out += b"c" + f"{module}\n{name}\n".encode()
            self.stack += 1

    def noise(self):
        """Something that leaves the stack as it is."""
        choice = self.rng.randrange(8)
        if choice == 0 and self.stack:
            self.store()
        elif choice == 1:
            self.out += b"N0"
        elif choice == 2 and self.protocol >= 4:
            self.out += b"\x94"
            self.memo.add(self.stored)
            self.stored = len(self.memo)
        elif choice == 3 and self.protocol >= 1:
            self.out += b"(N1"

    def store(self):
        slot = self.rng.choice([0, 1, 2, 5, 200])
        if self.protocol == 0 or self.rng.random() < 0.3:
            self.out += f"p{slot}\n".encode()
        elif self.rng.random() < 0.5:
            self.out += b"q" + bytes([slot])
        else:
            self.out += b"r" + struct.pack("<I", slot)
        self.memo.add(slot)

    def fetch(self):
        slot = self.rng.choice(sorted(self.memo)) if self.memo and self.rng.random() < 0.95 else 77
        if self.protocol == 0 or self.rng.random() < 0.3:
            self.out += f"g{slot}\n".encode()
        elif slot < 256 and self.rng.random() < 0.7:
            self.out += b"h" + bytes([slot])
        else:
            self.out += b"j" + struct.pack("<I", slot)
        self.stack += 1

    def arguments(self):
        count = self.rng.randrange(4)
        if self.protocol >= 2 and 1 <= count <= 3 and self.rng.random() < 0.5:
            for _ in range(count):
                self.item()
            self.out += bytes([0x84 + count])
            self.stack -= count - 1
        else:
            self.out += b"("
            for _ in range(count):
                self.item()
            self.out += b"t"
            self.stack -= count - 1

    def item(self):
        choice = self.rng.random()
        if choice < 0.6:
            self.value()
        elif choice < 0.75 and self.memo:
            self.fetch()
        elif choice < 0.9:
            self.name()
        else:
            self.call()

    def call(self):
        choice = self.rng.randrange(8)
        if choice < 4:
            self.name()
            self.arguments()
            self.out += b"R"
            self.stack -= 1
        elif choice == 4:
            module, name = self.rng.choice(NAMES)
            self.out += b"("
            self.item()
            self.out += b"i" + f"{module}\n{name}\n".encode()
        elif choice == 5 and self.protocol >= 1:
            self.out += b"("
            before = self.stack
            self.name()
            for _ in range(self.rng.randrange(3)):
                self.item()
            self.out += b"o"
            self.stack = before + 1
        elif choice == 6 and self.protocol >= 2:
            self.name()
            self.arguments()
            self.out += b"\x81"
            self.stack -= 1
        elif self.protocol >= 4:
            self.name()
            self.arguments()
            self.out += b"}\x92"
            self.stack -= 1
        else:
            self.value()

    def build(self):
        self.call()
        self.out += b"}b" if self.protocol else b"(db"

    def collect(self):
        choice = self.rng.randrange(4)
        if choice == 0:
            self.out += b"(l"
            self.stack += 1
            self.item()
            self.out += b"a"
        elif choice == 1:
            self.out += b"(d"
            self.stack += 1
            self.text("k")
            self.item()
            self.out += b"s"
            self.stack -= 1
        elif choice == 2 and self.protocol >= 1:
            self.out += b"]("
            self.stack += 1
            self.item()
            self.item()
            self.out += b"e"
            self.stack -= 1
        else:
            self.call()
            self.out += b"0"
            self.value()
            return
        self.stack -= 1

    def finish(self):
        if self.protocol >= 2:
            head = b"\x80" + bytes([self.protocol])
        else:
            head = b""
        body = bytes(self.out) + b"."
        if self.protocol >= 4 and self.rng.random() < 0.6:
            body = b"\x95" + struct.pack("<Q", len(body)) + body
        return head + body


def write(rng):
    writer = Writer(rng)
    for _ in range(rng.randrange(1, 9)):
        rng.choice([writer.item, writer.call, writer.build, writer.collect, writer.store if writer.stack else writer.call, writer.noise])()
    writer.call()
    data = writer.finish()
    if rng.random() < 0.25:
        # A byte changed, gone, or doubled: what happens up to there counts as well.
        at = rng.randrange(len(data))
        data = rng.choice([
            data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :], data[:at] + data[at + 1 :], data[:at] + data[at : at + 1] + data[at:], data[:at],
        ])
    return data


class Notes:
    def __init__(self):
        self.globals, self.calls = [], []


def stand_in(notes, full):
    """A class that notes that it was called, whichever opcode does it."""

    class Meta(type):
        def __call__(cls, *arguments, **named):
            notes.calls.append(full)
            return super().__call__()

    class StandIn(metaclass=Meta):
        def __new__(cls, *arguments, **named):
            # NEWOBJ comes here directly, REDUCE by way of the metaclass.
            if arguments or named or not notes.calls or notes.calls[-1] != full:
                notes.calls.append(full)
            return super().__new__(cls)

        def __init__(self, *arguments, **named):
            pass

        def __setstate__(self, state):
            pass

        def append(self, item):
            pass

        def __setitem__(self, key, value):
            pass

        def __call__(self, *arguments, **named):
            return self

    return StandIn


def run(data, protocol):
    notes = Notes()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if protocol < 3:
                if (module, name) in _compat_pickle.NAME_MAPPING:
                    module, name = _compat_pickle.NAME_MAPPING[module, name]
                elif module in _compat_pickle.IMPORT_MAPPING:
                    module = _compat_pickle.IMPORT_MAPPING[module]
            full = f"{module}.{name}"
            if not all(part.isidentifier() for part in full.split(".")):
                raise ModuleNotFoundError(full)
            notes.globals.append(full)
            return stand_in(notes, full)

        def persistent_load(self, pid):
            return None

    stream = io.BytesIO(data)
    try:
        Unpickler(stream).load()
        # What lies behind its end is another matter.
        ended = stream.tell() == len(data)
    except Exception:
        ended = False
    return notes, ended


def parsed(data):
    """Names that `pickletools` sees in opcodes that carry them."""
    names = []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("GLOBAL", "INST"):
                names.append(argument.replace(" ", ".", 1))
    except Exception:
        pass
    return names


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    warnings.simplefilter("ignore")
    # A memo index in the billions would have the unpickler fill that much memory.
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    rng = random.Random(seed)
    for _ in range(count):
        data = write(rng)
        protocol = data[1] if data[:1] == b"\x80" and len(data) > 1 else 0
        notes, ended = run(data, protocol)
        print(json.dumps({
            "pickle": data.hex(), "protocol": protocol, "globals": sorted(set(notes.globals)), "calls": sorted(set(notes.calls)), "ended": ended,
            "parsed": sorted(set(parsed(data))),
        }))


main()
