#!/usr/bin/env python3
"""Writes src/text/unicode_tables.c by asking the `tokenizers` library about every code point.

Run from the repository root. The library mixes Unicode versions (its BERT normaliser, its punctuation, its
regular expressions and its normal forms each come from another crate), so no Unicode database gives its answers.
"""
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

BLOCK = 64  # code points
OUT = "src/text/unicode_tables.c"
CODES = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
FLAGS = ["DROP", "BLANK", "CJK", "MARK", "SPACE", "PUNCT", "LETTER", "NUMBER", "GAP", "WORD", "STRIP", "COMPOSED"]
BIT = {name: 1 << i for i, name in enumerate(FLAGS)}


def flags_and_lower():
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False,
                                       lowercase=False)
    cjk = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False,
                                     lowercase=False)
    strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True,
                                       lowercase=False)
    lower = normalizers.Lowercase()
    bert = pre_tokenizers.BertPreTokenizer()
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)

    def added(**options):
        t = Tokenizer(models.WordLevel({"u": 0}, unk_token="u"))
        t.add_tokens([AddedToken("<<", normalized=False, **options)])
        return t

    word, spaces = added(single_word=True), added(rstrip=True)
    nfc, nfd = normalizers.NFC(), normalizers.NFD()
    # what a character before it may take up
    seconds = {nfd.normalize_str(chr(c))[-1] for c in CODES
               if nfc.normalize_str(chr(c)) == chr(c) != nfd.normalize_str(chr(c))}
    flags, lowered = {}, {}
    for c in CODES:
        s, f = chr(c), 0
        cleaned = clean.normalize_str("a" + s)
        if cleaned == "a":
            f |= BIT["DROP"]
        elif cleaned == "a ":
            f |= BIT["BLANK"]
        elif cleaned != "a" + s:
            sys.exit(f"U+{c:04X}: clean_text gave {cleaned!r}")
        padded = cjk.normalize_str(s)
        if padded == f" {s} ":
            f |= BIT["CJK"]
        elif padded != s:
            sys.exit(f"U+{c:04X}: handle_chinese_chars gave {padded!r}")
        if strip.normalize_str("a" + s) == "a":
            f |= BIT["MARK"]
        pieces = [p for p, _ in bert.pre_tokenize_str(f"a{s}b")]
        if pieces == ["a", "b"]:
            f |= BIT["SPACE"]
        elif pieces == ["a", s, "b"]:
            f |= BIT["PUNCT"]
        elif pieces != [f"a{s}b"]:
            sys.exit(f"U+{c:04X}: BertPreTokenizer gave {pieces!r}")
        if len(gpt2.pre_tokenize_str("a" + s)) == 1:
            f |= BIT["LETTER"]
        elif len(gpt2.pre_tokenize_str("1" + s)) == 1:
            f |= BIT["NUMBER"]
        elif len(gpt2.pre_tokenize_str("!" + s)) != 1:
            f |= BIT["GAP"]
        if word.encode("<<" + s).ids[0] == 0:
            f |= BIT["WORD"]
        if len(spaces.encode("<<" + s).ids) == 1:
            f |= BIT["STRIP"]
        if nfc.normalize_str(s) == s and s not in seconds:
            f |= BIT["COMPOSED"]
        flags[c] = f
        small = lower.normalize_str(s)
        if small != s:
            lowered[c] = [ord(x) for x in small]
    return flags, lowered


def canonical():
    """Full decompositions and combining classes, the latter from how the library orders pairs of marks."""
    nfd = normalizers.NFD()
    decomposed = {c: [ord(x) for x in nfd.normalize_str(chr(c))] for c in CODES}
    decomposed = {c: d for c, d in decomposed.items() if d != [c]}
    hangul = {c for c in decomposed if 0xAC00 <= c <= 0xD7A3}
    for c in hangul:  # these the code computes (The Unicode Standard, 3.12)
        i = c - 0xAC00
        d = [0x1100 + i // 588, 0x1161 + i % 588 // 28] + ([0x11A7 + i % 28] if i % 28 else [])
        assert decomposed[c] == d
    # A mark of each class; a pair (a, b) is swapped when class(a) > class(b) > 0.
    from unicodedata import ucd_3_2_0 as old  # marks that every version knows
    sample = {}
    for c in range(0x300, 0x1D200):
        k = old.combining(chr(c))
        if k and c not in decomposed:
            sample.setdefault(k, chr(c))
    classes = sorted(sample)
    swapped = lambda a, b: nfd.normalize_str("x" + a + b) == "x" + b + a != "x" + a + b
    for low, high in zip(classes, classes[1:]):
        assert swapped(sample[high], sample[low]) and not swapped(sample[low], sample[high])
    ccc = {}
    first, last = sample[classes[0]], sample[classes[-1]]
    for c in CODES:
        if c in decomposed:
            continue
        s = chr(c)
        if not swapped(s, first) and not swapped(last, s) and s not in (first, last):
            # a starter, or of the lowest and the highest class at once, which cannot be
            if swapped(s, sample[classes[1]]):
                sys.exit(f"U+{c:04X}: odd order")
            continue
        above = [k for k in classes if swapped(s, sample[k])]
        below = [k for k in classes if swapped(sample[k], s)]
        equal = [k for k in classes if k not in above and k not in below]
        k = equal[0] if len(equal) == 1 else unicodedata.combining(s)  # a class younger than the samples
        if not max(above, default=0) < k < min(below, default=256):
            sys.exit(f"U+{c:04X}: class not found")
        ccc[c] = k
    return {c: d for c, d in decomposed.items() if c not in hangul}, ccc


def wrapped(values, width=118):
    line, lines = "", []
    for v in values:
        if len(line) + len(v) + 1 > width:
            lines.append(line)
            line = ""
        line += v + ","
    return "\n".join(lines + [line])


def packed(numbers):
    """One block; what stays zero to its end is left out."""
    last = max([i for i, k in enumerate(numbers) if k] or [0])
    return "{" + ",".join(map(str, numbers[:last + 1])) + "}"


def lower_rows(lowered):
    """Runs of equal distance: first, last, step, distance to the lower-case letter."""
    single = sorted((c, d[0]) for c, d in lowered.items() if len(d) == 1)
    rows = []
    for c, d in single:
        if rows:
            first, last, step, delta = rows[-1]
            if d - c == delta and (c - last == step or first == last and c - last <= 2):
                rows[-1] = (first, c, c - last, delta)
                continue
        rows.append((c, c, 1, d - c))
    long = {c: d for c, d in lowered.items() if len(d) != 1}
    assert all(len(d) == 2 for d in long.values()) and len(long) < 4, long
    return rows, sorted(long.items())


def main():
    flags, lowered = flags_and_lower()
    decomposed, ccc = canonical()
    kinds, blocks, index = {}, {}, []
    for first in range(0, 0x110000, BLOCK):
        numbers = []
        for c in range(first, first + BLOCK):
            c = 0xFFFD if 0xD800 <= c <= 0xDFFF else c
            numbers.append(kinds.setdefault((flags[c], ccc.get(c, 0)), len(kinds)))
        index.append(blocks.setdefault(tuple(numbers), len(blocks)))
    assert len(kinds) < 256 and len(blocks) < 65536
    rows, long = lower_rows(lowered)
    pool, heads = [], []
    for c, d in sorted(decomposed.items()):
        heads.append((c, len(pool), len(d)))
        pool += d
    assert len(pool) < 8192 and all(n < 8 for _, _, n in heads)
    counts = ", ".join(f"{n} {sum(1 for f in flags.values() if f & BIT[n])}" for n in FLAGS)
    with open(OUT, "w", encoding="ascii") as out:
        out.write(f"""/* Written by tests/golden/make_unicode_tables.py from tokenizers {tokenizers.__version__}; do not edit.
 * Code points with each flag: {counts}. */
#include "text/unicode.h"

/* clang-format off */
const char gn__unicode_source[] = "tokenizers {tokenizers.__version__}";

const gn__unicode_kind gn__unicode_kinds[{len(kinds)}] = {{
{wrapped(f"{{{f},{k}}}" for f, k in kinds)}
}};

/* the kinds of the code points, in blocks of {BLOCK}, each different block once */
const uint8_t gn__unicode_blocks[{len(blocks)}][{BLOCK}] = {{
{wrapped(packed(b) for b in blocks)}
}};

/* which block code points 0 to {BLOCK - 1}, {BLOCK} to {2 * BLOCK - 1} and so on have */
const uint16_t gn__unicode_index[{len(index)}] = {{
{wrapped(str(i) for i in index)}
}};

const gn__unicode_lower gn__unicode_lowers[] = {{
{wrapped(f"{{{a},{b},{s},{d}}}" for a, b, s, d in rows)}
}};
const size_t gn__unicode_lower_count = {len(rows)};

/* code point, and the two it becomes */
const uint32_t gn__unicode_lower_pairs[][3] = {{
{wrapped(f"{{{c},{d[0]},{d[1]}}}" for c, d in long)}
}};
const size_t gn__unicode_lower_pair_count = {len(long)};

/* code point << 16 | place in the pool << 3 | length */
const uint64_t gn__unicode_decompositions[] = {{
{wrapped(f"0x{c << 16 | p << 3 | n:X}" for c, p, n in heads)}
}};
const size_t gn__unicode_decomposition_count = {len(heads)};

const uint32_t gn__unicode_pool[] = {{
{wrapped(str(v) for v in pool)}
}};
""")
    print(f"{OUT}: {len(kinds)} kinds, {len(blocks)} blocks, {len(rows)} lower-case rows, "
          f"{len(heads)} decompositions; {counts}")


if __name__ == "__main__":
    main()
