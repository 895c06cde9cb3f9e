"""Frames of LZ4 and Zstandard that store their bytes as they are, and what both need: xxHash."""

import struct

P1, P2, P3, P4, P5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
MASK = 0xFFFFFFFF


def rotate(value, by):
    return ((value << by) | (value >> (32 - by))) & MASK


def xxh32(data, seed=0):
    """xxHash of 32 bits."""
    at, size = 0, len(data)
    if size >= 16:
        lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        while at + 16 <= size:
            for lane, word in enumerate(struct.unpack_from("<4I", data, at)):
                lanes[lane] = rotate((lanes[lane] + word * P2) & MASK, 13) * P1 & MASK
            at += 16
        total = sum(rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18))) & MASK
    else:
        total = (seed + P5) & MASK
    total = (total + size) & MASK
    while at + 4 <= size:
        total = rotate((total + struct.unpack_from("<I", data, at)[0] * P3) & MASK, 17) * P4 & MASK
        at += 4
    for byte in data[at:]:
        total = rotate((total + byte * P5) & MASK, 11) * P1 & MASK
    total = (total ^ (total >> 15)) * P2 & MASK
    total = (total ^ (total >> 13)) * P3 & MASK
    return total ^ (total >> 16)


def lz4_frame(data):
    """An LZ4 frame of one block that is not compressed."""
    descriptor = b"\x60\x40"
    head = b"\x04\x22\x4d\x18" + descriptor + bytes([xxh32(descriptor) >> 8 & 0xFF])
    return head + struct.pack("<I", len(data) | 0x80000000) + data + bytes(4)


def zstd_frame(data):
    """A Zstandard frame of raw blocks."""
    out = b"\x28\xb5\x2f\xfd" + b"\xa0" + struct.pack("<I", len(data))
    for at in range(0, len(data), 100_000):
        part = data[at:at + 100_000]
        last = at + 100_000 >= len(data)
        out += struct.pack("<I", len(part) << 3 | last)[:3] + part
    return out
