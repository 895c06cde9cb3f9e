"""Keras on TensorFlow: layers that need it, and models with vocabularies inside."""

import keras
import numpy as np
from keras import layers

from benign_common import SEED


@keras.saving.register_keras_serializable(package="Acme", name="Blend")
class Blend(keras.Model):
    """A subclassed model with its own configuration."""

    def __init__(self, width=4, **options):
        super().__init__(**options)
        self.width = width
        self.first = layers.Dense(width, "relu")
        self.last = layers.Dense(1)

    def call(self, inputs, training=False):
        return self.last(self.first(inputs))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def models():
    text = layers.TextVectorization(20, output_sequence_length=6)
    text.adapt(["the cat sat", "import os and eval the dog", "see http://example.org"])
    words = keras.Input((1,), dtype="string")
    yield "text", keras.Model(words, layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.Embedding(20, 4)(text(words)))))
    number = layers.Normalization()
    number.adapt(np.random.default_rng(SEED).normal(size=(30, 2)))
    a, b, c = keras.Input((2,), name="n"), keras.Input((1,), dtype="string", name="s"), keras.Input((1,), dtype="int64", name="i")
    parts = [number(a), layers.StringLookup(vocabulary=["/usr/bin", "http", "c"], output_mode="one_hot")(b), layers.IntegerLookup(vocabulary=[3, 5], output_mode="multi_hot")(c)]
    yield "tabular", keras.Model([a, b, c], layers.Dense(1)(layers.Concatenate()(parts)))
    hashed = keras.Input((1,), dtype="string")
    yield "hashing", keras.Model(hashed, layers.CategoryEncoding(8)(layers.Hashing(8)(hashed)))
    blend = Blend()
    blend(np.zeros((1, 3), "f4"))
    yield "subclassed", blend
    yield "mobile", keras.applications.MobileNetV3Small((32, 32, 3), weights=None, classes=3, alpha=0.35, minimalistic=True)
    yield "efficient", keras.applications.EfficientNetB0(weights=None, classes=2, input_shape=(32, 32, 3), include_top=False)
    yield "lstm", keras.Sequential([layers.Input((4, 3)), layers.LSTM(3), layers.Dense(1)])
    yield "wrappers", keras.Sequential([layers.Input((4, 3)), layers.TimeDistributed(layers.Dense(2)), layers.RNN(layers.StackedRNNCells([layers.LSTMCell(2), layers.GRUCell(2)])), layers.SpectralNormalization(layers.Dense(2))])


def write(corpus):
    keras.utils.set_random_seed(SEED)
    for name, model in models():
        for form in ("keras", "h5", "weights.h5"):
            path = corpus.at(f"keras-tf/{name}.{form}", "keras" if form != "h5" else "keras-h5", form, f"{name} as {form}", ["SCN-007c"] if name == "subclassed" else [])
            try:
                (model.save_weights if form == "weights.h5" else model.save)(path)
            except Exception as error:
                print(f"keras: {name} as {form}: {str(error)[:120]}")
        try:
            model.export(str(corpus.inside(f"savedmodel/keras-{name}")), verbose=False)
            corpus.tree(f"savedmodel/keras-{name}", "savedmodel", f"{name}, exported")
        except Exception as error:
            print(f"keras: {name} exported: {str(error)[:120]}")
    trained = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    trained.compile("adam", "mse")
    trained.fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(str(corpus.at("keras-tf/epoch-{epoch:02d}.keras".format(epoch=1), "keras", "keras", "a checkpoint of training")))])
