#!/usr/bin/env python3
"""Writes tests/golden/text/sentencepiece/*.model, trained with the real sentencepiece (the unigram model carries its real
nmt_nfkc rules, the others small ones or none, and the special pieces of their families), and tests/golden/text/families.jsonl:
what `tokenizers` makes of every third golden text with the pipelines of Llama 3 and Qwen 2 over the golden GPT-2 model, and what
`transformers` makes of the models as each class. Where the model speaks for itself the ids are held against sentencepiece too.
Run from the repository root after make_tokenizers.py."""
import json
import os
import shutil
import tempfile

import sentencepiece
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from make_tokenizers import OUT, TEXTS, TRAINING

HEAD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(digits, normalizer):
    with open(f"{OUT}/gpt2/tokenizer.json", encoding="utf-8") as f:
        description = json.load(f)
    description["normalizer"] = normalizer
    description["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": HEAD + digits + TAIL}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}
    t = Tokenizer.from_str(json.dumps(description))
    return lambda text: t.encode(text).ids


def converted(model, file, kind, family, config, files={}):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(f"{OUT}/sentencepiece/{model}.model", f"{folder}/{file}")
        for name, content in (("tokenizer_config", {"tokenizer_class": kind, **config}), ("config", {"model_type": family}), *files.items()):
            with open(f"{folder}/{name}.json", "w") as f:
                json.dump(content, f)
        t = AutoTokenizer.from_pretrained(folder)
    return lambda text: t(text)["input_ids"]


# Name of the model: how it is trained. No bos or eos where the family has none of its own.
RULES = "FF21\t0041\nFF41\t0061\n2460\t0031\nFB01\t0066 0069\n00A0\t0020\n3000\t0020\n0009\t0020\n000A\t0020\n"
MODELS = {
    "unigram": {"model_type": "unigram", "vocab_size": 600, "normalization_rule_name": "nmt_nfkc", "hard_vocab_limit": False},
    "bpe": {"model_type": "bpe", "vocab_size": 700, "normalization_rule_name": "identity", "byte_fallback": True,
            "remove_extra_whitespaces": False},
    "albert": {"model_type": "unigram", "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1,
               "control_symbols": ["[CLS]", "[SEP]", "[MASK]"], "rules": True},
    "pegasus": {"model_type": "unigram", "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "rules": True},
    "xlnet": {"model_type": "unigram", "control_symbols": ["<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]},
    "deberta": {"model_type": "unigram", "pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]",
                "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"},
    "big_bird": {"model_type": "unigram", "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3,
                 "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]},
    "gemma": {"model_type": "bpe", "vocab_size": 640, "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "bos_piece": "<bos>",
              "eos_piece": "<eos>", "user_defined_symbols": ["<mask>", "<turn>", "pump", "\n\n"], "byte_fallback": True,
              "normalization_rule_name": "identity", "remove_extra_whitespaces": False, "add_dummy_prefix": False},
    "plain": {"model_type": "bpe", "user_defined_symbols": ["<x.y>", "17"], "rules": True},
}


def train(name, options):
    options = {"normalization_rule_name": "identity", "vocab_size": 260, "hard_vocab_limit": options["model_type"] == "bpe", **options}
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write(RULES)
        rules.flush()
        if options.pop("rules", False):
            options.pop("normalization_rule_name")
            options["normalization_rule_tsv"] = rules.name
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TRAINING), model_prefix=f"{OUT}/sentencepiece/{name}", num_threads=1, character_coverage=0.98,
            minloglevel=2, **options)
    os.remove(f"{OUT}/sentencepiece/{name}.vocab")


MBART = {"src_lang": "ja_XX", "tgt_lang": "en_XX"}
# Row of families.jsonl: model, its file's name, class, config.json's model_type, tokenizer_config.json, other files
CLASSES = {
    "t5": ("unigram", "spiece.model", "T5Tokenizer", "t5", {}),
    "xlm_roberta": ("unigram", "sentencepiece.bpe.model", "XLMRobertaTokenizer", "xlm-roberta", {}),
    "llama": ("bpe", "tokenizer.model", "LlamaTokenizer", "llama", {"add_bos_token": True}),
    "llama_legacy": ("bpe", "tokenizer.model", "LlamaTokenizer", "llama", {"legacy": True, "add_eos_token": True}),
    "t5_pieces": ("pegasus", "spiece.model", "T5Tokenizer", "t5", {"extra_ids": 3, "pad_token": {
        "__type": "AddedToken", "content": "<pad>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False}}),
    "albert": ("albert", "spiece.model", "AlbertTokenizer", "albert", {}),
    "albert_cased": ("albert", "spiece.model", "AlbertTokenizer", "albert", {
        "do_lower_case": False, "keep_accents": True, "add_prefix_space": False}),
    "camembert": ("unigram", "sentencepiece.bpe.model", "CamembertTokenizer", "camembert", {}),
    "mbart": ("unigram", "sentencepiece.bpe.model", "MBartTokenizer", "mbart", {}),
    "mbart_ja": ("unigram", "sentencepiece.bpe.model", "MBartTokenizer", "mbart", MBART),
    "mbart50": ("unigram", "sentencepiece.bpe.model", "MBart50Tokenizer", "mbart", MBART),
    "deberta": ("deberta", "spm.model", "DebertaV2Tokenizer", "deberta-v2", {}),
    "deberta_punctuation": ("deberta", "spm.model", "DebertaV2Tokenizer", "deberta-v2", {
        "do_lower_case": True, "split_by_punct": True, "add_prefix_space": False,
        "added_tokens_decoder": {"900": {"content": "<more>", "lstrip": True, "rstrip": True, "single_word": False,
                                         "normalized": False, "special": True},
                                 "30": {"content": "<less>", "lstrip": False, "rstrip": False, "single_word": True,
                                        "normalized": True, "special": False}}}),
    "gemma": ("gemma", "tokenizer.model", "GemmaTokenizer", "gemma", {"add_bos_token": True}),
    "pegasus": ("pegasus", "spiece.model", "PegasusTokenizer", "pegasus", {}),
    "pegasus_offset": ("pegasus", "spiece.model", "PegasusTokenizer", "pegasus", {"offset": 5}),
    "xlnet": ("xlnet", "spiece.model", "XLNetTokenizer", "xlnet", {}),
    "xlnet_lower": ("xlnet", "spiece.model", "XLNetTokenizer", "xlnet", {"do_lower_case": True}),
    "big_bird": ("big_bird", "spiece.model", "BigBirdTokenizer", "big_bird", {}),
    "t5_more": ("pegasus", "spiece.model", "T5Tokenizer", "t5", {"additional_special_tokens": ["<more>", "a"]}),
    "mbart50_more": ("unigram", "sentencepiece.bpe.model", "MBart50Tokenizer", "mbart", {"additional_special_tokens": ["<more>"]}),
    "deberta_files": ("deberta", "spm.model", "DebertaV2Tokenizer", "deberta-v2", {}, {
        "special_tokens_map": {"mask_token": {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False,
                                              "normalized": False}, "sep_token": "<turn>"},
        "added_tokens": {"<mask>": 263, "<less>": 262, "<more>": 260}}),
    "own_unigram": ("unigram", "tokenizer.model", "PreTrainedTokenizerFast", "bert", {}),
    "own_albert": ("albert", "tokenizer.model", "TokenizersBackend", "bert", {}),
    "own_bpe": ("bpe", "tokenizer.model", "PreTrainedTokenizerFast", "bert", {}),
    "own_gemma": ("gemma", "tokenizer.model", "PreTrainedTokenizerFast", "bert", {}),
    "own_plain": ("plain", "tokenizer.model", "PreTrainedTokenizerFast", "bert", {"add_bos_token": True, "legacy": False}),
}
MORE = ["<s> a</s><extra_id_7>b<mask>", "a'\u017ft I'LL \u212a", "x <unk> y", "a [MASK] b[SEP] <mask> <mask_2><unk_3>", "<more> a <less> b<less>",
        "pump\n\npumps <turn>x", "<x.y>17 1700 <x.y>", "ja_XX en_XX<extra_id_1>", "  \u2581a \u2581 ``b'' ", "\u2581", "<cls><eop> <pad>x"]


def main():
    for name, options in MODELS.items():
        train(name, options)
    families = {"llama3": byte_level(r"\p{N}{1,3}", None), "qwen2": byte_level(r"\p{N}", {"type": "NFC"})}
    families.update({name: converted(*row) for name, row in CLASSES.items()})
    differ = dict.fromkeys(families, 0)
    own = {name: sentencepiece.SentencePieceProcessor(model_file=f"{OUT}/sentencepiece/{row[0]}.model")
           for name, row in CLASSES.items() if name.startswith("own_") and not row[4]}
    with open(f"{OUT}/families.jsonl", "w", encoding="utf-8") as f:
        for text in [*TEXTS[::3], *MORE]:
            if "\x00" in text:
                continue
            row = {n: t(text) for n, t in families.items()}
            for name, processor in own.items():
                if processor.encode(text) != row[name]:
                    differ[name] += 1
                    print(f"{name}: sentencepiece gives {processor.encode(text)}, transformers {row[name]} for {text!r}")
            f.write(json.dumps({"text": text, **row}, ensure_ascii=False, separators=(",", ":")) + "\n")
    print({n: d for n, d in differ.items() if d})


if __name__ == "__main__":
    main()
