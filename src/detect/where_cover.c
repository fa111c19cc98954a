/* What train covers: distance to the k-th nearest of most of train's rows, held against what the rest of
 * train has. The rest is one random row of each group, so that a new row of train is as likely as any of them
 * to be the farthest: its p-value and the radius are exact (split conformal). */
#include "detect/share.h"
#include "detect/where.h"

#include <stdio.h>

enum {
    NEIGHBOURS = 5,
    MOST_REFERENCE = 20000,
    MOST_CALIBRATION = 5000,
    MOST_TEST = 20000,
    QUARTER = 4,
    SLICE = 512
};
static const double nominal = 0.95, novel_rate = 0.1;

/* The k-th smallest of x. */
static float kth(const float *x, size_t n, size_t k)
{
    float least[NEIGHBOURS];
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept == k && !(x[i] < least[k - 1])) continue;
        size_t at = kept < k ? kept++ : k - 1;
        while (at > 0 && least[at - 1] > x[i]) least[at] = least[at - 1], at--;
        least[at] = x[i];
    }
    return least[k - 1];
}

static gn_status kth_distances(gn_context *ctx, const float *const *row, size_t n,
                               const float *const *reference, size_t n_reference, size_t dim, size_t k,
                               double *out, gn_error *err)
{
    float *distance = gn__calloc(SLICE, n_reference * sizeof *distance);
    gn_status status = distance == NULL ? gn__no_memory(err, SLICE * n_reference * sizeof *distance) : GN_OK;
    for (size_t from = 0; from < n && status == GN_OK; from += SLICE) {
        size_t count = n - from < SLICE ? n - from : SLICE;
        status = gn__distances(ctx, row + from, count, reference, n_reference, dim, distance, err);
        for (size_t i = 0; i < count && status == GN_OK; i++)
            out[from + i] = (double)kth(distance + i * n_reference, n_reference, k);
    }
    free(distance);
    return status;
}

static int by_number(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The point below which a Beta(j, n + 1 - j) falls with probability p: P(Binomial(n, x) >= j) = p. */
static double beta_point(size_t j, size_t n, double p)
{
    double low = 0, high = 1;
    for (int step = 0; step < 60; step++) {
        double x = (low + high) / 2, sum = 0;
        for (size_t i = j; i <= n; i++)
            sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) +
                       (double)i * log(x) + (double)(n - i) * log1p(-x));
        if (sum < p)
            low = x;
        else
            high = x;
    }
    return (low + high) / 2;
}

/* Conformal p-values of the test rows, then Benjamini & Hochberg 1995. calibration: sorted. */
static gn_status count_novel(const double *calibration, size_t n, const double *score, size_t rows,
                             size_t *novel, gn_error *err)
{
    double *p = gn__calloc(rows, sizeof *p);
    if (p == NULL) return gn__no_memory(err, rows * sizeof *p);
    for (size_t i = 0; i < rows; i++) {
        size_t low = 0, high = n; /* first that is not below the score */
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (calibration[middle] < score[i])
                low = middle + 1;
            else
                high = middle;
        }
        p[i] = (1 + (double)(n - low)) / ((double)n + 1);
    }
    qsort(p, rows, sizeof *p, by_number);
    *novel = 0;
    for (size_t i = 0; i < rows; i++)
        if (p[i] <= novel_rate * (double)(i + 1) / (double)rows) *novel = i + 1;
    free(p);
    return GN_OK;
}

typedef struct pools {
    const float **reference, **calibration, **test;
    size_t references, calibrations;
} pools;

static void pools_free(pools *p)
{
    free(p->reference);
    free(p->calibration);
    free(p->test);
}

/* Every fourth group of train, in random order, calibrates. */
static gn_status split(gn_context *ctx, gn__cover *c, pools *p, gn_error *err)
{
    const gn__units *u = c->units[0];
    const gn_matrix *train = c->in->train, *test = c->in->test;
    size_t most = u->count > c->units[1]->rows ? u->count : c->units[1]->rows;
    uint32_t *order = gn__calloc(most, sizeof *order);
    p->reference = gn__calloc(train->rows, sizeof *p->reference);
    p->calibration = gn__calloc(u->count, sizeof *p->calibration);
    p->test = gn__calloc(test->rows, sizeof *p->test);
    c->row = gn__calloc(test->rows, sizeof *c->row);
    c->ratio = gn__calloc(test->rows, sizeof *c->ratio);
    if (!order || !p->reference || !p->calibration || !p->test || !c->row || !c->ratio) {
        free(order);
        return gn__no_memory(err, train->rows * sizeof *p->reference);
    }
    gn__rng r = gn__rng_make(gn_context_seed(ctx), gn__purpose("where/cover") ^ c->purpose, 0);
    for (size_t k = 0; k < u->count; k++) order[k] = (uint32_t)k;
    gn__rng_shuffle(&r, order, u->count);
    for (size_t k = 0; k < u->count; k++) {
        size_t from = u->start[order[k]], size = u->start[order[k] + 1] - from;
        if (k % QUARTER == 0 && p->calibrations < MOST_CALIBRATION)
            p->calibration[p->calibrations++] =
                train->data + u->row[from + gn__rng_below(&r, (uint32_t)size)] * train->cols;
        for (size_t i = 0; i < size && k % QUARTER != 0 && p->references < MOST_REFERENCE; i++)
            p->reference[p->references++] = train->data + u->row[from + i] * train->cols;
    }
    for (size_t k = 0; k < test->rows; k++) order[k] = (uint32_t)k;
    gn__rng_shuffle(&r, order, test->rows);
    c->rows = test->rows < MOST_TEST ? test->rows : MOST_TEST;
    for (size_t k = 0; k < c->rows; k++) {
        c->row[k] = order[k];
        p->test[k] = test->data + (size_t)order[k] * test->cols;
    }
    free(order);
    return GN_OK;
}

gn_status gn__cover_run(gn_context *ctx, gn__cover *c, gn_where *out, gn_error *err)
{
    pools p = {0};
    double *calibration = NULL;
    signed char *pick = NULL;
    gn_status status;
    GN__TRY_GOTO(split(ctx, c, &p, err), done);
    size_t n = p.calibrations, rank = (size_t)ceil(nominal * ((double)n + 1) - 1e-9);
    if (rank > n || p.references < NEIGHBOURS) {
        snprintf(out->coverage_reason, sizeof out->coverage_reason,
                 "train has too few rows or groups to say what it covers");
        c->rows = 0;
        goto done;
    }
    calibration = gn__calloc(n, sizeof *calibration);
    pick = gn__calloc(c->in->test->rows, sizeof *pick);
    if (calibration == NULL || pick == NULL) {
        status = gn__no_memory(err, n * sizeof *calibration);
        goto done;
    }
    GN__TRY_GOTO(kth_distances(ctx, p.calibration, n, p.reference, p.references, c->in->train->cols,
                               NEIGHBOURS, calibration, err),
                 done);
    GN__TRY_GOTO(kth_distances(ctx, p.test, c->rows, p.reference, p.references, c->in->train->cols,
                               NEIGHBOURS, c->ratio, err),
                 done);
    qsort(calibration, n, sizeof *calibration, by_number);
    out->radius = calibration[rank - 1];
    GN__TRY_GOTO(count_novel(calibration, n, c->ratio, c->rows, &out->novel, err), done);
    memset(pick, -1, c->in->test->rows);
    for (size_t i = 0; i < c->rows; i++) {
        pick[c->row[i]] = c->ratio[i] <= out->radius;
        c->ratio[i] = c->ratio[i] <= out->radius ? 0 : out->radius > 0 ? c->ratio[i] / out->radius : INFINITY;
        if (c->ratio[i] > 1e6) c->ratio[i] = 1e6;
    }
    out->coverage_available = true;
    out->coverage = gn__share_interval(gn__share_of(c->units[1], pick), GN__Z95);
    out->expected =
        (gn_interval){(double)rank / ((double)n + 1), beta_point(rank, n, 0.025), beta_point(rank, n, 0.975)};
    out->neighbours = NEIGHBOURS;
    out->reference_rows = p.references;
    out->calibration_rows = n;
    out->test_rows = c->rows;
    out->novel_rate = novel_rate;
done:
    pools_free(&p);
    free(calibration);
    free(pick);
    return status;
}
