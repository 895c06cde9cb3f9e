"""ONNX graphs from its own library and from the converters of classical models."""

import numpy as np
import onnx
from onnx import TensorProto, checker, compose, helper, numpy_helper
from sklearn import cluster, decomposition, ensemble, linear_model, naive_bayes, neural_network, pipeline, preprocessing, svm, tree

from benign_common import SEED

RNG = np.random.default_rng(SEED)
X = RNG.uniform(0.1, 2, size=(40, 5)).astype("f4")
Y = (X[:, 0] > 1).astype(int)


def network(layers, opset):
    nodes, weights, last = [], [], "input"
    for i in range(layers):
        weights.append(numpy_helper.from_array(RNG.normal(size=(5, 5)).astype("f4"), f"layers.{i}.weight"))
        weights.append(numpy_helper.from_array(np.zeros(5, "f4"), f"layers.{i}.bias"))
        nodes.append(helper.make_node("Gemm", [last, f"layers.{i}.weight", f"layers.{i}.bias"], [f"h{i}"], transB=1, name=f"/layers/{i}/Gemm"))
        nodes.append(helper.make_node("Relu", [f"h{i}"], [f"a{i}"], name=f"/layers/{i}/Relu"))
        last = f"a{i}"
    nodes.append(helper.make_node("Softmax", [last], ["output"], axis=-1, name="/Softmax"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 5]) for name in ("input", "output")]
    graph = helper.make_graph(nodes, "main_graph", ends[:1], ends[1:], weights, doc_string="a small network")
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="pytorch", producer_version="2.15.0")


def write(corpus):
    for layers, opset in [(1, 9), (2, 13), (3, 17), (6, 21)]:
        model = network(layers, opset)
        checker.check_model(model)
        onnx.save(model, corpus.at(f"onnx/gemm-{layers}.onnx", "onnx", "onnx", f"{layers} layers, opset {opset}"))
    onnx.save(network(4, 17), corpus.at("onnx/apart/model.onnx", "onnx", "onnx", "weights in a file of their own"), save_as_external_data=True, location="model.onnx_data", size_threshold=8)
    corpus.tree("onnx/apart", "onnx", "weights in a file of their own")
    onnx.save(network(3, 17), corpus.at("onnx/each/model.onnx", "onnx", "onnx", "a file for each tensor"), save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=8)
    corpus.tree("onnx/each", "onnx", "a file for each tensor")
    noted = network(2, 15)
    helper.set_model_props(noted, {"author": "team", "url": "https://example.org/m", "labels": '["a","b"]'})
    onnx.save(noted, corpus.at("onnx/noted.onnx", "onnx", "onnx", "with properties"))
    onnx.save(noted, corpus.at("onnx/noted.onnx.json", "onnx", "json", "as JSON"), format="json")
    onnx.save(noted, corpus.at("onnx/noted.onnxtxt", "onnx", "onnxtxt", "as text"), format="onnxtxt")
    onnx.save(noted, corpus.at("onnx/noted.textproto", "onnx", "textproto", "as protobuf's text"), format="textproto")
    first, second = compose.add_prefix(network(1, 17), "a/"), compose.add_prefix(network(1, 17), "b/")
    merged = compose.merge_models(first, second, io_map=[("a/output", "b/input")])
    onnx.save(merged, corpus.at("onnx/merged.onnx", "onnx", "onnx", "two models merged"))
    quantised(corpus)
    converted(corpus)


def quantised(corpus):
    weight = numpy_helper.from_array(RNG.integers(-9, 9, size=(5, 5)).astype("i1"), "w")
    scale, zero = numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.int8(0), "z")
    nodes = [helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wf"]), helper.make_node("MatMul", ["x", "wf"], ["y"])]
    graph = helper.make_graph(nodes, "q", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])], [weight, scale, zero])
    onnx.save(helper.make_model(graph), corpus.at("onnx/quantised.onnx", "onnx", "onnx", "dequantised weights"))
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Add", ["v", "v"], ["vo"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("c", TensorProto.BOOL, []), helper.make_tensor_value_info("v", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("co", TensorProto.BOOL, []), helper.make_tensor_value_info("vo", TensorProto.FLOAT, [1])],
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    graph = helper.make_graph([loop], "loop", [helper.make_tensor_value_info("n", TensorProto.INT64, []), helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    onnx.save(helper.make_model(graph), corpus.at("onnx/loop.onnx", "onnx", "onnx", "a loop with a graph inside"))


def converted(corpus):
    import lightgbm
    import xgboost
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType as Tensor
    from skl2onnx import to_onnx

    models = {
        "logistic": linear_model.LogisticRegression(),
        "ridge": linear_model.Ridge(),
        "tree": tree.DecisionTreeClassifier(max_depth=3),
        "forest": ensemble.RandomForestRegressor(3, max_depth=3),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=3),
        "svc": svm.SVC(),
        "bayes": naive_bayes.GaussianNB(),
        "mlp": neural_network.MLPClassifier((4,), max_iter=20),
        "kmeans": cluster.KMeans(2, n_init=1),
        "pca": decomposition.PCA(2),
        "pipeline": pipeline.make_pipeline(preprocessing.StandardScaler(), preprocessing.Normalizer(), linear_model.LogisticRegression()),
    }
    for name, model in models.items():
        onnx.save(to_onnx(model.fit(X, Y), X[:1]), corpus.at(f"onnx/sklearn-{name}.onnx", "onnx-sklearn", "onnx", f"skl2onnx of {name}"))
    kinds = [("input", Tensor([None, 5]))]
    boosted = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y)
    onnx.save(convert_xgboost(boosted, initial_types=kinds), corpus.at("onnx/xgboost.onnx", "onnx-boosters", "onnx", "onnxmltools of XGBoost"))
    light = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, Y)
    onnx.save(convert_lightgbm(light, initial_types=kinds), corpus.at("onnx/lightgbm.onnx", "onnx-boosters", "onnx", "onnxmltools of LightGBM"))
