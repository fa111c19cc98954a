#include "genchi/vectors.h"

#include "data/data.h"
#include "data/vectors.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <strings.h>

typedef enum kind { NPY, NPZ, SAFETENSORS, KINDS } kind;

static kind kind_of(const char *path)
{
    static const char *const ends[KINDS] = {".npy", ".npz", ".safetensors"};
    size_t n = strlen(path);
    for (int k = 0; k < KINDS; k++)
        if (n > strlen(ends[k]) && strcasecmp(path + n - strlen(ends[k]), ends[k]) == 0) return (kind)k;
    return KINDS;
}

bool gn_vectors_named(const char *path)
{
    return kind_of(path) != KINDS;
}

/* ---- tensors --------------------------------------------------------------------------------------------
 */

static gn_status matrix_of_tensor(const char *path, const gn__tensor *t, gn_matrix *x, gn_error *err)
{
    bool wide = strcmp(t->type_name, "F64") == 0;
    char shape[200];
    gn__shape_text(t->shape, t->rank, shape, sizeof shape);
    if (t->type == GN__WEIGHT_OTHER && !wide)
        return gn__fail(err, GN_UNSUPPORTED,
                        "%s: tensor %s has the type %s; supported are F64, F32, F16 and BF16", path, t->name,
                        t->type_name);
    if (t->rank != 2)
        return gn__fail(err, GN_FORMAT,
                        "%s: tensor %s has the shape %s; a matrix of one row a text is needed", path, t->name,
                        shape);
    GN__TRY(gn_matrix_create(t->shape[0], t->shape[1], x, err));
    if (!wide) gn__tensor_read(t, 0, t->elements, x->data);
    for (size_t i = 0; wide && i < t->elements; i++) {
        double value;
        memcpy(&value, t->data + 8 * i, sizeof value);
        x->data[i] = (float)value;
    }
    for (size_t i = 0; i < t->elements; i++)
        if (!isfinite(x->data[i])) {
            gn_matrix_free(x);
            return gn__fail(err, GN_DATA,
                            "%s: tensor %s has a value that is NaN or infinite in row %zu, column %zu", path,
                            t->name, i / t->shape[1] + 1, i % t->shape[1] + 1);
        }
    return GN_OK;
}

static gn_status column_of_tensor(const char *path, const gn__tensor *t, gn__arena *arena, char ***value,
                                  size_t *count, gn_error *err)
{
    static const struct {
        const char *name;
        size_t bytes;
        bool is_signed;
    } types[] = {{"I64", 8, true},  {"I32", 4, true},  {"I16", 2, true}, {"I8", 1, true},   {"U64", 8, false},
                 {"U32", 4, false}, {"U16", 2, false}, {"U8", 1, false}, {"BOOL", 1, false}};
    size_t which = 0, n = sizeof types / sizeof *types;
    while (which < n && strcmp(types[which].name, t->type_name) != 0) which++;
    if (which == n)
        return gn__fail(err, GN_UNSUPPORTED, "%s: tensor %s has the type %s; integers or booleans are needed",
                        path, t->name, t->type_name);
    if (t->rank != 1)
        return gn__fail(err, GN_FORMAT, "%s: tensor %s should have one dimension, but has %zu", path, t->name,
                        t->rank);
    char **out = gn__arena_alloc(arena, (t->elements + 1) * sizeof *out);
    if (out == NULL) return gn__no_memory(err, t->elements * sizeof *out);
    for (size_t i = 0; i < t->elements; i++) {
        char text[32];
        uint64_t bits = 0;
        unsigned shift = 64 - 8 * (unsigned)types[which].bytes;
        for (size_t b = 0; b < types[which].bytes; b++)
            bits |= (uint64_t)t->data[i * types[which].bytes + b] << (8 * b);
        int length = types[which].is_signed
                         ? snprintf(text, sizeof text, "%lld", (long long)(bits << shift) >> shift)
                         : snprintf(text, sizeof text, "%llu", (unsigned long long)bits);
        out[i] = gn__arena_strndup(arena, text, (size_t)length);
        if (out[i] == NULL) return gn__no_memory(err, sizeof text);
    }
    *value = out;
    *count = t->elements;
    return GN_OK;
}

static gn_status read_tensors(const char *path, const gn__weights *w, gn_matrix *x, gn__vector_columns *c,
                              gn_error *err)
{
    int at[GN__VECTOR_ROLES];
    char **names = gn__calloc(w->tensors, sizeof *names);
    if (names == NULL) return gn__no_memory(err, w->tensors * sizeof *names);
    for (size_t i = 0; i < w->tensors; i++) names[i] = (char *)(uintptr_t)w->tensor[i].name;
    gn_status status = gn__vector_roles(path, names, w->tensors, at, err);
    free(names);
    if (status == GN_OK) status = matrix_of_tensor(path, &w->tensor[at[GN__VECTORS]], x, err);
    for (int role = GN__VECTOR_LABELS; status == GN_OK && role < GN__VECTOR_ROLES; role++)
        if (at[role] >= 0)
            status = column_of_tensor(path, &w->tensor[at[role]], &c->arena, &c->value[role], &c->count[role],
                                      err);
    return status;
}

static gn_status safetensors_parse(const char *path, const gn__mapping *file, gn_matrix *x,
                                   gn__vector_columns *c, gn_error *err)
{
    gn__weights w = {0};
    gn_matrix m = {0};
    gn_status status = gn__safetensors_parse(&w, 0, path, file->data, file->size, err);
    if (status == GN_OK) status = read_tensors(path, &w, &m, c, err);
    gn__weights_free(&w);
    if (status == GN_OK)
        *x = m;
    else
        gn_matrix_free(&m);
    return status;
}

/* ---- the whole --------------------------------------------------------------------------------------------
 */

static gn_status parse(const char *path, kind k, gn_npy *x, gn__vector_columns *c, gn_error *err)
{
    gn__mapping file;
    if (k == NPY) return gn_npy_map(path, x, err);
    GN__TRY(gn__map_file(path, &file, err));
    gn_status status = k == NPZ ? gn__npz_parse(path, file.data, file.size, &x->matrix, c, err)
                                : safetensors_parse(path, &file, &x->matrix, c, err);
    gn__unmap_file(&file);
    return status;
}

gn_status gn_vectors_map(gn_context *ctx, const char *path, const char *labels, gn_npy *x, gn_dataset *d,
                         gn_error *err)
{
    gn_npy m = {0};
    gn__vector_columns columns = {0};
    kind k = kind_of(path);
    if (k == KINDS)
        return gn__fail(err, GN_INVALID_ARGUMENT, "%s is no .npy, .npz or .safetensors file by its name",
                        path);
    gn_status status = parse(path, k, &m, &columns, err);
    if (status == GN_OK) status = gn__dataset_of_vectors(ctx, path, m.matrix.rows, labels, &columns, d, err);
    gn__vector_columns_free(&columns);
    if (status == GN_OK)
        *x = m;
    else
        gn_npy_unmap(&m);
    return status;
}

gn_status gn_vectors_read(gn_context *ctx, const char *path, const char *labels, gn_matrix *x, gn_dataset *d,
                          gn_error *err)
{
    gn_npy m;
    GN__TRY(gn_vectors_map(ctx, path, labels, &m, d, err));
    if (m.map == NULL) {
        *x = m.matrix;
        return GN_OK;
    }
    gn_status status = gn_matrix_create(m.matrix.rows, m.matrix.cols, x, err);
    if (status == GN_OK)
        memcpy(x->data, m.matrix.data, m.matrix.rows * m.matrix.cols * sizeof *x->data);
    else
        gn_dataset_free(d);
    gn_npy_unmap(&m);
    return status;
}
