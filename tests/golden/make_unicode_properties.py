#!/usr/bin/env python3
"""Writes src/text/unicode_properties.c: what `tokenizers` believes about every code point, beside what
make_unicode_tables.py asks: general categories and \\w of its regular expressions (Oniguruma), scripts, numerals,
accents, grapheme boundaries (seen through its Precompiled normalizer), compositions and compatibility decompositions.
Run from the repository root."""
import base64
import json
import struct
import sys

import tokenizers
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

from make_unicode_tables import CODES, wrapped

OUT = "src/text/unicode_properties.c"
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()
SCRIPTS = "Han Hiragana Katakana Hangul Latin Greek Cyrillic Arabic Hebrew Thai Devanagari".split()
# classes of grapheme boundaries
ANY, JOINS, SPACING, PREPEND, CONTROL, PICTURE, ZWJ, L, V, T, LV, LVT, REGIONAL, CONSONANT, LINKER, EXTEND = range(16)


def matched(pattern):
    """The code points that the regular expression matches, from one text that holds them all."""
    text, found = "".join(map(chr, CODES)), set()
    for piece, (begin, end) in pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text):
        found.update(map(ord, piece))
    return found


def charsmap(key, value):
    """A double-array trie (darts-clone) with one key, and what it stands for."""
    units, at = {0: 0}, 0
    states, free = [0], 1
    for depth, byte in enumerate(key):
        base = 256 * (depth + 1)  # a block of its own for every state
        units[at] = units.get(at, 0) & ~0x7FFFFC00 | ((at ^ base) << 10) | (units.get(at, 0) & 0x3FF)
        child = base ^ byte
        units[child] = byte
        at = child
    base = 256 * (len(key) + 1)
    units[at] = units[at] & 0xFF | ((at ^ base) << 10) | 1 << 8
    units[base] = 1 << 31
    array = [units.get(i, 0) for i in range(base + 256)]
    return struct.pack("<I", 4 * len(array)) + struct.pack(f"<{len(array)}I", *array) + value + b"\0"


def precompiled(key, value):
    description = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(key.encode(), value)).decode()}
    t = Tokenizer.from_str(json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
                                       "normalizer": description, "pre_tokenizer": None, "post_processor": None,
                                       "decoder": None, "model": {"type": "WordLevel", "vocab": {"u": 0},
                                                                  "unk_token": "u"}}))
    return t.normalizer.normalize_str


def graphemes():
    """A key that stands alone in its grapheme, or begins one of less than 6 bytes, takes the whole grapheme with it;
    in a longer grapheme every character is looked up by itself. So one can see where a grapheme ends."""
    a, m1, sign, ta = (precompiled(k, b"X") for k in ("a", "\u0300", "\u00a9", "\u0924"))
    mark = "\u0300"
    classes = {}
    for c in CODES:
        s = chr(c)
        if c < 0x80:
            classes[c] = CONTROL if c < 0x20 or c == 0x7F else ANY
            continue
        if 0x1F1E6 <= c <= 0x1F1FF:
            classes[c] = REGIONAL
            continue
        k = ANY
        if a("a" + s) == "X":
            # does it let a picture joined by U+200D go on; does it stand between a consonant and its linker
            extend = sign("\u00a9" + s + "\u200d\u00a9" + mark) == "X" + s + "\u200dX" + mark
            linker = ta("\u0915" + s + "\u0924" + mark) == "\u0915" + s + "X" + mark
            between = ta("\u0915" + s + "\u094d\u0924" + mark) == "\u0915" + s + "\u094dX" + mark
            k = ZWJ if c == 0x200D else LINKER if linker else EXTEND if between else JOINS if extend else SPACING
            assert c != 0x200D or (between and not linker)
        elif a(s + "a" + mark + mark) == s + "X" + mark + mark:
            k = PREPEND
        elif m1(s + mark + mark) == s + "X":
            k = CONTROL
        elif sign("\u00a9\u200d" + s) == "X\u200d" + s:
            k = PICTURE
        elif ta(s + "\u094d\u0924" + mark) == s + "\u094dX" + mark:
            k = CONSONANT
        if c == 0xA9:
            k = PICTURE
        classes[c] = k
    for c in range(0x1100, 0xD7FC):
        if 0x1100 <= c <= 0x115F or 0xA960 <= c <= 0xA97C:
            k = L
        elif 0x1160 <= c <= 0x11A7 or 0xD7B0 <= c <= 0xD7C6:
            k = V
        elif 0x11A8 <= c <= 0x11FF or 0xD7CB <= c <= 0xD7FB:
            k = T
        elif 0xAC00 <= c <= 0xD7A3:
            k = LV if (c - 0xAC00) % 28 == 0 else LVT
        else:
            continue
        assert classes[c] == ANY, hex(c)
        classes[c] = k
    # the jamo and syllables, by asking for some of them whether they join what stands before
    for c in [*range(0x1100, 0x1200), *range(0xA960, 0xA980), *range(0xAC00, 0xD800, 7), *range(0xD7A0, 0xD7FF)]:
        ask = precompiled(chr(c), b"X")
        for before, joins in (("\u1100", (L, V, LV, LVT)), ("\u1161", (V, T)), ("\u11a8", (T,)), ("\uac00", (V, T)),
                              ("\uac01", (T,)), ("b", ())):
            joined = ask(before + chr(c) + mark) == before.replace(chr(c), "X") + "X" + mark
            assert joined == (classes[c] in joins), (hex(c), hex(ord(before)))
    return classes


def scripts():
    """Classes of equal script, numbered in order of appearance; 0: taken along with whatever stands before."""
    split = lambda s: [p for p, _ in pre_tokenizers.UnicodeScripts().pre_tokenize_str(s)]
    first, classes, last = {}, {}, None
    for c in CODES:
        s = chr(c)
        if split("\u0e01" + s) == split("a" + s)[:0] + ["\u0e01" + s] and split("a" + s) == ["a" + s]:
            classes[c] = 0
            continue
        if last and split(first[last] + s) == [first[last] + s]:
            classes[c] = last
            continue
        for k, sample in first.items():
            if split(sample + s) == [sample + s]:
                classes[c] = last = k
                break
        else:
            classes[c] = last = len(first) + 1
            first[last] = s
    assert len(first) < 256
    return classes


def runs(values):
    out, previous = [], None
    for c in range(0x110000):
        v = values.get(c, 0)
        if v != previous:
            out.append(c << 8 | v)
            previous = v
    return out


def main():
    category = {}
    for i, name in enumerate(CATEGORIES):
        for c in matched(rf"\p{{{name}}}"):
            assert c not in category, (hex(c), name)
            category[c] = i
    assert len(category) == len(CODES)
    group = {"L": 0, "M": 0, "N": 0, "P": 0, "S": 0, "Z": 0}
    for g in group:
        assert matched(rf"\p{{{g}}}") == {c for c, i in category.items() if CATEGORIES[i][0] == g}, g
    assert matched(r"\d") == {c for c, i in category.items() if CATEGORIES[i] == "Nd"}
    digits = pre_tokenizers.Digits(individual_digits=False)
    accents = normalizers.StripAccents()
    flags = {}
    word, space = matched(r"\w"), matched(r"\s")
    # pattern_translate.c knows these six; \s and \d are the same everywhere
    assert word - matched(r"[\w]") == {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE} and word == set(CODES) - matched(r"\W")
    assert space == matched(r"[\s]") and matched(r"\d") == matched(r"[\d]")
    named = [matched(rf"\p{{{n}}}") for n in SCRIPTS]
    # POSIX brackets; pattern_classes.c knows how the others follow from these, the categories and \s
    posix = {n: matched(f"[[:{n}:]]") for n in ("alpha", "upper", "lower", "digit", "alnum", "space", "punct", "graph", "print",
                                               "cntrl", "blank", "xdigit", "word", "ascii")}
    of = lambda *names: {c for c, i in category.items() if CATEGORIES[i] in names or CATEGORIES[i][0] in names}
    assert posix["digit"] == of("Nd") and posix["alnum"] == posix["alpha"] | of("Nd") and posix["cntrl"] == of("Cc")
    assert posix["space"] == space and posix["word"] == matched(r"[\w]") and posix["punct"] == of("P", "S")
    assert posix["graph"] == set(CODES) - space - of("Cc", "Cn") and posix["print"] == posix["graph"] | of("Zs")
    assert posix["blank"] == of("Zs") | {9} and posix["ascii"] == set(range(128))
    assert posix["xdigit"] == set(map(ord, "0123456789ABCDEFabcdef")) == matched(r"\h")
    between, cut = normalizers.Replace(Regex(r"\b~"), ""), normalizers.Replace(Regex(r"~\B"), "")
    for c in CODES:  # \b looks at \w
        assert (between.normalize_str(chr(c) + "~") == chr(c)) == (c in word) or c == 0x7E, hex(c)
        assert (cut.normalize_str("~" + chr(c)) == chr(c)) == (c not in word) or c == 0x7E, hex(c)
    for c in CODES:
        s = chr(c)
        f = (len(digits.pre_tokenize_str("a" + s)) == 2) | (accents.normalize_str("a" + s) == "a") << 1
        f |= (c in word) << 2 | (c in space) << 3
        f |= next((i + 1 for i, n in enumerate(named) if c in n), 0) << 4
        flags[c] = f
    grapheme, script = graphemes(), scripts()

    nfc, nfd, nfkd = normalizers.NFC(), normalizers.NFD(), normalizers.NFKD()
    pairs = {}
    for c in CODES:
        if 0xAC00 <= c <= 0xD7A3:
            continue
        d = nfd.normalize_str(chr(c))
        if len(d) > 1 and nfc.normalize_str(d) == chr(c):
            head = nfc.normalize_str(d[:-1])
            assert len(head) == 1, hex(c)
            pairs[ord(head), ord(d[-1])] = c
    pool, heads = [], []
    for c in CODES:
        k = nfkd.normalize_str(chr(c))
        if k != nfd.normalize_str(chr(c)):
            k = [ord(x) for x in k]
            place = next((i for i in range(len(pool)) if pool[i:i + len(k)] == k), None)
            if place is None:
                place = len(pool)
                pool += k
            assert place < 1 << 16 and len(k) < 32
            heads.append((c, place, len(k)))

    tables = [("category", runs(category)), ("property", runs(flags)), ("grapheme", runs(grapheme)),
              ("script", runs(script)),
              ("letter", runs({c: (c in posix["alpha"]) | (c in posix["upper"]) << 1 | (c in posix["lower"]) << 2 for c in CODES}))]
    with open(OUT, "w", encoding="utf-8") as f:
        f.write(f"""/* Written by tests/golden/make_unicode_properties.py from tokenizers {tokenizers.__version__}; do not edit. */
#include "text/unicode_properties.h"

/* clang-format off */
const char *const gn__unicode_category_names[] = {{{wrapped(f'"{n}"' for n in CATEGORIES)}}};
const char *const gn__unicode_script_names[] = {{{wrapped(f'"{n}"' for n in SCRIPTS)}}};
""")
        for name, rows in tables:
            f.write(f"""
/* first code point << 8 | value */
static const uint32_t {name}_runs[{len(rows)}] = {{
{wrapped(f"0x{r:X}" for r in rows)}
}};
const gn__unicode_table gn__unicode_{name} = {{{name}_runs, {len(rows)}}};
""")
        f.write(f"""
/* first, second, what they compose to */
const uint32_t gn__unicode_pairs[][3] = {{
{wrapped(f"{{{a},{b},{c}}}" for (a, b), c in sorted(pairs.items()))}
}};
const size_t gn__unicode_pair_count = {len(pairs)};

/* code point << 24 | place in the pool << 8 | length */
const uint64_t gn__unicode_compatible[] = {{
{wrapped(f"0x{c << 24 | p << 8 | n:X}" for c, p, n in heads)}
}};
const size_t gn__unicode_compatible_count = {len(heads)};

const uint32_t gn__unicode_compatible_pool[] = {{
{wrapped(str(v) for v in pool)}
}};
""")
    print(OUT, {n: len(r) for n, r in tables}, len(pairs), len(heads), len(pool))


if __name__ == "__main__":
    sys.exit(main())
