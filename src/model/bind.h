/* Finds a family's tensors among the weights and packs them; meanwhile the tokenizer is read. */
#ifndef GENCHI_MODEL_BIND_H
#define GENCHI_MODEL_BIND_H

#include "model/internal.h"

/* Fills words, positions, token_types, norms, layers, weight_types, parameters, sha256 and tokenizer of m,
 * whose recipe, info.dtype and weights are there. Errors: GN_FORMAT (a tensor missing or of another shape),
 * GN_UNSUPPORTED (weights of integer or other types), those of gn_tokenizer_load for the directory,
 * GN_NO_MEMORY, GN_CANCELLED. */
gn_status gn__model_bind(gn_context *ctx, gn_model *m, const char *directory, gn_error *err);

/* The name of a stored layer's part, without the prefix. */
void gn__layer_name(const gn__recipe *r, size_t layer, const char *part, char *out, size_t size);
/* What stands before the checkpoint's tensor names, and the name of the word embeddings: the first of the
 * family's that is there. */
void gn__bind_names(const gn_model *m, const char **prefix, const char **words);

#endif
