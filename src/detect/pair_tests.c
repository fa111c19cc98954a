/* The tests over all pairs: which kernels, and how they are combined. */
#include "detect/detect.h"

enum { COLLECTION = 10 }; /* bandwidths of each kernel family in MMD-FUSE and MMDAgg */

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
                city ? GN__LAPLACE : GN__GAUSS, low + (high - low) * (double)k / (COLLECTION - 1), true};
        free(distance);
    }
    return GN_OK;
}

/* Squared mean discrepancy with Gaussian kernels about the typical distance. Székely & Rizzo's energy
 * distance (2013, J. Stat. Plan. Inference 143, eq. 6.1), 2 E|X - Y| - E|X - X'| - E|Y - Y'|, is s' K s with
 * K the negative distance. */
enum { FIRST_EXACT, FIRST_COLLECTION = GN__BANDWIDTHS, FIRST_ENERGY = FIRST_COLLECTION + 2 * COLLECTION };
enum { ALL_KERNELS = FIRST_ENERGY + 1 };

/* Which kernels of the whole list the tests wanted need; a test whose distances are all 0 has p = 1. */
static gn_status list_kernels(const gn__sample *s, unsigned *which, gn__kernel kernel[ALL_KERNELS],
                              bool needed[ALL_KERNELS], gn__verdict *out, gn_error *err)
{
    bool flat = false;
    if (*which >> GN__MMD_EXACT & 1) {
        double distance;
        GN__TRY(gn__typical_distance(s, &distance, err));
        for (size_t w = 0; w < GN__BANDWIDTHS; w++) {
            kernel[FIRST_EXACT + w] = (gn__kernel){GN__GAUSS, ldexp(4 * distance, -(int)w), false};
            needed[FIRST_EXACT + w] = distance > 0;
        }
        if (!(distance > 0)) {
            out[GN__MMD_EXACT] = (gn__verdict){.p_value = 1};
            *which &= ~(1U << GN__MMD_EXACT);
        }
    }
    if (*which & (1U << GN__MMD_FUSE | 1U << GN__MMD_AGG)) {
        GN__TRY(collection(s, kernel + FIRST_COLLECTION, &flat, err));
        for (size_t w = FIRST_COLLECTION; w < FIRST_ENERGY; w++) needed[w] = !flat;
        for (int t = GN__MMD_FUSE; t <= GN__MMD_AGG; t++)
            if (flat && *which >> t & 1) {
                out[t] = (gn__verdict){.p_value = 1};
                *which &= ~(1U << t);
            }
    }
    kernel[FIRST_ENERGY] = (gn__kernel){GN__DISTANCE, 0, false};
    needed[FIRST_ENERGY] = *which >> GN__ENERGY & 1;
    return GN_OK;
}

/* Every kernel's U-statistic over sqrt(sum K^2) / (n (n - 1)), which is of the size of its standard
 * deviation, times lambda = sqrt(n (n - 1)), n the smaller sample (theorem 2; as the paper's code does, which
 * leaves the factor n (n - 1) of the normaliser inside). */
static void fuse(const gn__sample *s, const double *square, double *statistic, gn__verdict *out)
{
    size_t labels = s->labellings;
    double n = (double)(s->n - s->n_a < s->n_a ? s->n - s->n_a : s->n_a), pairs = n * (n - 1);
    for (size_t w = 0; w < 2 * COLLECTION; w++)
        for (size_t l = 0; l < labels; l++)
            statistic[w * labels + l] *= square[w] > 0 ? pairs / sqrt(square[w]) * sqrt(pairs) : 0;
    gn__combine_fused(statistic, 2 * COLLECTION, labels, out);
}

static gn_status combine(const gn__sample *s, unsigned which, double *statistic, const size_t at[ALL_KERNELS],
                         const double *square, gn__verdict *out, gn_error *err)
{
    size_t labels = s->labellings, cells = 2 * COLLECTION * labels;
    double *fused = statistic + at[FIRST_COLLECTION] * labels, *ranked = NULL;
    if (which >> GN__MMD_EXACT & 1)
        gn__combine_standardised(statistic + at[FIRST_EXACT] * labels, GN__BANDWIDTHS, labels,
                                 &out[GN__MMD_EXACT]);
    if (which >> GN__ENERGY & 1) {
        const double *t = statistic + at[FIRST_ENERGY] * labels;
        out[GN__ENERGY] = (gn__verdict){.p_value = gn__rank_first(t, labels), .statistic = t[0]};
    }
    if (which >> GN__MMD_AGG & 1) {
        ranked = gn__calloc(cells, sizeof *ranked);
        if (ranked == NULL) return gn__no_memory(err, cells * sizeof *ranked);
        memcpy(ranked, fused, cells * sizeof *ranked);
        gn_status status = gn__combine_ranked(ranked, 2 * COLLECTION, labels, &out[GN__MMD_AGG], err);
        free(ranked);
        if (status != GN_OK) return status;
    }
    if (which >> GN__MMD_FUSE & 1) fuse(s, square + at[FIRST_COLLECTION], fused, &out[GN__MMD_FUSE]);
    return GN_OK;
}

gn_status gn__test_pairs(const gn__sample *s, unsigned which, gn__verdict *out, gn_error *err)
{
    gn__kernel all[ALL_KERNELS], kernel[ALL_KERNELS];
    bool needed[ALL_KERNELS] = {false};
    double square[ALL_KERNELS], *statistic;
    size_t at[ALL_KERNELS] = {0}, kernels = 0;
    GN__TRY(list_kernels(s, &which, all, needed, out, err));
    for (size_t w = 0; w < ALL_KERNELS; w++)
        if (needed[w]) {
            at[w] = kernels;
            kernel[kernels++] = all[w];
        }
    if (kernels == 0) return GN_OK;
    statistic = gn__calloc(kernels, s->labellings * sizeof *statistic);
    if (statistic == NULL) return gn__no_memory(err, kernels * s->labellings * sizeof *statistic);
    gn_status status = gn__pairs(s, kernel, kernels, statistic, square, err);
    if (status == GN_OK) status = combine(s, which, statistic, at, square, out, err);
    free(statistic);
    return status;
}
