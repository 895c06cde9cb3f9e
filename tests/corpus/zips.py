"""A writer of ZIP archives that can lie where `zipfile` cannot."""

import struct
import zlib


class Member:
    """One member; what the local header says and what the directory says can differ."""

    def __init__(self, name, data, *, deflate=False, flags=0, crc=None, central=None, attributes=0, hidden=False, size=None, method=None, central_flags=None, made=20, extra=b""):
        self.name, self.data, self.flags, self.extra = name.encode() if isinstance(name, str) else name, data, flags, extra
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.packed = packer.compress(data) + packer.flush() if deflate else data
        self.method = (8 if deflate else 0) if method is None else method
        self.crc = zlib.crc32(data) if crc is None else crc
        self.central = self.name if central is None else central.encode()
        self.central_flags = flags if central_flags is None else central_flags
        self.attributes, self.hidden, self.made = attributes, hidden, made
        self.size = len(data) if size is None else size

    def local(self):
        fields = (20, self.flags, self.method, 0, 33, self.crc, len(self.packed), len(self.data), len(self.name), len(self.extra))
        return b"PK\3\4" + struct.pack("<5H3L2H", *fields) + self.name + self.extra + self.packed

    def directory(self, at):
        fields = (self.made, 20, self.central_flags, self.method, 0, 33, self.crc, self.size if self.size != len(self.data) else len(self.packed), self.size, len(self.central), 0, 0, 0, 0, self.attributes, at)
        return b"PK\1\2" + struct.pack("<6H3L5H2L", *fields) + self.central


def archive(members, *, prefix=b"", suffix=b"", directory=True, comment=b"", shift=True):
    """The archive of `members`, in their order."""
    out, central, count = prefix, b"", 0
    base = 0 if shift else len(prefix)
    for member in members:
        at = len(out) - base
        out += member.local()
        if not member.hidden:
            central += member.directory(at)
            count += 1
    if not directory:
        return out + suffix
    end = struct.pack("<4H2LH", 0, 0, count, count, len(central), len(out) - base, len(comment))
    return out + central + b"PK\5\6" + end + comment + suffix


def torch(data, *extra, root="archive", **options):
    """What `torch.save` lays out, with `data` for data.pkl."""
    members = [Member(f"{root}/data.pkl", data), Member(f"{root}/byteorder", b"little"), Member(f"{root}/data/0", bytes(range(32))), *extra, Member(f"{root}/version", b"3\n"), Member(f"{root}/.data/serialization_id", b"1" * 40)]
    return archive(members, **options)
