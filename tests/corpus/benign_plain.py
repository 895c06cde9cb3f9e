"""Pickles without a framework: the standard library's data types, pickle's protocols, compressed and bundled."""

import array
import bz2
import collections
import datetime
import decimal
import enum
import fractions
import functools
import gzip
import io
import ipaddress
import lzma
import operator
import pathlib
import pickle
import random
import statistics
import tarfile
import types
import uuid
import zipfile
import zlib
import zoneinfo

from benign_common import SEED


def values():
    source = random.Random(SEED)
    window = collections.deque((source.random() for _ in range(30)), maxlen=64)
    return {
        "history": {"loss": [source.random() for _ in range(20)], "epoch": list(range(20))},
        "window": window,
        "labels": collections.Counter(source.choices(["ham", "spam", "unsure"], k=90)),
        "index": collections.defaultdict(set, {"a": {1, 2}, "b": {3}}),
        "layers": collections.OrderedDict((f"block{i}", (i, 2 * i)) for i in range(5)),
        "chain": collections.ChainMap({"a": 1}, {"b": 2}),
        "started": datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=zoneinfo.ZoneInfo("UTC")),
        "day": datetime.date(2025, 12, 24),
        "price": decimal.Decimal("19.990"),
        "share": fractions.Fraction(3, 7),
        "raw": array.array("d", [1.5, 2.5]),
        "where": pathlib.PurePosixPath("data/train/part-0001.csv"),
        "identity": uuid.UUID(int=SEED),
        "net": ipaddress.ip_network("192.0.2.0/28"),
        "spread": statistics.NormalDist(0, 2),
        "space": types.SimpleNamespace(width=64, depth=3, name="tiny"),
        "second": operator.itemgetter(1, 2),
        "shape_of": operator.attrgetter("shape", "dtype.name"),
        "scale": functools.partial(round, ndigits=3),
        "sampler": random.Random(SEED),
        "ranges": [range(3), slice(1, None, 2), complex(1, -1), frozenset({"x", "y"})],
        "words": {f"token-{i:05}": i for i in range(4000)},
        "prose": "The docs say: never call eval(x), os.system('rm') or subprocess on user input; see https://example.org/a.",
        "sql": {"query": "SELECT a; SELECT b", "path": "/srv/data/train.csv", "cmd": "python -c 'print(1)'"},
        "noise": source.randbytes(30_000),
        "looks": b"\x80\x04\x95" + source.randbytes(500) + b"cos\nnothing." + b"PK\x03\x04" + b"\x7fELF" + source.randbytes(200),
        "errors": [ValueError("bad shape"), KeyError("w"), StopIteration()],
    }


def write(corpus):
    for number, (name, value) in enumerate(values().items()):
        protocols = range(6) if number % 4 == 0 else (number % 6, (number + 3) % 6)
        for protocol in protocols:
            suffix = ["pkl", "pickle", "p", "dat", "bin", "pkl"][protocol]
            if suffix == "bin":
                suffix = "pkl"
            data = pickle.dumps(value, protocol=protocol)
            corpus.put(f"plain/{name}.{protocol}.{suffix}", "plain-pickle", "pickle", f"{name} at protocol {protocol}", data)
    python = io.BytesIO()
    pickle._Pickler(python, 5).dump(values()["layers"])
    corpus.put("plain/pure-python.pkl", "plain-pickle", "pickle", "written by the pickler in Python", python.getvalue())
    several = b"".join(pickle.dumps({"batch": i, "loss": 1 / (i + 1)}, protocol=2 + i % 4) for i in range(12))
    corpus.put("plain/several.pkl", "plain-pickle", "pickle", "streams one after another, as loops over files write them", several)
    shared = [1, 2]
    shared.append(shared)
    corpus.put("plain/recursive.pkl", "plain-pickle", "pickle", "a list that holds itself", pickle.dumps([shared, shared]))
    packed(corpus)


def packed(corpus):
    body = pickle.dumps({"weights": [0.5] * 2000, "name": "packed"}, protocol=4)
    for suffix, pack in {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zlib": zlib.compress}.items():
        corpus.put(f"plain/state.pkl.{suffix}", "compressed", suffix, f"a pickle through {suffix}", pack(body))
    import lz4.frame
    import zstandard

    corpus.put("plain/state.pkl.lz4", "compressed", "lz4", "a pickle through lz4", lz4.frame.compress(body))
    corpus.put("plain/state.pkl.zst", "compressed", "zstd", "a pickle through zstd", zstandard.ZstdCompressor().compress(body))
    for mode, suffix in {"w": "tar", "w:gz": "tar.gz", "w:bz2": "tar.bz2", "w:xz": "tar.xz"}.items():
        path = corpus.at(f"plain/bundle.{suffix}", "archive", suffix, "a model folder in a tar archive")
        with tarfile.open(path, mode) as archive:
            for name, data in {"model/state.pkl": body, "model/config.json": b'{"hidden": 4}', "model/README.md": b"# Model\n"}.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            link = tarfile.TarInfo("model/latest.pkl")
            link.type, link.linkname = tarfile.SYMTYPE, "state.pkl"
            archive.addfile(link)
    for method, name in {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated", zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}.items():
        path = corpus.at(f"plain/bundle-{name}.zip", "archive", "zip", f"a model folder in a ZIP archive, {name}")
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("model/state.pkl", body)
            archive.writestr("model/config.json", '{"hidden": 4}')
            archive.writestr("model/é.txt", "names need not be ASCII")
