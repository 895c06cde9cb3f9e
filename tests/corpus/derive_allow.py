"""Derives the vetted names of pickles from what real libraries wrote: reads opcodes, loads nothing.

Usage: derive_allow.py FOLDER [--data FILE]. Prints every global that the files of FOLDER name, with the library, its
version and how many files hold it. With --data it writes the names, library by library, as the data file that is
built into Lanner (`src/artifact/format/pickle/vetted.txt`), together with those that the file holds already, so that
each tier adds to it. Run it with the Python that wrote the files, for it asks that one for the versions; read what is
new before you commit it. The file lifts only names of which `globals.txt` says nothing: what is denied there stays so.
"""

import _compat_pickle
import argparse
import bz2
import collections
import gzip
import importlib.metadata
import io
import lzma
import pathlib
import pickletools
import platform
import re
import struct
import sys
import zipfile
import zlib

# Names are read from bytes of files that are known to be benign; these are none.
OWN = {"__main__", "benign_common", "acme"}
NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")
HEADER = """# Names that real libraries pickle, derived from their own output by tests/corpus/derive_allow.py.
# A name lifts only what globals.txt says nothing of: nothing that is denied there comes in here.
"""


def streams(data):
    """The pickles in a file: itself, unpacked, and the members of archives."""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from streams(archive.read(name))
        return
    for magic, unpack in [(b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7zXZ", lzma.decompress), (b"]\0\0", lzma.decompress), (b"\x78", zlib.decompress)]:
        if data.startswith(magic):
            try:
                yield from streams(unpack(data))
            except Exception:
                pass
            return
    if data[:4] == b"\x04\x22\x4d\x18":
        import lz4.frame

        yield from streams(lz4.frame.decompress(data))
        return
    if data[:6] == b"\x93NUMPY":
        wide = data[6] > 1
        length = struct.unpack_from("<I" if wide else "<H", data, 8)[0]
        if b"'|O'" in data[:200]:
            yield data[(12 if wide else 10) + length :]
        return
    if data[:1] == b"\x80" or re.match(rb"^[c(\]}]", data):
        yield data


def renamed(module, name):
    """The name that Python 3 imports where old protocols write that of Python 2."""
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def globals_of(data):
    """Every global of every stream; arrays between the opcodes and garbage are gone over."""
    position = 0
    while position < len(data):
        stream = io.BytesIO(data[position:])
        memo, texts, top, protocol = {}, [], None, 0
        last = position
        try:
            for op, argument, at in pickletools.genops(stream):
                last = position + at
                if op.name == "PROTO":
                    protocol = argument
                if op.name in ("GLOBAL", "INST"):
                    yield renamed(*argument.split(" ", 1)) if protocol < 3 else tuple(argument.split(" ", 1))
                elif op.name == "STACK_GLOBAL" and len(texts) >= 2:
                    yield tuple(texts[-2:])
                if "PUT" in op.name or op.name == "MEMOIZE":
                    memo[len(memo) if op.name == "MEMOIZE" else argument] = top
                    continue
                top = argument if "UNICODE" in op.name else memo.get(argument) if "GET" in op.name else None
                if top is not None:
                    texts = [*texts[-3:], top]
            position += stream.tell()
        except Exception:
            # An array of joblib, or the storages of an old checkpoint: go on at the next protocol mark or opcode.
            found = re.search(rb"\x80[\x02-\x05]|\x94\x8c|\x8c.[a-z]", data[last + 1 :], re.DOTALL)
            if found is None:
                return
            position = last + 1 + found.start()


def collect(folder):
    files = collections.Counter()
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if not path.is_file() or path.stat().st_size > 64 << 20:
            continue
        seen = set()
        for data in streams(path.read_bytes()):
            for module, name in globals_of(data):
                if NAME.match(module) and NAME.match(name) and module.isascii() and name.isascii():
                    seen.add(f"{module}.{name}")
        files.update(name for name in seen if name.split(".")[0] not in OWN and not name.startswith("benign_"))
    return files


def library(name, owners):
    root = name.split(".")[0]
    if root in sys.stdlib_module_names or root in ("copy_reg", "__builtin__"):
        return f"python {platform.python_version()}"
    for owner in sorted(owners.get(root, [])):
        return f"{owner.lower()} {importlib.metadata.version(owner)}"
    return None


def known(path):
    """The names of a data file, by library with its version."""
    groups, group = collections.defaultdict(set), None
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("library "):
            group = line.removeprefix("library ")
        elif line and not line.startswith(("#", "version ")):
            groups[group].add(line)
    return groups


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--date", default="", help="what the data file says of its age, as in 2026-11-28")
    asked = parser.parse_args()
    owners = importlib.metadata.packages_distributions()
    groups = collections.defaultdict(dict)
    for name, count in collect(asked.folder).items():
        # What belongs to no installed library was read from noise.
        if (owner := library(name, owners)) is not None:
            groups[owner][name] = count
    for owner, names in sorted(groups.items()):
        for name, count in sorted(names.items()):
            print(f"{owner}\t{name}\t{count}")
    if asked.data:
        merged = known(asked.data)
        for owner, names in groups.items():
            merged[owner] |= set(names)
        lines = [HEADER + f"version {asked.date or '0'}"]
        for owner in sorted(merged):
            lines += ["", f"library {owner}", *sorted(merged[owner])]
        asked.data.write_text("\n".join(lines) + "\n")


main()
