/* The patterns by which GPT-2, Llama 3 and Qwen 2 cut words, as code; included once for glyphs and once for
 * bytes of well-formed UTF-8. The including file defines WORDS(name)             the function's name
 *   WORDS_TEXT              the type of a text
 *   WORDS_UNIT(t, i)        unit i as a number; an ASCII character is one unit, and no other unit equals one
 *   WORDS_SHAPE(t, n, i, w) GN__UNICODE_LETTER, _NUMBER, _GAP or 0 of the character at i < n, and its units
 * in w Each function gives the length in units of the match at the beginning of t[0..n), n > 0; both patterns
 * match everywhere, and no character is looked at more than a few times, so that cutting is linear. */

/* Length of the contraction at t[0..n) of exactly these letters, 0 for none. */
static size_t WORDS(contraction)(WORDS_TEXT t, size_t n)
{
    if (n < 2 || WORDS_UNIT(t, 0) != '\'') return 0;
    uint32_t c = WORDS_UNIT(t, 1);
    if (c == 's' || c == 't' || c == 'm' || c == 'd') return 2;
    if (n < 3) return 0;
    uint32_t d = WORDS_UNIT(t, 2);
    return (d == 'e' && (c == 'r' || c == 'v')) || (c == 'l' && d == 'l') ? 3 : 0;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ (Radford et al. 2019, encoder.py
 * of the openai/gpt-2 release) */
static size_t WORDS(gpt2)(WORDS_TEXT t, size_t n)
{
    size_t i = WORDS(contraction)(t, n), w, last;
    if (i > 0) return i;
    unsigned kind = WORDS_SHAPE(t, n, 0, &last);
    i = last;
    if (WORDS_UNIT(t, 0) == ' ' && n > 1) {
        unsigned after = WORDS_SHAPE(t, n, 1, &w);
        if (after != GN__UNICODE_GAP) {
            kind = after;
            i = 1 + w;
        }
    }
    for (; i < n && WORDS_SHAPE(t, n, i, &w) == kind; i += w) last = w;
    /* a run of white space leaves its last character to the word that follows */
    return kind == GN__UNICODE_GAP && i < n && i > last ? i - last : i;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
 * \s+(?!\S)|\s+ (OpenAI's cl100k; Llama 3 with 3 digits, Qwen 2 with one) */
static size_t WORDS(cl100k)(WORDS_TEXT t, size_t n, size_t digits)
{
    size_t i, w, first;
    uint32_t c = WORDS_UNIT(t, 0);
    if (c == '\'' && n > 1) {
        uint32_t a = WORDS_UNIT(t, 1) | 32, b = n > 2 ? WORDS_UNIT(t, 2) | 32 : 0;
        if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
        if ((b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l')) return 3;
        i = WORDS_LONG_S(t, n);
        if (i > 0) return i;
    }
    unsigned kind = WORDS_SHAPE(t, n, 0, &first);
    i = first;
    if (kind == GN__UNICODE_LETTER || (kind != GN__UNICODE_NUMBER && c != '\r' && c != '\n' && first < n &&
                                       WORDS_SHAPE(t, n, first, &w) == GN__UNICODE_LETTER)) {
        while (i < n && WORDS_SHAPE(t, n, i, &w) == GN__UNICODE_LETTER) i += w;
        return i;
    }
    if (kind == GN__UNICODE_NUMBER) {
        for (size_t k = 1; k < digits && i < n && WORDS_SHAPE(t, n, i, &w) == GN__UNICODE_NUMBER; k++) i += w;
        return i;
    }
    if (c == ' ' && n > 1 && WORDS_SHAPE(t, n, 1, &w) == 0) {
        kind = 0;
        i = 1 + w;
    }
    if (kind == 0) {
        while (i < n && WORDS_SHAPE(t, n, i, &w) == 0) i += w;
        while (i < n && (WORDS_UNIT(t, i) == '\n' || WORDS_UNIT(t, i) == '\r')) i++;
        return i;
    }
    size_t line = 0, last = 0;
    for (i = 0; i < n && WORDS_SHAPE(t, n, i, &w) == GN__UNICODE_GAP; i += w) {
        last = w;
        if (WORDS_UNIT(t, i) == '\n' || WORDS_UNIT(t, i) == '\r') line = i + 1;
    }
    if (line > 0) return line;
    return i < n && i > last ? i - last : i;
}

static size_t WORDS(match)(gn__words words, WORDS_TEXT t, size_t n)
{
    return words == GN__WORDS_GPT2 ? WORDS(gpt2)(t, n)
                                   : WORDS(cl100k)(t, n, words == GN__WORDS_LLAMA3 ? 3 : 1);
}
