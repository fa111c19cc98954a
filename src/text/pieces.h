/* The text on its way through the pipeline: code points that remember which bytes of the input they came
 * from, cut into spans. */
#ifndef GENCHI_TEXT_PIECES_H
#define GENCHI_TEXT_PIECES_H

#include "core/core.h"

typedef struct gn__glyph {
    uint32_t code, begin, end; /* code point; byte range in the input */
} gn__glyph;

typedef struct gn__tok_span {
    uint32_t begin, end; /* of glyphs */
} gn__tok_span;

/* A zeroed struct is valid. After a failed allocation `failed` is set and further additions do nothing. */
typedef struct gn__tok_pieces {
    gn__glyph *glyph;
    size_t glyphs, glyph_capacity;
    gn__tok_span *span;
    size_t spans, span_capacity;
    bool failed, gave_up; /* gave_up: failed in the search for a regular expression */
} gn__tok_pieces;

/* Room for `more` further glyphs, or spans; false when memory is short. */
bool gn__tok_reserve_glyphs(gn__tok_pieces *p, size_t more);
bool gn__tok_reserve_spans(gn__tok_pieces *p, size_t more);
void gn__tok_add_span(gn__tok_pieces *p, size_t begin, size_t end); /* empty ones are left out */
void gn__tok_pieces_free(gn__tok_pieces *p);

static inline void gn__tok_add_glyph(gn__tok_pieces *p, uint32_t code, uint32_t begin, uint32_t end)
{
    if (p->glyphs == p->glyph_capacity && !gn__tok_reserve_glyphs(p, 1)) return;
    p->glyph[p->glyphs++] = (gn__glyph){code, begin, end};
}

static inline void gn__tok_pieces_clear(gn__tok_pieces *p)
{
    p->glyphs = p->spans = 0;
}

/* Exchanges the glyphs, and the spans, of two. */
void gn__tok_swap_glyphs(gn__tok_pieces *a, gn__tok_pieces *b);
void gn__tok_swap_spans(gn__tok_pieces *a, gn__tok_pieces *b);

#endif
