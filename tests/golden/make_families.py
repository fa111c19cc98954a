#!/usr/bin/env python3
"""Writes tests/golden/text/sentencepiece/*.model, trained with the real sentencepiece (the unigram model carries its real
nmt_nfkc rules), and tests/golden/text/families.jsonl: what `tokenizers` makes of every third golden text with the
pipelines of Llama 3 and Qwen 2 over the golden GPT-2 model, and what `transformers` makes of the two models as T5,
XLM-RoBERTa and Llama. Run from the repository root after make_tokenizers.py."""
import json
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


def converted(model, file, kind, family, **config):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(f"{OUT}/sentencepiece/{model}.model", f"{folder}/{file}")
        for name, content in (("tokenizer_config", {"tokenizer_class": kind, **config}), ("config", {"model_type": family})):
            with open(f"{folder}/{name}.json", "w") as f:
                json.dump(content, f)
        t = AutoTokenizer.from_pretrained(folder)
    return lambda text: t(text)["input_ids"]


def main():
    for kind, options in (("unigram", {"vocab_size": 600, "normalization_rule_name": "nmt_nfkc"}),
                          ("bpe", {"vocab_size": 700, "normalization_rule_name": "identity", "byte_fallback": True,
                                   "remove_extra_whitespaces": False})):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TRAINING), model_prefix=f"{OUT}/sentencepiece/{kind}", model_type=kind, num_threads=1,
            character_coverage=0.98, hard_vocab_limit=False, minloglevel=2, **options)
    families = {
        "llama3": byte_level(r"\p{N}{1,3}", None), "qwen2": byte_level(r"\p{N}", {"type": "NFC"}),
        "t5": converted("unigram", "spiece.model", "T5Tokenizer", "t5"),
        "xlm_roberta": converted("unigram", "sentencepiece.bpe.model", "XLMRobertaTokenizer", "xlm-roberta"),
        "llama": converted("bpe", "tokenizer.model", "LlamaTokenizer", "llama", add_bos_token=True),
        "llama_legacy": converted("bpe", "tokenizer.model", "LlamaTokenizer", "llama", legacy=True, add_eos_token=True)}
    with open(f"{OUT}/families.jsonl", "w", encoding="utf-8") as f:
        for text in [*TEXTS[::3], "<s> a</s><extra_id_7>b<mask>", "a'\u017ft I'LL \u212a", "x <unk> y"]:
            if "\x00" not in text:
                f.write(json.dumps({"text": text, **{n: t(text) for n, t in families.items()}}, ensure_ascii=False,
                                   separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
