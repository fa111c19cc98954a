/* What becomes of the matches of a pattern that cuts the text: SplitDelimiterBehavior of `tokenizers`. */
#ifndef GENCHI_TEXT_CUT_H
#define GENCHI_TEXT_CUT_H

#include "text/parts.h"

typedef enum gn__cut_behavior {
    GN__CUT_REMOVED,
    GN__CUT_ISOLATED,
    GN__CUT_MERGED_WITH_PREVIOUS,
    GN__CUT_MERGED_WITH_NEXT,
    GN__CUT_CONTIGUOUS
} gn__cut_behavior;

/* Takes the pieces of one span in order (gn__pattern_piece); gn__cut_end gives out the last. */
typedef struct gn__cut {
    gn__cut_behavior behavior;
    bool invert; /* what lies between the matches counts as a match */
    gn__tok_pieces *out;
    size_t base;       /* where the span begins among the glyphs */
    size_t begin, end; /* the piece that waits */
    bool waiting, match;
} gn__cut;

void gn__cut_begin(gn__cut *c, size_t base);
void gn__cut_piece(void *cut, size_t begin, size_t end, bool match);
void gn__cut_end(gn__cut *c);

/* Cuts every span of `text` at the characters of a kind. */
typedef bool (*gn__cut_test)(uint32_t code, uint32_t arg);
void gn__cut_characters(gn__tok_pieces *text, gn__tok_pieces *spare, gn__cut_behavior behavior,
                        gn__cut_test is, uint32_t arg);
/* part["behavior"]; absent where optional leaves *out alone. */
gn_status gn__cut_parse(const gn__tok_source *source, const char *name, const json_t *part, gn__tok_need need,
                        gn__cut_behavior *out);

#endif
