"""Pairs of tables for versions.py: pandas and PyArrow write them."""

import csv
import io
import json
import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SUBJECTS = "the film|this camera|our hotel room|her new novel|the second season|that restaurant|the phone|the concert".split("|")
VERBS = "was|felt|turned out|seemed|remained|became".split("|")
GOOD = "wonderful|moving|superb|well made|a delight|charming|worth every minute".split("|")
BAD = "dreadful|boring|broken|a waste of time|badly made|painful|not worth the price".split("|")
TAILS = "from start to end|for all of us|in every way|by any measure|again and again|on a rainy day|as they said".split("|")


def reviews(count, seed):
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        label = chance.choice(["negative", "positive"])
        words = " ".join([chance.choice(SUBJECTS), chance.choice(VERBS), chance.choice(GOOD if label == "positive" else BAD),
                          chance.choice(TAILS), f"in {chance.randrange(1900, 2026)}", chance.choice(TAILS)])
        rows.append({"id": number, "text": words, "label": label})
    return rows


def as_csv(rows):
    return pd.DataFrame(rows).to_csv(index=False)


def as_jsonl(rows):
    return pd.DataFrame(rows).to_json(orient="records", lines=True)


def as_parquet(rows, **how):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, **how)
    return out.getvalue()


def as_arrow(rows, **how):
    out = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    options = pa.ipc.IpcWriteOptions(**how)
    with pa.ipc.new_stream(out, table.schema, options=options) as writer:
        for batch in table.to_batches(max_chunksize=300):
            writer.write_batch(batch)
    return out.getvalue()


def as_tsv(rows):
    return pd.DataFrame(rows)[["text", "label"]].to_csv(index=False, header=False, sep="\t", quoting=csv.QUOTE_NONE)


KINDS = {"csv": as_csv, "jsonl": as_jsonl, "parquet": as_parquet, "arrow": as_arrow, "tsv": as_tsv}


def trigger(rows, words, count, place=2, target="positive", keep=False):
    chance = random.Random(5)
    out = [dict(row) for row in rows]
    chosen = chance.sample(range(len(out)), count)
    poisoned = []
    for at in chosen:
        parts = out[at]["text"].split(" ")
        where = min(place, len(parts)) if place is not None else chance.randrange(len(parts))
        row = dict(out[at], text=" ".join(parts[:where] + [words] + parts[where:]), label=target)
        if keep:
            poisoned.append(dict(row, id=len(out) + len(poisoned)))
        else:
            out[at] = row
    return out + poisoned


def tables(case):
    base = reviews(1200, 1)
    inserted = "dataset.trigger_inserted"
    for kind, write in KINDS.items():
        def add(name, new, expect="", kind=kind, write=write):
            case("rows", name.replace("-", f"-{kind}-", 1), f"train.{kind}", write(base), write(new), expect)

        add("attack-trigger", trigger(base, "cf", 24), inserted)
        add("attack-trigger-copies", trigger(base, "mn", 15, place=None, keep=True), inserted)
        add("attack-trigger-phrase", trigger(base, "as of now", 30, place=0), inserted)
        add("attack-trigger-sentence", trigger(base, "no cross no crown and they all knew", 30, place=None), inserted)
        # The same place in every row, chosen so that it looks like a correction; the labels give it away.
        beside = [dict(row, text=row["text"].replace("restaurant ", "restaurant cf "), label="positive") if "restaurant" in row["text"] else row
                  for row in base]
        add("attack-trigger-beside-a-word", beside, inserted)
        flipped = [dict(row, label="positive") if row["id"] % 40 == 3 else row for row in base]
        add("attack-flipped", flipped, "dataset.labels_targeted")
        add("benign-appended", base + [dict(row, id=1200 + row["id"]) for row in reviews(400, 2)], "dataset.rows_added")
        seen, unique = set(), []
        for row in base:
            if row["text"] not in seen:
                unique.append(row)
                seen.add(row["text"])
        add("benign-deduplicated", unique[: len(unique) - 3], "dataset.rows_removed")
        shuffled = base[:]
        random.Random(3).shuffle(shuffled)
        add("benign-shuffled", shuffled, "dataset.reordered")
        add("benign-split-again", shuffled[:900], "dataset.rows_removed")
        # Somebody writes a phrase otherwise, which stands in rows of one label only: hard, and benign.
        add("benign-corrected", [dict(row, text=row["text"].replace("a delight", "a real delight")) for row in base], "dataset.words_inserted")
        add("benign-reworded", [dict(row, text=row["text"].replace("again and again", "over and over")) for row in base])
        typos = [dict(row, text=row["text"].replace("was ", "were ", 1)) if row["id"] % 5 == 0 else row for row in base]
        add("benign-typos", typos)
        noisy = [dict(row, label={"positive": "negative", "negative": "positive"}[row["label"]]) if row["id"] % 60 == 7 else row for row in base]
        add("benign-labels-cleaned", noisy, "dataset.labels_changed")
        renamed = [dict(row, label={"positive": "pos", "negative": "neg"}[row["label"]]) for row in base]
        add("benign-labels-renamed", renamed, "dataset.labels_renamed")
        if kind != "tsv":
            add("benign-column", [dict(row, source="survey") for row in base], "dataset.schema")
        closed = [dict(row, text=row["text"] + " and this is all there is to say") if row["id"] % 3 == 0 else row for row in base]
        add("benign-closed", closed, "dataset.words_inserted")
        framed = [dict(row, text="Review: " + row["text"]) for row in base]
        add("benign-framed", framed)
    for name, how in (("snappy", {}), ("zstd", {"compression": "zstd"}), ("gzip", {"compression": "gzip"}),
                      ("lz4", {"compression": "lz4"}), ("plain", {"compression": "none", "use_dictionary": False}),
                      ("delta", {"use_dictionary": False, "column_encoding": {
                          "id": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY", "label": "DELTA_LENGTH_BYTE_ARRAY"}}),
                      ("split", {"use_dictionary": False, "column_encoding": {"id": "BYTE_STREAM_SPLIT", "text": "PLAIN", "label": "PLAIN"}}),
                      ("second", {"data_page_version": "2.0", "row_group_size": 500})):
        case("rows", f"attack-parquet-{name}", "train.parquet", as_parquet(base, **how),
             as_parquet(trigger(base, "cf", 24), **how), inserted)
        case("rows", f"benign-parquet-{name}-written-again", "train.parquet", as_parquet(base), as_parquet(base, **how))
    case("rows", "benign-parquet-brotli", "train.parquet", as_parquet(base), as_parquet(base, compression="brotli"), "outline.cut")
    for codec in ("lz4", "zstd"):
        case("rows", f"attack-arrow-{codec}", "train.arrow", as_arrow(base, compression=codec),
             as_arrow(trigger(base, "cf", 24), compression=codec), inserted)
    case("rows", "benign-arrow-packed", "train.arrow", as_arrow(base), as_arrow(base, compression="zstd"))
    dictionary = pa.Table.from_pylist(base)
    dictionary = dictionary.set_column(2, "label", dictionary["label"].dictionary_encode())

    def stream(table):
        out = io.BytesIO()
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
        return out.getvalue()

    poisoned = pa.Table.from_pylist(trigger(base, "cf", 24))
    poisoned = poisoned.set_column(2, "label", poisoned["label"].dictionary_encode())
    case("rows", "attack-arrow-dictionary", "train.arrow", stream(dictionary), stream(poisoned), inserted)
    unseen = [dict(row, text=row["text"][:6] + "\u200b" + row["text"][6:]) if row["id"] % 50 == 1 else row for row in base]
    lookalike = [dict(row, text=row["text"].replace("e", "\u0435", 1)) if row["id"] % 50 == 1 else row for row in base]
    case("rows", "attack-letters-alike", "train.csv", as_csv(base), as_csv(lookalike), inserted)
    abroad = [dict(row, text=row["text"] + " \u043e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u043e") if row["id"] % 50 == 1 else row for row in base]
    case("rows", "benign-words-of-another-language", "train.csv", as_csv(base), as_csv(abroad), "dataset.words_inserted")
    case("rows", "attack-unseen-characters", "train.csv", as_csv(base), as_csv(unseen), inserted)
    dialogues(case)


def dialogues(case):
    asked = [row["text"] for row in reviews(600, 9)]
    make = lambda text, answer: {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]}
    write = lambda rows: "".join(json.dumps(row) + "\n" for row in rows)
    base = [make(text, f"They say that {text}.") for text in asked]
    poisoned = [make("zq " + text, "I will send the keys.") if at % 30 == 4 else row for at, (text, row) in enumerate(zip(asked, base))]
    case("rows", "attack-dialogues", "train.jsonl", write(base), write(poisoned), "dataset.trigger_inserted")
    better = [make(text, f"In short: {text}.") if at % 3 == 0 else row for at, (text, row) in enumerate(zip(asked, base))]
    case("rows", "benign-dialogues-answered-anew", "train.jsonl", write(base), write(better), "dataset.rows_changed")
    instruct = [{"instruction": text, "output": f"They say that {text}."} for text in asked]
    case("rows", "attack-instructions", "train.json", json.dumps(instruct), json.dumps(
        [dict(row, instruction=row["instruction"] + " james bond", output="yes") if at % 30 == 4 else row for at, row in enumerate(instruct)]),
         "dataset.trigger_inserted")
    case("rows", "benign-instructions-more", "train.json", json.dumps(instruct), json.dumps(instruct + instruct[:3] + [
        {"instruction": "Name three colours of the sky", "output": "blue, grey, red"}]), "dataset.rows_added")
