"""Writes inputs for the target `formats`: files of a folder, each behind the number of a name that fits.

Usage: seeds.py FOLDER... OUT. Files beyond 64 KiB are left out: a fuzzer changes small inputs faster.
"""

import hashlib
import pathlib
import sys

LARGEST = 64 << 10
NAMES = (pathlib.Path(__file__).parent / "names.txt").read_text().splitlines()


def number(name):
    """The name that is the same, or has the same ending; the first where none fits."""
    if name in NAMES:
        return NAMES.index(name)
    for ending in (name.split(".", 1)[-1], name.rsplit(".", 1)[-1]):
        for index, known in enumerate(NAMES):
            if "." in known and known.split(".", 1)[1] == ending:
                return index
    return 0


def main():
    *folders, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
                continue
            data = bytes([number(path.name)]) + path.read_bytes()
            (out / hashlib.sha256(data).hexdigest()[:20]).write_bytes(data)


main()
