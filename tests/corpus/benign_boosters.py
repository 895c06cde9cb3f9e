"""XGBoost, LightGBM and CatBoost: pickled, bundled, and in their own formats."""

import pickle

import catboost
import joblib
import lightgbm
import numpy as np
import xgboost

from benign_common import SEED

RNG = np.random.default_rng(SEED)
X = RNG.normal(size=(60, 5))
Y = (X[:, 1] > 0).astype(int)


def both(corpus, name, model):
    family = name.split("-")[0]
    for protocol in (2, 4, 5):
        corpus.put(f"boosters/{name}.{protocol}.pkl", family, "pickle", name, pickle.dumps(model, protocol=protocol))
    joblib.dump(model, corpus.at(f"boosters/{name}.joblib", family, "joblib", name), compress=("zlib", 2))


def write(corpus):
    few = {"n_estimators": 4, "max_depth": 2, "n_jobs": 1}
    for name, kind, target in [("classifier", xgboost.XGBClassifier, Y), ("regressor", xgboost.XGBRegressor, X[:, 0]), ("forest", xgboost.XGBRFClassifier, Y)]:
        model = kind(**few).fit(X, target)
        both(corpus, f"xgboost-{name}", model)
        for suffix in ("json", "ubj"):
            model.save_model(corpus.at(f"boosters/xgboost-{name}.{suffix}", "xgboost", suffix, f"save_model, {name}"))
    linear = xgboost.train({"booster": "gblinear"}, xgboost.DMatrix(X, Y), 2)
    both(corpus, "xgboost-linear", linear)
    linear.dump_model(corpus.at("boosters/xgboost-dump.txt", "xgboost", "txt", "dump_model"))
    dart = xgboost.train({"booster": "dart", "objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(X, Y + (X[:, 0] > 1), feature_names=list("abcde")), 3)
    dart.save_model(corpus.at("boosters/xgboost-dart.json", "xgboost", "json", "a dart booster with names of features"))
    quiet = {"n_estimators": 4, "verbose": -1, "num_leaves": 4, "n_jobs": 1}
    for name, kind, target in [("classifier", lightgbm.LGBMClassifier, Y), ("regressor", lightgbm.LGBMRegressor, X[:, 0])]:
        model = kind(**quiet).fit(X, target)
        both(corpus, f"lightgbm-{name}", model)
        model.booster_.save_model(corpus.at(f"boosters/lightgbm-{name}.txt", "lightgbm", "txt", f"save_model, {name}"))
    both(corpus, "lightgbm-booster", model.booster_)
    both(corpus, "lightgbm-ranker", lightgbm.LGBMRanker(**quiet).fit(X, Y, group=[30, 30]))
    import json

    corpus.put("boosters/lightgbm-dump.json", "lightgbm", "json", "dump_model", json.dumps(model.booster_.dump_model()))
    silent = {"iterations": 4, "depth": 2, "verbose": False, "allow_writing_files": False, "thread_count": 1, "random_seed": 1}
    for name, kind, target in [("classifier", catboost.CatBoostClassifier, Y), ("regressor", catboost.CatBoostRegressor, X[:, 0])]:
        model = kind(**silent).fit(X, target)
        both(corpus, f"catboost-{name}", model)
        for form in ("cbm", "json", "onnx", "coreml", "cpp"):
            suffix = {"coreml": "mlmodel"}.get(form, form)
            model.save_model(str(corpus.at(f"boosters/catboost-{name}.{suffix}", "catboost", suffix, f"save_model as {form}")), format=form)
    words = [["a", "x"], ["b", "y"], ["a", "y"], ["c", "x"]] * 5
    model = catboost.CatBoostClassifier(**silent, cat_features=[0, 1]).fit(words, [0, 1, 0, 1] * 5)
    both(corpus, "catboost-categories", model)
