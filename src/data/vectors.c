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

/* Labels on their way: class names in order of appearance. */
typedef struct labelling {
    gn_dataset *d;
    gn__map classes;
} labelling;

static gn_status labelling_begin(labelling *l, gn_dataset *d, const char *column, gn_error *err)
{
    *l = (labelling){.d = d};
    d->label = gn__calloc(d->rows, sizeof *d->label);
    d->label_column = gn__arena_strndup(d->arena, column, strlen(column));
    return d->label && d->label_column ? GN_OK : gn__no_memory(err, d->rows * sizeof *d->label);
}

static gn_status labelling_put(labelling *l, size_t row, const char *label, size_t n, gn_error *err)
{
    gn_dataset *d = l->d;
    uint32_t found, next = (uint32_t)d->classes;
    gn__trim(&label, &n);
    d->label[row] = -1;
    if (n == 0) {
        d->unlabelled++;
        return GN_OK;
    }
    if (!gn__map_put(&l->classes, label, n, next, &found)) return gn__no_memory(err, n);
    if (found == next) {
        char **names = gn__realloc(d->class_names, (size_t)next + 1, sizeof *names);
        if (names == NULL) return gn__no_memory(err, n);
        d->class_names = names;
        names[next] = gn__arena_strndup(d->arena, label, n);
        if (names[next] == NULL) return gn__no_memory(err, n);
        d->classes++;
    }
    d->label[row] = (int)found;
    return GN_OK;
}

/* Puts the classes into their order. */
static gn_status labelling_end(labelling *l, gn_status status, gn_error *err)
{
    gn_dataset *d = l->d;
    gn__map_free(&l->classes);
    if (status != GN_OK) return status;
    int *rank = gn__calloc((size_t)d->classes, sizeof *rank);
    if (rank == NULL) return gn__no_memory(err, (size_t)d->classes * sizeof *rank);
    status = gn__sort_classes(d->class_names, (size_t)d->classes, rank, err);
    for (size_t i = 0; status == GN_OK && i < d->rows; i++)
        if (d->label[i] >= 0) d->label[i] = rank[d->label[i]];
    free(rank);
    return status;
}

static gn_status take_lines(labelling *l, const char *path, const char *bytes, size_t length, gn_error *err)
{
    const char *at = bytes, *end = bytes + length;
    size_t lines = 0;
    for (; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *label = at;
        size_t n = (size_t)((newline != NULL ? newline : end) - at);
        at = newline != NULL ? newline + 1 : end;
        if (lines >= l->d->rows) continue; /* counted for the message */
        GN__TRY(labelling_put(l, lines, label, n, err));
    }
    if (lines != l->d->rows)
        return gn__fail(err, GN_DATA, "%s has %zu lines, but there are %zu rows to label", path, lines,
                        l->d->rows);
    return GN_OK;
}

static gn_status labels_of_file(gn_context *ctx, gn_dataset *d, const char *path, gn_error *err)
{
    char *bytes = NULL, sha256[65];
    size_t length = 0;
    labelling l;
    GN__TRY(gn__source_read(ctx, path, path, &(gn__read_limits){0}, &bytes, &length, sha256, err));
    gn_status status = labelling_begin(&l, d, path, err);
    if (status == GN_OK) status = take_lines(&l, path, bytes, length, err);
    status = labelling_end(&l, status, err);
    free(bytes);
    return status;
}

static gn_status right_count(const gn_dataset *d, const gn__vector_columns *c, gn__vector_role role,
                             const char *what, gn_error *err)
{
    if (c->count[role] == d->rows) return GN_OK;
    return gn__fail(err, GN_DATA, "%s: \"%s\" has %zu values, but there are %zu rows", d->path, what,
                    c->count[role], d->rows);
}

static gn_status labels_of_column(gn_dataset *d, const gn__vector_columns *c, gn_error *err)
{
    labelling l;
    GN__TRY(right_count(d, c, GN__VECTOR_LABELS, "labels", err));
    gn_status status = labelling_begin(&l, d, "labels", err);
    for (size_t i = 0; i < d->rows && status == GN_OK; i++) {
        const char *label = c->value[GN__VECTOR_LABELS][i];
        status = labelling_put(&l, i, label, strlen(label), err);
    }
    return labelling_end(&l, status, err);
}

static gn_status ids_of_column(gn_dataset *d, const gn__vector_columns *c, gn_error *err)
{
    GN__TRY(right_count(d, c, GN__VECTOR_IDS, "ids", err));
    d->id = gn__calloc(d->rows, sizeof *d->id);
    if (d->id == NULL) return gn__no_memory(err, d->rows * sizeof *d->id);
    for (size_t i = 0; i < d->rows; i++) {
        const char *id = c->value[GN__VECTOR_IDS][i];
        d->id[i] = gn__arena_strndup(d->arena, id, strlen(id));
        if (d->id[i] == NULL) return gn__no_memory(err, strlen(id));
    }
    return GN_OK;
}

/* As in a file of texts: a row without a value stands alone. */
static gn_status groups_of_column(gn_dataset *d, const gn__vector_columns *c, gn_error *err)
{
    gn__map seen = {0};
    gn_status status = right_count(d, c, GN__VECTOR_GROUPS, "groups", err);
    if (status != GN_OK) return status;
    d->group = gn__calloc(d->rows, sizeof *d->group);
    d->group_name = gn__calloc(d->rows, sizeof *d->group_name);
    d->group_column = gn__arena_strndup(d->arena, "groups", 6);
    if (d->group == NULL || d->group_name == NULL || d->group_column == NULL)
        return gn__no_memory(err, d->rows * sizeof *d->group);
    for (size_t i = 0; i < d->rows && status == GN_OK; i++) {
        const char *name = c->value[GN__VECTOR_GROUPS][i];
        size_t n = strlen(name);
        uint32_t next = (uint32_t)d->groups, found = next;
        if (n > 0 && !gn__map_put(&seen, name, n, next, &found)) status = gn__no_memory(err, n);
        if (status == GN_OK && found == next) {
            d->group_name[next] = gn__arena_strndup(d->arena, name, n);
            if (d->group_name[next] == NULL) status = gn__no_memory(err, n);
            d->groups++;
        }
        d->group[i] = found;
    }
    gn__map_free(&seen);
    return status;
}

gn_status gn__dataset_of_vectors(gn_context *ctx, const char *path, size_t rows, const char *labels,
                                 const gn__vector_columns *columns, gn_dataset *out, gn_error *err)
{
    gn_dataset d = {.rows = rows, .rows_read = rows};
    d.arena = gn__calloc(1, sizeof(gn__arena));
    if (d.arena == NULL) return gn__no_memory(err, sizeof(gn__arena));
    d.path = gn__arena_strndup(d.arena, path, strlen(path));
    gn_status status = d.path == NULL ? gn__no_memory(err, strlen(path)) : hash_file(path, d.sha256, err);
    if (status == GN_OK && labels != NULL)
        status = labels_of_file(ctx, &d, labels, err);
    else if (status == GN_OK && columns != NULL && columns->value[GN__VECTOR_LABELS] != NULL)
        status = labels_of_column(&d, columns, err);
    if (status == GN_OK && columns != NULL && columns->value[GN__VECTOR_IDS] != NULL)
        status = ids_of_column(&d, columns, err);
    if (status == GN_OK && columns != NULL && columns->value[GN__VECTOR_GROUPS] != NULL)
        status = groups_of_column(&d, columns, err);
    if (status == GN_OK)
        *out = d;
    else
        gn_dataset_free(&d);
    return status;
}
