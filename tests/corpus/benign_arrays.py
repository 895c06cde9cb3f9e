"""NumPy, SciPy, pandas and joblib: arrays of every type, compressed and not, and what bundles them."""

import pickle

import joblib
import numpy as np
import pandas as pd
import scipy.interpolate
import scipy.sparse as sparse
import scipy.spatial
import scipy.stats

from benign_common import SEED

RNG = np.random.default_rng(SEED)


def arrays():
    grid = RNG.normal(size=(7, 5))
    values = {kind: (grid * 50).astype(kind) for kind in ["f2", "f4", "f8", "i1", "i4", "u2", "c8", "c16", ">f8", "?"]}
    values |= {
        "order": np.asfortranarray(grid),
        "text": np.array(["ja", "nein", "vielleicht"]),
        "bytes": np.array([b"x", b"yy"]),
        "days": np.arange("2026-01-01", "2026-01-09", dtype="M8[D]"),
        "spans": np.array([1, 2], "m8[s]"),
        "records": np.array([(1, "a", 0.5)], dtype=[("id", "i8"), ("tag", "U4"), ("p", "f4", (2,))]),
        "masked": np.ma.masked_less(grid, 0),
        "empty": np.empty((0, 9), "f4"),
        "scalar": np.float64(2.5),
        "matrix": np.matrix(grid[:2]),
        "objects": np.array([{"a": 1}, None, "x"], dtype=object),
        "strings": np.array(["a", "bcd"], dtype=np.dtypes.StringDType()),
        "rec": np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        "poly": np.polynomial.Polynomial([1, 2, 3]),
        "ufunc": np.log1p,
    }
    return values


def write(corpus):
    for number, (name, value) in enumerate(arrays().items()):
        name = name.replace(">", "big-").replace("?", "bool")
        for protocol in {number % 6, 5}:
            corpus.put(f"numpy/{name}.{protocol}.pkl", "numpy-pickle", "pickle", f"array {name}", pickle.dumps(value, protocol=protocol))
        if isinstance(value, np.ndarray) and name not in ("strings", "masked"):
            np.save(corpus.at(f"numpy/{name}.npy", "numpy", "npy", f"np.save of {name}"), value, allow_pickle=True)
    np.savez(corpus.at("numpy/many.npz", "numpy", "npz", "np.savez"), **{f"w{i}": RNG.normal(size=(3, i + 1)) for i in range(9)})
    np.savez_compressed(corpus.at("numpy/packed.npz", "numpy", "npz", "np.savez_compressed"), a=np.zeros((300, 300)), b=np.arange(5))
    np.savez(corpus.at("numpy/objects.npz", "numpy", "npz", "an array of objects in an archive"), a=np.array([{"k": 1}], dtype=object))
    np.save(corpus.at("numpy/version3.npy", "numpy", "npy", "format version 3: a field name beyond Latin-1"), np.zeros(2, dtype=[("λ", "f4")]))
    for bits in [np.random.MT19937, np.random.PCG64, np.random.Philox, np.random.SFC64]:
        value = np.random.Generator(bits(SEED))
        corpus.put(f"numpy/rng-{bits.__name__}.pkl", "numpy-pickle", "pickle", "a random generator", pickle.dumps(value))
    bundles(corpus)
    scientific(corpus)
    frames(corpus)


def bundles(corpus):
    value = {"coef": RNG.normal(size=(40, 12)), "labels": np.array(["a", "b"], dtype=object), "meta": {"version": 2}, "after": [1.5, "end"]}
    ways = [0, 1, 9, True, ("zlib", 3), ("gzip", 6), ("bz2", 4), ("lzma", 2), ("xz", 2), ("lz4", 1)]
    for number, compress in enumerate(ways):
        label = compress if not isinstance(compress, tuple) else "-".join(map(str, compress))
        for protocol in (2, 3, 5):
            path = corpus.at(f"joblib/bundle-{label}-{protocol}.joblib", "joblib", "joblib", f"joblib, compress={compress!r}, protocol {protocol}")
            joblib.dump(value, path, compress=compress, protocol=protocol)
    for suffix in ["z", "gz", "bz2", "xz", "lzma", "lz4", "pkl", "sav", "model"]:
        joblib.dump(value, corpus.at(f"joblib/by-name.{suffix}", "joblib", "joblib", f"joblib chooses by the suffix {suffix}"))
    joblib.dump(np.asfortranarray(RNG.normal(size=(60, 50))), corpus.at("joblib/fortran.joblib", "joblib", "joblib", "one array in Fortran's order"))


def scientific(corpus):
    dense = sparse.random(12, 9, 0.3, random_state=SEED, format="csr")
    for kind in ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"]:
        for value, label in [(dense.asformat(kind), "matrix"), (getattr(sparse, f"{kind}_array")(dense), "array")]:
            corpus.put(f"scipy/{label}-{kind}.pkl", "scipy", "pickle", f"sparse {label} {kind}", pickle.dumps(value, protocol=4))
    sparse.save_npz(corpus.at("scipy/matrix.npz", "scipy", "npz", "scipy.sparse.save_npz"), dense)
    x = np.linspace(0, 1, 12)
    values = {
        "spline": scipy.interpolate.CubicSpline(x, x**2),
        "linear": scipy.interpolate.interp1d(x, x**2),
        "tree": scipy.spatial.cKDTree(RNG.normal(size=(30, 2))),
        "kde": scipy.stats.gaussian_kde(RNG.normal(size=40)),
        "frozen": scipy.stats.norm(1, 2),
        "grid": scipy.interpolate.RegularGridInterpolator((x, x), np.outer(x, x)),
        "rotation": scipy.spatial.transform.Rotation.from_euler("z", 90, degrees=True),
    }
    for name, value in values.items():
        corpus.put(f"scipy/{name}.pkl", "scipy", "pickle", f"scipy's {name}", pickle.dumps(value))


def frames(corpus):
    frame = pd.DataFrame(
        {
            "number": RNG.normal(size=8),
            "count": pd.array([1, 2, None, 4] * 2, dtype="Int64"),
            "flag": pd.array([True, None] * 4, dtype="boolean"),
            "kind": pd.Categorical(list("abca") * 2),
            "when": pd.date_range("2026-01-01", periods=8, tz="Europe/Berlin"),
            "span": pd.timedelta_range("1h", periods=8),
            "text": pd.Series(list("qwertyui"), dtype="string"),
            "gap": pd.arrays.SparseArray([0, 0, 1, 0] * 2),
        }
    )
    values = {
        "frame": frame,
        "plain": frame[["number"]],
        "multi": frame.set_index(["kind", "text"]),
        "series": frame["number"].rename("y"),
        "grouped": frame.groupby("kind", observed=True)["number"].mean(),
        "period": pd.Series(1.0, index=pd.period_range("2026-01", periods=4, freq="M")),
        "interval": pd.cut(frame["number"], 3),
        "stamp": pd.Timestamp("2026-05-06T07:08", tz="UTC"),
        "delta": pd.Timedelta("2 days"),
        "offset": pd.offsets.MonthEnd(2),
        "na": [pd.NA, pd.NaT],
        "business": pd.bdate_range("2026-01-01", periods=3),
    }
    for number, (name, value) in enumerate(values.items()):
        for protocol in {2 + number % 4, 5}:
            corpus.put(f"pandas/{name}.{protocol}.pkl", "pandas", "pickle", f"pandas {name}", pickle.dumps(value, protocol=protocol))
    for suffix in ["pkl", "pkl.gz", "pkl.bz2", "pkl.xz", "pkl.zip", "pkl.zst", "pkl.tar"]:
        frame.to_pickle(corpus.at(f"pandas/to_pickle.{suffix}", "pandas", suffix, "DataFrame.to_pickle, compressed by its name"))
    frame.drop(columns=["gap"]).to_csv(corpus.at("pandas/frame.csv", "tabular", "csv", "to_csv"))
    frame.drop(columns=["gap"]).to_json(corpus.at("pandas/frame.jsonl", "tabular", "jsonl", "to_json by lines"), orient="records", lines=True)
    frame.drop(columns=["gap"]).to_parquet(corpus.at("pandas/frame.parquet", "tabular", "parquet", "to_parquet"))
    frame.drop(columns=["gap", "span"]).to_feather(corpus.at("pandas/frame.feather", "tabular", "arrow", "to_feather"))
