#include "tensor/units.h"

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

gn_status gn__units_make(const uint32_t *group, size_t rows, gn__units *out, gn_error *err)
{
    gn__units u = {0};
    uint64_t *key = group ? gn__aligned(rows, sizeof *key) : NULL;
    if (rows < UINT32_MAX) {
        u.start = gn__calloc(rows + 1, sizeof *u.start);
        u.row = gn__calloc(rows, sizeof *u.row);
    }
    if (u.start == NULL || u.row == NULL || (group != NULL && key == NULL)) {
        free(key);
        gn__units_free(&u);
        return gn__no_memory(err, rows * 4 * sizeof *u.row);
    }
    for (size_t i = 0; i < rows; i++) {
        u.row[i] = u.start[i] = (uint32_t)i;
        if (key != NULL) key[i] = (uint64_t)group[i] << 32 | i;
    }
    u.count = rows;
    if (key != NULL) {
        qsort(key, rows, sizeof *key, compare);
        u.count = 0;
        for (size_t i = 0; i < rows; i++) {
            u.row[i] = (uint32_t)key[i];
            if (i == 0 || key[i] >> 32 != key[i - 1] >> 32) u.start[u.count++] = (uint32_t)i;
        }
    }
    u.start[u.count] = (uint32_t)rows;
    free(key);
    *out = u;
    return GN_OK;
}

void gn__units_free(gn__units *u)
{
    free(u->start);
    free(u->row);
    *u = (gn__units){0};
}
