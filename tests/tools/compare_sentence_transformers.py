"""Embeds 1,000 varied texts with sentence-transformers and with genchi and reports how far apart they are.

    python tests/tools/compare_sentence_transformers.py --model DIR [--library build/gcc/libgenchi.so]
        [--texts FILE ...]        one text a line, or .csv / .tsv (the widest column is taken)

Fails (exit status 1) unless every float32 vector has a cosine of at least 0.99999 with its counterpart, and bf16
and int8 have 0.9999 and 0.995 on average. Not part of `make test`: it needs Python and a real model.
"""

import argparse
import csv
import ctypes
import random
import sys
import time

import numpy as np


class Options(ctypes.Structure):
    _fields_ = [("pooling", ctypes.c_int), ("dtype", ctypes.c_int), ("max_length", ctypes.c_size_t)]


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("lang", ctypes.c_int), ("line", ctypes.c_int64),
                ("message", ctypes.c_char * 1024)]


class Matrix(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_float)), ("rows", ctypes.c_size_t), ("cols", ctypes.c_size_t)]


class Stats(ctypes.Structure):
    _fields_ = [("texts", ctypes.c_size_t), ("distinct", ctypes.c_size_t), ("cut", ctypes.c_size_t),
                ("tokens", ctypes.c_size_t), ("seconds", ctypes.c_double)]


def genchi(library, directory, texts, dtype):
    lib, err = ctypes.CDLL(library), Error()
    ctx, model, out, stats = ctypes.c_void_p(), ctypes.c_void_p(), Matrix(), Stats()

    def ok(status):
        if status != 0:
            sys.exit(err.message.decode())

    ok(lib.gn_context_create(None, ctypes.byref(ctx), ctypes.byref(err)))
    options = Options(0, {"float32": 1, "bf16": 2, "int8": 3}[dtype], 0)
    ok(lib.gn_model_load(ctx, directory.encode(), ctypes.byref(options), ctypes.byref(model), ctypes.byref(err)))
    raw = [t.encode() for t in texts]
    strings = (ctypes.c_char_p * len(raw))(*raw)
    lengths = (ctypes.c_uint32 * len(raw))(*map(len, raw))
    ok(lib.gn_model_embed(ctx, model, strings, lengths, ctypes.c_size_t(len(raw)), ctypes.byref(out),
                          None, ctypes.byref(stats), ctypes.byref(err)))
    x = np.ctypeslib.as_array(out.data, (out.rows, out.cols)).copy()
    lib.gn_matrix_free(ctypes.byref(out))
    lib.gn_model_free(model)
    lib.gn_context_free(ctx)
    return x, stats


ODD = ["", " ", "\n", "a", "\u0000", "\ufeffBOM", "e\u0301", "\u00e9", "ﬁ ﬂ", "👩‍👩‍👧‍👦 family", "🇯🇵🇺🇸", "مرحبا بالعالم", "हिन्दी",
       "Привет, мир!", "Ωμέγα", "İstanbul", "ＦＵＬＬ ｗｉｄｔｈ", "東京都", "한국어", "ภาษาไทย", "a" * 500, "word " * 600,
       "...!!!???", "don't can't won't", "http://example.com/a?b=c&d=%20", "@user #tag $100 50% a_b-c",
       "<html><b>x</b></html>", "{\"json\": [1, 2]}", "[MASK] [CLS] [SEP]", "[UNK]", "\u200b\u200d\u00ad", "\u3000全角　空白",
       "tab\tand\rreturn", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "½ ² ™ ©", "x\u0308\u0323", "1,234,567.89", "2026-01-01T00:00:00Z", "\ufffd"]


def gather(files, count, seed=1):
    rows = []
    for name in files:
        encoding = "latin-1" if "sentiment140" in name else "utf-8"
        with open(name, encoding=encoding, newline="") as f:
            if name.endswith((".csv", ".tsv")):
                table = list(csv.reader(f, delimiter="," if name.endswith(".csv") else "\t"))
                column = max(range(len(table[0])), key=lambda c: sum(len(r[c]) for r in table[1:200] if len(r) > c))
                rows.append([r[column] for r in table[1:] if len(r) > column])
            else:
                rows.append([line.rstrip("\n") for line in f])
    r, texts = random.Random(seed), list(ODD)
    everything = [t for part in rows for t in part] or ODD
    for part in rows:
        texts += r.sample(part, min(len(part), (count - len(ODD)) // (2 * len(rows))))
    while len(texts) < count:  # several texts in one, to reach every length
        texts.append(" ".join(r.choice(everything) for _ in range(r.randint(1, 25))))
    return texts[:count]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--library", default="build/gcc/libgenchi.so")
    p.add_argument("--texts", nargs="*", default=[])
    p.add_argument("--count", type=int, default=1000)
    a = p.parse_args()
    texts = gather(a.texts, a.count)
    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer(a.model, device="cpu")
    start = time.time()
    expected = np.asarray(model.encode(texts, batch_size=32, convert_to_numpy=True), np.float64)
    print(f"sentence-transformers: {len(texts)} texts, {time.time() - start:.1f} s")
    failed = False
    for dtype in ("float32", "bf16", "int8"):
        found, stats = genchi(a.library, a.model, texts, dtype)
        cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        worst = int(cosine.argmin())
        print(f"{dtype}: cosine least {cosine.min():.8f} (text {worst}: {texts[worst][:40]!r}), mean {cosine.mean():.8f}, "
              f"largest difference {np.abs(found - expected).max():.2e}; {stats.tokens} tokens, {stats.cut} cut, "
              f"{stats.seconds:.2f} s")
        failed = failed or not {"float32": cosine.min() >= 0.99999, "bf16": cosine.mean() >= 0.9999,
                                "int8": cosine.mean() >= 0.995}[dtype]
    sys.exit(failed)


if __name__ == "__main__":
    main()
