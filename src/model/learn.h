/* Embedding in parts, for callers inside the library that see the texts a block at a time. */
#ifndef GENCHI_MODEL_LEARN_H
#define GENCHI_MODEL_LEARN_H

#include "model/char_ngram.h"

/* The model's rows depend on all texts of a call (builtin:char-ngram): they have to be learnt first. */
bool gn__model_learns(const gn_model *m);
gn_status gn__model_learn(gn_context *ctx, const gn_model *m, const char *const *text, const uint32_t *length,
                          size_t texts, gn__idf *idf, gn_error *err);
/* gn_model_embed with what was learnt (NULL: from these texts). tokens: [texts] those of each text as
 * computed, or NULL; 0 by a model that learns. */
gn_status gn__model_embed(gn_context *ctx, const gn_model *m, const gn__idf *idf, const char *const *text,
                          const uint32_t *length, size_t texts, gn_matrix *out, unsigned char *cut,
                          uint32_t *tokens, gn_embed_stats *stats, gn_error *err);

#endif
