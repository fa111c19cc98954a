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
/* out: [texts × GN__CHAR_NGRAM_DIM], rows of unit length. */
gn_status gn__char_ngram_embed(gn_context *ctx, const gn__char_ngram *c, const char *const *text,
                               const uint32_t *length, size_t texts, float *out, gn_error *err);

enum { GN__CHAR_NGRAM_DIM = 512 };

#endif
