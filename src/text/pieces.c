#include "text/pieces.h"

static void *grow(void *old, size_t count, size_t more, size_t size, size_t *capacity)
{
    if (more > SIZE_MAX / 4 - count) return NULL;
    size_t wanted = *capacity < 64 ? 64 : *capacity * 2;
    if (wanted < count + more) wanted = count + more;
    void *p = gn__realloc(old, wanted, size);
    if (p != NULL) *capacity = wanted;
    return p;
}

bool gn__tok_reserve_glyphs(gn__tok_pieces *p, size_t more)
{
    if (p->failed) return false;
    if (p->glyph_capacity - p->glyphs >= more) return true;
    gn__glyph *glyph = grow(p->glyph, p->glyphs, more, sizeof *glyph, &p->glyph_capacity);
    if (glyph == NULL) {
        p->failed = true;
        return false;
    }
    p->glyph = glyph;
    return true;
}

bool gn__tok_reserve_spans(gn__tok_pieces *p, size_t more)
{
    if (p->failed) return false;
    if (p->span_capacity - p->spans >= more) return true;
    gn__tok_span *span = grow(p->span, p->spans, more, sizeof *span, &p->span_capacity);
    if (span == NULL) {
        p->failed = true;
        return false;
    }
    p->span = span;
    return true;
}

void gn__tok_add_span(gn__tok_pieces *p, size_t begin, size_t end)
{
    if (begin >= end) return;
    if (p->spans == p->span_capacity && !gn__tok_reserve_spans(p, 1)) return;
    p->span[p->spans++] = (gn__tok_span){(uint32_t)begin, (uint32_t)end};
}

void gn__tok_pieces_free(gn__tok_pieces *p)
{
    free(p->glyph);
    free(p->span);
    *p = (gn__tok_pieces){0};
}

void gn__tok_swap_glyphs(gn__tok_pieces *a, gn__tok_pieces *b)
{
    gn__tok_pieces old = *a;
    a->glyph = b->glyph;
    a->glyphs = b->glyphs;
    a->glyph_capacity = b->glyph_capacity;
    b->glyph = old.glyph;
    b->glyphs = old.glyphs;
    b->glyph_capacity = old.glyph_capacity;
}

void gn__tok_swap_spans(gn__tok_pieces *a, gn__tok_pieces *b)
{
    gn__tok_pieces old = *a;
    a->span = b->span;
    a->spans = b->spans;
    a->span_capacity = b->span_capacity;
    b->span = old.span;
    b->spans = old.spans;
    b->span_capacity = old.span_capacity;
}
