/* The short way for the commonest pipelines: byte-level BPE whose words are cut by a known pattern, with no
 * normalizer but NFC, for texts that are in NFC as they stand. It works on the bytes of the input, and keeps
 * the tokens of short words that it has met. */
#ifndef GENCHI_TEXT_FAST_H
#define GENCHI_TEXT_FAST_H

#include "text/parts.h"
#include "text/pattern.h"

enum { GN__FAST_BYTES = 32 }; /* longer words are not kept */

/* What the places of a token's bytes depend on. */
typedef struct gn__fast_shape {
    uint16_t length;        /* bytes */
    uint16_t before, after; /* characters that stand for blanks, at its ends */
} gn__fast_shape;

typedef struct gn__fast gn__fast;

/* NULL in *out where the pipeline is another. The model is made ready for it. */
gn_status gn__fast_make(const gn__tok_source *source, const gn__tok_steps *pre_tokenizers,
                        gn__tok_model *model, gn__fast **out);
void gn__fast_free(gn__fast *f);
/* Length of the first word of text[0..n), n > 0, well-formed UTF-8. */
size_t gn__fast_word(const gn__fast *f, const char *text, size_t n);
/* The tokens of a word. They lie in store, in the scratch or in what is kept, and stay until the next call.
 * Thread-safe. */
gn_status gn__fast_tokens(gn__fast *f, const char *word, size_t n, int32_t store[GN__FAST_BYTES],
                          gn__tok_scratch *scratch, const int32_t **id, size_t *count);
const gn__fast_shape *gn__fast_shape_of(const gn__fast *f, int32_t id);

/* What the parts tell about themselves. */
bool gn__byte_level_words(const void *state, bool *use_regex); /* false: it adds spaces */
gn__words gn__split_words(const void *state);
/* All 256 bytes are tokens, and nothing is added to a word. */
bool gn__bpe_is_complete(const void *state);
/* For complete ones: makes the words of bytes quick (bpe_walk.h) where that is possible. false: no memory. */
bool gn__bpe_prepare(void *state);
/* The tokens of n <= GN__FAST_BYTES bytes; returns how many. */
size_t gn__bpe_word(const void *state, const unsigned char *word, size_t n, int32_t id[GN__FAST_BYTES]);
/* Of any number of bytes; *id points into the scratch. */
gn_status gn__bpe_long_word(const void *state, const unsigned char *word, size_t n, gn__tok_scratch *scratch,
                            const int32_t **id, size_t *count);

#endif
