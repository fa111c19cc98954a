/* The four normal forms, with the places that `tokenizers` gives their characters. */
#ifndef GENCHI_TEXT_NORMAL_FORM_H
#define GENCHI_TEXT_NORMAL_FORM_H

#include "text/pieces.h"

/* Decomposes the glyphs of `text` into `spare` and puts marks in canonical order. In `spare` a glyph holds
 * its combining class in the high byte of `code`, whether it is a further code point of a decomposition in
 * `begin`, and in `end` its number before the reordering. */
void gn__normal_decompose(const gn__tok_pieces *text, gn__tok_pieces *spare, bool compatible);
/* Gives the glyphs of `spare` (code; in `begin` 1 for an inserted character, 0 for one that replaces one of
 * the text, minus n where n further ones are left out) their places in `text`, and exchanges the two. */
void gn__normal_place(gn__tok_pieces *text, gn__tok_pieces *spare);

#endif
