"""Writes inputs for the target `formats`: files of folders, each behind the number of a name that fits.

Usage: seeds.py OUT FOLDER... writes OUT/formats, and for each family of families.txt OUT/formats-NAME and the words
of its sources as a dictionary, OUT/NAME.dict. Files beyond 64 KiB are left out: a fuzzer changes small inputs faster.
"""

import hashlib
import json
import pathlib
import re
import sys

LARGEST = 64 << 10
HERE = pathlib.Path(__file__).parent
NAMES = (HERE / "names.txt").read_text().splitlines()
SOURCES = HERE.parent / "src/artifact/format"
# Escapes that Rust and Python have in common; a literal with another one is no word.
LITERAL = re.compile(r'"((?:[^"\\\n]|\\[nrt0"\\]|\\x[0-9a-f]{2})*)"')


def families():
    """Name, formats and endings, paths of sources."""
    for line in (HERE / "families.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, formats, sources = line.split(": ")
            yield name, {each.strip() for each in formats.split(",")}, sources.split()


def number(name):
    """The name that is the same, or has the same ending; the first where none fits."""
    if name in NAMES:
        return NAMES.index(name)
    for ending in (name.split(".", 1)[-1], name.rsplit(".", 1)[-1]):
        for index, known in enumerate(NAMES):
            if "." in known and known.split(".", 1)[1] == ending:
                return index
    return 0


def formats(folder):
    """What manifests say of files: a class and a format."""
    found = {}
    for manifest in folder.rglob("manifest.jsonl"):
        for row in map(json.loads, manifest.read_text().splitlines()):
            found[manifest.parent / row["path"]] = {row["format"], row["class"]}
    return found


def dictionary(sources):
    """Literals of sources, as libFuzzer reads them."""
    words = set()
    for source in sources:
        whole = [SOURCES / f"{source}.rs", *sorted((SOURCES / source).rglob("*.rs"))]
        for text in (path.read_text() for path in whole if path.exists()):
            for literal in LITERAL.findall(text):
                if not literal.isascii():
                    continue
                word = literal.replace("\\0", "\\x00").encode().decode("unicode_escape").encode("latin-1")
                if 2 <= len(word) <= 40 and b"{" not in word:
                    words.add(word)
    escape = lambda word: "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)
    return "".join(f'"{escape(word)}"\n' for word in sorted(words))


def main():
    out, *folders = map(pathlib.Path, sys.argv[1:])
    known = list(families())
    counts = dict.fromkeys(["formats", *(f"formats-{name}" for name, _, _ in known)], 0)
    for each in counts:
        (out / each).mkdir(parents=True, exist_ok=True)
    for name, _, sources in known:
        (out / f"{name}.dict").write_text(dictionary(sources))
    for folder in folders:
        told = formats(folder)
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST or path.name == "manifest.jsonl":
                continue
            data = bytes([number(path.name)]) + path.read_bytes()
            kinds = told.get(path, set()) | {path.name, path.name.split(".", 1)[-1], path.name.rsplit(".", 1)[-1]}
            fitting = [f"formats-{name}" for name, wanted, _ in known if kinds & wanted]
            for place in ["formats", *fitting]:
                counts[place] += 1
                (out / place / hashlib.sha256(data).hexdigest()[:20]).write_bytes(data)
            if not fitting:
                counts["of no family"] = counts.get("of no family", 0) + 1
    print(counts)


main()
