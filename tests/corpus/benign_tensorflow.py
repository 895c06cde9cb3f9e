"""TensorFlow: SavedModels, graphs, checkpoints and TFLite."""

import numpy as np
import tensorflow as tf

from benign_common import SEED


class Scorer(tf.Module):
    """Several signatures, a table and a variable."""

    def __init__(self):
        self.weight = tf.Variable(tf.random.stateless_normal((3, 2), (SEED, 1)))
        keys = tf.constant(["a", "b"])
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, tf.constant([1, 2], tf.int64)), -1)

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)])
    def score(self, x):
        return {"y": tf.nn.softmax(x @ self.weight)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def look(self, words):
        return {"id": self.table.lookup(tf.strings.lower(words))}

    @tf.function(input_signature=[tf.TensorSpec((), tf.int32)])
    def loop(self, n):
        total = tf.constant(0)
        for i in tf.range(n):
            if i % 2 == 0:
                total += i
        return {"total": total}


def write(corpus):
    module = Scorer()
    path = corpus.inside("savedmodel/scorer")
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.score, "look": module.look, "loop": module.loop})
    corpus.tree("savedmodel/scorer", "savedmodel", "a module with several signatures")
    words = corpus.folder / "vocabulary-source.txt"
    words.write_text("cat\ndog\n")
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER), -1)
    module.find = tf.function(lambda x: {"id": module.table.lookup(x)}, input_signature=[tf.TensorSpec((None,), tf.string)])
    tf.saved_model.save(module, str(corpus.inside("savedmodel/vocabulary")), signatures=module.find)
    words.unlink()
    corpus.tree("savedmodel/vocabulary", "savedmodel", "a vocabulary among the assets")
    graphs(corpus)
    checkpoints(corpus)
    lite(corpus)


def graphs(corpus):
    concrete = tf.function(lambda x: tf.nn.relu(x) + 1.0).get_concrete_function(tf.TensorSpec((None, 2), tf.float32))
    tf.io.write_graph(concrete.graph, str(corpus.folder / "graphs"), "relu.pb", as_text=False)
    tf.io.write_graph(concrete.graph, str(corpus.folder / "graphs"), "relu.pbtxt", as_text=True)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 4), "x")
        w = tf.compat.v1.get_variable("w", (4, 2))
        tf.nn.softmax(x @ w, name="y")
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver().save(session, str(corpus.inside("graphs/v1") / "model.ckpt"), global_step=3)
            frozen = tf.compat.v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
            tf.io.write_graph(frozen, str(corpus.folder / "graphs"), "frozen.pb", as_text=False)
    corpus.tree("graphs", "graphdef", "a graph, or a checkpoint with its graph")


def checkpoints(corpus):
    model = tf.keras.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(2)])
    optimizer = tf.keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    tf.train.Checkpoint(model=model, optimizer=optimizer, step=tf.Variable(3)).save(str(corpus.inside("checkpoint") / "ckpt"))
    corpus.tree("checkpoint", "tf-checkpoint", "an object-based checkpoint")


def lite(corpus):
    made = {
        "dense": tf.keras.Sequential([tf.keras.layers.Input((4,)), tf.keras.layers.Dense(8, "relu"), tf.keras.layers.Dense(2)]),
        "image": tf.keras.Sequential([tf.keras.layers.Input((16, 16, 3)), tf.keras.layers.Conv2D(4, 3), tf.keras.layers.MaxPooling2D(), tf.keras.layers.Flatten(), tf.keras.layers.Dense(2, "softmax")]),
    }
    examples = lambda shape: lambda: ([np.random.default_rng(i).normal(size=(1, *shape)).astype("f4")] for i in range(8))
    for name, model in made.items():
        for way in ("plain", "dynamic", "float16", "int8"):
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            if way != "plain":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if way == "float16":
                converter.target_spec.supported_types = [tf.float16]
            if way == "int8":
                converter.representative_dataset = examples(model.input_shape[1:])
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            try:
                corpus.put(f"tflite/{name}-{way}.tflite", "tflite", "tflite", f"{name}, {way}", converter.convert())
            except Exception as error:
                print(f"tflite: {name} {way}: {str(error)[:120]}")
