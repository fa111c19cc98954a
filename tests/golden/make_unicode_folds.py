#!/usr/bin/env python3
"""Writes src/text/unicode_folds.c: which characters the `tokenizers` library's regular expressions (Oniguruma) take for one
another without regard to case, by asking it about every letter that has a case. Run from the repository root."""
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

from make_unicode_tables import CODES, wrapped

OUT = "src/text/unicode_folds.c"


def matched(pattern, text):
    pieces = pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)
    return {ord(c) for piece, _ in pieces for c in piece}


def main():
    everything = "".join(map(chr, CODES))
    cased = matched("[[:upper:][:lower:]\\p{Lt}\u0345]", everything)
    text = " ".join(map(chr, sorted(cased)))
    same = {c: frozenset(matched(f"(?i:\\x{{{c:X}}})", text) - {32}) | {c} for c in sorted(cased)}
    assert all(same[d] == s for s in same.values() for d in s)  # each class is one, whichever member is asked for
    rows = sorted({s for s in same.values() if len(s) > 1}, key=min)
    assert max(map(len, rows)) <= 4
    for s in rows[::5]:  # and a class of characters holds what its members hold
        assert matched(f"(?i:[\\x{{{min(s):X}}}\\x01])", text) - {32} == s
    # what folds into several characters: of those genchi reads none, nor what could be the beginning of such a row
    long = {c: chr(c).casefold() for c in CODES if len(chr(c).casefold()) > 1}
    for c, folded in long.items():
        assert normalizers.Replace(Regex(f"(?i:\\x{{{c:X}}})"), "").normalize_str(folded) == ""
        assert normalizers.Replace(Regex(f"(?i:{folded})"), "").normalize_str(chr(c)) == ""
    first = {}  # of each class the member that stands in such rows
    letters = {x for f in long.values() for x in map(ord, f)}
    for s in rows:
        inside = s & letters
        assert len(inside) < 2
        first[s] = min(inside or s)
    pairs = sorted({(ord(f[0]), ord(f[1])) for f in long.values()})
    places = sorted((c, i) for i, s in enumerate(rows) for c in s)
    listed = [[first[s], *sorted(s - {first[s]}), 0, 0, 0][:4] for s in rows]
    with open(OUT, "w", encoding="ascii") as out:
        out.write(f"""/* Written by tests/golden/make_unicode_folds.py from tokenizers {tokenizers.__version__}; do not edit. */
#include "text/unicode_folds.h"

/* clang-format off */
const uint32_t gn__unicode_folds[{len(rows)}][4] = {{
{wrapped("{" + ",".join(map(str, r)) + "}" for r in listed)}
}};

const uint32_t gn__unicode_fold_places[][2] = {{
{wrapped(f"{{{c},{i}}}" for c, i in places)}
}};
const size_t gn__unicode_fold_count = {len(places)};

const uint32_t gn__unicode_fold_long[] = {{
{wrapped(str(c) for c in sorted(long))}
}};
const size_t gn__unicode_fold_long_count = {len(long)};

const uint32_t gn__unicode_fold_pairs[][2] = {{
{wrapped(f"{{{a},{b}}}" for a, b in pairs)}
}};
const size_t gn__unicode_fold_pair_count = {len(pairs)};
""")
    print(f"{OUT}: {len(rows)} classes, {len(places)} characters, {len(long)} fold into several")


if __name__ == "__main__":
    sys.exit(main())
