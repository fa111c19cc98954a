/* The safetensors format: 8 bytes little-endian length of the header, the header (a JSON object from
 * tensor name to {"dtype", "shape", "data_offsets": [begin, end)}, and "__metadata__"), the data that
 * the offsets count from. Whole (model.safetensors) or in shards named by
 * model.safetensors.index.json ("weight_map": tensor name to file name). */
#ifndef GENCHI_MODEL_SAFETENSORS_H
#define GENCHI_MODEL_SAFETENSORS_H

#include "core/core.h"

enum { GN__RANK = 8 };

typedef enum gn__weight_type {
    GN__WEIGHT_F32,
    GN__WEIGHT_F16,
    GN__WEIGHT_BF16,
    GN__WEIGHT_OTHER
} gn__weight_type;

typedef struct gn__tensor {
    const char *name, *type_name; /* "F32"; owned by the weights */
    gn__weight_type type;
    size_t rank, shape[GN__RANK], elements;
    const unsigned char *data; /* in the mapping; aligned to nothing in particular */
    size_t begin, end;         /* byte offsets as the header has them */
    size_t file;
} gn__tensor;

typedef struct gn__weights {
    char **path; /* [files], in shard order */
    gn__mapping *mapping;
    size_t files;
    gn__tensor *tensor;
    size_t tensors, capacity;
    gn__map by_name;
    gn__arena arena;
} gn__weights;

/* Maps and checks the weight files of a directory. Free with gn__weights_free, also after a failure. */
gn_status gn__weights_open(const char *directory, gn__weights *w, gn_error *err);
void gn__weights_free(gn__weights *w);
const gn__tensor *gn__weights_find(const gn__weights *w, const char *name); /* NULL: not there */
/* "[3, 4]" into text. */
void gn__shape_text(const size_t *shape, size_t rank, char *text, size_t size);
/* elements [first, first + n) as float32; the type must not be OTHER. */
void gn__tensor_read(const gn__tensor *t, size_t first, size_t n, float *out);
/* Gives the pages that hold nothing but this tensor back: what is mapped and was read counts as resident.
 * They can be read again, also by other threads meanwhile. */
void gn__tensor_forget(const gn__tensor *t);

/* Adds the tensors of one file's bytes; `file` is its place in w->path. */
gn_status gn__safetensors_parse(gn__weights *w, size_t file, const char *path, const unsigned char *data,
                                size_t size, gn_error *err);

#endif
