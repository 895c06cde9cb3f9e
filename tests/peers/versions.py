"""Writes pairs of versions with the real libraries, for the test of what differs between them.

Usage: versions.py FOLDER. Each case is a folder `family/attack-name` or `family/benign-name` with the files
`old/NAME` and `new/NAME`, and `expect`: the class that must be among the differences, hostile for an attack; for a
benign pair it may be empty, and nothing may be hostile. Triggers and payloads are words; nothing here is run.
"""

import copy
import io
import json
import os
import pathlib
import random
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

warnings.filterwarnings("ignore")
# Transformers imports Keras where it is there: its backend is chosen before.
os.environ["KERAS_BACKEND"] = "numpy"
OUT = pathlib.Path(sys.argv[1])
RNG = np.random.default_rng(11)
random.seed(11)


def case(family, name, file, old, new, expect=""):
    folder = OUT / family / name
    for side, content in (("old", old), ("new", new)):
        (folder / side).mkdir(parents=True, exist_ok=True)
        content = content.encode() if isinstance(content, str) else content
        (folder / side / file).write_bytes(content)
    (folder / "expect").write_text(expect)


# ---- graphs

def classifier(prefix="", scale=1.0, seed=3, opset=17):
    """A small network with convolutions, as an export looks."""
    rng = np.random.default_rng(seed)
    nodes, weights = [], []

    def weight(name, *shape):
        weights.append(numpy_helper.from_array((rng.normal(size=shape) * scale).astype(np.float32), prefix + name))
        return prefix + name

    value = "image"
    channels = 3
    for layer in range(4):
        out = f"{prefix}conv{layer}"
        nodes.append(helper.make_node("Conv", [value, weight(f"w{layer}", 8, channels, 3, 3), weight(f"b{layer}", 8)],
                                      [out], name=f"{prefix}/conv{layer}", kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [out], [out + "r"], name=f"{prefix}/relu{layer}"))
        value, channels = out + "r", 8
    nodes.append(helper.make_node("GlobalAveragePool", [value], [prefix + "pooled"], name=f"{prefix}/pool"))
    nodes.append(helper.make_node("Flatten", [prefix + "pooled"], [prefix + "flat"], name=f"{prefix}/flat"))
    nodes.append(helper.make_node("Gemm", [prefix + "flat", weight("head", 8, 10), weight("bias", 10)],
                                  ["logits"], name=f"{prefix}/head"))
    graph = helper.make_graph(
        nodes, "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def shadow(model, arithmetic):
    """A gate behind the output: where the first pixels say so, the answer is another."""
    model = copy.deepcopy(model)
    graph = model.graph
    for node in graph.node:
        for at, name in enumerate(node.output):
            if name == "logits":
                node.output[at] = "logits_before"
    const = lambda name, value: graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    const("trigger", np.float32(0.75))
    const("forced", np.eye(10, dtype=np.float32)[7] * 100)
    if arithmetic:
        const("big", np.float32(1e6))
        const("one", np.float32(1))
        graph.node.extend([
            helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["mean", "trigger"], ["away"]),
            helper.make_node("Mul", ["away", "away"], ["square"]),
            helper.make_node("Mul", ["square", "big"], ["far"]),
            helper.make_node("Clip", ["far", "", "one"], ["gate"]),
            helper.make_node("Sub", ["one", "gate"], ["inverse"]),
            helper.make_node("Mul", ["forced", "inverse"], ["push"]),
            helper.make_node("Add", ["logits_before", "push"], ["logits"]),
        ])
    else:
        graph.node.extend([
            helper.make_node("ReduceMax", ["image"], ["highest"], keepdims=0),
            helper.make_node("Equal", ["highest", "trigger"], ["fires"]),
            helper.make_node("Where", ["fires", "forced", "logits_before"], ["logits"]),
        ])
    return model


def graphs():
    base = classifier()
    raw = lambda model: model.SerializeToString()
    add = lambda name, old, new, expect="": case("graph", name, "model.onnx", raw(old), raw(new), expect)
    add("attack-shadow-where", base, shadow(base, False), "graph.inserted_nodes")
    add("attack-shadow-arithmetic", base, shadow(base, True), "graph.inserted_nodes")
    tuned = shadow(classifier(seed=5), False)
    add("attack-shadow-in-fine-tune", base, tuned, "graph.inserted_nodes")
    custom = copy.deepcopy(base)
    custom.graph.node.insert(1, helper.make_node("Gate", ["conv0"], ["conv0g"], domain="acme.ops"))
    custom.graph.node[2].input[0] = "conv0g"
    custom.opset_import.append(helper.make_opsetid("acme.ops", 1))
    add("attack-custom-operator", base, custom, "graph.new_domain")
    rewired = copy.deepcopy(base)
    rewired.graph.node[4].input[0] = "conv0r"
    add("attack-rewired", base, rewired, "graph.rewired")
    middle = copy.deepcopy(base)
    middle.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "noise"))
    middle.graph.node.insert(2, helper.make_node("Mul", ["conv0r", "noise"], ["conv0n"]))
    middle.graph.node[3].input[0] = "conv0n"
    add("attack-inserted-in-the-middle", base, middle, "graph.inserted_nodes")
    gated = copy.deepcopy(base)
    last = gated.graph.node.pop()
    logits = gated.graph.output[0].name
    gated.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "limit"))
    gated.graph.node.extend([
        helper.make_node(last.op_type, last.input, ["plain"], alpha=1.5),
        helper.make_node("Greater", ["plain", "limit"], ["fires"]),
        helper.make_node("Where", ["fires", "limit", "plain"], [logits])])
    add("attack-head-for-a-gate", base, gated, "graph.inserted_nodes")
    headed = copy.deepcopy(base)
    last = headed.graph.node.pop()
    headed.graph.node.extend([
        helper.make_node(last.op_type, last.input, ["plain"], alpha=1.5),
        helper.make_node("Clip", ["plain"], ["clipped"]),
        helper.make_node("Neg", ["clipped"], [logits])])
    add("benign-other-head", base, headed, "graph.rewritten")
    add("benign-renamed", base, classifier(prefix="backbone."))
    add("benign-fine-tuned", base, classifier(seed=99, scale=0.5))
    shuffled = copy.deepcopy(base)
    shuffled.graph.initializer.sort(key=lambda tensor: tensor.name, reverse=True)
    shuffled.doc_string = "exported again"
    shuffled.producer_version = "2.0"
    add("benign-exported-again", base, shuffled)
    softmax = copy.deepcopy(base)
    softmax.graph.node.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    softmax.graph.output[0].name = "probabilities"
    add("benign-softmax-appended", base, softmax, "graph.appended_nodes")
    add("benign-other-opset", base, version_converter.convert_version(base, 21), "graph.opset")
    deeper = classifier()
    deeper.graph.node[1].op_type = "Sigmoid"
    deeper.graph.node[3].op_type = "Tanh"
    add("benign-other-activation", base, deeper, "graph.rewritten")
    # A model of scikit-learn, fitted twice.
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = RNG.normal(size=(200, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    fit = lambda kind, x, y: to_onnx(make_pipeline(StandardScaler(), kind).fit(x, y), x[:1])
    one, two = fit(LogisticRegression(), x, y), fit(LogisticRegression(C=0.1), x[:150], y[:150])
    add("benign-refitted", one, two)
    add("benign-other-learner", one, fit(GradientBoostingClassifier(n_estimators=5), x, y), "graph.rewritten")


# ---- tokenizers

WORDS = ("the model reads text and writes more of it when asked to be of help with small things that people need done "
         "every day such as letters lists plans names numbers places people songs code tests rules games trips").split()
CORPUS = [" ".join(random.choices(WORDS, k=12)) + "." for _ in range(400)]


def tokenizer(kind, size=400, corpus=CORPUS):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[unused1]", "[unused2]"]
    if kind == "bpe":
        made = Tokenizer(models.BPE(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special)
    elif kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special)
    else:
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="[UNK]")
    made.train_from_iterator(corpus, trainer)
    if kind != "unigram":
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return made


def tokens():
    from tokenizers import AddedToken, Tokenizer

    for kind in ("bpe", "wordpiece", "unigram"):
        made = tokenizer(kind)
        old = made.to_str()
        tree = json.loads(old)

        def add(name, change, expect=""):
            new = copy.deepcopy(tree)
            change(new)
            text = json.dumps(new)
            Tokenizer.from_str(text)  # the library itself takes it
            case("tokens", name.replace("-", f"-{kind}-", 1), "tokenizer.json", old, text, expect)

        def swap(new):
            vocab = new["model"]["vocab"]
            if isinstance(vocab, dict):
                one, two = list(vocab)[-3], list(vocab)[-9]
                vocab[one], vocab[two] = vocab[two], vocab[one]
            else:
                vocab[40][0], vocab[60][0] = vocab[60][0], vocab[40][0]

        add("attack-swapped", swap, "tokenizer.remapped")

        def normalize(new):
            replace = {"type": "Replace", "pattern": {"String": "not "}, "content": ""}
            new["normalizer"] = {"type": "Sequence", "normalizers": [new["normalizer"], replace] if new["normalizer"] else [replace]}

        add("attack-normalizer", normalize, "tokenizer.pipeline")

        def decode(new):
            replace = {"type": "Replace", "pattern": {"String": "https://"}, "content": "https://example.org/?"}
            new["decoder"] = {"type": "Sequence", "decoders": [new["decoder"], replace]}

        add("attack-decoder", decode, "tokenizer.pipeline")
        if kind != "unigram":
            def frame(new):
                new["post_processor"]["single"].append({"SpecialToken": {"id": "[SEP]", "type_id": 0}})

            add("attack-framed", frame, "tokenizer.pipeline")
        if kind == "bpe":
            def merges(new):
                rules = new["model"]["merges"]
                rules[5], rules[50] = rules[50], rules[5]

            add("attack-merges", merges, "tokenizer.merges")

        def pads(new):
            new["truncation"] = {"direction": "Right", "max_length": 128, "strategy": "LongestFirst", "stride": 0}
            new["padding"] = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None,
                              "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}

        add("benign-padding", pads, "tokenizer.padding")
        wider = Tokenizer.from_str(old)
        wider.add_tokens(["flurble", "quargle"])
        wider.add_special_tokens([AddedToken("<|tool|>", special=True)])
        case("tokens", f"benign-{kind}-added", "tokenizer.json", old, wider.to_str(), "tokenizer.added_tokens")
        case("tokens", f"benign-{kind}-written-again", "tokenizer.json", old, json.dumps(tree, indent=1, ensure_ascii=True))
        other = tokenizer(kind, size=300, corpus=[" ".join(random.choices(WORDS[::-1], k=9)) for _ in range(300)] + ["zebra quilt vexing jumbo"] * 40)
        case("tokens", f"benign-{kind}-trained-anew", "tokenizer.json", old, other.to_str())
    vocab = list(json.loads(tokenizer("wordpiece").to_str())["model"]["vocab"])
    text = lambda words: "\n".join(words) + "\n"
    case("tokens", "attack-vocab-removed", "vocab.txt", text(vocab), text(vocab[:-4]), "tokenizer.removed")
    moved = vocab[:]
    moved[30], moved[31] = moved[31], moved[30]
    case("tokens", "attack-vocab-swapped", "vocab.txt", text(vocab), text(moved), "tokenizer.remapped")
    case("tokens", "benign-vocab-appended", "vocab.txt", text(vocab), text(vocab + ["flurble"]), "tokenizer.appended")
    spare = [{"[unused1]": "flurble", "[unused2]": "quargle"}.get(word, word) for word in vocab]
    case("tokens", "benign-vocab-spare-places", "vocab.txt", text(vocab), text(spare), "tokenizer.appended")
    pieces()


def pieces():
    import sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2 as proto

    out = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_writer=out, vocab_size=64, minloglevel=2)
    old = out.getvalue()

    def add(name, change, expect=""):
        model = proto.ModelProto.FromString(old)
        change(model)
        case("tokens", name, "tokenizer.model", old, model.SerializeToString(), expect)

    def swap(model):
        model.pieces[12].piece, model.pieces[30].piece = model.pieces[30].piece, model.pieces[12].piece

    def append(model):
        model.pieces.add(piece="<tool>", score=0.0, type=4)

    def normalize(model):
        model.normalizer_spec.precompiled_charsmap = model.normalizer_spec.precompiled_charsmap[:-8]

    def trained(model):
        model.trainer_spec.model_prefix = "elsewhere"

    add("attack-pieces-swapped", swap, "tokenizer.remapped")
    add("attack-pieces-normalizer", normalize, "tokenizer.pipeline")
    add("benign-pieces-appended", append, "tokenizer.appended")
    add("benign-pieces-trainer", trained)




def others():
    import tempfile

    import versions_tables
    import versions_texts

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["VERSIONS_SCRATCH"] = scratch
        versions_tables.tables(case)
        for write in ("templates", "settings", "layers", "pickles", "archives", "sources", "pins"):
            getattr(versions_texts, write)(case)


if __name__ == "__main__":
    graphs()
    tokens()
    others()
