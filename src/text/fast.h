/* The short way for the commonest pipeline: byte-level BPE whose words are cut by a known pattern, with no
 * normalizer. It works on the bytes of the input, and keeps the tokens of words that it has met. */
#ifndef GENCHI_TEXT_FAST_H
#define GENCHI_TEXT_FAST_H

#include "text/parts.h"
#include "text/pattern.h"

enum { GN__FAST_BYTES = 64 }; /* longer words go the long way */

typedef struct gn__fast_token {
    int32_t id;
    uint8_t length;        /* bytes */
    uint8_t before, after; /* characters that stand for blanks, at its ends */
} gn__fast_token;

typedef struct gn__fast gn__fast;

/* NULL in *out where the pipeline is another. */
gn_status gn__fast_make(const gn__tok_source *source, const gn__tok_steps *pre_tokenizers,
                        const gn__tok_model *model, gn__fast **out);
void gn__fast_free(gn__fast *f);
/* Length of the first word of text[0..n), n > 0, well-formed UTF-8. */
size_t gn__fast_word(const gn__fast *f, const char *text, size_t n);
/* The tokens of a word of at most GN__FAST_BYTES bytes; store has room for as many tokens. Thread-safe. */
const gn__fast_token *gn__fast_tokens(gn__fast *f, const char *word, size_t n, gn__fast_token *store,
                                      size_t *count);

/* What the parts tell about themselves. */
bool gn__byte_level_words(const void *state, bool *use_regex); /* false: it adds spaces */
gn__words gn__split_words(const void *state);
/* All 256 bytes are tokens, and nothing is added to a word. */
bool gn__bpe_is_complete(const void *state);
/* The tokens of n <= GN__FAST_BYTES bytes, and their lengths in bytes; returns how many. */
size_t gn__bpe_bytes(const void *state, const unsigned char *word, size_t n, int32_t *id, uint8_t *length);

#endif
