/* From the statistics of all labellings, one row a kernel, to a permutation p-value. Every labelling is
 * treated alike, the observed one among them, so each p-value is exact under exchangeability. */
#include "detect/detect.h"

double gn__rank_first(const double *t, size_t labellings)
{
    double mean = 0, square = 0, size = 0;
    size_t above = 0;
    for (size_t l = 0; l < labellings; l++) {
        mean += t[l] / (double)labellings;
        size = fmax(size, fabs(t[l]));
    }
    for (size_t l = 0; l < labellings; l++) square += (t[l] - mean) * (t[l] - mean) / (double)labellings;
    double tolerance = 1e-4 * sqrt(square);
    if (!(sqrt(square) > 1e-7 * size)) return 1; /* no labelling differs by more than rounding */
    for (size_t l = 1; l < labellings; l++) above += t[l] >= t[0] - tolerance;
    return (double)(1 + above) / (double)labellings;
}

/* To mean 0 and standard deviation 1 over the labellings; all 0 where nothing differs but rounding. */
static void standardise(double *t, size_t labellings)
{
    double mean = 0, square = 0, size = 0;
    for (size_t l = 0; l < labellings; l++) mean += t[l] / (double)labellings;
    for (size_t l = 0; l < labellings; l++) {
        square += (t[l] - mean) * (t[l] - mean) / (double)labellings;
        size = fmax(size, fabs(t[l]));
    }
    double sd = sqrt(square);
    bool flat = !(sd > 1e-6 * size);
    for (size_t l = 0; l < labellings; l++) t[l] = flat ? 0 : (t[l] - mean) / sd;
}

static void largest_first_row(double *statistic, size_t kernels, size_t labellings)
{
    for (size_t w = 1; w < kernels; w++)
        for (size_t l = 0; l < labellings; l++)
            statistic[l] = fmax(statistic[l], statistic[w * labellings + l]);
}

void gn__combine_standardised(double *statistic, size_t kernels, size_t labellings, gn__verdict *out)
{
    for (size_t w = 0; w < kernels; w++) standardise(statistic + w * labellings, labellings);
    largest_first_row(statistic, kernels, labellings);
    *out = (gn__verdict){.p_value = gn__rank_first(statistic, labellings), .statistic = statistic[0]};
}

void gn__combine_fused(double *statistic, size_t kernels, size_t labellings, gn__verdict *out)
{
    for (size_t l = 0; l < labellings; l++) {
        double largest = -INFINITY, sum = 0;
        for (size_t w = 0; w < kernels; w++) largest = fmax(largest, statistic[w * labellings + l]);
        for (size_t w = 0; w < kernels; w++) sum += exp(statistic[w * labellings + l] - largest);
        statistic[l] = largest + log(sum / (double)kernels);
    }
    *out = (gn__verdict){.p_value = gn__rank_first(statistic, labellings), .statistic = statistic[0]};
}

typedef struct ranked {
    double value;
    size_t labelling;
} ranked;

static int combine_descending(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->labelling > y->labelling) - (x->labelling < y->labelling);
}

/* Schrab et al. 2023 (JMLR 24, eq. 16 to 19) reject where some kernel's statistic exceeds its own (1 - u w)
 * quantile, u found by simulation so that the level holds. With uniform weights w and one set of labellings
 * that is: rank each kernel's statistics, take the best rank, and rank that among the labellings. Equal best
 * ranks are told apart by the largest standardised statistic. */
gn_status gn__combine_ranked(double *statistic, size_t kernels, size_t labellings, gn__verdict *out,
                             gn_error *err)
{
    ranked *order = gn__calloc(labellings, sizeof *order);
    double *best = gn__calloc(labellings, sizeof *best);
    if (order == NULL || best == NULL) {
        free(order);
        free(best);
        return gn__no_memory(err, labellings * (sizeof *order + sizeof *best));
    }
    for (size_t l = 0; l < labellings; l++) best[l] = (double)labellings;
    for (size_t w = 0; w < kernels; w++) {
        double *t = statistic + w * labellings;
        standardise(t, labellings);
        for (size_t l = 0; l < labellings; l++) order[l] = (ranked){round(t[l] * 1e4), l};
        qsort(order, labellings, sizeof *order, combine_descending);
        for (size_t i = 0; i < labellings;) {
            size_t end = i;
            while (end < labellings && order[end].value == order[i].value) end++;
            for (; i < end; i++) best[order[i].labelling] = fmin(best[order[i].labelling], (double)end);
        }
    }
    largest_first_row(statistic, kernels, labellings);
    for (size_t l = 0; l < labellings; l++)
        statistic[l] = statistic[l] / (1 + fabs(statistic[l])) / 2 - best[l]; /* |first part| < 1/2 */
    size_t above = 0;
    for (size_t l = 1; l < labellings; l++) above += statistic[l] >= statistic[0] - 1e-6;
    *out = (gn__verdict){.p_value = (double)(1 + above) / (double)labellings,
                         .statistic = best[0] / (double)labellings};
    free(order);
    free(best);
    return GN_OK;
}
