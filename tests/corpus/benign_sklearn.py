"""scikit-learn and its friends: every estimator, fitted; pipelines; searches; skops; saved by pickle and joblib."""

import functools
import operator
import pickle

import joblib
import numpy as np
import pandas as pd
from sklearn import calibration, compose, ensemble, gaussian_process, impute, linear_model, model_selection, multiclass
from sklearn import neighbors, neural_network, pipeline, preprocessing, svm
from sklearn.feature_extraction import text
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.utils import all_estimators

from benign_common import SEED

RNG = np.random.default_rng(SEED)
X = RNG.uniform(0.1, 3.0, size=(48, 6))
Y = (X[:, 0] + X[:, 1] > 3).astype(int)
SENTENCES = ["order my coffee", "cancel the order", "where is my parcel", "coffee is cold", "thanks", "no thanks"] * 6
SLOW = {"MultiTaskElasticNetCV", "MultiTaskLassoCV", "GraphicalLassoCV", "DictionaryLearning", "MiniBatchDictionaryLearning"}


def fitted():
    for name, kind in all_estimators():
        if name in SLOW:
            continue
        options = {}
        try:
            known = kind().get_params()
        except Exception:
            continue
        for option, value in {"n_estimators": 5, "max_iter": 60, "random_state": SEED % 1000, "n_init": 1}.items():
            if option in known and not isinstance(known[option], str):
                options[option] = value
        try:
            yield name, kind(**options).fit(X, Y)
        except Exception:
            continue


def write(corpus):
    for number, (name, model) in enumerate(fitted()):
        if number % 2:
            path = corpus.at(f"sklearn/{name}.joblib", "sklearn", "joblib", f"{name}, fitted")
            joblib.dump(model, path, compress=[0, 3, ("lz4", 1), ("xz", 2)][number // 2 % 4])
        else:
            try:
                data = pickle.dumps(model, protocol=2 + number // 2 % 4)
            except Exception:
                continue
            corpus.put(f"sklearn/{name}.pkl", "sklearn", "pickle", f"{name}, fitted", data)
    for name, model in composed().items():
        corpus.put(f"pipelines/{name}.pkl", "sklearn-pipeline", "pickle", name, pickle.dumps(model, protocol=5))
        joblib.dump(model, corpus.at(f"pipelines/{name}.joblib", "sklearn-pipeline", "joblib", name), compress=3)
    skops(corpus)
    imbalanced(corpus)


def composed():
    frame = pd.DataFrame({"age": X[:, 0], "city": list("abcd") * 12, "note": SENTENCES + SENTENCES[:12], "y": Y})
    columns = compose.ColumnTransformer(
        [
            ("number", pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.RobustScaler()), ["age"]),
            ("city", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("note", text.TfidfVectorizer(ngram_range=(1, 2), stop_words="english"), "note"),
        ],
        remainder="drop",
    )
    models = {
        "tabular": pipeline.Pipeline([("columns", columns), ("model", ensemble.HistGradientBoostingClassifier(max_iter=5))]),
        "dense": pipeline.Pipeline([("columns", columns), ("model", linear_model.SGDClassifier(loss="log_loss"))]),
    }
    models["tabular"].set_params(columns__sparse_threshold=0)
    for model in models.values():
        model.fit(frame, Y)
    words = {
        "bayes": pipeline.make_pipeline(text.CountVectorizer(analyzer="char_wb", ngram_range=(2, 3)), linear_model.Perceptron()),
        "hashing": pipeline.make_pipeline(text.HashingVectorizer(n_features=64), linear_model.LogisticRegression()),
        "union": pipeline.make_pipeline(pipeline.make_union(text.TfidfVectorizer(), text.CountVectorizer()), svm.LinearSVC()),
    }
    for name, model in words.items():
        models[name] = model.fit(SENTENCES, [i % 2 for i in range(len(SENTENCES))])
    numeric = {
        "grid": model_selection.GridSearchCV(svm.SVC(), {"C": [0.5, 2.0]}, cv=2),
        "random": model_selection.RandomizedSearchCV(linear_model.Ridge(), {"alpha": [0.1, 1, 5]}, n_iter=2, cv=2, random_state=1),
        "voting": ensemble.VotingClassifier([("a", linear_model.LogisticRegression()), ("b", neighbors.KNeighborsClassifier())]),
        "stacking": ensemble.StackingClassifier([("a", linear_model.LogisticRegression())], cv=2),
        "calibrated": calibration.CalibratedClassifierCV(svm.LinearSVC(), cv=2),
        "one-vs-rest": multiclass.OneVsRestClassifier(linear_model.LogisticRegression()),
        "mlp": neural_network.MLPClassifier((6,), max_iter=20),
        "gp": gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.RBF() + gaussian_process.kernels.WhiteKernel()),
        "bagging": ensemble.BaggingRegressor(neighbors.KNeighborsRegressor(), n_estimators=3),
        "functions": pipeline.make_pipeline(preprocessing.FunctionTransformer(np.log1p, inverse_func=np.expm1), linear_model.Lasso()),
        "partial": pipeline.make_pipeline(preprocessing.FunctionTransformer(functools.partial(np.clip, a_min=0, a_max=2)), linear_model.Lasso()),
        "power": pipeline.make_pipeline(preprocessing.PowerTransformer(), preprocessing.PolynomialFeatures(2), linear_model.RidgeCV()),
        "target": compose.TransformedTargetRegressor(linear_model.Ridge(), func=np.sqrt, inverse_func=np.square),
    }
    for name, model in numeric.items():
        models[name] = model.fit(X, Y)
    models["scorer"] = make_scorer(mean_absolute_error, greater_is_better=False)
    models["getter"] = preprocessing.FunctionTransformer(operator.itemgetter(0))
    models["label"] = preprocessing.LabelEncoder().fit(SENTENCES)
    models["splits"] = [model_selection.StratifiedKFold(3), model_selection.TimeSeriesSplit(4)]
    models["bundle"] = {"model": models["grid"], "features": list("abcdef"), "metrics": {"auc": np.float64(0.9)}, "threshold": 0.42}
    # A head as few-shot text classifiers keep it: a plain logistic regression over embeddings, in `model_head.pkl`.
    models["model_head"] = linear_model.LogisticRegression().fit(RNG.normal(size=(48, 32)), Y)
    return models


def skops(corpus):
    import skops.io

    models = {
        "logistic": linear_model.LogisticRegression().fit(X, Y),
        "pipeline": pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVC()).fit(X, Y),
        "function": preprocessing.FunctionTransformer(np.log1p).fit(X),
        "tree": ensemble.RandomForestClassifier(3, max_depth=2).fit(X, Y),
        "text": text.CountVectorizer().fit(SENTENCES),
    }
    for name, model in models.items():
        skops.io.dump(model, corpus.at(f"skops/{name}.skops", "skops", "skops", name))


def imbalanced(corpus):
    from imblearn import over_sampling, under_sampling
    from imblearn import pipeline as sampling

    models = {
        "smote": over_sampling.SMOTE(k_neighbors=2, random_state=1),
        "under": under_sampling.RandomUnderSampler(random_state=1),
        "pipeline": sampling.make_pipeline(over_sampling.RandomOverSampler(random_state=1), linear_model.LogisticRegression()),
    }
    for name, model in models.items():
        fit = model.fit(X, Y) if name == "pipeline" else model
        corpus.put(f"imblearn/{name}.pkl", "imblearn", "pickle", name, pickle.dumps(fit))
