#!/usr/bin/env python3
"""Holds genchi's tokenizer against the `tokenizers` library on random text, and on the lines of given files.

    tests/tools/tokenizer_diff.py LIBGENCHI.so [--strings N] [--seed S] [--model DIR]... [--lines FILE]...
        [--every-code-point] [--forever] [--family NAME]... [--patterns N]

Random texts go through pipelines made on the spot (every option of each part); the lines of files also through
the tokenizer.json of each --model. Ids, byte offsets and truncation are compared; exits 1 on any difference. --patterns N makes
N random regular expressions, of which those that are refused are counted by reason, and cuts random texts by the others.
"""
import argparse
import base64
import collections
import ctypes
import itertools
import json
import os
import random
import sys
import tempfile
import time

from structs import Error, Tokens
from tokenizers import Tokenizer


class Genchi:
    def __init__(self, library, folder):
        self.lib, self.handle, self.error, self.tokens = library, ctypes.c_void_p(), Error(), Tokens()
        start = time.perf_counter()
        if library.gn_tokenizer_load(folder.encode(), ctypes.byref(self.handle), ctypes.byref(self.error)):
            raise ValueError(self.error.message.decode())
        self.load_seconds = time.perf_counter() - start

    def run(self, raw, special, limit):
        if self.lib.gn_tokenizer_encode(self.handle, raw, ctypes.c_size_t(len(raw)), ctypes.c_bool(special),
                                        ctypes.c_size_t(limit), ctypes.byref(self.tokens),
                                        ctypes.byref(self.error)):
            raise ValueError(self.error.message.decode())

    def ids(self, raw):
        self.run(raw, True, 0)
        return self.tokens.id[:self.tokens.count]

    def encode(self, raw, special, limit):
        self.run(raw, special, limit)
        t = self.tokens
        n = t.count
        return t.id[:n], list(zip(t.begin[:n], t.end[:n])), t.cut


def expected(tokenizer, raw, special, limit, side="right"):
    if limit:
        tokenizer.enable_truncation(limit, direction=side)
    else:
        tokenizer.no_truncation()
    text = raw.decode("utf-8", "replace")
    e = tokenizer.encode(text, add_special_tokens=special)
    place, at = [0], 0
    if text.encode("utf-8") == raw:
        for c in text:
            at += len(c.encode("utf-8"))
            place.append(at)
    else:  # the byte where each character of the mended text begins
        while at < len(raw):
            n = next(k for k in (1, 2, 3, 4, 5) if k == 5 or at + k > len(raw) or
                     len(raw[at:at + k + 1].decode("utf-8", "replace")) > 1 or
                     at + k == len(raw))
            at += n
            place.append(at)
        assert len(place) == len(text) + 1, (raw, place, text)
    offsets = [(0, 0) if m else (place[b], place[c]) for (b, c), m in zip(e.offsets, e.special_tokens_mask)]
    return e.ids, offsets, bool(e.overflowing)


def token(content, **flags):
    return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": False, **flags}


def wordpiece(rng, words):
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab += sorted({c for w in words for c in w} | {"##" + c for w in words for c in w})
    vocab += [rng.choice(["", "##"]) + w for w in words] + words
    vocab = list(dict.fromkeys(vocab))
    return {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": rng.choice([100, 5]), "vocab": {w: i for i, w in enumerate(vocab)}}


def byte_chars():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = iter(range(256, 512))
    return [chr(b) if b in keep else chr(next(extra)) for b in range(256)]


def bpe(rng, words, byte_level=True, **options):
    chars = byte_chars()
    spell = (lambda w: [chars[b] for b in w.encode()]) if byte_level else list
    vocab = {c: i for i, c in enumerate(sorted({c for w in words for c in spell(w)}) if not byte_level else chars)}
    if rng.random() < .3:
        for c in rng.sample(sorted(vocab), len(vocab) // 8):
            vocab.pop(c)
    merges = []
    for w in words:
        parts = [c for c in spell((" " if rng.random() < .5 else "") + w) if c in vocab]
        while len(parts) > 1:
            k = rng.randrange(len(parts) - 1)
            pair = (parts[k], parts[k + 1])
            vocab.setdefault("".join(pair), 1000 + len(vocab))
            if pair not in merges:
                merges.append(pair)
            parts[k:k + 2] = ["".join(pair)]
    rng.shuffle(merges)
    vocab["<unk>"] = 999
    return {"type": "BPE", "dropout": None, "unk_token": options.pop("unk_token", None),
            "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": False, "vocab": vocab,
            "merges": merges if rng.random() < .5 or not byte_level else [" ".join(m) for m in merges], **options}


REGEXES = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
              r"|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
             r"|\s+(?!\S)|\s+",
    "o200k": "|".join([
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"]),
    "deepseek": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+"
                r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "han": "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", "digits": r"\d", "three": r"\p{N}{1,3}",
    "bloom": r" ?[^(\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
    "word": r"\w+|[^\w\s]+", "caps": r"(?<=\p{Ll})\p{Lu}+(?!\p{Ll})", "blank": r"\s+", "mark": r"(?>\p{L}\p{M}*)++",
    "edges": r"\A +| +\z", "lines": r"^\s*\S+$", "spaces": " {2,}", "lazy": r"a+?b?|\p{Han}{1,2}?|[^\W_]{2,4}",
    "negated": r"[^\P{L}a-f]+", "script": r"\p{Hiragana}+|\p{Katakana}+|\p{Cyrillic}+|\p{Arabic}+", "kelvin": r"(?i:kS[ok-m]+)",
}


LITERALS = "aabbcsSkK_ 1-2.,é日本ßı\u017f\u212a\n\u0301İ"
POSIX = "alpha digit alnum space upper lower punct xdigit cntrl graph print word ascii blank".split()
PROPERTIES = "L M N P S Z Lu Ll Lt Lm Lo Mn Mc Nd No Pc Po Sm So Zs Han Hiragana Katakana Latin Greek Cyrillic".split()


def random_class(rng, depth=0):
    def part():
        out = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            r = rng.random()
            if r < .35:
                out.append("".join("\\" + c if c in "-[]^&\\" else c for c in rng.sample(LITERALS, 2)))
            elif r < .5:
                out.append(rng.choice(["a-c", "A-Z", "0-9", "à-ö", "ぁ-ん", "一-龠", "\\x00-\\x7f"]))
            elif r < .65:
                out.append(rng.choice(["\\w", "\\W", "\\d", "\\s", "\\S", "\\h", "\\D"]))
            elif r < .75:
                out.append(f"\\{rng.choice('pP')}{{{rng.choice(['', '^'])}{rng.choice(PROPERTIES)}}}")
            elif r < .9:
                out.append(f"[:{rng.choice(['', '^'])}{rng.choice(POSIX)}:]")
            elif depth < 2:
                out.append(random_class(rng, depth + 1))
            else:
                out.append("z")
        return "".join(out)
    parts = [part() for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    return "[" + rng.choice(["", "", "^"]) + "&&".join(parts) + "]"


def random_regex(rng, depth=0):
    """A regular expression of what Oniguruma knows, much of which genchi reads."""
    groups = 0
    def atom():
        nonlocal groups
        r = rng.random()
        if r < .3:
            return "".join("\\" + c if c in ".-_" and rng.random() < .5 and c != "_" else c.replace(".", "\\.")
                           for c in rng.choices(LITERALS, k=rng.choice([1, 1, 2])))
        if r < .45:
            return rng.choice(["\\w", "\\W", "\\d", "\\D", "\\s", "\\S", "\\h", "\\H", ".", "."])
        if r < .52:
            return f"\\{rng.choice('pP')}{{{rng.choice(PROPERTIES)}}}"
        if r < .68:
            return random_class(rng)
        if r < .78:
            return rng.choice(["\\b", "\\b", "\\B", "^", "$", "\\A", "\\z", "\\Z"])
        if r < .84 and depth == 0:
            return f"\\{rng.randrange(1, max(2, groups + 1))}"
        if depth > 2:
            return "x"
        kind = rng.choice(["(", "(", "(?:", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"])
        groups += kind == "("
        inner = rng.choice(["a", "ab", "\\w", " ", "\\p{L}", "[[:upper:]]", "日"]) if kind in ("(?<=", "(?<!") else random_regex(rng, depth + 1)
        return kind + inner + ")"
    def piece():
        a = atom()
        if a in ("\\b", "\\B", "^", "$", "\\A", "\\z", "\\Z") or a.startswith(("(?=", "(?!", "(?<")):
            return a
        return a + rng.choice([""] * 8 + ["+", "+", "*", "?", "+?", "*?", "??", "++", "*+", "{2}", "{1,2}", "{,3}", "{2,}", "{1,3}?"])
    return "|".join("".join(piece() for _ in range(rng.choice([1, 2, 2, 3]))) for _ in range(rng.choice([1, 1, 2, 3])))


def random_line(rng, words):
    """A short text of the letters that random patterns know, for the most part."""
    return "".join(rng.choice(words) if rng.random() < .15 else rng.choice(BITS[:20]) if rng.random() < .1 else
                   rng.choice(LITERALS) for _ in range(rng.choice([3, 8, 15, 30])))


def spelled_out(ids):
    return bytes(i if i < 256 else ord("?") for i in ids).decode("utf-8", "replace")


def patterns(library, rng, words, wanted):
    """Cuts by random regular expressions; how many were held against the library, and why others were refused."""
    counts, reasons = {"texts": 0, "ids": 0, "panics": 0, "given up": 0}, collections.Counter()
    compared = 0
    for _ in range(wanted):
        regex = random_regex(rng)
        description = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
                       "post_processor": None, "decoder": None, "model": dict(spelled(), end_of_word_suffix="|"),
                       "pre_tokenizer": {"type": "Split", "pattern": {"Regex": regex}, "behavior": rng.choice(BEHAVIORS),
                                         "invert": rng.random() < .3}}
        try:
            theirs = Tokenizer.from_str(json.dumps(description))
        except Exception:
            reasons["the library refuses"] += 1
            continue
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/tokenizer.json", "w", encoding="utf-8") as f:
                json.dump(description, f)
            try:
                ours = Genchi(library, folder)
            except ValueError as e:
                reasons[str(e).rsplit(": ", 1)[1]] += 1
                continue
        compared += 1
        for _ in range(25):
            line = random_line(rng, words)
            try:
                b = theirs.encode(line).ids  # the places of "|" mean nothing
            except BaseException as e:  # it panics where a search takes too many steps
                if type(e).__name__ != "PanicException":
                    raise
                counts["panics"] += 1
                continue
            try:
                a = ours.ids(line.encode())
            except ValueError as e:
                if "too many steps" not in str(e):
                    raise
                counts["given up"] += 1
                continue
            counts["texts"] += 1
            counts["ids"] += a != b
            if a != b and counts["ids"] <= 40:
                print(f"regular expression {regex!r}: words differ for {line!r}\n  genchi  {spelled_out(a)!r}\n  library {spelled_out(b)!r}")
        library.gn_tokenizer_free(ours.handle)
    print(f"regular expressions: {compared} compared;", counts)
    for reason, n in reasons.most_common():
        print(f"  {n} refused: {reason}")
    return counts["ids"]


def charsmap_of(path):
    """normalizer_spec.precompiled_charsmap of a SentencePiece model."""
    def fields(data):
        at = 0
        def varint():
            nonlocal at
            value = shift = 0
            while True:
                b = data[at]
                at += 1
                value |= (b & 127) << shift
                shift += 7
                if b < 128:
                    return value
        while at < len(data):
            key = varint()
            if key & 7 == 0:
                yield key >> 3, varint()
            else:
                n = varint() if key & 7 == 2 else 4 if key & 7 == 5 else 8
                yield key >> 3, data[at:at + n]
                at += n
    with open(path, "rb") as f:
        spec = next(v for k, v in fields(f.read()) if k == 3)
    return base64.b64encode(next(v for k, v in fields(spec) if k == 2)).decode()


def spelled():
    """A token a byte, "|" after a word."""
    return {"type": "BPE", "vocab": {f"<0x{b:02X}>": b for b in range(256)}, "merges": [], "byte_fallback": True}


def unigram(rng, words):
    pieces = {c for w in words for c in w if rng.random() < .9} | {w[:k] for w in words for k in range(2, len(w) + 1)}
    pieces |= {"\u2581" + w for w in words if rng.random() < .7} | {"\u2581", "\u2581\u2581", "<s>"}
    pieces = ["<unk>"] + sorted(pieces) + rng.sample(sorted(pieces), 2)  # two of them twice
    fallback = rng.random() < .4
    if fallback:
        pieces += [f"<0x{b:02X}>" for b in range(256 if rng.random() < .8 else 128)]
    score = lambda: rng.choice([-1.0, -2.0, -2.5, round(-rng.random() * 12, rng.choice([0, 1, 6]))])
    return {"type": "Unigram", "unk_id": 0, "byte_fallback": fallback, "vocab": [[p, score()] for p in pieces]}


def wordlevel(rng, words):
    vocab = ["[UNK]", *words, "!", ".", "'", " ", "a1", "日", "本"]
    return {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {w: i for i, w in enumerate(vocab)}}


def pattern(rng):
    if rng.random() < .3:
        return {"String": rng.choice([" ", "a", "ab", "'", ".", "\u0301", "日", "  ", "-", "\n"])}
    return {"Regex": rng.choice(list(REGEXES.values()))}


BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def some_normalizer(rng, charsmap):
    flip = lambda: rng.random() < .5
    kind = rng.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "Strip", "Prepend", "Replace",
                       "Precompiled", "BertNormalizer", "ByteLevel"])
    options = {"Strip": lambda: {"strip_left": flip(), "strip_right": flip()},
               "Prepend": lambda: {"prepend": rng.choice(["\u2581", "ab"])},
               "Replace": lambda: {"pattern": pattern(rng), "content": rng.choice(["", "\u2581", "xy", " ", "é日"])},
               "Precompiled": lambda: {"precompiled_charsmap": charsmap},
               "BertNormalizer": lambda: {"clean_text": flip(), "handle_chinese_chars": flip(),
                                          "strip_accents": rng.choice([None, True, False]), "lowercase": flip()}}
    return {"type": kind, **options.get(kind, dict)()}


def some_pre_tokenizer(rng):
    flip = lambda: rng.random() < .5
    kind = rng.choice(["Metaspace", "Split", "Split", "Punctuation", "Whitespace", "WhitespaceSplit",
                       "CharDelimiterSplit", "Digits", "UnicodeScripts", "FixedLength", "BertPreTokenizer", "ByteLevel"])
    options = {"Metaspace": lambda: {"replacement": rng.choice("\u2581\u2581\u2581_"), "split": flip(),
                                     "prepend_scheme": rng.choice(["always", "first", "never"])},
               "Split": lambda: {"pattern": pattern(rng), "behavior": rng.choice(BEHAVIORS), "invert": flip()},
               "Punctuation": lambda: {"behavior": rng.choice(BEHAVIORS)},
               "CharDelimiterSplit": lambda: {"delimiter": rng.choice(" a日.")},
               "Digits": lambda: {"individual_digits": flip()},
               "FixedLength": lambda: {"length": rng.choice([1, 3, 5])},
               "ByteLevel": lambda: {"add_prefix_space": flip(), "trim_offsets": flip(), "use_regex": flip()}}
    return {"type": kind, **options.get(kind, dict)()}


def sequence(kind, field, members):
    return None if not members else members[0] if len(members) == 1 else {"type": kind, field: members}


FAMILIES = ["llama3", "qwen2", "o200k", "xlm-r", "t5", "llama2", "albert", "any", "any", "any", "spelled", "spelled"]


def more_pipelines(rng, words, charsmap):
    """The pipelines of real families, and any combination of parts."""
    flip = lambda: rng.random() < .5
    meta = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    base = {"version": "1.0", "truncation": None, "padding": None, "decoder": None, "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "added_tokens": [
                token(c, lstrip=rng.random() < .3, rstrip=rng.random() < .3, normalized=flip(), special=flip())
                for c in (rng.sample(ADDED, 3) if flip() else [])]}
    if flip():
        base["truncation"] = {"direction": rng.choice(["Left", "Right"]), "max_length": 9, "strategy": "LongestFirst",
                              "stride": 0}
    collapse = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": rng.choice([" ", "\u2581"])}
    rules = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    for family in FAMILIES:
        d = dict(base, family=family)
        if family in ("llama3", "qwen2", "o200k"):
            d["normalizer"] = {"type": "NFC"} if family == "qwen2" else None
            d["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": REGEXES[family]}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": flip(), "use_regex": False}]}
            d["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": flip(),
                                   "use_regex": True}
            d["model"] = bpe(rng, words, ignore_merges=family == "llama3")
        elif family in ("xlm-r", "t5", "albert"):
            d["normalizer"] = {"xlm-r": {"type": "Sequence", "normalizers": [
                                   rules, {"type": "Strip", "strip_left": False, "strip_right": True}, collapse]},
                               "t5": rules, "albert": {"type": "Sequence", "normalizers": [
                                   {"type": "Replace", "pattern": {"String": "``"}, "content": '"'}, {"type": "NFKD"},
                                   {"type": "StripAccents"}, {"type": "Lowercase"}, rules, collapse]}}[family]
            d["pre_tokenizer"] = meta if family == "xlm-r" else {"type": "Sequence", "pretokenizers": [
                {"type": "WhitespaceSplit"}, meta]}
            d["model"] = unigram(rng, words)
        elif family == "llama2":
            d["normalizer"] = {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "\u2581"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
            d["model"] = bpe(rng, ["\u2581" + w for w in words], False, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
            d["model"]["vocab"].update({f"<0x{b:02X}>": 5000 + b for b in range(256)})
        else:
            d["normalizer"] = sequence("Sequence", "normalizers",
                                       [some_normalizer(rng, charsmap) for _ in range(rng.choice([0, 1, 1, 2, 4]))])
            d["pre_tokenizer"] = sequence("Sequence", "pretokenizers",
                                          [some_pre_tokenizer(rng) for _ in range(rng.choice([0, 1, 1, 2, 3]))])
            d["model"] = spelled() if family == "spelled" else rng.choice([unigram, wordlevel])(rng, words)
        yield d


ADDED = ["[MASK]", "<s>", "<mask>", "é", "İx", "<<", "  ", "日本", "ab", "aba", "\ufffd", "\u0301", "Xy z", "##"]


def pipelines(rng, words):
    """One random description for each kind."""
    flip = lambda: rng.random() < .5
    def added():
        chosen = rng.sample(ADDED, rng.randrange(0, 7)) if rng.random() < .6 else []
        return [token(c, single_word=rng.random() < .3, lstrip=rng.random() < .3, rstrip=rng.random() < .3,
                      normalized=flip(), special=flip()) for c in chosen]
    base = {"version": "1.0", "truncation": None, "padding": None, "decoder": None, "normalizer": None,
            "pre_tokenizer": None, "post_processor": None}
    template = {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "S", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                           {"SpecialToken": {"id": "E", "type_id": 0}}],
                "pair": [], "special_tokens": {"S": {"id": "S", "ids": [2, 3], "tokens": ["x", "y"]},
                                               "E": {"id": "E", "ids": [1], "tokens": ["z"]}}}
    bert_post = {"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3]}
    normalizer = {"type": "BertNormalizer", "clean_text": rng.random() < .8,
                  "handle_chinese_chars": rng.random() < .8, "strip_accents": rng.choice([None, True, False]),
                  "lowercase": flip()}
    yield {**base, "added_tokens": added(), "normalizer": normalizer if rng.random() < .95 else None,
           "pre_tokenizer": {"type": "BertPreTokenizer"} if rng.random() < .95 else None,
           "post_processor": rng.choice([template, bert_post, None]), "model": wordpiece(rng, words)}
    level = lambda: {"type": "ByteLevel", "add_prefix_space": flip(), "trim_offsets": rng.random() < .7,
                     "use_regex": True}
    pre = {**level(), "use_regex": rng.random() < .85}
    roberta = {"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2], "trim_offsets": flip(),
               "add_prefix_space": flip()}
    post = rng.choice([level(), roberta, template, None,
                       {"type": "Sequence", "processors": [level(), template]}])
    yield {**base, "added_tokens": added(), "pre_tokenizer": pre, "post_processor": post,
           "normalizer": normalizer if rng.random() < .2 else None,
           "model": bpe(rng, words, ignore_merges=rng.random() < .3,
                        **rng.choice([{}, {"unk_token": "<unk>", "fuse_unk": flip()}]))}
    yield {**base, "added_tokens": added(), "pre_tokenizer": {"type": "BertPreTokenizer"} if flip() else None,
           "model": bpe(rng, words, False, unk_token="<unk>", fuse_unk=flip(), byte_fallback=flip())}


RANGES = [(0x20, 0x7F), (0x20, 0x7F), (0x20, 0x7F), (0x61, 0x7B), (0, 0x20), (0x7F, 0x250), (0x250, 0x300),
          (0x300, 0x370), (0x370, 0x530), (0x530, 0x700), (0x700, 0x900), (0x900, 0xE00), (0xE00, 0x1000),
          (0x1000, 0x1400), (0x1400, 0x1D00), (0x1D00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2E80),
          (0x2E80, 0x3100), (0x3100, 0x3400), (0x3400, 0xA000), (0xA000, 0xAC00), (0xAC00, 0xD7A4),
          (0xE000, 0xF900), (0xF900, 0xFB00), (0xFB00, 0x10000), (0x10000, 0x11000), (0x11000, 0x14000),
          (0x16000, 0x1D000), (0x1D000, 0x1D400), (0x1E000, 0x1F000), (0x1F000, 0x20000), (0x20000, 0x32000),
          (0xE0000, 0xE0200)]
BITS = [" ", " ", " ", "\n", "\r\n", "\t", "'s", "'ll", "'re", "'RE", "can't", "   ", "\u3000", "\xa0", "...", "3.14",
        "\u200d", "\ufe0f", "👩‍👩‍👧‍👦", "🇯🇵", "İstanbul", "ΟΔΟΣ", "ẞ", "a\u0315\u0300\u05ae\u0301b", "\u0e01\u0e33", "각",
        "\u0344", "\ufb01", "\u2126", "\u017f", "\u212a", "'\u017f", "'S", "'LL", "kSo", "\u2581", "``", "\xa9\u200d", "\u1100\u1161", "\u0915\u094d", "\x00", "\x85", "\u2028", "é", "日本語", "今日は"]


def random_text(rng, words):
    out = []
    for _ in range(rng.choice([1, 2, 5, 10, 30])):
        r = rng.random()
        if r < .25:
            out.append(rng.choice(words))
        elif r < .45:
            out.append(rng.choice(BITS))
        elif r < .55:
            out.append(rng.choice(ADDED))
        elif r < .6:
            out.append("".join(chr(rng.choice([0x300, 0x315, 0x316, 0x327, 0x345, 0x5B0, 0x8D4, 0x8E3, 0x1DCE, 0x302A,
                                               0x3099, 0x94D, 0x1D165, 0x1E8D0, 0xE9, 0x344, 0x1F71]))
                               for _ in range(rng.randrange(1, 30))))
        else:
            low, high = rng.choice(RANGES)
            out.append("".join(chr(rng.randrange(low, high)) for _ in range(rng.choice([1, 1, 2, 4]))))
    raw = "".join(out).encode()
    if rng.random() < .1 and raw:
        raw = bytearray(raw)
        for _ in range(rng.randrange(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        raw = bytes(raw)
    return raw


def is_ambiguous(description, tokenizer):
    """Two added tokens are one text once normalized: which of them the library finds changes from one load to the next
    (it makes its automaton in the order of a hash table with a random key), so that genchi refuses."""
    texts = [t["content"] for t in description["added_tokens"] if t["normalized"]]
    if tokenizer.normalizer is not None:
        texts = [tokenizer.normalizer.normalize_str(t) for t in dict.fromkeys(texts)]
    return len(set(texts)) < len(texts)


def transparent():
    """Pipelines whose ids spell out the normalized text and where it was cut: a token a byte, "|" after a word."""
    model = {"type": "BPE", "vocab": {f"<0x{b:02X}>": b for b in range(256)}, "merges": [], "byte_fallback": True,
             "end_of_word_suffix": "|"}
    for lower in (True, False):
        for strip in (True, False):
            yield {"version": "1.0", "model": model, "pre_tokenizer": {"type": "BertPreTokenizer"},
                   "normalizer": {"type": "BertNormalizer", "clean_text": lower == strip,
                                  "handle_chinese_chars": True, "strip_accents": strip, "lowercase": lower}}
    yield {"version": "1.0", "model": model,
           "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}}
    yield {"version": "1.0", "model": dict(model, vocab={**model["vocab"], "x": 256}),
           "added_tokens": [token("<<", single_word=True), token("((", lstrip=True, rstrip=True)]}


def transparent_parts(charsmap):
    """The same for the parts beyond BERT's and GPT-2's."""
    model = dict(spelled(), end_of_word_suffix="|")
    for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "Precompiled"):
        normalizer = {"type": kind, **({"precompiled_charsmap": charsmap} if kind == "Precompiled" else {})}
        yield {"version": "1.0", "model": model, "normalizer": normalizer}
    for kind, options in (("Digits", {"individual_digits": False}), ("Whitespace", {}), ("UnicodeScripts", {})):
        yield {"version": "1.0", "model": model, "pre_tokenizer": {"type": kind, **options}}
    for name in ("llama3", "o200k", "word", "script"):
        yield {"version": "1.0", "model": model, "pre_tokenizer": {
            "type": "Split", "pattern": {"Regex": REGEXES[name]}, "behavior": "Isolated", "invert": False}}


def every_code_point(library, counts, charsmap):
    """Every code point in eight contexts through every table: 128 of them a text, and the text of a difference again
    one code point at a time."""
    contexts = ["a{0}1", " {0} ", "!{0}a", "{0}{0}", "<<{0}", "{0}<<", "{0}(({0} ", "e\u0301{0}\u0323\u0301"]
    together = "".join(contexts)
    texts = [range(first, first + 128) for first in range(0, 0x110000, 128) if not 0xD800 <= first <= 0xDFFF]
    for description in itertools.chain(transparent(), transparent_parts(charsmap)):
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/tokenizer.json", "w", encoding="utf-8") as f:
                json.dump(description, f)
            ours, theirs = Genchi(library, folder), Tokenizer.from_str(json.dumps(
                {"truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
                 "post_processor": None, "decoder": None, **description}))

        def differ(text):  # the places of these tokens mean nothing: "|" is no part of the text
            return ours.ids(text.encode()) != theirs.encode_batch_fast([text])[0].ids
        start, bad = time.perf_counter(), []
        for codes in texts:
            counts["texts"] += 1
            if differ("".join(together.format(chr(k)) for k in codes)):
                bad += [k for k in codes if differ(together.format(chr(k)))] or [codes[0]]
        counts["ids"] += len(bad)
        print(f"every code point, {brief(description, charsmap)}: {len(bad)} differ"
              f" {[f'U+{k:04X}' for k in bad[:20]] if bad else ''}, {time.perf_counter() - start:.0f} s", flush=True)
        library.gn_tokenizer_free(ours.handle)


def brief(description, charsmap):
    """A description without its vocabulary."""
    parts = dict(description, model={k: v for k, v in description["model"].items() if k not in ("vocab", "merges")})
    return json.dumps(parts, ensure_ascii=False).replace(charsmap, "…")


def compare(name, ours, theirs, raw, special, limit, counts, side="right"):
    a = ours.encode(raw, special, limit)
    try:
        b = expected(theirs, raw, special, limit, side)
    except BaseException as e:  # the library's own bugs end in a Rust panic, which is no Exception
        if type(e).__name__ != "PanicException":
            raise
        counts["panics"] += 1
        return
    counts["texts"] += 1
    for k, what in enumerate(("ids", "offsets", "cut")):
        if a[k] != b[k]:
            counts[what] += 1
            if counts[what] <= 3:
                print(f"{name}: {what} differ for {raw!r} (special {special}, limit {limit})\n  genchi  {a[k]}\n"
                      f"  library {b[k]}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library")
    p.add_argument("--strings", type=int, default=20000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--model", action="append", default=[])
    p.add_argument("--lines", action="append", default=[])
    p.add_argument("--family", action="append", default=[], help="only these: " + ", ".join(FAMILIES))
    p.add_argument("--charsmap", default="tests/golden/text/sentencepiece/unigram.model",
                   help="the SentencePiece model whose normalization rules are used")
    p.add_argument("--forever", action="store_true", help="go on until stopped")
    p.add_argument("--every-code-point", action="store_true")
    p.add_argument("--patterns", type=int, default=0, metavar="N", help="N random regular expressions, too")
    o = p.parse_args()
    lib, rng = ctypes.CDLL(os.path.abspath(o.library)), random.Random(o.seed)
    counts = {"texts": 0, "ids": 0, "offsets": 0, "cut": 0, "panics": 0}
    words = ["the", "a", "ab", "aba", "hello", "wor", "ld", "est", "straße", "οδος", "日本", "語", "こんにちは", "привет",
             "şehir", "cafe", "don", "2024", "शक्ति", "각", "👩", "..."]
    charsmap, families = charsmap_of(o.charsmap), collections.Counter()
    while o.forever or counts["texts"] < o.strings:
        if o.forever:
            print("so far:", counts, flush=True)
            patterns(lib, rng, words, 1000)
        for description in itertools.chain(pipelines(rng, words), more_pipelines(rng, words, charsmap)):
            family = description.pop("family", description["model"]["type"])
            if o.family and family not in o.family:
                continue
            with tempfile.TemporaryDirectory() as folder:
                with open(folder + "/tokenizer.json", "w", encoding="utf-8") as f:
                    json.dump(description, f)
                try:
                    theirs = Tokenizer.from_str(json.dumps(description))
                except Exception as e:
                    print("library refuses", e)
                    continue
                ambiguous = is_ambiguous(description, theirs)
                try:
                    ours = Genchi(lib, folder)
                    assert not ambiguous, f"not refused: {brief(description, charsmap)}"
                except ValueError as e:
                    if "is empty once normalized" not in str(e) and not (
                            ambiguous and "are one text once normalized" in str(e)):
                        raise
                    counts["refused"] = counts.get("refused", 0) + 1
                    continue
                side = (description["truncation"] or {}).get("direction", "Right").lower()
                before, seen = counts["texts"], counts["ids"] + counts["offsets"] + counts["cut"]
                for _ in range(150):
                    special = rng.random() < .7
                    limit = rng.choice([0, 0, 4, 7, 20])
                    compare(family, ours, theirs, random_text(rng, words), special, limit, counts, side)
                families[family] += counts["texts"] - before
                if counts["ids"] + counts["offsets"] + counts["cut"] > seen and seen < 60:
                    print("  with", brief(description, charsmap))
                lib.gn_tokenizer_free(ours.handle)
    print("texts of each family:", dict(families))
    print("random:", counts)
    if o.every_code_point:
        every_code_point(lib, counts, charsmap)
        print("with every code point:", counts)
    bad = counts["ids"] + counts["offsets"] + counts["cut"]
    if o.patterns:
        bad += patterns(lib, rng, words, o.patterns)
    lines = []
    for path in o.lines:
        with open(path, "rb") as f:
            lines += f.read().split(b"\n")
    for model in o.model:
        ours, theirs = Genchi(lib, model), Tokenizer.from_file(model + "/tokenizer.json")
        theirs.no_padding()
        counts = {"texts": 0, "ids": 0, "offsets": 0, "cut": 0, "panics": 0}
        texts = lines + [random_text(rng, words) for _ in range(o.strings // 4)]
        for raw in texts:
            compare(model, ours, theirs, raw, True, rng.choice([0, 0, 16]), counts)
        print(f"{model}: loaded in {ours.load_seconds * 1000:.1f} ms;", counts)
        bad += counts["ids"] + counts["offsets"] + counts["cut"]
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
