/* A dataset for embeddings that come ready-made: rows without texts. */
#ifndef GENCHI_DATA_VECTORS_H
#define GENCHI_DATA_VECTORS_H

#include "core/core.h"
#include "genchi/dataset.h"

/* `rows` rows without texts, path and sha256 of the .npy they came from. labels: a UTF-8 file (may be .gz or
 * .zst) with one label a line, an empty line for a row without one; NULL: no labels. text and length of the
 * result are NULL. Errors: GN_IO; GN_DATA (another number of lines than rows). gn_dataset_free frees it. */
gn_status gn__dataset_of_vectors(gn_context *ctx, const char *path, size_t rows, const char *labels,
                                 gn_dataset *out, gn_error *err);

#endif
