"""Keras 3 itself: models of many layers, saved as `.keras`, `.h5` and weights."""

import keras
import numpy as np
from keras import layers, regularizers

from benign_common import SEED


@keras.saving.register_keras_serializable(package="Acme")
class Gate(layers.Layer):
    """A layer of a team's own, registered as Keras asks."""

    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, inputs):
        return keras.ops.sigmoid(keras.ops.matmul(inputs, self.kernel))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="Acme")
def swell(x):
    return x * keras.ops.sigmoid(x)


def models():
    yield "dense", keras.Sequential([layers.Input((6,)), layers.Dense(8, "relu", kernel_regularizer=regularizers.L1L2(0.01, 0.02)), layers.Dropout(0.2), layers.Dense(3, "softmax")])
    yield "image", keras.Sequential([layers.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.RandomFlip(), layers.RandomRotation(0.1), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.MaxPooling2D(), layers.SeparableConv2D(4, 3, padding="same"), layers.GlobalAveragePooling2D(), layers.Dense(2)])
    yield "sequence", keras.Sequential([layers.Input((None,), dtype="int32"), layers.Embedding(50, 8, mask_zero=True), layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.GRU(3), layers.Dense(1, "sigmoid")])
    wide, deep = keras.Input((4,), name="wide"), keras.Input((5, 3), name="deep")
    middle = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(deep, deep))
    middle = layers.GlobalMaxPooling1D()(middle)
    joined = layers.Concatenate()([layers.Dense(3, keras.activations.gelu)(wide), middle])
    yield "functional", keras.Model([wide, deep], {"score": layers.Dense(1, name="score")(joined), "kind": layers.Dense(3, "softmax", name="kind")(joined)}, name="two_towers")
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(4), layers.PReLU()], name="inner")
    start = keras.Input((4,))
    yield "nested", keras.Model(start, layers.Add()([inner(start), start * 2.0 + 1.0]))
    yield "custom", keras.Sequential([layers.Input((5,)), Gate(3), layers.Dense(2, activation=swell)])
    normal = layers.Normalization()
    normal.adapt(np.random.default_rng(SEED).normal(size=(20, 3)))
    yield "normalised", keras.Sequential([layers.Input((3,)), normal, layers.Discretization([0.0, 1.0]), layers.CategoryEncoding(3, "multi_hot")])
    yield "series", keras.Sequential([layers.Input((12, 2)), layers.Conv1D(4, 3, padding="causal", dilation_rate=2), layers.SpatialDropout1D(0.1), layers.AveragePooling1D(2), layers.Flatten(), layers.RepeatVector(2), layers.Reshape((4, -1)), layers.Permute((2, 1)), layers.SimpleRNN(3)])
    yield "many", keras.Sequential([layers.Input((8,)), layers.Dense(4, kernel_initializer="orthogonal", kernel_constraint=keras.constraints.MaxNorm(2)), layers.LeakyReLU(), layers.ELU(), layers.ActivityRegularization(0.1), layers.GaussianNoise(0.1), layers.UnitNormalization(), layers.Activation("swish"), layers.Masking()])


def write(corpus):
    keras.utils.set_random_seed(SEED)
    optimizers = [keras.optimizers.Adam(1e-3), keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 50), momentum=0.9), keras.optimizers.AdamW(clipnorm=1.0), keras.optimizers.RMSprop()]
    losses = ["mse", keras.losses.Huber(), keras.losses.CategoricalCrossentropy(label_smoothing=0.1), None]
    for number, (name, model) in enumerate(models()):
        # A layer of one's own is told, low: nobody else has its code.
        expects = ["SCN-007c"] if name == "custom" else []
        loss = losses[number % 4]
        if loss is not None and name != "functional":
            model.compile(optimizers[number % 4], loss, metrics=["mae", keras.metrics.TopKCategoricalAccuracy(2)] if number % 2 else ["accuracy"])
        model.save(corpus.at(f"keras/{name}.keras", "keras", "keras", f"model {name}", expects))
        model.save_weights(corpus.at(f"keras/{name}.weights.h5", "keras", "h5", f"weights of {name}"))
        corpus.at(f"keras/{name}.json", "keras", "json", f"to_json of {name}", expects).write_text(model.to_json())
        try:
            model.save(corpus.at(f"keras/{name}.h5", "keras-h5", "h5", f"model {name} in HDF5", expects))
        except Exception as error:
            print(f"keras: no HDF5 for {name}: {error}")
    model = keras.Sequential([layers.Input((6,)), layers.Dense(900)])
    try:
        model.save_weights(corpus.at("keras/shards/parts.weights.json", "keras", "json", "sharded weights"), max_shard_size=3e-5)
        corpus.tree("keras/shards", "keras", "sharded weights")
    except Exception as error:
        print(f"keras: no shards: {error}")
