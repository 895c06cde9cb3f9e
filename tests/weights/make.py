"""Writes pairs of versions: `make.py OUT SET`, where SET is `design` (which the rules were made with), `fresh` (other
models and seeds) or `drawn` (other models again, and edits drawn at random). Of each pair the manifest says what it is;
bases are written once for each type."""

import dataclasses
import json
import os
import sys

import benign
import drawn
import files
import hostile
import layout as layouts
import models
import numpy as np


def runs(loss, model, layout, texts, seed, rate, trainable):
    """Successors that need training: name to the versions before and after."""
    rng = np.random.default_rng(seed)
    data = models.batches(texts, 12, rng)
    train = lambda start, steps, rate, **how: models.train(loss, start, layout, data, steps, rate, **how)
    last_two = [f".{layout.layers - 1}.", f".{layout.layers - 2}."]
    linear = [layout.at(part, layer) for layer in range(layout.layers) for part in ("q", "v", "out", "up", "down")]
    made = {"tuned-short": (model, train(model, 4, rate / 3))}
    long, checkpoints = train(model, 40, rate, keep=(28, 32, 36))
    made["tuned-long"] = (model, long)
    made["next-checkpoint"] = (checkpoints[-1], long)
    made["averaged-checkpoints"] = (model, {name: np.mean([c[name] for c in checkpoints], axis=0, dtype=np.float32) for name in long})
    made["tuned-last-two"] = (model, train(model, 12, rate, names=lambda name: any(part in name for part in last_two)))
    made["tuned-last-layer-down"] = (model, train(model, 12, rate, names=lambda name: name == layout.at("down", layout.layers - 1) or trainable(name)))
    made["lora-qv"] = (model, train(model, 16, rate * 10, lora=(8, [layout.at(part, layer) for layer in range(layout.layers) for part in "qv"], seed)))
    made["lora-all"] = (model, train(model, 12, rate * 10, lora=(4, linear, seed + 1)))
    made["lora-r1"] = (model, train(model, 12, rate * 10, lora=(1, linear, seed + 2)))
    made["tuned-plain-descent"] = (model, train(model, 12, rate * 300, adam=False))
    made["one-plain-step"] = (model, train(model, 1, rate * 300, adam=False))
    made["tuned-vectors"] = (model, train(model, 10, rate * 5, names=lambda name: model[name].ndim == 1))
    made["tuned-table"] = (model, train(model, 10, rate, names=lambda name: name == layout.embed))
    made["tuned-but-table"] = (model, train(model, 10, rate, names=lambda name: name != layout.embed, decay=0.01))
    made["tuned-tiny-steps"] = (model, train(model, 8, rate / 30))
    return made


class Writer:
    """Pairs of one model as files and lines of the manifest."""

    def __init__(self, out, manifest, stem):
        self.out, self.manifest, self.stem, self.bases = out, manifest, stem, {}
        os.makedirs(os.path.join(out, stem), exist_ok=True)

    def path(self, name, arrays, **how):
        where = f"{self.stem}/{name}.safetensors"
        files.write(os.path.join(self.out, where), arrays, **how)
        return where

    def base(self, arrays):
        # The arrays are kept, so that nothing else can have their identity.
        key = id(arrays)
        if key not in self.bases:
            self.bases[key] = (self.path(f"old-{len(self.bases)}", arrays), arrays)
        return self.bases[key][0]

    def add(self, name, label, kind, old, new, **how):
        line = {"model": self.stem, "name": name, "label": label, "class": kind}
        line |= {"old": self.base(old), "new": self.path(name, new, **how)}
        self.manifest.write(json.dumps(line) + "\n")


def pairs(out, manifest, stem, loss, model, layout, other, texts, seed, rate, trainable):
    trained = runs(loss, model, layout, texts, seed, rate, trainable)
    rng = np.random.default_rng(seed + 100)
    trained["trained-anew"] = (model, other)
    writer = Writer(out, manifest, stem)
    for name, old, new, how in benign.variants(model, layout, trained, rng):
        writer.add(name, "benign", "", old, new, **how)
    for name, kind, old, new in hostile.variants(model, layout, trained["tuned-long"][1], other, rng):
        writer.add(name, "hostile", kind, old, new)
    print(f"{stem}: written", flush=True)


def draw(out, manifest, stem, loss, model, layout, other, texts, seed, rate):
    rng = np.random.default_rng(seed)
    data = models.batches(texts, 12, rng)
    train = lambda steps, factor, **how: models.train(loss, model, layout, data, steps, rate * factor, **how)
    writer = Writer(out, manifest, stem)
    for name, old, new in drawn.successors(model, layout, train, rng):
        writer.add(name, "benign", "", old, new)
    tuned = train(20, 1)
    for name, kind, old, new in drawn.edits(model, layout, tuned, other, rng):
        writer.add(name, "hostile", kind, old, new)
    print(f"{stem}: written", flush=True)


def main(out, which):
    texts = models.corpus()
    os.makedirs(out, exist_ok=True)
    head = lambda name: name.startswith("classifier")
    with open(os.path.join(out, "manifest.jsonl"), "w", encoding="utf-8") as manifest:
        if which == "design":
            rng = np.random.default_rng(1)
            encoder = layouts.ENCODER
            real = models.minilm(rng)
            other = models.train(models.encoder_loss, models.scratch(encoder, 384, 1536, rng, True) | {
                name: array for name, array in real.items() if "position" in name or "pooler" in name
            }, encoder, models.batches(texts, 12, rng), 6, 1e-3)
            pairs(out, manifest, "minilm", models.encoder_loss, real, encoder, other, texts, 11, 5e-5, head)
            small = dataclasses.replace(layouts.DECODER, layers=6, heads=6)
            own = [models.scratch(small, 192, 512, np.random.default_rng(seed), False, 96) for seed in (2, 3)]
            own = [models.train(models.decoder_loss, start, small, models.batches(texts, 12, rng), 150, 2e-3) for start in own]
            pairs(out, manifest, "own-decoder", models.decoder_loss, own[0], small, own[1], texts, 12, 3e-4, head)
        elif which == "drawn":
            rng = np.random.default_rng(2001)
            shape = dataclasses.replace(layouts.DECODER, layers=7)
            real = models.smollm(shape, first=21, tokens=20000)
            other = models.smollm(shape, first=12, tokens=30000)
            draw(out, manifest, "smollm2-upper", models.decoder_loss, real, shape, other, texts, 2011, 5e-5)
            own = [models.t5(layouts.T5, 176, 288, 704, np.random.default_rng(seed)) for seed in (2002, 2003)]
            own = [models.train(models.t5_loss, start, layouts.T5, models.batches(texts, 24, rng), 150, 1e-3) for start in own]
            draw(out, manifest, "own-t5", models.t5_loss, own[0], layouts.T5, own[1], texts, 2012, 2e-4)
        else:
            rng = np.random.default_rng(1001)
            real = models.smollm(layouts.DECODER)
            other = models.scratch(layouts.DECODER, 576, 1536, rng, False, 192)
            other = models.train(models.decoder_loss, other, layouts.DECODER, models.batches(texts, 12, rng), 4, 1e-3)
            pairs(out, manifest, "smollm2", models.decoder_loss, real, layouts.DECODER, other, texts, 1011, 5e-5, head)
            small = dataclasses.replace(layouts.ENCODER, layers=8, heads=4)
            own = [models.scratch(small, 160, 640, np.random.default_rng(seed), True) for seed in (1002, 1003)]
            own = [models.train(models.encoder_loss, start, small, models.batches(texts, 24, rng), 120, 1e-3) for start in own]
            pairs(out, manifest, "own-encoder", models.encoder_loss, own[0], small, own[1], texts, 1012, 2e-4, head)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
