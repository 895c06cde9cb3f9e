"""Model folders as MLflow writes them, of several flavours."""

import pathlib

import catboost
import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from sklearn import linear_model, pipeline, preprocessing

from benign_common import SEED

RNG = np.random.default_rng(SEED)
X = pd.DataFrame(RNG.normal(size=(30, 3)), columns=["a", "b", "c"])
Y = (X["a"] > 0).astype(int)
PINS = ["mlflow==3.17.2", "numpy==2.4.6", "scikit-learn==1.9.1", "cloudpickle==3.1.2"]


def write(corpus):
    signature = infer_signature(X, np.array([0, 1]))
    plain = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(X, Y)
    options = {"pip_requirements": PINS, "signature": signature}
    for form in ("pickle", "cloudpickle", "skops"):
        try:
            folder(corpus, f"sklearn-{form}", lambda path: mlflow.sklearn.save_model(plain, path, serialization_format=form, input_example=X[:2], **options))
        except Exception as error:
            print(f"mlflow: no {form}: {error}")
    boosted = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X, Y)
    for form in ("ubj", "json"):
        folder(corpus, f"xgboost-{form}", lambda path: mlflow.xgboost.save_model(boosted, path, model_format=form, **options))
    light = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(X, Y)
    folder(corpus, "lightgbm", lambda path: mlflow.lightgbm.save_model(light, path, **options))
    cat = catboost.CatBoostClassifier(iterations=2, verbose=False, allow_writing_files=False, thread_count=1).fit(X, Y)
    folder(corpus, "catboost", lambda path: mlflow.catboost.save_model(cat, path, **options))
    folder(corpus, "metadata", lambda path: mlflow.sklearn.save_model(plain, path, metadata={"owner": "team", "ticket": "https://example.org/1"}, conda_env={"channels": ["conda-forge"], "dependencies": ["python=3.11.7", "pip", {"pip": PINS}], "name": "mlflow-env"}))


def folder(corpus, name, save):
    path = corpus.folder / "mlflow" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save(str(pathlib.Path(path)))
    corpus.tree(f"mlflow/{name}", "mlflow", f"an MLflow model, {name}")
