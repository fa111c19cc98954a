/* Folds that keep whole groups together and the labels in proportion. */
#include "verify/parts.h"

#include <math.h>

typedef struct sized_unit {
    size_t size;
    uint32_t order, unit; /* order: random, breaks ties */
} sized_unit;

static int larger_first(const void *a, const void *b)
{
    const sized_unit *x = a, *y = b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Adding a unit to bin f raises sum_f sum_c n_fc^2 / (share_f N_c) + sum_f n_f^2 / (share_f N) by twice this,
 * up to terms that are the same for every bin of one share. */
static double crowding(const gn__units *units, const int *y, size_t unit, const double *held,
                       const double *total, size_t classes, double share)
{
    size_t begin = units->start[unit], end = units->start[unit + 1];
    double sum = 0;
    for (size_t m = begin; m < end; m++) {
        size_t c = (size_t)y[units->row[m]];
        sum += held[c] / total[c];
    }
    return (sum + (double)(end - begin) * held[classes] / total[classes]) / share;
}

gn_status gn__deal(const gn__units *units, const int *y, int classes, const double *share, size_t bins,
                   size_t cap, gn__rng *rng, uint32_t *bin, gn_error *err)
{
    size_t k = (size_t)classes, cells = 0;
    uint32_t *order = gn__calloc(units->count, sizeof *order);
    sized_unit *sorted = gn__calloc(units->count, sizeof *sorted);
    double *held = gn__mul_size(bins + 1, k + 1, &cells) ? gn__calloc(cells, sizeof *held) : NULL;
    if (order == NULL || sorted == NULL || held == NULL) {
        free(order);
        free(sorted);
        free(held);
        return gn__no_memory(err, units->count * (sizeof *order + sizeof *sorted));
    }
    double *total = held + bins * (k + 1); /* [k + 1]: rows by class, then all */
    for (size_t i = 0; i < units->rows; i++) total[y[i]]++, total[k]++;

    for (size_t u = 0; u < units->count; u++) order[u] = (uint32_t)u;
    gn__rng_shuffle(rng, order, units->count);
    for (size_t u = 0; u < units->count; u++)
        sorted[u] = (sized_unit){units->start[u + 1] - units->start[u], order[u], (uint32_t)u};
    qsort(sorted, units->count, sizeof *sorted, larger_first);

    for (size_t u = 0; u < units->count; u++) {
        size_t unit = sorted[u].unit, best = bins - 1;
        double least = INFINITY;
        for (size_t f = 0; f < bins; f++) {
            const double *in = held + f * (k + 1);
            if (f == 0 && cap > 0 && in[k] + (double)sorted[u].size > (double)cap) continue;
            double c = crowding(units, y, unit, in, total, k, share[f]);
            if (c < least) least = c, best = f;
        }
        for (size_t m = units->start[unit]; m < units->start[unit + 1]; m++) {
            bin[units->row[m]] = (uint32_t)best;
            held[best * (k + 1) + (size_t)y[units->row[m]]]++;
            held[best * (k + 1) + k]++;
        }
    }
    free(order);
    free(sorted);
    free(held);
    return GN_OK;
}

/* The second largest number of units that a class occurs in: folds beyond it would leave some fitting part
 * with one class. */
static size_t second_class_units(const gn__units *units, const int *y, size_t *last, size_t *in,
                                 size_t classes)
{
    for (size_t u = 0; u < units->count; u++)
        for (size_t m = units->start[u]; m < units->start[u + 1]; m++) {
            size_t c = (size_t)y[units->row[m]];
            if (last[c] != u + 1) last[c] = u + 1, in[c]++;
        }
    size_t first = 0, second = 0;
    for (size_t c = 0; c < classes; c++) {
        if (in[c] > first)
            second = first, first = in[c];
        else if (in[c] > second)
            second = in[c];
    }
    return second;
}

static bool folds_hold(const uint32_t *fold, const int *y, size_t n, size_t folds, size_t *count,
                       size_t classes)
{
    for (size_t f = 0; f < folds; f++) {
        size_t outside = 0, inside = 0;
        memset(count, 0, classes * sizeof *count);
        for (size_t i = 0; i < n; i++) {
            if (fold[i] == f)
                inside++;
            else if (count[y[i]]++ == 0)
                outside++;
        }
        if (inside == 0 || outside < 2) return false;
    }
    return true;
}

gn_status gn__folds(const gn__units *units, const int *y, int classes, size_t want, uint64_t seed,
                    uint64_t purpose, uint64_t index, uint32_t *fold, size_t *folds, gn_error *err)
{
    size_t k = (size_t)classes;
    *folds = 0;
    size_t *count = gn__calloc(2 * k, sizeof *count);
    if (count == NULL) return gn__no_memory(err, 2 * k * sizeof *count);
    size_t most = second_class_units(units, y, count, count + k, k);
    if (most > want) most = want;
    double *share = gn__calloc(most, sizeof *share);
    gn_status status = share == NULL ? gn__no_memory(err, most * sizeof *share) : GN_OK;
    for (size_t f = most; f >= 2 && status == GN_OK && *folds == 0; f--) {
        for (size_t b = 0; b < f; b++) share[b] = 1.0 / (double)f;
        gn__rng rng = gn__rng_make(seed, purpose, index);
        status = gn__deal(units, y, classes, share, f, 0, &rng, fold, err);
        if (status == GN_OK && folds_hold(fold, y, units->rows, f, count, k)) *folds = f;
    }
    free(share);
    free(count);
    return status;
}
