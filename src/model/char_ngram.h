/* builtin:char-ngram, the lexical control: what can be told from the spelling alone. */
#ifndef GENCHI_MODEL_CHAR_NGRAM_H
#define GENCHI_MODEL_CHAR_NGRAM_H

#include "core/core.h"
#include "genchi/model.h"

typedef struct gn__char_ngram gn__char_ngram;

gn_status gn__char_ngram_create(gn__char_ngram **out, gn_error *err);
void gn__char_ngram_free(gn__char_ngram *c);
/* Static facts: name, dim, sha256 of the recipe string … */
gn_status gn__char_ngram_info(gn_model_info *out, gn_error *err);

/* What the model learns from texts: how many there are, and how many of them hold each bucket. */
typedef struct gn__idf {
    uint64_t texts;
    uint32_t *df; /* [GN__CHAR_NGRAM_BUCKETS]; NULL before the first text */
} gn__idf;
/* Adds texts; the sums do not depend on how they come in parts. free(idf->df). */
gn_status gn__char_ngram_learn(gn_context *ctx, const gn__char_ngram *c, const char *const *text,
                               const uint32_t *length, size_t texts, gn__idf *idf, gn_error *err);
/* out: [texts × GN__CHAR_NGRAM_DIM], rows of unit length. */
gn_status gn__char_ngram_embed(gn_context *ctx, const gn__char_ngram *c, const gn__idf *idf,
                               const char *const *text, const uint32_t *length, size_t texts, float *out,
                               gn_error *err);

enum { GN__CHAR_NGRAM_DIM = 512, GN__CHAR_NGRAM_BUCKETS = 1 << 18 };

#endif
