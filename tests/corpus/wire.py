"""Protocol buffers, FlatBuffers and MessagePack, by hand."""

import struct


def varint(value):
    out = b""
    value &= (1 << 64) - 1
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def pb(*fields):
    """A message of (number, value): numbers are varints, strings, bytes and messages are delimited, floats are fixed."""
    out = b""
    for number, value in fields:
        if isinstance(value, bool) or isinstance(value, int):
            out += varint(number << 3) + varint(int(value))
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


class Table:
    """A FlatBuffers table: slot → (format of struct) and value, or bytes, a string, a table, or a list of those."""

    def __init__(self, **slots):
        self.slots = {int(name[1:]): value for name, value in slots.items()}


def flat(root, identifier):
    """A FlatBuffer, written forwards: each table, then what it refers to."""
    out = bytearray(struct.pack("<I", 0) + identifier)

    def align(to, ahead=0):
        while (len(out) + ahead) % to:
            out.append(0)

    def patch(at, target):
        struct.pack_into("<I", out, at, target - at)

    def blob(data, end=b""):
        align(4)
        at = len(out)
        out.extend(struct.pack("<I", len(data)) + data + end)
        return at

    def vector(items):
        align(4)
        at = len(out)
        if items and isinstance(items[0], int):
            out.extend(struct.pack(f"<I{len(items)}i", len(items), *items))
            return at
        out.extend(struct.pack("<I", len(items)) + bytes(4 * len(items)))
        for index, item in enumerate(items):
            patch(at + 4 + 4 * index, write(item))
        return at

    def write(value):
        if isinstance(value, Table):
            return table(value)
        if isinstance(value, str):
            return blob(value.encode(), b"\0")
        if isinstance(value, bytes):
            return blob(value)
        return vector(value)

    def table(value):
        count = max(value.slots, default=-1) + 1
        sizes, inline, later = [0] * count, b"", []
        for slot, each in sorted(value.slots.items()):
            packed = struct.pack("<" + each[0], each[1]) if isinstance(each, tuple) else bytes(4)
            inline += bytes(-len(inline) % len(packed))
            sizes[slot] = 4 + len(inline)
            if not isinstance(each, tuple):
                later.append((4 + len(inline), each))
            inline += packed
        align(4, 4 + 2 * count)
        start = len(out)
        out.extend(struct.pack("<HH", 4 + 2 * count, 4 + len(inline)) + struct.pack(f"<{count}H", *sizes))
        at = len(out)
        out.extend(struct.pack("<i", at - start) + inline)
        for offset, each in later:
            patch(at + offset, write(each))
        return at

    patch(0, write(root))
    return bytes(out)


def msgpack(value):
    """MessagePack."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if 0 <= value < 128 else b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\xda" + struct.pack(">H", len(data)) + data if len(data) > 31 else bytes([0xA0 | len(data)]) + data
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(msgpack, value))
    if isinstance(value, dict):
        return b"\xde" + struct.pack(">H", len(value)) + b"".join(msgpack(each) for pair in value.items() for each in pair)
    kind, data = value.parts
    return b"\xc9" + struct.pack(">Ib", len(data), kind) + data


class Ext:
    """An extension of MessagePack."""

    def __init__(self, kind, data):
        self.parts = (kind, data)
