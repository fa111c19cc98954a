/* BertNormalizer: clean_text, handle_chinese_chars, strip_accents, lowercase, in this order. */
#include "text/normal_form.h"
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

/* Canonical decomposition, then away with the marks. Where marks change places, `tokenizers` gives the n-th
 * code point that is no further one of a decomposition the place of the n-th code point of the input; so must
 * we. */
static void strip_accents(gn__tok_pieces *text, gn__tok_pieces *spare)
{
    size_t first = 0;
    while (first < text->glyphs && text->glyph[first].code < 0xC0) first++;
    if (first == text->glyphs) return;
    gn__normal_decompose(text, spare, false);
    if (spare->failed) return;
    size_t from = 0, kept = 0;
    for (size_t i = 0; i < spare->glyphs; i++) {
        gn__glyph g = spare->glyph[i], place = {0, 0, 0};
        if (!g.begin) from++;
        if (from > 0) place = text->glyph[from - 1];
        g.code &= 0xFFFFFF;
        if (g.code >= 0x300 && gn__unicode(g.code)->flags & GN__UNICODE_MARK) continue;
        spare->glyph[kept++] = (gn__glyph){g.code, place.begin, place.end};
    }
    spare->glyphs = kept;
    gn__tok_swap_glyphs(text, spare);
}

static void apply(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    const bert *b = state;
    if (b->clean || b->cjk) clean(b, text, spare);
    if (b->strip) strip_accents(text, spare);
    if (b->lower) gn__tok_lowercase(text, spare);
}

extern const gn__tok_step_type gn__tok_normalizer_bert;
const gn__tok_step_type gn__tok_normalizer_bert = {
    .name = "BertNormalizer", .parse = parse, .free = free, .apply = apply};
