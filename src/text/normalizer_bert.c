/* BertNormalizer: clean_text, handle_chinese_chars, strip_accents, lowercase, in this order. */
#include "text/parts.h"
#include "text/unicode.h"

typedef struct bert {
    bool clean, cjk, strip, lower;
} bert;

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    static const char name[] = "BertNormalizer";
    bert b = {0};
    GN__TRY(gn__tok_bool(source, name, part, "clean_text", GN__TOK_REQUIRED, &b.clean));
    GN__TRY(gn__tok_bool(source, name, part, "handle_chinese_chars", GN__TOK_REQUIRED, &b.cjk));
    GN__TRY(gn__tok_bool(source, name, part, "lowercase", GN__TOK_REQUIRED, &b.lower));
    b.strip = b.lower; /* what strip_accents: null means */
    GN__TRY(gn__tok_bool(source, name, part, "strip_accents", GN__TOK_OPTIONAL, &b.strip));
    bert *copy = malloc(sizeof *copy);
    if (copy == NULL) return gn__no_memory(source->err, sizeof *copy);
    *copy = b;
    *state = copy;
    return GN_OK;
}

static void clean(const bert *b, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    if (!gn__tok_reserve_glyphs(spare, text->glyphs)) return;
    for (size_t i = 0; i < text->glyphs; i++) {
        gn__glyph g = text->glyph[i];
        unsigned flags = gn__unicode_flags(g.code);
        if (b->clean && flags & GN__UNICODE_DROP) continue;
        if (b->clean && flags & GN__UNICODE_BLANK) g.code = ' ';
        bool pad = b->cjk && flags & GN__UNICODE_CJK;
        if (pad) gn__tok_add_glyph(spare, ' ', g.begin, g.end);
        gn__tok_add_glyph(spare, g.code, g.begin, g.end);
        if (pad) gn__tok_add_glyph(spare, ' ', g.begin, g.end);
    }
    gn__tok_swap_glyphs(text, spare);
}

static int by_order(const void *a, const void *b)
{
    const gn__glyph *x = a, *y = b;
    uint32_t p = x->code >> 24, q = y->code >> 24;
    if (p != q) return p < q ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Puts marks in canonical order (The Unicode Standard, D109), which keeps equals as they stand. */
static void order_marks(gn__glyph *g, size_t n)
{
    enum { SHORT = 16 };
    if (n > SHORT) {
        qsort(g, n, sizeof *g, by_order);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        gn__glyph moved = g[i];
        size_t k = i;
        for (; k > 0 && g[k - 1].code >> 24 > moved.code >> 24; k--) g[k] = g[k - 1];
        g[k] = moved;
    }
}

/* Canonical decomposition, then away with the marks. Between the passes a glyph holds its combining class
 * in the high byte of `code`, whether it is a further code point of a decomposition in `begin`, and its
 * place in `end`. Where marks change places, `tokenizers` gives the n-th code point that is no further one
 * the place of the n-th code point of the input; so must we. */
static void strip_accents(gn__tok_pieces *text, gn__tok_pieces *spare)
{
    size_t first = 0;
    while (first < text->glyphs && text->glyph[first].code < 0xC0) first++;
    if (first == text->glyphs) return;
    spare->glyphs = 0;
    if (!gn__tok_reserve_glyphs(spare, text->glyphs)) return;
    size_t run = 0;
    for (size_t i = 0; i < text->glyphs; i++) {
        uint32_t code[4];
        size_t n = gn__unicode_decompose(text->glyph[i].code, code);
        for (size_t k = 0; k < n; k++) {
            uint32_t class = code[k] < 0x300 ? 0 : gn__unicode_find(code[k])->order;
            if (class == 0) {
                if (spare->glyphs - run > 1) order_marks(spare->glyph + run, spare->glyphs - run);
                run = spare->glyphs + 1;
            }
            gn__tok_add_glyph(spare, code[k] | class << 24, k > 0, (uint32_t)spare->glyphs);
        }
    }
    if (spare->failed) return;
    if (spare->glyphs > run + 1) order_marks(spare->glyph + run, spare->glyphs - run);
    size_t from = 0, kept = 0;
    for (size_t i = 0; i < spare->glyphs; i++) {
        gn__glyph g = spare->glyph[i], place = {0, 0, 0};
        if (!g.begin) from++;
        if (from > 0) place = text->glyph[from - 1];
        g.code &= 0xFFFFFF;
        if (g.code >= 0x300 && gn__unicode_find(g.code)->flags & GN__UNICODE_MARK) continue;
        spare->glyph[kept++] = (gn__glyph){g.code, place.begin, place.end};
    }
    spare->glyphs = kept;
    gn__tok_swap_glyphs(text, spare);
}

static void lowercase(gn__tok_pieces *text, gn__tok_pieces *spare)
{
    spare->glyphs = 0;
    if (!gn__tok_reserve_glyphs(spare, text->glyphs)) return;
    for (size_t i = 0; i < text->glyphs; i++) {
        gn__glyph g = text->glyph[i];
        uint32_t lower[2];
        size_t n = gn__unicode_to_lower(g.code, lower);
        for (size_t k = 0; k < n; k++) gn__tok_add_glyph(spare, lower[k], g.begin, g.end);
    }
    gn__tok_swap_glyphs(text, spare);
}

static void apply(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    const bert *b = state;
    if (b->clean || b->cjk) clean(b, text, spare);
    if (b->strip) strip_accents(text, spare);
    if (b->lower) lowercase(text, spare);
}

extern const gn__tok_step_type gn__tok_normalizer_bert;
const gn__tok_step_type gn__tok_normalizer_bert = {
    .name = "BertNormalizer", .parse = parse, .free = free, .apply = apply};
