/* Which rows are held out for early stopping. */
#include "model/tuned.h"

#include <math.h>

/* Rows by group: unit u has row[first[u]] … row[first[u + 1] − 1]. */
typedef struct units {
    uint32_t *row, *first, *order;
    size_t count;
} units;

static void free_units(units *u)
{
    free(u->row);
    free(u->first);
    free(u->order);
}

static int by_group(const void *a, const void *b, void *group)
{
    const uint32_t *g = group, x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (g[x] != g[y]) return g[x] < g[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static gn_status find_units(const gn_tune_rows *rows, units *u, gn_error *err)
{
    size_t n = rows->rows;
    u->row = gn__calloc(n, sizeof *u->row);
    u->first = gn__calloc(n + 1, sizeof *u->first);
    u->order = gn__calloc(n, sizeof *u->order);
    if (u->row == NULL || u->first == NULL || u->order == NULL) return gn__no_memory(err, n * sizeof *u->row);
    for (size_t i = 0; i < n; i++) u->row[i] = (uint32_t)i;
    if (rows->group != NULL) qsort_r(u->row, n, sizeof *u->row, by_group, (void *)(uintptr_t)rows->group);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || rows->group == NULL || rows->group[u->row[i]] != rows->group[u->row[i - 1]])
            u->first[u->count++] = (uint32_t)i;
    u->first[u->count] = (uint32_t)n;
    for (size_t i = 0; i < u->count; i++) u->order[i] = (uint32_t)i;
    return GN_OK;
}

/* Rows of each class. */
typedef struct counts {
    double target;
    size_t held, left, more; /* more: of the unit that is looked at */
} counts;

/* Whether the unit brings the held-out counts nearer to what is wanted, and leaves every class a row. */
static bool take(const gn_tune_rows *rows, const uint32_t *row, size_t n, counts *c)
{
    double change = 0;
    bool leaves = true;
    for (size_t i = 0; i < n; i++) c[rows->label[row[i]]].more++;
    for (size_t i = 0; i < n; i++) {
        counts *x = &c[rows->label[row[i]]];
        if (x->more == 0) continue;
        change += fabs(x->target - (double)(x->held + x->more)) - fabs(x->target - (double)x->held);
        leaves = leaves && x->left > x->more;
        x->more = 0;
    }
    if (change >= 0 || !leaves) return false;
    for (size_t i = 0; i < n; i++) {
        c[rows->label[row[i]]].held++;
        c[rows->label[row[i]]].left--;
    }
    return true;
}

gn_status gn__tune_split(const gn_tune_rows *rows, double share, uint64_t seed, unsigned char *held,
                         gn_error *err)
{
    memset(held, 0, rows->rows);
    if (share <= 0) return GN_OK;
    units u = {0};
    counts *c = gn__calloc((size_t)rows->classes, sizeof *c);
    gn_status status =
        c != NULL ? find_units(rows, &u, err) : gn__no_memory(err, (size_t)rows->classes * sizeof *c);
    if (status == GN_OK) {
        gn__rng r = gn__rng_make(seed, gn__purpose("rows held out of fine-tuning"), 0);
        gn__rng_shuffle(&r, u.order, u.count);
        for (size_t i = 0; i < rows->rows; i++) c[rows->label[i]].left++;
        for (int k = 0; k < rows->classes; k++) c[k].target = share * (double)c[k].left;
        for (size_t i = 0; i < u.count; i++) {
            const uint32_t *row = u.row + u.first[u.order[i]];
            size_t n = u.first[u.order[i] + 1] - u.first[u.order[i]];
            if (!take(rows, row, n, c)) continue;
            for (size_t k = 0; k < n; k++) held[row[k]] = 1;
        }
    }
    free_units(&u);
    free(c);
    return status;
}
