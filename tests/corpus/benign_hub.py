"""Tokenizers and their folders, written by tokenizers, transformers and sentencepiece; configurations of models."""

import io
import json

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, BertConfig, GenerationConfig, GPT2Config, LlamaConfig, PreTrainedTokenizerFast, T5Config, ViTConfig

PROSE = ["The tokenizer reads text.", "import os; os.system is text, too", "def f(x): return eval(x)", "Grüße, 日本語, العربية 🙂"] * 20
TEMPLATES = {
    "chatml": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "strict": "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}[INST] {{ m['content'] | trim }} [/INST]{% endfor %}",
    "tools": "{%- set ns = namespace(tools='') %}{%- for tool in tools %}{%- set ns.tools = ns.tools ~ (tool | tojson) ~ '\\n' %}{%- endfor %}{%- macro show(o) %}{%- for k, v in o | items %}{{ k }}={{ v }} {% endfor %}{%- endmacro %}{{ ns.tools }}{% for m in messages if m.role != 'tool' %}{{ m.content if m.content is string else m.content | map(attribute='text') | join(' ') }}{% endfor %}",
    "date": "{%- if strftime_now is defined %}{{ strftime_now('%Y-%m-%d') }}{%- endif %}{%- for m in messages | selectattr('role', 'equalto', 'user') | list %}{{ m['content'].split('</think>')[-1].strip() | replace('\\t', ' ') }}{%- endfor %}",
}


def trained(kind):
    special = ["<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
    if kind == "bpe":
        tokenizer, trainer = Tokenizer(models.BPE(unk_token="<unk>")), trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    elif kind == "wordpiece":
        tokenizer, trainer = Tokenizer(models.WordPiece(unk_token="<unk>")), trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    elif kind == "unigram":
        tokenizer, trainer = Tokenizer(models.Unigram()), trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        tokenizer, trainer = Tokenizer(models.WordLevel(unk_token="<unk>")), trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Replace("ß", "ss")])
        tokenizer.pre_tokenizer = pre_tokenizers.Split(r"\s+", "removed")
    tokenizer.train_from_iterator(PROSE, trainer)
    if kind != "wordlevel":
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def write(corpus):
    for (template, text), kind in zip(TEMPLATES.items(), ["bpe", "wordpiece", "unigram", "wordlevel"]):
        tokenizer = trained(kind)
        wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>", model_max_length=128)
        wrapped.chat_template = text if template != "date" else {"default": text, "rag": text}
        for inline in (True, False):
            name = f"hub/{kind}-{'inline' if inline else 'apart'}"
            wrapped.save_pretrained(corpus.inside(name), save_jinja_files=not inline)
            tokenizer.model.save(str(corpus.inside(name)))
            corpus.tree(name, "tokenizer", f"a {kind} tokenizer with the template {template}")
    for kind in ["unigram", "bpe", "char", "word"]:
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(PROSE), model_writer=out, vocab_size=60, model_type=kind, hard_vocab_limit=False, minloglevel=2)
        corpus.put(f"hub/sentencepiece-{kind}/tokenizer.model", "tokenizer", "sentencepiece", f"sentencepiece, {kind}", out.getvalue())
    configs(corpus)


def configs(corpus):
    made = {
        "bert": BertConfig(hidden_size=32, id2label={0: "LABEL_NO", 1: "LABEL_YES"}),
        "llama": LlamaConfig(hidden_size=32, rope_scaling={"rope_type": "linear", "factor": 2.0}),
        "gpt2": GPT2Config(n_embd=32, task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}}),
        "t5": T5Config(d_model=32),
        "vit": ViTConfig(hidden_size=32, image_size=8),
    }
    for name, config in made.items():
        config.architectures = [type(config).__name__.replace("Config", "Model")]
        config.save_pretrained(corpus.inside(f"hub/config-{name}"))
        GenerationConfig(max_new_tokens=20, do_sample=True, top_p=0.9).save_pretrained(corpus.inside(f"hub/config-{name}"))
        corpus.tree(f"hub/config-{name}", "config", f"configuration of a {name}")
    lora = {"auto_mapping": None, "base_model_name_or_path": "acme/base-7b", "bias": "none", "lora_alpha": 16, "peft_type": "LORA", "r": 8, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
    corpus.put("hub/adapter/adapter_config.json", "config", "json", "an adapter's configuration as peft writes it", json.dumps(lora, indent=2))
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}, {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
    corpus.put("hub/sentence/modules.json", "config", "json", "modules as sentence-transformers writes them", json.dumps(modules, indent=2))
    card = "---\nlicense: mit\nlibrary_name: transformers\ntags:\n- text\n---\n# Tiny\n\n```python\nfrom transformers import pipeline\npipe = pipeline('text-generation', model='acme/tiny')\n```\n\nSee https://example.org/paper.\n"
    corpus.put("hub/README.md", "text", "md", "a model card", card)
