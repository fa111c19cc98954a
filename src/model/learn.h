/* Embedding in parts, for callers inside the library that see the texts a block at a time or need their
 * tokens. */
#ifndef GENCHI_MODEL_LEARN_H
#define GENCHI_MODEL_LEARN_H

#include "model/internal.h"

/* The model's rows depend on all texts of a call (builtin:char-ngram): they have to be learnt first. */
bool gn__model_learns(const gn_model *m);
gn_status gn__model_learn(gn_context *ctx, const gn_model *m, const char *const *text, const uint32_t *length,
                          size_t texts, gn__idf *idf, gn_error *err);
/* What one thread needs to make token ids of texts; holds them. A zeroed struct is valid. */
typedef struct gn__encoder {
    gn_tokens tokens;
    gn__buf prompted; /* the prompt and a text */
    gn__arena ids;
} gn__encoder;
/* The token ids of a text as the model takes them: prompt in front, specials, cut at max_length; the empty
 * token for none at all. number: of the text, for messages. out: owned by e. Errors: GN_DATA (an id without
 * an embedding). */
gn_status gn__model_ids(const gn_model *m, gn__encoder *e, const char *text, size_t length, size_t number,
                        gn__sequence *out, bool *cut, gn_error *err);
void gn__encoder_free(gn__encoder *e);

/* gn_model_embed with what was learnt (NULL: from these texts). tokens: [texts] those of each text as
 * computed, or NULL; 0 by a model that learns. */
gn_status gn__model_embed(gn_context *ctx, const gn_model *m, const gn__idf *idf, const char *const *text,
                          const uint32_t *length, size_t texts, gn_matrix *out, unsigned char *cut,
                          uint32_t *tokens, gn_embed_stats *stats, gn_error *err);

#endif
