/* A dataset for embeddings that come ready-made: rows without texts. */
#ifndef GENCHI_DATA_VECTORS_H
#define GENCHI_DATA_VECTORS_H

#include "data/npz.h"
#include "genchi/dataset.h"

/* `rows` rows without texts; path and sha256 of the file they came from. columns: labels, ids and groups that
 * came with them, or NULL. labels: a UTF-8 file (may be .gz or .zst) with one label a line, an empty line for
 * a row without one, in place of those; NULL: none. text and length of the result are NULL. Errors: GN_IO;
 * GN_DATA (another number of values than rows). gn_dataset_free frees it. */
gn_status gn__dataset_of_vectors(gn_context *ctx, const char *path, size_t rows, const char *labels,
                                 const gn__vector_columns *columns, gn_dataset *out, gn_error *err);

#endif
