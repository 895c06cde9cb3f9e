"""What training leaves: `training_args.bin`, `pytorch_model.bin`, adapters, few-shot heads, saved datasets."""

import json
import pickle

import joblib
import numpy as np
import torch
import transformers
from sklearn.linear_model import LogisticRegression

from benign_common import SEED


def tiny():
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 50, "max_position_embeddings": 32}
    yield "bert", transformers.BertForSequenceClassification(transformers.BertConfig(**text))
    yield "gpt2", transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=50, n_positions=32))
    yield "llama", transformers.LlamaForCausalLM(transformers.LlamaConfig(**text, num_key_value_heads=1))
    yield "t5", transformers.T5ForConditionalGeneration(transformers.T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, vocab_size=50))
    yield "vit", transformers.ViTForImageClassification(transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8))
    yield "whisper", transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=60, num_mel_bins=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1))


def write(corpus):
    torch.manual_seed(SEED)
    arguments(corpus)
    for name, model in tiny():
        path = corpus.inside(f"transformers/{name}")
        model.save_pretrained(path)
        corpus.tree(f"transformers/{name}", "transformers", f"save_pretrained of a {name}")
        torch.save(model.state_dict(), corpus.at(f"transformers/{name}/pytorch_model.bin", "transformers", "bin", f"state of a {name}"))
        torch.save(model, corpus.at(f"transformers/{name}-whole.bin", "transformers-module", "bin", f"a whole {name}"))
    shards = next(iter(tiny()))[1]
    shards.save_pretrained(corpus.inside("transformers/sharded"), max_shard_size="8KB")
    corpus.tree("transformers/sharded", "transformers", "shards and their index")
    adapters(corpus)
    heads(corpus)
    datasets(corpus)


def arguments(corpus):
    from transformers.trainer_utils import IntervalStrategy

    options = [
        {"output_dir": "out"},
        {"output_dir": "/mnt/runs/1", "learning_rate": 3e-5, "lr_scheduler_type": "cosine", "save_strategy": "epoch", "report_to": []},
        {"output_dir": "b", "optim": "adafactor", "gradient_checkpointing": True, "label_names": ["labels"], "logging_strategy": IntervalStrategy.STEPS},
        {"output_dir": "c", "hub_model_id": "acme/tiny", "lr_scheduler_kwargs": {"num_cycles": 2}, "use_cpu": True},
    ]
    for number, chosen in enumerate(options):
        torch.save(transformers.TrainingArguments(**chosen), corpus.at(f"trainer/run-{number}/training_args.bin", "training-args", "bin", "TrainingArguments of a run"))
    torch.save(transformers.Seq2SeqTrainingArguments("out", predict_with_generate=True, generation_max_length=9), corpus.at("trainer/seq2seq/training_args.bin", "training-args", "bin", "Seq2SeqTrainingArguments"))
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 2, 9)
    torch.save(optimizer.state_dict(), corpus.at("trainer/run-0/optimizer.pt", "trainer", "pt", "the optimizer's state"))
    torch.save(schedule.state_dict(), corpus.at("trainer/run-0/scheduler.pt", "trainer", "pt", "the scheduler's state"))
    states = {"python": __import__("random").getstate(), "numpy": np.random.get_state(), "cpu": torch.random.get_rng_state()}
    torch.save(states, corpus.at("trainer/run-0/rng_state.pth", "trainer", "pth", "states of the generators"))
    state = transformers.TrainerState(epoch=1.0, global_step=4, log_history=[{"loss": 0.5, "step": 2}])
    state.save_to_json(str(corpus.at("trainer/run-0/trainer_state.json", "trainer", "json", "the trainer's state")))


def adapters(corpus):
    import peft

    made = {
        "lora": peft.LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
        "prompt": peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
        "ia3": peft.IA3Config(target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM"),
    }
    for name, config in made.items():
        base = dict(tiny())["llama"]
        base.name_or_path = base.config._name_or_path = "acme/tiny-llama"
        try:
            peft.get_peft_model(base, config).save_pretrained(corpus.inside(f"peft/{name}"), safe_serialization=name != "ia3")
        except Exception as error:
            print(f"peft: {name}: {error}")
        corpus.tree(f"peft/{name}", "peft", f"an adapter, {name}")


def heads(corpus):
    random = np.random.default_rng(SEED)
    head = LogisticRegression().fit(random.normal(size=(20, 16)), random.integers(0, 2, 20))
    joblib.dump(head, corpus.at("setfit/sklearn/model_head.pkl", "setfit", "pkl", "a head by scikit-learn"))
    try:
        from setfit import SetFitHead

        head = SetFitHead(in_features=16, out_features=2)
        joblib.dump(head, corpus.at("setfit/torch/model_head.pkl", "setfit", "pkl", "a head by setfit"))
        torch.save(head.state_dict(), corpus.at("setfit/torch/head.bin", "setfit", "bin", "the head's state"))
    except Exception as error:
        print(f"setfit: {error}")
    try:
        from sentence_transformers import SentenceTransformer, models

        encoder = SentenceTransformer(modules=[models.WordEmbeddings(tokenizer=models.tokenizer.WhitespaceTokenizer(["a", "b"]), embedding_weights=np.zeros((3, 4), "f4")), models.Pooling(4), models.Dense(4, 2), models.Normalize()])
        encoder.save_pretrained(str(corpus.inside("sentence-transformers/words")), safe_serialization=False)
        corpus.tree("sentence-transformers/words", "sentence-transformers", "an encoder of word vectors")
    except Exception as error:
        print(f"sentence-transformers: {error}")


def datasets(corpus):
    import datasets

    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}).cast_column("label", datasets.ClassLabel(names=["no", "yes"]))
    rows.save_to_disk(str(corpus.inside("datasets/one")))
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(str(corpus.inside("datasets/two")))
    corpus.tree("datasets", "datasets", "save_to_disk")
    corpus.put("datasets-pickle/features.pkl", "datasets", "pkl", "the features of a dataset, as text", pickle.dumps(json.dumps({"label": "ClassLabel"})))
