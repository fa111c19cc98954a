/* The tests over all pairs: which kernels, and how they are combined. */
#include "detect/detect.h"

enum { COLLECTION = 10 }; /* bandwidths of each kernel family in MMD-FUSE and MMDAgg */

static gn_status all_zero(gn__verdict *out)
{
    *out = (gn__verdict){.p_value = 1};
    return GN_OK;
}

gn_status gn__test_mmd_exact(const gn__sample *s, gn__verdict *out, gn_error *err)
{
    gn__kernel kernel[GN__BANDWIDTHS];
    double distance, *statistic;
    GN__TRY(gn__typical_distance(s, &distance, err));
    if (!(distance > 0)) return all_zero(out);
    for (size_t w = 0; w < GN__BANDWIDTHS; w++)
        kernel[w] = (gn__kernel){GN__GAUSS, ldexp(4 * distance, -(int)w)};
    statistic = gn__calloc(GN__BANDWIDTHS, s->labellings * sizeof *statistic);
    if (statistic == NULL) return gn__no_memory(err, GN__BANDWIDTHS * s->labellings * sizeof *statistic);
    gn_status status = gn__pairs(s, kernel, GN__BANDWIDTHS, false, statistic, NULL, err);
    if (status == GN_OK) gn__combine_standardised(statistic, GN__BANDWIDTHS, s->labellings, out);
    free(statistic);
    return status;
}

/* Biggs, Schrab & Gretton 2023 (arXiv 2306.08777, section 5.2): for Gaussian and Laplace kernels ten
 * bandwidths, evenly from half the 5 % to twice the 95 % quantile of the distances, those of 0 counted as the
 * median. Here among a random part of the rows. */
static gn_status collection(const gn__sample *s, gn__kernel *kernel, bool *flat, gn_error *err)
{
    for (int city = 0; city < 2; city++) {
        float *distance = NULL;
        size_t count = 0, zeros = 0;
        GN__TRY(gn__pair_distances(s, city != 0, &distance, &count, err));
        float median = distance[count / 2];
        *flat = !(distance[count - 1] > 0);
        while (zeros < count && distance[zeros] == 0) zeros++;
        if (!(median > 0)) median = *flat ? 1 : distance[zeros];
        double low = (double)distance[(size_t)((double)count * 0.05)] / 2;
        double high = (double)distance[(size_t)((double)count * 0.95)] * 2;
        if (!(low > 0)) low = (double)(zeros < count ? fminf(distance[zeros], median) : median) / 2;
        if (!(high > low)) high = 4 * low;
        for (size_t k = 0; k < COLLECTION; k++)
            kernel[(size_t)city * COLLECTION + k] = (gn__kernel){
                city ? GN__LAPLACE : GN__GAUSS, low + (high - low) * (double)k / (COLLECTION - 1)};
        free(distance);
    }
    return GN_OK;
}

static gn_status run_collection(const gn__sample *s, bool fuse, gn__verdict *out, gn_error *err)
{
    gn__kernel kernel[2 * COLLECTION];
    double square[2 * COLLECTION], *statistic;
    size_t labels = s->labellings;
    bool flat;
    GN__TRY(collection(s, kernel, &flat, err));
    if (flat) return all_zero(out);
    statistic = gn__calloc(2 * COLLECTION, labels * sizeof *statistic);
    if (statistic == NULL) return gn__no_memory(err, 2 * COLLECTION * labels * sizeof *statistic);
    gn_status status = gn__pairs(s, kernel, 2 * COLLECTION, true, statistic, square, err);
    if (status == GN_OK && fuse) {
        /* Every kernel's U-statistic over sqrt(sum K^2) / (n (n - 1)), which is of the size of its standard
         * deviation, times lambda = sqrt(n (n - 1)), n the smaller sample (theorem 2; as the paper's code
         * does, which leaves the factor n (n - 1) of the normaliser inside). */
        double n = (double)(s->n - s->n_a < s->n_a ? s->n - s->n_a : s->n_a), pairs = n * (n - 1);
        for (size_t w = 0; w < 2 * COLLECTION; w++)
            for (size_t l = 0; l < labels; l++)
                statistic[w * labels + l] *= square[w] > 0 ? pairs / sqrt(square[w]) * sqrt(pairs) : 0;
        gn__combine_fused(statistic, 2 * COLLECTION, labels, out);
    } else if (status == GN_OK) {
        status = gn__combine_ranked(statistic, 2 * COLLECTION, labels, out, err);
    }
    free(statistic);
    return status;
}

gn_status gn__test_mmd_fuse(const gn__sample *s, gn__verdict *out, gn_error *err)
{
    return run_collection(s, true, out, err);
}

gn_status gn__test_mmd_agg(const gn__sample *s, gn__verdict *out, gn_error *err)
{
    return run_collection(s, false, out, err);
}

/* Székely & Rizzo 2013 (J. Stat. Plan. Inference 143, eq. 6.1): 2 E|X - Y| - E|X - X'| - E|Y - Y'|, which is
 * s' K s with K the negative distance. */
gn_status gn__test_energy(const gn__sample *s, gn__verdict *out, gn_error *err)
{
    const gn__kernel kernel = {GN__DISTANCE, 0};
    double *statistic = gn__calloc(s->labellings, sizeof *statistic);
    if (statistic == NULL) return gn__no_memory(err, s->labellings * sizeof *statistic);
    gn_status status = gn__pairs(s, &kernel, 1, false, statistic, NULL, err);
    if (status == GN_OK)
        *out = (gn__verdict){.p_value = gn__rank_first(statistic, s->labellings), .statistic = statistic[0]};
    free(statistic);
    return status;
}
