#include "tensor/units.h"

typedef struct grouped_row {
    uint32_t group, position;
} grouped_row;

static int by_group(const void *a, const void *b)
{
    const grouped_row *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

static gn_status units_alloc(size_t rows, gn__units *u, gn_error *err)
{
    if (rows >= UINT32_MAX) return gn__no_memory(err, rows); /* positions are 32 bits wide */
    u->rows = rows;
    u->of = gn__calloc(rows, sizeof *u->of);
    u->row = gn__calloc(rows, sizeof *u->row);
    u->start = gn__calloc(rows + 1, sizeof *u->start);
    if (u->of == NULL || u->row == NULL || u->start == NULL)
        return gn__no_memory(err, rows * (sizeof *u->of + sizeof *u->row + sizeof *u->start));
    return GN_OK;
}

/* Numbers the groups by their first row, so that the result does not depend on the ids themselves. */
static gn_status number_groups(const uint32_t *group, gn__units *u, gn_error *err)
{
    const uint32_t none = UINT32_MAX;
    size_t rows = u->rows;
    grouped_row *sorted = gn__calloc(rows, sizeof *sorted);
    uint32_t *first = gn__calloc(rows, sizeof *first); /* first row of each row's group, then its number */
    if (sorted == NULL || first == NULL) {
        free(sorted);
        free(first);
        return gn__no_memory(err, rows * (sizeof *sorted + sizeof *first));
    }
    for (size_t i = 0; i < rows; i++) sorted[i] = (grouped_row){group[i], (uint32_t)i};
    qsort(sorted, rows, sizeof *sorted, by_group);
    for (size_t i = 0; i < rows; i++)
        first[sorted[i].position] = i > 0 && sorted[i].group == sorted[i - 1].group
                                        ? first[sorted[i - 1].position]
                                        : sorted[i].position;
    for (size_t i = 0; i < rows; i++) u->of[i] = none;
    for (size_t i = 0; i < rows; i++) {
        if (u->of[first[i]] == none) u->of[first[i]] = (uint32_t)u->count++;
        u->of[i] = u->of[first[i]];
    }
    free(sorted);
    free(first);
    return GN_OK;
}

gn_status gn__units_make(const uint32_t *group, size_t rows, gn__units *out, gn_error *err)
{
    memset(out, 0, sizeof *out);
    gn_status status = units_alloc(rows, out, err);
    if (status == GN_OK && group != NULL) status = number_groups(group, out, err);
    if (status != GN_OK) {
        gn__units_free(out);
        return status;
    }
    if (group == NULL) {
        out->count = rows;
        for (size_t i = 0; i < rows; i++) out->of[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < rows; i++) out->start[out->of[i] + 1]++;
    for (size_t u = 0; u < out->count; u++) out->start[u + 1] += out->start[u];
    for (size_t i = rows; i-- > 0;) /* backwards, so that start ends up right without a second array */
        out->row[--out->start[out->of[i] + 1]] = (uint32_t)i;
    for (size_t u = 0; u < out->count; u++) out->start[u] = out->start[u + 1];
    out->start[out->count] = rows;
    return GN_OK;
}

void gn__units_free(gn__units *u)
{
    free(u->of);
    free(u->row);
    free(u->start);
    memset(u, 0, sizeof *u);
}
