/* Embeddings from elsewhere: .npy, .npz and .safetensors files, with labels, ids and groups beside them.
 *
 * Floor 6. */
#ifndef GENCHI_VECTORS_H
#define GENCHI_VECTORS_H

#include "genchi/context.h"
#include "genchi/dataset.h"
#include "genchi/matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* By the end of its name: .npy, .npz or .safetensors. */
GN_API bool gn_vectors_named(const char *path);

/* x: one row a text. d: rows without texts (text, length and line are NULL), with labels, ids and groups
 * where the file has them. A .npy is the matrix. A .npz (stored or deflated) holds arrays, a .safetensors
 * tensors, by name, in any case: embeddings (or embedding, vectors, x, features, arr_0; else the only one
 * that is none of the following), labels (label, targets, target, y), ids (id), groups (group), these
 * one-dimensional, of integers or booleans, in a .npz also of strings; an empty string is no label, no group.
 * labels: a file with one label a line, an empty line for none, which takes the place of labels inside; NULL:
 * none. Errors: GN_IO; GN_FORMAT (damaged; no matrix); GN_UNSUPPORTED (types, pickled objects, encryption:
 * named); GN_DATA (NaN, infinite; other numbers of labels than rows). Free both with their own functions. */
GN_API gn_status gn_vectors_read(gn_context *ctx, const char *path, const char *labels, gn_matrix *x,
                                 gn_dataset *d, gn_error *err);

/* The same, but a .npy stays in its mapped file where gn_npy_map leaves it there. Free x with gn_npy_unmap,
 * whatever the file was. */
GN_API gn_status gn_vectors_map(gn_context *ctx, const char *path, const char *labels, gn_npy *x,
                                gn_dataset *d, gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
