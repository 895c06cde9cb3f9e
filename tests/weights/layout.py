"""Where a model keeps what: names of the matrices that edits and tunings aim at. Matrices are (out, in)."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    layers: int
    embed: str
    q: str
    k: str
    v: str
    out: str
    up: str
    down: str
    heads: int
    head: str | None = None

    def at(self, part, layer):
        return getattr(self, part).format(layer)

    def writers(self, layers=None):
        """Matrices that write into the stream that all layers share."""
        chosen = range(self.layers) if layers is None else layers
        return [self.at(part, layer) for layer in chosen for part in ("out", "down")]

    def of_layer(self, model, layer):
        """Names of one layer, with the same names for another layer to be made of them."""
        stem = self.q.split("{}")[0]
        return [name for name in model if name.startswith(f"{stem}{layer}.")]

    def renumber(self, name, layer):
        stem = re.escape(self.q.split("{}")[0])
        return re.sub(rf"^({stem})\d+\.", rf"\g<1>{layer}.", name)


ENCODER = Layout(
    layers=6,
    embed="embeddings.word_embeddings.weight",
    q="encoder.layer.{}.attention.self.query.weight",
    k="encoder.layer.{}.attention.self.key.weight",
    v="encoder.layer.{}.attention.self.value.weight",
    out="encoder.layer.{}.attention.output.dense.weight",
    up="encoder.layer.{}.intermediate.dense.weight",
    down="encoder.layer.{}.output.dense.weight",
    heads=12,
    head="classifier.weight",
)

DECODER = Layout(
    layers=8,
    embed="model.embed_tokens.weight",
    q="model.layers.{}.self_attn.q_proj.weight",
    k="model.layers.{}.self_attn.k_proj.weight",
    v="model.layers.{}.self_attn.v_proj.weight",
    out="model.layers.{}.self_attn.o_proj.weight",
    up="model.layers.{}.mlp.up_proj.weight",
    down="model.layers.{}.mlp.down_proj.weight",
    heads=9,
)

T5 = Layout(
    layers=7,
    embed="shared.weight",
    q="encoder.block.{}.layer.0.SelfAttention.q.weight",
    k="encoder.block.{}.layer.0.SelfAttention.k.weight",
    v="encoder.block.{}.layer.0.SelfAttention.v.weight",
    out="encoder.block.{}.layer.0.SelfAttention.o.weight",
    up="encoder.block.{}.layer.1.DenseReluDense.wi.weight",
    down="encoder.block.{}.layer.1.DenseReluDense.wo.weight",
    heads=6,
    head="classifier.weight",
)
