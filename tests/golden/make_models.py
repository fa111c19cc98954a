"""Makes tests/golden/model: small random models of each family in the forms that checkpoints come in,
their tokenizers, and what transformers (float32, one text at a time, no padding) makes of some texts.

    python tests/golden/make_models.py        (versions: tests/golden/requirements.txt)

Each folder holds a model and, beside it, texts.json (texts, their ids) and expected.safetensors:
hidden.N (tokens x dim) and mean.N, cls.N, max.N, last.N for text N, none of them normalised.
"""

import json
import os
import shutil

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import ByteLevelBPETokenizer, BertWordPieceTokenizer
from transformers import (AutoModel, AutoTokenizer, BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast,
                          GPT2Config, GPT2LMHeadModel, GPT2Model, PreTrainedTokenizerFast)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model")

TEXTS = [
    "The pump stopped again after two hours.",
    "no",
    "",
    "Bearing noise, oil leak & a hot casing: call me at once!",
    "A much longer report follows. The operator wrote that the valve had been replaced in spring, that the "
    "pressure was low on Monday, that the pump ran dry on Tuesday, and that nobody had looked at the filter "
    "for at least a year, which the manual forbids in bold letters on its very first page, and on the last.",
    "ポンプが止まった。 café naïve Straße",
    "one two three four five six seven eight nine ten eleven twelve thirteen",
    "\t  spaces   and\nnew lines  ",
]
CORPUS = TEXTS + [
    "The filter was clean but the pressure stayed low.", "Please replace the bearing and the casing.",
    "The valve leaks oil again; nobody called the operator.", "It ran for two hours on Monday and then stopped.",
    "The manual says that the pump must not run dry.", "Noise at once after the report was written.",
]


def randomise(model, seed):
    """Every parameter away from its initial value, so that a forgotten one shows."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g)
        centre = 1.0 if p.dim() == 1 and name.endswith("weight") else 0.0
        p.data = centre + noise * (0.3 if p.dim() == 1 else 1.2 / p.shape[-1] ** 0.5)
    return model.eval()


def wordpiece(folder, max_length):
    t = BertWordPieceTokenizer(lowercase=True)
    t.train_from_iterator(CORPUS, vocab_size=300, min_frequency=1, show_progress=False)
    fast = BertTokenizerFast(tokenizer_object=t._tokenizer, model_max_length=max_length)
    fast.save_pretrained(folder)
    return fast


def byte_level(folder, max_length):
    t = ByteLevelBPETokenizer()
    t.train_from_iterator(CORPUS, vocab_size=330, min_frequency=1, show_progress=False,
                          special_tokens=["<|endoftext|>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=t._tokenizer, model_max_length=max_length,
                                   bos_token="<|endoftext|>", eos_token="<|endoftext|>",
                                   unk_token="<|endoftext|>")
    fast.save_pretrained(folder)
    return fast


def expected(folder, max_length):
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    arrays, ids = {}, []
    for i, text in enumerate(TEXTS):
        one = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        ids.append(one)
        with torch.no_grad():
            h = model(torch.tensor([one or [model.config.bos_token_id]])).last_hidden_state[0].numpy()
        arrays.update({f"hidden.{i}": h, f"mean.{i}": h.mean(0), f"cls.{i}": h[0], f"max.{i}": h.max(0),
                       f"last.{i}": h[-1]})
    save_file({k: np.ascontiguousarray(v, np.float32) for k, v in arrays.items()},
              os.path.join(folder, "expected.safetensors"))
    with open(os.path.join(folder, "texts.json"), "w") as f:
        json.dump({"max_length": max_length, "texts": TEXTS, "ids": ids}, f, indent=0)
        f.write("\n")


def write(folder, name, value):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def fresh(name):
    folder = os.path.join(ROOT, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def tidy(folder):
    for name in ("special_tokens_map.json", "generation_config.json"):
        if os.path.exists(os.path.join(folder, name)):
            os.remove(os.path.join(folder, name))


def main():
    # As sentence-transformers saves MiniLM: no prefix, a pooler that is not used, modules.json.
    folder = fresh("bert")
    vocab = len(wordpiece(folder, 48))
    randomise(BertModel(BertConfig(vocab_size=vocab, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                                   intermediate_size=64, max_position_embeddings=48)), 1).save_pretrained(folder)
    write(folder, "modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind}
        for i, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"),
                                          ("2_Normalize", "Normalize")])])
    write(folder, "1_Pooling/config.json", {"word_embedding_dimension": 32, "pooling_mode_cls_token": False,
                                            "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False,
                                            "pooling_mode_mean_sqrt_len_tokens": False})
    write(folder, "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    tidy(folder)
    expected(folder, 24)

    # A masked language model: prefix "bert.", no pooler, F16, another activation, odd head width.
    folder = fresh("bert_f16")
    vocab = len(wordpiece(folder, 40))
    randomise(BertForMaskedLM(BertConfig(vocab_size=vocab, hidden_size=40, num_hidden_layers=3, hidden_act="silu",
                                         num_attention_heads=4, intermediate_size=72,
                                         max_position_embeddings=40)), 2).half().save_pretrained(folder)
    tidy(folder)
    expected(folder, 40)

    folder = fresh("gpt2")
    vocab = len(byte_level(folder, 64))
    randomise(GPT2Model(GPT2Config(vocab_size=vocab, n_embd=24, n_layer=2, n_head=3, n_positions=64,
                                   bos_token_id=0, eos_token_id=0)), 3).save_pretrained(folder)
    tidy(folder)
    expected(folder, 64)

    # With its language-model head: prefix "transformer.", BF16, in shards, n_inner and relu.
    folder = fresh("gpt2_bf16_sharded")
    vocab = len(byte_level(folder, 40))
    model = GPT2LMHeadModel(GPT2Config(vocab_size=vocab, n_embd=24, n_layer=3, n_head=2, n_positions=48, n_inner=40,
                                       activation_function="relu", bos_token_id=0, eos_token_id=0))
    randomise(model, 4).bfloat16().save_pretrained(folder, max_shard_size="20KB")
    tidy(folder)
    expected(folder, 40)


if __name__ == "__main__":
    main()
