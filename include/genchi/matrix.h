/* A dense row-major float32 matrix: element (i, j) is data[i * cols + j]. Also .npy files. */
#ifndef GENCHI_MATRIX_H
#define GENCHI_MATRIX_H

#include "genchi/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gn_matrix {
    float *data; /* rows * cols floats, 64-byte aligned when made by genchi; owned */
    size_t rows, cols;
} gn_matrix;

/* Zero-filled. Errors: GN_NO_MEMORY (size overflow included). Free with gn_matrix_free. */
GN_API gn_status gn_matrix_create(size_t rows, size_t cols, gn_matrix *out, gn_error *err);
/* Frees the data and zeroes the struct; a zeroed struct is allowed. */
GN_API void gn_matrix_free(gn_matrix *m);

/* Reads a two-dimensional .npy file (format versions 1.0 to 3.0; float16, float32, float64, either
 * byte order, C or Fortran order) as float32. uint16 is bfloat16 where the file that `genchi embed` writes
 * beside it (path.json, docs/embedding.md) says so, else another dtype. Errors: GN_IO; GN_FORMAT (header,
 * shape or size do not agree with the file); GN_UNSUPPORTED (another dtype, named); GN_DATA (NaN or infinite
 * values: the first row and column are named, and how many there are). */
GN_API gn_status gn_npy_read(const char *path, gn_matrix *out, gn_error *err);
/* The same without a copy where the file allows it (float32, little-endian, C order, aligned: what
 * gn_npy_write and numpy.save write): the data stay in the mapped file, read-only. Else the matrix is read as
 * by gn_npy_read. The file must not be changed meanwhile. Errors: as gn_npy_read. Free with gn_npy_unmap,
 * never with gn_matrix_free. */
typedef struct gn_npy {
    gn_matrix matrix;
    void *map; /* the mapping, NULL: matrix.data is owned */
    size_t map_size;
} gn_npy;
GN_API gn_status gn_npy_map(const char *path, gn_npy *out, gn_error *err);
GN_API void gn_npy_unmap(gn_npy *m); /* a zeroed struct is allowed */
/* Writes `m` as a version 1.0 float32 little-endian C-order .npy, aside and then renamed. */
GN_API gn_status gn_npy_write(const char *path, const gn_matrix *m, gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
