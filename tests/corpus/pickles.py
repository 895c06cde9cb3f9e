"""An assembler of pickles. It writes opcodes from a tree of what the unpickler shall do; it never loads any."""

import io
import struct


class G:
    """A global: module and name."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Node:
    """Anything that takes operands."""

    def __init__(self, *parts):
        self.parts = parts


class Call(Node):
    """Callable and arguments, by REDUCE."""


class Inst(Node):
    """Global and arguments, by INST."""


class Obj(Node):
    """Callable and arguments, by OBJ."""


class New(Node):
    """Class and arguments, by NEWOBJ."""


class NewEx(Node):
    """Class, tuple of arguments, dictionary of named ones, by NEWOBJ_EX."""


class Build(Node):
    """Object and state."""


class Persist(Node):
    """A persistent id, by BINPERSID."""


class Items(Node):
    """An object, then a list of pairs that SETITEMS gives it."""


class Extend(Node):
    """An object, then a list that APPENDS gives it."""


class Named(Node):
    """STACK_GLOBAL over two computed operands."""


class Raw:
    """Opcodes as they are."""

    def __init__(self, data):
        self.data = data


def text(value):
    """A string by the shortest binary opcode of protocol 4."""
    data = value.encode("utf-8", "surrogatepass")
    if len(data) < 256:
        return b"\x8c" + bytes([len(data)]) + data
    return b"X" + struct.pack("<I", len(data)) + data


class Writer:
    """Writes one value in one protocol."""

    def __init__(self, proto):
        self.proto = proto
        self.out = io.BytesIO()

    def put(self, data):
        self.out.write(data)

    def all(self, values):
        for value in values:
            self.value(value)

    def glob(self, value):
        if self.proto >= 4:
            self.put(text(value.module) + text(value.name) + b"\x93")
        else:
            self.put(b"c" + value.module.encode() + b"\n" + value.name.encode() + b"\n")

    def tuple(self, values):
        if self.proto >= 2 and len(values) <= 3:
            self.all(values)
            self.put([b")", b"\x85", b"\x86", b"\x87"][len(values)])
        else:
            self.put(b"(")
            self.all(values)
            self.put(b"t")

    def string(self, value):
        if self.proto >= 4:
            self.put(text(value))
        elif self.proto >= 1:
            data = value.encode()
            self.put(b"X" + struct.pack("<I", len(data)) + data)
        else:
            self.put(b"V" + value.encode("raw-unicode-escape").replace(b"\n", b"\\u000a") + b"\n")

    def bytes(self, value):
        if self.proto >= 3:
            short = len(value) < 256
            self.put((b"C" + bytes([len(value)]) if short else b"B" + struct.pack("<I", len(value))) + value)
        else:
            self.value(Call(G("_codecs", "encode"), value.decode("latin-1"), "latin1"))

    def plain(self, value):
        if value is None:
            self.put(b"N")
        elif value is True or value is False:
            new = b"\x88" if value else b"\x89"
            self.put(new if self.proto >= 2 else (b"I01\n" if value else b"I00\n"))
        elif isinstance(value, int):
            small = 0 <= value < 256 and self.proto >= 1
            self.put(b"K" + bytes([value]) if small else b"I%d\n" % value)
        elif isinstance(value, float):
            self.put(b"G" + struct.pack(">d", value) if self.proto >= 1 else f"F{value!r}\n".encode())
        elif isinstance(value, str):
            self.string(value)
        elif isinstance(value, bytes):
            self.bytes(value)
        elif isinstance(value, tuple):
            self.tuple(value)
        elif isinstance(value, list):
            self.put(b"](")
            self.all(value)
            self.put(b"e")
        elif isinstance(value, dict):
            self.put(b"}(")
            for pair in value.items():
                self.all(pair)
            self.put(b"u")
        else:
            raise TypeError(value)

    def value(self, value):
        match value:
            case Raw():
                self.put(value.data)
            case G():
                self.glob(value)
            case Named():
                self.all(value.parts)
                self.put(b"\x93")
            case Call():
                self.value(value.parts[0])
                self.tuple(value.parts[1:])
                self.put(b"R")
            case Inst():
                self.put(b"(")
                self.all(value.parts[1:])
                named = value.parts[0]
                self.put(b"i" + named.module.encode() + b"\n" + named.name.encode() + b"\n")
            case Obj():
                self.put(b"(")
                self.all(value.parts)
                self.put(b"o")
            case New():
                self.value(value.parts[0])
                self.tuple(value.parts[1:])
                self.put(b"\x81")
            case NewEx():
                self.all(value.parts)
                self.put(b"\x92")
            case Build():
                self.all(value.parts)
                self.put(b"b")
            case Persist():
                self.all(value.parts)
                self.put(b"Q")
            case Items():
                self.value(value.parts[0])
                self.put(b"(")
                for pair in value.parts[1]:
                    self.all(pair)
                self.put(b"u")
            case Extend():
                self.value(value.parts[0])
                self.put(b"(")
                self.all(value.parts[1])
                self.put(b"e")
            case _:
                self.plain(value)


def body(value, proto):
    """The opcodes of `value`, without PROTO and STOP."""
    writer = Writer(proto)
    writer.value(value)
    return writer.out.getvalue()


def head(proto):
    """PROTO, where the protocol has it."""
    return b"\x80" + bytes([proto]) if proto >= 2 else b""


def pickle(value, proto=4, framed=None):
    """A whole pickle; protocol 4 and later are framed as the pickler does it."""
    data = body(value, proto) + b"."
    if framed is None:
        framed = proto >= 4
    if framed:
        data = b"\x95" + struct.pack("<Q", len(data)) + data
    return head(proto) + data


def system(command="true", proto=4, module="os", name="system"):
    """The plainest payload, for samples whose subject is elsewhere."""
    return pickle(Call(G(module, name), command), proto)


def beside(call, chance):
    """The payload in what looks like a checkpoint."""
    return {"epoch": chance.randrange(1, 90), "lr": round(chance.random(), 4), "extra": call,
            "names": [f"layer.{n}.weight" for n in range(chance.randrange(2, 6))]}
