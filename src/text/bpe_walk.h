/* Byte pair encoding without merging: the tokens of a word in one walk along it.
 *
 * A row of tokens is the encoding of its bytes exactly when each token by itself is encoded as itself and
 * each two neighbours together as the two: merging never looks beyond the two symbols it joins, so the first
 * merge across the border of two tokens, if there is one, happens among these two alone (van Antwerpen and
 * Neubeck, github.com/github/rust-gems, crates/bpe, 2024). At each place the longest token that gets on with
 * the one before is taken, with a way back; an end that leads nowhere is never tried again, so that the time
 * is linear in the word's length for a given vocabulary.
 *
 * Ranks are those of the list of merges, not ids: a token may have several merges, and a merge may name parts
 * that come later. What decides is which merge makes a token of its own bytes. Two neighbours get on unless,
 * when their last merges are undone, latest first, two symbols meet at the border that would have been merged
 * before. This takes for granted that tokens are made of tokens made before them, which is checked. */
#ifndef GENCHI_TEXT_BPE_WALK_H
#define GENCHI_TEXT_BPE_WALK_H

#include "text/bpe.h"
#include "text/vocab.h"

typedef struct gn__bpe_walk gn__bpe_walk;

/* For byte-level vocabularies: byte_token[256] are the symbols of the single bytes, all there. *out is NULL
 * where a token is made of one made after it. false: no memory. Both must outlive it. */
bool gn__bpe_walk_make(const gn__bpe_merges *merges, const gn__tok_vocab *vocab,
                       const int32_t byte_token[256], gn__bpe_walk **out);
void gn__bpe_walk_free(gn__bpe_walk *w);

/* The tokens of s[0..n), n > 0; returns how many, always more than none. id: room for n; dead: for n / 64
 * + 1. Thread-safe. */
size_t gn__bpe_walk_along(const gn__bpe_walk *w, const unsigned char *s, size_t n, int32_t *id,
                          uint64_t *dead);

#endif
