#include "data/vectors.h"

#include "data/data.h"

static gn_status hash_file(const char *path, char sha256[65], gn_error *err)
{
    gn__mapping file;
    gn__sha256 h;
    GN__TRY(gn__map_file(path, &file, err));
    gn_status status = gn__sha256_begin(&h, err);
    if (status == GN_OK) {
        gn__sha256_update(&h, file.data, file.size);
        gn__sha256_end(&h, sha256);
    }
    gn__unmap_file(&file);
    return status;
}

/* One label a line into d; class names in order of appearance. */
static gn_status take_labels(gn_dataset *d, const char *path, const char *bytes, size_t length,
                             gn__map *classes, gn_error *err)
{
    const char *at = bytes, *end = bytes + length;
    size_t lines = 0;
    for (; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *label = at;
        size_t n = (size_t)((newline != NULL ? newline : end) - at);
        at = newline != NULL ? newline + 1 : end;
        if (lines >= d->rows) continue; /* counted for the message */
        gn__trim(&label, &n);
        d->label[lines] = -1;
        if (n == 0) {
            d->unlabelled++;
            continue;
        }
        uint32_t found, next = (uint32_t)d->classes;
        if (!gn__map_put(classes, label, n, next, &found)) return gn__no_memory(err, n);
        if (found == next) {
            char **names = gn__realloc(d->class_names, (size_t)next + 1, sizeof *names);
            if (names == NULL) return gn__no_memory(err, n);
            d->class_names = names;
            names[next] = gn__arena_strndup(d->arena, label, n);
            if (names[next] == NULL) return gn__no_memory(err, n);
            d->classes++;
        }
        d->label[lines] = (int)found;
    }
    if (lines != d->rows)
        return gn__fail(err, GN_DATA, "%s has %zu lines, but there are %zu rows to label", path, lines,
                        d->rows);
    return GN_OK;
}

static gn_status read_labels(gn_context *ctx, gn_dataset *d, const char *path, gn_error *err)
{
    char *bytes = NULL, sha256[65];
    size_t length = 0;
    gn__map classes = {0};
    int *rank = NULL;
    GN__TRY(gn__source_read(ctx, path, path, &(gn__read_limits){0}, &bytes, &length, sha256, err));
    gn_status status = GN_OK;
    d->label = gn__calloc(d->rows, sizeof *d->label);
    d->label_column = gn__arena_strndup(d->arena, path, strlen(path));
    if (d->label == NULL || d->label_column == NULL)
        status = gn__no_memory(err, d->rows * sizeof *d->label);
    else
        status = take_labels(d, path, bytes, length, &classes, err);
    if (status == GN_OK) {
        rank = gn__calloc((size_t)d->classes, sizeof *rank);
        status = rank == NULL ? gn__no_memory(err, (size_t)d->classes * sizeof *rank)
                              : gn__sort_classes(d->class_names, (size_t)d->classes, rank, err);
    }
    for (size_t i = 0; status == GN_OK && i < d->rows; i++)
        if (d->label[i] >= 0) d->label[i] = rank[d->label[i]];
    free(rank);
    gn__map_free(&classes);
    free(bytes);
    return status;
}

gn_status gn__dataset_of_vectors(gn_context *ctx, const char *path, size_t rows, const char *labels,
                                 gn_dataset *out, gn_error *err)
{
    gn_dataset d = {.rows = rows, .rows_read = rows};
    d.arena = gn__calloc(1, sizeof(gn__arena));
    if (d.arena == NULL) return gn__no_memory(err, sizeof(gn__arena));
    d.path = gn__arena_strndup(d.arena, path, strlen(path));
    gn_status status = d.path == NULL ? gn__no_memory(err, strlen(path)) : hash_file(path, d.sha256, err);
    if (status == GN_OK && labels != NULL) status = read_labels(ctx, &d, labels, err);
    if (status == GN_OK)
        *out = d;
    else
        gn_dataset_free(&d);
    return status;
}
