#include "data/npz.h"

#include "data/data.h"
#include "data/zip.h"

#include <stdio.h>
#include <strings.h>

enum { MAX_ARRAYS = 1000 };

void gn__vector_columns_free(gn__vector_columns *c)
{
    gn__arena_free(&c->arena);
    *c = (gn__vector_columns){0};
}

gn_status gn__vector_roles(const char *path, char *const *names, size_t n, int at[GN__VECTOR_ROLES],
                           gn_error *err)
{
    static const char *const known[GN__VECTOR_ROLES][7] = {
        [GN__VECTORS] = {"embeddings", "embedding", "vectors", "x", "features", "arr_0"},
        [GN__VECTOR_LABELS] = {"labels", "label", "targets", "target", "y"},
        [GN__VECTOR_IDS] = {"ids", "id"},
        [GN__VECTOR_GROUPS] = {"groups", "group"}};
    int alone = -1;
    size_t others = 0;
    for (int role = 0; role < GN__VECTOR_ROLES; role++) {
        at[role] = -1;
        for (const char *const *k = known[role]; *k != NULL && at[role] < 0; k++)
            for (size_t i = 0; i < n && at[role] < 0; i++)
                if (strcasecmp(names[i], *k) == 0) at[role] = (int)i;
    }
    for (size_t i = 0; i < n; i++) {
        bool taken = false;
        for (int role = GN__VECTOR_LABELS; role < GN__VECTOR_ROLES; role++)
            taken = taken || at[role] == (int)i;
        if (taken) continue;
        others++;
        alone = (int)i;
    }
    if (at[GN__VECTORS] < 0 && others == 1) at[GN__VECTORS] = alone;
    if (at[GN__VECTORS] >= 0) return GN_OK;
    gn__buf list = {0};
    gn__buf_append(&list, "", 0);
    for (size_t i = 0; i < n && i < 20; i++) gn__buf_printf(&list, "%s%.60s", i > 0 ? ", " : "", names[i]);
    gn_status status = list.failed
                           ? gn__no_memory(err, 64)
                           : gn__fail(err, GN_FORMAT,
                                      "%s should hold the matrix under the name \"embeddings\"; it holds: %s",
                                      path, list.data);
    gn__buf_free(&list);
    return status;
}

/* Array names are those of the files without ".npy". */
static gn_status list_arrays(const char *path, gn__zip *z, char ***names, gn_error *err)
{
    if (z->entries > MAX_ARRAYS)
        return gn__fail(err, GN_UNSUPPORTED, "%s holds %zu arrays, more than the %d supported", path,
                        z->entries, (int)MAX_ARRAYS);
    *names = gn__arena_alloc(&z->arena, (z->entries ? z->entries : 1) * sizeof **names);
    if (*names == NULL) return gn__no_memory(err, 64);
    for (size_t i = 0; i < z->entries; i++) {
        const char *name = z->entry[i].name;
        size_t n = strlen(name);
        if (n > 4 && strcmp(name + n - 4, ".npy") == 0) n -= 4;
        (*names)[i] = gn__arena_strndup(&z->arena, name, n);
        if ((*names)[i] == NULL) return gn__no_memory(err, n);
    }
    return GN_OK;
}

static gn_status read_array(const char *path, const gn__zip *z, size_t i, int role, gn_matrix *x,
                            gn__vector_columns *c, gn_error *err)
{
    const unsigned char *data;
    unsigned char *owned = NULL;
    gn__buf name = {0};
    const gn__zip_entry *e = &z->entry[i];
    GN__TRY(gn__zip_read(path, z, e, &data, &owned, err));
    gn__buf_printf(&name, "%s: %s", path, e->name);
    gn_status status;
    if (name.failed)
        status = gn__no_memory(err, 64);
    else if (role == GN__VECTORS)
        status = gn__npy_parse(name.data, data, e->size, x, err);
    else
        status = gn__npy_column(name.data, data, e->size, &c->arena, &c->value[role], &c->count[role], err);
    gn__buf_free(&name);
    free(owned);
    return status;
}

gn_status gn__npz_parse(const char *path, const unsigned char *data, size_t size, gn_matrix *x,
                        gn__vector_columns *columns, gn_error *err)
{
    gn__zip z;
    char **names = NULL;
    int at[GN__VECTOR_ROLES];
    gn_matrix m = {0};
    gn__vector_columns c = {0};
    gn_status status;
    GN__TRY_GOTO(gn__zip_open(path, data, size, &z, err), done);
    GN__TRY_GOTO(list_arrays(path, &z, &names, err), done);
    GN__TRY_GOTO(gn__vector_roles(path, names, z.entries, at, err), done);
    for (int role = 0; role < GN__VECTOR_ROLES; role++)
        if (at[role] >= 0) GN__TRY_GOTO(read_array(path, &z, (size_t)at[role], role, &m, &c, err), done);
    *x = m;
    *columns = c;
done:
    if (status != GN_OK) {
        gn_matrix_free(&m);
        gn__vector_columns_free(&c);
    }
    gn__zip_free(&z);
    return status;
}
