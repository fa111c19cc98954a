/* Distances, and partitioning around medoids. */
#include "detect/where.h"

#include <cblas.h>

enum { BLOCK = 256 };
static const double weak_structure =
    0.05; /* mean silhouette; directions of embeddings are far from separated */

typedef struct distances {
    const float *const *a, *const *b;
    size_t n_a, n_b, dim;
    float *distance;
    float *gathered_b; /* [n_b × dim] */
    float *square_b;   /* [n_b] */
    float *gathered_a; /* [workers × BLOCK × dim] */
} distances;

static float square_of(const float *x, size_t dim)
{
    double sum = 0;
    for (size_t j = 0; j < dim; j++) sum += (double)x[j] * (double)x[j];
    return (float)sum;
}

static void distance_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    distances *d = arg;
    float *a = d->gathered_a + worker * (size_t)BLOCK * d->dim, *out = d->distance + begin * d->n_b;
    for (size_t i = begin; i < end; i++) memcpy(a + (i - begin) * d->dim, d->a[i], d->dim * sizeof *a);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)(end - begin), (int)d->n_b, (int)d->dim, -2, a,
                (int)d->dim, d->gathered_b, (int)d->dim, 0, out, (int)d->n_b);
    for (size_t i = begin; i < end; i++) {
        float own = square_of(a + (i - begin) * d->dim, d->dim);
        for (size_t j = 0; j < d->n_b; j++) {
            float s = out[(i - begin) * d->n_b + j] + own + d->square_b[j];
            out[(i - begin) * d->n_b + j] = s > 0 ? sqrtf(s) : 0;
        }
    }
}

gn_status gn__distances(gn_context *ctx, const float *const *a, size_t n_a, const float *const *b, size_t n_b,
                        size_t dim, float *distance, gn_error *err)
{
    distances d = {.a = a, .b = b, .n_a = n_a, .n_b = n_b, .dim = dim, .distance = distance};
    d.gathered_b = gn__calloc(n_b, dim * sizeof *d.gathered_b);
    d.square_b = gn__calloc(n_b, sizeof *d.square_b);
    d.gathered_a = gn__calloc((size_t)gn_context_threads(ctx) * BLOCK, dim * sizeof *d.gathered_a);
    gn_status status = GN_OK;
    if (d.gathered_b == NULL || d.square_b == NULL || d.gathered_a == NULL) {
        status = gn__no_memory(err, (n_b + BLOCK) * dim * sizeof *distance);
        goto done;
    }
    for (size_t j = 0; j < n_b; j++) {
        memcpy(d.gathered_b + j * dim, b[j], dim * sizeof *distance);
        d.square_b[j] = square_of(b[j], dim);
    }
    if (n_b > 0) status = gn__parallel_for(ctx, n_a, BLOCK, distance_piece, &d, err);
done:
    free(d.gathered_b);
    free(d.square_b);
    free(d.gathered_a);
    return status;
}

/* Nearest and second nearest medoid of every point; returns the sum of the nearest distances. */
static double assign(const float *distance, size_t n, const uint32_t *medoid, size_t k, uint32_t *of,
                     float *first, float *second)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        first[i] = second[i] = INFINITY;
        for (size_t m = 0; m < k; m++) {
            float d = distance[i * n + medoid[m]];
            if (d < first[i])
                second[i] = first[i], first[i] = d, of[i] = (uint32_t)m;
            else if (d < second[i])
                second[i] = d;
        }
        sum += (double)first[i];
    }
    return sum;
}

/* The point that lessens the sum of distances the most as one more medoid. */
static uint32_t build(const float *distance, size_t n, const float *first)
{
    size_t best = 0;
    double most = -1;
    for (size_t c = 0; c < n; c++) {
        double gain = 0;
        for (size_t i = 0; i < n; i++) {
            float now = isinf(first[i]) ? 1e6f : first[i];
            if (distance[i * n + c] < now) gain += (double)(now - distance[i * n + c]);
        }
        if (gain > most) most = gain, best = c;
    }
    return (uint32_t)best;
}

/* The best exchange of a medoid for a point, if any lessens the sum. */
static bool swap(const float *distance, size_t n, uint32_t *medoid, size_t k, const uint32_t *of,
                 const float *first, const float *second, double sum)
{
    size_t best_m = k, best_c = 0;
    double least = -1e-7 * sum;
    for (size_t m = 0; m < k; m++)
        for (size_t c = 0; c < n; c++) {
            double change = 0;
            for (size_t i = 0; i < n; i++) {
                float d = distance[i * n + c], kept = of[i] == m ? second[i] : first[i];
                change += (double)((d < kept ? d : kept) - first[i]);
            }
            if (change < least) least = change, best_m = m, best_c = c;
        }
    if (best_m == k) return false;
    medoid[best_m] = (uint32_t)best_c;
    return true;
}

/* Mean silhouette width (Rousseeuw 1987). */
static double silhouette(const float *distance, size_t n, size_t k, const uint32_t *of, double *sum,
                         size_t *count)
{
    double total = 0;
    memset(count, 0, k * sizeof *count);
    for (size_t i = 0; i < n; i++) count[of[i]]++;
    for (size_t i = 0; i < n; i++) {
        if (count[of[i]] < 2) continue; /* 0 by definition */
        memset(sum, 0, k * sizeof *sum);
        for (size_t j = 0; j < n; j++) sum[of[j]] += (double)distance[i * n + j];
        double own = sum[of[i]] / (double)(count[of[i]] - 1), other = INFINITY;
        for (size_t m = 0; m < k; m++)
            if (m != of[i] && count[m] > 0) other = fmin(other, sum[m] / (double)count[m]);
        if (fmax(own, other) > 0) total += (other - own) / fmax(own, other);
    }
    return total / (double)n;
}

gn_status gn__medoids(gn_context *ctx, const float *distance, size_t n, size_t most, size_t *clusters,
                      uint32_t *medoid, uint32_t *of, gn_error *err)
{
    enum { SWAPS = 50 };
    if (most > n) most = n;
    uint32_t *built = gn__calloc(most, sizeof *built), *trial = gn__calloc(most, sizeof *trial),
             *trial_of = gn__calloc(n, sizeof *trial_of);
    float *first = gn__calloc(n, sizeof *first), *second = gn__calloc(n, sizeof *second);
    double *sum = gn__calloc(most, sizeof *sum), best = weak_structure;
    size_t *count = gn__calloc(most, sizeof *count);
    gn_status status = GN_OK;
    if (!built || !trial || !trial_of || !first || !second || !sum || !count) {
        status = gn__no_memory(err, n * sizeof *first);
        goto done;
    }
    for (size_t i = 0; i < n; i++) first[i] = INFINITY;
    *clusters = 1;
    for (size_t k = 1; k <= most; k++) {
        GN__TRY_GOTO(gn__check_cancel(ctx, err), done);
        assign(distance, n, built, k - 1, trial_of, first, second);
        built[k - 1] = build(distance, n, first);
        memcpy(trial, built, k * sizeof *trial);
        double cost = assign(distance, n, trial, k, trial_of, first, second);
        for (int s = 0; s < SWAPS && swap(distance, n, trial, k, trial_of, first, second, cost); s++)
            cost = assign(distance, n, trial, k, trial_of, first, second);
        double width = k > 1 ? silhouette(distance, n, k, trial_of, sum, count) : 0;
        if (k > 1 && !(width > best)) continue;
        if (k > 1) best = width;
        *clusters = k;
        memcpy(medoid, trial, k * sizeof *trial);
        memcpy(of, trial_of, n * sizeof *trial_of);
    }
done:
    free(built);
    free(trial);
    free(trial_of);
    free(first);
    free(second);
    free(sum);
    free(count);
    return status;
}
