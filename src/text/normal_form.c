#include "text/normal_form.h"
#include "text/parts.h"
#include "text/unicode.h"
#include "text/unicode_properties.h"

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

void gn__normal_decompose(const gn__tok_pieces *text, gn__tok_pieces *spare, bool compatible)
{
    spare->glyphs = 0;
    if (!gn__tok_reserve_glyphs(spare, text->glyphs)) return;
    size_t run = 0;
    for (size_t i = 0; i < text->glyphs; i++) {
        uint32_t code[32];
        size_t n = compatible ? gn__unicode_decompose_compatible(text->glyph[i].code, code)
                              : gn__unicode_decompose(text->glyph[i].code, code);
        for (size_t k = 0; k < n; k++) {
            uint32_t class = code[k] < 0x300 ? 0 : gn__unicode(code[k])->order;
            if (class == 0) {
                if (spare->glyphs - run > 1 && !spare->failed)
                    order_marks(spare->glyph + run, spare->glyphs - run);
                run = spare->glyphs + 1;
            }
            gn__tok_add_glyph(spare, code[k] | class << 24, k > 0, (uint32_t)spare->glyphs);
        }
    }
    if (spare->failed) return;
    if (spare->glyphs > run + 1) order_marks(spare->glyph + run, spare->glyphs - run);
}

void gn__normal_place(gn__tok_pieces *text, gn__tok_pieces *spare)
{
    size_t from = 0;
    for (size_t i = 0; i < spare->glyphs; i++) {
        gn__glyph *g = &spare->glyph[i];
        const gn__glyph none = {0, text->glyphs > 0 ? text->glyph[0].begin : 0,
                                text->glyphs > 0 ? text->glyph[0].begin : 0};
        int32_t change = (int32_t)g->begin;
        gn__glyph place;
        if (change > 0)
            place = from == 0 || from > text->glyphs ? none : text->glyph[from - 1];
        else
            place = from < text->glyphs ? text->glyph[from] : none;
        if (change <= 0) from += 1 + (size_t)-change;
        g->begin = place.begin;
        g->end = place.end;
    }
    gn__tok_swap_glyphs(text, spare);
}

/* Canonical composition (The Unicode Standard, D117) of what gn__normal_decompose left, in place. */
static void compose(gn__tok_pieces *p)
{
    size_t kept = 0, base = SIZE_MAX;
    uint32_t last = 0; /* class of the last mark that stayed after the base; 0: none did */
    for (size_t i = 0; i < p->glyphs; i++) {
        gn__glyph g = p->glyph[i];
        uint32_t class = g.code >> 24, code = g.code & 0xFFFFFF;
        if (base != SIZE_MAX && (last == 0 || last < class)) {
            uint32_t whole = gn__unicode_compose(p->glyph[base].code, code);
            if (whole != 0) {
                p->glyph[base].code = whole;
                p->glyph[base].begin += g.begin - 1; /* a character less, unless this one was a further one */
                continue;
            }
        }
        if (class == 0) {
            base = kept;
            last = 0;
        } else {
            last = class;
        }
        p->glyph[kept++] = (gn__glyph){code, g.begin, g.end};
    }
    p->glyphs = kept;
}

static bool plain(const gn__tok_pieces *text, uint32_t below)
{
    for (size_t i = 0; i < text->glyphs; i++)
        if (text->glyph[i].code >= below) return false;
    return true;
}

static void normalize(gn__tok_pieces *text, gn__tok_pieces *spare, bool compatible, bool composed)
{
    if (plain(text, compatible ? 0xA0 : composed ? 0x300 : 0xC0)) return;
    gn__normal_decompose(text, spare, compatible);
    if (spare->failed) return;
    if (composed)
        compose(spare);
    else
        for (size_t i = 0; i < spare->glyphs; i++) spare->glyph[i].code &= 0xFFFFFF;
    gn__normal_place(text, spare);
}

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    (void)source, (void)part, (void)state;
    return GN_OK;
}

#define FORM(field, type, compatible, composed)                                               \
    static void apply_##field(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare) \
    {                                                                                         \
        (void)state;                                                                          \
        normalize(text, spare, compatible, composed);                                         \
    }                                                                                         \
    extern const gn__tok_step_type gn__tok_normalizer_##field;                                \
    const gn__tok_step_type gn__tok_normalizer_##field = {                                    \
        .name = type, .parse = parse, .free = free, .apply = apply_##field}
FORM(nfc, "NFC", false, true);
FORM(nfd, "NFD", false, false);
FORM(nfkc, "NFKC", true, true);
FORM(nfkd, "NFKD", true, false);
